//! The scheduler: campaigns whose time has come are launched, by the same path as an operator's send.

use std::time::Duration;

use actix::prelude::*;
use serde::Serialize;

use crate::runtime::health::Health;
use crate::services::Services;
use crate::services::campaigns::launch_due::{self, launch_due};
use crate::store::{Lane, StoreError, campaigns};

/// The actor.
pub struct Scheduler {
    services: Services,
    health: Health,
    looking: bool,
    launched: u64,
    quiescing: bool,
}

/// Launches nothing more: the process ends.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Quiesce;

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
    pub fn new(services: Services, health: Health) -> Self {
        Self { services, health, looking: false, launched: 0, quiescing: false }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        if self.looking || self.quiescing {
            return;
        }
        self.looking = true;
        let services = self.services.clone();
        let work = async move {
            let due = services.store.run(Lane::Read, "look for due campaigns", campaigns::due).await?;
            let mut launched = 0_u64;
            for campaign in due {
                let id = campaign.id;
                match launch_due(&services, campaign).await {
                    Ok(true) => launched += 1,
                    Ok(false) => {}
                    Err(error @ (StoreError::Unavailable { .. } | StoreError::Closed)) => return Err(error),
                    // One that cannot be launched must not hold up those behind it; its turn comes again.
                    Err(error) => {
                        tracing::error!(
                            event = "campaign.due_launch_failed",
                            campaign.id = id.0,
                            error = %error,
                            "a due campaign cannot be launched now; it is tried again"
                        );
                    }
                }
            }
            Ok::<u64, StoreError>(launched)
        };
        ctx.spawn(work.into_actor(self).map(|result, scheduler, _| {
            scheduler.looking = false;
            match result {
                Ok(launched) => scheduler.launched += launched,
                Err(error) => tracing::warn!(
                    event = "scheduler.poll_failed",
                    error = %error,
                    "the scheduler cannot read the database; it tries again"
                ),
            }
        }));
    }
}

/// How often it is seen whether scheduled campaigns could be launched.
const FORESEE_EVERY: Duration = Duration::from_secs(60);

impl Scheduler {
    /// Looks ahead: a campaign that could not be launched says so before it is due.
    fn foresee(&self, ctx: &mut Context<Self>) {
        let services = self.services.clone();
        let work = async move { launch_due::unlaunchable(&services).await };
        ctx.spawn(work.into_actor(self).map(|result, scheduler, _| match result {
            Ok(found) => scheduler.health.note_unlaunchable(found),
            Err(error) => tracing::debug!(
                event = "scheduler.not_foreseen",
                error = %error,
                "the scheduler cannot look ahead now; it tries again"
            ),
        }));
    }
}

impl Actor for Scheduler {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look(ctx);
        self.foresee(ctx);
        ctx.run_interval(FORESEE_EVERY, |scheduler, ctx| scheduler.foresee(ctx));
        ctx.run_interval(self.services.settings.timing.scheduler_tick(), |scheduler, ctx| scheduler.look(ctx));
    }
}

impl Handler<Quiesce> for Scheduler {
    type Result = ();

    fn handle(&mut self, _: Quiesce, _: &mut Self::Context) {
        self.quiescing = true;
    }
}

impl Handler<GetState> for Scheduler {
    type Result = MessageResult<GetState>;

    fn handle(&mut self, _: GetState, _: &mut Self::Context) -> Self::Result {
        MessageResult(SchedulerState { launched: self.launched, looking: self.looking })
    }
}
