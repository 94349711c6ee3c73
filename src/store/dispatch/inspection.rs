//! What `volley verify` looks up behind the API's back, to time a recovery and to know that a database is empty.

use diesel::prelude::*;

use crate::domain::ids::{CampaignId, InstanceId, PageId};
use crate::store::engine::page_states::is_leased;
use crate::store::engine::schema::{campaigns, instances, pages};
use crate::store::{Conn, StoreError, engine};

/// Whether anything was ever sent, or prepared, with this database. One without our tables holds nothing.
///
/// # Errors
/// The query failed.
pub fn holds_campaigns(conn: &mut Conn) -> Result<bool, StoreError> {
    if !engine::has_table(conn, "campaigns")? {
        return Ok(false);
    }
    let any: QueryResult<Option<CampaignId>> = campaigns::table.select(campaigns::id).first(conn).optional();
    any.map(|any| any.is_some()).map_err(StoreError::query("look for campaigns"))
}

/// The youngest incarnation in a slot.
///
/// # Errors
/// The query failed.
pub fn incarnation(conn: &mut Conn, slot: &str) -> Result<Option<InstanceId>, StoreError> {
    instances::table
        .filter(instances::slot.eq(slot))
        .select(diesel::dsl::max(instances::id))
        .first(conn)
        .map_err(StoreError::query("look for an instance"))
}

/// How many pages an incarnation holds.
///
/// # Errors
/// The query failed.
pub fn pages_held(conn: &mut Conn, owner: InstanceId) -> Result<i64, StoreError> {
    pages::table
        .filter(is_leased().and(pages::lease_instance_id.eq(owner)))
        .count()
        .get_result(conn)
        .map_err(StoreError::query("count held pages"))
}

/// The pages of a campaign with their numbers, at most so many.
///
/// # Errors
/// The query failed.
pub fn pages_of(conn: &mut Conn, campaign: CampaignId, at_most: i64) -> Result<Vec<(PageId, i64)>, StoreError> {
    pages::table
        .filter(pages::campaign_id.eq(campaign))
        .order(pages::id)
        .limit(at_most)
        .select((pages::id, pages::seq))
        .load(conn)
        .map_err(StoreError::query("list pages"))
}
