//! Events, stored in the caller's transaction: the one place where an event comes in. Their order: the key, the contact, its
//! attributes, the event, the lists.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::told::{Refused, Stored, Told};
use crate::domain::events::{EventSource, occurred};
use crate::domain::ids::{ApiKeyId, ContactId, EventId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{Act, Source};
use crate::domain::people::contact::BuiltIn;
use crate::domain::people::standing::{Grounds, Wish};
use crate::services::Asker;
use crate::store::access::api_keys;
use crate::store::events::{self, EventKey, KnownKey, NewEvent, NewKey};
use crate::store::people::consent::{Ledger, Scribe};
use crate::store::people::contacts::strongest::{ContactKeys, Meeting, Met, Place, Written};
use crate::store::people::lists::{self, ListKey};
use crate::store::people::refusals::RefusalBook;
use crate::store::people::standings::{self, Wished};
use crate::store::{Conn, StoreError, engine};

/// What becomes of one event.
pub(super) type Fate = Result<Stored, Refused>;

/// An event whose key is new, if it has one.
struct Unseen<'a> {
    index: usize,
    told: &'a Told,
    source: &'a str,
    key: Option<EventKey>,
}

/// An event that goes on.
struct Open<'a> {
    unseen: Unseen<'a>,
    occurred_at: UtcInstant,
    lists: Vec<ListId>,
}

/// Stores events. What became of each of them, in their order. It waits for no contact that another transaction has locked: who
/// means one is [`Refused::Busy`], and is to be tried again.
///
/// # Errors
/// A query failed. After a [contention](StoreError::is_contention) the same may go well.
pub(super) fn record(conn: &mut Conn, book: &RefusalBook, all: &[Told]) -> Result<Vec<Fate>, StoreError> {
    let now = engine::now(conn)?;
    let sources = sources(conn, all)?;
    let mut fates: Vec<Option<Fate>> = all.iter().map(|_| None).collect();
    // First: whatever has become of its lists since, a repeated event is answered as the first one.
    let (unseen, repeats) = unseen(conn, all, &sources, &mut fates)?;
    let open = open(conn, unseen, now, &mut fates)?;
    let stored = store(conn, book, open, now, &mut fates)?;
    for Repeat { index, first, is_same } in repeats {
        let fate = match stored.get(&first) {
            Some(event) if is_same => Ok(Stored { event: *event, is_new: false, ignored: Vec::new() }),
            Some(_) => Err(Refused::KeyReused),
            None => Err(Refused::Busy),
        };
        set(&mut fates, index, fate);
    }
    fates.into_iter().map(|fate| fate.ok_or(StoreError::Stale { what: "an event" })).collect()
}

fn set(fates: &mut [Option<Fate>], index: usize, fate: Fate) {
    if let Some(place) = fates.get_mut(index) {
        *place = Some(fate);
    }
}

/// What each of those who tell calls itself.
fn sources(conn: &mut Conn, all: &[Told]) -> Result<Vec<EventSource>, StoreError> {
    let mut keys: Vec<ApiKeyId> = all.iter().filter_map(|told| api_key(&told.by.asker)).collect();
    keys.sort_unstable();
    keys.dedup();
    let known = api_keys::sources(conn, &keys)?;
    let of_key = |id| known.get(&id).cloned().unwrap_or_else(|| EventSource::of_key(&format!("key {id}"), None));
    let source = |told: &Told| match (api_key(&told.by.asker), &told.by.asker) {
        (Some(id), _) => of_key(id),
        (None, Asker::RootKey) => EventSource::root(),
        (None, _) => EventSource::volley(),
    };
    Ok(all.iter().map(source).collect())
}

fn api_key(asker: &Asker) -> Option<ApiKeyId> {
    if let Asker::ApiKey(id) = asker { Some(*id) } else { None }
}

/// An event that comes under the key of another one of these.
struct Repeat {
    index: usize,
    /// The first one under the key.
    first: usize,
    /// Whether it says the same as the first one.
    is_same: bool,
}

