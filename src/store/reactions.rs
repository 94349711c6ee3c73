//! What is to be done after transitions of segments, and after events of campaigns. A row is added in the transaction of what it follows from.
//! It is removed in the transaction that does what it says, or when a target has taken the call.
//!
//! Order of locks: a shard of reactions, then segments, then contacts, as everywhere. Calls are locked while they are taken, not while they
//! are made.

pub mod calls;
mod dialect;
pub mod known_targets;
pub mod news;
pub mod over;

use std::collections::BTreeSet;

use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

use crate::domain::ids::{CampaignId, ContactId, ReactionId, SegmentId};
use crate::domain::instant::UtcInstant;
use crate::domain::reactions::{ReactionKind, ReactionState};
use crate::domain::segments::topic::Topic;
use crate::store::engine::schema::{reactions_due, segments};
use crate::store::engine::touches;
use crate::store::{Conn, StoreError, engine};

/// How far rows are counted.
pub const MOST_COUNTED: i64 = 100_000;

/// A reaction to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReaction {
    /// What is to be done.
    pub kind: ReactionKind,
    /// Of which segment.
    pub segment: Option<SegmentId>,
    /// To which contact.
    pub contact: Option<ContactId>,
    /// Of which campaign.
    pub campaign: Option<CampaignId>,
    /// Names what it follows from.
    pub key: String,
    /// What it follows from.
    pub event: String,
    /// When that was.
    pub at: UtcInstant,
    /// How many reactions led to it.
    pub depth: i32,
    /// Of a call: the name of the target.
    pub target: Option<String>,
    /// JSON: what is to be done, or told.
    pub content: String,
    /// Why it is refused. `None`: it waits.
    pub refused: Option<String>,
}

impl NewReaction {
    /// How far it is.
    #[must_use]
    pub const fn state(&self) -> ReactionState {
        if self.refused.is_some() { ReactionState::Refused } else { ReactionState::Waiting }
    }
}

/// A reaction that waits, but for calls.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = reactions_due)]
pub struct Due {
    /// Its id.
    pub id: ReactionId,
    /// What is to be done.
    pub kind: ReactionKind,
    /// Of which segment.
    pub segment_id: Option<SegmentId>,
    /// To which contact.
    pub contact_id: Option<ContactId>,
    /// Of which campaign.
    pub campaign_id: Option<CampaignId>,
    /// Names what it follows from.
    pub key: String,
    /// What it follows from.
    pub event: String,
    /// When that was.
    pub at: UtcInstant,
    /// How many reactions led to it.
    pub depth: i32,
    /// JSON: what is to be done, or told.
    pub content: String,
}

/// A call that is due.
#[derive(Debug, Clone, QueryableByName)]
pub struct DueCall {
    /// Its id.
    #[diesel(sql_type = BigInt)]
    pub id: ReactionId,
    /// Of which segment.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub segment_id: Option<SegmentId>,
    /// Of which contact.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub contact_id: Option<ContactId>,
    /// What it follows from.
    #[diesel(sql_type = Text)]
    pub event: String,
}

/// How much waits, and how much has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Those that wait, up to [`MOST_COUNTED`].
    pub waiting: i64,
    /// Those that have failed, up to [`MOST_COUNTED`].
    pub failed: i64,
    /// How long the oldest one has waited, in milliseconds.
    pub oldest_ms: i64,
}

/// Those that wait. A literal: the indexes over them serve no statement that binds the state.
fn waits() -> SqlLiteral<Bool> {
    diesel::dsl::sql("reactions_due.state = 'waiting'")
}

/// Those that are no calls. A literal, too.
fn is_here() -> SqlLiteral<Bool> {
    diesel::dsl::sql("reactions_due.kind <> 'call'")
}

/// Those that are calls.
fn is_call() -> SqlLiteral<Bool> {
    diesel::dsl::sql("reactions_due.kind = 'call'")
}

/// A key for what follows from `what`. No other one is like it, in no other database either: receivers know repetitions by it.
#[must_use]
pub fn key_of(what: &str) -> String {
    format!("{what}-{}", uuid::Uuid::new_v4().simple())
}

/// Adds reactions. Belongs in the transaction of what they follow from.
///
/// # Errors
/// A query failed.
pub fn add(conn: &mut Conn, rows: &[NewReaction], now: UtcInstant) -> Result<(), StoreError> {
    if rows.is_empty() { Ok(()) } else { dialect::insert(conn, rows, now) }
}

/// Whether anything but calls is to be done now.
///
/// # Errors
/// The query failed.
pub fn is_any_due(conn: &mut Conn) -> Result<bool, StoreError> {
    dialect::is_any_due(conn)
}

/// A part of the contacts, whose reactions are done one after the other; or the events of campaigns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shard(i32);

impl Shard {
    /// How many there are: eight of contacts, of which SQLite has one, and that of campaigns.
    pub const COUNT: usize = 9;

