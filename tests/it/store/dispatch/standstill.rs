//! A call that never ends, under a pool that lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use volley::channels::{Channel, Deliver, Gate, Probe};
use volley::config::timing::Timing;
use volley::domain::content::message::Envelope;
use volley::domain::dispatch::outcome::Outcome;
use volley::runtime::pool::GetState;

use super::packed::Campaign;
use super::pooled::Pooled;
use crate::support::{Database, both_backends};

/// A provider that says of its own that it answers in time, and does not: to its first message, never.
struct Stuck {
    calls: AtomicUsize,
}

impl Channel for Stuck {
    fn deliver<'a>(&'a self, _: &'a Envelope, gate: &'a dyn Gate) -> Deliver<'a> {
        Box::pin(async move {
            if let Err(reason) = gate.begin() {
                return Outcome::NotBegun(reason);
            }
            if self.calls.fetch_add(1, Ordering::Relaxed) == 0 {
                std::future::pending::<()>().await;
            }
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

/// Waits until the page of a call that never ends is resolved, and its pool has let go of it. One that `hears` is told.
async fn stands_still(db: &Database, hears: bool) {
    let campaign = Campaign::packed(db, 3, 10).await;
    let timing = Timing { call_margin_ms: 100, second_look_ms: 100, reaper_tick_ms: 100, ..Timing::default() };
    let mut pooled = Pooled::over(db, &campaign, timing).await;
    let channel: Arc<dyn Channel> = Arc::new(Stuck { calls: AtomicUsize::new(0) });
    let sender = if hears { pooled.start(&channel) } else { pooled.start_unknown(&channel) };
    pooled.reap(&channel);
    let began = Instant::now();
    loop {
        let books = campaign.books().await;
        let held = sender.send(GetState).await.unwrap().pages.len();
        if (books.sent, books.uncertain, held) == (2, 1, 0) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{books:?}, and {held} pages held");
        actix_rt::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(began.elapsed() >= Duration::from_millis(1_500), "a call may take its time");
}

both_backends! {
    async fn a_page_that_stands_still_under_a_living_pool_is_resolved(db: &Database) {
        stands_still(db, true).await;
    }

    async fn a_pool_that_does_not_hear_that_its_lease_was_ended_finds_out(db: &Database) {
        stands_still(db, false).await;
    }
}
