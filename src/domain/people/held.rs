//! Why the addresses of a contact are not written to, in words: what an export says, an import reads.

use std::fmt;

use super::consent::{Reason, SaidSuppression};
use crate::domain::channel::ChannelKind;

/// `unsubscribed`, or with its channel: `email:bounced`.
impl fmt::Display for SaidSuppression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(channel) = self.channel {
            write!(f, "{channel}:")?;
        }
        write!(f, "{}", self.reason)
    }
}

/// Reads such a word. `None`: it is none, or a soft bounce, which holds only until a time.
#[must_use]
pub fn read(word: &str) -> Option<SaidSuppression> {
    let (channel, reason) = match word.split_once(':') {
        Some((channel, reason)) => (Some(ChannelKind::from_text(channel)?), reason),
        None => (None, word),
    };
    let reason = Reason::from_text(reason).filter(|reason| *reason != Reason::SoftBounced)?;
    Some(SaidSuppression { reason, channel })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_comes_back_as_it_was() {
        for word in ["unsubscribed", "blocked", "email:bounced", "sms:stopped", "http:complained"] {
            assert_eq!(read(word).unwrap().to_string(), word);
        }
        for word in ["", "email", "fax:bounced", "email:soft_bounced", "email:", "subscribed", "Unsubscribed"] {
            assert_eq!(read(word), None, "{word}");
        }
    }
}
