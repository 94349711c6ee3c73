//! The rule of a segment as nested lists, with the answers for one contact where they are known.

use askama::Template;
use serde_json::Value;

use super::words::When;
use crate::domain::segments::explain::Explained;
use crate::domain::segments::outline::Outline;

/// A node of a rule.
#[derive(Template)]
#[template(path = "ui/branch.html")]
pub(super) struct Branch {
    /// What it says; of a node with others inside it, how these are taken together.
    says: String,
    /// Whether it holds of a contact: a class, and in words. `None`: it is about nobody.
    answer: Option<(&'static str, &'static str)>,
    /// What is known of the contact.
    facts: String,
    /// When passing of time alone may change the answer.
    until: Option<When>,
    parts: Vec<Branch>,
}

/// How the nodes inside one are taken together; a clause says itself.
fn says(kind: &str, sentence: &str, parts: usize) -> String {
    match (kind, parts) {
        ("all", 1..) => "all of these".to_owned(),
        ("any", 1..) => "one of these, or several".to_owned(),
        ("not", 1..) => "not this".to_owned(),
        _ => sentence.to_owned(),
    }
}

impl From<Outline> for Branch {
    fn from(node: Outline) -> Self {
        Self {
            says: says(node.kind, &node.sentence, node.parts.len()),
            answer: None,
            facts: String::new(),
            until: None,
            parts: node.parts.into_iter().map(Self::from).collect(),
        }
    }
}

impl From<Explained> for Branch {
    fn from(node: Explained) -> Self {
        Self {
            says: says(node.kind, &node.sentence, node.parts.len()),
            answer: Some(if node.holds { ("holds", "✓ yes") } else { ("fails", "✗ no") }),
            facts: known(&node.facts),
            until: node.until.map(When::of),
            parts: node.parts.into_iter().map(Self::from).collect(),
        }
    }
}

/// What is known of the contact, in words: `value: "pro"`, `has tag: no`.
fn known(facts: &Value) -> String {
    let Some(facts) = facts.as_object() else { return String::new() };
    facts.iter().map(|(name, value)| fact(name, value)).collect::<Vec<_>>().join(" · ")
}

fn fact(name: &str, value: &Value) -> String {
    if let (true, Some(events)) = (name == "events", value.as_array()) {
        return events.iter().map(event).collect::<Vec<_>>().join(" · ");
    }
    let value = match value {
        Value::Null => "not known".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    format!("{}: {value}", name.replace('_', " "))
}

/// When the so many-th newest event occurred.
fn event(event: &Value) -> String {
    let which = match event["nth_newest"].as_i64() {
        Some(1) => "newest event".to_owned(),
        Some(nth) => format!("newest event but {}", nth - 1),
        None => "event".to_owned(),
    };
    format!("{which}: {}", event["occurred_at"].as_str().unwrap_or("none"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_known_is_said_in_words() {
        assert_eq!(known(&json!({ "value": "pro" })), "value: \"pro\"");
        assert_eq!(known(&json!({ "has_tag": false })), "has tag: no");
        assert_eq!(known(&json!({ "standing": null })), "standing: not known");
        let events = json!([{ "nth_newest": 1, "occurred_at": "2026-03-01T09:00:00Z" }, { "nth_newest": 3, "occurred_at": null }]);
        assert_eq!(
            known(&json!({ "events": events })),
            "newest event: 2026-03-01T09:00:00Z · newest event but 2: none"
        );
        assert_eq!(known(&Value::Null), "");
    }
}
