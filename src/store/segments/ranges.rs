//! Stretches of contacts that are evaluated for all segments: after imports, and where a whole list went.

use diesel::prelude::*;

use crate::domain::ids::ContactId;
use crate::store::engine::schema::segment_ranges;
use crate::store::{Conn, StoreError};

/// A stretch that waits to be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable)]
pub struct Range {
    /// Its number.
    pub id: i64,
    /// Up to which contact it is evaluated.
    pub cursor: ContactId,
    /// Its last contact.
    pub last: ContactId,
}

/// The stretch that has waited longest.
///
/// # Errors
/// The query failed.
pub fn oldest(conn: &mut Conn) -> Result<Option<Range>, StoreError> {
    segment_ranges::table
        .filter(segment_ranges::import_id.is_null())
        .order(segment_ranges::id)
        .select((segment_ranges::id, segment_ranges::cursor_contact_id, segment_ranges::last_contact_id))
        .first(conn)
        .optional()
        .map_err(StoreError::query("look for contacts to evaluate"))
}

/// Whether a stretch is evaluated so far and no further.
///
/// # Errors
/// The query failed.
pub fn is_at(conn: &mut Conn, range: &Range) -> Result<bool, StoreError> {
    let this = segment_ranges::id.eq(range.id).and(segment_ranges::cursor_contact_id.eq(range.cursor));
    diesel::select(diesel::dsl::exists(segment_ranges::table.filter(this)))
        .get_result(conn)
        .map_err(StoreError::query("look how far contacts are evaluated"))
}

/// Says that a stretch is evaluated up to a contact; where that is its last one, it goes. `false`: somebody else has done that, and what
/// was found is not to be stored.
///
/// # Errors
/// The query failed.
pub fn advance(conn: &mut Conn, range: &Range, to: ContactId) -> Result<bool, StoreError> {
    let this = segment_ranges::id.eq(range.id).and(segment_ranges::cursor_contact_id.eq(range.cursor));
    let changed = if to >= range.last {
        diesel::delete(segment_ranges::table.filter(this)).execute(conn)
    } else {
        diesel::update(segment_ranges::table.filter(this)).set(segment_ranges::cursor_contact_id.eq(to)).execute(conn)
    };
    changed.map(|changed| changed == 1).map_err(StoreError::query("note how far contacts are evaluated"))
}
