//! A lease that its own instance ends under the feet of a living pool: nobody who is claimed in that moment is handed over
//! and put back as well.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use tokio::sync::Notify;
use volley::channels::{Channel, Deliver, Gate, Probe};
use volley::config::timing::Timing;
use volley::domain::message::Envelope;
use volley::domain::outcome::Outcome;
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
/// before it ends the lease: the claim and the end of the lease wait for the same row, in this order.
#[test]
fn nobody_is_put_back_who_is_claimed_while_a_page_is_judged() {
    let test = "nobody_is_put_back_who_is_claimed_while_a_page_is_judged";
    let Some(db) = Database::postgres(test) else { return };
    actix_rt::System::new().block_on(async move {
        let campaign = Campaign::packed(&db, 3, 10).await;
        let timing = Timing { start_deadline_ms: 1_500, call_margin_ms: 0, reaper_tick_ms: 50, ..Timing::default() };
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
        // The outcome of the second, the claim of the third, the end of the lease.
        wait("all three wait for the page", async || number(&mut watcher, WAITING) >= 3).await;
        execute(&mut conn, "COMMIT");
        wait("all is settled", async || {
            let books = campaign.books().await;
            (books.sent, books.uncertain) == (2, 1)
        })
        .await;
        assert_eq!(held.calls(), HashMap::from([(1, 1), (2, 1), (3, 1)]));
    });
}

fn execute(conn: &mut Conn, sql: &str) {
    let Conn::Pg(conn) = conn else { panic!("this test is PostgreSQL's") };
    conn.batch_execute(sql).unwrap();
}