/// Those whose key is new. Of several with the same key, the first one; the others are repeats.
fn unseen<'a>(
    conn: &mut Conn,
    all: &'a [Told],
    sources: &'a [EventSource],
    fates: &mut [Option<Fate>],
) -> Result<(Vec<Unseen<'a>>, Vec<Repeat>), StoreError> {
    let events = all.iter().zip(sources).enumerate().map(|(index, (told, source))| {
        let key = told.key.as_ref();
        let key = key.map(|key| EventKey { source: source.as_str().to_owned(), key: key.text.clone() });
        Unseen { index, told, source: source.as_str(), key }
    });
    let events: Vec<Unseen<'a>> = events.collect();
    let keys: Vec<&EventKey> = events.iter().filter_map(|event| event.key.as_ref()).collect();
    let known: HashMap<EventKey, KnownKey> = events::recall(conn, &keys)?;
    let mut first: HashMap<EventKey, (usize, &'a str)> = HashMap::new();
    let (mut new, mut repeats) = (Vec::with_capacity(events.len()), Vec::new());
    for event in events {
        let (Some(key), Some(given)) = (&event.key, &event.told.key) else {
            new.push(event);
            continue;
        };
        if let Some(known) = known.get(key) {
            let is_same = known.body_hash == given.body_hash;
            let repeat = Stored { event: known.event, is_new: false, ignored: Vec::new() };
            set(fates, event.index, if is_same { Ok(repeat) } else { Err(Refused::KeyReused) });
            continue;
        }
        match first.get(key) {
            Some((index, hash)) => {
                repeats.push(Repeat { index: event.index, first: *index, is_same: *hash == given.body_hash });
            }
            None => {
                first.insert(key.clone(), (event.index, &given.body_hash));
                new.push(event);
            }
        }
    }
    Ok((new, repeats))
}

/// Those that occurred already, and whose lists exist.
fn open<'a>(
    conn: &mut Conn,
    unseen: Vec<Unseen<'a>>,
    now: UtcInstant,
    fates: &mut [Option<Fate>],
) -> Result<Vec<Open<'a>>, StoreError> {
    let names: HashSet<ListKey> = unseen.iter().flat_map(|event| event.told.lists.iter().cloned()).collect();
    let names: Vec<ListKey> = names.into_iter().collect();
    let known = if names.is_empty() { HashMap::new() } else { lists::existing(conn, &names)? };
    let mut open = Vec::with_capacity(unseen.len());
    for unseen in unseen {
        let told = unseen.told;
        let Some(occurred_at) = occurred(told.occurred_at, now) else {
            set(fates, unseen.index, Err(Refused::TooFarAhead { now }));
            continue;
        };
        if let Some((place, name)) = told.lists.iter().enumerate().find(|(_, name)| !known.contains_key(name)) {
            set(fates, unseen.index, Err(Refused::NoList { place, name: name.clone() }));
            continue;
        }
        let lists = told.lists.iter().filter_map(|name| known.get(name).copied()).collect();
        open.push(Open { unseen, occurred_at, lists });
    }
    Ok(open)
}

/// An event whose contact was met.
struct Ready<'a> {
    open: Open<'a>,
    event: EventId,
    place: Place,
    ignored: Vec<BuiltIn>,
}

