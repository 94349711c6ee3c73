//! Events of contacts. Rows are added and never changed; old ones go.

mod dialect;
pub mod listing;

use std::collections::HashMap;

use diesel::prelude::*;
use sha2::{Digest, Sha256};

use crate::domain::events::{EventSource, KEYS_KEPT_MS, MAX_KEY};
use crate::domain::ids::{ContactId, EventId};
use crate::domain::instant::UtcInstant;
use crate::domain::segments::topic::Topic;
use crate::store::engine::schema::{event_keys, events};
use crate::store::engine::touches::Touches;
use crate::store::{Conn, StoreError, engine};

/// Rows that one transaction removes at most: it holds SQLite's only writer for some milliseconds.
const PORTION: i64 = 1_000;

/// An event as stored. Holds personal data: never logged, hence no `Debug`.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = events)]
pub struct EventRow {
    /// Its id: a later one has a higher one, unless both came at the same moment.
    pub id: EventId,
    /// Whose event.
    pub contact_id: ContactId,
    /// Its name.
    pub name: String,
    /// What else is known of it, as a JSON object.
    pub properties: String,
    /// When it occurred.
    pub occurred_at: UtcInstant,
    /// When Volley stored it.
    pub received_at: UtcInstant,
    /// Who told of it.
    pub source: String,
}

/// An event to store.
pub struct NewEvent<'a> {
    /// Its id, out of [`ids`].
    pub id: EventId,
    /// Whose event.
    pub contact: ContactId,
    /// Its name.
    pub name: &'a str,
    /// A JSON object.
    pub properties: &'a str,
    /// When it occurred.
    pub occurred_at: UtcInstant,
    /// Who tells of it.
    pub source: &'a str,
}

/// A key under which an event is stored once. Of two sources, the same key means two events.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey {
    /// Who tells of the event.
    pub source: String,
    /// The key that it gave.
    pub key: String,
}

impl EventKey {
    /// A key of something that others number. Long and strange numbers are hashed, so that none of them keeps others from being
    /// stored.
    #[must_use]
    pub fn of(source: &EventSource, id: &str) -> Self {
        let is_plain = !id.is_empty() && id.len() <= MAX_KEY && !id.chars().any(char::is_control);
        let key = if is_plain { id.to_owned() } else { format!("sha256:{:x}", Sha256::digest(id.as_bytes())) };
        Self { source: source.as_str().to_owned(), key }
    }
}

/// A key to store, and what came under it.
pub struct NewKey<'a> {
    /// The key.
    pub key: &'a EventKey,
    /// A hash of the event without its key.
    pub body_hash: &'a str,
    /// The event.
    pub event: EventId,
}

/// What came under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKey {
    /// A hash of the event without its key.
    pub body_hash: String,
    /// The event. It may have been removed since.
    pub event: EventId,
}

/// Ids for `count` new events. Nobody else gets them.
///
/// # Errors
/// The query failed.
pub fn ids(conn: &mut Conn, count: usize) -> Result<Vec<EventId>, StoreError> {
    if count == 0 { Ok(Vec::new()) } else { dialect::ids(conn, count) }
}

/// The newest events of a contact with this name, newest first, at most so many.
///
/// # Errors
/// The query failed.
pub fn newest(conn: &mut Conn, contact: ContactId, name: &str, most: i64) -> Result<Vec<EventRow>, StoreError> {
    events::table
        .filter(events::contact_id.eq(contact).and(events::name.eq(name)))
        .order(events::occurred_at.desc())
        .limit(most)
        .select(EventRow::as_select())
        .load(conn)
        .map_err(StoreError::query("read the newest events of a contact"))
}

/// Stores events. Belongs in a write transaction.
///
/// # Errors
/// A query failed.
pub fn insert(conn: &mut Conn, events: &[NewEvent<'_>], received_at: UtcInstant) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    dialect::insert(conn, events, received_at)?;
    let mut touches = Touches::default();
    events.iter().for_each(|event| touches.add(event.contact, Topic::Event(event.name.to_owned())));
    touches.write(conn)
}

/// What came under those of `keys` that are known.
///
/// # Errors
/// The query failed.
pub fn recall(conn: &mut Conn, keys: &[&EventKey]) -> Result<HashMap<EventKey, KnownKey>, StoreError> {
    if keys.is_empty() { Ok(HashMap::new()) } else { dialect::recall(conn, keys) }
}

/// Stores keys, in their order. It waits for other transactions that are storing one of them.
///
/// # Errors
/// A query failed. [`StoreError::Stale`]: another transaction has stored one of them meanwhile.
pub fn remember(conn: &mut Conn, keys: &[NewKey<'_>], now: UtcInstant) -> Result<(), StoreError> {
    if keys.is_empty() {
        return Ok(());
    }
    if dialect::remember(conn, keys, now)? == keys.len() { Ok(()) } else { Err(StoreError::Stale { what: "a key" }) }
}

/// An event.
///
/// # Errors
/// The query failed.
pub fn find(conn: &mut Conn, id: EventId) -> Result<Option<EventRow>, StoreError> {
    events::table
        .filter(events::id.eq(id))
        .select(EventRow::as_select())
        .first(conn)
        .optional()
        .map_err(StoreError::query("read an event"))
}

/// Removes a portion of the events that were received more than so many milliseconds ago. Whether there may be more. Their contacts are
/// evaluated for segments that count the events which are kept.
///
/// # Errors
/// A query failed.
pub fn prune(conn: &mut Conn, keep_ms: i64) -> Result<bool, StoreError> {
    let before = engine::now(conn)?.plus_ms(-keep_ms);
    // Ids rise with the time of receipt, so that the oldest come first, without an index of times.
    let oldest: Vec<(EventId, UtcInstant)> = events::table
        .order(events::id)
        .limit(PORTION)
        .select((events::id, events::received_at))
        .load(conn)
        .map_err(StoreError::query("look for old events"))?;
    let Some((last, _)) = oldest.iter().rfind(|(_, received)| *received < before) else { return Ok(false) };
    let removed: Vec<(ContactId, String)> =
        diesel::delete(events::table.filter(events::id.le(last).and(events::received_at.lt(before))))
            .returning((events::contact_id, events::name))
            .get_results(conn)
            .map_err(StoreError::query("remove old events"))?;
    let count = removed.len();
    let mut touches = Touches::default();
    removed.into_iter().for_each(|(contact, name)| touches.add(contact, Topic::Event(name)));
    touches.write(conn)?;
    Ok(i64::try_from(count).is_ok_and(|count| count >= PORTION))
}

/// Removes a portion of the keys that are older than 30 days. Whether there may be more.
///
/// # Errors
/// A query failed.
pub fn prune_keys(conn: &mut Conn) -> Result<bool, StoreError> {
    let before = engine::now(conn)?.plus_ms(-KEYS_KEPT_MS);
    let cut: Option<UtcInstant> = event_keys::table
        .filter(event_keys::at.lt(before))
        .order(event_keys::at)
        .offset(PORTION)
        .select(event_keys::at)
        .first(conn)
        .optional()
        .map_err(StoreError::query("look for old keys of events"))?;
    diesel::delete(event_keys::table.filter(event_keys::at.le(cut.unwrap_or(before.plus_ms(-1)))))
        .execute(conn)
        .map_err(StoreError::query("remove old keys of events"))?;
    Ok(cut.is_some())
}
