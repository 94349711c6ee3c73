//! Stored callbacks are read: what they say is counted, and what follows is stored.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge};

use super::consequences::{Happened, follow, hold};
use super::hear::{Message, hear_once};
use crate::config::Settings;
use crate::domain::callbacks::words::Words;
use crate::domain::callbacks::{Format, NotUnderstood, Received, Report, Said, mail, short_key};
use crate::domain::channel::ChannelKind;
use crate::domain::dispatch::delivery::DeliveryId;
use crate::domain::events::EventSource;
use crate::domain::ids::CallbackId;
use crate::domain::people::link::Link;
use crate::services::people::links::Links;
use crate::store::callbacks::{self, Origin, Taken};
use crate::store::dispatch::reported;
use crate::store::events::EventKey;
use crate::store::people::refusals::RefusalBook;
use crate::store::reports::{self, Fate, Line};
use crate::store::{Conn, Lane, Store, StoreError};

/// Callbacks that are read at once: each may have a body of 1 MiB.
pub const AT_ONCE: i64 = 20;

/// How long a reader has for the callbacks that it took, in milliseconds. After that another one takes them; nothing counts twice.
const TAKEN_FOR_MS: i64 = 30_000;

/// How long a callback waits that is about a delivery which is just being moved, in milliseconds.
const PUT_OFF_MS: i64 = 250;

/// The waits between attempts to understand a callback, in milliseconds. After one more attempt it has failed.
const WAITS_MS: [i64; 2] = [1_000, 5_000];

/// How often reports are tried whose transaction failed because of another one.
const TRIES: usize = 5;

/// Between these tries.
const PAUSE: Duration = Duration::from_millis(20);

/// Reads callbacks. Cloning is cheap.
#[derive(Clone)]
pub struct CallbackBook {
    store: Store,
    refusals: RefusalBook,
    links: Links,
    /// What people can answer.
    words: Arc<Words>,
    /// What each pool sends.
    channels: Arc<HashMap<String, ChannelKind>>,
}

/// A callback that was understood.
struct Understood {
    id: CallbackId,
    pool: String,
    format: String,
    entries: Vec<Entry>,
    /// In place of reports: a message that somebody sent.
    message: Option<Message>,
}

/// A report of a callback, of which it is known how it is stored.
#[derive(Clone)]
struct Entry {
    callback: CallbackId,
    format: &'static str,
    pool: String,
    report: Report,
    /// Which delivery it is about, where a signed token says so.
    proved: Option<DeliveryId>,
}

/// What came of some reports.
#[derive(Default)]
struct Came {
    /// Callbacks with a report whose delivery is just being moved.
    later: BTreeSet<CallbackId>,
    /// Callbacks with a report about a delivery in doubt, which is still to be settled.
    unsettled: BTreeSet<CallbackId>,
    in_doubt: BTreeSet<DeliveryId>,
    /// How many reports had which fate.
    tally: BTreeMap<(&'static str, &'static str), u64>,
}

impl CallbackBook {
    /// Callbacks in this database. Refusals are filed in this book, and tokens in mail are opened by these links.
    #[must_use]
    pub fn new(store: Store, refusals: RefusalBook, links: Links, settings: &Settings) -> Self {
        let channels = settings.pools.iter().map(|pool| (pool.name.clone(), pool.channel)).collect();
        Self { store, refusals, links, words: Arc::new(settings.inbound.words()), channels: Arc::new(channels) }
    }

    /// Reads some callbacks that are due. How many were taken: fewer than [`AT_ONCE`] if no more are due.
    ///
    /// # Errors
    /// The database does not answer. What was taken is tried again.
    pub async fn read_due(&self) -> Result<usize, StoreError> {
        let (pending, due) = self.store.run(Lane::Read, "count callbacks", callbacks::pending).await?;
        // Up to 10,000.
        gauge!("volley_callbacks_pending").set(u32::try_from(pending).map_or(f64::MAX, f64::from));
        if due == 0 {
            return Ok(0);
        }
        let take = |conn: &mut Conn| callbacks::take(conn, AT_ONCE, TAKEN_FOR_MS);
        let taken: Vec<Taken> = self.store.transact::<_, StoreError>(Lane::Write, "take callbacks", take).await?;
        let (count, mut read) = (taken.len(), Vec::with_capacity(taken.len()));
        for callback in taken {
            let (id, pool, format) = (callback.id, callback.pool.clone(), callback.format.clone());
            match self.understand(callback).await? {
                Ok(understood) => read.push(understood),
                Err(NotUnderstood(error)) => self.fail(id, &pool, &format, error).await?,
            }
        }
        let (messages, reports): (Vec<Understood>, Vec<Understood>) =
            read.into_iter().partition(|understood| understood.message.is_some());
        // Refusals wait for no report.
        for understood in messages {
            let heard = self.hear(&understood).await;
            self.end(&understood, heard).await?;
        }
        let together = reports.iter().flat_map(|understood| understood.entries.clone()).collect();
        let ids = reports.iter().map(|understood| understood.id).collect();
        match self.make_true(ids, together).await {
            Ok(()) => {}
            Err(error) if error.is_outage() => return Err(error),
            // One of them is not taken by the database: the others do not wait for it.
            Err(_) => {
                for understood in reports {
                    let made_true = self.make_true(vec![understood.id], understood.entries.clone()).await;
                    self.end(&understood, made_true).await?;
                }
            }
        }
        Ok(count)
    }

