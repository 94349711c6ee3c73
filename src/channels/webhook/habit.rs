//! Whether a server leaves connections open between two requests.
//!
//! A request that meets a server's hanging up is ambiguous: nobody can know whether the server read it. Most servers leave
//! a quiet connection open for seconds, or say `Connection: close`. Some hang up right after each answer and do not
//! say so. Which kind a server is, only its conduct shows, and it is looked at before requests are put at risk.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a kept connection must have stayed open before the first of them is used again. A server that hangs up
/// after the answer has then done so: its hanging up takes the same way as its answer.
const PROOF: Duration = Duration::from_millis(50);

/// A hanging up that comes later, or after more answers, is a limit of the server's, or its restart.
const SOON: Duration = Duration::from_secs(1);
const FEW: u32 = 3;

/// So many make a habit.
const CLOSINGS: u8 = 2;

/// How long a habit is believed.
const BELIEVED: Duration = Duration::from_secs(3_600);

/// What is known of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing, or that it hung up soon so many times.
    Unproven(u8),
    /// It leaves connections open.
    Keeps,
    /// It hangs up soon. Believed until then.
    Closes(Instant),
}

/// What a server does with connections that it did not say it would close.
#[derive(Debug)]
pub(super) struct Habit(Mutex<State>);

impl Habit {
    /// Nothing is known.
    pub(super) fn new() -> Self {
        Self(Mutex::new(State::Unproven(0)))
    }

    /// Whether it is worth keeping connections.
    pub(super) fn allows_keeping(&self) -> bool {
        // The time is asked for only where it decides.
        !matches!(self.state(), State::Closes(_)) || self.allows_keeping_at(Instant::now())
    }

    fn allows_keeping_at(&self, now: Instant) -> bool {
        let state = self.change(|state| match state {
            State::Closes(until) if now >= until => State::Unproven(0),
            State::Unproven(_) | State::Keeps | State::Closes(_) => state,
        });
        !matches!(state, State::Closes(_))
    }

    /// How much longer a connection must stay quiet before it may be used again.
    pub(super) fn still_to_prove(&self, quiet_for: Duration) -> Duration {
        match self.state() {
            State::Keeps => Duration::ZERO,
            State::Unproven(_) | State::Closes(_) => PROOF.saturating_sub(quiet_for),
        }
    }

    /// A kept connection was still open.
    pub(super) fn stayed_open(&self, quiet_for: Duration) {
        if quiet_for >= PROOF && self.state() != State::Keeps {
            self.change(|_| State::Keeps);
        }
    }

    /// A kept connection, on which so many answers had come, turned out to be over.
    pub(super) fn hung_up(&self, answers: u32, quiet_for: Duration) {
        self.hung_up_at(Instant::now(), answers, quiet_for);
    }

    fn hung_up_at(&self, now: Instant, answers: u32, quiet_for: Duration) {
        if answers > FEW || quiet_for > SOON {
            return;
        }
        self.change(|state| match state {
            State::Closes(_) => state,
            State::Keeps => State::Unproven(1),
            State::Unproven(closings) if closings + 1 < CLOSINGS => State::Unproven(closings + 1),
            State::Unproven(_) => State::Closes(now + BELIEVED),
        });
    }

    fn state(&self) -> State {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, next: impl FnOnce(State) -> State) -> State {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = next(*state);
        *state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_AND_THEN: Duration = Duration::from_millis(10);

    #[test]
    fn a_server_that_hangs_up_soon_twice_is_not_kept_for_an_hour() {
        let (habit, now) = (Habit::new(), Instant::now());
        habit.hung_up_at(now, 1, NOW_AND_THEN);
        assert!(habit.allows_keeping_at(now), "once may be chance");
        habit.hung_up_at(now, 1, NOW_AND_THEN);
        assert!(!habit.allows_keeping_at(now + BELIEVED / 2));
        assert!(habit.allows_keeping_at(now + BELIEVED), "an hour later it is tried again");
        assert_eq!(habit.still_to_prove(Duration::ZERO), PROOF, "and has to prove itself again");
    }

    #[test]
    fn limits_and_restarts_are_no_habit() {
        let (habit, now) = (Habit::new(), Instant::now());
        for _ in 0..10 {
            habit.hung_up_at(now, 1, SOON * 2);
            habit.hung_up_at(now, FEW + 1, NOW_AND_THEN);
        }
        assert!(habit.allows_keeping_at(now));
    }

    #[test]
    fn the_first_connection_that_stays_open_proves_it_for_all() {
        let habit = Habit::new();
        assert_eq!(habit.still_to_prove(NOW_AND_THEN), PROOF - NOW_AND_THEN);
        habit.stayed_open(NOW_AND_THEN);
        assert_eq!(habit.still_to_prove(Duration::ZERO), PROOF, "too soon to say");
        habit.stayed_open(PROOF);
        assert_eq!(habit.still_to_prove(Duration::ZERO), Duration::ZERO);
        habit.hung_up(1, NOW_AND_THEN);
        assert_eq!(habit.still_to_prove(Duration::ZERO), PROOF, "it does so no longer");
    }
}
