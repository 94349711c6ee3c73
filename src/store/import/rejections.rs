//! All rejected rows of imports, in the format of each one's file. A row of the table holds those of one batch.

mod dialect;

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::status::ImportStatus;
use crate::domain::ids::ImportId;
use crate::domain::instant::UtcInstant;
use crate::store::engine::schema::{import_rejections, imports};
use crate::store::{Conn, StoreError};

/// How long after the end of an import its rejected rows are kept, in milliseconds: seven days.
pub const KEPT_MS: i64 = 7 * 86_400_000;

/// The most that is kept of one import, in bytes. Of further rows only the number is known.
const MOST_BYTES: i64 = 64 * 1_048_576;

/// Keeps the header, unless it is there already: an import that an earlier version began has none.
///
/// # Errors
/// The query failed.
pub(super) fn keep_header(conn: &mut Conn, id: ImportId, header: &str) -> Result<(), StoreError> {
    dialect::keep_header(conn, id, header)
}

/// Keeps the rejected rows of a batch that ends at this byte of the file, unless they are too many. Belongs in the transaction that stores
/// the batch.
///
/// # Errors
/// The query failed.
pub(super) fn keep(conn: &mut Conn, id: ImportId, byte: i64, text: &str) -> Result<(), StoreError> {
    if text.is_empty() {
        return Ok(());
    }
    let kept: i64 = import_rejections::table
        .filter(import_rejections::import_id.eq(id))
        .select(diesel::dsl::sql::<BigInt>("COALESCE(SUM(octet_length(text)), 0)"))
        .get_result(conn)
        .map_err(StoreError::query("measure rejected rows"))?;
    if kept.saturating_add(i64::try_from(text.len()).unwrap_or(i64::MAX)) > MOST_BYTES {
        return Ok(());
    }
    diesel::insert_into(import_rejections::table)
        .values((
            import_rejections::import_id.eq(id),
            import_rejections::byte_offset.eq(byte),
            import_rejections::text.eq(text),
        ))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("keep rejected rows"))
}

/// The header, and whether it is there: before the import has begun and after the rows were removed, it is not.
///
/// # Errors
/// The query failed.
pub fn header(conn: &mut Conn, id: ImportId) -> Result<Option<String>, StoreError> {
    import_rejections::table
        .find((id, 0_i64))
        .select(import_rejections::text)
        .first(conn)
        .optional()
        .map_err(StoreError::query("read the header of rejected rows"))
}

/// Those of these imports whose rejected rows are there.
///
/// # Errors
/// The query failed.
pub fn kept_of(conn: &mut Conn, ids: &[ImportId]) -> Result<Vec<ImportId>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    import_rejections::table
        .filter(import_rejections::import_id.eq_any(ids.to_vec()).and(import_rejections::byte_offset.eq(0_i64)))
        .select(import_rejections::import_id)
        .load(conn)
        .map_err(StoreError::query("look for rejected rows"))
}

/// The rejected rows of the next batch behind this byte that has any, and where it ends.
///
/// # Errors
/// The query failed.
pub fn next(conn: &mut Conn, id: ImportId, after: i64) -> Result<Option<(i64, String)>, StoreError> {
    import_rejections::table
        .filter(import_rejections::import_id.eq(id).and(import_rejections::byte_offset.gt(after)))
        .order(import_rejections::byte_offset)
        .select((import_rejections::byte_offset, import_rejections::text))
        .first(conn)
        .optional()
        .map_err(StoreError::query("read rejected rows"))
}

/// Removes those of imports that ended before this moment: of one import, and of so many batches at most. How many were removed.
///
/// # Errors
/// A query failed.
pub fn prune(conn: &mut Conn, before: UtcInstant, most: i64) -> Result<usize, StoreError> {
    let has_ended = imports::status.eq(ImportStatus::Completed).or(imports::status.eq(ImportStatus::Failed));
    let has_rows = diesel::dsl::exists(import_rejections::table.filter(import_rejections::import_id.eq(imports::id)));
    let oldest: Option<i64> = import_rejections::table
        .select(diesel::dsl::min(import_rejections::import_id))
        .first(conn)
        .map_err(StoreError::query("look for old rejected rows"))?;
    let Some(oldest) = oldest else { return Ok(0) };
    let id: Option<ImportId> = imports::table
        .filter(imports::id.ge(oldest).and(imports::updated_at.lt(before)).and(has_ended).and(has_rows))
        .order(imports::id)
        .select(imports::id)
        .first(conn)
        .optional()
        .map_err(StoreError::query("look for old rejected rows"))?;
    let Some(id) = id else { return Ok(0) };
    // The header goes first: without it, nobody gets a part for the whole.
    let ends: Vec<i64> = import_rejections::table
        .filter(import_rejections::import_id.eq(id))
        .order(import_rejections::byte_offset)
        .limit(most)
        .select(import_rejections::byte_offset)
        .load(conn)
        .map_err(StoreError::query("look for old rejected rows"))?;
    diesel::delete(
        import_rejections::table
            .filter(import_rejections::import_id.eq(id).and(import_rejections::byte_offset.eq_any(ends))),
    )
    .execute(conn)
    .map_err(StoreError::query("remove old rejected rows"))
}
