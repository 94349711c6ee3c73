//! The launch of a campaign whose time has come.

use std::time::Instant;

use serde_json::json;

use super::audience_segments::MembersNotKnown;
use super::launch::{self, LaunchError};
use super::terms::Terms;
use crate::domain::access::Scope;
use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::CampaignId;
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::campaigns::{self, CampaignRow, TransitionError};
use crate::store::engine::{self, CampaignLock};
use crate::store::{Conn, Lane, MayBeStoreError, StoreError};

/// Launches a campaign that was found due; a late one goes out all the same. One that cannot be launched ends as failed, with
/// the reason. Returns whether it was launched.
///
/// # Errors
/// The database failed: its turn comes again.
pub async fn launch_due(services: &Services, found: CampaignRow) -> Result<bool, StoreError> {
    let (id, due_at) = (found.id, found.scheduled_at);
    let shared = services.clone();
    let began = Instant::now();
    let attempt = move |conn: &mut Conn| {
        engine::lock_campaign(conn, id, CampaignLock::Exclusive)?;
        // Moved to another time, or deleted, since it was found due.
        let Some(now) = campaigns::find(conn, id)?.filter(|now| now.scheduled_at == due_at) else { return Ok(None) };
        let by = scheduler(&now);
        // A part by itself: how many people it reaches is known when all is written, and a refusal takes that back.
        match conn.write(|conn| launch::in_transaction(conn, &shared, id, Terms::default(), &by)) {
            Ok(launched) => Ok(Some(Ok((launched, by)))),
            Err(error) => {
                let refused = match error.into_store_error() {
                    Ok(error) => return Err(error),
                    Err(refused) => refused,
                };
                // Who is a member is known before long: its turn comes again.
                if let LaunchError::Segments(MembersNotKnown::Building(_)) = &refused {
                    tracing::debug!(
                        event = "campaign.due_waits",
                        campaign.id = id.0,
                        reason = %refused,
                        "a due campaign waits until its segments are evaluated"
                    );
                    return Ok(None);
                }
                // The lock is held: it ends as what was looked at.
                if !matches!(refused, LaunchError::Transition(_)) {
                    fail(conn, id, &refused, &by)?;
                }
                Ok(Some(Err(refused)))
            }
        }
    };
    match services.store.transact(Lane::Control, "launch a due campaign", attempt).await? {
        None => Ok(false),
        Some(Ok((launched, by))) => {
            launch::announce(services, &launched, began, &by);
            Ok(true)
        }
        Some(Err(LaunchError::Transition(refused))) => {
            tracing::info!(
                event = "campaign.due_elsewhere",
                campaign.id = id.0,
                refused = %refused,
                "a due campaign was launched or changed by another request"
            );
            Ok(false)
        }
        Some(Err(refused)) => {
            tracing::error!(
                event = "campaign.due_launch_refused",
                campaign.id = id.0,
                code = refused.code(),
                reason = %refused,
                "a scheduled campaign cannot be launched, so it ends as failed"
            );
            Ok(false)
        }
    }
}

/// The scheduler, with the rights of the key that set the time. An older version kept none: operators schedule.
fn scheduler(campaign: &CampaignRow) -> By {
    By::scheduler(campaign.scheduled_scope.unwrap_or(Scope::Operate))
}

fn fail(conn: &mut Conn, id: CampaignId, why: &LaunchError, by: &By) -> Result<(), StoreError> {
    match campaigns::end_unlaunched(conn, id, why.code(), &why.to_string()) {
        Err(TransitionError::Store(error)) => Err(error),
        // Another one was quicker: an edit, a launch, a deletion.
        Ok(_) => {
            let line = Line::of(Action::LaunchFailed, Object::Campaign, id);
            audit::write(conn, by, line.after(json!({ "code": why.code() })))
        }
        Err(
            TransitionError::NotFound(_)
            | TransitionError::Illegal(_)
            | TransitionError::SweepUnderWay(_)
            | TransitionError::Archived(_),
        ) => Ok(()),
    }
}

/// How many scheduled campaigns are looked at ahead of their time, the soonest first.
const LOOKED_AT: i64 = 200;

/// Scheduled campaigns that could not be launched as they are now, and why not: an upgrade or a change of the settings may have
/// made them so.
///
/// # Errors
/// The database failed.
pub async fn unlaunchable(services: &Services) -> Result<Vec<(CampaignId, String)>, StoreError> {
    let shared = services.clone();
    let look = move |conn: &mut Conn| {
        let mut found = Vec::new();
        for campaign in campaigns::to_come(conn, LOOKED_AT)? {
            if let Err(error) = launch::look_launchable(conn, &shared, &campaign, &scheduler(&campaign)) {
                match error.into_store_error() {
                    Ok(error) => return Err(error),
                    Err(refused) => found.push((campaign.id, format!("{}: {refused}", refused.code()))),
                }
            }
        }
        Ok(found)
    };
    services.store.run(Lane::Read, "look at scheduled campaigns", look).await
}
