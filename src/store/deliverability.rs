//! What became of messages by pool, day and domain of the recipients.
//!
//! Outcomes and reports only add rows to `deliverability_news`, each batch in its own transaction: there is no row that several
//! of them write, so that none waits for another. Every few seconds one instance folds the news into `deliverability`, which people read.
//! It alone decides which domains are counted by themselves.

mod dialect;

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;

use super::{Conn, StoreError, engine};
use crate::domain::day::UtcDay;
use crate::domain::deliverability::{Counted, DomainFigures, place};
use crate::domain::dispatch::delivery::DeliveryId;
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::instant::UtcInstant;
use crate::store::engine::dialect::conn::MultiBackend;
use crate::store::engine::schema::deliverability;

/// How many rows of news one transaction folds: it holds SQLite's only writer.
const PORTION: i64 = 5_000;

/// How many days are shown unless asked otherwise.
pub const SHOWN_DAYS: i64 = 30;

/// How many days are kept.
pub const KEPT_DAYS: i64 = 400;

/// What happened to a message.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct News {
    /// The message.
    pub(in crate::store) delivery: DeliveryId,
    /// When it was sent: what comes back counts on that day, too.
    pub(in crate::store) sent_at: UtcInstant,
    /// What happened.
    pub(in crate::store) what: Counted,
}

/// Notes what happened to messages, in the transaction that makes it true. It adds rows, and locks nothing.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn note(conn: &mut Conn, news: &[News]) -> Result<(), StoreError> {
    if news.is_empty() { Ok(()) } else { dialect::note(conn, news) }
}

/// The same for messages of one campaign that turn out to be sent.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn note_sent(
    conn: &mut Conn,
    campaign: CampaignId,
    contacts: &[ContactId],
    sent_at: UtcInstant,
) -> Result<(), StoreError> {
    let delivery = |contact: &ContactId| DeliveryId { campaign, contact: *contact };
    let of = |contact| News { delivery: delivery(contact), sent_at, what: Counted::Sent };
    note(conn, &contacts.iter().map(of).collect::<Vec<_>>())
}

/// Folds a portion of the news. Whether there may be more. Belongs in a write transaction. While another instance is at it, nothing
/// happens.
///
/// # Errors
/// A query failed, and nothing is folded.
pub fn fold(conn: &mut Conn) -> Result<bool, StoreError> {
    if !dialect::alone(conn)? {
        return Ok(false);
    }
    let (taken, news) = dialect::take(conn, PORTION)?;
    let mut by_day = BTreeMap::<(UtcDay, String), BTreeMap<String, DomainFigures>>::new();
    for Row { day, pool, domain, figures } in news {
        by_day.entry((day, pool)).or_default().insert(domain, figures);
    }
    let mut rows = Vec::new();
    for ((day, pool), news) in by_day {
        let known: Vec<String> = deliverability::table
            .filter(deliverability::day.eq(day).and(deliverability::pool.eq(&pool)))
            .select(deliverability::domain)
            .load(conn)
            .map_err(StoreError::query("read which domains are counted"))?;
        let placed = place(news, &known.into_iter().collect::<BTreeSet<_>>());
        rows.extend(placed.into_iter().map(|(domain, figures)| Row { day, pool: pool.clone(), domain, figures }));
    }
    dialect::add(conn, &rows)?;
    Ok(taken >= PORTION)
}

/// What became of the messages of a pool to a domain on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The day on which they were sent.
    pub day: UtcDay,
    /// The pool.
    pub pool: String,
    /// The domain, [`OTHER`](crate::domain::deliverability::OTHER), or empty on channels without domains.
    pub domain: String,
    /// How many.
    pub figures: DomainFigures,
}

/// Which rows. `None` takes all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The pool.
    pub pool: Option<String>,
    /// The domain.
    pub domain: Option<String>,
    /// Not before this day. `None`: the last [`SHOWN_DAYS`] days.
    pub from: Option<UtcDay>,
    /// Not after this day.
    pub to: Option<UtcDay>,
}

/// The columns of [`DomainFigures`], in its order.
type StoredFigures = (i64, i64, i64, i64, i64);

/// Behind which row a list goes on: day, pool and domain.
pub type Key = (i64, String, String);

/// Up to `limit` rows behind `after`: the newest day first, then by pool and domain.
///
/// # Errors
/// A query failed.
pub fn list(conn: &mut Conn, filter: &Filter, after: Option<&Key>, limit: i64) -> Result<Vec<Row>, StoreError> {
    let from = match filter.from {
        Some(from) => from,
        None => UtcDay::of(engine::now(conn)?).minus(SHOWN_DAYS - 1),
    };
    let mut query = deliverability::table
        .filter(deliverability::day.ge(from))
        .order((deliverability::day.desc(), deliverability::pool, deliverability::domain))
        .limit(limit)
        .into_boxed::<MultiBackend>();
    if let Some(to) = filter.to {
        query = query.filter(deliverability::day.le(to));
    }
    if let Some(pool) = &filter.pool {
        query = query.filter(deliverability::pool.eq(pool));
    }
    if let Some(domain) = &filter.domain {
        query = query.filter(deliverability::domain.eq(domain));
    }
    if let Some((day, pool, domain)) = after {
        let day = UtcDay(*day);
        let later_pool = deliverability::pool.gt(pool.clone());
        let later_domain = deliverability::pool.eq(pool.clone()).and(deliverability::domain.gt(domain.clone()));
        let same_day = deliverability::day.eq(day).and(later_pool.or(later_domain));
        // The first condition alone finds the place in the index.
        query = query.filter(deliverability::day.le(day).and(deliverability::day.lt(day).or(same_day)));
    }
    let figures = (
        deliverability::sent,
        deliverability::delivered,
        deliverability::soft_bounced,
        deliverability::hard_bounced,
        deliverability::complained,
    );
    let rows: Vec<(UtcDay, String, String, StoredFigures)> = query
        .select((deliverability::day, deliverability::pool, deliverability::domain, figures))
        .load(conn)
        .map_err(StoreError::query("list what became of messages"))?;
    let row = |(day, pool, domain, (sent, delivered, soft_bounced, hard_bounced, complained))| Row {
        day,
        pool,
        domain,
        figures: DomainFigures { sent, delivered, soft_bounced, hard_bounced, complained },
    };
    Ok(rows.into_iter().map(row).collect())
}

/// Removes days that are older than [`KEPT_DAYS`].
///
/// # Errors
/// The query failed.
pub fn prune(conn: &mut Conn) -> Result<usize, StoreError> {
    let first = UtcDay::of(engine::now(conn)?).minus(KEPT_DAYS);
    diesel::delete(deliverability::table.filter(deliverability::day.lt(first)))
        .execute(conn)
        .map_err(StoreError::query("remove old days"))
}
