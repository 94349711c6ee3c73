//! How much breaks in a run, what that means for its providers, and what is demanded all the same.

use serde::Serialize;

use crate::domain::text_enum::text_enum;

text_enum! {
    /// How much breaks.
    Faults {
        /// Nothing.
        None = "none",
        /// One thing at a time, with time to recover.
        Light = "light",
        /// One thing after the other, some of them at once.
        Heavy = "heavy",
    }
}

/// How often, in a thousand hand-overs, a provider misbehaves all along.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Climate {
    /// It takes the message and cuts the connection instead of saying so.
    pub reply_lost: u64,
    /// It cuts the connection with the message in hand, and has not taken it.
    pub cut_before: u64,
    /// It takes the message and answers with an error (HTTP 500; SMTP cuts).
    pub error_after: u64,
    /// It says "later", without a word of why (HTTP 425; SMTP 451).
    pub later: u64,
    /// It refuses the recipient finally.
    pub rejected: u64,
}

impl Climate {
    pub(super) fn of(faults: Faults) -> Self {
        match faults {
            Faults::None => Self::default(),
            Faults::Light => Self { reply_lost: 2, cut_before: 1, error_after: 1, later: 1, rejected: 2 },
            Faults::Heavy => Self { reply_lost: 5, cut_before: 3, error_after: 3, later: 2, rejected: 5 },
        }
    }
}

/// The demands of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Demands {
    /// The least share of a provider's recipients that is sent, in a thousand.
    pub sent_per_thousand: u64,
}

impl Demands {
    /// What is demanded while so much breaks.
    #[must_use]
    pub fn of(faults: Faults) -> Self {
        let sent_per_thousand = match faults {
            Faults::None => 1_000,
            Faults::Light => 950,
            Faults::Heavy => 900,
        };
        Self { sent_per_thousand }
    }
}
