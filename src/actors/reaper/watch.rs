//! Which leases have lost their owner.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::Round;
use crate::domain::instant::UtcInstant;
use crate::store::instances::{Doubtful, OpenLease, OwnerSeen};
use crate::store::lost_leases::{Judged, OwnerFate};
use crate::store::pages::{LeaseToken, Progress};

/// Why a lease is to be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// Its owner is dead.
    OwnerDied,
    /// Its owner lives, and did not renew it: it was cut off, or the COMMIT of the lease went unanswered.
    NotRenewed,
    /// Its owner renews it, and has claimed recipients whose calls must have ended long ago.
    StandsStill,
}

impl Loss {
    pub(super) fn owner(self) -> OwnerFate {
        match self {
            Self::OwnerDied => OwnerFate::Died,
            Self::NotRenewed | Self::StandsStill => OwnerFate::Lives,
        }
    }

    /// What must still be so when the lease is ended. A page that stands still is renewed all the time.
    pub(super) fn judged(self, lease: &OpenLease) -> Judged {
        let until = match self {
            Self::OwnerDied | Self::NotRenewed => lease.until,
            Self::StandsStill => None,
        };
        Judged { progress: lease.progress, until }
    }
}

/// Leases as earlier rounds saw them. By the monotonic clock, and only while the database answers: nothing that
/// the database's absence delays is held against anybody.
#[derive(Default)]
pub(super) struct Watch {
    expired: HashMap<LeaseToken, Instant>,
    progress: HashMap<LeaseToken, (Progress, Instant)>,
    /// Leases of others: when their owner was last heard of and they end, and since when that has stayed so.
    silent: HashMap<LeaseToken, (Silence, Instant)>,
    seen: HashSet<LeaseToken>,
}

/// For how long an owner that neither renews nor says that it lives is waited for, while the database answers. It does both
/// several times in this time.
const SILENCE: Duration = Duration::from_secs(3);

type Silence = (Option<UtcInstant>, Option<UtcInstant>);

impl Watch {
    /// Whether the lease has lost its owner. One of this instance's living pools is not taken away for being late: the
    /// owner itself knows best what became of it.
    pub(super) fn loss(&mut self, lease: &OpenLease, round: &Round, found: &Doubtful) -> Option<Loss> {
        let now = found.now;
        let expired = lease.until.is_none_or(|until| until <= now);
        self.seen.insert(lease.token);
        if lease.instance != Some(round.identity.instance) {
            return self.loss_of_another(lease, round, found, expired);
        }
        if !lease.generation.is_some_and(|generation| round.pools.is_alive(&lease.pool, generation)) {
            return Some(Loss::OwnerDied);
        }
        if !expired {
            self.expired.remove(&lease.token);
        } else if self.expired.entry(lease.token).or_insert_with(Instant::now).elapsed() >= round.patience {
            return Some(Loss::NotRenewed);
        }
        self.stands_still(lease, round.court.on_the_wire(&lease.pool)).then_some(Loss::StandsStill)
    }

    /// Whether another instance has lost the lease. After the database was away, everybody's heartbeats are old, all
    /// sessions have ended and leases have expired: only a silence that goes on while the database answers says anything.
    fn loss_of_another(&mut self, lease: &OpenLease, round: &Round, found: &Doubtful, expired: bool) -> Option<Loss> {
        let heard = lease.owner.as_ref().map(|owner| owner.last_seen_at);
        let (known, since) = self.silent.entry(lease.token).or_insert_with(|| ((heard, lease.until), Instant::now()));
        if *known != (heard, lease.until) {
            (*known, *since) = ((heard, lease.until), Instant::now());
        }
        let in_order = lease.owner.as_ref().is_none_or(|owner| owner.stopped_at.is_some());
        if !in_order && since.elapsed() < SILENCE {
            return None;
        }
        if lease.instance.is_some_and(|owner| found.gone.contains(&owner)) {
            return Some(Loss::OwnerDied);
        }
        let dead = has_died(lease.owner.as_ref(), round.patience, found.now);
        expired.then_some(if dead { Loss::OwnerDied } else { Loss::NotRenewed })
    }

    /// Whether nothing has moved on the page for as long as a call can take. A page that waits for its rate, its provider
    /// or a retry has claimed nobody.
    fn stands_still(&mut self, lease: &OpenLease, longest: Duration) -> bool {
        if !lease.is_sending() {
            self.progress.remove(&lease.token);
            return false;
        }
        let (known, since) = self.progress.entry(lease.token).or_insert_with(|| (lease.progress, Instant::now()));
        if *known != lease.progress {
            (*known, *since) = (lease.progress, Instant::now());
        }
        since.elapsed() >= longest
    }

    /// Forgets leases that the last round did not see.
    pub(super) fn forget_unseen(&mut self) {
        let seen = std::mem::take(&mut self.seen);
        self.expired.retain(|token, _| seen.contains(token));
        self.progress.retain(|token, _| seen.contains(token));
        self.silent.retain(|token, _| seen.contains(token));
    }
}

/// Whether another instance has ended, or has been silent for so long that it must have: it says that it lives several
/// times while a lease lasts.
fn has_died(owner: Option<&OwnerSeen>, patience: Duration, now: UtcInstant) -> bool {
    owner.is_none_or(|owner| owner.stopped_at.is_some() || owner.last_seen_at.plus(patience / 2) <= now)
}
