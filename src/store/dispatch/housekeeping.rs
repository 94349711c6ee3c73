//! Rows that nobody asks for any more.

use diesel::dsl::exists;
use diesel::prelude::*;

use crate::domain::ids::InstanceId;
use crate::domain::instant::UtcInstant;
use crate::store::engine::page_states::is_leased;
use crate::store::engine::schema::{instances, notices, pages};
use crate::store::replicas::rates;
use crate::store::{Conn, StoreError, engine};

/// How long ended instances, old receipts and unused rates are kept, in milliseconds: 30 days.
pub const KEPT_FOR_MS: i64 = 30 * 86_400_000;

/// Rows that are removed in one transaction.
pub const PORTION: i64 = 500;

/// Removes a portion of the receipts of decisions that are older than 30 days. Whether there may be more.
///
/// # Errors
/// A query failed; nothing was changed.
pub fn prune_receipts(conn: &mut Conn) -> Result<bool, StoreError> {
    let before = engine::now(conn)?.plus_ms(-KEPT_FOR_MS);
    let cut: Option<UtcInstant> = notices::table
        .filter(notices::noted_at.lt(before))
        .order(notices::noted_at)
        .offset(PORTION - 1)
        .select(notices::noted_at)
        .first(conn)
        .optional()
        .map_err(StoreError::query("look for old receipts"))?;
    diesel::delete(notices::table.filter(notices::noted_at.le(cut.unwrap_or(before.plus_ms(-1)))))
        .execute(conn)
        .map_err(StoreError::query("remove old receipts"))?;
    Ok(cut.is_some())
}

/// Removes a portion of the instances that were last heard of more than 30 days ago and hold no page. Whether there may be more.
///
/// # Errors
/// A query failed; nothing was changed.
pub fn prune_instances(conn: &mut Conn) -> Result<bool, StoreError> {
    let before = engine::now(conn)?.plus_ms(-KEPT_FOR_MS);
    // A journal of a former incarnation is believed by its row, for as long as a page is in its name.
    let holds_pages =
        || exists(pages::table.filter(is_leased().and(pages::lease_instance_id.eq(instances::id.nullable()))));
    let old: Vec<InstanceId> = instances::table
        .filter(instances::last_seen_at.lt(before))
        .filter(diesel::dsl::not(holds_pages()))
        .order(instances::id)
        .limit(PORTION)
        .select(instances::id)
        .load(conn)
        .map_err(StoreError::query("look for old instances"))?;
    let may_be_more = i64::try_from(old.len()).is_ok_and(|count| count >= PORTION);
    let still_old = instances::last_seen_at.lt(before).and(diesel::dsl::not(holds_pages()));
    diesel::delete(instances::table.filter(instances::id.eq_any(old).and(still_old)))
        .execute(conn)
        .map_err(StoreError::query("remove old instances"))?;
    Ok(may_be_more)
}

/// Removes the rates of campaigns that nothing was taken from for 30 days. Returns how many: a campaign has one at most.
///
/// # Errors
/// The query failed.
pub fn prune_rates(conn: &mut Conn) -> Result<usize, StoreError> {
    let before = engine::now(conn)?.plus_ms(-KEPT_FOR_MS);
    rates::forget_idle(conn, before)
}
