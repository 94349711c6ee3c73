//! The evaluation of everybody: how far it has come with each segment.
//!
//! It walks contacts by their ids, a stretch in each transaction, and goes on from where any instance stopped. It needs no lease:
//! who stores a stretch names where the walk stood, and of two that do the same stretch the second one rolls back.

use diesel::prelude::*;

use super::{SegmentRow, queue};
use crate::domain::ids::{ContactId, SegmentId};
use crate::domain::segments::standing::SegmentState;
use crate::store::engine::schema::{contacts, segments};
use crate::store::{Conn, StoreError};

/// How far the evaluation of everybody has come with a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable)]
pub struct Build {
    /// Which segment.
    pub segment: SegmentId,
    /// Of what version.
    pub version: i64,
    /// Up to which contact it has come.
    pub cursor: ContactId,
    /// Up to which contact it goes. `None`: it has not begun.
    pub last: Option<ContactId>,
}

impl Build {
    /// Whether a segment, as it is stored now, has come so far and no further.
    #[must_use]
    pub fn is_of(&self, row: &SegmentRow) -> bool {
        (row.id, row.version, row.cursor_contact_id) == (self.segment, self.version, self.cursor)
    }
}

/// The evaluations that are under way, those that have come least far first.
///
/// # Errors
/// The query failed.
pub fn under_way(conn: &mut Conn) -> Result<Vec<Build>, StoreError> {
    segments::table
        .filter(segments::state.eq(SegmentState::Building).and(segments::enabled.eq(true)))
        .filter(segments::deleted_at.is_null().and(segments::problem.is_null()))
        .order((segments::cursor_contact_id, segments::id))
        .select((segments::id, segments::version, segments::cursor_contact_id, segments::build_max_id))
        .load(conn)
        .map_err(StoreError::query("look for segments to evaluate"))
}

/// Begins those that have not begun: says up to which contact they go. Those above are evaluated as they come.
///
/// Nobody evaluates anybody while that is said. Else a contact that is made meanwhile could lie above that one, and be left to the
/// evaluation of everybody all the same, by who had read the segment before.
///
/// # Errors
/// A query failed.
pub fn begin(conn: &mut Conn) -> Result<(), StoreError> {
    queue::lock_all(conn)?;
    let last: Option<ContactId> = contacts::table
        .select(diesel::dsl::max(contacts::id))
        .first(conn)
        .map_err(StoreError::query("look for the newest contact"))?;
    diesel::update(segments::table)
        .filter(segments::state.eq(SegmentState::Building).and(segments::build_max_id.is_null()))
        .filter(segments::enabled.eq(true).and(segments::deleted_at.is_null()))
        .set(segments::build_max_id.eq(last.unwrap_or(ContactId(0))))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("begin to evaluate everybody"))
}

/// Says that the contacts up to this one are evaluated. `false`: somebody else has done that, or the segment has changed, and what was
/// found is not to be stored.
///
/// # Errors
/// The query failed.
pub fn advance(conn: &mut Conn, build: &Build, to: ContactId) -> Result<bool, StoreError> {
    let is_over = build.last.is_some_and(|last| to >= last);
    let state = if is_over { SegmentState::Ready } else { SegmentState::Building };
    let this = segments::id
        .eq(build.segment)
        .and(segments::version.eq(build.version))
        .and(segments::cursor_contact_id.eq(build.cursor));
    diesel::update(segments::table.filter(this))
        .filter(segments::state.eq(SegmentState::Building).and(segments::enabled.eq(true)))
        .filter(segments::deleted_at.is_null())
        .set((segments::cursor_contact_id.eq(to), segments::state.eq(state)))
        .execute(conn)
        .map(|changed| changed == 1)
        .map_err(StoreError::query("note how far a segment is evaluated"))
}

/// Up to `limit` contacts behind `after`, up to `last`, deleted ones, too, in the order of their ids.
///
/// # Errors
/// The query failed.
pub fn stretch(conn: &mut Conn, after: ContactId, last: ContactId, limit: i64) -> Result<Vec<ContactId>, StoreError> {
    contacts::table
        .filter(contacts::id.gt(after).and(contacts::id.le(last)))
        .order(contacts::id)
        .limit(limit)
        .select(contacts::id)
        .load(conn)
        .map_err(StoreError::query("read a stretch of contacts"))
}

/// How many contacts the evaluations of everybody still have to come to, counted by their ids.
///
/// # Errors
/// The query failed.
pub fn left(conn: &mut Conn) -> Result<i64, StoreError> {
    let under_way = under_way(conn)?;
    let left = |build: &Build| build.last.map_or(0, |last| (last.0 - build.cursor.0).max(0));
    Ok(under_way.iter().map(left).fold(0, i64::saturating_add))
}
