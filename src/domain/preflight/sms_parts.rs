//! What the text messages of a campaign take in parts, which is what providers charge.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::content::sms::{SmsAlphabet, SmsLength};

/// The parts of all messages that will be handed over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct SmsParts {
    /// Parts of all messages together.
    pub total: i64,
    /// Parts of the longest message.
    pub longest: i64,
    /// How many messages take more than one part.
    pub in_several: i64,
    /// How many messages have a character outside of GSM 03.38, so that a part holds 70 characters (67 of several) instead of 160
    /// (153).
    pub in_unicode: i64,
}

impl SmsParts {
    /// Adds a message.
    pub fn add(&mut self, text: &str) {
        let SmsLength { alphabet, parts, .. } = SmsLength::of(text);
        let parts = i64::try_from(parts).unwrap_or(i64::MAX);
        self.total = self.total.saturating_add(parts);
        self.longest = self.longest.max(parts);
        self.in_several += i64::from(parts > 1);
        self.in_unicode += i64::from(alphabet == SmsAlphabet::Ucs2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_character_outside_of_the_alphabet_costs_parts() {
        let mut parts = SmsParts::default();
        parts.add(&"a".repeat(160));
        assert_eq!(parts, SmsParts { total: 1, longest: 1, in_several: 0, in_unicode: 0 });
        parts.add(&"a".repeat(161));
        assert_eq!(parts, SmsParts { total: 3, longest: 2, in_several: 1, in_unicode: 0 });
        parts.add(&format!("{}ő", "a".repeat(159)));
        assert_eq!(parts, SmsParts { total: 6, longest: 3, in_several: 2, in_unicode: 1 });
    }
}
