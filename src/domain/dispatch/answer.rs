//! What a provider's refusal is about.

use std::time::Duration;

use crate::domain::dispatch::trouble::Trouble;
use crate::domain::text_enum::text_enum;

text_enum! {
    /// Whose trouble a provider's answer speaks of. It decides what follows: a recipient's trouble counts an attempt, a
    /// relay's trouble slows the pool down and costs nobody an attempt.
    AnswerClass {
        /// This recipient's address: there is no such mailbox, number or domain. Always permanent.
        Address = "address",
        /// This recipient: the mailbox, or the domain behind it, as it is now.
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
            Self::Address | Self::Recipient | Self::Content | Self::Policy | Self::Sender | Self::Unsure => false,
        }
    }

    /// Whether the answer is about this recipient alone, for sure.
    #[must_use]
    pub fn is_recipients(self) -> bool {
        matches!(self, Self::Address | Self::Recipient)
    }

    /// The class of an answer that is `permanent` or not: an address that is refused for now may exist.
    #[must_use]
    pub fn when(self, permanent: bool) -> Self {
        if self == Self::Address && !permanent { Self::Recipient } else { self }
    }
}

/// A provider's clear no, or no provider: the message was certainly not accepted.
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

impl Refusal {
    /// The relay was not reached, or not far enough to ask it for anything.
    #[must_use]
    pub fn unreachable(trouble: Trouble) -> Self {
        let signature = signature(0, None, &trouble.detail);
        Self { class: AnswerClass::RelayOutage, permanent: false, wait: None, signature, trouble }
    }
}

/// What all answers that mean the same have in common: `code`, the enhanced code and `words`, without digits and without
/// addresses. At most [`MAX_SIGNATURE`] characters.
#[must_use]
pub fn signature(code: u16, enhanced: Option<[u16; 3]>, words: &str) -> String {
    use std::fmt::Write as _;
    let mut signature = code.to_string();
    if let Some([class, subject, detail]) = enhanced {
        let _ = write!(signature, " {class}.{subject}.{detail}");
    }
    let same = |word: &&str| !word.contains(['@', '<']) && !word.contains(|c: char| c.is_ascii_digit());
    for word in words.split_whitespace().filter(same) {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        if !word.is_empty() {
            signature.push(' ');
            signature.push_str(&word.to_lowercase());
        }
    }
    signature.chars().take(MAX_SIGNATURE).collect()
}

/// The longest signature, in characters.
pub const MAX_SIGNATURE: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_differ_in_addresses_and_numbers_have_one_signature() {
        let one = signature(550, Some([5, 7, 1]), "Relaying denied for <bob@example.com> (id 4XyZ1, 10.0.0.1)");
        let other = signature(550, Some([5, 7, 1]), "relaying denied  for <eve@example.org> (id 9AbC7, 10.0.0.2).");
        assert_eq!(one, other);
        assert_eq!(one, "550 5.7.1 relaying denied for id");
        assert_ne!(one, signature(554, Some([5, 7, 1]), "relaying denied for id"));
        assert_eq!(signature(404, None, ""), "404");
        assert_eq!(signature(550, None, &"long ".repeat(100)).chars().count(), MAX_SIGNATURE);
    }
}
