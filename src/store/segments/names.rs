//! Segments by their ids and slugs.

use std::collections::{BTreeSet, HashMap};

use diesel::prelude::*;

use super::{SegmentRow, dialect};
use crate::domain::ids::SegmentId;
use crate::store::engine::schema::segments;
use crate::store::{Conn, StoreError};

/// The ids of segments by their slugs, as far as there are any.
///
/// # Errors
/// The query failed.
pub fn ids_of_slugs(conn: &mut Conn, slugs: &[String]) -> Result<HashMap<String, SegmentId>, StoreError> {
    let found: Vec<(String, SegmentId)> = segments::table
        .filter(segments::slug.eq_any(slugs).and(segments::deleted_at.is_null()))
        .select((segments::slug, segments::id))
        .load(conn)
        .map_err(StoreError::query("find segments by their slugs"))?;
    Ok(found.into_iter().collect())
}

/// Those of `ids` that there are.
///
/// # Errors
/// The query failed.
pub fn existing(conn: &mut Conn, ids: &BTreeSet<SegmentId>) -> Result<BTreeSet<SegmentId>, StoreError> {
    let found: Vec<SegmentId> = segments::table
        .filter(segments::id.eq_any(ids.iter().copied().collect::<Vec<_>>()).and(segments::deleted_at.is_null()))
        .select(segments::id)
        .load(conn)
        .map_err(StoreError::query("find segments by their ids"))?;
    Ok(found.into_iter().collect())
}

/// Those of `ids` that there are, as they are now.
///
/// # Errors
/// The query failed.
pub fn rows(conn: &mut Conn, ids: &BTreeSet<SegmentId>) -> Result<Vec<SegmentRow>, StoreError> {
    segments::table
        .filter(segments::id.eq_any(ids.iter().copied().collect::<Vec<_>>()).and(segments::deleted_at.is_null()))
        .order(segments::id)
        .select(SegmentRow::as_select())
        .load(conn)
        .map_err(StoreError::query("read segments by their ids"))
}

/// Those of `ids` that there are, held: none of them is deleted or evaluated anew until the end of the transaction.
///
/// # Errors
/// The query failed.
pub fn held(conn: &mut Conn, ids: &BTreeSet<SegmentId>) -> Result<Vec<SegmentRow>, StoreError> {
    dialect::holding::held(conn, &ids.iter().copied().collect::<Vec<_>>())
}
