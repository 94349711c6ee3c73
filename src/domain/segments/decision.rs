//! An answer, and until when time alone leaves it as it is.

use crate::domain::instant::UtcInstant;

/// An answer, and the earliest instant at which it may be another one merely because time passes. Before that instant only a
/// change of the facts can change it. `None`: no passing of time changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether the contact is taken.
    pub matches: bool,
    /// After `now`.
    pub timer: Option<UtcInstant>,
}

impl Decision {
    /// Never.
    pub const NO: Self = Self::fixed(false);

    /// An answer that no passing of time changes.
    #[must_use]
    pub const fn fixed(matches: bool) -> Self {
        Self { matches, timer: None }
    }

    /// True from `start` on.
    #[must_use]
    pub fn from(start: UtcInstant, now: UtcInstant) -> Self {
        if now < start { Self { matches: false, timer: Some(start) } } else { Self::fixed(true) }
    }

    /// True from `start` on, and no more from `end` on.
    #[must_use]
    pub fn between(start: UtcInstant, end: UtcInstant, now: UtcInstant) -> Self {
        if now < start {
            // An empty stretch is never reached.
            return if start < end { Self { matches: false, timer: Some(start) } } else { Self::NO };
        }
        if now < end { Self { matches: true, timer: Some(end) } } else { Self::NO }
    }

    /// The opposite. It changes when the answer does.
    #[must_use]
    pub const fn not(self) -> Self {
        Self { matches: !self.matches, timer: self.timer }
    }
}

/// Both. While both hold, the first that may change counts. While one does not, nothing changes before *all* those that do not
/// hold have changed: the last of them counts.
pub(super) fn and(one: Decision, other: Decision) -> Decision {
    match (one.matches, other.matches) {
        (true, true) => Decision { matches: true, timer: earlier(one.timer, other.timer) },
        (false, true) => one,
        (true, false) => other,
        (false, false) => Decision { matches: false, timer: one.timer.zip(other.timer).map(|(a, b)| a.max(b)) },
    }
}

/// The earlier of two instants, where `None` is never.
pub(super) fn earlier(one: Option<UtcInstant>, other: Option<UtcInstant>) -> Option<UtcInstant> {
    one.into_iter().chain(other).min()
}
