//! Every example of criteria in docs/segments.md means what the page says.

use std::collections::BTreeSet;

use serde_json::Value;
use volley::domain::ids::{ContactId, ListId, SegmentId};
use volley::domain::instant::UtcInstant;
use volley::domain::people::contact::BuiltIn;
use volley::domain::people::standing::Standing;
use volley::domain::segments::Criteria;
use volley::domain::segments::decide::decide;
use volley::domain::segments::question::{EventFact, Facts, Question};

use super::{page, table};

/// The time of the examples.
const NOON: &str = "2026-03-01T12:00:00Z";

#[test]
fn every_example_of_criteria_takes_and_leaves_out_whom_the_page_says() {
    let page = page("docs/segments.md");
    for row in table(&page, "criteria") {
        let [criteria, sentence, takes, leaves_out] = row.as_slice() else { panic!("{row:?}") };
        let criteria = Criteria::read(json(criteria)).unwrap_or_else(|error| panic!("{criteria}: {error}"));
        assert_eq!(criteria.sentence(), *sentence);
        assert!(holds(&criteria, &json(takes)), "{sentence} does not take {takes}");
        assert!(!holds(&criteria, &json(leaves_out)), "{sentence} takes {leaves_out}");
    }
}

#[test]
fn every_kind_of_clause_has_an_example() {
    let page = page("docs/segments.md");
    let kinds: BTreeSet<String> = table(&page, "criteria")
        .iter()
        .flat_map(|row| json(&row[0]).as_object().unwrap().keys().cloned().collect::<Vec<_>>())
        .filter(|key| key != "everyone")
        .collect();
    let known = ["attribute", "event", "field", "list", "message", "random", "reachable", "segment", "tag"];
    assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), known);
    // An unknown key is refused with all known ones.
    let refused = Criteria::read(serde_json::json!({ "nothing": 1 })).unwrap_err();
    assert!(known.iter().all(|kind| refused.reason.contains(kind)), "{refused}");
}

fn json(cell: &str) -> Value {
    serde_json::from_str(cell.trim_matches('`')).unwrap_or_else(|error| panic!("{cell}: {error}"))
}

fn at(text: &Value) -> UtcInstant {
    UtcInstant::parse(text.as_str().unwrap()).unwrap()
}

fn holds(criteria: &Criteria, contact: &Value) -> bool {
    let question = Question::of([criteria]);
    let mut facts = Facts::blank(ContactId(contact["id"].as_i64().unwrap_or(1)), question.clone());
    for (key, known) in contact.as_object().unwrap() {
        let entries = || known.as_object().unwrap().iter();
        match key.as_str() {
            "id" => {}
            "created_at" => facts.created_at = at(known),
            "attributes" => facts.attributes = entries().map(|(name, value)| (name.clone(), value.clone())).collect(),
            "fields" => {
                for (name, value) in entries() {
                    *facts.fields.get_mut(BuiltIn::from_name(name).unwrap()) = value.as_str().map(str::to_owned);
                }
            }
            "lists" => {
                let standing = |text: &Value| Standing::from_text(text.as_str().unwrap()).unwrap();
                facts.lists = entries().map(|(id, text)| (ListId(id.parse().unwrap()), standing(text))).collect();
            }
            "tags" => {
                facts.tags = known.as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()).collect()
            }
            "segments" => {
                facts.segments = known.as_array().unwrap().iter().map(|id| SegmentId(id.as_i64().unwrap())).collect();
            }
            "events" => {
                let events = known.as_array().unwrap();
                facts.events = question.events().iter().map(|fact| nth(events, fact)).collect();
            }
            other => panic!("an example has the unknown key {other}"),
        }
    }
    decide(criteria, &facts, UtcInstant::parse(NOON).unwrap()).matches
}

fn nth(events: &[Value], fact: &EventFact) -> Option<UtcInstant> {
    let is_of = |event: &&Value| {
        let lists = event["to_lists"].as_array().into_iter().flatten().filter_map(Value::as_i64).collect::<Vec<_>>();
        event["name"] == fact.kind.name.as_str()
            && fact.kind.conditions.iter().all(|condition| condition.holds(&event["properties"]))
            && fact.kind.to_list.is_none_or(|list| lists.contains(&list.0))
    };
    let mut times: Vec<UtcInstant> = events.iter().filter(is_of).map(|event| at(&event["occurred_at"])).collect();
    times.sort_unstable_by_key(|at| std::cmp::Reverse(*at));
    times.get(usize::try_from(fact.nth).unwrap() - 1).copied()
}
