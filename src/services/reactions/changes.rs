//! Tags, lists and events of contacts, changed in the caller's transaction: many contacts at once, and of each contact one action after the
//! other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::domain::events::EventSource;
use crate::domain::ids::{ContactId, ListId, SegmentId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{Act, Source};
use crate::domain::people::standing::{Grounds, Wish};
use crate::domain::segments::reaction::{Action, EventToRecord, ListName};
use crate::domain::segments::topic::Topic;
use crate::store::events::{self, NewEvent};
use crate::store::people::consent::{Ledger, Scribe};
use crate::store::people::refusals::RefusalBook;
use crate::store::people::standings::{self, Wished};
use crate::store::people::tags;
use crate::store::{Conn, StoreError, reactions};

/// What is to be changed of a contact.
#[derive(Debug, Clone)]
pub(super) struct Changes {
    pub(super) segment: SegmentId,
    pub(super) contact: ContactId,
    /// When that happened which it follows from.
    pub(super) at: UtcInstant,
    /// How many reactions led to it.
    pub(super) depth: i32,
    pub(super) actions: Vec<Action>,
}

/// The actions of a round, one of each contact.
#[derive(Default)]
struct Round<'a> {
    add_tags: Vec<(ContactId, &'a str)>,
    remove_tags: BTreeMap<&'a str, Vec<ContactId>>,
    add_to: BTreeMap<SegmentId, Vec<(ContactId, ListId)>>,
    take_off: BTreeMap<(SegmentId, ListId), Vec<ContactId>>,
    record: Vec<(ContactId, UtcInstant, &'a EventToRecord)>,
}

/// Makes changes, in the order in which they are given. Deleted contacts are passed over, and so are lists that do not exist.
///
/// # Errors
/// A query failed.
pub(super) fn make(conn: &mut Conn, book: &RefusalBook, all: &[Changes], now: UtcInstant) -> Result<(), StoreError> {
    let contacts: Vec<ContactId> = all.iter().map(|changes| changes.contact).collect();
    if contacts.is_empty() {
        return Ok(());
    }
    let held = standings::hold(conn, &contacts)?;
    let living: BTreeSet<ContactId> =
        held.iter().filter(|contact| !contact.is_deleted).map(|contact| contact.id).collect();
    let all: Vec<&Changes> = all.iter().filter(|changes| living.contains(&changes.contact)).collect();
    reactions::touch_ahead(conn, &touches(&all))?;
    let mut left: BTreeMap<ContactId, VecDeque<(&Changes, &Action)>> = BTreeMap::new();
    for changes in &all {
        let actions = changes.actions.iter().map(|action| (*changes, action));
        left.entry(changes.contact).or_default().extend(actions);
    }
    while !left.is_empty() {
        let mut round = Round::default();
        for (contact, actions) in &mut left {
            if let Some((changes, action)) = actions.pop_front() {
                // It was not later than now, whatever the clock has done since.
                round.add(*contact, changes.segment, changes.at.min(now), action);
            }
        }
        round.make(conn, book, now)?;
        left.retain(|_, actions| !actions.is_empty());
    }
    Ok(())
}

/// What is about to be touched, and how many reactions will have led to it.
fn touches(all: &[&Changes]) -> Vec<(ContactId, Topic, i32)> {
    let topic = |action: &Action| match action {
        Action::AddTag(name) | Action::RemoveTag(name) => Some(Topic::Tag(name.clone())),
        Action::AddToList(ListName::Id(id)) | Action::RemoveFromList(ListName::Id(id)) => Some(Topic::List(*id)),
        Action::RecordEvent(event) => Some(Topic::Event(event.name.clone())),
        Action::AddToList(ListName::Slug(_)) | Action::RemoveFromList(ListName::Slug(_)) | Action::Call(_) => None,
    };
    let of = |changes: &Changes| {
        let (contact, depth) = (changes.contact, changes.depth + 1);
        changes.actions.iter().filter_map(topic).map(|topic| (contact, topic, depth)).collect::<Vec<_>>()
    };
    all.iter().flat_map(|changes| of(changes)).collect()
}

impl<'a> Round<'a> {
    fn add(&mut self, contact: ContactId, segment: SegmentId, at: UtcInstant, action: &'a Action) {
        match action {
            Action::AddTag(name) => self.add_tags.push((contact, name)),
            Action::RemoveTag(name) => self.remove_tags.entry(name).or_default().push(contact),
            Action::AddToList(ListName::Id(list)) => self.add_to.entry(segment).or_default().push((contact, *list)),
            Action::RemoveFromList(ListName::Id(list)) => {
                self.take_off.entry((segment, *list)).or_default().push(contact);
            }
            Action::RecordEvent(event) => self.record.push((contact, at, event)),
            // What is stored goes by ids, and calls have rows of their own.
            Action::AddToList(ListName::Slug(_)) | Action::RemoveFromList(ListName::Slug(_)) | Action::Call(_) => {}
        }
    }

    fn make(self, conn: &mut Conn, book: &RefusalBook, now: UtcInstant) -> Result<(), StoreError> {
        tags::add(conn, &self.add_tags)?;
        for (name, contacts) in self.remove_tags {
            tags::remove(conn, &contacts, &[name.to_owned()].into())?;
        }
        for (segment, pairs) in self.add_to {
            // A contact that has refused stays so, and a list with double opt-in waits for the person.
            let wish = Wish::Subscribe(Grounds::Claimed);
            let wished: Vec<Wished> =
                pairs.into_iter().map(|(contact, list)| Wished::new(contact, list, wish)).collect();
            let scribe = scribe(segment, book);
            let mut ledger = Ledger::new(&scribe);
            standings::apply(conn, &mut ledger, &wished)?;
            ledger.close(conn)?;
        }
        for ((segment, list), contacts) in self.take_off {
            let scribe = scribe(segment, book);
            let mut ledger = Ledger::new(&scribe);
            standings::take_off(conn, &mut ledger, list, &contacts)?;
            ledger.close(conn)?;
        }
        record(conn, &self.record, now)
    }
}

fn scribe(segment: SegmentId, book: &RefusalBook) -> Scribe {
    Scribe { act: Arc::new(Act::of(Source::segment(segment))), book: book.clone() }
}

fn record(conn: &mut Conn, all: &[(ContactId, UtcInstant, &EventToRecord)], now: UtcInstant) -> Result<(), StoreError> {
    let ids = events::ids(conn, all.len())?;
    let properties: Vec<String> = all.iter().map(|(_, _, event)| properties(event)).collect();
    let source = EventSource::volley();
    let rows: Vec<NewEvent<'_>> = all
        .iter()
        .zip(ids)
        .zip(&properties)
        .map(|(((contact, at, event), id), properties)| NewEvent {
            id,
            contact: *contact,
            name: &event.name,
            properties,
            occurred_at: *at,
            source: source.as_str(),
        })
        .collect();
    events::insert(conn, &rows, now)
}

fn properties(event: &EventToRecord) -> String {
    serde_json::Value::Object(event.properties.clone()).to_string()
}