/// Stores what is left. The events that were stored, by their indexes.
fn store<'a>(
    conn: &mut Conn,
    book: &RefusalBook,
    open: Vec<Open<'a>>,
    now: UtcInstant,
    fates: &mut [Option<Fate>],
) -> Result<HashMap<usize, EventId>, StoreError> {
    let given: Vec<ContactKeys> = open
        .iter()
        .map(|open| ContactKeys { is_held: !open.lists.is_empty(), ..open.unseen.told.contact.clone() })
        .collect();
    let mut meeting = Meeting::look(conn, &given.iter().collect::<Vec<_>>(), now)?;
    let mut met = Vec::with_capacity(open.len());
    for (open, given) in open.into_iter().zip(&given) {
        match meeting.meet(given)? {
            Met::Found(place, ignored) => met.push((open, place, ignored)),
            Met::Busy => set(fates, open.unseen.index, Err(Refused::Busy)),
            Met::Gone(id) => set(fates, open.unseen.index, Err(Refused::NoContact(id))),
        }
    }
    let ids = events::ids(conn, met.len())?;
    let ready: Vec<Ready<'a>> =
        met.into_iter().zip(ids).map(|((open, place, ignored), event)| Ready { open, event, place, ignored }).collect();
    remember(conn, &ready, now)?;
    let scribe = scribe(book, &ready);
    let mut ledger = Ledger::new(&scribe);
    let contacts = meeting.write(conn, &mut ledger)?;
    insert(conn, &ready, &contacts, now)?;
    subscribe(conn, &mut ledger, &ready, &contacts)?;
    ledger.close(conn)?;
    let mut stored = HashMap::with_capacity(ready.len());
    for Ready { open, event, ignored, .. } in ready {
        stored.insert(open.unseen.index, event);
        set(fates, open.unseen.index, Ok(Stored { event, is_new: true, ignored }));
    }
    Ok(stored)
}

/// Stores the keys, in one order everywhere: two transactions cannot wait for each other.
fn remember(conn: &mut Conn, ready: &[Ready<'_>], now: UtcInstant) -> Result<(), StoreError> {
    let keys: BTreeMap<&EventKey, (&str, EventId)> = ready
        .iter()
        .filter_map(|ready| {
            let given = ready.open.unseen.told.key.as_ref()?;
            Some((ready.open.unseen.key.as_ref()?, (given.body_hash.as_str(), ready.event)))
        })
        .collect();
    let keys: Vec<NewKey<'_>> =
        keys.into_iter().map(|(key, (body_hash, event))| NewKey { key, body_hash, event }).collect();
    events::remember(conn, &keys, now)
}

/// Who writes into the log of consent: with the request, where all events are of one.
fn scribe(book: &RefusalBook, ready: &[Ready<'_>]) -> Scribe {
    let mut requests = ready.iter().map(|ready| ready.open.unseen.told.by.request_id.as_deref());
    let first = requests.next().flatten();
    let request_id = first.filter(|first| requests.all(|other| other == Some(first))).map(ToOwned::to_owned);
    Scribe { act: Arc::new(Act { request_id, ..Act::of(Source::EVENT) }), book: book.clone() }
}

fn insert(conn: &mut Conn, ready: &[Ready<'_>], contacts: &Written, now: UtcInstant) -> Result<(), StoreError> {
    let mut rows = Vec::with_capacity(ready.len());
    for Ready { open, event, place, .. } in ready {
        let (contact, _) = contact(contacts, *place)?;
        rows.push(NewEvent {
            id: *event,
            contact,
            name: open.unseen.told.name.as_str(),
            properties: &open.unseen.told.properties,
            occurred_at: open.occurred_at,
            source: open.unseen.source,
        });
    }
    events::insert(conn, &rows, now)
}

fn contact(contacts: &Written, place: Place) -> Result<(ContactId, bool), StoreError> {
    contacts.contact(place).ok_or(StoreError::Stale { what: "a contact" })
}

/// Who has refused a list stays unsubscribed.
fn subscribe(
    conn: &mut Conn,
    ledger: &mut Ledger<'_>,
    ready: &[Ready<'_>],
    contacts: &Written,
) -> Result<(), StoreError> {
    let mut wished = Vec::new();
    for Ready { open, place, .. } in ready.iter().filter(|ready| !ready.open.lists.is_empty()) {
        let (contact, is_new) = contact(contacts, *place)?;
        let act = Act { request_id: open.unseen.told.by.request_id.clone(), ..Act::of(Source::EVENT) };
        let act = Some(Arc::new(act));
        wished.extend(open.lists.iter().map(|list| Wished {
            act: act.clone(),
            is_new,
            ..Wished::new(contact, *list, Wish::Subscribe(Grounds::Claimed))
        }));
    }
    let outcomes = standings::apply(conn, ledger, &wished)?;
    // A list was deleted since it was looked up.
    if outcomes.len() == wished.len() { Ok(()) } else { Err(StoreError::Stale { what: "a list" }) }
}
