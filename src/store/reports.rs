//! Reports: their bits on deliveries, their counts by page, and the contacts' events of them, in one transaction.
//!
//! A report moves no delivery and locks no page, so that sending goes on beside it. What it proves about a delivery that is in doubt
//! is settled afterwards, in a transaction of its own: [`crate::store::dispatch::reported`]. A source keeps its lines until both
//! have committed. To apply them again counts nothing twice.

mod dialect;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};

use crate::domain::deliverability::Counted;
use crate::domain::dispatch::delivery::{DeliveryId, DeliveryState};
use crate::domain::dispatch::doubt::Standing;
use crate::domain::events::occurred;
use crate::domain::ids::{CampaignId, PageId};
use crate::domain::instant::UtcInstant;
use crate::domain::reports::{ReportFigures, ReportKind, Reported};
use crate::store::deliverability::{self, News};
use crate::store::events::{self, EventKey, NewEvent, NewKey};
use crate::store::{Conn, StoreError, engine};
pub(in crate::store) use dialect::{came_back, count_refused, sums};

/// A report, as its source tells of it. Its details may be personal data: never logged, so it has no `Debug`.
#[derive(Clone)]
pub struct Line {
    /// Counted once under this key. Its source is a pool or Volley itself. A kind that is no event is counted once for each
    /// delivery instead, whatever its key.
    pub key: EventKey,
    /// Which delivery it is about.
    pub delivery: DeliveryId,
    /// What it says.
    pub kind: ReportKind,
    /// When that happened, where the source says so.
    pub occurred_at: Option<UtcInstant>,
    /// What else is known, for the properties of the event: at most 32 KiB as JSON.
    pub details: Map<String, Value>,
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is counted, and its event is stored.
    Counted,
    /// It came before, under its key or, where it is no event, for this delivery. Nothing else happened.
    Repeated,
    /// Another transaction is just moving the delivery. Nothing is stored: try the line again.
    Later,
    /// There is no such delivery. Nothing is stored.
    Unknown,
    /// The delivery was archived: its event is stored, and the figures of the campaign stay as they are.
    Archived,
}

/// What became of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Of each line, in their order.
    pub fates: Vec<Fate>,
    /// Deliveries that may be in doubt although these reports settle them, for
    /// [`settle`](crate::store::dispatch::reported::settle).
    pub in_doubt: BTreeSet<DeliveryId>,
}

/// Applies lines, each once: sets the bits of their deliveries, counts them on the pages, and stores their events. Belongs in a write
/// transaction, and holds SQLite's only writer: up to 200 lines there, and 1,000 on PostgreSQL. It waits for no delivery that another
/// transaction is moving.
///
/// # Errors
/// A query failed, and nothing is stored. After a [contention](StoreError::is_contention) the same may go well: another transaction
/// has stored one of the keys meanwhile.
pub fn apply(conn: &mut Conn, lines: &[Line]) -> Result<Applied, StoreError> {
    let now = engine::now(conn)?;
    // A kind that is no event is told by its bit alone: most reports are deliveries, and a key of each would cost more than all else.
    let has_key = |line: &&Line| line.kind.event().is_some();
    let keys: BTreeSet<&EventKey> = lines.iter().filter(has_key).map(|line| &line.key).collect();
    let known = events::recall(conn, &keys.into_iter().collect::<Vec<_>>())?;
    let mut first: HashMap<&EventKey, usize> = HashMap::with_capacity(lines.len());
    let mut unseen = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        let mut is_new = || !known.contains_key(&line.key) && *first.entry(&line.key).or_insert(index) == index;
        if !has_key(&line) || is_new() {
            unseen.push((index, line));
        }
    }
    let mut round = Round::look(conn, unseen.iter().map(|(_, line)| line.delivery).collect())?;
    let unseen: HashMap<usize, Fate> = unseen.into_iter().map(|(index, line)| (index, round.take(line))).collect();
    round.write(conn, now)?;
    let fate = |(index, line): (usize, &Line)| {
        // Of several lines with one key, all share the fate of the first one, and only that one is counted.
        match (unseen.get(&index), first.get(&line.key).and_then(|first| unseen.get(first))) {
            (Some(fate), _) => *fate,
            (None, Some(Fate::Later)) => Fate::Later,
            (None, Some(Fate::Unknown)) => Fate::Unknown,
            (None, Some(Fate::Counted | Fate::Repeated | Fate::Archived) | None) => Fate::Repeated,
        }
    };
    let fates: Vec<Fate> = lines.iter().enumerate().map(fate).collect();
    // The process may have ended before it had settled what an earlier round counted.
    let repeated = lines.iter().zip(&fates).filter(|(_, fate)| **fate == Fate::Repeated);
    let in_doubt = round.in_doubt.into_iter().chain(repeated.map(|(line, _)| line.delivery)).collect();
    Ok(Applied { fates, in_doubt })
}

/// A delivery under its lock.
struct Locked {
    page: PageId,
    standing: Standing,
    reported: Reported,
    /// When it came into its state, if that is an end.
    settled_at: Option<UtcInstant>,
}

