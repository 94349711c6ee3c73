//! Facts of contacts: both databases say what the data say, whatever the conditions, and read events by index alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use diesel::connection::InstrumentationEvent;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use volley::domain::ids::{ContactId, ListId, SegmentId};
use volley::domain::instant::UtcInstant;
use volley::domain::people::standing::Standing;
use volley::domain::segments::Criteria;
use volley::domain::segments::question::{EventFact, Facts, Question};
use volley::store::segments::facts;
use volley::store::{Conn, Lane, Store};

use super::dispatch::packed::execute;
use crate::support::server::settings;
use crate::support::{Database, both_backends};

/// What the tests know of one contact.
#[derive(Debug, Clone)]
struct Person {
    living: bool,
    email: Option<String>,
    attributes: BTreeMap<String, Value>,
    /// Name, properties and time.
    events: Vec<(String, Value, i64)>,
    lists: BTreeMap<i64, Standing>,
    tags: Vec<String>,
    /// The segments that it is, or was, a member of.
    segments: BTreeMap<i64, bool>,
}

/// Texts that a database may take for something else.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => proptest::sample::select(vec!["a", "b", "ab", "A", "1", "true", "null", "", "%", "_"]).prop_map(str::to_owned),
        2 => proptest::sample::select(vec!["it's", "\"q\"", "back\\slash", "{}", "[1]", "größe", "GRÖSSE", "line\nbreak", "$.x", "日本"]).prop_map(str::to_owned),
        1 => "[ -~äöüß]{0,6}",
    ]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (-3_i64..4).prop_map(Value::from),
        2 => prop_oneof![Just(0.0), Just(-0.0), Just(1.0), Just(0.1), Just(2.5), Just(1e300), Just(-1e-7)].prop_map(Value::from),
        1 => prop_oneof![Just(9_007_199_254_740_991_i64), Just(-9_007_199_254_740_991), Just(1_000_000_000_000)].prop_map(Value::from),
        1 => (-1_000_000..1_000_000).prop_map(|hundredths| json!(f64::from(hundredths) / 100.0)),
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![3 => text().prop_map(Value::from), 3 => number(), 1 => any::<bool>().prop_map(Value::from)]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => scalar(),
        1 => Just(Value::Null),
        2 => proptest::collection::vec(prop_oneof![scalar(), Just(json!([1, "a"])), Just(Value::Null)], 0..4).prop_map(Value::from),
        2 => proptest::collection::btree_map(name(), scalar(), 0..3).prop_map(|inner| json!(inner)),
    ]
}

/// Names of properties. Numbers, which a path into a list could mean, and what paths have as signs.
fn name() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["x", "y", "0", "a b", "größe", "$", "[0]", "it's"]).prop_map(str::to_owned)
}

fn condition() -> impl Strategy<Value = Value> {
    let path = prop_oneof![3 => name(), 1 => (name(), name()).prop_map(|(outer, inner)| format!("{outer}.{inner}"))];
    let filled = |texts: Vec<Value>| {
        let full = |value: &Value| value.as_str().is_none_or(|text| !text.is_empty());
        texts.into_iter().find(full).unwrap_or_else(|| json!("a"))
    };
    (path, 0..12, proptest::collection::vec(scalar(), 1..4), text(), number()).prop_map(
        move |(path, op, several, part, bound)| {
            let of = |op: &str, value: Value| json!({ "property": path, "op": op, "value": value });
            let part = if part.is_empty() { "a".to_owned() } else { part };
            match op {
                0 => json!({ "property": path, "op": "exists" }),
                1 => json!({ "property": path, "op": "not_exists" }),
                2 | 3 => of("eq", several[0].clone()),
                4 => of("neq", several[0].clone()),
                5 => of("in", Value::from(several)),
                6 => of("contains", filled(several)),
                7 => of("starts_with", part.into()),
                8 => of("ends_with", part.into()),
                9 => of("gt", bound),
                10 => of("lte", bound),
                _ => of(if bound.as_f64() > Some(0.0) { "gte" } else { "lt" }, bound),
            }
        },
    )
}

