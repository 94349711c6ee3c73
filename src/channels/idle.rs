//! Connections between two deliveries.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The connections of a pool that nobody uses at present.
pub(super) struct Idle<C> {
    /// Sorted by the time of their last use, the oldest first.
    waiting: Mutex<VecDeque<Lent<C>>>,
    /// Connections that there may be, those in use included.
    room: AtomicUsize,
    /// Calls under way: each has a connection, or is about to have one.
    busy: AtomicUsize,
    longest: Duration,
}

/// A call under way.
pub(super) struct Busy<'a>(&'a AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A connection and the time of its last use.
pub(super) struct Lent<C> {
    /// The connection.
    pub(super) connection: C,
    /// When the provider was last spoken to on it.
    pub(super) since: Instant,
}

impl<C> Lent<C> {
    /// A connection that was used, or opened, just now.
    pub(super) fn fresh(connection: C) -> Self {
        Self { connection, since: Instant::now() }
    }
}

impl<C> Idle<C> {
    /// Keeps at most `room` connections, each for no longer than `longest` after its last use.
    pub(super) fn new(room: usize, longest: Duration) -> Self {
        let waiting = Mutex::new(VecDeque::with_capacity(room));
        Self { waiting, room: AtomicUsize::new(room), busy: AtomicUsize::new(0), longest }
    }

    /// Counts a call for as long as the guard lives: there is one place less for idle connections.
    pub(super) fn enter(&self) -> Busy<'_> {
        self.busy.fetch_add(1, Ordering::AcqRel);
        Busy(&self.busy)
    }

    /// Leaves room for so many connections, those in use included. Idle ones beyond are closed, the oldest first; those in
    /// use are closed instead of kept.
    pub(super) fn limit(&self, room: usize) {
        self.room.store(room, Ordering::Release);
        let idle = room.saturating_sub(self.busy.load(Ordering::Acquire));
        let mut waiting = self.lock();
        while waiting.len() > idle {
            waiting.pop_front();
        }
    }

    /// How many connections lie idle.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// The connection used last.
    pub(super) fn take(&self) -> Option<Lent<C>> {
        let mut waiting = self.lock();
        while waiting.front().is_some_and(|lent| lent.since.elapsed() > self.longest) {
            waiting.pop_front();
        }
        waiting.pop_back()
    }

    /// Keeps a connection that was used just now. Only one whose last conversation ended in order may be kept.
    pub(super) fn keep(&self, connection: C) {
        self.put_back(Lent::fresh(connection));
    }

    /// Keeps a connection with the time of its last use: one that was only looked at has not become younger by it. The
    /// other side counts from the last word.
    pub(super) fn put_back(&self, lent: Lent<C>) {
        let mut waiting = self.lock();
        // The call that brings this one back is among the busy ones.
        let others = self.busy.load(Ordering::Acquire).saturating_sub(1);
        if waiting.len() + others < self.room.load(Ordering::Acquire) {
            let place = waiting.partition_point(|other| other.since <= lent.since);
            waiting.insert(place, lent);
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Lent<C>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(4);

    fn taken<C>(idle: &Idle<C>) -> Option<C> {
        idle.take().map(|lent| lent.connection)
    }

    #[test]
    fn a_connection_that_was_only_looked_at_grows_older_all_the_same() {
        let idle = Idle::new(2, LONGEST);
        idle.keep('a');
        for _ in 0..3 {
            let lent = idle.take().unwrap();
            let seen = lent.since;
            idle.put_back(lent);
            let again = idle.take().unwrap();
            assert_eq!(again.since, seen, "nobody spoke on it");
            idle.put_back(again);
        }
        let mut old = idle.take().unwrap();
        old.since = Instant::now().checked_sub(LONGEST * 2).unwrap();
        idle.put_back(old);
        assert_eq!(taken(&idle), None, "looked at, and too old all the same");
    }

    #[test]
    fn the_connection_used_last_is_taken_first_in_whatever_order_they_come_back() {
        let idle = Idle::new(3, LONGEST);
        let now = Instant::now();
        let ago = |seconds| now.checked_sub(Duration::from_secs(seconds)).unwrap();
        for (connection, since) in [('b', ago(1)), ('d', ago(3)), ('a', now), ('c', ago(2))] {
            idle.put_back(Lent { connection, since });
        }
        // There was room for three.
        assert_eq!([taken(&idle), taken(&idle), taken(&idle), taken(&idle)], [Some('a'), Some('b'), Some('d'), None]);
    }

    #[test]
    fn connections_beyond_the_room_are_closed_idle_ones_first() {
        let idle = Idle::new(4, LONGEST);
        (1..=3).for_each(|connection| idle.keep(connection));
        let busy = idle.enter();
        idle.limit(2);
        assert_eq!(idle.len(), 1, "one is in use, and one may lie idle");
        idle.keep(4);
        assert_eq!(idle.len(), 2, "the one in use has come back");
        idle.limit(1);
        drop(busy);
        assert_eq!(idle.len(), 0);
        idle.keep(5);
        idle.keep(6);
        assert_eq!(idle.take().map(|lent| lent.connection), Some(5), "there is room for one");
    }
}
