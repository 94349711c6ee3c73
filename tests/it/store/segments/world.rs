//! Contacts, segments, and a naive look at who has to be a member: every row is read, and nothing is remembered.

use std::collections::BTreeMap;
use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use serde_json::Value;
use volley::domain::ids::{ContactId, SegmentId};
use volley::domain::instant::UtcInstant;
use volley::domain::people::consent::Source;
use volley::domain::people::contact::{ContactDraft, Fields};
use volley::domain::people::standing::Standing;
use volley::domain::segments::Criteria;
use volley::domain::segments::decide::decide;
use volley::domain::segments::question::{Facts, Question};
use volley::domain::segments::stay::Rules;
use volley::services::segments::live::KnownCriteria;
use volley::services::segments::worker::SegmentWorker;
use volley::store::events::{self, NewEvent};
use volley::store::people::consent::Scribe;
use volley::store::people::contacts::{self, Joining, Upserted};
use volley::store::segments::{self, NewSegment};
use volley::store::{Conn, Store, StoreError, engine};

use crate::support::Database;
use crate::support::server::settings;

pub(super) async fn open(db: &Database) -> Store {
    let store = Store::open(&settings(db).database).unwrap();
    store.migrate().await.unwrap();
    store
}

pub(super) fn worker(store: &Store) -> SegmentWorker {
    SegmentWorker::new(store.clone(), KnownCriteria::default())
}

/// Evaluates until nothing waits.
pub(super) async fn settle(store: &Store) {
    let mut worker = worker(store);
    loop {
        let kept = worker.keep_up().await.unwrap().is_some();
        if !(worker.build().await.unwrap() || kept) {
            return;
        }
    }
}

pub(super) fn scribe() -> Scribe {
    Scribe::of(Source::API)
}

pub(super) fn draft(email: &str, attributes: Value) -> ContactDraft {
    let fields = Fields { email: Some(email.to_owned()), ..Fields::default() };
    let attributes = attributes.as_object().unwrap().clone().into_iter().collect();
    ContactDraft { fields, attributes }
}

/// A contact with this address and these attributes.
pub(super) fn contact(conn: &mut Conn, email: &str, attributes: Value) -> ContactId {
    match contacts::upsert(conn, &scribe(), &draft(email, attributes), &Joining::NOTHING).unwrap() {
        Upserted::Created(row, _) | Upserted::Updated(row) => row.id,
        Upserted::Conflict(_) => panic!("a conflict"),
    }
}

/// An event so many milliseconds ago, in the caller's transaction.
pub(super) fn event(conn: &mut Conn, contact: ContactId, name: &str, ago_ms: i64) {
    let now = engine::now(conn).unwrap();
    let id = events::ids(conn, 1).unwrap()[0];
    let event = NewEvent { id, contact, name, properties: "{}", occurred_at: now.plus_ms(-ago_ms), source: "test" };
    events::insert(conn, &[event], now).unwrap();
}

/// Events of these names, all at once.
pub(super) fn events(conn: &mut Conn, contact: ContactId, names: &[&str]) {
    let now = engine::now(conn).unwrap();
    let ids = events::ids(conn, names.len()).unwrap();
    let all: Vec<NewEvent<'_>> = names
        .iter()
        .zip(ids)
        .map(|(name, id)| NewEvent { id, contact, name, properties: "{}", occurred_at: now, source: "test" })
        .collect();
    events::insert(conn, &all, now).unwrap();
}

pub(super) fn criteria(of: Value) -> Criteria {
    Criteria::read(of).unwrap()
}

pub(super) fn new_segment(name: &str, of: Value) -> NewSegment {
    NewSegment {
        name: name.to_owned(),
        slug: None,
        description: String::new(),
        criteria: Some(criteria(of)),
        rules: Rules::default(),
        reactions: None,
        enabled: true,
    }
}

/// A segment, whose evaluation of everybody has not begun.
pub(super) fn segment(conn: &mut Conn, name: &str, of: Value) -> SegmentId {
    create(conn, &new_segment(name, of))
}

