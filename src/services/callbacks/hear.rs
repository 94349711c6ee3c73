//! A message that somebody sent is heard: stop refuses its channel, start takes that back, and everything else is an event.
//!
//! What was said last counts, whenever it comes. Where two things were said at the same moment, the refusal counts.

use std::slice::from_ref;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::domain::callbacks::inbound::{Inbound, event};
use crate::domain::callbacks::words::{Ask, Words};
use crate::domain::channel::ChannelKind;
use crate::domain::events::EventSource;
use crate::domain::ids::{CallbackId, ContactId, EventId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{Act, EVERYTHING, Reason, Source, addresses_of};
use crate::store::callbacks::{self, Taken};
use crate::store::events::{self, EventKey, NewEvent, NewKey};
use crate::store::people::consent::{Ledger, Scribe};
use crate::store::people::refusals::RefusalBook;
use crate::store::people::standings;
use crate::store::people::suppressions::{self, Entry};
use crate::store::{Conn, StoreError, engine};

/// As far as it is read how often somebody has said start since then.
const STARTS_READ: i64 = 50;

/// A message that somebody sent, and what it asks for. It holds personal data: never logged, so it has no `Debug`.
#[derive(Clone)]
pub(super) struct Message {
    callback: CallbackId,
    pool: String,
    key: String,
    channel: ChannelKind,
    from: String,
    /// When it was said: nothing is said after it came.
    at: UtcInstant,
    /// `None`: nothing that has a meaning here.
    ask: Option<Ask>,
}

impl Message {
    /// The text is compared with the words, and goes no further.
    pub(super) fn new(callback: &Taken, inbound: Inbound, words: &Words) -> Self {
        Self {
            callback: callback.id,
            pool: callback.pool.clone(),
            ask: words.asked(&inbound.text),
            at: inbound.sent_at.min(callback.received_at),
            key: inbound.key,
            channel: inbound.channel,
            from: inbound.from,
        }
    }

    pub(super) const fn channel(&self) -> ChannelKind {
        self.channel
    }

    /// For figures: what it asks for.
    pub(super) fn said(&self) -> &'static str {
        self.ask.map_or("other", Ask::as_str)
    }

    fn address(&self) -> (ChannelKind, String) {
        (self.channel, self.from.clone())
    }

    fn scribe(&self, book: &RefusalBook) -> Scribe {
        let act = Act { at: Some(self.at), ..Act::of(Source::pool(&self.pool)) };
        Scribe { act: Arc::new(act), book: book.clone() }
    }

    fn entry(&self, contact: Option<ContactId>) -> Entry {
        Entry {
            address: self.from.clone(),
            channel: self.channel,
            topic: EVERYTHING,
            reason: Reason::Stopped,
            at: self.at,
            contact,
            act: None,
            is_said: true,
        }
    }
}

/// Stores what follows from a message, and that its callback is done, inside the caller's write transaction. Whether it is new: one that
/// was heard before has no second effect.
///
/// # Errors
/// A query failed.
pub(super) fn hear(conn: &mut Conn, book: &RefusalBook, message: &Message) -> Result<bool, StoreError> {
    let now = engine::now(conn)?;
    let source = EventSource::of_pool(&message.pool);
    let key = EventKey { source: source.as_str().to_owned(), key: message.key.clone() };
    let is_new = !events::recall(conn, &[&key])?.contains_key(&key);
    if is_new {
        let senders = hold_senders(conn, message)?;
        match message.ask {
            Some(Ask::Stop) => stop(conn, book, message, &senders)?,
            Some(Ask::Start) => start(conn, book, message, &senders)?,
            Some(Ask::Help) | None => {}
        }
        note(conn, &key, message, &senders, now)?;
    }
    callbacks::finish(conn, &[message.callback])?;
    Ok(is_new)
}