fn event_name() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["login", "order"]).prop_map(str::to_owned)
}

fn criteria() -> impl Strategy<Value = Value> {
    let event = (event_name(), proptest::collection::vec(condition(), 0..3), 1..4).prop_map(|(name, conditions, n)| {
        let mut event = json!({ "name": name, "count": { "op": "eq", "n": n } });
        if !conditions.is_empty() {
            event["where"] = Value::from(conditions);
        }
        json!({ "event": event })
    });
    let other = prop_oneof![
        proptest::sample::select(vec!["plan", "address.x"])
            .prop_map(|name| json!({ "attribute": { "name": name, "op": "exists" } })),
        (1..4).prop_map(|id| json!({ "list": { "id": id } })),
        proptest::sample::select(vec!["vip", "it's"]).prop_map(|tag| json!({ "tag": tag })),
        (1..3).prop_map(|id| json!({ "segment": id })),
        (1..4).prop_map(|id| json!({ "message": { "event": "clicked", "list": id } })),
    ];
    proptest::collection::vec(prop_oneof![3 => event, 1 => other], 1..8).prop_map(|clauses| json!({ "any": clauses }))
}

fn person() -> impl Strategy<Value = Person> {
    let properties = proptest::collection::btree_map(name(), value(), 0..4);
    let told = (event_name(), properties, 0..50_i64).prop_map(|(name, properties, at)| (name, json!(properties), at));
    let clicked = (1..5_i64, 0..50_i64).prop_map(|(campaign, at)| {
        ("message.clicked".to_owned(), json!({ "campaign_id": campaign, "machine": campaign == 4 }), at)
    });
    let standing = prop_oneof![Just(Standing::Subscribed), Just(Standing::Unsubscribed), Just(Standing::Unconfirmed)];
    (
        proptest::bool::weighted(0.9),
        proptest::option::of(text()),
        proptest::collection::btree_map(
            proptest::sample::select(vec!["plan", "address", "other"]).prop_map(str::to_owned),
            value(),
            0..4,
        ),
        proptest::collection::vec(prop_oneof![4 => told, 1 => clicked], 0..8),
        proptest::collection::btree_map(1..5_i64, standing, 0..4),
        proptest::sample::subsequence(vec!["vip".to_owned(), "it's".to_owned(), "other".to_owned()], 0..4),
        proptest::collection::btree_map(1..4_i64, any::<bool>(), 0..3),
    )
        .prop_map(|(living, email, attributes, events, lists, tags, segments)| Person {
            living,
            email,
            attributes,
            events,
            lists,
            tags,
            segments,
        })
}

fn drawn<T>(runner: &mut TestRunner, strategy: &impl Strategy<Value = T>, count: usize) -> Vec<T> {
    (0..count).map(|_| strategy.new_tree(runner).unwrap().current()).collect()
}

/// Which lists campaigns are for: campaign 1 for the lists 1 and 2, campaign 2 for none, campaign 3 not for list 3.
const AUDIENCES: &str = "
    INSERT INTO audience_lists (campaign_id, list_id, excluded) VALUES (1, 1, FALSE), (1, 2, FALSE), (3, 3, TRUE), (4, 1, FALSE);";

