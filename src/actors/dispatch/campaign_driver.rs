//! The campaign driver: the lifecycle after a status is stored. Handlers store transitions; what comes here are
//! hints, and the tick finds whatever a hint would have said.

mod brakes;

use std::collections::{BTreeSet, HashMap, HashSet};

use actix::prelude::*;
use serde::Serialize;

use super::paginator::{self, Paginator};
use crate::actors::replicas::broker_link::outbox::Announcer;
use crate::config::Sending;
use crate::config::timing::Timing;
use crate::domain::campaigns::CampaignStatus;
use crate::domain::campaigns::brake::BrakeLimits;
use crate::domain::dispatch::page::Counts;
use crate::domain::ids::CampaignId;
use crate::domain::replicas::messages::Tracked;
use crate::runtime::directory::PoolDirectory;
use crate::runtime::health::Health;
use crate::runtime::hints::{Changed, PageSettled};
use crate::runtime::status_cache::StatusCache;
use crate::store::campaigns::{self, CampaignRow, PackingRow, TransitionError, Unfinished};
use crate::store::dispatch::pool_moves;
use crate::store::dispatch::sweeps::{self, Swept};
use crate::store::{Conn, Lane, Store, StoreError};

/// Starts nothing more, and has the paginators stop at the page they are at: the process ends.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Quiesce;

/// Reports what is being driven.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "DriverState")]
pub struct GetState;

/// Asks for the paginators that are at work, who say themselves how far they are.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Vec<Addr<Paginator>>")]
pub struct Paginators;

/// What is being driven.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct DriverState {
    /// Campaigns being packed.
    pub packing: Vec<CampaignId>,
    /// Campaigns with a sweep over their pages under way, or a change of their pool.
    pub sweeping: Vec<CampaignId>,
}

/// What goes over a campaign's pages, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Pass {
    /// A sweep: after a stop or a re-open.
    Sweep,
    /// A change of pool.
    ChangeOfPool,
}

impl Pass {
    /// Does the next page.
    fn step(self, conn: &mut Conn, id: CampaignId) -> Result<Swept, StoreError> {
        match self {
            Self::Sweep => sweeps::sweep_page(conn, id),
            Self::ChangeOfPool => pool_moves::move_page(conn, id),
        }
    }
}

/// The actor.
pub struct CampaignDriver {
    store: Store,
    pools: PoolDirectory,
    status: std::sync::Arc<StatusCache>,
    announcer: Announcer,
    health: Health,
    timing: Timing,
    page_size: i64,
    brakes: BrakeLimits,
    paginators: HashMap<CampaignId, Addr<Paginator>>,
    sweeping: HashSet<(CampaignId, Pass)>,
    completing: HashSet<CampaignId>,
    looking: bool,
    braking: bool,
    quiescing: bool,
}

impl CampaignDriver {
    /// A campaign driver that packs pages of the size in `sending`, and pauses what comes back more often than its brakes allow.
    #[must_use]
    pub fn new(
        store: Store,
        pools: PoolDirectory,
        status: std::sync::Arc<StatusCache>,
        announcer: Announcer,
        health: Health,
        timing: Timing,
        sending: &Sending,
    ) -> Self {
        Self {
            store,
            pools,
            status,
            announcer,
            health,
            timing,
            page_size: crate::domain::dispatch::page::clamp_page_size(sending.page_size),
            brakes: sending.brakes(),
            paginators: HashMap::new(),
            sweeping: HashSet::new(),
            completing: HashSet::new(),
            looking: false,
            braking: false,
            quiescing: false,
        }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        if self.looking || self.quiescing {
            return;
        }
        self.looking = true;
        let store = self.store.clone();
        let work = async move { store.run(Lane::Read, "look for unfinished campaigns", campaigns::unfinished).await };
        ctx.spawn(work.into_actor(self).map(|result, driver, ctx| {
            driver.looking = false;
            match result {
                Ok(_) if driver.quiescing => {}
                Ok(unfinished) => {
                    driver.look_at_brakes(&unfinished, ctx);
                    for (campaign, packing) in &unfinished {
                        driver.drive(campaign, packing, ctx);
                    }
                }
                Err(error) => tracing::warn!(
                    event = "driver.poll_failed",
                    error = %error,
                    "the campaign driver cannot read the database; it tries again"
                ),
            }
        }));
    }

    /// Starts whatever the campaign's stored state asks for and nobody is doing yet.
    fn drive(&mut self, campaign: &Unfinished, packing: &PackingRow, ctx: &mut Context<Self>) {
        let id = campaign.id;
        self.status.set(id, campaign.status, campaign.status_version);
        self.paginators.retain(|_, paginator| paginator.connected());
        let passes = [(packing.sweep.is_some(), Pass::Sweep), (packing.move_page_id.is_some(), Pass::ChangeOfPool)];
        for (is_due, pass) in passes {
            if is_due && self.sweeping.insert((id, pass)) {
                self.pass_over(id, pass, ctx);
            }
        }
        if campaign.status != CampaignStatus::Sending {
            return;
        }
        if !packing.done && !self.paginators.contains_key(&id) {
            let paginator = Paginator::new(
                self.store.clone(),
                self.pools.clone(),
                self.announcer.clone(),
                self.health.clone(),
                campaign,
                self.page_size,
            );
            self.paginators.insert(id, paginator.start());
        } else if packing.done && packing.sweep.is_none() {
            self.complete(id, ctx);
        }
    }

