//! The decision follower: hears of operators' decisions, sees to it that this instance follows them, and acknowledges.
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
use crate::runtime::hints::{Changed, LookNow};
use crate::runtime::in_flight::InFlight;
use crate::runtime::status_cache::StatusCache;
use crate::runtime::suspensions::Suspensions;
use crate::store::replicas::decisions::{self, Acknowledgement, Unacknowledged};
use crate::store::replicas::pool_switches;
use crate::store::{Lane, Store, StoreError};

/// Reports what it has heard.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "DecisionFollowerState")]
pub struct GetState;

/// What the decision follower has heard.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct DecisionFollowerState {
    /// Decisions acknowledged since the start.
    pub acknowledged: u64,
    /// Pools that operators have suspended.
    pub suspended: Vec<String>,
    /// Whether it is looking.
    pub looking: bool,
}

/// What the decision follower is built from; kept by the guardian to build it again.
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
    /// The pools, which then give back what they hold.
    pub pools: PoolDirectory,
    /// Gets the hints about changed campaigns.
    pub driver: Recipient<Changed>,
    /// Where suspensions show.
    pub health: Health,
    /// The protocol's delays.
    pub timing: Timing,
}

/// The actor.
pub struct DecisionFollower {
    deps: FollowerDeps,
    looking: bool,
    /// A hint came during a look, which may have been too early for it.
    again: bool,
    acknowledged: u64,
}

impl DecisionFollower {
    /// A decision follower that looks when it is started, and from then on each due tick.
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
        ctx.spawn(async move { deps.follow().await }.into_actor(self).map(|result, follower, ctx| {
            follower.looking = false;
            match result {
                Ok(heard) => follower.acknowledged += heard,
                Err(error) => tracing::debug!(
                    event = "decisions.poll_failed",
                    error = %error,
                    "decisions cannot be read from the database; it is tried again"
                ),
            }
            if std::mem::take(&mut follower.again) {
                follower.look(ctx);
            }
        }));
    }
}

impl FollowerDeps {
    /// Follows what is posted, and says so. Returns how many decisions that were.
    async fn follow(&self) -> Result<u64, StoreError> {
        let me = self.instance;
        let look =
            move |conn: &mut crate::store::Conn| Ok((decisions::unacknowledged(conn, me)?, pool_switches::all(conn)?));
        let (unacknowledged, (switches, now)) = self.store.run(Lane::LookUp, "look for decisions", look).await?;
        for pool in self.suspensions.pools() {
            let known = switches.iter().find(|known| known.pool == pool);
            let holds = known.is_some_and(|known| known.holds(now));
            if self.suspensions.follow(pool, known.map_or(0, |known| known.version), holds) {
                if known.is_some() {
                    tracing::info!(
                        event = "pool.control",
                        pool,
                        suspended = holds,
                        "this instance follows a decision about the pool"
                    );
                }
                self.pools.wake(pool);
            }
            let reason = known.filter(|_| holds).map(|known| known.reason.clone().unwrap_or_default());
            self.health.note_suspension(pool, reason);
        }
        if unacknowledged.is_empty() {
            return Ok(0);
        }
        let acknowledgements: Vec<Acknowledgement> =
            unacknowledged.into_iter().map(|notice| self.act(notice)).collect();
        let heard = u64::try_from(acknowledgements.len()).unwrap_or(0);
        self.store
            .run(Lane::Control, "acknowledge decisions", move |conn| {
                conn.write(|conn| decisions::acknowledge(conn, me, &acknowledgements))
            })
            .await?;
        Ok(heard)
    }

    /// From here on nothing begins that the decision forbids: what is believed is read before every hand-over.
    fn act(&self, notice: Unacknowledged) -> Acknowledgement {
        let Unacknowledged { subject, version, action } = notice;
        if let Subject::Campaign(campaign) = subject {
            let status = match action {
                Action::Pause | Action::Suspend => CampaignStatus::Paused,
                Action::Stop => CampaignStatus::Stopped,
                Action::Resume => CampaignStatus::Sending,
            };
            self.status.set(campaign, status, version);
            let _ = self.driver.try_send(Changed { campaign });
        }
        let (in_flight, last_begun_ms_ago) = self.in_flight.seen(&subject);
        Acknowledgement { subject, version, in_flight, last_begun_ms_ago }
    }
}

impl Actor for DecisionFollower {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look(ctx);
        ctx.run_interval(self.deps.timing.due_tick(), |follower, ctx| {
            if !follower.looking {
                follower.look(ctx);
            }
        });
    }
}

impl Handler<LookNow> for DecisionFollower {
    type Result = ();

    fn handle(&mut self, _: LookNow, ctx: &mut Self::Context) {
        self.look(ctx);
    }
}

impl Handler<GetState> for DecisionFollower {
    type Result = MessageResult<GetState>;

    fn handle(&mut self, _: GetState, _: &mut Self::Context) -> Self::Result {
        MessageResult(DecisionFollowerState {
            acknowledged: self.acknowledged,
            suspended: self.deps.suspensions.suspended(),
            looking: self.looking,
        })
    }
}
