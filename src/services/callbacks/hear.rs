//! A message that somebody sent is heard: stop refuses its channel, start takes that back, and everything else is an event.
//!
//! It is heard before it is answered: a refusal waits behind no reports, and the instance that takes it knows the pool and its words.
//! What was said last counts, whenever it comes. Where two things were said at the same moment, the refusal counts.

use std::slice::from_ref;
use std::sync::Arc;

use metrics::counter;
use serde_json::{Value, json};

use crate::domain::callbacks::NotUnderstood;
use crate::domain::callbacks::inbound::{Inbound, event};
use crate::domain::callbacks::words::{Ask, Words};
use crate::domain::channel::ChannelKind;
use crate::domain::events::EventSource;
use crate::domain::ids::{CallbackId, ContactId, EventId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{Act, EVERYTHING, Reason, Source, addresses_of};
use crate::store::callbacks;
use crate::store::events::{self, EventKey, NewEvent, NewKey};
use crate::store::people::consent::{Ledger, Scribe};
use crate::store::people::refusals::RefusalBook;
use crate::store::people::standings::{self, KnownContact};
use crate::store::people::suppressions::{self, Entry};
use crate::store::{Conn, Lane, Store, StoreError, engine};

/// As far as it is read how often somebody has said start since then.
const STARTS_READ: i64 = 50;

/// A message that somebody sent, and what it asks for. It holds personal data: never logged, so it has no `Debug`.
#[derive(Clone)]
pub(super) struct Message {
    pool: String,
    /// What the pool sends.
    by: ChannelKind,
    key: String,
    channel: ChannelKind,
    from: String,
    /// When it was said: nothing is said after it came.
    at: UtcInstant,
    /// `None`: nothing that has a meaning here.
    ask: Option<Ask>,
}

impl Message {
    /// What came to a pool that sends on this channel. The text is compared with the words, and goes no further.
    ///
    /// # Errors
    /// The pool hears no other channel than its own: its secret speaks for that.
    pub(super) fn new(
        pool: &str,
        by: Option<ChannelKind>,
        inbound: Inbound,
        words: &Words,
        received_at: UtcInstant,
    ) -> Result<Self, NotUnderstood> {
        let by = by.filter(|own| *own == inbound.channel || *own == ChannelKind::Http);
        let by = by.ok_or_else(|| NotUnderstood("data.channel is another one than the pool's".to_owned()))?;
        Ok(Self {
            pool: pool.to_owned(),
            by,
            ask: words.asked(&inbound.text),
            at: inbound.sent_at.min(received_at),
            key: inbound.key,
            channel: inbound.channel,
            from: inbound.from,
        })
    }

    fn address(&self) -> (ChannelKind, String) {
        (self.channel, self.from.clone())
    }

    fn scribe(&self, book: &RefusalBook) -> Scribe {
        let act = Act { at: Some(self.at), ..Act::of(Source::pool(&self.pool)) };
        Scribe { act: Arc::new(act), book: book.clone() }
    }

    /// The stop of the address, and of those that the pool would reach its holders by: channel `http` goes by the email first, even if
    /// what it sends are text messages.
    fn entries(&self, senders: &[KnownContact]) -> Vec<Entry> {
        let own = (self.address(), senders.first());
        let beside = senders.iter().flat_map(|sender| self.beside(sender).map(move |address| (address, Some(sender))));
        let entry = |((channel, address), sender): ((ChannelKind, String), Option<&KnownContact>)| Entry {
            address,
            channel,
            topic: EVERYTHING,
            reason: Reason::Stopped,
            at: self.at,
            contact: sender.map(|sender| sender.id),
            act: None,
            is_said: true,
        };
        std::iter::once(own).chain(beside).map(entry).collect()
    }

    /// The other address that a pool of channel `http` reaches this contact by.
    fn beside(&self, sender: &KnownContact) -> impl Iterator<Item = (ChannelKind, String)> {
        let own = self.from.clone();
        let is_http = self.by == ChannelKind::Http;
        let all = addresses_of(&sender.keys).into_iter();
        all.filter(move |(channel, address)| is_http && *channel == ChannelKind::Http && *address != own)
    }
}

/// Hears a message in a transaction of its own, and marks its callback as done, where it is one that was stored. Whether it is new: one
/// that was heard before has no second effect.
///
/// # Errors
/// A query failed, and nothing is stored.
pub(super) async fn hear_once(
    store: &Store,
    book: &RefusalBook,
    message: Message,
    callback: Option<CallbackId>,
) -> Result<bool, StoreError> {
    let (channel, said, book) = (message.channel, message.ask.map_or("other", Ask::as_str), book.clone());
    let work = move |conn: &mut Conn| {
        let is_new = hear(conn, &book, &message)?;
        callbacks::finish(conn, callback.as_slice())?;
        Ok(is_new)
    };
    let is_new = store.transact::<_, StoreError>(Lane::Write, "hear a message", work).await?;
    if is_new {
        counter!("volley_inbound_messages_total", "channel" => channel.as_str(), "said" => said).increment(1);
    }
    Ok(is_new)
}

/// Stores what follows from a message, inside the caller's write transaction. Whether it is new.
///
/// # Errors
/// A query failed.
fn hear(conn: &mut Conn, book: &RefusalBook, message: &Message) -> Result<bool, StoreError> {
    let now = engine::now(conn)?;
    let source = EventSource::of_pool(&message.pool);
    let key = EventKey { source: source.as_str().to_owned(), key: message.key.clone() };
    if events::recall(conn, &[&key])?.contains_key(&key) {
        return Ok(false);
    }
    let senders = hold_senders(conn, message)?;
    match message.ask {
        Some(Ask::Stop) => stop(conn, book, message, &senders)?,
        Some(Ask::Start) => start(conn, book, message, &senders)?,
        Some(Ask::Help) | None => {}
    }
    note(conn, &key, message, &senders, now)?;
    Ok(true)
}

/// Everybody who has the address that it came from, locked.
fn hold_senders(conn: &mut Conn, message: &Message) -> Result<Vec<KnownContact>, StoreError> {
    let address = message.address();
    let holders = standings::holders(conn, from_ref(&address))?;
    let held = standings::hold(conn, &holders)?;
    let has_it = |held: &KnownContact| !held.is_deleted && addresses_of(&held.keys).contains(&address);
    Ok(held.into_iter().filter(has_it).collect())
}

/// The address refuses the channel for all who have it, also if nobody has it.
fn stop(conn: &mut Conn, book: &RefusalBook, message: &Message, senders: &[KnownContact]) -> Result<(), StoreError> {
    for sender in senders {
        if has_started_since(conn, sender.id, message)? {
            return Ok(());
        }
    }
    let scribe = message.scribe(book);
    let mut ledger = Ledger::new(&scribe);
    suppressions::set(conn, &mut ledger, &message.entries(senders))?;
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
fn start(conn: &mut Conn, book: &RefusalBook, message: &Message, senders: &[KnownContact]) -> Result<(), StoreError> {
    let mut addresses = vec![message.address()];
    addresses.extend(senders.iter().flat_map(|sender| addresses_of(&sender.keys)));
    let rows = suppressions::hold_of_addresses(conn, &addresses)?;
    let stops = |address: &str| {
        let rows = rows.iter().filter(|row| row.topic == EVERYTHING && row.address == address);
        rows.filter_map(|row| Some((row.channel, row.stopped_at?))).collect::<Vec<_>>()
    };
    let scribe = message.scribe(book);
    let mut ledger = Ledger::new(&scribe);
    for entry in message.entries(senders) {
        let stopped = stops(&entry.address);
        let here = stopped.iter().find(|(channel, _)| *channel == entry.channel).map(|(_, at)| *at);
        let Some(here) = here.filter(|at| *at < message.at) else { continue };
        let address = (entry.channel, entry.address.clone());
        suppressions::lift(conn, &mut ledger, from_ref(&address), EVERYTHING, Reason::Stopped, entry.contact)?;
        // Channel `http` has the same address, and stays stopped for as long as another channel is, or by a later word about itself.
        let others = stopped.iter().filter(|(channel, at)| match channel {
            ChannelKind::Http => *at > here,
            ChannelKind::Email | ChannelKind::Sms | ChannelKind::Whatsapp => *channel != entry.channel,
        });
        if let Some(at) = others.map(|(_, at)| *at).max() {
            let http = Entry { channel: ChannelKind::Http, at, is_said: false, ..entry };
            suppressions::set(conn, &mut ledger, &[http])?;
        }
    }
    ledger.close(conn)
}

/// The event of those who have the address: how it came, and nothing of what it says.
fn note(
    conn: &mut Conn,
    key: &EventKey,
    message: &Message,
    senders: &[KnownContact],
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
        .map(|(sender, id)| NewEvent {
            id,
            contact: sender.id,
            name: event(message.ask),
            properties: &properties,
            occurred_at: message.at.min(now),
            source: &key.source,
        })
        .collect();
    events::insert(conn, &rows, now)
}
