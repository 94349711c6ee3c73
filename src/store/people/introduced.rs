//! Since when contacts are counted by lists with `default_opt_in`.

use diesel::prelude::*;

use crate::domain::ids::ContactId;
use crate::domain::instant::UtcInstant;
use crate::store::engine::schema::contacts;
use crate::store::{Conn, StoreError};

/// Introduces those of these contacts that were known by other means only. They are held.
///
/// # Errors
/// The query failed.
pub(super) fn introduce(conn: &mut Conn, ids: &[ContactId], now: UtcInstant) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    diesel::update(contacts::table.filter(contacts::id.eq_any(ids).and(contacts::introduced_at.is_null())))
        .set(contacts::introduced_at.eq(now))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("introduce contacts"))
}
