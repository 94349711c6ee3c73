//! The sender pool: page leases, concurrency, rate, retry timing, and the gate before each hand-over.
//!
//! The actor asks three parts that know nothing of actors or the database: `admission` says how many may begin, or why none does; `turns`
//! says which campaign is next; `holdings` has the pages in hand. `hand_over` does the work of one recipient in a task of its own, on one
//! of the `threads`.
//! Recipients are claimed for places that are free, or will be when the claim is back (`pace`); a place is free again
//! when its outcome lies with the recorder.

mod admission;
mod alike;
mod bucket;
mod campaign_rates;
mod claiming;
mod content;
mod content_guard;
mod hand_over;
mod holding;
mod holdings;
mod meters;
mod offers;
mod pace;
mod rate;
mod refusals;
mod render_tally;
mod room;
mod run;
mod tempo;
pub mod threads;
mod turns;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix::prelude::*;
use futures_util::Stream;

use self::admission::Admission;
use self::alike::Shared;
use self::hand_over::{PoolContext, ProviderSignal};
use self::holdings::Holdings;
use self::meters::Meters;
use self::rate::Rate;
use self::tempo::Tempo;
pub use self::tempo::limits;
use self::threads::{Share, Threads};
use self::turns::Turns;
use super::recorder::{Acknowledged, Inbox};
use crate::actors::replicas::broker_link::outbox::Announcer;
use crate::channels::Channel;
use crate::config::Settings;
use crate::config::pools::PoolConfig;
use crate::config::timing::Timing;
use crate::domain::dispatch::alike::Rule;
use crate::domain::dispatch::fingerprint::ProviderFingerprint;
use crate::domain::dispatch::lease::Owner;
use crate::domain::dispatch::pace::Seconds;
use crate::domain::ids::CampaignId;
use crate::domain::replicas::decision::Subject;
use crate::journal::Journal;
use crate::runtime::batcher::Batcher;
use crate::runtime::health::Health;
use crate::runtime::hints::PageSettled;
use crate::runtime::in_flight::InFlight;
pub use crate::runtime::pool::Offer;
use crate::runtime::pool::{Drain, Forget, GetState, HeldPage, PoolState, Wake};
use crate::runtime::refusal_spool::RefusalSpool;
use crate::runtime::status_cache::StatusCache;
pub use crate::runtime::trust::Trusts;
use crate::services::people::links::Links;
use crate::store::replicas::kept_paces::Paces;
use crate::store::{Store, StoreError};

/// Claims under way at once on PostgreSQL: the next chunk is claimed while one is out. On SQLite a second one would only
/// stand in line for the one writer, and two small commits cost two syncs.
const CLAIMS_AT_ONCE: usize = 2;

/// A page with a retry due within this time is kept under its lease.
const KEEP_WITHIN: Duration = Duration::from_secs(2);

/// How often a pool looks for ready pages by itself while the broker tells of them.
const LOOK_WHEN_TOLD: Duration = Duration::from_secs(1);

/// What a pool is built from; kept by the guardian to build it again.
#[derive(Clone)]
pub struct PoolDeps {
    /// The database.
    pub store: Store,
    /// The pool's settings.
    pub pool: PoolConfig,
    /// The protocol's delays.
    pub timing: Timing,
    /// When a refusal is nobody's own.
    pub alike: Rule,
    /// The journal.
    pub journal: Arc<Journal>,
    /// Campaign statuses.
    pub status: Arc<StatusCache>,
    /// Where troubles are noted.
    pub health: Health,
    /// Where outcomes go.
    pub recorder: Inbox,
    /// Who hears of settled pages.
    pub settled: Recipient<PageSettled>,
    /// Set when the process drains: nothing more begins.
    pub draining: Arc<AtomicBool>,
    /// The threads that carry hand-overs.
    pub threads: Threads,
    /// What is being handed over.
    pub in_flight: Arc<InFlight>,
    /// Set while an operator has suspended the pool.
    pub suspended: Arc<AtomicBool>,
    /// Set while the broker tells of ready pages: the database is then looked at less often.
    pub broker_announces: Arc<AtomicBool>,
    /// Who hears of pages that are done.
    pub announcer: Announcer,
    /// Where the leases of all pools are entered, so that the reaper can fence them.
    pub trusts: Trusts,
    /// Where the pools' paces are kept.
    pub paces: Paces,
    /// The links that messages have.
    pub links: Links,
    /// What else messages carry.
    pub settings: Arc<Settings>,
    /// Refusals that wait for the database: nothing begins before it has them.
    pub spool: Arc<RefusalSpool>,
}

