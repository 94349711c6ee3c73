//! The reaper: leases that ended without their owner are resolved here, and this instance says that it lives.

mod recovery;
mod resolver;
mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use serde::Serialize;

pub use self::recovery::recover;
pub use self::resolver::LeaseResolver;
use self::watch::{Loss, Watch};
use crate::config::timing::Timing;
use crate::domain::dispatch::lease::LeaseToken;
use crate::domain::ids::{InstanceId, PageId};
use crate::journal::{Journal, JournalContents};
use crate::runtime::directory::PoolDirectory;
use crate::runtime::health::Health;
use crate::runtime::in_flight::InFlight;
use crate::runtime::pool::Forget;
use crate::store::replicas::instances::{self, OpenLease};
use crate::store::{Conn, Lane, Store, StoreError};

/// Who this incarnation is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// This incarnation.
    pub instance: InstanceId,
    /// Its slot: former incarnations share it.
    pub slot: String,
    /// The machine's present boot.
    pub boot_id: String,
}

/// The actor.
pub struct Reaper {
    round: Round,
    health: Health,
    tick: Duration,
    /// What earlier rounds have seen of our own leases. A round that fails begins anew.
    watch: Watch,
    busy: bool,
    ended: u64,
}

/// What a round works with.
#[derive(Clone)]
pub struct Round {
    store: Store,
    identity: Identity,
    resolver: LeaseResolver,
    pools: PoolDirectory,
    journal: Arc<Journal>,
    in_flight: Arc<InFlight>,
    /// How long a lease of our own may lie unrenewed, with a database that answers, before nobody is taken to hold it;
    /// and twice as long as another instance may be silent before it is taken for dead.
    patience: Duration,
    /// How often a round is made.
    tick: Duration,
}

/// Reports what it has done.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "ReaperState")]
pub struct GetState;

/// What the reaper has done.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ReaperState {
    /// This incarnation.
    pub instance_id: InstanceId,
    /// Whether a round is under way.
    pub busy: bool,
    /// Lost leases resolved since the start.
    pub ended: u64,
}

impl Reaper {
    /// A reaper that makes such a round each `tick`.
    #[must_use]
    pub fn new(round: Round, health: Health, tick: Duration) -> Self {
        Self { round, health, tick, watch: Watch::default(), busy: false, ended: 0 }
    }

    fn round(&mut self, ctx: &mut Context<Self>) {
        self.round.journal.probe();
        let trouble = self.round.journal.trouble();
        if self.health.note_journal(trouble.clone()) {
            match trouble {
                None => tracing::info!(event = "journal.recovered", "the journal can be written again"),
                Some(trouble) => tracing::error!(
                    event = "journal.unavailable",
                    trouble,
                    "the journal cannot be written, so nothing is handed over"
                ),
            }
        }
        if self.busy {
            return;
        }
        self.busy = true;
        let (round, mut watch) = (self.round.clone(), std::mem::take(&mut self.watch));
        let health = self.health.clone();
        let work = async move {
            let ended = round.go(&mut watch, &health).await?;
            Ok::<_, StoreError>((ended, watch))
        };
        ctx.spawn(work.into_actor(self).map(|result, reaper, _| {
            reaper.busy = false;
            let news = reaper.health.note_store(result.as_ref().map(drop));
            if result.is_err() {
                reaper.watch = Watch::default();
            }
            match result {
                Ok((ended, watch)) => {
                    reaper.ended += ended;
                    reaper.watch = watch;
                    if news {
                        tracing::info!(event = "database.recovered", "the database answers again");
                        reaper.round.pools.wake_all();
                    }
                }
                Err(error) if news => {
                    tracing::error!(event = "database.unavailable", error = %error, "the database does not answer")
                }
                Err(_) => {}
            }
        }));
    }
}

impl Round {
    /// Rounds of this instance.
    #[must_use]
    pub fn new(
        store: Store,
        identity: Identity,
        resolver: LeaseResolver,
        pools: PoolDirectory,
        journal: Arc<Journal>,
        in_flight: Arc<InFlight>,
        timing: &Timing,
    ) -> Self {
        Self {
            store,
            identity,
            resolver,
            pools,
            journal,
            in_flight,
            patience: timing.lease(),
            tick: timing.reaper_tick(),
        }
    }

