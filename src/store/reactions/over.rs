//! Reactions as they are shown: those that wait, and those that are over without being done.

use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use crate::domain::ids::{CampaignId, ContactId, ReactionId, SegmentId};
use crate::domain::instant::UtcInstant;
use crate::domain::reactions::{ReactionKind, ReactionState};
use crate::store::engine::dialect::conn::MultiBackend;
use crate::store::engine::schema::{reactions_due, segments};
use crate::store::{Conn, StoreError, engine};

/// Rows that one transaction removes or changes at most: it holds SQLite's only writer for some milliseconds.
const PORTION: i64 = 500;

/// A reaction.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = reactions_due)]
pub struct ReactionRow {
    /// Its id: a later one has a higher one.
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
    /// Of a call: the name of the target.
    pub target: Option<String>,
    /// How far it is.
    pub state: ReactionState,
    /// How often it was tried.
    pub attempts: i32,
    /// Of one that waits: from when on it is to be done.
    pub due_at: UtcInstant,
    /// Why it is not done.
    pub error: Option<String>,
}

/// Those in a state. A literal, with the condition of the index over those that are over, which serves no statement that binds the state.
fn is_in(state: ReactionState) -> SqlLiteral<Bool> {
    diesel::dsl::sql(match state {
        ReactionState::Waiting => "reactions_due.state = 'waiting'",
        ReactionState::Failed => "(reactions_due.state <> 'waiting' AND reactions_due.state = 'failed')",
        ReactionState::Refused => "(reactions_due.state <> 'waiting' AND reactions_due.state = 'refused')",
    })
}

/// Which reactions.
#[derive(Debug, Clone, Default)]
pub struct Which {
    /// How far they are.
    pub state: Option<ReactionState>,
    /// Calls of this target.
    pub target: Option<String>,
    /// Of this segment.
    pub segment: Option<SegmentId>,
}

/// Up to `limit` reactions with lower ids than `before`, newest first.
///
/// # Errors
/// The query failed.
pub fn list(
    conn: &mut Conn,
    which: &Which,
    before: Option<ReactionId>,
    limit: i64,
) -> Result<Vec<ReactionRow>, StoreError> {
    let mut query = reactions_due::table.order(reactions_due::id.desc()).limit(limit).into_boxed::<MultiBackend>();
    if let Some(state) = which.state {
        query = query.filter(is_in(state));
    }
    if let Some(target) = &which.target {
        query = query.filter(reactions_due::target.eq(target.clone()));
    }
    if let Some(segment) = which.segment {
        query = query.filter(reactions_due::segment_id.eq(segment));
    }
    if let Some(before) = before {
        query = query.filter(reactions_due::id.lt(before));
    }
    query.select(ReactionRow::as_select()).load(conn).map_err(StoreError::query("list reactions"))
}

/// What became of a wish to try a reaction again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retried {
    /// It waits again.
    Again,
    /// It waits already.
    NotFailed,
    /// The contact has entered or left the segment since: it would undo what was done later.
    Overtaken,
    /// Its segment is switched off.
    SegmentOff(SegmentId),
    /// There is no such reaction.
    Unknown,
}

/// Changes of contacts that have entered or left the segment again since what they follow from.
fn is_overtaken() -> SqlLiteral<Bool> {
    diesel::dsl::sql(
        "(reactions_due.kind = 'changes' AND EXISTS (SELECT 1 FROM segment_transitions AS t WHERE t.segment_id = reactions_due.segment_id \
         AND t.contact_id = reactions_due.contact_id AND t.kind <> 'dwelled' AND t.at > reactions_due.at))",
    )
}