    fn pass_over(&mut self, id: CampaignId, pass: Pass, ctx: &mut Context<Self>) {
        let store = self.store.clone();
        let work = async move {
            loop {
                let step = store.run(Lane::Write, "pass over a campaign's pages", move |conn| {
                    conn.write(|conn| pass.step(conn, id))
                });
                match step.await? {
                    Swept::Page(_) => {}
                    Swept::Done => return Ok::<bool, StoreError>(true),
                    // The tick goes on from there.
                    Swept::Waits => return Ok(false),
                }
            }
        };
        ctx.spawn(work.into_actor(self).map(move |result, driver, ctx| {
            driver.sweeping.remove(&(id, pass));
            match result {
                Ok(false) => {}
                Ok(true) => {
                    driver.pools.wake_all();
                    driver.announcer.pages();
                    driver.complete(id, ctx);
                }
                // The cursor stands where it stopped; the tick goes on from there.
                Err(error) => tracing::warn!(
                    event = "campaign.sweep_failed",
                    campaign.id = id.0,
                    error = %error,
                    "a sweep over the pages of a campaign was interrupted; it is tried again"
                ),
            }
        }));
    }

    fn complete(&mut self, id: CampaignId, ctx: &mut Context<Self>) {
        if !self.completing.insert(id) {
            return;
        }
        let store = self.store.clone();
        let work = async move {
            // Look first without the lock, so that an open campaign's claims are not held up once a second.
            let open = store.run(Lane::Read, "look for open pages", move |conn| campaigns::has_open_page(conn, id));
            if open.await? {
                return Ok(None);
            }
            store
                .run(Lane::Control, "complete a campaign", move |conn| {
                    conn.write(|conn| match campaigns::complete(conn, id) {
                        Ok(None) => Ok(None),
                        Ok(Some(row)) => Ok(Some((row, campaigns::counts(conn, id)?))),
                        Err(TransitionError::Store(error)) => Err(error),
                        // Deleted or moved on meanwhile: then there is nothing to complete.
                        Err(
                            TransitionError::NotFound(_)
                            | TransitionError::Illegal(_)
                            | TransitionError::SweepUnderWay(_)
                            | TransitionError::Archived(_),
                        ) => Ok(None),
                    })
                })
                .await
        };
        ctx.spawn(work.into_actor(self).map(
            move |result: Result<Option<(CampaignRow, Counts)>, StoreError>, driver, _| {
                driver.completing.remove(&id);
                match result {
                    Ok(Some((row, counts))) => {
                        driver.status.set(id, row.status, row.status_version);
                        driver.announcer.tracked(&Tracked::campaign(id, counts));
                        tracing::info!(
                            event = "campaign.completed",
                            campaign.id = id.0,
                            correlation.id = row.correlation_id,
                            campaign.status = row.status.as_str(),
                            "the campaign has ended"
                        );
                    }
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!(
                            event = "campaign.completion_failed",
                            campaign.id = id.0,
                            error = %error,
                            "the end of the campaign cannot be stored; it is tried again"
                        )
                    }
                }
            },
        ));
    }
}

impl Actor for CampaignDriver {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Hints only: whatever does not fit is found by the tick.
        ctx.set_mailbox_capacity(256);
        self.look(ctx);
        ctx.run_interval(self.timing.driver_tick(), |driver, ctx| driver.look(ctx));
    }
}

impl Handler<Changed> for CampaignDriver {
    type Result = ();

    fn handle(&mut self, changed: Changed, ctx: &mut Self::Context) {
        tracing::debug!(
            event = "campaign.changed",
            campaign.id = changed.campaign.0,
            "the campaign has changed, so the driver polls now"
        );
        self.pools.wake_all();
        self.announcer.pages();
        self.look(ctx);
    }
}

impl Handler<PageSettled> for CampaignDriver {
    type Result = ();

    fn handle(&mut self, settled: PageSettled, ctx: &mut Self::Context) {
        if !self.paginators.get(&settled.campaign).is_some_and(Addr::connected) {
            self.complete(settled.campaign, ctx);
        }
    }
}

impl Handler<Quiesce> for CampaignDriver {
    type Result = ();

    fn handle(&mut self, _: Quiesce, _: &mut Self::Context) {
        self.quiescing = true;
        for paginator in self.paginators.values() {
            // One that does not hear it is cut off between two pages, which is where it goes on.
            let _ = paginator.try_send(paginator::Quiesce);
        }
    }
}

impl Handler<GetState> for CampaignDriver {
    type Result = MessageResult<GetState>;

    fn handle(&mut self, _: GetState, _: &mut Self::Context) -> Self::Result {
        let packing = self.paginators.iter().filter(|(_, addr)| addr.connected()).map(|(id, _)| *id).collect();
        let sweeping = self.sweeping.iter().map(|(id, _)| *id).collect::<BTreeSet<_>>();
        MessageResult(DriverState { packing, sweeping: sweeping.into_iter().collect() })
    }
}

impl Handler<Paginators> for CampaignDriver {
    type Result = MessageResult<Paginators>;

    fn handle(&mut self, _: Paginators, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.paginators.values().filter(|paginator| paginator.connected()).cloned().collect())
    }
}
