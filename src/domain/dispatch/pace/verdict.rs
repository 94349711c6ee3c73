//! What unclear refusals were found to be about.

use serde::{Deserialize, Serialize};

use super::Seconds;

/// Whose trouble an unclear refusal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The provider's, as a whole.
    Relay,
    /// The recipient's domain's.
    Domain,
    /// The recipient's.
    Recipient,
    /// There is nobody to compare with.
    Undecided,
}

/// An answer that was found to be about the provider as a whole, or marked by an operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Which answer.
    pub signature: String,
    /// Whether it is about the provider; else about its recipient.
    pub relay: bool,
    /// Until when it holds; `None`: until an operator takes it back.
    pub until: Option<Seconds>,
    /// The share of the others that was refused when it was found.
    pub share: f64,
    /// How many others there were.
    pub sample: u32,
}

/// A domain that is throttled alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DomainWait {
    /// Which, as `bin_of` says.
    pub bin: u8,
    /// Until when nothing is handed over to it.
    pub until: Seconds,
    /// What the provider said.
    pub detail: String,
}
