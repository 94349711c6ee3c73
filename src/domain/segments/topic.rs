//! What a change of a contact is about, and which criteria it concerns.

use std::fmt;

use super::field::ContactField;
use crate::domain::ids::{ListId, SegmentId};

/// What a change is about. Stored as its text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// An event of this name: `e:NAME`.
    Event(String),
    /// An attribute, by its outermost name: `a:KEY`.
    Attribute(String),
    /// A built-in field: `f:FIELD`.
    Field(ContactField),
    /// The standing on a list: `l:ID`.
    List(ListId),
    /// A tag, by its name: `t:NAME`.
    Tag(String),
    /// The membership of a segment: `s:ID`.
    Segment(SegmentId),
    /// The contact is new: `new`. It concerns all criteria.
    New,
    /// Anything: `*`. It concerns all criteria.
    Any,
}

impl Topic {
    /// Reads a stored topic. `None`: a newer version wrote it. It is to be taken as [`Topic::Any`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "new" => return Some(Self::New),
            "*" => return Some(Self::Any),
            _ => {}
        }
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "e" => Some(Self::Event(rest.to_owned())),
            "a" => Some(Self::Attribute(rest.to_owned())),
            "f" => ContactField::from_name(rest).map(Self::Field),
            "l" => rest.parse().ok().map(|id| Self::List(ListId(id))),
            "t" => Some(Self::Tag(rest.to_owned())),
            "s" => rest.parse().ok().map(|id| Self::Segment(SegmentId(id))),
            _ => None,
        }
    }

    /// Whether it concerns all criteria, whatever they ask.
    #[must_use]
    pub const fn concerns_all(&self) -> bool {
        matches!(self, Self::New | Self::Any)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(name) => write!(f, "e:{name}"),
            Self::Attribute(name) => write!(f, "a:{name}"),
            Self::Field(field) => write!(f, "f:{}", field.as_str()),
            Self::List(id) => write!(f, "l:{id}"),
            Self::Tag(name) => write!(f, "t:{name}"),
            Self::Segment(id) => write!(f, "s:{id}"),
            Self::New => f.write_str("new"),
            Self::Any => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::people::contact::BuiltIn;

    #[test]
    fn a_topic_is_read_as_it_was_written() {
        for (topic, text) in [
            (Topic::Event("cart:added".to_owned()), "e:cart:added"),
            (Topic::Attribute("plan".to_owned()), "a:plan"),
            (Topic::Field(ContactField::BuiltIn(BuiltIn::Email)), "f:email"),
            (Topic::List(ListId(3)), "l:3"),
            (Topic::Tag("a:b".to_owned()), "t:a:b"),
            (Topic::Segment(SegmentId(4)), "s:4"),
            (Topic::New, "new"),
            (Topic::Any, "*"),
        ] {
            assert_eq!(topic.to_string(), text);
            assert_eq!(Topic::parse(text), Some(topic));
        }
        for text in ["", "x:1", "l:x", "f:nothing", "news"] {
            assert_eq!(Topic::parse(text), None, "{text}");
        }
    }
}
