//! `decide` against a model that looks at a contact's history and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::ids::{ContactId, ListId, SegmentId};
use crate::domain::people::standing::Standing;
use crate::domain::segments::event_clause::EventKind;
use crate::domain::segments::explain::explain;
use crate::domain::segments::moment::Moment;
use crate::domain::segments::question::Question;

/// The last instant, in milliseconds, at which the tests look. Everything happens before half of it.
const END: i64 = 60;

/// All that is known of one contact.
#[derive(Debug, Clone)]
struct Person {
    attributes: BTreeMap<String, Value>,
    events: Vec<(String, Value, i64)>,
    lists: BTreeMap<i64, Standing>,
    tags: BTreeSet<String>,
    segments: BTreeSet<i64>,
    email: Option<String>,
}

impl Person {
    fn facts(&self, criteria: &Criteria) -> Facts {
        let question = Question::of([criteria]);
        let mut facts = Facts::blank(ContactId(7), question.clone());
        let asked = |name: &String| question.attributes.contains(name);
        facts.attributes = self.attributes.clone().into_iter().filter(|(name, _)| asked(name)).collect();
        facts.lists = self.lists.iter().map(|(id, standing)| (ListId(*id), *standing)).collect();
        facts.tags = self.tags.clone();
        facts.segments = self.segments.iter().copied().map(SegmentId).collect();
        facts.fields.email = self.email.clone();
        facts.events = question.events().iter().map(|fact| self.nth(&fact.kind, fact.nth)).collect();
        facts
    }

    fn nth(&self, kind: &EventKind, nth: u32) -> Option<UtcInstant> {
        let mut times: Vec<i64> = self.events.iter().filter(|event| is_of(kind, event)).map(|event| event.2).collect();
        times.sort_unstable_by(|a, b| b.cmp(a));
        times.get(usize::try_from(nth).unwrap() - 1).copied().map(UtcInstant)
    }
}

fn is_of(kind: &EventKind, (name, properties, _): &(String, Value, i64)) -> bool {
    *name == kind.name && kind.conditions.iter().all(|condition| condition.holds(properties))
}

/// The answer from the JSON of the criteria and the whole history: counts events instead of asking for the n-th newest.
fn model(criteria: &Value, person: &Person, now: i64) -> bool {
    let (kind, inner) = criteria.as_object().unwrap().iter().find(|(key, _)| *key != "everyone").unwrap();
    let each = |inner: &Value| -> Vec<bool> {
        inner.as_array().unwrap().iter().map(|node| model(node, person, now)).collect()
    };
    match kind.as_str() {
        "all" => each(inner).into_iter().all(|holds| holds),
        "any" => each(inner).into_iter().any(|holds| holds),
        "not" => !model(inner, person, now),
        "attribute" => attribute(inner, person, now),
        "event" => event(inner, person, now),
        "list" => person.lists.get(&inner["id"].as_i64().unwrap()).map(|s| s.as_str()) == inner["standing"].as_str(),
        "tag" => person.tags.contains(inner.as_str().unwrap()),
        "segment" => person.segments.contains(&inner.as_i64().unwrap()),
        "reachable" => person.email.is_some(),
        other => panic!("the model does not know {other}"),
    }
}

fn attribute(inner: &Value, person: &Person, now: i64) -> bool {
    let value = person.attributes.get(inner["name"].as_str().unwrap()).cloned().unwrap_or(Value::Null);
    let wanted = &inner["value"];
    let number = value.as_f64().zip(wanted.as_f64());
    let moment = value.as_str().and_then(Moment::parse);
    let window = || match wanted.as_str().unwrap().strip_suffix("ms") {
        Some(ms) => ms.parse::<i64>().unwrap(),
        None => panic!("a window of the tests is in milliseconds"),
    };
    match inner["op"].as_str().unwrap() {
        "exists" => !value.is_null(),
        "not_exists" => value.is_null(),
        "eq" => value == *wanted,
        "neq" => value != *wanted,
        "gt" => number.is_some_and(|(a, b)| a > b),
        "lte" => number.is_some_and(|(a, b)| a <= b),
        "in" => wanted.as_array().unwrap().contains(&value),
        "contains" => value.as_str().is_some_and(|text| text.contains(wanted.as_str().unwrap())),
        "before" => moment.is_some_and(|moment| moment.until.0 <= now),
        "after" => moment.is_some_and(|moment| moment.from.0 > now),
        "within_last" => moment.is_some_and(|m| m.from.0 <= now && now < m.from.0 + window()),
        "within_next" => moment.is_some_and(|m| now < m.from.0 && m.from.0 <= now + window()),
        other => panic!("the model does not know {other}"),
    }
}