/// The actor.
pub struct SenderPool {
    deps: PoolDeps,
    context: Arc<PoolContext>,
    /// The provider that the pool hands over to, as the settings have it.
    provider: ProviderFingerprint,
    shares: Vec<Share>,
    owner: Owner,
    /// The pages in hand, and what their campaigns say.
    holdings: Holdings,
    /// Which campaign is next.
    turns: Turns,
    /// How many may begin.
    admission: Admission,
    looking: bool,
    linger: Option<SpawnHandle>,
    /// When something may begin that may not begin now, and the timer that is set to then.
    wake_timer: Option<(Instant, SpawnHandle)>,
    freed: Arc<Batcher<Freed>>,
    acks: Arc<Batcher<Acknowledged>>,
    drained: Vec<tokio::sync::oneshot::Sender<()>>,
    /// Spreads retries.
    rng: fastrand::Rng,
    /// When ready pages were last looked for.
    looked: Instant,
    /// Since when the throughput is measured.
    measured: Instant,
}

/// A place is free again.
struct Freed {
    campaign: CampaignId,
    signal: ProviderSignal,
    /// How long it was taken.
    held: Duration,
    /// When the call was admitted, on the clock of the pool's pace.
    admitted: Seconds,
    /// The recipient's domain.
    domain: Option<u8>,
}

impl SenderPool {
    /// A pool over a provider, by one channel for each thread it uses, as the owner that its leases will name.
    #[must_use]
    pub fn new(deps: PoolDeps, channels: &[Arc<dyn Channel>], owner: Owner) -> Self {
        let now = Instant::now();
        let context = PoolContext {
            pool: deps.pool.name.clone(),
            journal: Arc::clone(&deps.journal),
            status: Arc::clone(&deps.status),
            draining: Arc::clone(&deps.draining),
            inbox: deps.recorder.clone(),
            meters: Meters::new(&deps.pool.name, deps.pool.channel),
            flow: deps.in_flight.of(Subject::Pool(deps.pool.name.clone())),
            suspended: Arc::clone(&deps.suspended),
            history: Arc::clone(deps.store.history()),
            spool: Arc::clone(&deps.spool),
            halted: AtomicBool::new(false),
            retries: deps.pool.retries(),
            alike: Shared::new(deps.alike),
            idempotent_for: deps.pool.idempotent_for(),
        };
        let scope = format!("pool:{}", deps.pool.name);
        let is_shared = !deps.store.has_one_writer();
        let rate = Rate::new(scope, deps.pool.rate_per_second, deps.pool.burst(), is_shared, now);
        let tempo = Tempo::new(owner.instance.0, limits(&deps.pool, &deps.timing), deps.paces.now());
        Self {
            provider: deps.pool.fingerprint(),
            context: Arc::new(context),
            shares: Share::spread(&deps.threads, channels, deps.pool.concurrency),
            owner,
            holdings: Holdings::new(deps.pool.concurrency),
            turns: Turns::default(),
            admission: Admission::new(deps.pool.concurrency, deps.timing.claim_chunk, tempo, rate),
            looking: false,
            linger: None,
            wake_timer: None,
            freed: Arc::new(Batcher::new()),
            acks: Arc::new(Batcher::new()),
            drained: Vec::new(),
            rng: fastrand::Rng::new(),
            looked: now,
            measured: now,
            deps,
        }
    }

    fn draining(&self) -> bool {
        self.deps.draining.load(Ordering::Acquire)
    }

    fn suspended(&self) -> bool {
        self.deps.suspended.load(Ordering::Acquire)
    }

    /// Begins whatever can begin now: settlements, claims, leases.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        self.settle_finished(ctx);
        if self.draining() {
            return self.finish_drain(ctx);
        }
        let at_once = if self.deps.store.has_one_writer() { 1 } else { CLAIMS_AT_ONCE };
        loop {
            while self.admission.claims() < at_once && !self.suspended() {
                let Some((page, n)) = self.next_claim(ctx) else { break };
                self.claim(page, n, ctx);
            }
            if !self.exchange(ctx) {
                break;
            }
        }
        self.ask_for_tokens(ctx);
        self.lease(ctx);
        self.context.meters.in_flight(self.admission.in_flight.load(Ordering::Relaxed));
    }

    fn store_failed(&self, error: &StoreError) {
        if self.deps.health.note_store(Err(error)) {
            tracing::error!(
                event = "database.unavailable",
                pool = self.context.pool,
                error = %error,
                "the database does not answer"
            );
        }
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        self.follow_pace();
        self.measured = self.context.meters.throughput(self.measured, Instant::now());
        self.close_paused();
        self.look_at_held();
        self.due(ctx);
        self.turns.let_old_offers_go(self.draining());
        // Also with all pages in hand: a campaign that holds none gets one, however long the others take for theirs.
        let broker_announces = self.deps.broker_announces.load(Ordering::Acquire);
        let too_early = broker_announces && self.looked.elapsed() < LOOK_WHEN_TOLD;
        if !self.draining() && !self.looking && !too_early {
            self.look(ctx);
        }
    }

    fn finish_drain(&mut self, ctx: &mut Context<Self>) {
        for run in self.holdings.all_mut() {
            run.close();
        }
        self.look_at_held();
        self.settle_finished(ctx);
        if self.holdings.is_empty() && self.admission.is_idle() && !self.holdings.leasing {
            for waiting in self.drained.drain(..) {
                let _ = waiting.send(());
            }
        }
    }
}

