//! Calls of targets: taken for a while, made, and removed when the target has taken them.

use diesel::prelude::*;

use super::{DueCall, dialect, is_call, waits};
use crate::domain::ids::{CampaignId, ContactId, ReactionId, SegmentId};
use crate::domain::instant::UtcInstant;
use crate::domain::reactions::ReactionState;
use crate::store::engine::schema::{campaigns, contacts, known_targets, reactions_due};
use crate::store::{Conn, StoreError, engine};

/// How many calls one transaction fails at most: it holds SQLite's only writer for some milliseconds.
const PORTION: i64 = 500;

/// A call that was taken.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = reactions_due)]
pub struct Call {
    /// Its id.
    pub id: ReactionId,
    /// Of which segment.
    pub segment_id: Option<SegmentId>,
    /// Of which contact.
    pub contact_id: Option<ContactId>,
    /// Of which campaign.
    pub campaign_id: Option<CampaignId>,
    /// The same for all tries.
    pub key: String,
    /// What it follows from.
    pub event: String,
    /// When that was.
    pub at: UtcInstant,
    /// JSON: what is told.
    pub content: String,
    /// Which try it is, counted from 1.
    pub attempts: i32,
}

/// Those of these targets that are to be called now.
///
/// # Errors
/// A query failed.
pub fn due(conn: &mut Conn, targets: &[String]) -> Result<Vec<String>, StoreError> {
    let now = engine::now(conn)?;
    let mut due = Vec::new();
    for target in targets {
        let found: Option<ReactionId> = reactions_due::table
            .filter(waits())
            .filter(is_call())
            .filter(reactions_due::target.eq(target).and(reactions_due::due_at.le(now)))
            .select(reactions_due::id)
            .first(conn)
            .optional()
            .map_err(StoreError::query("look for calls"))?;
        due.extend(found.map(|_| target.clone()));
    }
    Ok(due)
}

/// Up to `limit` calls of a target that are due, oldest first. Nobody else gets them until the transaction ends.
///
/// # Errors
/// The query failed.
pub fn lock(conn: &mut Conn, target: &str, now: UtcInstant, limit: i64) -> Result<Vec<DueCall>, StoreError> {
    dialect::lock_calls(conn, target, now, limit)
}

/// Takes calls, which are locked, and counts a try of each. Until `until` nobody else gets them.
///
/// # Errors
/// A query failed.
pub fn take(conn: &mut Conn, ids: &[ReactionId], until: UtcInstant) -> Result<Vec<Call>, StoreError> {
    diesel::update(reactions_due::table.filter(reactions_due::id.eq_any(ids)))
        .set((reactions_due::attempts.eq(reactions_due::attempts + 1), reactions_due::due_at.eq(until)))
        .execute(conn)
        .map_err(StoreError::query("take calls"))?;
    reactions_due::table
        .filter(reactions_due::id.eq_any(ids))
        .order(reactions_due::id)
        .select(Call::as_select())
        .load(conn)
        .map_err(StoreError::query("take calls"))
}

/// What programs know these contacts by, where they have said so. Deleted ones are left out.
///
/// # Errors
/// The query failed.
pub fn external_ids(conn: &mut Conn, ids: &[ContactId]) -> Result<Vec<(ContactId, Option<String>)>, StoreError> {
    contacts::table
        .filter(contacts::id.eq_any(ids).and(contacts::deleted_at.is_null()))
        .select((contacts::id, contacts::external_id))
        .load(conn)
        .map_err(StoreError::query("read whom calls are about"))
}

/// The ids under which these campaigns are followed through the log. One that was never launched has none.
///
/// # Errors
/// The query failed.
pub fn correlations(conn: &mut Conn, ids: &[CampaignId]) -> Result<Vec<(CampaignId, Option<String>)>, StoreError> {
    campaigns::table
        .filter(campaigns::id.eq_any(ids))
        .select((campaigns::id, campaigns::correlation_id))
        .load(conn)
        .map_err(StoreError::query("read what calls are a part of"))
}

/// Removes a call that its target has taken, if it is still this try.
///
/// # Errors
/// The query failed.
pub fn finish(conn: &mut Conn, call: &Call) -> Result<(), StoreError> {
    diesel::delete(reactions_due::table.filter(reactions_due::id.eq(call.id)))
        .filter(reactions_due::attempts.eq(call.attempts))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("finish a call"))
}

/// Notes that a try has failed, if it is still this one. It is tried again after `wait_ms`; `None`: it has failed.
///
/// # Errors
/// A query failed.
pub fn note_failure(conn: &mut Conn, call: &Call, wait_ms: Option<i64>, error: &str) -> Result<(), StoreError> {
    let now = engine::now(conn)?;
    diesel::update(reactions_due::table.filter(reactions_due::id.eq(call.id)))
        .filter(reactions_due::attempts.eq(call.attempts))
        .filter(waits())
        .set((
            reactions_due::state.eq(if wait_ms.is_some() { ReactionState::Waiting } else { ReactionState::Failed }),
            reactions_due::due_at.eq(now.plus_ms(wait_ms.unwrap_or_default())),
            reactions_due::error.eq(error),
        ))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("note that a call was not taken"))
}

/// Fails a portion of the calls of targets that no instance has had since `since`, and that have waited since before then. Whether there may
/// be more, and how many.
///
/// # Errors
/// A query failed.
pub fn fail_unknown(conn: &mut Conn, since: UtcInstant, error: &str) -> Result<(bool, usize), StoreError> {
    let known = known_targets::table.filter(known_targets::seen_at.ge(since)).select(known_targets::name.nullable());
    let ids: Vec<ReactionId> = reactions_due::table
        .filter(waits())
        .filter(is_call())
        .filter(reactions_due::due_at.lt(since).and(reactions_due::target.ne_all(known)))
        .limit(PORTION)
        .select(reactions_due::id)
        .load(conn)
        .map_err(StoreError::query("look for calls of targets that do not exist"))?;
    let failed = diesel::update(reactions_due::table.filter(reactions_due::id.eq_any(&ids)))
        .filter(waits())
        .set((reactions_due::state.eq(ReactionState::Failed), reactions_due::error.eq(error)))
        .execute(conn)
        .map_err(StoreError::query("fail calls of targets that do not exist"))?;
    Ok((i64::try_from(ids.len()).is_ok_and(|count| count >= PORTION), failed))
}
