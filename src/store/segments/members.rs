//! Who is, or was, a member of a segment. Written only by who holds the lock of the contact's shard.

use std::collections::HashMap;

use diesel::prelude::*;

use super::dialect;
use crate::domain::ids::{ContactId, SegmentId};
use crate::domain::instant::UtcInstant;
use crate::domain::segments::stay::{LeaveReason, Row};
use crate::store::engine::schema::{segment_members, segments};
use crate::store::{Conn, StoreError};

/// A stay of a contact in a segment.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, QueryableByName, Selectable)]
#[diesel(table_name = segment_members)]
pub struct MemberRow {
    /// Which segment.
    pub segment_id: SegmentId,
    /// Which contact.
    pub contact_id: ContactId,
    /// The how many-th stay it is, from 1.
    pub epoch: i64,
    /// When it began.
    pub entered_at: UtcInstant,
    /// From when on its length counts.
    pub dwell_from: UtcInstant,
    /// When it ended. `None`: the contact is a member.
    pub left_at: Option<UtcInstant>,
    /// Why it ended.
    pub reason: Option<LeaveReason>,
    /// Since when another stay may follow.
    pub closed_at: Option<UtcInstant>,
    /// Up to when marks of its length were looked at.
    pub dwell_done: UtcInstant,
    /// How many such marks there were.
    pub dwell_n: i64,
}

impl MemberRow {
    /// The stay, as it is advanced.
    #[must_use]
    pub const fn row(&self) -> Row {
        Row {
            epoch: self.epoch,
            entered_at: self.entered_at,
            left_at: self.left_at,
            dwell_from: self.dwell_from,
            dwell_done: self.dwell_done,
            dwell_n: self.dwell_n,
        }
    }

    /// An open stay of a contact in a segment.
    #[must_use]
    pub const fn of(segment: SegmentId, contact: ContactId, row: Row) -> Self {
        Self {
            segment_id: segment,
            contact_id: contact,
            epoch: row.epoch,
            entered_at: row.entered_at,
            dwell_from: row.dwell_from,
            left_at: row.left_at,
            reason: None,
            closed_at: None,
            dwell_done: row.dwell_done,
            dwell_n: row.dwell_n,
        }
    }
}

/// The stays of a contact in a segment so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// How many.
    pub epoch: i64,
    /// When the last one ended.
    pub left_at: Option<UtcInstant>,
}

/// The stays of these contacts that may still change: those of members, and those after which no other may follow yet. Where contacts
/// lie close together, with those of others between them.
///
/// # Errors
/// The query failed.
pub fn open_of(conn: &mut Conn, contacts: &[ContactId]) -> Result<Vec<MemberRow>, StoreError> {
    if contacts.is_empty() { Ok(Vec::new()) } else { dialect::members::open_of(conn, contacts) }
}

/// The past stays of contacts in segments, where there are any.
///
/// # Errors
/// The query failed.
pub fn past(
    conn: &mut Conn,
    pairs: &[(SegmentId, ContactId)],
) -> Result<HashMap<(SegmentId, ContactId), Past>, StoreError> {
    if pairs.is_empty() { Ok(HashMap::new()) } else { dialect::members::past(conn, pairs) }
}

/// Adds stays.
///
/// # Errors
/// The query failed.
pub fn insert(conn: &mut Conn, rows: &[MemberRow]) -> Result<(), StoreError> {
    if rows.is_empty() { Ok(()) } else { dialect::members::insert(conn, rows) }
}

/// Writes what has changed of stays: their ends and marks.
///
/// # Errors
/// The query failed.
pub fn update(conn: &mut Conn, rows: &[MemberRow]) -> Result<(), StoreError> {
    if rows.is_empty() { Ok(()) } else { dialect::members::update(conn, rows) }
}

/// The members of a segment behind a contact, in the order of their ids.
///
/// # Errors
/// The query failed.
pub fn list(
    conn: &mut Conn,
    segment: SegmentId,
    after: Option<ContactId>,
    limit: i64,
) -> Result<Vec<MemberRow>, StoreError> {
    segment_members::table
        .filter(segment_members::segment_id.eq(segment).and(segment_members::left_at.is_null()))
        .filter(segment_members::contact_id.gt(after.unwrap_or(ContactId(0))))
        .order(segment_members::contact_id)
        .limit(limit)
        .select(MemberRow::as_select())
        .load(conn)
        .map_err(StoreError::query("list the members of a segment"))
}

/// How many members a segment has.
///
/// # Errors
/// The query failed.
pub fn count(conn: &mut Conn, segment: SegmentId) -> Result<i64, StoreError> {
    segment_members::table
        .filter(segment_members::segment_id.eq(segment).and(segment_members::left_at.is_null()))
        .count()
        .get_result(conn)
        .map_err(StoreError::query("count the members of a segment"))
}

/// The segments that a contact is a member of, and since when.
///
/// # Errors
/// The query failed.
pub fn of_contact(conn: &mut Conn, contact: ContactId) -> Result<Vec<MemberRow>, StoreError> {
    // What a deleted segment has left goes later.
    let is_there = segments::id.eq(segment_members::segment_id).and(segments::deleted_at.is_null());
    segment_members::table
        .filter(segment_members::contact_id.eq(contact))
        .filter(segment_members::closed_at.is_null().and(segment_members::left_at.is_null()))
        .filter(diesel::dsl::exists(segments::table.filter(is_there)))
        .order(segment_members::segment_id)
        .select(MemberRow::as_select())
        .load(conn)
        .map_err(StoreError::query("read the segments of a contact"))
}
