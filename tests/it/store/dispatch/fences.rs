//! A lease that its own instance ends under the feet of a living pool: nobody who is claimed in that moment is handed over
//! and put back as well.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use tokio::sync::Notify;
use volley::channels::{Channel, Deliver, Gate, Probe};
use volley::config::timing::Timing;
use volley::domain::content::message::Envelope;
use volley::domain::dispatch::outcome::Outcome;
use volley::store::Conn;

use super::packed::Campaign;
use super::pooled::Pooled;
use crate::support::Database;
use crate::support::database::number;

const PATIENCE: Duration = Duration::from_secs(30);

/// How long a connection takes to be ready: so long is somebody claimed who has no line in the journal.
const CONNECTING: Duration = Duration::from_millis(200);

/// How long a call lasts at most, by its own word.
const CALL: Duration = Duration::from_millis(1_500);

/// A provider without keys that never answers its first call, and its second one when it is told to.
#[derive(Default)]
struct Held {
    calls: Mutex<HashMap<i64, usize>>,
    second: Notify,
}

impl Held {
    fn calls(&self) -> HashMap<i64, usize> {
        self.calls.lock().unwrap().clone()
    }
}

impl Channel for Held {
    fn deliver<'a>(&'a self, envelope: &'a Envelope, gate: &'a dyn Gate) -> Deliver<'a> {
        Box::pin(async move {
            tokio::time::sleep(CONNECTING).await;
            if let Err(reason) = gate.begin() {
                return Outcome::NotBegun(reason);
            }
            *self.calls.lock().unwrap().entry(envelope.contact_id.0).or_default() += 1;
            match envelope.contact_id.0 {
                1 => std::future::pending::<()>().await,
                2 => self.second.notified().await,
                _ => {}
            }
            Outcome::Accepted { provider_id: None }
        })
    }

    fn probe(&self) -> Probe<'_> {
        Box::pin(std::future::ready(Ok(String::new())))
    }

    fn call_timeout(&self) -> Duration {
        CALL
    }
}

async fn wait(what: &str, mut right: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !right().await {
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        actix_rt::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Sessions that wait for a lock of another one.
const WAITING: &str = "SELECT count(*) AS n FROM pg_stat_activity \
    WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// The third recipient is claimed after the reaper has looked at the page, which stands still because of the first one, and
/// before it ends the lease: both wait for the same row. In between somebody else has the row, for so long that the hand-over
/// would have its line in the journal, which was read before, when the lease ends.
#[test]
fn nobody_is_put_back_who_is_claimed_while_a_page_is_judged() {
    let test = "nobody_is_put_back_who_is_claimed_while_a_page_is_judged";
    let Some(db) = Database::postgres(test) else { return };
    actix_rt::System::new().block_on(async move {
        let campaign = Campaign::packed(&db, 3, 10).await;
        let timing = Timing {
            start_deadline_ms: 1_500,
            call_margin_ms: 0,
            second_look_ms: 50,
            reaper_tick_ms: 50,
            ..Timing::default()
        };
        let still = timing.on_the_wire(CALL);
        let mut pooled = Pooled::with_places(&db, &campaign, timing, 2).await;
        let held = Arc::new(Held::default());
        let channel: Arc<dyn Channel> = held.clone();
        let _pool = pooled.start(&channel);
        pooled.reap(&channel);
        wait("two are under way", async || held.calls().len() == 2).await;
        let claimed = Instant::now().checked_sub(CONNECTING).unwrap();
        // Just before the page counts as standing still, the second call ends: its place is free for the third recipient.
        actix_rt::time::sleep((still - Duration::from_millis(500)).saturating_sub(claimed.elapsed())).await;
        let mut conn = db.connect();
        execute(&mut conn, "BEGIN; SELECT FROM pages FOR UPDATE");
        held.second.notify_one();
        let mut watcher = db.connect();
        wait("the outcome of the second and the claim of the third wait", async || number(&mut watcher, WAITING) >= 2)
            .await;
        let mut between = db.connect();
        let (goes_on, stop) = std::sync::mpsc::channel::<()>();
        let holder = std::thread::spawn(move || {
            execute(&mut between, "BEGIN; SELECT FROM pages FOR UPDATE");
            let _dropped = stop.recv();
            execute(&mut between, "COMMIT");
        });
        wait("somebody else waits behind them", async || number(&mut watcher, WAITING) >= 3).await;
        wait("the end of the lease waits behind all of them", async || number(&mut watcher, WAITING) >= 4).await;
        execute(&mut conn, "COMMIT");
        // The third is claimed, and would begin now: its lease is fenced before anybody judges it.
        let released = Instant::now();
        wait("the third had time to begin", async || released.elapsed() > 2 * CONNECTING).await;
        let begun = held.calls().contains_key(&3);
        drop(goes_on);
        holder.join().unwrap();
        wait("all is settled", async || {
            let books = campaign.books().await;
            (books.sent, books.uncertain) == (2, 1)
        })
        .await;
        assert!(!begun, "a hand-over began under a lease that was about to be ended");
        assert_eq!(held.calls(), HashMap::from([(1, 1), (2, 1), (3, 1)]));
    });
}

fn execute(conn: &mut Conn, sql: &str) {
    let Conn::Pg(conn) = conn else { panic!("this test is PostgreSQL's") };
    conn.batch_execute(sql).unwrap();
}
