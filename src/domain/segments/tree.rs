//! The tree of criteria: nodes, and clauses at their ends.

use super::comparison::Comparison;
use super::event_clause::EventClause;
use super::field::{AddressKind, ContactField};
use super::share::Share;
use super::topic::Topic;
use crate::domain::ids::{ListId, SegmentId};
use crate::domain::people::standing::Standing;

/// The deepest nesting of `all`, `any` and `not`.
pub const MAX_DEPTH: usize = 10;

/// The most clauses.
pub const MAX_CLAUSES: usize = 100;

/// A node of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// All of these hold. Where there is none, everybody is taken.
    All(Vec<Node>),
    /// One of these holds, or several do. There is at least one.
    Any(Vec<Node>),
    /// This one does not hold.
    Not(Box<Node>),
    /// One clause.
    Leaf(Clause),
}

/// One thing that is asked of a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clause {
    /// A value of an attribute.
    Attribute {
        /// Its name, and the names inside it from the outermost inwards.
        path: Vec<String>,
        /// What holds of it.
        comparison: Comparison,
    },
    /// A value of a field.
    Field {
        /// Which field.
        field: ContactField,
        /// What holds of it.
        comparison: Comparison,
    },
    /// What it did, or what happened to it.
    Event(EventClause),
    /// How it stands on a list.
    List {
        /// Which list.
        list: ListId,
        /// So.
        standing: Standing,
    },
    /// It has this tag.
    Tag(String),
    /// It is a member of this segment.
    Segment(SegmentId),
    /// It has an address of this kind. Whether it may be written to is asked when a message is claimed.
    Reachable(AddressKind),
    /// It is in this random share.
    Share(Share),
}

impl Node {
    pub(super) fn clauses(&self) -> Vec<&Clause> {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().flat_map(Self::clauses).collect(),
            Self::Not(node) => node.clauses(),
            Self::Leaf(clause) => vec![clause],
        }
    }

    /// Whether a clause says more than that something is not known of the contact: it holds only of a contact of which something
    /// is known, or only for a time.
    pub(super) fn narrows(&self, negated: bool) -> bool {
        match self {
            // Where one of several is enough, each of them has to.
            Self::Any(nodes) if !negated => nodes.iter().all(|node| node.narrows(negated)),
            Self::All(nodes) if negated => nodes.iter().all(|node| node.narrows(negated)),
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().any(|node| node.narrows(negated)),
            Self::Not(node) => node.narrows(!negated),
            Self::Leaf(clause) => clause.takes_nothing_known() == negated || clause.has_window(),
        }
    }
}

impl Clause {
    /// Whether it holds of a contact of which nothing is known.
    fn takes_nothing_known(&self) -> bool {
        match self {
            Self::Attribute { comparison, .. } | Self::Field { comparison, .. } => comparison.takes_missing(),
            Self::Event(clause) => clause.takes_none(),
            Self::Share(share) => share.is_everybody(),
            Self::List { .. } | Self::Tag(_) | Self::Segment(_) | Self::Reachable(_) => false,
        }
    }

    fn has_window(&self) -> bool {
        matches!(self, Self::Event(clause) if clause.within.is_some())
    }

    pub(super) fn depends_on_time(&self) -> bool {
        match self {
            Self::Attribute { comparison, .. } | Self::Field { comparison, .. } => comparison.depends_on_time(),
            Self::Event(clause) => clause.within.is_some(),
            Self::List { .. } | Self::Tag(_) | Self::Segment(_) | Self::Reachable(_) | Self::Share(_) => false,
        }
    }

    pub(super) fn topic(&self) -> Option<Topic> {
        Some(match self {
            Self::Attribute { path, .. } => Topic::Attribute(path.first()?.clone()),
            Self::Field { field, .. } => Topic::Field(*field),
            Self::Event(clause) => Topic::Event(clause.kind.name.clone()),
            Self::List { list, .. } => Topic::List(*list),
            Self::Tag(tag) => Topic::Tag(tag.clone()),
            Self::Segment(segment) => Topic::Segment(*segment),
            Self::Reachable(address) => Topic::Field(ContactField::BuiltIn(address.field())),
            // A contact's place in it never changes.
            Self::Share(_) => return None,
        })
    }
}
