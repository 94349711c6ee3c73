//! Claims whose hand-over does not begin in time, or under a lease that is trusted no more.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use volley::channels::{Channel, Deliver, Gate, Probe};
use volley::config::timing::Timing;
use volley::domain::content::message::Envelope;
use volley::domain::dispatch::outcome::{NotBegun, Outcome};
use volley::domain::dispatch::page::Counts;
use volley::store::Lane;

use super::packed::Campaign;
use super::pooled::Pooled;
use crate::support::both_backends;
use crate::support::database::number;

const PEOPLE: i64 = 3;
const PATIENCE: Duration = Duration::from_secs(30);

/// A provider whose connections take their time, for the first few calls; then it takes whatever the gate lets through.
struct Slow {
    slow_calls: usize,
    connecting: Duration,
    calls: AtomicUsize,
    handed_over: AtomicUsize,
    refused: Mutex<Vec<NotBegun>>,
}

impl Slow {
    fn new(slow_calls: usize, connecting: Duration) -> Arc<Self> {
        Arc::new(Self {
            slow_calls,
            connecting,
            calls: AtomicUsize::new(0),
            handed_over: AtomicUsize::new(0),
            refused: Mutex::default(),
        })
    }

    fn handed_over(&self) -> usize {
        self.handed_over.load(Ordering::SeqCst)
    }

    fn refused(&self) -> Vec<NotBegun> {
        self.refused.lock().unwrap().clone()
    }
}

impl Channel for Slow {
    fn deliver<'a>(&'a self, _: &'a Envelope, gate: &'a dyn Gate) -> Deliver<'a> {
        Box::pin(async move {
            if self.calls.fetch_add(1, Ordering::SeqCst) < self.slow_calls {
                tokio::time::sleep(self.connecting).await;
            }
            if let Err(reason) = gate.begin() {
                self.refused.lock().unwrap().push(reason);
                return Outcome::NotBegun(reason);
            }
            self.handed_over.fetch_add(1, Ordering::SeqCst);
            Outcome::Accepted { provider_id: None }
        })
    }

    fn probe(&self) -> Probe<'_> {
        Box::pin(std::future::ready(Ok(String::new())))
    }

    fn call_timeout(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// Waits until the books are as they should be.
async fn wait_books(campaign: &Campaign, what: &str, right: impl Fn(Counts) -> bool) {
    let began = Instant::now();
    loop {
        let books = campaign.books().await;
        if right(books) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}: {books:?}");
        actix_rt::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A number that the query calls `n`.
async fn ask(campaign: &Campaign, query: &'static str) -> i64 {
    campaign.store.run(Lane::Read, "test", move |conn| Ok(number(conn, query))).await.unwrap()
}

const FEWEST_CLAIMS: &str = "SELECT CAST(min(claim_no) AS BIGINT) AS n FROM deliveries";
const ATTEMPTS: &str = "SELECT CAST(sum(attempts) AS BIGINT) AS n FROM deliveries";

/// Waits for the end of a campaign whose first calls the gate refused for this reason, and checks that nothing left then.
async fn assert_refused_once_then_sent(campaign: &Campaign, channel: &Slow, reason: NotBegun) {
    wait_books(campaign, "everyone is sent", |books| books.sent == PEOPLE).await;
    let refused = channel.refused();
    assert!(refused.len() >= 3 && refused.iter().all(|each| *each == reason), "{refused:?}");
    assert_eq!(channel.handed_over(), 3, "one hand-over each");
    assert!(ask(campaign, FEWEST_CLAIMS).await >= 2, "sent under a claim that was too old");
    assert_eq!(ask(campaign, ATTEMPTS).await, PEOPLE, "what was not begun is no attempt");
}

both_backends! {
    async fn a_hand_over_that_cannot_begin_within_half_a_second_of_its_claim_goes_back(db: &Database) {
        let campaign = Campaign::packed(db, PEOPLE, 10).await;
        let slow = Slow::new(3, Duration::from_millis(650));
        let mut pooled = Pooled::over(db, &campaign, Timing::default()).await;
        let channel: Arc<dyn Channel> = slow.clone();
        let _pool = pooled.start(&channel);
        assert_refused_once_then_sent(&campaign, &slow, NotBegun::Late).await;
    }

    async fn a_claim_that_comes_back_after_its_start_deadline_begins_nobody(db: &Database) {
        let campaign = Campaign::packed(db, PEOPLE, 10).await;
        let slow = Slow::new(0, Duration::ZERO);
        let mut pooled = Pooled::over(db, &campaign, Timing { start_deadline_ms: 0, ..Timing::default() }).await;
        let channel: Arc<dyn Channel> = slow.clone();
        let _pool = pooled.start(&channel);
        let began = Instant::now();
        while ask(&campaign, FEWEST_CLAIMS).await < 3 {
            assert!(began.elapsed() < PATIENCE, "what was given back is claimed again");
            actix_rt::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(pooled.trouble().as_deref(), Some("database_slow"));
        assert_eq!((slow.handed_over(), ask(&campaign, ATTEMPTS).await), (0, 0));
        let books = campaign.books().await;
        assert_eq!(books.pending + books.sending, PEOPLE);
    }

    async fn a_lease_that_is_trusted_no_longer_lets_nobody_begin(db: &Database) {
        let campaign = Campaign::packed(db, PEOPLE, 10).await;
        let slow = Slow::new(3, Duration::from_millis(700));
        // Never renewed, as by a process that was frozen.
        let timing =
            Timing { lease_trust_ms: 500, lease_renew_ms: 600_000, start_deadline_ms: 60_000, ..Timing::default() };
        let mut pooled = Pooled::over(db, &campaign, timing).await;
        let channel: Arc<dyn Channel> = slow.clone();
        let _pool = pooled.start(&channel);
        assert_refused_once_then_sent(&campaign, &slow, NotBegun::Fenced).await;
    }
}
