//! Places at which a test ends the process, as `kill -9` would: between the lines that carry the delivery protocol, and around the
//! commit of what was asked for under an idempotency key, and on the way of deliveries into an archive.
//!
//! `VOLLEY_FAIL_POINT=recorded:3` ends it when the place `recorded` is passed for the third time. Without the variable a
//! place costs the look at a cell that is set.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailPoint {
    /// A claim is written, and not committed.
    Claim,
    /// A claim is committed, and nobody has heard of it.
    Claimed,
    /// Outcomes are written, and not committed.
    Record,
    /// Outcomes are committed, and nobody has heard of it.
    Recorded,
    /// The end of a lease by its owner is written, and not committed.
    Settle,
    /// It is committed.
    Settled,
    /// The end of a lease that lost its owner is written, and not committed.
    EndLease,
    /// It is committed.
    LeaseEnded,
    /// The gate is open, and there is no line in the journal yet.
    Begin,
    /// The line is in the journal, and nothing has left.
    Begun,
    /// The provider has answered, and the journal does not know.
    Outcome,
    /// The journal has noted the outcome, and perhaps not written it.
    Noted,
    /// What was asked for under an idempotency key and its answer are written, and not committed.
    Answer,
    /// They are committed, and nobody has heard of it.
    Answered,
    /// A file with archived deliveries is complete, and the database does not know.
    Filed,
    /// The database knows, and no row was removed.
    Sealed,
    /// Some rows of archived deliveries were removed.
    Removed,
}

impl FailPoint {
    /// Every place.
    pub const ALL: [Self; 17] = [
        Self::Claim,
        Self::Claimed,
        Self::Record,
        Self::Recorded,
        Self::Settle,
        Self::Settled,
        Self::EndLease,
        Self::LeaseEnded,
        Self::Begin,
        Self::Begun,
        Self::Outcome,
        Self::Noted,
        Self::Answer,
        Self::Answered,
        Self::Filed,
        Self::Sealed,
        Self::Removed,
    ];

    /// Its name in the variable.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Claimed => "claimed",
            Self::Record => "record",
            Self::Recorded => "recorded",
            Self::Settle => "settle",
            Self::Settled => "settled",
            Self::EndLease => "end_lease",
            Self::LeaseEnded => "lease_ended",
            Self::Begin => "begin",
            Self::Begun => "begun",
            Self::Outcome => "outcome",
            Self::Noted => "noted",
            Self::Answer => "answer",
            Self::Answered => "answered",
            Self::Filed => "filed",
            Self::Sealed => "sealed",
            Self::Removed => "removed",
        }
    }

    /// Goes past the place; ends the process if it is to end here.
    pub fn pass(self) {
        static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
        if let Some(armed) = ARMED.get_or_init(Armed::by_environment)
            && armed.is_due(self)
        {
            // No destructor runs, nothing is flushed, and nobody is told.
            std::process::abort();
        }
    }
}

/// Where the process is to end, and after how many more passes.
struct Armed {
    at: FailPoint,
    left: AtomicU32,
}

impl Armed {
    #[allow(clippy::disallowed_methods, reason = "no setting: the places below the settings know it, too")]
    fn by_environment() -> Option<Self> {
        let text = std::env::var("VOLLEY_FAIL_POINT").ok()?;
        let armed = Self::parse(&text);
        match &armed {
            Some(armed) => {
                tracing::warn!(
                    event = "fail_point.armed",
                    at = armed.at.name(),
                    "this process will end itself, because VOLLEY_FAIL_POINT is set"
                )
            }
            None => tracing::error!(event = "fail_point.unknown", "VOLLEY_FAIL_POINT names no place in this process"),
        }
        armed
    }

    /// Reads `PLACE` or `PLACE:NTH`, counted from 1.
    fn parse(text: &str) -> Option<Self> {
        let (name, nth) = text.split_once(':').unwrap_or((text, "1"));
        let at = FailPoint::ALL.into_iter().find(|at| at.name() == name)?;
        let left = nth.parse().ok().filter(|nth| *nth > 0)?;
        Some(Self { at, left: AtomicU32::new(left) })
    }

    fn is_due(&self, at: FailPoint) -> bool {
        self.at == at && self.left.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_due_when_it_is_passed_for_the_nth_time() {
        let armed = Armed::parse("recorded:2").unwrap();
        assert!(!armed.is_due(FailPoint::Record) && !armed.is_due(FailPoint::Recorded));
        assert!(armed.is_due(FailPoint::Recorded) && !armed.is_due(FailPoint::Recorded));
        assert!(Armed::parse("claim").unwrap().is_due(FailPoint::Claim));
        assert!(Armed::parse("nowhere").is_none() && Armed::parse("claim:0").is_none());
    }
}
