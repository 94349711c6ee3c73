//! Why criteria take a contact, or do not: each clause, what is known of the contact, and the answer.

use serde::Serialize;
use serde_json::{Value, json};

use super::criteria::Criteria;
use super::decide::walk;
use super::decision::Decision;
use super::question::Facts;
use super::sentence;
use super::tree::{Clause, Node};
use crate::domain::instant::UtcInstant;

/// A node of the criteria with its answer for one contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Explained {
    /// `all`, `any`, `not` or `clause`.
    pub kind: &'static str,
    /// The node as a sentence.
    pub sentence: String,
    /// Whether it holds.
    pub holds: bool,
    /// The earliest instant at which passing of time alone may change that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<UtcInstant>,
    /// Of a clause: what is known of the contact, by the names of facts. What is not known is null.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub facts: Value,
    /// The nodes inside it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    pub parts: Vec<Explained>,
}

/// Explains the answer that [`decide`](super::decide::decide) gives, by the same walk. A deleted contact is taken by nothing,
/// whatever its clauses say: look at [`Facts::living`] first.
#[must_use]
pub fn explain(criteria: &Criteria, facts: &Facts, now: UtcInstant) -> Explained {
    let mut see = |node: &Node, decision: Decision, parts: Vec<Explained>| Explained {
        kind: match node {
            Node::All(_) => "all",
            Node::Any(_) => "any",
            Node::Not(_) => "not",
            Node::Leaf(_) => "clause",
        },
        sentence: sentence::of(node),
        holds: decision.matches,
        until: decision.timer,
        facts: if let Node::Leaf(clause) = node { known(clause, facts) } else { Value::Null },
        parts,
    };
    walk(criteria.root(), facts, now, &mut see).1
}

/// What a clause looks at.
fn known(clause: &Clause, facts: &Facts) -> Value {
    match clause {
        Clause::Attribute { path, .. } => json!({ "value": facts.attribute(path) }),
        Clause::Field { field, .. } => json!({ "value": facts.value_of(*field) }),
        Clause::Event(clause) => {
            let newest = |nth| json!({ "nth_newest": nth, "occurred_at": facts.event(&clause.kind, nth) });
            json!({ "events": clause.places().map(newest).collect::<Vec<_>>() })
        }
        Clause::List { list, .. } => json!({ "standing": facts.lists.get(list) }),
        Clause::Tag(tag) => json!({ "has_tag": facts.tags.contains(tag) }),
        Clause::Segment(segment) => json!({ "is_member": facts.segments.contains(segment) }),
        Clause::Reachable(address) => json!({ "has_address": facts.fields.get(address.field()).is_some() }),
        Clause::Share(share) => json!({ "is_in_share": share.takes(facts.contact) }),
    }
}
