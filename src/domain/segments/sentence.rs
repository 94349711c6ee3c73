//! Criteria as a sentence for people.

use super::comparison::{Case, Comparison, Scalar, Test};
use super::event_clause::{Condition, Engagement, EngagementKind, EventClause, Quantity};
use super::field::AddressKind;
use super::tree::{Clause, Node};
use crate::domain::span::Span;

/// A node as a sentence.
pub(super) fn of(node: &Node) -> String {
    match node {
        Node::All(nodes) if nodes.is_empty() => "everybody".to_owned(),
        Node::All(nodes) => joined(nodes, " and "),
        Node::Any(nodes) => joined(nodes, " or "),
        Node::Not(node) => format!("not ({})", of(node)),
        Node::Leaf(clause) => clause_sentence(clause),
    }
}

fn joined(nodes: &[Node], word: &str) -> String {
    let part = |node: &Node| match node {
        Node::All(inner) | Node::Any(inner) if inner.len() > 1 => format!("({})", of(node)),
        Node::All(_) | Node::Any(_) | Node::Not(_) | Node::Leaf(_) => of(node),
    };
    nodes.iter().map(part).collect::<Vec<_>>().join(word)
}

/// One clause as a sentence.
pub(super) fn clause_sentence(clause: &Clause) -> String {
    match clause {
        Clause::Attribute { path, comparison } => format!("attribute {} {}", path.join("."), compared(comparison)),
        Clause::Field { field, comparison } => format!("{} {}", field.as_str(), compared(comparison)),
        Clause::Event(clause) => happened(clause),
        Clause::List { list, standing } => format!("{standing} on list {list}"),
        Clause::Tag(tag) => format!("has tag {tag:?}"),
        Clause::Segment(segment) => format!("in segment {segment}"),
        Clause::Reachable(AddressKind::Email) => "has an email address".to_owned(),
        Clause::Reachable(AddressKind::Phone) => "has a phone number".to_owned(),
        Clause::Share(share) => {
            let percent = |hundredths: u32| f64::from(hundredths) / 100.0;
            let size = percent(share.until.saturating_sub(share.from));
            let from = if share.from == 0 { String::new() } else { format!(", from {} % on", percent(share.from)) };
            format!("in a random share of {size} %{from} (salt {:?})", share.salt)
        }
    }
}

fn compared(comparison: &Comparison) -> String {
    let said = match &comparison.test {
        Test::Exists => "is known".to_owned(),
        Test::NotExists => "is not known".to_owned(),
        Test::Equals(value) => format!("is {}", scalar(value)),
        Test::Differs(value) => format!("is not {}", scalar(value)),
        Test::In(values) => format!("is one of {}", values.iter().map(scalar).collect::<Vec<_>>().join(", ")),
        Test::Above(number) => format!("is above {}", number.get()),
        Test::AtLeast(number) => format!("is at least {}", number.get()),
        Test::Below(number) => format!("is below {}", number.get()),
        Test::AtMost(number) => format!("is at most {}", number.get()),
        Test::Contains(value) => format!("contains {}", scalar(value)),
        Test::StartsWith(text) => format!("begins with {text:?}"),
        Test::EndsWith(text) => format!("ends with {text:?}"),
        Test::Before(moment) => format!("is before {moment}"),
        Test::After(moment) => format!("is after {moment}"),
        Test::Past => "is in the past".to_owned(),
        Test::Future => "is in the future".to_owned(),
        Test::WithinLast(span) => format!("is in the last {}", length(*span)),
        Test::WithinNext(span) => format!("is in the next {}", length(*span)),
    };
    match comparison.case {
        Case::Exact => said,
        Case::Ignored => format!("{said} in upper or lower case"),
    }
}

fn scalar(value: &Scalar) -> String {
    match value {
        Scalar::Text(text) => format!("{text:?}"),
        Scalar::Number(number) => number.get().to_string(),
        Scalar::Bool(is_true) => is_true.to_string(),
    }
}

fn happened(clause: &EventClause) -> String {
    let what = match &clause.engagement {
        Some(engagement) => engaged(engagement, clause),
        None => format!("event {}{}", clause.kind.name, such(&clause.kind.conditions)),
    };
    let often = match clause.quantity {
        Quantity::AtLeast(1) => String::new(),
        Quantity::AtLeast(n) => format!(" at least {n} times"),
        Quantity::FewerThan(1) => " never".to_owned(),
        Quantity::FewerThan(n) => format!(" fewer than {n} times"),
        Quantity::Exactly(1) => " exactly once".to_owned(),
        Quantity::Exactly(n) => format!(" exactly {n} times"),
    };
    let within = clause.within.map_or_else(String::new, |span| format!(" in the last {}", length(span)));
    format!("{what}{often}{within}")
}

fn engaged(engagement: &Engagement, clause: &EventClause) -> String {
    let what = match engagement.kind {
        EngagementKind::Opened => "opened a message",
        EngagementKind::Clicked => "clicked in a message",
        EngagementKind::SoftBounced => "had a soft bounce of a message",
        EngagementKind::HardBounced => "had a hard bounce of a message",
        EngagementKind::Complained => "complained of a message",
        EngagementKind::Replied => "replied to a message",
        EngagementKind::Unsubscribed => "unsubscribed in a message",
    };
    let link = engagement.link.map_or_else(String::new, |link| format!(", link {link},"));
    let which = match (engagement.campaign, clause.kind.to_list) {
        (Some(campaign), _) => format!(" of campaign {campaign}"),
        (None, Some(list)) => format!(" of a campaign to list {list}"),
        (None, None) => String::new(),
    };
    let machines = if engagement.machines { " (by people or machines)" } else { "" };
    format!("{what}{link}{which}{machines}")
}

fn such(conditions: &[Condition]) -> String {
    if conditions.is_empty() {
        return String::new();
    }
    let each = |condition: &Condition| format!("{} {}", condition.path.join("."), compared(&condition.comparison));
    format!(" ({})", conditions.iter().map(each).collect::<Vec<_>>().join(" and "))
}

/// `30 days`, `1 day`; what is no whole number of days as [`Span`] says it.
fn length(span: Span) -> String {
    const DAY_MS: i64 = 86_400_000;
    match (span.as_ms() / DAY_MS, span.as_ms() % DAY_MS) {
        (1, 0) => "day".to_owned(),
        (days, 0) => format!("{days} days"),
        _ => span.to_string(),
    }
}
