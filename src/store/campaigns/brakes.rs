//! The brakes of campaigns: too much came back, and the campaign is paused.

use std::collections::HashMap;

use diesel::prelude::*;

use super::told::pause_itself;
use super::{CampaignRow, TransitionError, locked};
use crate::domain::campaigns::CampaignStatus;
use crate::domain::campaigns::brake::{Brake, BrakeKind, BrakeLimits, Pulled};
use crate::domain::ids::CampaignId;
use crate::domain::instant::UtcInstant;
use crate::domain::reactions::PauseReason;
use crate::store::dispatch::dialect::sum_page_counts;
use crate::store::engine::schema::campaign_brakes;
use crate::store::{Conn, StoreError, engine, reports};

/// Which of these campaigns are to be stopped by a brake that was not pulled before. Sums over pages; most campaigns have nothing to
/// sum up.
///
/// # Errors
/// A query failed.
pub fn due(
    conn: &mut Conn,
    campaigns: &[CampaignId],
    limits: BrakeLimits,
) -> Result<Vec<(CampaignId, Brake)>, StoreError> {
    let came_back = reports::came_back(conn, campaigns)?;
    if came_back.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<CampaignId> = came_back.iter().map(|row| row.campaign_id).collect();
    let counts = sum_page_counts(conn, &ids)?;
    let pulled: Vec<(CampaignId, BrakeKind)> = campaign_brakes::table
        .filter(campaign_brakes::campaign_id.eq_any(&ids))
        .select((campaign_brakes::campaign_id, campaign_brakes::kind))
        .load(conn)
        .map_err(StoreError::query("read the brakes of campaigns"))?;
    let mut due = Vec::new();
    for row in came_back {
        let sent = counts.get(&row.campaign_id).map_or(0, |counts| counts.sent);
        let exceeded = limits.exceeded(sent + row.refused, row.refused + row.bounced, row.complained);
        let news = exceeded.into_iter().filter(|brake| !pulled.contains(&(row.campaign_id, brake.kind)));
        due.extend(news.map(|brake| (row.campaign_id, brake)));
    }
    Ok(due)
}

/// Pulls a brake: pauses the campaign and notes why. `None`: it is not being sent, or the brake was pulled before.
///
/// # Errors
/// The campaign is missing, or the query failed.
pub fn pull(conn: &mut Conn, id: CampaignId, brake: Brake) -> Result<Option<CampaignRow>, TransitionError> {
    let row = locked(conn, id)?;
    if row.status != CampaignStatus::Sending {
        return Ok(None);
    }
    let before: Option<UtcInstant> = campaign_brakes::table
        .find((id, brake.kind))
        .select(campaign_brakes::pulled_at)
        .first(conn)
        .optional()
        .map_err(StoreError::query("look for a brake"))?;
    if before.is_some() {
        return Ok(None);
    }
    let now = engine::now(conn)?;
    diesel::insert_into(campaign_brakes::table)
        .values((
            campaign_brakes::campaign_id.eq(id),
            campaign_brakes::kind.eq(brake.kind),
            campaign_brakes::part.eq(brake.part),
            campaign_brakes::whole.eq(brake.whole),
            campaign_brakes::pulled_at.eq(now),
        ))
        .execute(conn)
        .map_err(StoreError::query("note a brake"))?;
    let reason = match brake.kind {
        BrakeKind::Bounces => PauseReason::Bounces,
        BrakeKind::Complaints => PauseReason::Complaints,
    };
    pause_itself(conn, &row, reason).map(Some)
}

/// Notes that the campaign goes on all the same: it is not stopped by the same brake again.
pub(super) fn release(conn: &mut Conn, id: CampaignId) -> Result<(), StoreError> {
    let now = engine::now(conn)?;
    let holding = campaign_brakes::campaign_id.eq(id).and(campaign_brakes::released_at.is_null());
    diesel::update(campaign_brakes::table.filter(holding))
        .set(campaign_brakes::released_at.eq(now))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("release a campaign's brakes"))
}

/// The brake that holds each of these campaigns: the first one that was pulled.
///
/// # Errors
/// The query failed.
pub fn holding(conn: &mut Conn, campaigns: &[CampaignId]) -> Result<HashMap<CampaignId, Pulled>, StoreError> {
    let rows: Vec<(CampaignId, BrakeKind, i64, i64, UtcInstant)> = campaign_brakes::table
        .filter(campaign_brakes::campaign_id.eq_any(campaigns).and(campaign_brakes::released_at.is_null()))
        .order((campaign_brakes::pulled_at.desc(), campaign_brakes::kind.desc()))
        .select((
            campaign_brakes::campaign_id,
            campaign_brakes::kind,
            campaign_brakes::part,
            campaign_brakes::whole,
            campaign_brakes::pulled_at,
        ))
        .load(conn)
        .map_err(StoreError::query("read the brakes that hold campaigns"))?;
    let pulled = |(id, kind, part, whole, at)| (id, Pulled { brake: Brake { kind, part, whole }, at });
    Ok(rows.into_iter().map(pulled).collect())
}