    /// The next one. After the last one, the first.
    #[must_use]
    pub const fn next(self) -> Self {
        Self((self.0 + 1) % 9)
    }

    /// Its place among all of them, from 0.
    #[must_use]
    pub fn place(self) -> usize {
        usize::try_from(self.0).unwrap_or_default()
    }
}

/// Locks a shard in which something but calls is to be done, and which nobody else has: the next one from `from` on.
///
/// # Errors
/// The query failed.
pub fn lock_one_with_work(conn: &mut Conn, from: Shard) -> Result<Option<Shard>, StoreError> {
    dialect::lock_one_with_work(conn, from.0).map(|found| found.map(Shard))
}

/// Up to `limit` of a shard, which is locked, in the order in which they were added, but for calls. Those of a contact wait for the one before
/// them, where that is tried again later.
///
/// # Errors
/// The query failed.
pub fn due(conn: &mut Conn, shard: Shard, now: UtcInstant, limit: i64) -> Result<Vec<Due>, StoreError> {
    let is_next = diesel::dsl::sql::<Bool>(
        "NOT EXISTS (SELECT 1 FROM reactions_due AS b WHERE b.state = 'waiting' AND b.kind <> 'call' \
         AND b.contact_id = reactions_due.contact_id AND b.id < reactions_due.id AND b.due_at > ",
    );
    reactions_due::table
        .filter(waits())
        .filter(is_here())
        .filter(reactions_due::shard.eq(shard.0).and(reactions_due::due_at.le(now)))
        .filter(is_next.bind::<BigInt, _>(now).sql(")"))
        .order(reactions_due::id)
        .limit(limit)
        .select(Due::as_select())
        .load(conn)
        .map_err(StoreError::query("read reactions"))
}

/// Removes reactions that are done.
///
/// # Errors
/// The query failed.
pub fn finish(conn: &mut Conn, ids: &[ReactionId]) -> Result<(), StoreError> {
    for chunk in ids.chunks(1_000) {
        diesel::delete(reactions_due::table.filter(reactions_due::id.eq_any(chunk)))
            .execute(conn)
            .map_err(StoreError::query("finish reactions"))?;
    }
    Ok(())
}

/// Those of these segments that are switched on.
///
/// # Errors
/// The query failed.
pub fn enabled(conn: &mut Conn, ids: &BTreeSet<SegmentId>) -> Result<BTreeSet<SegmentId>, StoreError> {
    if ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    segments::table
        .filter(segments::id.eq_any(ids.iter().copied().collect::<Vec<_>>()))
        .filter(segments::enabled.eq(true).and(segments::deleted_at.is_null()))
        .select(segments::id)
        .load(conn)
        .map(|found: Vec<SegmentId>| found.into_iter().collect())
        .map_err(StoreError::query("read which segments are switched on"))
}

/// [`enabled`]. They stay as they are until the transaction ends.
///
/// # Errors
/// A query failed.
pub fn hold_enabled(conn: &mut Conn, ids: &BTreeSet<SegmentId>) -> Result<BTreeSet<SegmentId>, StoreError> {
    dialect::hold_segments(conn, &ids.iter().copied().collect::<Vec<_>>())?;
    enabled(conn, ids)
}

/// Adds the touches of what reactions are about to change, each with how many reactions will have led to it. First of all changes.
///
/// # Errors
/// A query failed.
pub fn touch_ahead(conn: &mut Conn, rows: &[(ContactId, Topic, i32)]) -> Result<(), StoreError> {
    touches::write_ahead(conn, rows)
}

/// Counts a failed try of what is no call. After the last of `waits_ms` it has failed. Whether it has.
///
/// # Errors
/// A query failed.
pub fn fail(conn: &mut Conn, id: ReactionId, error: &str, waits_ms: &[i64]) -> Result<bool, StoreError> {
    let now = engine::now(conn)?;
    let attempts: i32 = reactions_due::table
        .find(id)
        .select(reactions_due::attempts)
        .first(conn)
        .map_err(StoreError::query("read the tries of a reaction"))?;
    let wait = usize::try_from(attempts).ok().and_then(|attempts| waits_ms.get(attempts)).copied();
    diesel::update(reactions_due::table.find(id))
        .set((
            reactions_due::state.eq(if wait.is_some() { ReactionState::Waiting } else { ReactionState::Failed }),
            reactions_due::attempts.eq(attempts + 1),
            reactions_due::due_at.eq(now.plus_ms(wait.unwrap_or_default())),
            reactions_due::error.eq(error),
        ))
        .execute(conn)
        .map_err(StoreError::query("count a try of a reaction"))?;
    Ok(wait.is_none())
}

/// How much waits.
///
/// # Errors
/// The query failed.
pub fn count(conn: &mut Conn) -> Result<Counted, StoreError> {
    dialect::count(conn)
}