    /// Says that this instance lives, and resolves what has lost its owner. Returns how many leases that were.
    async fn go(&self, watch: &mut Watch, health: &Health) -> Result<u64, StoreError> {
        let (me, mut after, mut lost) = (self.identity.instance, PageId(0), Vec::new());
        let (in_flight, lease, mut asked) = (self.in_flight.in_flight(), self.patience, Instant::now());
        watch.round_begins(asked, self.tick);
        let troubles = health.troubles();
        let report = move |conn: &mut Conn| instances::report(conn, me, in_flight, &troubles);
        in_time(self.store.run(Lane::Control, "write a heartbeat", report)).await?;
        if !health.role().sends() {
            let look = move |conn: &mut Conn| instances::neighbours(conn, me);
            health.note_neighbours(&in_time(self.store.run(Lane::LookUp, "list the other instances", look)).await?);
        }
        loop {
            let look = move |conn: &mut Conn| instances::doubtful_leases(conn, me, after, lease);
            let mut found = in_time(self.store.run(Lane::LookUp, "look for ended leases", look)).await?;
            if !watch.heard(asked, health.absences()) {
                lost.clear();
            }
            asked = Instant::now();
            let leases = std::mem::take(&mut found.leases);
            let Some(last) = leases.last() else { break };
            after = last.page;
            let judge = |lease: OpenLease| Some((watch.loss(&lease, self, &found)?, lease));
            lost.extend(leases.into_iter().filter_map(judge));
        }
        watch.round_ends();
        self.end_all(lost).await
    }

    /// Ends leases that lost their owner: fence first, read second, judge third. What the journal does not say of a lease
    /// that was not fenced before it was read, proves nothing: its owner, alive, may write it a moment later.
    async fn end_all(&self, lost: Vec<(Loss, OpenLease)>) -> Result<u64, StoreError> {
        let is_own = |lease: &OpenLease| lease.instance == Some(self.identity.instance);
        let own: Vec<LeaseToken> =
            lost.iter().filter(|(_, lease)| is_own(lease)).map(|(_, lease)| lease.token).collect();
        own.iter().for_each(|token| self.pools.fence(*token));
        let journals = if own.is_empty() { None } else { self.read_journal().await };
        let mut ended = 0;
        for (loss, lease) in lost {
            let (page, own) = (lease.page, is_own(&lease));
            match self.end(lease, loss, if own { journals.clone() } else { None }).await {
                Ok(did) => ended += u64::from(did),
                Err(error @ (StoreError::Unavailable { .. } | StoreError::Unanswered { .. } | StoreError::Closed)) => {
                    return Err(error);
                }
                // One that resists must not hold up those behind it; its turn comes again.
                Err(error) => {
                    tracing::error!(
                        event = "lease.resolution_failed",
                        page.id = page.0,
                        error = %error,
                        "a lost lease cannot be resolved; it is tried again"
                    )
                }
            }
        }
        Ok(ended)
    }

    /// What the journal of this instance says. `None`: it cannot be read, and nothing is known.
    async fn read_journal(&self) -> Option<Arc<JournalContents>> {
        let journal = Arc::clone(&self.journal);
        let read = tokio::task::spawn_blocking(move || journal.read_back()).await;
        read.ok().and_then(Result::ok).map(Arc::new)
    }

    async fn end(
        &self,
        lease: OpenLease,
        loss: Loss,
        journals: Option<Arc<JournalContents>>,
    ) -> Result<bool, StoreError> {
        let (owner, judged) = (loss.owner(), Some(loss.judged(&lease)));
        let ended = in_time(self.resolver.end(&self.store, &lease, owner, judged, journals)).await?;
        if ended.is_none() {
            return Ok(false);
        }
        if loss == Loss::StandsStill {
            tracing::error!(
                event = "page.stalled",
                page.id = lease.page.0,
                pool = lease.pool,
                "a page made no progress although its pool is alive; its lease was ended"
            );
        }
        if lease.instance == Some(self.identity.instance) {
            self.pools.forget(&lease.pool, Forget { page: lease.page, token: lease.token });
        }
        Ok(true)
    }
}

/// How long a round waits for one answer of the database. A server that has stopped, or a backend of it, says nothing at
/// all, and its kernel goes on acknowledging what it is sent: no other timeout ends that.
const PATIENCE: Duration = Duration::from_secs(10);

async fn in_time<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = |_| StoreError::Unanswered { action: "make a round of the reaper", seconds: PATIENCE.as_secs() };
    tokio::time::timeout(PATIENCE, answer).await.map_err(late)?
}

impl Actor for Reaper {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.round(ctx);
        ctx.run_interval(self.tick, |reaper, ctx| reaper.round(ctx));
    }
}

impl Handler<GetState> for Reaper {
    type Result = MessageResult<GetState>;

    fn handle(&mut self, _: GetState, _: &mut Self::Context) -> Self::Result {
        MessageResult(ReaperState { instance_id: self.round.identity.instance, busy: self.busy, ended: self.ended })
    }
}
