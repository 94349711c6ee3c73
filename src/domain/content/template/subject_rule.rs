//! Which channels ask for a subject.

use crate::domain::channel::ChannelKind;

/// Whether a message needs a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SubjectRule {
    /// It may be empty.
    #[default]
    Optional,
    /// A blank one is a [`RenderError::SubjectBlank`](super::RenderError::SubjectBlank).
    Required,
}

impl SubjectRule {
    /// What a channel asks for: only e-mail cannot do without a subject.
    #[must_use]
    pub fn of(channel: ChannelKind) -> Self {
        match channel {
            ChannelKind::Email => Self::Required,
            ChannelKind::Sms | ChannelKind::Whatsapp | ChannelKind::Http => Self::Optional,
        }
    }
}
