//! Connections between two deliveries.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The connections of a pool that nobody uses at present.
pub(super) struct Idle<C> {
    /// Sorted by the time of their last use, the oldest first.
    waiting: Mutex<VecDeque<Lent<C>>>,
    room: usize,
    longest: Duration,
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
        Self { waiting: Mutex::new(VecDeque::with_capacity(room)), room, longest }
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
        if waiting.len() < self.room {
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
}
