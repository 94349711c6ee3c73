//! Campaigns as a person sees them at a glance: few, and without their audiences, each of which may be a million ids.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable, Text};

use super::CampaignRow;
use crate::domain::campaigns::{CampaignOutcome, CampaignStatus};
use crate::domain::ids::CampaignId;
use crate::domain::instant::UtcInstant;
use crate::store::engine::schema::{campaigns, pages};
use crate::store::{Conn, StoreError};

/// The columns of a [`CampaignRow`], with no audience in the place of its own.
macro_rules! without_audience {
    () => {
        (
            campaigns::id,
            campaigns::name,
            campaigns::channel,
            campaigns::status,
            campaigns::status_version,
            campaigns::pool,
            campaigns::template_id,
            campaigns::template_version_id,
            sql::<Nullable<Text>>("NULL"),
            campaigns::on_uncertain,
            campaigns::rate_per_second,
            campaigns::retry_for_ms,
            campaigns::scheduled_at,
            campaigns::key,
            campaigns::correlation_id,
            campaigns::link_kid,
            campaigns::outcome,
            campaigns::content_doubt,
            campaigns::refusal_doubt,
            campaigns::launch_error_code,
            campaigns::launch_error_detail,
            campaigns::created_at,
            campaigns::updated_at,
            campaigns::launched_at,
            campaigns::ended_at,
            campaigns::rewound_at,
            campaigns::category,
            campaigns::topic_id,
            campaigns::scheduled_scope,
            campaigns::scheduled_category,
            campaigns::tracking,
        )
    };
}

/// The newest campaigns with one of these statuses, at most so many.
///
/// # Errors
/// The query failed.
pub fn newest(conn: &mut Conn, statuses: &[CampaignStatus], most: i64) -> Result<Vec<CampaignRow>, StoreError> {
    campaigns::table
        .filter(campaigns::deleted_at.is_null().and(campaigns::status.eq_any(statuses)))
        .order(campaigns::id.desc())
        .limit(most)
        .select(without_audience!())
        .load(conn)
        .map_err(StoreError::query("list the newest campaigns"))
}

/// The campaigns that are scheduled, soonest first, at most so many.
///
/// # Errors
/// The query failed.
pub fn soonest(conn: &mut Conn, most: i64) -> Result<Vec<CampaignRow>, StoreError> {
    campaigns::table
        .filter(campaigns::deleted_at.is_null().and(campaigns::status.eq(CampaignStatus::Scheduled)))
        .order(campaigns::scheduled_at)
        .limit(most)
        .select(without_audience!())
        .load(conn)
        .map_err(StoreError::query("list the next campaigns"))
}

/// These campaigns, as far as they are there.
///
/// # Errors
/// The query failed.
pub fn these(conn: &mut Conn, ids: &[CampaignId]) -> Result<Vec<CampaignRow>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    campaigns::table
        .filter(campaigns::deleted_at.is_null().and(campaigns::id.eq_any(ids)))
        .order(campaigns::id.desc())
        .select(without_audience!())
        .load(conn)
        .map_err(StoreError::query("read campaigns"))
}

/// The newest campaigns that have uncertain deliveries, at most so many.
///
/// # Errors
/// A query failed.
pub fn uncertain(conn: &mut Conn, most: i64) -> Result<Vec<CampaignRow>, StoreError> {
    // Word for word the condition of an index: a bound value would not let every plan use it.
    let is_uncertain = sql::<Bool>("pages.uncertain > 0");
    let ids: Vec<CampaignId> = pages::table
        .inner_join(campaigns::table.on(campaigns::id.eq(pages::campaign_id)))
        .filter(is_uncertain.and(campaigns::deleted_at.is_null()))
        .select(pages::campaign_id)
        .distinct()
        .order(pages::campaign_id.desc())
        .limit(most)
        .load(conn)
        .map_err(StoreError::query("look for uncertain deliveries"))?;
    these(conn, &ids)
}

/// The newest campaigns whose time came after this moment and that could not be launched, at most so many.
///
/// # Errors
/// The query failed.
pub fn not_launched(conn: &mut Conn, since: UtcInstant, most: i64) -> Result<Vec<CampaignRow>, StoreError> {
    campaigns::table
        .filter(campaigns::deleted_at.is_null().and(campaigns::status.eq(CampaignStatus::Failed)))
        .filter(campaigns::outcome.eq(CampaignOutcome::LaunchFailed).and(campaigns::ended_at.gt(since)))
        .order(campaigns::id.desc())
        .limit(most)
        .select(without_audience!())
        .load(conn)
        .map_err(StoreError::query("look for launches that failed"))
}

/// How many campaigns have one of these statuses.
///
/// # Errors
/// The query failed.
pub fn count(conn: &mut Conn, statuses: &[CampaignStatus]) -> Result<i64, StoreError> {
    campaigns::table
        .filter(campaigns::deleted_at.is_null().and(campaigns::status.eq_any(statuses)))
        .count()
        .get_result(conn)
        .map_err(StoreError::query("count campaigns"))
}
