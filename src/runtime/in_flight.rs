//! What is being handed over right now, by campaign and by pool: what this instance says when it acknowledges a pause.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::clock::Boottime;
use crate::domain::replicas::decision::Subject;

/// Flows beyond this many are forgotten when nothing has begun in them for a while.
const KEPT: usize = 256;

/// For how long the last beginning of a flow is remembered, in nanoseconds: ten minutes.
const REMEMBERED: i64 = 600 * 1_000_000_000;

/// The hand-overs of one campaign or pool.
#[derive(Debug, Default)]
pub struct InFlightCount {
    in_flight: AtomicI64,
    /// By CLOCK_BOOTTIME; 0 while none has begun.
    last_begun: AtomicI64,
}

impl InFlightCount {
    /// A hand-over is about to begin. It is counted before the last check whether it may begin. A pause that stores its
    /// status and then counts is therefore either seen by that check, or counts this hand-over.
    pub fn enter(&self) {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
    }

    /// It has begun.
    pub fn begin(&self, now: Boottime) {
        self.last_begun.fetch_max(now.to_bits(), Ordering::AcqRel);
    }

    /// It has ended, or was not begun.
    pub fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::AcqRel);
    }

    /// Hand-overs under way, and how long ago the last one began, in milliseconds.
    #[must_use]
    pub fn seen(&self) -> (i64, Option<i64>) {
        let last = self.last_begun.load(Ordering::Acquire);
        let ago = (last > 0).then(|| (Boottime::now().to_bits() - last).max(0) / 1_000_000);
        (self.in_flight.load(Ordering::SeqCst), ago)
    }

    fn is_forgettable(&self, now: i64) -> bool {
        self.in_flight.load(Ordering::Acquire) == 0 && now - self.last_begun.load(Ordering::Acquire) > REMEMBERED
    }
}

/// Every flow of this instance.
#[derive(Debug, Default)]
pub struct InFlight {
    flows: Mutex<HashMap<Subject, Arc<InFlightCount>>>,
}

impl InFlight {
    /// The flow of a campaign or pool. A hand-over keeps it, so that it need not be looked up.
    #[must_use]
    pub fn of(&self, subject: Subject) -> Arc<InFlightCount> {
        let mut flows = self.lock();
        if flows.len() > KEPT {
            let now = Boottime::now().to_bits();
            flows.retain(|_, flow| Arc::strong_count(flow) > 1 || !flow.is_forgettable(now));
        }
        Arc::clone(flows.entry(subject).or_default())
    }

    /// What is known of one without making it known.
    #[must_use]
    pub fn seen(&self, subject: &Subject) -> (i64, Option<i64>) {
        self.lock().get(subject).map_or((0, None), |flow| flow.seen())
    }

    /// Hand-overs under way on this instance.
    #[must_use]
    pub fn in_flight(&self) -> i64 {
        let pools = |(subject, flow): (&Subject, &Arc<InFlightCount>)| match subject {
            Subject::Pool(_) => flow.in_flight.load(Ordering::Acquire),
            Subject::Campaign(_) => 0,
        };
        self.lock().iter().map(pools).sum()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Subject, Arc<InFlightCount>>> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::CampaignId;

    #[test]
    fn what_has_ended_is_not_in_flight_and_its_beginning_is_remembered() {
        let in_flight = InFlight::default();
        let pool = in_flight.of(Subject::Pool("p".to_owned()));
        let campaign = in_flight.of(Subject::Campaign(CampaignId(1)));
        let now = Boottime::now();
        for flow in [&pool, &campaign] {
            flow.enter();
            flow.begin(now);
        }
        assert_eq!(in_flight.in_flight(), 1);
        for flow in [&pool, &campaign] {
            flow.leave();
        }
        let (count, ago) = in_flight.seen(&Subject::Campaign(CampaignId(1)));
        assert_eq!(count, 0);
        assert!(ago.is_some_and(|ago| ago < 60_000), "{ago:?}");
        assert_eq!(in_flight.seen(&Subject::Campaign(CampaignId(2))), (0, None));
    }
}