pub(super) fn create(conn: &mut Conn, new: &NewSegment) -> SegmentId {
    conn.write(|conn| {
        segments::hold_definitions(conn)?;
        Ok::<_, StoreError>(segments::create(conn, new)?.id)
    })
    .unwrap()
}

/// Gives a segment another rule.
pub(super) fn edit(conn: &mut Conn, id: SegmentId, of: Value) {
    conn.write(|conn| {
        segments::hold_definitions(conn)?;
        let before = segments::find(conn, id)?.unwrap();
        let new = NewSegment { rules: before.rules()?, ..new_segment(&before.name, of) };
        segments::change(conn, &before, &new, segments::Anew::Yes)?;
        Ok::<_, StoreError>(())
    })
    .unwrap();
}

/// The members of a segment.
pub(super) fn members(conn: &mut Conn, id: SegmentId) -> Vec<ContactId> {
    let rows = segments::members::list(conn, id, None, 1_000_000).unwrap();
    rows.into_iter().map(|row| row.contact_id).collect()
}

/// Its transitions from the first to the last, as text: `entered 1 change`.
pub(super) fn transitions(conn: &mut Conn, id: SegmentId, contact: ContactId) -> Vec<String> {
    let mut rows = segments::transitions::list(conn, id, None, None, 1_000_000).unwrap();
    rows.retain(|row| row.contact_id == contact);
    rows.sort_by_key(|row| (row.epoch, row.at, row.kind.as_str(), row.ordinal));
    let text = |row: &segments::transitions::TransitionRow| {
        let silent = if row.emit { "" } else { " silent" };
        format!("{} {} {}{silent}", row.kind, row.epoch, row.source)
    };
    rows.iter().map(text).collect()
}

#[derive(QueryableByName)]
struct ContactData {
    #[diesel(sql_type = BigInt)]
    id: ContactId,
    #[diesel(embed)]
    fields: Fields,
    #[diesel(sql_type = Text)]
    attributes: String,
    #[diesel(sql_type = BigInt)]
    created_at: UtcInstant,
    #[diesel(sql_type = Bool)]
    is_deleted: bool,
}

#[derive(QueryableByName)]
struct EventData {
    #[diesel(sql_type = BigInt)]
    contact_id: ContactId,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    properties: String,
    #[diesel(sql_type = BigInt)]
    occurred_at: UtcInstant,
}

#[derive(QueryableByName)]
struct ListData {
    #[diesel(sql_type = BigInt)]
    contact_id: ContactId,
    #[diesel(sql_type = BigInt)]
    list_id: volley::domain::ids::ListId,
    #[diesel(sql_type = Text)]
    status: Standing,
}

#[derive(QueryableByName)]
struct TagData {
    #[diesel(sql_type = BigInt)]
    contact_id: ContactId,
    #[diesel(sql_type = Text)]
    name: String,
}

macro_rules! load {
    ($conn:expr, $query:expr) => {
        match $conn {
            Conn::Pg(conn) => diesel::sql_query($query).load(conn),
            Conn::Sqlite(conn) => diesel::sql_query($query).load(conn),
        }
        .map_err(StoreError::query("read everything"))?
    };
}

