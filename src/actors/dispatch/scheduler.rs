//! The scheduler: campaigns whose time has come are launched, by the same path as an operator's send.

use actix::prelude::*;
use serde::Serialize;

use crate::services::Services;
use crate::services::campaigns::launch_due::launch_due;
use crate::store::{Lane, StoreError, campaigns};

/// The actor.
pub struct Scheduler {
    services: Services,
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
    pub fn new(services: Services) -> Self {
        Self { services, looking: false, launched: 0, quiescing: false }
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

impl Actor for Scheduler {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look(ctx);
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