/// Lets a reaction that failed, or was refused, be tried again, with all its tries. A chain of reactions begins anew.
///
/// # Errors
/// A query failed.
pub fn retry(conn: &mut Conn, id: ReactionId) -> Result<Retried, StoreError> {
    let row: Option<ReactionRow> = reactions_due::table
        .find(id)
        .select(ReactionRow::as_select())
        .first(conn)
        .optional()
        .map_err(StoreError::query("read a reaction"))?;
    let Some(row) = row else { return Ok(Retried::Unknown) };
    if row.state == ReactionState::Waiting {
        return Ok(Retried::NotFailed);
    }
    if let Some(segment) = row.segment_id
        && super::enabled(conn, &[segment].into())?.is_empty()
    {
        return Ok(Retried::SegmentOff(segment));
    }
    let overtaken: Option<ReactionId> = reactions_due::table
        .filter(reactions_due::id.eq(id).and(is_overtaken()))
        .select(reactions_due::id)
        .first(conn)
        .optional()
        .map_err(StoreError::query("look whether a reaction is overtaken"))?;
    if overtaken.is_some() {
        return Ok(Retried::Overtaken);
    }
    Ok(if again(conn, &[id])? > 0 { Retried::Again } else { Retried::NotFailed })
}

/// Lets a portion of those that failed be tried again: of calls, those of a target; of segments, those that are switched on. Those that
/// are overtaken stay. Goes on behind `after`. How many; and where to go on, if there may be more.
///
/// # Errors
/// A query failed.
pub fn retry_some(
    conn: &mut Conn,
    target: Option<&str>,
    after: ReactionId,
) -> Result<(usize, Option<ReactionId>), StoreError> {
    let enabled = segments::table
        .filter(segments::enabled.eq(true).and(segments::deleted_at.is_null()))
        .select(segments::id.nullable());
    let mut query = reactions_due::table
        .filter(is_in(ReactionState::Failed))
        .filter(reactions_due::id.gt(after))
        .filter(diesel::dsl::not(is_overtaken()))
        .filter(reactions_due::segment_id.is_null().or(reactions_due::segment_id.eq_any(enabled)))
        .order(reactions_due::id)
        .limit(PORTION)
        .select(reactions_due::id)
        .into_boxed::<MultiBackend>();
    if let Some(target) = target {
        query = query.filter(reactions_due::target.eq(target.to_owned()));
    }
    let ids: Vec<ReactionId> = query.load(conn).map_err(StoreError::query("look for reactions that failed"))?;
    let is_full = i64::try_from(ids.len()).is_ok_and(|count| count >= PORTION);
    Ok((again(conn, &ids)?, ids.last().copied().filter(|_| is_full)))
}

fn again(conn: &mut Conn, ids: &[ReactionId]) -> Result<usize, StoreError> {
    let now = engine::now(conn)?;
    let over = reactions_due::id.eq_any(ids).and(reactions_due::state.ne(ReactionState::Waiting));
    diesel::update(reactions_due::table.filter(over))
        .set((
            reactions_due::state.eq(ReactionState::Waiting),
            reactions_due::attempts.eq(0),
            reactions_due::depth.eq(0),
            reactions_due::due_at.eq(now),
        ))
        .execute(conn)
        .map_err(StoreError::query("try reactions again"))
}

/// Removes a portion of those that are over and older than so many milliseconds. Whether there may be more.
///
/// # Errors
/// A query failed.
pub fn prune(conn: &mut Conn, keep_ms: i64) -> Result<bool, StoreError> {
    let before = engine::now(conn)?.plus_ms(-keep_ms);
    let mut is_full = false;
    for state in [ReactionState::Failed, ReactionState::Refused] {
        let old: Vec<ReactionId> = reactions_due::table
            .filter(is_in(state))
            .filter(reactions_due::created_at.lt(before))
            .order(reactions_due::id)
            .limit(PORTION)
            .select(reactions_due::id)
            .load(conn)
            .map_err(StoreError::query("look for old reactions"))?;
        is_full |= i64::try_from(old.len()).is_ok_and(|count| count >= PORTION);
        super::finish(conn, &old)?;
    }
    Ok(is_full)
}