    /// A callback that was made true by itself, or not.
    ///
    /// # Errors
    /// The database does not answer.
    async fn end(&self, understood: &Understood, made_true: Result<(), StoreError>) -> Result<(), StoreError> {
        let Understood { id, pool, format, .. } = understood;
        let id = *id;
        match made_true {
            Ok(()) => Ok(()),
            Err(error) if error.is_outage() => Err(error),
            // Others were moving the same rows: that says nothing about the callback.
            Err(error) if error.is_contention() => {
                let put_off = move |conn: &mut Conn| callbacks::put_off(conn, &[id], PUT_OFF_MS);
                self.store.transact(Lane::Write, "put a callback off", put_off).await
            }
            Err(error) => {
                tracing::error!(event = "callback.not_stored", callback.id = id.0, error = %error, "what a callback says could not be stored");
                let said = "the database does not take what it says; the log of the instance says more";
                self.fail(id, pool, format, said.to_owned()).await
            }
        }
    }

    /// A message that somebody sent has its effect, and its callback is done.
    async fn hear(&self, understood: &Understood) -> Result<(), StoreError> {
        let Some(message) = understood.message.clone() else { return Ok(()) };
        hear_once(&self.store, &self.refusals, message, Some(understood.id)).await.map(drop)
    }

    /// Counts what some callbacks say, stores what follows, and marks them as done. Each report counts once, however often this is tried.
    async fn make_true(&self, ids: Vec<CallbackId>, entries: Vec<Entry>) -> Result<(), StoreError> {
        let at_once = if self.store.has_one_writer() { 200 } else { 1_000 };
        let mut came = Came::default();
        let mut chunks = entries.chunks(at_once).map(<[Entry]>::to_vec).peekable();
        if chunks.peek().is_none() {
            return self.finish(ids).await;
        }
        while let Some(chunk) = chunks.next() {
            // With the last reports goes what is done with them.
            let last = if chunks.peek().is_none() { ids.clone() } else { Vec::new() };
            came = self.count(chunk, last, came).await?;
        }
        for ((format, result), count) in std::mem::take(&mut came.tally) {
            counter!("volley_callback_reports_total", "format" => format, "result" => result).increment(count);
        }
        let in_doubt: Vec<DeliveryId> = came.in_doubt.into_iter().collect();
        for portion in in_doubt.chunks(at_once) {
            let portion: BTreeSet<DeliveryId> = portion.iter().copied().collect();
            let settle = move |conn: &mut Conn| reported::settle(conn, &portion);
            self.store.transact::<_, StoreError>(Lane::Write, "settle what was reported", settle).await?;
        }
        let done = came.unsettled.difference(&came.later).copied().collect();
        self.finish(done).await?;
        if came.later.is_empty() {
            return Ok(());
        }
        let later: Vec<CallbackId> = came.later.into_iter().collect();
        let put_off = move |conn: &mut Conn| callbacks::put_off(conn, &later, PUT_OFF_MS);
        self.store.transact(Lane::Write, "put callbacks off", put_off).await
    }

