//! Criteria: a tree of clauses.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

pub use super::field::{AddressKind, ContactField};
use super::topic::Topic;
pub use super::tree::{Clause, MAX_CLAUSES, MAX_DEPTH, Node};
use super::{read, sentence};
use crate::domain::ids::{ListId, SegmentId};
use crate::domain::people::contact::FieldError;

/// A rule that takes some contacts and no others. In JSON as it was given, with the ids of lists and segments in place of their
/// slugs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Criteria {
    root: Node,
    given: Value,
}

impl Criteria {
    /// Reads criteria in which lists and segments stand by their ids (see [`super::names`]).
    ///
    /// # Errors
    /// [`FieldError`] whose field is the JSON pointer to the error, with the code `criteria_invalid`, or
    /// - `criteria_too_deep`: more than [`MAX_DEPTH`] levels,
    /// - `criteria_too_long`: more than [`MAX_CLAUSES`] clauses,
    /// - `criteria_everybody`: every clause holds of a contact of which nothing is known, and `everyone` does not say that this is
    ///   meant.
    pub fn read(given: Value) -> Result<Self, FieldError> {
        Ok(Self { root: read::tree(&given, read::Limits::TODAY)?, given })
    }

    /// The tree.
    #[must_use]
    pub const fn root(&self) -> &Node {
        &self.root
    }

    /// As they were given.
    #[must_use]
    pub const fn given(&self) -> &Value {
        &self.given
    }

    /// As a sentence for people: `attribute plan is "pro" and tag "vip"`.
    #[must_use]
    pub fn sentence(&self) -> String {
        sentence::of(&self.root)
    }

    /// The clauses, from left to right.
    pub fn clauses(&self) -> impl Iterator<Item = &Clause> {
        self.root.clauses().into_iter()
    }

    /// Whether passing of time alone can change the answer.
    #[must_use]
    pub fn depends_on_time(&self) -> bool {
        self.clauses().any(Clause::depends_on_time)
    }

    /// The segments that are asked for.
    #[must_use]
    pub fn segments(&self) -> BTreeSet<SegmentId> {
        self.clauses()
            .filter_map(|clause| if let Clause::Segment(segment) = clause { Some(*segment) } else { None })
            .collect()
    }

    /// The lists that are asked for.
    #[must_use]
    pub fn lists(&self) -> BTreeSet<ListId> {
        let list = |clause: &Clause| match clause {
            Clause::List { list, .. } => Some(*list),
            Clause::Event(clause) => clause.kind.to_list,
            Clause::Attribute { .. }
            | Clause::Field { .. }
            | Clause::Tag(_)
            | Clause::Segment(_)
            | Clause::Reachable(_)
            | Clause::Share(_) => None,
        };
        self.clauses().filter_map(list).collect()
    }

    /// What a change must be about to concern these criteria. [`Topic::New`] and [`Topic::Any`] concern all criteria, and are not
    /// among them.
    #[must_use]
    pub fn topics(&self) -> BTreeSet<Topic> {
        self.clauses().filter_map(Clause::topic).collect()
    }
}

impl Serialize for Criteria {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.given.serialize(serializer)
    }
}

/// Criteria as they are stored: a version with other limits may have accepted them. What comes from clients is for
/// [`Criteria::read`].
impl<'de> Deserialize<'de> for Criteria {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = Value::deserialize(deserializer)?;
        let root = read::tree(&given, read::Limits::NONE).map_err(serde::de::Error::custom)?;
        Ok(Self { root, given })
    }
}