/// Everybody who has the address that it came from, locked.
fn hold_senders(conn: &mut Conn, message: &Message) -> Result<Vec<ContactId>, StoreError> {
    let address = message.address();
    let holders = standings::holders(conn, from_ref(&address))?;
    let held = standings::hold(conn, &holders)?;
    let has_it = held.into_iter().filter(|held| !held.is_deleted && addresses_of(&held.keys).contains(&address));
    Ok(has_it.map(|held| held.id).collect())
}

/// The address refuses the channel, whoever has it, also if nobody has.
fn stop(conn: &mut Conn, book: &RefusalBook, message: &Message, senders: &[ContactId]) -> Result<(), StoreError> {
    for sender in senders {
        if has_started_since(conn, *sender, message)? {
            return Ok(());
        }
    }
    let scribe = message.scribe(book);
    let mut ledger = Ledger::new(&scribe);
    suppressions::set(conn, &mut ledger, &[message.entry(senders.first().copied())])?;
    ledger.close(conn)
}

/// Whether somebody has said start on this channel after this was said.
fn has_started_since(conn: &mut Conn, contact: ContactId, message: &Message) -> Result<bool, StoreError> {
    let since = message.at.plus_ms(1);
    let starts = callbacks::properties_since(conn, contact, event(Some(Ask::Start)), since, STARTS_READ)?;
    Ok(starts.iter().any(|properties| {
        let properties: Value = serde_json::from_str(properties).unwrap_or_default();
        properties.get("channel").and_then(Value::as_str) == Some(message.channel.as_str())
    }))
}

/// The address takes back what it has stopped, and nothing else: who has unsubscribed stays so.
fn start(conn: &mut Conn, book: &RefusalBook, message: &Message, senders: &[ContactId]) -> Result<(), StoreError> {
    let address = message.address();
    let rows = suppressions::hold_of_addresses(conn, from_ref(&address))?;
    let stopped = rows.iter().filter(|row| row.topic == EVERYTHING);
    let stopped: Vec<(ChannelKind, UtcInstant)> =
        stopped.filter_map(|row| Some((row.channel, row.stopped_at?))).collect();
    let here = stopped.iter().find(|(channel, _)| *channel == message.channel);
    if here.is_none_or(|(_, at)| *at >= message.at) {
        return Ok(());
    }
    let scribe = message.scribe(book);
    let mut ledger = Ledger::new(&scribe);
    let contact = senders.first().copied();
    suppressions::lift(conn, &mut ledger, from_ref(&address), EVERYTHING, Reason::Stopped, contact)?;
    // Channel `http` has the same address, and stays stopped for as long as another channel is.
    let others = stopped.iter().filter(|(channel, _)| ![message.channel, ChannelKind::Http].contains(channel));
    if let Some(at) = others.map(|(_, at)| *at).max() {
        let entry = Entry { channel: ChannelKind::Http, at, is_said: false, ..message.entry(contact) };
        suppressions::set(conn, &mut ledger, &[entry])?;
    }
    ledger.close(conn)
}

/// The event of those who have the address: how it came, and nothing of what it says.
fn note(
    conn: &mut Conn,
    key: &EventKey,
    message: &Message,
    senders: &[ContactId],
    now: UtcInstant,
) -> Result<(), StoreError> {
    let ids = events::ids(conn, senders.len())?;
    // Of nobody there is no event. That it was heard is remembered all the same.
    let first = ids.first().copied().unwrap_or(EventId(0));
    events::remember(conn, &[NewKey { key, body_hash: "", event: first }], now)?;
    let properties = json!({ "channel": message.channel }).to_string();
    let rows: Vec<NewEvent<'_>> = senders
        .iter()
        .zip(ids)
        .map(|(contact, id)| NewEvent {
            id,
            contact: *contact,
            name: event(message.ask),
            properties: &properties,
            occurred_at: message.at.min(now),
            source: &key.source,
        })
        .collect();
    events::insert(conn, &rows, now)
}
