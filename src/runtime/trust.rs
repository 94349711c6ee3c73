//! For how long leases are trusted. The pool extends a trust, each hand-over under the lease asks for it, and the reaper
//! ends it before it reads the journal.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::domain::dispatch::lease::LeaseToken;
use crate::runtime::clock::Boottime;

/// How long a lease is trusted; shared between the pool, which renews it, and every hand-over under it.
#[derive(Clone)]
pub(crate) struct Trust(Arc<AtomicI64>);

/// The value of a trust that has ended.
const ENDED: i64 = i64::MIN;

impl Trust {
    pub(crate) fn until(instant: Boottime) -> Self {
        Self(Arc::new(AtomicI64::new(instant.to_bits())))
    }

    pub(crate) fn extend(&self, instant: Boottime) {
        let later = |known: i64| (known != ENDED).then(|| known.max(instant.to_bits()));
        // One that has ended stays so, whatever a renewal from before still says.
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, later);
    }

    /// Nothing more is handed over under this lease.
    pub(crate) fn end(&self) {
        self.0.store(ENDED, Ordering::Release);
    }

    /// Whether somebody has ended it; one that has only run out is extended by the next renewal.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.load(Ordering::Acquire) == ENDED
    }

    pub(crate) fn holds(&self, now: Boottime) -> bool {
        now < Boottime::from_bits(self.0.load(Ordering::Acquire))
    }
}

/// Every lease under which this instance may hand over. A lease is entered before the database is asked for it, so that
/// whatever the database knows of can be fenced here.
#[derive(Clone, Default)]
pub struct Trusts(Arc<Mutex<HashMap<LeaseToken, Weak<AtomicI64>>>>);

impl Trusts {
    /// Enters a lease. It is forgotten when nobody holds its trust any more.
    pub(crate) fn enter(&self, token: LeaseToken, trust: &Trust) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, trust| trust.strong_count() > 0);
        known.insert(token, Arc::downgrade(&trust.0));
    }

    /// Ends the trust in a lease. When this returns, a hand-over under it either has its line in the journal or does not
    /// begin: the gate asks for the trust once more after it has written the line.
    pub fn end(&self, token: LeaseToken) {
        let trust = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&token).and_then(Weak::upgrade);
        if let Some(trust) = trust {
            Trust(trust).end();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_lease_that_was_fenced_is_trusted_no_more_whatever_a_renewal_says() {
        let (trusts, now) = (Trusts::default(), Boottime::now());
        let (fenced, other) =
            (Trust::until(now.plus(Duration::from_secs(9))), Trust::until(now.plus(Duration::from_secs(9))));
        trusts.enter(LeaseToken(1), &fenced);
        trusts.enter(LeaseToken(2), &other);
        trusts.end(LeaseToken(1));
        fenced.extend(now.plus(Duration::from_secs(99)));
        assert!(fenced.has_ended() && !fenced.holds(now));
        assert!(!other.has_ended() && other.holds(now));
    }

    #[test]
    fn leases_that_nobody_holds_are_forgotten() {
        let (trusts, now) = (Trusts::default(), Boottime::now());
        for token in 1..100 {
            trusts.enter(LeaseToken(token), &Trust::until(now));
        }
        assert_eq!(trusts.0.lock().unwrap().len(), 1);
        trusts.end(LeaseToken(7));
    }
}
