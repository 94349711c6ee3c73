//! Segments that others rely on for the length of a transaction.

use diesel::prelude::*;

use crate::domain::ids::SegmentId;
use crate::store::engine::schema::segments;
use crate::store::segments::SegmentRow;
use crate::store::{Conn, StoreError};

/// Those of `ids` that there are. Nobody changes or deletes them until the end of the transaction.
pub(in crate::store::segments) fn held(conn: &mut Conn, ids: &[SegmentId]) -> Result<Vec<SegmentRow>, StoreError> {
    let is_there = || segments::id.eq_any(ids.to_vec()).and(segments::deleted_at.is_null());
    match conn {
        Conn::Pg(conn) => {
            let rows = segments::table.filter(is_there()).order(segments::id);
            rows.select(SegmentRow::as_select()).for_share().load(conn)
        }
        // It has one writer.
        Conn::Sqlite(conn) => {
            let rows = segments::table.filter(is_there()).order(segments::id);
            rows.select(SegmentRow::as_select()).load(conn)
        }
    }
    .map_err(StoreError::query("hold segments"))
}