fn is_to_list(campaign: i64, list: ListId) -> bool {
    matches!((campaign, list.0), (1, 1 | 2) | (4, 1))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Adds a person as the contact of this id.
fn insert(id: usize, person: &Person) -> String {
    use std::fmt::Write;
    let mut sql = String::new();
    let email = person.email.as_ref().map_or("NULL".to_owned(), |email| quoted(&format!("{id}{email}")));
    let deleted = if person.living { "NULL" } else { "5" };
    let attributes = quoted(&json!(person.attributes).to_string());
    write!(sql, "INSERT INTO contacts (id, email, attributes, created_at, updated_at, deleted_at) VALUES ({id}, {email}, {attributes}, {id}, 0, {deleted});").unwrap();
    for (name, properties, at) in &person.events {
        let properties = quoted(&properties.to_string());
        write!(sql, "INSERT INTO events (contact_id, name, properties, occurred_at, received_at, source) VALUES ({id}, '{name}', {properties}, {at}, {at}, 'root');").unwrap();
    }
    for (list, standing) in &person.lists {
        write!(
            sql,
            "INSERT INTO list_members (list_id, contact_id, status, created_at) VALUES ({list}, {id}, '{standing}', 0);"
        )
        .unwrap();
    }
    for tag in &person.tags {
        let tag = quoted(tag);
        write!(sql, "INSERT INTO contact_tags (tag_id, contact_id, created_at) SELECT t.id, {id}, 0 FROM tags AS t WHERE t.name = {tag};").unwrap();
    }
    for (segment, is_member) in &person.segments {
        let left = if *is_member { "NULL" } else { "9" };
        write!(sql, "INSERT INTO segment_members (segment_id, contact_id, epoch, entered_at, dwell_from, left_at, dwell_done, dwell_n) VALUES ({segment}, {id}, 1, 0, 0, {left}, 0, 0);").unwrap();
    }
    sql
}

/// The facts of a person without a database.
fn expected(id: ContactId, person: &Person, question: &Arc<Question>) -> Facts {
    let mut facts = Facts::blank(id, question.clone());
    facts.living = person.living;
    facts.created_at = UtcInstant(id.0);
    facts.fields.email = person.email.as_ref().map(|email| format!("{id}{email}"));
    let asked = |name: &String| question.attributes.contains(name);
    facts.attributes = person.attributes.clone().into_iter().filter(|(name, _)| asked(name)).collect();
    let lists = person.lists.iter().map(|(list, standing)| (ListId(*list), *standing));
    facts.lists = lists.filter(|(list, _)| question.lists.contains(list)).collect();
    facts.tags = person.tags.iter().filter(|tag| question.tags.contains(*tag)).cloned().collect();
    let present = person.segments.iter().filter(|(_, is_member)| **is_member).map(|(id, _)| SegmentId(*id));
    facts.segments = present.filter(|segment| question.segments.contains(segment)).collect();
    facts.events = question.events().iter().map(|fact| nth(person, fact)).collect();
    facts
}

fn nth(person: &Person, fact: &EventFact) -> Option<UtcInstant> {
    let is_of = |(name, properties, _): &&(String, Value, i64)| {
        let campaign = properties["campaign_id"].as_i64();
        *name == fact.kind.name
            && fact.kind.conditions.iter().all(|condition| condition.holds(properties))
            && fact.kind.to_list.is_none_or(|list| campaign.is_some_and(|campaign| is_to_list(campaign, list)))
    };
    let mut times: Vec<i64> = person.events.iter().filter(is_of).map(|event| event.2).collect();
    times.sort_unstable_by(|a, b| b.cmp(a));
    times.get(usize::try_from(fact.nth).unwrap() - 1).copied().map(UtcInstant)
}

async fn opened(db: &Database) -> Store {
    let store = Store::open(&settings(db).database).unwrap();
    store.migrate().await.unwrap();
    store
}

both_backends! {
    async fn facts_are_those_of_the_data_whatever_the_conditions(db: &Database) {
        let mut runner = TestRunner::deterministic();
        let people = drawn(&mut runner, &person(), 150);
        let store = opened(db).await;
        let rows: String = (1..).zip(&people).map(|(id, person)| insert(id, person)).collect();
        let fill = move |conn: &mut Conn| {
            if let Conn::Pg(_) = conn {
                execute(conn, "SET session_replication_role = replica");
            } else {
                execute(conn, "PRAGMA foreign_keys = OFF");
            }
            execute(conn, AUDIENCES);
            execute(conn, "INSERT INTO tags (name, created_at) VALUES ('vip', 0), ('it''s', 0), ('other', 0);");
            execute(conn, &rows);
            Ok(())
        };
        store.run(Lane::Write, "fill", fill).await.unwrap();
        let ids: Vec<ContactId> = (1..=people.len() + 3).map(|id| ContactId(i64::try_from(id).unwrap())).collect();
        for given in drawn(&mut runner, &criteria(), 120) {
            let criteria = Criteria::read(given.clone()).unwrap_or_else(|error| panic!("{given}: {error}"));
            let question = Question::of([&criteria]);
            let (asked, of) = (question.clone(), ids.clone());
            let read = move |conn: &mut Conn| facts::of_contacts(conn, &asked, &of);
            let found = store.run(Lane::Read, "read facts", read).await.unwrap();
            assert_eq!(found.len(), people.len(), "those that are not there are left out");
            for ((facts, person), id) in found.iter().zip(&people).zip(&ids) {
                assert_eq!(*facts, expected(*id, person, &question), "{given}\n{person:?}");
            }
        }
    }

    async fn more_facts_than_one_statement_takes_are_read_all_the_same(db: &Database) {
        let store = opened(db).await;
        let rows: String = (0..300).map(|n| format!(
            "INSERT INTO events (contact_id, name, properties, occurred_at, received_at, source) VALUES (1, 'e{n}', '{{}}', {n}, {n}, 'root');"
        )).collect();
        let fill = move |conn: &mut Conn| {
            execute(conn, "INSERT INTO contacts (id, created_at, updated_at) VALUES (1, 0, 0), (2, 0, 0);");
            execute(conn, &rows);
            Ok(())
        };
        store.run(Lane::Write, "fill", fill).await.unwrap();
        let criteria: Vec<Criteria> = (0..3)
            .map(|tree| (0..100).map(|n| json!({ "event": { "name": format!("e{}", tree * 100 + n) } })).collect::<Vec<_>>())
            .map(|clauses| Criteria::read(json!({ "any": clauses })).unwrap())
            .collect();
        let question = Question::of(&criteria);
        let read = move |conn: &mut Conn| facts::of_contacts(conn, &question, &[ContactId(1), ContactId(2)]);
        let found = store.run(Lane::Read, "read facts", read).await.unwrap();
        assert_eq!(found[0].events, (0..300).map(|n| Some(UtcInstant(n))).collect::<Vec<_>>());
        assert_eq!(found[1].events, vec![None; 300]);
    }

    async fn the_largest_criteria_that_are_accepted_can_be_asked(db: &Database) {
        let store = opened(db).await;
        let asked = move |conn: &mut Conn| {
            execute(
                conn,
                "INSERT INTO contacts (id, created_at, updated_at) VALUES (1, 0, 0); \
                 INSERT INTO events (contact_id, name, properties, occurred_at, received_at, source) \
                 VALUES (1, 'x99', '{\"p0\": \"v99\", \"p1\": 1}', 5, 5, 'root');",
            );
            let long = ["p"; 10].join(".");
            let clauses: Vec<Value> = (0..100)
                .map(|clause| {
                    let conditions: Vec<Value> = (0..10)
                        .map(|n| {
                            let values: Vec<Value> = match n {
                                0 => (0..100).map(|value| format!("v{value}").into()).collect(),
                                1 => (0..100).map(Value::from).collect(),
                                _ => (0..100).map(|value| format!("{clause} {value}").into()).collect(),
                            };
                            let property = if n < 2 { format!("p{n}") } else { long.clone() };
                            json!({ "property": property, "op": "in", "value": values })
                        })
                        .take(if clause == 99 { 2 } else { 10 })
                        .collect();
                    json!({ "event": { "name": format!("x{clause}"), "where": conditions, "count": { "op": "eq", "n": 1 } } })
                })
                .collect();
            let question = Question::of([&Criteria::read(json!({ "any": clauses })).unwrap()]);
            let facts = facts::of_contacts(conn, &question, &[ContactId(1)])?;
            Ok((question.events().len(), facts))
        };
        let (events, facts) = store.run(Lane::Write, "ask", asked).await.unwrap();
        assert_eq!(events, 200, "the newest and the one before it, of each clause");
        let known: Vec<UtcInstant> = facts[0].events.iter().filter_map(|time| *time).collect();
        assert_eq!(known, [UtcInstant(5)]);
    }

    async fn events_are_read_by_index_and_no_more_of_them_than_needed(db: &Database) {
        let store = opened(db).await;
        let fill = |conn: &mut Conn| {
            execute(conn, "
                INSERT INTO contacts (id, created_at, updated_at)
                    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 600) SELECT n, 0, 0 FROM n;
                INSERT INTO events (id, contact_id, name, properties, occurred_at, received_at, source)
                    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 60000)
                    SELECT n, n % 600 + 1, CASE WHEN n = 100 THEN 'rare' ELSE 'frequent' END, '{\"x\":1}', n, n, 'root' FROM n;");
            Ok(())
        };
        store.run(Lane::Write, "fill", fill).await.unwrap();
        for is_analysed in [false, true] {
            let look = move |conn: &mut Conn| {
                if is_analysed {
                    execute(conn, "ANALYZE");
                }
                conn.write(|conn| {
                    events_are_read_by_index(conn);
                    Ok::<_, volley::store::StoreError>(())
                })
            };
            store.run(Lane::Write, "look", look).await.unwrap();
        }
    }
}