fn event(inner: &Value, person: &Person, now: i64) -> bool {
    let window = inner["within"].as_str().map(|text| text.strip_suffix("ms").unwrap().parse::<i64>().unwrap());
    let wanted = inner["where"][0]["value"].as_i64();
    let counts = |(name, properties, at): &&(String, Value, i64)| {
        *name == inner["name"].as_str().unwrap()
            && wanted.is_none_or(|wanted| properties["x"].as_i64().is_some_and(|x| x >= wanted))
            && window.is_none_or(|window| *at > now - window)
    };
    let count = i64::try_from(person.events.iter().filter(counts).count()).unwrap();
    let n = inner["count"]["n"].as_i64();
    match (inner["count"]["op"].as_str(), n, inner["not_exists"].as_bool()) {
        (None, None, Some(true)) => count == 0,
        (None, None, None) => count > 0,
        (Some("gte"), Some(n), None) => count >= n,
        (Some("gt"), Some(n), None) => count > n,
        (Some("lt"), Some(n), None) => count < n,
        (Some("lte"), Some(n), None) => count <= n,
        (Some("eq"), Some(n), None) => count == n,
        other => panic!("the model does not know {other:?}"),
    }
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(1)),
        Just(json!("1")),
        Just(json!("one")),
        Just(json!(true)),
        Just(json!(2.5)),
        // As late as in half the time that is looked at.
        (0..END / 2).prop_map(|at| json!(UtcInstant(at).to_string())),
    ]
}

fn window() -> impl Strategy<Value = String> {
    (1..20).prop_map(|ms| format!("{ms}ms"))
}

fn clause() -> impl Strategy<Value = Value> {
    let name = || prop_oneof![Just("a"), Just("b")];
    let compared = (name(), value(), value()).prop_flat_map(|(name, one, other)| {
        let of = move |op: &str, value: Value| json!({ "attribute": { "name": name, "op": op, "value": value } });
        prop_oneof![
            Just(of("eq", one.clone())),
            Just(of("neq", one.clone())),
            Just(of("in", json!([one, other]))),
            Just(of("gt", json!(1))),
            Just(of("lte", json!(2))),
            Just(of("contains", json!("on"))),
            Just(json!({ "attribute": { "name": name, "op": "exists" } })),
            Just(json!({ "attribute": { "name": name, "op": "not_exists" } })),
        ]
    });
    let timed = (name(), window()).prop_flat_map(|(name, window)| {
        let of = move |op: &str, value: &str| json!({ "attribute": { "name": name, "op": op, "value": value } });
        prop_oneof![
            Just(of("before", "now")),
            Just(of("after", "now")),
            Just(of("within_last", &window)),
            Just(of("within_next", &window)),
        ]
    });
    let count = (prop_oneof![Just("gte"), Just("gt"), Just("lt"), Just("lte"), Just("eq")], 1..4)
        .prop_map(|(op, n)| json!({ "count": { "op": op, "n": n } }));
    let quantity = prop_oneof![count, Just(json!({})), Just(json!({ "not_exists": true }))];
    let event = (name(), quantity, proptest::option::of(window()), proptest::option::of(0..3)).prop_map(
        |(name, mut clause, window, least)| {
            let fields = clause.as_object_mut().unwrap();
            fields.insert("name".to_owned(), json!(name));
            fields.extend(window.map(|window| ("within".to_owned(), json!(window))));
            let condition = |least| json!([{ "property": "x", "op": "gte", "value": least }]);
            fields.extend(least.map(|least: i32| ("where".to_owned(), condition(least))));
            json!({ "event": clause })
        },
    );
    prop_oneof![
        2 => compared,
        3 => timed,
        6 => event,
        1 => Just(json!({ "tag": "vip" })),
        1 => Just(json!({ "segment": 1 })),
        1 => Just(json!({ "list": { "id": 1, "standing": "subscribed" } })),
        1 => Just(json!({ "reachable": "email" })),
    ]
}

fn tree() -> impl Strategy<Value = Value> {
    let tree = clause().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(|nodes| json!({ "all": nodes })),
            proptest::collection::vec(inner.clone(), 1..4).prop_map(|nodes| json!({ "any": nodes })),
            inner.prop_map(|node| json!({ "not": node })),
        ]
    });
    tree.prop_map(|mut tree| {
        tree.as_object_mut().unwrap().insert("everyone".to_owned(), json!(true));
        tree
    })
}

