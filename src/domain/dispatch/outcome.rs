//! What a provider call came to.

use std::time::Duration;

use super::answer::Refusal;
use super::trouble::Trouble;

/// The result of one attempt to hand a delivery over. RELIABILITY: only `Accepted`, `Refused` and
/// `Unsendable` are knowledge; `Unknown` and `KeySeen` are the honest names of the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The provider took responsibility.
    Accepted {
        /// The provider's own id of the message, when its answer carried one.
        provider_id: Option<String>,
    },
    /// Certainly not accepted: the provider said no, or could not be reached. Whose trouble it is stands in the refusal.
    Refused(Refusal),
    /// Certainly not accepted, and the provider was not asked: the message cannot be made, or not be sent to this address.
    Unsendable(Trouble),
    /// Handed over, no clear answer. The provider may or may not have accepted it.
    Unknown(Trouble),
    /// The provider has seen this delivery's key: an earlier request under it is at work there, or was taken. As unclear as
    /// [`Outcome::Unknown`], but an answer.
    KeySeen {
        /// What the provider said.
        trouble: Trouble,
        /// How long until it is worth asking again under the same key.
        retry_after: Option<Duration>,
    },
    /// The gate stayed shut: not one byte of the hand-over left.
    NotBegun(NotBegun),
}

impl Outcome {
    /// Its name in metrics and in the API.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Refused(refusal) if refusal.class.is_relay() => "pool_fault",
            Self::Refused(Refusal { permanent: false, .. }) => "deferred",
            Self::Refused(_) | Self::Unsendable(_) => "rejected",
            Self::Unknown(_) | Self::KeySeen { .. } => "unknown",
            Self::NotBegun(_) => "not_begun",
        }
    }

    /// What went wrong, where something did.
    #[must_use]
    pub fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::Refused(Refusal { trouble, .. })
            | Self::Unsendable(trouble)
            | Self::Unknown(trouble)
            | Self::KeySeen { trouble, .. } => Some(trouble),
            Self::Accepted { .. } | Self::NotBegun(_) => None,
        }
    }
}

/// Why a hand-over was not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotBegun {
    /// The campaign was paused.
    #[error("campaign paused")]
    Paused,
    /// The campaign was stopped (or ended otherwise).
    #[error("campaign stopped")]
    Stopped,
    /// Too long ago since the claim was asked for.
    #[error("start deadline passed")]
    Late,
    /// The provider turned out to be out of order, or asked for quiet, while this one waited for its turn.
    #[error("provider held back")]
    Halted,
    /// The lease can no longer be trusted.
    #[error("lease lost")]
    Fenced,
    /// The journal could not be written.
    #[error("journal unavailable")]
    JournalUnavailable,
    /// The process is draining.
    #[error("shutting down")]
    ShuttingDown,
}
