//! The time at which a campaign launches by itself.

use serde_json::json;

use super::launch::{LaunchError, check_launchable, keep_scheduled};
use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::CampaignId;
use crate::domain::instant::UtcInstant;
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::campaigns::{self, CampaignWithDetails, TransitionError};
use crate::store::{Conn, Lane, MayBeStoreError, StoreError, engine};

/// A time further away than this is taken for a mistake, in milliseconds: two years.
const FURTHEST_MS: i64 = 2 * 366 * 86_400_000;

/// The time may lie this far in the past, in milliseconds: clocks differ.
const GRACE_MS: i64 = 60_000;

/// Why a campaign is not scheduled.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The time has passed.
    #[error("{at} is in the past (it is {now})")]
    Past {
        /// The time asked for.
        at: UtcInstant,
        /// The time of the database.
        now: UtcInstant,
    },
    /// The time is more than two years away.
    #[error("{0} is more than two years away")]
    TooFar(UtcInstant),
    /// Its status does not allow it, or it could not be launched as it is.
    #[error(transparent)]
    Launch(#[from] LaunchError),
}

impl From<TransitionError> for ScheduleError {
    fn from(error: TransitionError) -> Self {
        Self::Launch(error.into())
    }
}

impl From<StoreError> for ScheduleError {
    fn from(error: StoreError) -> Self {
        Self::Launch(error.into())
    }
}

impl MayBeStoreError for ScheduleError {
    fn into_store_error(self) -> Result<StoreError, Self> {
        match self {
            Self::Launch(error) => error.into_store_error().map_err(Self::Launch),
            refused @ (Self::Past { .. } | Self::TooFar(_)) => Err(refused),
        }
    }
}

/// Checks that a launch time lies neither in the past nor too far away.
///
/// # Errors
/// [`ScheduleError::Past`], [`ScheduleError::TooFar`].
pub(super) fn check_time(at: UtcInstant, now: UtcInstant) -> Result<(), ScheduleError> {
    if at < now.plus_ms(-GRACE_MS) {
        Err(ScheduleError::Past { at, now })
    } else if at > now.plus_ms(FURTHEST_MS) {
        Err(ScheduleError::TooFar(at))
    } else {
        Ok(())
    }
}

/// Sets or moves the launch time of a campaign, which must be ready to be sent.
///
/// # Errors
/// [`ScheduleError`]; nothing has changed then.
pub async fn schedule(
    services: &Services,
    id: CampaignId,
    at: UtcInstant,
    by: &By,
) -> Result<CampaignWithDetails, ScheduleError> {
    let shared = services.clone();
    let asker = by.clone();
    let schedule = move |conn: &mut Conn| {
        check_time(at, engine::now(conn)?)?;
        // The status first: a campaign that is sending is not asked whether it could be launched.
        campaigns::schedule(conn, id, Some(at))?;
        let row = keep_scheduled(conn, id, true, &asker)?;
        check_launchable(conn, &shared, id, &asker)?;
        let line = Line::of(Action::Scheduled, Object::Campaign, id);
        audit::write(conn, &asker, line.after(json!({ "scheduled_at": at })))?;
        Ok::<_, ScheduleError>(CampaignWithDetails::of(conn, row)?)
    };
    let campaign = services.store.transact(Lane::Control, "schedule a campaign", schedule).await?;
    tracing::info!(
        event = "campaign.scheduled",
        campaign.id = id.0,
        campaign.scheduled_at = %at,
        by = %by,
        "the launch time of the campaign is stored"
    );
    Ok(campaign)
}

/// Removes the launch time: the campaign is a draft again.
///
/// # Errors
/// The campaign is missing or not scheduled, or the database failed.
pub async fn unschedule(services: &Services, id: CampaignId, by: &By) -> Result<CampaignWithDetails, TransitionError> {
    let asker = by.clone();
    let unschedule = move |conn: &mut Conn| {
        let row = campaigns::schedule(conn, id, None)?;
        audit::write(conn, &asker, Line::of(Action::Unscheduled, Object::Campaign, id))?;
        Ok::<_, TransitionError>(CampaignWithDetails::of(conn, row)?)
    };
    let campaign = services.store.transact(Lane::Control, "unschedule a campaign", unschedule).await?;
    tracing::info!(
        event = "campaign.unscheduled",
        campaign.id = id.0,
        by = %by,
        "the launch time of the campaign was removed"
    );
    Ok(campaign)
}
