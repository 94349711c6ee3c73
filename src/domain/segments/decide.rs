//! Whether criteria take a contact, and until when time alone leaves the answer as it is.

use super::criteria::Criteria;
pub use super::decision::Decision;
use super::decision::and;
use super::question::Facts;
use super::tree::{Clause, Node};
use crate::domain::instant::UtcInstant;

/// Whether criteria take the contact at `now`. A contact that is deleted is never taken.
#[must_use]
pub fn decide(criteria: &Criteria, facts: &Facts, now: UtcInstant) -> Decision {
    if !facts.living {
        return Decision::NO;
    }
    walk(criteria.root(), facts, now, &mut |_, _, _: Vec<()>| ()).0
}

/// Walks a tree from its leaves up. `see` is told each node, its answer, and what it made of the node's children: `decide` makes
/// nothing of them, an explanation keeps them.
pub(super) fn walk<'a, T>(
    node: &'a Node,
    facts: &Facts,
    now: UtcInstant,
    see: &mut impl FnMut(&'a Node, Decision, Vec<T>) -> T,
) -> (Decision, T) {
    let mut children = Vec::new();
    let mut each = |node: &'a Node, see: &mut _| {
        let (decision, seen) = walk(node, facts, now, see);
        children.push(seen);
        decision
    };
    let decision = match node {
        Node::All(nodes) => nodes.iter().fold(Decision::fixed(true), |so_far, node| and(so_far, each(node, see))),
        // One of several holds unless none does.
        Node::Any(nodes) => {
            nodes.iter().fold(Decision::fixed(true), |so_far, node| and(so_far, each(node, see).not())).not()
        }
        Node::Not(node) => each(node, see).not(),
        Node::Leaf(clause) => leaf(clause, facts, now),
    };
    (decision, see(node, decision, children))
}

fn leaf(clause: &Clause, facts: &Facts, now: UtcInstant) -> Decision {
    match clause {
        Clause::Attribute { path, comparison } => comparison.decide(facts.attribute(path), now),
        Clause::Field { field, comparison } => comparison.decide(facts.value_of(*field).as_ref(), now),
        Clause::Event(clause) => clause.decide(|nth| facts.event(&clause.kind, nth), now),
        Clause::List { list, standing } => Decision::fixed(facts.lists.get(list) == Some(standing)),
        Clause::Tag(tag) => Decision::fixed(facts.tags.contains(tag)),
        Clause::Segment(segment) => Decision::fixed(facts.segments.contains(segment)),
        Clause::Reachable(address) => Decision::fixed(facts.fields.get(address.field()).is_some()),
        Clause::Share(share) => Decision::fixed(share.takes(facts.contact)),
    }
}

/// The answer without looking at events, where they cannot change it: most contacts of a large base are decided by their own row,
/// lists and tags. `None`: events decide. A timer may be earlier than that of [`decide`], never later.
#[must_use]
pub fn glance(criteria: &Criteria, facts: &Facts, now: UtcInstant) -> Option<Decision> {
    if facts.living { look(criteria.root(), facts, now) } else { Some(Decision::NO) }
}

fn look(node: &Node, facts: &Facts, now: UtcInstant) -> Option<Decision> {
    let not = |decision: Option<Decision>| decision.map(Decision::not);
    let start = Some(Decision::fixed(true));
    match node {
        Node::All(nodes) => nodes.iter().fold(start, |so_far, node| and_open(so_far, look(node, facts, now))),
        Node::Any(nodes) => not(nodes.iter().fold(start, |so_far, node| and_open(so_far, not(look(node, facts, now))))),
        Node::Not(node) => not(look(node, facts, now)),
        Node::Leaf(Clause::Event(_)) => None,
        Node::Leaf(clause) => Some(leaf(clause, facts, now)),
    }
}

/// Both, where one may be open. One that does not hold decides alone.
fn and_open(one: Option<Decision>, other: Option<Decision>) -> Option<Decision> {
    match (one, other) {
        (Some(one), Some(other)) => Some(and(one, other)),
        (Some(known), None) | (None, Some(known)) => Some(known).filter(|known| !known.matches),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests;
