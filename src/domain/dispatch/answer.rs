//! What a provider's refusal is about.

use std::time::Duration;

use crate::domain::outcome::Trouble;
use crate::domain::text_enum::text_enum;

text_enum! {
    /// Whose trouble a provider's answer speaks of. It decides what follows: a recipient's trouble counts an attempt, a
    /// relay's trouble slows the pool down and costs nobody an attempt.
    AnswerClass {
        /// This recipient: the address, the mailbox, or the domain behind it.
        Recipient = "recipient",
        /// This message's content.
        Content = "content",
        /// A policy of the provider or of the receiving side, about sender and content together.
        Policy = "policy",
        /// The sender address, domain or account.
        Sender = "sender",
        /// The relay as a whole: too many messages in a span of time.
        RelayRate = "relay_rate",
        /// The relay as a whole: too many connections or calls at once.
        RelayConnections = "relay_connections",
        /// The relay as a whole: a quota is used up, or the account is suspended.
        RelayQuota = "relay_quota",
        /// The relay as a whole: credentials are missing, wrong or not sufficient.
        RelayAuth = "relay_auth",
        /// The relay as a whole: it cannot be reached, or cannot work now.
        RelayOutage = "relay_outage",
        /// The answer does not say whose trouble it is. How others fare in the same seconds decides.
        Unsure = "unsure",
    }
}

impl AnswerClass {
    /// Whether the answer is about the relay as a whole, for sure.
    #[must_use]
    pub fn is_relay(self) -> bool {
        match self {
            Self::RelayRate | Self::RelayConnections | Self::RelayQuota | Self::RelayAuth | Self::RelayOutage => true,
            Self::Recipient | Self::Content | Self::Policy | Self::Sender | Self::Unsure => false,
        }
    }
}

/// A provider's clear no: the message was certainly not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Whose trouble it is.
    pub class: AnswerClass,
    /// Whether the same message to the same recipient will be refused again.
    pub permanent: bool,
    /// How long the provider asked to be left alone, where it named a time.
    pub wait: Option<Duration>,
    /// The same for all answers that mean the same: code, enhanced code and words without digits and addresses.
    pub signature: String,
    /// The answer in words that are safe to store.
    pub trouble: Trouble,
}
