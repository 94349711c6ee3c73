//! Rows that nobody asks for any more.

use diesel::dsl::exists;
use diesel::prelude::*;

use crate::store::engine::page_states::is_leased;
use crate::store::engine::schema::{instances, notices, pages};
use crate::store::replicas::rates;
use crate::store::{Conn, StoreError, engine};

/// How long ended instances, old receipts and unused rates are kept, in milliseconds: 30 days.
pub const KEPT_FOR_MS: i64 = 30 * 86_400_000;

/// Removes instances that were last heard of long ago and hold no page, and receipts of decisions and rates of campaigns as
/// old. Returns how many rows those were.
///
/// # Errors
/// A query failed; nothing was changed.
pub fn tidy(conn: &mut Conn) -> Result<usize, StoreError> {
    conn.write(|conn| {
        let before = engine::now(conn)?.plus_ms(-KEPT_FOR_MS);
        let receipts = diesel::delete(notices::table.filter(notices::noted_at.lt(before)))
            .execute(conn)
            .map_err(StoreError::query("remove old receipts"))?;
        // A journal of a former incarnation is believed by its row, for as long as a page is in its name.
        let holds_pages =
            exists(pages::table.filter(is_leased().and(pages::lease_instance_id.eq(instances::id.nullable()))));
        let gone = instances::table.filter(instances::last_seen_at.lt(before)).filter(diesel::dsl::not(holds_pages));
        let ended = diesel::delete(gone).execute(conn).map_err(StoreError::query("remove old instances"))?;
        Ok(receipts + ended + rates::forget_idle(conn, before)?)
    })
}