/// The facts of contacts, read row by row.
fn facts(conn: &mut Conn, question: &Arc<Question>, contacts: &[ContactId]) -> Result<Vec<Facts>, StoreError> {
    let ids: Vec<String> = contacts.iter().map(ToString::to_string).collect();
    let ids = if ids.is_empty() { "0".to_owned() } else { ids.join(", ") };
    let rows: Vec<ContactData> = load!(
        conn,
        format!(
            "SELECT id, external_id, email, phone, first_name, last_name, timezone, locale, attributes, created_at, \
             deleted_at IS NOT NULL AS is_deleted FROM contacts WHERE id IN ({ids})"
        )
    );
    let mut all: BTreeMap<ContactId, Facts> = BTreeMap::new();
    for row in rows {
        let mut facts = Facts::blank(row.id, Arc::clone(question));
        (facts.living, facts.created_at, facts.fields) = (!row.is_deleted, row.created_at, row.fields);
        facts.attributes = serde_json::from_str(&row.attributes).unwrap();
        all.insert(row.id, facts);
    }
    let lists: Vec<ListData> =
        load!(conn, format!("SELECT contact_id, list_id, status FROM list_members WHERE contact_id IN ({ids})"));
    for row in lists {
        if let Some(facts) = all.get_mut(&row.contact_id) {
            facts.lists.insert(row.list_id, row.status);
        }
    }
    let tags: Vec<TagData> = load!(
        conn,
        format!(
            "SELECT c.contact_id, t.name FROM contact_tags AS c JOIN tags AS t ON t.id = c.tag_id WHERE c.contact_id IN ({ids})"
        )
    );
    for row in tags {
        if let Some(facts) = all.get_mut(&row.contact_id) {
            facts.tags.insert(row.name);
        }
    }
    let events: Vec<EventData> = load!(
        conn,
        format!(
            "SELECT contact_id, name, properties, occurred_at FROM events WHERE contact_id IN ({ids}) \
             ORDER BY occurred_at DESC"
        )
    );
    for (place, fact) in question.events().iter().enumerate() {
        let mut seen: BTreeMap<ContactId, u32> = BTreeMap::new();
        for event in events.iter().filter(|event| event.name == fact.kind.name) {
            let properties: Value = serde_json::from_str(&event.properties).unwrap();
            if !fact.kind.conditions.iter().all(|condition| condition.holds(&properties)) {
                continue;
            }
            let count = seen.entry(event.contact_id).or_default();
            *count += 1;
            if *count == fact.nth
                && let Some(facts) = all.get_mut(&event.contact_id)
            {
                facts.events[place] = Some(event.occurred_at);
            }
        }
    }
    Ok(all.into_values().collect())
}

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = BigInt)]
    id: ContactId,
}

#[derive(QueryableByName)]
struct Timer {
    #[diesel(sql_type = Nullable<BigInt>)]
    due_at: Option<UtcInstant>,
}

/// Checks every contact and segment against a naive look. Segments are given in such an order that each comes after those that it asks
/// for. Nothing waits.
pub(super) fn check(conn: &mut Conn, order: &[SegmentId]) -> Result<(), StoreError> {
    let rules = segments::criteria_of(conn, order)?;
    let rules: BTreeMap<SegmentId, Criteria> =
        rules.into_iter().map(|(id, stored)| (id, Criteria::read(stored.given().unwrap()).unwrap())).collect();
    let question = Question::of(rules.values());
    let ids: Vec<Id> = load!(conn, "SELECT id FROM contacts ORDER BY id");
    let ids: Vec<ContactId> = ids.into_iter().map(|row| row.id).collect();
    let mut wanted: BTreeMap<SegmentId, Vec<ContactId>> = BTreeMap::new();
    let now = engine::now(conn)?;
    for mut facts in facts(conn, &question, &ids)? {
        for id in order {
            if decide(&rules[id], &facts, now).matches {
                facts.segments.insert(*id);
                wanted.entry(*id).or_default().push(facts.contact);
            }
        }
    }
    for id in order {
        assert_eq!(members(conn, *id), wanted.remove(id).unwrap_or_default(), "segment {id}: {}", rules[id].sentence());
        let all = segments::transitions::list(conn, *id, None, None, 1_000_000)?;
        let mut balance: BTreeMap<ContactId, i64> = BTreeMap::new();
        for row in &all {
            *balance.entry(row.contact_id).or_default() += match row.kind.as_str() {
                "entered" => 1,
                "left" => -1,
                _ => 0,
            };
        }
        let inside: Vec<ContactId> = balance.iter().filter(|(_, n)| **n == 1).map(|(contact, _)| *contact).collect();
        assert!(balance.values().all(|n| matches!(n, 0 | 1)), "segment {id}: entries and leaves take turns");
        assert_eq!(inside, members(conn, *id), "segment {id}: each entry and each leave is there, once");
    }
    let waiting = segments::queue::waiting(conn, now)?;
    assert_eq!((waiting.touches, waiting.due), (0, 0), "nothing waits");
    let timers: Vec<Timer> = load!(conn, "SELECT min(due_at) AS due_at FROM contact_timers");
    assert!(timers[0].due_at.is_none_or(|due| due > now), "every timer is in the future");
    Ok(())
}
