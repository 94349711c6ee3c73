//! What became of messages, minute by minute.

use serde::Serialize;
use utoipa::ToSchema;

use super::page::Counts;
use crate::domain::instant::UtcInstant;

/// How long a minute is, in milliseconds.
const MINUTE_MS: i64 = 60_000;

/// When the minute of a moment begins.
#[must_use]
pub const fn minute_of(at: UtcInstant) -> UtcInstant {
    UtcInstant(at.0 - at.0.rem_euclid(MINUTE_MS))
}

/// What became of messages in a stretch of time. So many are in a state as have come into it and not left it since:
/// `failed - retried` have failed, `uncertain - resolved` are uncertain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct MinuteFigures {
    /// The provider took so many. Less than 0 only where a journal has corrected a database that went back in time.
    pub sent: i64,
    /// So many failed. Who fails again after a retry counts again.
    pub failed: i64,
    /// So many were skipped. Less than 0 as `sent`.
    pub skipped: i64,
    /// Of so many it became unknown whether the provider took them.
    pub uncertain: i64,
    /// So many attempts ended with a wait for another one.
    pub deferred: i64,
    /// So many that had failed were put back to be sent again, or turned out to be sent.
    pub retried: i64,
    /// So many that were uncertain are no longer: by an operator's word, a report or late evidence.
    pub resolved: i64,
}

impl MinuteFigures {
    /// What has changed between two looks at the same recipients.
    #[must_use]
    pub fn between(before: &Counts, after: &Counts) -> Self {
        let (failed, uncertain) = (after.failed - before.failed, after.uncertain - before.uncertain);
        Self {
            sent: after.sent - before.sent,
            failed: failed.max(0),
            skipped: after.skipped - before.skipped,
            uncertain: uncertain.max(0),
            deferred: 0,
            retried: (-failed).max(0),
            resolved: (-uncertain).max(0),
        }
    }

    /// Whether nothing has happened.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Hand-overs that came to an end. Who was uncertain and turned out to be sent or failed was handed over before.
    #[must_use]
    pub fn handed_over(&self) -> i64 {
        (self.sent + self.failed + self.uncertain - self.resolved).max(0)
    }

    /// The same with the attempts that ended with a wait for another one.
    #[must_use]
    pub fn called(&self) -> i64 {
        self.handed_over() + self.deferred.max(0)
    }

    /// Adds what happened elsewhere, or at another time.
    pub fn add(&mut self, other: &Self) {
        let Self { sent, failed, skipped, uncertain, deferred, retried, resolved } = other;
        self.sent += sent;
        self.failed += failed;
        self.skipped += skipped;
        self.uncertain += uncertain;
        self.deferred += deferred;
        self.retried += retried;
        self.resolved += resolved;
    }

    /// Whether everything that stands in these counts has been seen to happen.
    #[must_use]
    pub fn explain(&self, counts: &Counts) -> bool {
        let seen = (self.sent, self.failed - self.retried, self.skipped, self.uncertain - self.resolved);
        seen == (counts.sent, counts.failed, counts.skipped, counts.uncertain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_a_state_is_counted_apart_and_the_sums_are_what_stands() {
        let before = Counts { pending: 10, failed: 5, uncertain: 2, ..Counts::default() };
        let after = Counts { pending: 13, sent: 3, failed: 1, ..Counts::default() };
        let moved = MinuteFigures::between(&before, &after);
        assert_eq!(moved, MinuteFigures { sent: 3, retried: 4, resolved: 2, ..MinuteFigures::default() });
        let mut sum = MinuteFigures::between(&Counts::default(), &before);
        sum.add(&moved);
        assert!(sum.explain(&after) && !sum.explain(&before));
    }

    #[test]
    fn an_operators_word_is_no_hand_over_and_what_is_put_off_is_a_call() {
        let resolved = MinuteFigures { sent: 500, resolved: 500, deferred: 7, ..MinuteFigures::default() };
        assert_eq!((resolved.handed_over(), resolved.called()), (0, 7));
        let sent = MinuteFigures { sent: 3, failed: 1, uncertain: 2, ..MinuteFigures::default() };
        assert_eq!((sent.handed_over(), sent.called()), (6, 6));
        assert_eq!(MinuteFigures { resolved: 4, ..MinuteFigures::default() }.handed_over(), 0);
    }

    #[test]
    fn a_minute_begins_at_its_first_millisecond() {
        assert_eq!(minute_of(UtcInstant(119_999)), UtcInstant(60_000));
        assert_eq!(minute_of(UtcInstant(120_000)), UtcInstant(120_000));
    }
}
