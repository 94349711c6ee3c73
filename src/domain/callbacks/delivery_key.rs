//! The key of a delivery, as providers give it back.

use crate::domain::ids::ContactId;

/// The key that a message went out with: `<campaign key>:<contact id>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeliveryKey {
    /// The key of the campaign.
    pub campaign: String,
    /// The recipient.
    pub contact: ContactId,
}

impl DeliveryKey {
    /// The key of a campaign's message to a contact, as it goes with the message.
    #[must_use]
    pub fn text(campaign: &str, contact: ContactId) -> String {
        format!("{campaign}:{contact}")
    }

    /// Reads a key, or the `Message-ID` that Volley made of one. There, and where a provider takes no colon, a hyphen stands in its
    /// place. `None`: it is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('<').split(['@', '>']).next()?;
        let (campaign, contact) = text.rsplit_once([':', '-'])?;
        let is_campaign =
            (1..=64).contains(&campaign.len()) && campaign.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_contact = !contact.is_empty() && contact.bytes().all(|byte| byte.is_ascii_digit());
        let contact = contact.parse().ok().filter(|id| is_contact && *id > 0)?;
        is_campaign.then(|| Self { campaign: campaign.to_owned(), contact: ContactId(contact) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_each_of_its_spellings() {
        let key = DeliveryKey { campaign: "0123456789abcdef01234567".to_owned(), contact: ContactId(42) };
        for text in [
            "0123456789abcdef01234567:42",
            " 0123456789abcdef01234567-42 ",
            "<0123456789abcdef01234567-42@example.com>",
            "0123456789abcdef01234567-42@example.com",
        ] {
            assert_eq!(DeliveryKey::parse(text).as_ref(), Some(&key), "{text}");
        }
    }

    #[test]
    fn what_is_no_key_is_none() {
        let long = format!("{}:1", "a".repeat(65));
        for text in
            ["", ":", "a:", ":1", "a:0", "a:-1", "a:+1", "a:x", "a b:1", "a:9223372036854775808", "<a@b>", &long]
        {
            assert_eq!(DeliveryKey::parse(text), None, "{text}");
        }
    }
}
