//! Which leases have lost their owner.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::Round;
use crate::domain::dispatch::lease::LeaseToken;
use crate::domain::dispatch::page::Progress;
use crate::domain::instant::UtcInstant;
use crate::store::dispatch::lost_leases::{Judged, OwnerFate};
use crate::store::replicas::instances::{Doubtful, OpenLease, OwnerSeen};

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
/// the database's absence delays is held against anybody. A database that hangs is absent, too, and so is everybody else
/// while this process stands still: after either the watch begins anew.
pub(super) struct Watch {
    /// Since when it goes on without a gap.
    began: Instant,
    /// When the last round ended.
    last_round: Option<Instant>,
    expired: HashMap<LeaseToken, Instant>,
    progress: HashMap<LeaseToken, (Progress, Instant)>,
    /// Leases of others: when their owner was last heard of and they end, and since when that has stayed so.
    silent: HashMap<LeaseToken, (Silence, Instant)>,
    seen: HashSet<LeaseToken>,
    /// How often the database had been away when this watch began.
    absences: u64,
}

/// For how long an owner that neither renews nor says that it lives is waited for, while the database answers. It does both
/// several times in this time.
const SILENCE: Duration = Duration::from_secs(3);

/// And for how long at least since this watch began. After an outage all owners are silent until they have a connection
/// again, and one attempt may take 5 s (`connect_timeout`): this instance may have been luckier.
const SILENCE_AT_FIRST: Duration = Duration::from_secs(8);

/// A round that hears nothing of the database for longer than this sees what was so some time ago.
const SLOW: Duration = Duration::from_secs(2);

type Silence = (Option<UtcInstant>, Option<UtcInstant>);

impl Default for Watch {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            last_round: None,
            expired: HashMap::new(),
            progress: HashMap::new(),
            silent: HashMap::new(),
            seen: HashSet::new(),
            absences: 0,
        }
    }
}

impl Watch {
    /// A round begins. After a gap of several ticks nobody knows what was during it: this process, or its machine, stood
    /// still, and with it perhaps everybody it would judge.
    pub(super) fn round_begins(&mut self, now: Instant, tick: Duration) {
        let gap = self.last_round.map(|last| now.saturating_duration_since(last));
        if gap.is_some_and(|gap| gap > 2 * tick + Duration::from_secs(1)) {
            tracing::info!(
                event = "reaper.delayed",
                gap_ms = gap.map(|gap| gap.as_millis()),
                "the reaper made no round for a while; it forgets what it saw before"
            );
            *self = Self::default();
        }
    }

    /// The database has answered a round's question, of which that moment is the earliest that it may speak of. Returns
    /// whether the answer may be used together with earlier ones: not when it was so slow that they are too old, and not when
    /// another part of this process has found the database away since. An outage may end before this round has noticed it.
    pub(super) fn heard(&mut self, asked: Instant, absences: u64) -> bool {
        let in_time = asked.elapsed() <= SLOW;
        if !in_time {
            tracing::info!(
                event = "database.slow",
                took_ms = asked.elapsed().as_millis(),
                "the database took long to answer; the reaper judges no lease by that answer"
            );
        }
        let goes_on = in_time && absences == self.absences;
        if !goes_on {
            *self = Self { absences, ..Self::default() };
        }
        goes_on
    }

    /// Whether the lease has lost its owner. One of this instance's living pools is not taken away for being late: the
    /// owner itself knows best what became of it.
    pub(super) fn loss(&mut self, lease: &OpenLease, round: &Round, found: &Doubtful) -> Option<Loss> {
        let expired = found.has_expired(lease);
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
        // For so long the database may have been away without a round that noticed it; outcomes waited for it, too.
        let unnoticed = SLOW + round.tick;
        self.stands_still(lease, round.resolver.on_the_wire(&lease.pool) + unnoticed).then_some(Loss::StandsStill)
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
        if !in_order && (since.elapsed() < SILENCE || self.began.elapsed() < SILENCE_AT_FIRST) {
            return None;
        }
        if lease.instance.is_some_and(|owner| found.gone.contains(&owner)) {
            return Some(Loss::OwnerDied);
        }
        let dead = has_died(lease.owner.as_ref(), round.patience, found.now);
        expired.then_some(if dead { Loss::OwnerDied } else { Loss::NotRenewed })
    }

    /// Whether nothing has moved on the page for as long as a call and the record of its outcome can take. A page that waits
    /// for its rate, its provider or a retry has claimed nobody.
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

    /// A round has seen all leases. Forgets those that it did not see.
    pub(super) fn round_ends(&mut self) {
        self.last_round = Some(Instant::now());
        let seen = std::mem::take(&mut self.seen);
        self.expired.retain(|token, _| seen.contains(token));
        self.progress.retain(|token, _| seen.contains(token));
        self.silent.retain(|token, _| seen.contains(token));
    }
}

/// Whether another instance has ended, or has been silent for so long that it must have: it says that it lives several
/// times while a lease lasts.
fn has_died(owner: Option<&OwnerSeen>, patience: Duration, now: UtcInstant) -> bool {
    // A heartbeat from the future is one from before the database's clock went back.
    let silent = |seen: UtcInstant| seen.plus(patience / 2) <= now || seen > now.plus(patience);
    owner.is_none_or(|owner| owner.stopped_at.is_some() || silent(owner.last_seen_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_secs(1);

    fn watching(token: LeaseToken) -> Watch {
        let mut watch = Watch::default();
        watch.expired.insert(token, Instant::now());
        watch.seen.insert(token);
        watch.round_ends();
        watch
    }

    #[test]
    fn what_was_seen_before_a_gap_of_several_ticks_is_forgotten() {
        let token = LeaseToken(1);
        let mut watch = watching(token);
        watch.round_begins(Instant::now() + 2 * TICK, TICK);
        assert!(watch.expired.contains_key(&token), "a late round is no gap");
        watch.round_begins(Instant::now() + 4 * TICK, TICK);
        assert!(watch.expired.is_empty() && watch.last_round.is_none());
    }

    #[test]
    fn what_was_seen_before_a_slow_answer_is_forgotten() {
        let token = LeaseToken(1);
        let mut watch = watching(token);
        assert!(watch.heard(Instant::now(), 0) && watch.expired.contains_key(&token));
        let long_ago = Instant::now().checked_sub(SLOW + TICK).unwrap();
        assert!(!watch.heard(long_ago, 0) && watch.expired.is_empty());
    }

    #[test]
    fn what_was_seen_before_an_outage_that_others_noticed_is_forgotten() {
        let token = LeaseToken(1);
        let mut watch = watching(token);
        assert!(!watch.heard(Instant::now(), 1) && watch.expired.is_empty());
        assert!(watch.heard(Instant::now(), 1), "once");
    }
}