#[derive(QueryableByName)]
struct Read {
    #[diesel(sql_type = BigInt)]
    scans: i64,
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// PostgreSQL: how often events were read from end to end in this transaction, and how many were read by index.
fn read(conn: &mut PgConnection) -> Read {
    let query = "SELECT coalesce(seq_scan, 0) AS scans, coalesce(idx_tup_fetch, 0) AS rows FROM pg_stat_xact_user_tables \
                 WHERE relname = 'events'";
    diesel::sql_query(query).get_result(conn).unwrap()
}

/// Asks 50 contacts for the newest and the third newest events of two names, with and without a condition.
fn events_are_read_by_index(conn: &mut Conn) {
    let given = json!({ "any": [
        { "event": { "name": "frequent" } },
        { "event": { "name": "frequent", "count": { "op": "gte", "n": 3 } } },
        { "event": { "name": "frequent", "where": [{ "property": "x", "op": "gte", "value": 1 }] } },
        { "event": { "name": "rare" } },
    ] });
    let criteria = Criteria::read(given).unwrap();
    let question = Question::of([&criteria]);
    let ids: Vec<ContactId> = (1..=50).map(ContactId).collect();
    match conn {
        Conn::Pg(pg) => {
            let before = read(pg);
            assert_eq!(facts::of_contacts(conn, &question, &ids).unwrap().len(), 50);
            let Conn::Pg(pg) = conn else { return };
            let after = read(pg);
            assert_eq!(after.scans, before.scans, "events are read from end to end");
            let rows = after.rows - before.rows;
            assert!(rows <= 50 * (1 + 3 + 1 + 1), "{rows} events were read");
        }
        Conn::Sqlite(sqlite) => {
            let heard = Arc::new(Mutex::new(Vec::new()));
            let statements = Arc::clone(&heard);
            sqlite.set_instrumentation(move |event: InstrumentationEvent<'_>| {
                if let InstrumentationEvent::StartQuery { query, .. } = event {
                    let text = query.to_string();
                    statements.lock().unwrap().push(text.split(" -- binds").next().unwrap_or_default().to_owned());
                }
            });
            assert_eq!(facts::of_contacts(conn, &question, &ids).unwrap().len(), 50);
            let Conn::Sqlite(sqlite) = conn else { return };
            let selects: Vec<String> =
                heard.lock().unwrap().iter().filter(|text| text.contains("FROM events")).cloned().collect();
            assert!(!selects.is_empty());
            for statement in selects {
                let lines: Vec<Line> =
                    diesel::sql_query(format!("EXPLAIN QUERY PLAN {statement}")).load(sqlite).unwrap();
                let of_events: Vec<&Line> = lines.iter().filter(|line| line.detail.contains(" e ")).collect();
                assert_eq!(of_events.len(), 4);
                for Line { detail } in of_events {
                    assert!(
                        detail.contains("(name=? AND contact_id=?)") || detail.contains("(contact_id=? AND name=?)"),
                        "{detail}"
                    );
                }
                assert!(lines.iter().all(|line| !line.detail.contains("TEMP B-TREE")), "events are sorted");
            }
        }
    }
}