impl Actor for SenderPool {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Only hints and questions come by mailbox; hand-overs report through channels of their own.
        ctx.set_mailbox_capacity(64);
        ctx.add_stream(events(Arc::clone(&self.freed), Event::Freed));
        ctx.add_stream(events(Arc::clone(&self.acks), Event::Recorded));
        let timing = self.deps.timing.clone();
        ctx.run_interval(timing.due_tick(), |pool, ctx| pool.tick(ctx));
        ctx.run_interval(timing.lease_renew(), |pool, ctx| pool.renew(ctx));
        self.deps.health.note_pool(&self.context.pool, None);
        self.look(ctx);
        self.look_at_rates(ctx);
    }
}

impl Drop for SenderPool {
    /// However it ends, by a panic too: a rebuilt pool is a new owner, and what this one holds must not begin any more.
    fn drop(&mut self) {
        for run in self.holdings.all() {
            run.trust.end();
        }
    }
}

enum Event {
    Freed(Vec<Freed>),
    Recorded(Vec<Acknowledged>),
}

/// What tasks report, as a stream that the actor handles by as many as there are: then it decides once for all of them.
fn events<T: 'static>(batcher: Arc<Batcher<T>>, event: fn(Vec<T>) -> Event) -> impl Stream<Item = Event> {
    futures_util::stream::unfold(batcher, move |batcher| async move { Some((event(batcher.next().await), batcher)) })
}

impl StreamHandler<Event> for SenderPool {
    fn handle(&mut self, event: Event, ctx: &mut Self::Context) {
        match event {
            Event::Freed(all) => {
                all.into_iter().for_each(|freed| self.freed(freed));
                if self.admission.tempo.has_changed() {
                    self.follow_pace();
                }
                self.doubt_campaigns(ctx);
            }
            Event::Recorded(all) => all.into_iter().for_each(|ack| self.recorded(ack)),
        }
        self.pump(ctx);
    }
}

impl Handler<Wake> for SenderPool {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Self::Context) {
        self.looked = self.looked.checked_sub(LOOK_WHEN_TOLD).unwrap_or(self.looked);
        self.tick(ctx);
    }
}

impl Handler<Forget> for SenderPool {
    type Result = ();

    fn handle(&mut self, Forget { page, token }: Forget, ctx: &mut Self::Context) {
        self.let_go(page, token);
        self.pump(ctx);
    }
}

impl Handler<Drain> for SenderPool {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, ctx: &mut Self::Context) -> Self::Result {
        let (done, drained) = tokio::sync::oneshot::channel();
        self.drained.push(done);
        self.pump(ctx);
        Box::pin(async move {
            // A pool that dies while it drains holds nothing any more either.
            let _ = drained.await;
        })
    }
}

impl Handler<GetState> for SenderPool {
    type Result = MessageResult<GetState>;

    fn handle(&mut self, _: GetState, _: &mut Self::Context) -> Self::Result {
        let pages = self.holdings.all().map(|run| HeldPage {
            id: run.id,
            campaign_id: run.campaign,
            seq: run.seq,
            unrecorded: run.unrecorded,
            phase: run.phase.name(),
        });
        MessageResult(PoolState {
            pool: self.context.pool.clone(),
            generation: self.owner.generation,
            in_flight: self.admission.in_flight.load(Ordering::Acquire),
            concurrency: self.deps.pool.concurrency,
            claims: self.admission.claims(),
            pages: pages.collect(),
            offers: self.turns.offers(),
            suspended: self.suspended(),
            circuit_open: self.admission.tempo.member.shared.circuit.is_open(),
            circuit_wait_ms: u64::try_from(self.admission.tempo.wait().as_millis()).unwrap_or(u64::MAX),
        })
    }
}