impl Locked {
    /// When it was sent, if it is known by now that it was.
    fn sent_at(&self) -> Option<UtcInstant> {
        self.settled_at.filter(|_| self.standing.state == DeliveryState::Sent)
    }
}

/// Where a page's counts are. In the order of pages, in which they are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct OnPage {
    page: PageId,
    campaign: CampaignId,
}

/// What lines change, put together before it is written.
struct Round<'a> {
    locked: BTreeMap<DeliveryId, Locked>,
    /// Deliveries that are there and could not be locked.
    busy: BTreeSet<DeliveryId>,
    /// Deliveries that are in an archive, or soon will be: nothing is noted on them.
    archived: BTreeSet<DeliveryId>,
    counted: Vec<&'a Line>,
    marked: BTreeMap<DeliveryId, Reported>,
    figures: BTreeMap<OnPage, ReportFigures>,
    /// What counts for the recipient's domain, and when the message was sent.
    by_domain: Vec<(DeliveryId, Counted, Option<UtcInstant>)>,
    in_doubt: BTreeSet<DeliveryId>,
}

impl<'a> Round<'a> {
    fn look(conn: &mut Conn, deliveries: BTreeSet<DeliveryId>) -> Result<Self, StoreError> {
        let mut locked = dialect::lock(conn, &deliveries)?;
        // Only now: what archives a campaign notes that first, and waits for locks like these before it reads.
        let archived = dialect::archived(conn, &deliveries)?;
        locked.retain(|delivery, _| !archived.contains(delivery));
        let missing = (&deliveries - &archived).into_iter().filter(|delivery| !locked.contains_key(delivery)).collect();
        Ok(Self {
            busy: dialect::existing(conn, &missing)?,
            archived,
            locked,
            counted: Vec::new(),
            marked: BTreeMap::new(),
            figures: BTreeMap::new(),
            by_domain: Vec::new(),
            in_doubt: BTreeSet::new(),
        })
    }

    fn take(&mut self, line: &'a Line) -> Fate {
        if self.archived.contains(&line.delivery) {
            // A kind that is no event has no key to tell it by.
            if line.kind.event().is_none() {
                return Fate::Repeated;
            }
            self.counted.push(line);
            return Fate::Archived;
        }
        let Some(delivery) = self.locked.get_mut(&line.delivery) else {
            return if self.busy.contains(&line.delivery) { Fate::Later } else { Fate::Unknown };
        };
        if line.kind.event().is_none() && delivery.reported.has(line.kind) {
            return Fate::Repeated;
        }
        let place = OnPage { page: delivery.page, campaign: line.delivery.campaign };
        let figure = self.figures.entry(place).or_default().entry(line.kind).or_default();
        figure.total += 1;
        if !delivery.reported.has(line.kind) {
            figure.recipients += 1;
            delivery.reported = delivery.reported.with(line.kind);
            self.marked.insert(line.delivery, delivery.reported);
            let counted = Counted::of(line.kind).map(|what| (line.delivery, what, delivery.sent_at()));
            self.by_domain.extend(counted);
        }
        if delivery.standing.is_in_doubt() {
            self.in_doubt.insert(line.delivery);
        }
        self.counted.push(line);
        Fate::Counted
    }

    /// The keys first: another transaction that stores one of them is waited for before anything is counted.
    fn write(&self, conn: &mut Conn, now: UtcInstant) -> Result<(), StoreError> {
        let told: Vec<(&Line, &'static str)> =
            self.counted.iter().filter_map(|line| Some((*line, line.kind.event()?))).collect();
        let ids = events::ids(conn, told.len())?;
        let mut keys: Vec<NewKey<'_>> = told
            .iter()
            .zip(&ids)
            .map(|((line, _), id)| NewKey { key: &line.key, body_hash: NO_BODY, event: *id })
            .collect();
        // In one order everywhere: two transactions cannot wait for each other.
        keys.sort_unstable_by_key(|key| key.key);
        events::remember(conn, &keys, now)?;
        let properties: Vec<String> =
            told.iter().map(|(line, _)| line.kind.properties(line.delivery.campaign, &line.details)).collect();
        let rows: Vec<NewEvent<'_>> = told
            .iter()
            .zip(ids)
            .zip(&properties)
            .map(|(((line, name), id), properties)| NewEvent {
                id,
                contact: line.delivery.contact,
                name,
                properties,
                // Clocks of providers differ: nothing occurs in the future.
                occurred_at: occurred(line.occurred_at, now).unwrap_or(now),
                source: &line.key.source,
            })
            .collect();
        events::insert(conn, &rows, now)?;
        dialect::mark(conn, &self.marked)?;
        dialect::count(conn, &self.figures)?;
        // A report may come before the outcome of its hand-over is recorded, and settle a doubt.
        let news = |(delivery, what, sent_at): &(DeliveryId, Counted, Option<UtcInstant>)| News {
            delivery: *delivery,
            sent_at: sent_at.unwrap_or(now),
            what: *what,
        };
        deliverability::note(conn, &self.by_domain.iter().map(news).collect::<Vec<_>>())
    }
}

/// Under its key, a report is counted once, whatever it says the second time.
const NO_BODY: &str = "";
