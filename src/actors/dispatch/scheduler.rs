//! The scheduler: campaigns whose time has come are launched, by the same path as an operator's send.

use std::sync::Arc;

use actix::prelude::*;
use serde::Serialize;

use crate::config::Settings;
use crate::domain::ids::CampaignId;
use crate::runtime::hints::Changed;
use crate::services::campaigns::launch::{LaunchError, launch_campaign};
use crate::store::campaigns::{self, CampaignRow, TransitionError};
use crate::store::engine::{self, CampaignLock};
use crate::store::{Conn, Lane, Store, StoreError};

/// The actor.
pub struct Scheduler {
    store: Store,
    settings: Arc<Settings>,
    changed: Recipient<Changed>,
    looking: bool,
    launched: u64,
    resting: bool,
}

/// Launches nothing more: the process ends.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Rest;

/// Reports what it has done.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "SchedulerState")]
pub struct GetState;

/// What the scheduler has done.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct SchedulerState {
    /// Campaigns launched since the start.
    pub launched: u64,
    /// Whether it is looking just now.
    pub looking: bool,
}

impl Scheduler {
    /// A scheduler.
    #[must_use]
    pub fn new(store: Store, settings: Arc<Settings>, changed: Recipient<Changed>) -> Self {
        Self { store, settings, changed, looking: false, launched: 0, resting: false }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        if self.looking || self.resting {
            return;
        }
        self.looking = true;
        let (store, settings) = (self.store.clone(), Arc::clone(&self.settings));
        let work = async move {
            let due = store.run(Lane::Read, "look for due campaigns", campaigns::due).await?;
            let mut launched = Vec::new();
            for campaign in due {
                let id = campaign.id;
                match launch_due(&store, &settings, campaign).await {
                    Ok(true) => launched.push(id),
                    Ok(false) => {}
                    Err(error @ (StoreError::Unavailable { .. } | StoreError::Closed)) => return Err(error),
                    // One that cannot be launched must not hold up those behind it; its turn comes again.
                    Err(error) => {
                        tracing::error!(campaign.id = id.0, error = %error, "a due campaign cannot be launched now");
                    }
                }
            }
            Ok::<Vec<CampaignId>, StoreError>(launched)
        };
        ctx.spawn(work.into_actor(self).map(|result, scheduler, _| {
            scheduler.looking = false;
            match result {
                Ok(launched) => {
                    for campaign in launched {
                        scheduler.launched += 1;
                        // A lost hint costs one tick of the supervisor.
                        let _ = scheduler.changed.try_send(Changed { campaign });
                    }
                }
                Err(error) => tracing::warn!(error = %error, "the scheduler waits for the database"),
            }
        }));
    }
}

/// Launches one due campaign; a late one goes out all the same. One that cannot be sent ends as failed, and says so.
async fn launch_due(store: &Store, settings: &Arc<Settings>, campaign: CampaignRow) -> Result<bool, StoreError> {
    let id = campaign.id;
    let settings = Arc::clone(settings);
    let due_at = campaign.scheduled_at;
    let attempt = store
        .run(Lane::Control, "launch a due campaign", move |conn| {
            let mut refused = None;
            let launched = conn.write(|conn| {
                engine::lock_campaign(conn, id, CampaignLock::Exclusive)?;
                // Moved to another time, or deleted, since it was found due.
                if campaigns::find(conn, id)?.is_none_or(|now| now.scheduled_at != due_at) {
                    return Ok(None);
                }
                match launch_campaign(conn, &settings.pools, id, None) {
                    Ok(launched) => Ok(Some(launched)),
                    Err(LaunchError::Transition(TransitionError::Store(error))) => Err(error),
                    Err(error) => {
                        // Nothing was written before a refusal, and the lock is held: it ends as what was looked at.
                        if !matches!(error, LaunchError::Transition(_)) {
                            fail(conn, id, &error)?;
                        }
                        refused = Some(error);
                        Ok(None)
                    }
                }
            })?;
            Ok((launched, refused))
        })
        .await?;
    match attempt {
        (Some(launched), _) => {
            tracing::info!(
                campaign.id = id.0,
                correlation.id = launched.campaign.correlation_id,
                campaign.expected = launched.expected,
                campaign.scheduled_at = campaign.scheduled_at.map(tracing::field::display),
                "campaign.launched"
            );
            Ok(true)
        }
        (None, None) => Ok(false),
        (None, Some(LaunchError::Transition(refused))) => {
            tracing::info!(campaign.id = id.0, refused = %refused, "a due campaign was taken up elsewhere");
            Ok(false)
        }
        (None, Some(refused)) => {
            tracing::error!(
                campaign.id = id.0,
                code = refused.code(),
                reason = %refused,
                "a scheduled campaign cannot be launched"
            );
            Ok(false)
        }
    }
}

fn fail(conn: &mut Conn, id: CampaignId, why: &LaunchError) -> Result<(), StoreError> {
    match campaigns::end_unlaunched(conn, id, why.code(), &why.to_string()) {
        Err(TransitionError::Store(error)) => Err(error),
        // Somebody was quicker: an edit, a launch, a deletion.
        Ok(_) | Err(TransitionError::NotFound(_) | TransitionError::Illegal(_) | TransitionError::SweepUnderWay(_)) => {
            Ok(())
        }
    }
}

impl Actor for Scheduler {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look(ctx);
        ctx.run_interval(self.settings.timing.scheduler_tick(), |scheduler, ctx| scheduler.look(ctx));
    }
}

impl Handler<Rest> for Scheduler {
    type Result = ();

    fn handle(&mut self, _: Rest, _: &mut Self::Context) {
        self.resting = true;
    }
}

impl Handler<GetState> for Scheduler {
    type Result = MessageResult<GetState>;

    fn handle(&mut self, _: GetState, _: &mut Self::Context) -> Self::Result {
        MessageResult(SchedulerState { launched: self.launched, looking: self.looking })
    }
}
