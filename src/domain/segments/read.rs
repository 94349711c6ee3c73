//! Reads criteria from JSON.

use serde_json::Value;

use super::place::Place;
use super::read_clause;
use super::tree::{MAX_CLAUSES, MAX_DEPTH, Node};
use crate::domain::people::contact::FieldError;
use crate::domain::shown::shown;

/// The form of a node.
const FORM: &str = "must be an object with exactly one of all, any, not, attribute, field, event, message, list, tag, segment, \
                    reachable, random";

/// Beside the root's own key: everybody may be taken.
const EVERYONE: &str = "everyone";

/// How large a tree may be.
pub(super) struct Limits {
    depth: usize,
    /// How many clauses are left.
    clauses: usize,
    /// Whether it must be said that nearly everybody is meant.
    is_to_narrow: bool,
}

impl Limits {
    /// Of criteria that come from a client.
    pub(super) const TODAY: Self = Self { depth: MAX_DEPTH, clauses: MAX_CLAUSES, is_to_narrow: true };

    /// Of stored ones: a version with other limits has accepted them. JSON is never read deeper than 128 levels.
    pub(super) const NONE: Self = Self { depth: usize::MAX, clauses: usize::MAX, is_to_narrow: false };
}

/// Reads the whole tree.
pub(super) fn tree(given: &Value, mut limits: Limits) -> Result<Node, FieldError> {
    let root = Place::root();
    let Value::Object(entries) = given else { return Err(root.wrong(FORM)) };
    let everyone = match entries.get(EVERYONE) {
        None => false,
        Some(Value::Bool(true)) => true,
        Some(_) => return Err(root.inner(EVERYONE).wrong("must be true, or be left out")),
    };
    let rest = entries.iter().filter(|(key, _)| *key != EVERYONE).collect::<Vec<_>>();
    if everyone && rest.is_empty() {
        return Ok(Node::All(Vec::new()));
    }
    let node = entry(&rest, &root, 0, &mut limits)?;
    if limits.is_to_narrow && !everyone && !node.narrows(false) {
        let reason = "takes everybody but a few: no clause asks for something that is known of a contact, or that is so for a time. \
                      If that is meant, say everyone: true beside it";
        return Err(FieldError::new(root.pointer(), "criteria_everybody", reason));
    }
    Ok(node)
}

fn node(given: &Value, place: &Place, depth: usize, limits: &mut Limits) -> Result<Node, FieldError> {
    let Value::Object(entries) = given else { return Err(place.wrong(FORM)) };
    entry(&entries.iter().collect::<Vec<_>>(), place, depth, limits)
}

fn entry(entries: &[(&String, &Value)], place: &Place, depth: usize, limits: &mut Limits) -> Result<Node, FieldError> {
    let [(kind, given)] = entries else { return Err(place.wrong(FORM)) };
    let inside = place.inner(kind);
    if !matches!(kind.as_str(), "all" | "any" | "not") {
        limits.clauses = limits.clauses.checked_sub(1).ok_or_else(|| {
            FieldError::new(inside.pointer(), "criteria_too_long", format!("has more than {MAX_CLAUSES} clauses"))
        })?;
        let clause = read_clause::clause(kind, given, &inside)?;
        return clause
            .map(Node::Leaf)
            .ok_or_else(|| place.wrong(format!("has the unknown key {}: {FORM}", shown(kind))));
    }
    if depth == limits.depth {
        let reason = format!("has more than {MAX_DEPTH} levels of all, any and not");
        return Err(FieldError::new(inside.pointer(), "criteria_too_deep", reason));
    }
    if *kind == "not" {
        return Ok(Node::Not(Box::new(node(given, &inside, depth + 1, limits)?)));
    }
    let Some(items) = given.as_array().filter(|items| !items.is_empty()) else {
        return Err(inside.wrong("must be a list with at least one entry"));
    };
    let read = |(number, item)| node(item, &inside.inner(&format!("{number}")), depth + 1, limits);
    let nodes = items.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(if *kind == "all" { Node::All(nodes) } else { Node::Any(nodes) })
}

#[cfg(test)]
mod tests;
