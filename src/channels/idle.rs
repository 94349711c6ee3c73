//! Connections between two deliveries.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The connections of a pool that nobody uses at present.
pub(super) struct Idle<C> {
    waiting: Mutex<VecDeque<(Instant, C)>>,
    room: usize,
    longest: Duration,
}

impl<C> Idle<C> {
    /// Keeps at most `room` connections, each for no longer than `longest`.
    pub(super) fn new(room: usize, longest: Duration) -> Self {
        Self { waiting: Mutex::new(VecDeque::with_capacity(room)), room, longest }
    }

    /// The connection used last.
    pub(super) fn take(&self) -> Option<C> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while waiting.front().is_some_and(|(since, _)| since.elapsed() > self.longest) {
            waiting.pop_front();
        }
        waiting.pop_back().map(|(_, connection)| connection)
    }

    /// Only a connection whose last conversation ended in order may be kept.
    pub(super) fn keep(&self, connection: C) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < self.room {
            waiting.push_back((Instant::now(), connection));
        }
    }
}
