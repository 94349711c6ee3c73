//! The switchboard: hears of operators' decisions, sees to it that this instance follows them, and acknowledges.
//!
//! What it acts on are rows, posted in the transaction of the decision. A message says "look now"; without one, the tick
//! looks.

use std::sync::Arc;

use actix::prelude::*;
use serde::Serialize;

use crate::config::timing::Timing;
use crate::domain::campaigns::CampaignStatus;
use crate::domain::ids::InstanceId;
use crate::domain::replicas::decision::{Action, Subject};
use crate::runtime::directory::PoolDirectory;
use crate::runtime::health::Health;
use crate::runtime::hints::{Changed, Listen};
use crate::runtime::in_flight::InFlight;
use crate::runtime::status_cache::StatusCache;
use crate::runtime::suspensions::Suspensions;
use crate::store::replicas::notices::{self, Acknowledgement, Unheard};
use crate::store::replicas::pool_switches;
use crate::store::{Lane, Store, StoreError};

/// Reports what it has heard.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "SwitchboardState")]
pub struct GetState;

/// What the switchboard has heard.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct SwitchboardState {
    /// Decisions acknowledged since the start.
    pub acknowledged: u64,
    /// Pools that operators have suspended.
    pub suspended: Vec<String>,
    /// Whether it is looking.
    pub looking: bool,
}

/// What the switchboard is built from; kept by the guardian to build it again.
#[derive(Clone)]
pub struct FollowerDeps {
    /// The database.
    pub store: Store,
    /// This incarnation.
    pub instance: InstanceId,
    /// Campaign statuses.
    pub status: Arc<StatusCache>,
    /// Suspended pools.
    pub suspensions: Suspensions,
    /// What is being handed over.
    pub in_flight: Arc<InFlight>,
    /// The pools, told to let go of what they hold.
    pub pools: PoolDirectory,
    /// Told of changed campaigns.
    pub supervisor: Recipient<Changed>,
    /// Where suspensions show.
    pub health: Health,
    /// The protocol's delays.
    pub timing: Timing,
}

/// The actor.
pub struct Switchboard {
    deps: FollowerDeps,
    looking: bool,
    /// A hint came during a look, which may have been too early for it.
    again: bool,
    acknowledged: u64,
}

impl Switchboard {
    /// A switchboard that looks when it is started, and from then on each due tick.
    #[must_use]
    pub fn new(deps: FollowerDeps) -> Self {
        Self { deps, looking: false, again: false, acknowledged: 0 }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        if self.looking {
            self.again = true;
            return;
        }
        self.looking = true;
        let deps = self.deps.clone();
        ctx.spawn(async move { deps.follow().await }.into_actor(self).map(|result, switchboard, ctx| {
            switchboard.looking = false;
            match result {
                Ok(heard) => switchboard.acknowledged += heard,
                Err(error) => tracing::debug!(error = %error, "decisions wait for the database"),
            }
            if std::mem::take(&mut switchboard.again) {
                switchboard.look(ctx);
            }
        }));
    }
}

impl FollowerDeps {
    /// Follows what is posted, and says so. Returns how many decisions that were.
    async fn follow(&self) -> Result<u64, StoreError> {
        let me = self.instance;
        let look = move |conn: &mut crate::store::Conn| Ok((notices::unheard(conn, me)?, pool_switches::all(conn)?));
        let (unheard, (switches, now)) = self.store.run(Lane::LookUp, "look for decisions", look).await?;
        for pool in self.suspensions.pools() {
            let known = switches.iter().find(|known| known.pool == pool);
            let holds = known.is_some_and(|known| known.holds(now));
            if self.suspensions.follow(pool, known.map_or(0, |known| known.version), holds) {
                if known.is_some() {
                    tracing::info!(pool, suspended = holds, "pool.control");
                }
                self.pools.wake(pool);
            }
            let reason = known.filter(|_| holds).map(|known| known.reason.clone().unwrap_or_default());
            self.health.note_suspension(pool, reason);
        }
        if unheard.is_empty() {
            return Ok(0);
        }
        let acknowledgements: Vec<Acknowledgement> = unheard.into_iter().map(|notice| self.act(notice)).collect();
        let heard = u64::try_from(acknowledgements.len()).unwrap_or(0);
        self.store
            .run(Lane::Control, "acknowledge decisions", move |conn| {
                conn.write(|conn| notices::acknowledge(conn, me, &acknowledgements))
            })
            .await?;
        Ok(heard)
    }

    /// From here on nothing begins that the decision forbids: what is believed is read before every hand-over.
    fn act(&self, notice: Unheard) -> Acknowledgement {
        let Unheard { subject, version, action } = notice;
        if let Subject::Campaign(campaign) = subject {
            let status = match action {
                Action::Pause | Action::Suspend => CampaignStatus::Paused,
                Action::Stop => CampaignStatus::Stopped,
                Action::Resume => CampaignStatus::Sending,
            };
            self.status.set(campaign, status, version);
            let _ = self.supervisor.try_send(Changed { campaign });
        }
        let (in_flight, last_begun_ms_ago) = self.in_flight.seen(&subject);
        Acknowledgement { subject, version, in_flight, last_begun_ms_ago }
    }
}

impl Actor for Switchboard {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look(ctx);
        ctx.run_interval(self.deps.timing.due_tick(), |switchboard, ctx| {
            if !switchboard.looking {
                switchboard.look(ctx);
            }
        });
    }
}

impl Handler<Listen> for Switchboard {
    type Result = ();

    fn handle(&mut self, _: Listen, ctx: &mut Self::Context) {
        self.look(ctx);
    }
}

impl Handler<GetState> for Switchboard {
    type Result = MessageResult<GetState>;

    fn handle(&mut self, _: GetState, _: &mut Self::Context) -> Self::Result {
        MessageResult(SwitchboardState {
            acknowledged: self.acknowledged,
            suspended: self.deps.suspensions.suspended(),
            looking: self.looking,
        })
    }
}
