//! Rejected rows: what is said differently to each database.

use diesel::prelude::*;

use crate::domain::ids::ImportId;
use crate::store::engine::schema::import_rejections;
use crate::store::{Conn, StoreError};

/// Keeps the header of an import that has none.
pub(super) fn keep_header(conn: &mut Conn, id: ImportId, header: &str) -> Result<(), StoreError> {
    let row = || {
        diesel::insert_into(import_rejections::table)
            .values((
                import_rejections::import_id.eq(id),
                import_rejections::byte_offset.eq(0_i64),
                import_rejections::text.eq(header.to_owned()),
            ))
            .on_conflict_do_nothing()
    };
    match conn {
        Conn::Pg(conn) => row().execute(conn),
        Conn::Sqlite(conn) => row().execute(conn),
    }
    .map(drop)
    .map_err(StoreError::query("keep the header of rejected rows"))
}