fn person() -> impl Strategy<Value = Person> {
    let event = (prop_oneof![Just("a".to_owned()), Just("b".to_owned())], 0..4, 0..END / 2)
        .prop_map(|(name, x, at)| (name, json!({ "x": x }), at));
    let standing = prop_oneof![Just(Standing::Subscribed), Just(Standing::Unsubscribed)];
    (
        proptest::collection::btree_map(prop_oneof![Just("a".to_owned()), Just("b".to_owned())], value(), 0..3),
        proptest::collection::vec(event, 0..6),
        proptest::collection::btree_map(1..3_i64, standing, 0..2),
        any::<[bool; 3]>(),
    )
        .prop_map(|(attributes, events, lists, [tagged, member, reachable])| Person {
            attributes,
            events,
            lists,
            tags: tagged.then(|| "vip".to_owned()).into_iter().collect(),
            segments: member.then_some(1).into_iter().collect(),
            email: reachable.then(|| "ann@example.com".to_owned()),
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// No event is in the future of an answer that is asked for: the whole history lies before `END / 2`, and looks begin there.
    /// Dates may lie ahead or behind.
    #[test]
    fn the_answer_is_that_of_the_history_and_holds_until_the_timer(tree in tree(), person in person()) {
        let criteria = Criteria::read(tree.clone()).unwrap();
        let facts = person.facts(&criteria);
        let truth: Vec<bool> = (0..=END).map(|now| model(&tree, &person, now)).collect();
        for (now, expected) in (0..).zip(&truth) {
            let decision = decide(&criteria, &facts, UtcInstant(now));
            prop_assert_eq!(decision.matches, *expected, "at {}", now);
            let until = decision.timer.map_or(END + 1, |timer| timer.0);
            prop_assert!(until > now, "the timer {} is not after {}", until, now);
            for (later, answer) in (0..).zip(&truth).filter(|(later, _)| (now..until).contains(later)) {
                prop_assert_eq!(answer, expected, "changed at {}, before the timer {} set at {}", later, until, now);
            }
            prop_assert!(decision.timer.is_none() || criteria.depends_on_time());
            let known = glance(&criteria, &facts, UtcInstant(now));
            if let Some(known) = known {
                prop_assert_eq!(known.matches, decision.matches, "a glance at {}", now);
                let is_late = |(known, exact): (UtcInstant, UtcInstant)| known > exact;
                prop_assert!(!known.timer.zip(decision.timer).is_some_and(is_late));
                prop_assert!(known.timer.is_some() || decision.timer.is_none());
            }
            let explained = explain(&criteria, &facts, UtcInstant(now));
            prop_assert_eq!((explained.holds, explained.until), (decision.matches, decision.timer));
        }
    }
}

fn timer_at(tree: Value, person: &Person, now: i64) -> Option<i64> {
    let criteria = Criteria::read(tree).unwrap();
    decide(&criteria, &person.facts(&criteria), UtcInstant(now)).timer.map(|timer| timer.0)
}

#[test]
fn a_rule_that_fails_in_several_parts_waits_for_the_last_of_them() {
    let person = Person {
        attributes: BTreeMap::new(),
        events: vec![("a".to_owned(), json!({}), 10), ("b".to_owned(), json!({}), 20)],
        lists: BTreeMap::new(),
        tags: BTreeSet::new(),
        segments: BTreeSet::new(),
        email: None,
    };
    let quiet = |name: &str| json!({ "event": { "name": name, "not_exists": true, "within": "30ms" } });
    let active = |name: &str| json!({ "event": { "name": name, "within": "30ms" } });
    assert_eq!(timer_at(json!({ "all": [quiet("a"), quiet("b")] }), &person, 25), Some(50), "both must be quiet");
    assert_eq!(timer_at(json!({ "any": [quiet("a"), quiet("b")] }), &person, 25), Some(40), "one suffices");
    assert_eq!(timer_at(json!({ "all": [active("a"), active("b")] }), &person, 25), Some(40));
    assert_eq!(timer_at(json!({ "any": [active("a"), active("b")] }), &person, 25), Some(50));
    assert_eq!(
        timer_at(json!({ "all": [quiet("a"), { "tag": "vip" }] }), &person, 25),
        None,
        "no time gives it the tag"
    );
}

#[test]
fn a_deleted_contact_is_taken_by_nothing() {
    let criteria = Criteria::read(json!({ "everyone": true })).unwrap();
    let mut facts = Facts::blank(ContactId(1), Question::of([&criteria]));
    assert_eq!(decide(&criteria, &facts, UtcInstant(0)), Decision::fixed(true));
    facts.living = false;
    assert_eq!(decide(&criteria, &facts, UtcInstant(0)), Decision::NO);
    assert_eq!(glance(&criteria, &facts, UtcInstant(0)), Some(Decision::NO));
}