    async fn finish(&self, ids: Vec<CallbackId>) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        self.store.transact(Lane::Write, "finish callbacks", move |conn| callbacks::finish(conn, &ids)).await
    }

    /// Counts reports in one transaction, and marks those of `last` as done of which nothing is left to do.
    async fn count(&self, entries: Vec<Entry>, last: Vec<CallbackId>, before: Came) -> Result<Came, StoreError> {
        let mut tries = TRIES;
        loop {
            let (book, entries, last) = (self.refusals.clone(), entries.clone(), last.clone());
            let open = before.later.union(&before.unsettled).copied().collect();
            let work = move |conn: &mut Conn| count(conn, &book, &entries, &last, &open);
            match self.store.transact(Lane::Write, "count reports", work).await {
                Ok(came) => return Ok(before.and(came)),
                Err(error) if error.is_contention() && tries > 1 => tries -= 1,
                Err(error) => return Err(error),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Reads what a callback says. What makes a reader panic is not understood, and stops nobody else.
    ///
    /// # Errors
    /// The database does not answer.
    async fn understand(&self, callback: Taken) -> Result<Result<Understood, NotUnderstood>, StoreError> {
        let nothing = Understood::nothing(&callback);
        let (words, channel) = (Arc::clone(&self.words), self.channels.get(&callback.pool).copied());
        let reading = move || (tokens_of(&callback), read(&callback, &words, channel));
        let Ok((tokens, said)) = tokio::task::spawn_blocking(reading).await else {
            return Ok(Err(NotUnderstood("reading it broke off: a mistake in Volley".to_owned())));
        };
        let Some(tokens) = tokens else { return Ok(said) };
        // Anybody can send a mail. Without a token of Volley it is about no message, whatever it says.
        let Some(delivery) = self.proved_by(&tokens).await? else {
            counter!("volley_callback_reports_total", "format" => Format::Mail.as_str(), "result" => "unknown")
                .increment(1);
            return Ok(Ok(nothing));
        };
        if said.as_ref().is_ok_and(|understood| understood.entries.is_empty()) {
            counter!("volley_callback_reports_total", "format" => Format::Mail.as_str(), "result" => "no_report")
                .increment(1);
        }
        Ok(said.map(|understood| understood.about(delivery)))
    }

    async fn proved_by(&self, tokens: &[String]) -> Result<Option<DeliveryId>, StoreError> {
        for token in tokens {
            if let Some(Link::Returned { campaign, contact }) = self.links.open_in_address(token).await? {
                return Ok(Some(DeliveryId { campaign, contact }));
            }
        }
        Ok(None)
    }

    async fn fail(&self, id: CallbackId, pool: &str, format: &str, error: String) -> Result<(), StoreError> {
        let said = error.clone();
        let fail = move |conn: &mut Conn| callbacks::fail(conn, id, &error, &WAITS_MS);
        if self.store.transact(Lane::Write, "count an attempt at a callback", fail).await? {
            counter!("volley_callbacks_failed_total", "format" => format.to_owned()).increment(1);
            tracing::warn!(
                event = "callback.failed",
                callback.id = id.0,
                pool,
                format,
                error = said,
                "a callback could not be understood; it is kept, and can be replayed"
            );
        }
        Ok(())
    }
}

impl Came {
    fn and(mut self, other: Self) -> Self {
        self.later.extend(other.later);
        self.unsettled.extend(other.unsettled);
        self.in_doubt.extend(other.in_doubt);
        for (result, count) in other.tally {
            *self.tally.entry(result).or_default() += count;
        }
        self
    }
}

/// The tokens in a mail. `None`: it is none.
fn tokens_of(callback: &Taken) -> Option<Vec<String>> {
    let is_mail = Format::from_text(&callback.format) == Some(Format::Mail);
    is_mail.then(|| mail::tokens(&received(callback)))
}

fn received(callback: &Taken) -> Received<'_> {
    Received { content_type: &callback.content_type, body: &callback.body, key: &callback.key }
}

/// `channel` is what the pool sends, where it is still there.
fn read(callback: &Taken, words: &Words, channel: Option<ChannelKind>) -> Result<Understood, NotUnderstood> {
    let unknown = || NotUnderstood("this version of Volley does not know its format".to_owned());
    let format = Format::from_text(&callback.format).ok_or_else(unknown)?;
    let Taken { id, pool, .. } = callback;
    let entry = |report| Entry { callback: *id, format: format.as_str(), pool: pool.clone(), report, proved: None };
    let nothing = Understood::nothing(callback);
    match format.read(&received(callback))? {
        Said::Reports(reports) => Ok(Understood { entries: reports.into_iter().map(entry).collect(), ..nothing }),
        Said::Message(inbound) => {
            let message = Message::new(pool, channel, inbound, words, callback.received_at)?;
            Ok(Understood { message: Some(message), ..nothing })
        }
    }
}

impl Understood {
    /// A callback that says nothing.
    fn nothing(callback: &Taken) -> Self {
        let (pool, format) = (callback.pool.clone(), callback.format.clone());
        Self { id: callback.id, pool, format, entries: Vec::new(), message: None }
    }

    /// A mail that is about this delivery.
    fn about(self, delivery: DeliveryId) -> Self {
        Self { entries: self.entries.into_iter().map(|entry| entry.about(delivery)).collect(), ..self }
    }
}

/// # Errors
/// A query failed, and nothing is stored.
fn count(
    conn: &mut Conn,
    book: &RefusalBook,
    entries: &[Entry],
    last: &[CallbackId],
    open: &BTreeSet<CallbackId>,
) -> Result<Came, StoreError> {
    let keys = entries.iter().filter_map(|entry| Some(entry.report.delivery.as_ref()?.campaign.as_str()));
    let campaigns = callbacks::campaigns_of_keys(conn, &keys.collect())?;
    let ids = entries.iter().filter_map(|entry| Some(entry.proved?.campaign));
    let by_id = callbacks::campaigns_of_ids(conn, &ids.collect())?;
    let mut came = Came::default();
    let mut found = Vec::with_capacity(entries.len());
    for entry in entries {
        let named = match (entry.proved, &entry.report.delivery) {
            (Some(delivery), _) => by_id.get(&delivery.campaign).map(|origin| (origin, delivery.contact)),
            (None, Some(key)) => campaigns.get(&key.campaign).map(|origin| (origin, key.contact)),
            (None, None) => None,
        };
        // A pool's secret speaks for what that pool has sent, and for nothing else.
        let own = |origin: &Origin| origin.pools.contains(entry.pool.as_str());
        match named.filter(|(origin, _)| own(origin)) {
            Some((origin, contact)) => {
                found.push((entry, DeliveryId { campaign: origin.campaign, contact }, origin.channel));
            }
            None => *came.tally.entry((entry.format, "unknown")).or_default() += 1,
        }
    }
    // Contacts are locked before deliveries, everywhere.
    let concerned = found.iter().map(|(entry, delivery, channel)| entry.happened(*delivery, *channel));
    hold(conn, &concerned.collect::<Vec<_>>())?;
    let lines: Vec<Line> = found.iter().map(|(entry, delivery, _)| entry.line(*delivery)).collect();
    let applied = reports::apply(conn, &lines)?;
    let mut happened = Vec::new();
    for ((entry, delivery, channel), fate) in found.iter().zip(&applied.fates) {
        let result = match fate {
            Fate::Counted => {
                happened.push(entry.happened(*delivery, *channel));
                "counted"
            }
            // What follows for the address and the person follows all the same.
            Fate::Archived => {
                happened.push(entry.happened(*delivery, *channel));
                "archived"
            }
            Fate::Repeated => "repeated",
            Fate::Unknown => "unknown",
            Fate::Later => {
                came.later.insert(entry.callback);
                continue;
            }
        };
        *came.tally.entry((entry.format, result)).or_default() += 1;
        if applied.in_doubt.contains(delivery) {
            came.unsettled.insert(entry.callback);
        }
    }
    came.in_doubt = applied.in_doubt;
    follow(conn, book, &happened)?;
    let is_done = |id: &&CallbackId| !open.contains(*id) && !came.later.contains(*id) && !came.unsettled.contains(*id);
    callbacks::finish(conn, &last.iter().filter(is_done).copied().collect::<Vec<_>>())?;
    Ok(came)
}

impl Entry {
    /// The same, about this delivery. Somebody else who writes a mail of the same name does not take the place of this one.
    fn about(mut self, delivery: DeliveryId) -> Self {
        self.report.key = short_key(&format!("{}:{}:{}", self.report.key, delivery.campaign, delivery.contact));
        self.proved = Some(delivery);
        self
    }

    fn line(&self, delivery: DeliveryId) -> Line {
        let source = EventSource::of_pool(&self.pool).as_str().to_owned();
        Line {
            key: EventKey { source, key: self.report.key.clone() },
            delivery,
            kind: self.report.kind,
            occurred_at: self.report.occurred_at,
            details: self.report.details.clone(),
        }
    }

    fn happened(&self, delivery: DeliveryId, channel: ChannelKind) -> Happened {
        Happened {
            kind: self.report.kind,
            cause: self.report.cause,
            contact: delivery.contact,
            campaign: delivery.campaign,
            channel,
            pool: self.pool.clone(),
            address: self.report.address.clone(),
            at: self.report.occurred_at,
        }
    }
}
