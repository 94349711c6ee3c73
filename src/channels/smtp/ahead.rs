//! Whether commands are sent ahead of their answers (PIPELINING, RFC 2920).

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a relay that hung on commands sent ahead is spoken to step by step.
const GIVEN_UP_FOR: Duration = Duration::from_secs(3600);

/// Some relays offer PIPELINING and throw away what was sent ahead, or have a firewall before them that does.
pub(super) struct Ahead {
    wanted: bool,
    given_up: Mutex<Option<Instant>>,
}

impl Ahead {
    /// `wanted` is the pool's `pipelining`.
    pub(super) fn new(wanted: bool) -> Self {
        Self { wanted, given_up: Mutex::default() }
    }

    /// Whether to send ahead where the relay offers it.
    pub(super) fn is_tried(&self) -> bool {
        self.wanted && self.since().is_none_or(|since| since.elapsed() > GIVEN_UP_FOR)
    }

    /// The relay hung on commands that were sent ahead.
    pub(super) fn give_up(&self) {
        *self.given_up.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// The relay hung step by step, too: sending ahead was not the reason.
    pub(super) fn acquit(&self) {
        *self.given_up.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn since(&self) -> Option<Instant> {
        *self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_that_hung_is_spoken_to_step_by_step_for_an_hour() {
        let ahead = Ahead::new(true);
        assert!(ahead.is_tried());
        ahead.give_up();
        assert!(!ahead.is_tried());
        *ahead.given_up.lock().unwrap() = Instant::now().checked_sub(GIVEN_UP_FOR + Duration::from_secs(1));
        assert!(ahead.is_tried());
        ahead.give_up();
        ahead.acquit();
        assert!(ahead.is_tried());
        assert!(!Ahead::new(false).is_tried());
    }
}
