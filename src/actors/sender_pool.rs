//! The sender pool: page leases, concurrency, rate, retry timing, and the gate before each hand-over.
//!
//! The actor decides; [`hand_over`] does the work of one recipient in a task of its own. A free slot is claimed for only
//! when a hand-over can begin at once, and a slot is free again when the recorder has taken its outcome.

mod bucket;
mod content;
mod hand_over;
mod run;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix::prelude::*;
use futures_util::Stream;
use serde::Serialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use self::bucket::{Bucket, Circuit};
use self::content::{CampaignContent, ContentError};
use self::hand_over::{HandOver, Line, Reach, Trust, count_delivery, hand_over};
use self::run::{PageRun, Phase};
use super::clock::Boottime;
use super::health::Health;
use super::journal::Journal;
use super::recorder::{OutcomeRecorder, Record};
use super::status_cache::StatusCache;
use super::supervisor::PageSettled;
use crate::channels::Channel;
use crate::config::pools::PoolConfig;
use crate::config::timing::Timing;
use crate::domain::campaign::CampaignStatus;
use crate::domain::ids::{CampaignId, PageId};
use crate::domain::outcome::NotBegun;
use crate::store::claims::{self, Claim, ClaimOutcome, Claimed};
use crate::store::outcomes::ClaimKey;
use crate::store::pages::{self, LeaseToken, Owner, PageRow, Settled};
use crate::store::{Lane, Store, StoreError};

/// Pages that a pool holds at once while there is work: a claim on one overlaps with a flush of another.
const PAGES_AT_ONCE: usize = 4;

/// Claims under way at once: the next chunk is claimed while one is out.
const CLAIMS_AT_ONCE: usize = 2;

/// Unanswered calls in a row that open the circuit.
const SILENCES: u32 = 5;

/// A page with a retry due within this time is kept under its lease.
const KEEP_WITHIN: Duration = Duration::from_secs(2);

/// What a pool is built from; kept by the guardian to build it again.
#[derive(Clone)]
pub struct Parts {
    /// The database.
    pub store: Store,
    /// The pool's settings.
    pub pool: PoolConfig,
    /// The protocol's delays.
    pub timing: Timing,
    /// The journal.
    pub journal: Arc<Journal>,
    /// Campaign statuses.
    pub status: Arc<StatusCache>,
    /// Where troubles are noted.
    pub health: Health,
    /// Where outcomes go.
    pub recorder: Addr<OutcomeRecorder>,
    /// Who hears of settled pages.
    pub settled: Recipient<PageSettled>,
    /// Set when the process drains: nothing more begins.
    pub draining: Arc<AtomicBool>,
}

/// There may be work. A hint: a lost one costs one tick.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Wake;

/// Stops claiming, lets what is in flight end, settles every page. Answers when nothing is held any more.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Drain;

/// Reports what the pool holds and what it waits for.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "PoolState")]
pub struct GetState;

/// What a pool holds and what it waits for.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PoolState {
    /// The pool's name.
    pub pool: String,
    /// How often it was rebuilt.
    pub generation: i64,
    /// Hand-overs under way.
    pub in_flight: usize,
    /// Hand-overs that may be under way at once.
    pub concurrency: usize,
    /// Claims under way.
    pub claims: usize,
    /// Leased pages.
    pub pages: Vec<HeldPage>,
    /// Whether its circuit is open.
    pub circuit_open: bool,
    /// How long until it may try again, in milliseconds.
    pub circuit_wait_ms: u64,
}

/// A leased page.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct HeldPage {
    /// The page.
    pub id: PageId,
    /// Its campaign.
    pub campaign_id: CampaignId,
    /// Its number.
    pub seq: i64,
    /// Claimed and not yet recorded.
    pub unrecorded: usize,
    /// `working`, `exhausted`, `closing`, `settling` or `resting`.
    pub phase: &'static str,
}

/// The actor.
pub struct SenderPool {
    parts: Parts,
    line: Arc<Line>,
    owner: Owner,
    runs: BTreeMap<PageId, PageRun>,
    /// Campaigns that may have ready pages, in turn.
    turns: VecDeque<CampaignId>,
    /// Those of them that had no page to lease: not asked again before the next look finds one.
    dry: HashSet<CampaignId>,
    contents: HashMap<CampaignId, Arc<CampaignContent>>,
    rates: HashMap<CampaignId, Bucket>,
    bucket: Bucket,
    circuit: Circuit,
    in_flight: Arc<AtomicUsize>,
    /// Slots that claims under way have spoken for.
    reserved: usize,
    claims: usize,
    leasing: bool,
    looking: bool,
    linger: Option<SpawnHandle>,
    lingered: bool,
    freed: UnboundedSender<Freed>,
    acks: UnboundedSender<PageId>,
    receivers: Option<(UnboundedReceiver<Freed>, UnboundedReceiver<PageId>)>,
    drained: Vec<tokio::sync::oneshot::Sender<()>>,
    /// Calls in a row that went out and were not answered.
    silences: u32,
    seed: u64,
}

/// A slot is free again.
struct Freed {
    campaign: CampaignId,
    reach: Reach,
}

impl SenderPool {
    /// A pool over a provider, as the owner that its leases will name.
    #[must_use]
    pub fn new(parts: Parts, channel: Arc<dyn Channel>, owner: Owner) -> Self {
        let now = Instant::now();
        let line = Line {
            pool: parts.pool.name.clone(),
            channel,
            journal: Arc::clone(&parts.journal),
            status: Arc::clone(&parts.status),
            draining: Arc::clone(&parts.draining),
            recorder: parts.recorder.clone(),
            max_attempts: parts.pool.max_attempts,
            idempotent_for: parts.pool.idempotent_for(),
        };
        let (freed, freed_in) = unbounded_channel();
        let (acks, acks_in) = unbounded_channel();
        Self {
            bucket: Bucket::new(parts.pool.rate_per_second, f64::from(parts.pool.burst), now),
            circuit: Circuit::new(parts.timing.circuit_first(), parts.timing.circuit_max()),
            line: Arc::new(line),
            parts,
            owner,
            runs: BTreeMap::new(),
            turns: VecDeque::new(),
            dry: HashSet::new(),
            contents: HashMap::new(),
            rates: HashMap::new(),
            in_flight: Arc::new(AtomicUsize::new(0)),
            reserved: 0,
            claims: 0,
            leasing: false,
            looking: false,
            linger: None,
            lingered: false,
            freed,
            acks,
            receivers: Some((freed_in, acks_in)),
            drained: Vec::new(),
            silences: 0,
            seed: u64::try_from(owner.generation).unwrap_or(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        }
    }

    fn draining(&self) -> bool {
        self.parts.draining.load(Ordering::Acquire)
    }

    /// 0.0 to 1.0, to spread retries (xorshift; nothing secret hangs on it).
    fn jitter(&mut self) -> f64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        f64::from(u32::try_from(self.seed >> 32).unwrap_or(0)) / f64::from(u32::MAX)
    }

    /// Begins whatever can begin now: settlements, claims, leases.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        self.settle_finished(ctx);
        if self.draining() {
            return self.finish_drain(ctx);
        }
        while self.claims < CLAIMS_AT_ONCE {
            let Some((page, n)) = self.next_claim(ctx) else { break };
            self.claim(page, n, ctx);
        }
        if self.runs.values().filter(|run| run.phase == Phase::Working).count() < PAGES_AT_ONCE {
            self.lease(ctx);
        }
        metrics::gauge!("volley_in_flight", "pool" => self.line.pool.clone())
            .set(f64::from(u32::try_from(self.in_flight.load(Ordering::Relaxed)).unwrap_or(u32::MAX)));
    }

    /// The page to claim from next, and how many: what can begin at once, no more.
    fn next_claim(&mut self, ctx: &mut Context<Self>) -> Option<(PageId, usize)> {
        let now = Instant::now();
        let busy = self.in_flight.load(Ordering::Acquire) + self.reserved;
        let concurrency = self.parts.pool.concurrency;
        let free = concurrency.saturating_sub(busy).min(self.parts.timing.claim_chunk);
        let free = self.circuit.admits(now, busy, free);
        if free == 0 {
            if self.circuit.is_open() {
                self.wake_in(self.circuit.wait(now), ctx);
            }
            return None;
        }
        // With few free slots a claim costs more than it brings: wait a moment for more of them.
        let few = free < (concurrency / 4).clamp(1, self.parts.timing.claim_chunk);
        if few && !self.lingered && busy > 0 && !self.circuit.is_open() {
            self.start_linger(ctx);
            return None;
        }
        let free = self.bucket.in_hand(now, free);
        if free == 0 {
            self.wake_in(self.bucket.wait(), ctx);
            return None;
        }
        let (page, n) = self.choose(now, free, ctx)?;
        self.lingered = false;
        Some((page, n))
    }

    /// Campaigns take turns; one that waits for its own rate is passed over.
    fn choose(&mut self, now: Instant, free: usize, ctx: &mut Context<Self>) -> Option<(PageId, usize)> {
        let mut wait: Option<Duration> = None;
        for _ in 0..self.turns.len() {
            let campaign = self.turns.pop_front()?;
            self.turns.push_back(campaign);
            let Some((page, single)) = self
                .runs
                .values()
                .find(|run| run.campaign == campaign && run.claimable())
                .map(|run| (run.id, run.single))
            else {
                continue;
            };
            let most = if single { 1 } else { free };
            let n = match self.rates.get_mut(&campaign) {
                None => most,
                Some(rate) => {
                    let n = rate.in_hand(now, most);
                    if n == 0 {
                        wait = Some(wait.map_or(rate.wait(), |known| known.min(rate.wait())));
                    }
                    n
                }
            };
            if n > 0 {
                return Some((page, n));
            }
        }
        if let Some(wait) = wait {
            self.wake_in(wait, ctx);
        }
        None
    }

    fn start_linger(&mut self, ctx: &mut Context<Self>) {
        if self.linger.is_none() {
            self.linger = Some(ctx.run_later(self.parts.timing.claim_linger(), |pool, ctx| {
                pool.linger = None;
                pool.lingered = true;
                pool.pump(ctx);
            }));
        }
    }

    fn wake_in(&mut self, wait: Duration, ctx: &mut Context<Self>) {
        // The due tick comes anyway; only shorter waits need a timer of their own.
        if wait < self.parts.timing.due_tick() {
            ctx.run_later(wait.max(Duration::from_millis(1)), |pool, ctx| pool.pump(ctx));
        }
    }

    fn claim(&mut self, page: PageId, n: usize, ctx: &mut Context<Self>) {
        let Some(run) = self.runs.get_mut(&page) else { return };
        run.claiming = true;
        self.claims += 1;
        self.reserved += n;
        self.bucket.take(n);
        if let Some(rate) = self.rates.get_mut(&run.campaign) {
            rate.take(n);
        }
        let claim = Claim {
            page,
            campaign: run.campaign,
            token: run.token,
            after: run.cursor,
            limit: i64::try_from(n).unwrap_or(i64::MAX),
        };
        // Read before the claim is asked for: whatever the claim waits for counts against the deadline.
        let start_by = Boottime::now().plus(self.parts.timing.start_deadline());
        let store = self.parts.store.clone();
        let work = async move {
            store.run(Lane::Hot, "claim recipients", move |conn| conn.write(|conn| claims::claim(conn, claim))).await
        };
        ctx.spawn(work.into_actor(self).map(move |result, pool, ctx| {
            pool.claims -= 1;
            pool.reserved -= n;
            pool.claimed(page, n, start_by, result, ctx);
            pool.pump(ctx);
        }));
    }

    fn claimed(
        &mut self,
        page: PageId,
        asked: usize,
        start_by: Boottime,
        result: Result<ClaimOutcome, StoreError>,
        ctx: &mut Context<Self>,
    ) {
        let Some(run) = self.runs.get_mut(&page) else { return };
        run.claiming = false;
        let campaign = run.campaign;
        let mut begun = 0;
        match result {
            Ok(ClaimOutcome::Claimed { recipients, cursor, exhausted, status_version, now }) => {
                self.parts.status.set(campaign, CampaignStatus::Sending, status_version);
                run.cursor = cursor;
                if exhausted && run.phase == Phase::Working {
                    run.phase = Phase::Exhausted;
                }
                begun = recipients.len();
                if begun > 0 && Boottime::now() > start_by {
                    // None of them may begin. Without a word, that would look like a campaign that stands still.
                    let detail =
                        "claims take longer than timing.start_deadline_ms: the database is too slow or too far";
                    if self.parts.health.note_pool(&self.line.pool, Some(("database_slow", detail.to_owned()))) {
                        tracing::warn!(pool = self.line.pool, "{detail}");
                    }
                }
                run.unrecorded += begun;
                for claimed in recipients {
                    let key_lives = claimed.key_until.is_none_or(|until| until > now);
                    self.begin(page, claimed, key_lives, start_by);
                }
            }
            Ok(ClaimOutcome::NotSending { status, status_version }) => {
                self.parts.status.set(campaign, status, status_version);
                run.close();
            }
            Ok(ClaimOutcome::Lost) => {
                tracing::warn!(page.id = page.0, campaign.id = campaign.0, "lease lost");
                run.trust.end();
                run.close();
            }
            Err(error) => {
                // The COMMIT may have happened. Nothing of it is handed over; the settlement gives its rows back.
                run.close();
                self.store_failed(&error);
            }
        }
        let unused = asked.saturating_sub(begun);
        self.bucket.give_back(unused);
        if let Some(rate) = self.rates.get_mut(&campaign) {
            rate.give_back(unused);
        }
        self.settle_finished(ctx);
    }

    fn store_failed(&self, error: &StoreError) {
        if self.parts.health.note_store(Err(error)) {
            tracing::error!(pool = self.line.pool, error = %error, "the database does not answer");
        }
    }

    /// Starts one hand-over in a task of its own.
    fn begin(&mut self, page: PageId, claimed: Claimed, key_lives: bool, start_by: Boottime) {
        let jitter = self.jitter();
        let Some(run) = self.runs.get(&page) else { return };
        let campaign = run.campaign;
        let over = HandOver {
            key: ClaimKey { campaign, contact: claimed.contact, claim_no: claimed.claim_no, token: run.token },
            claimed,
            page,
            content: Arc::clone(&run.content),
            trust: run.trust.clone(),
            start_by,
            key_lives,
            jitter,
        };
        let line = Arc::clone(&self.line);
        let (freed, ack) = (self.freed.clone(), self.acks.clone());
        let in_flight = Arc::clone(&self.in_flight);
        in_flight.fetch_add(1, Ordering::AcqRel);
        let channel = run.content.channel.as_str();
        actix_rt::spawn(async move {
            let result = hand_over(&line, over).await;
            count_delivery(channel, &line.pool, &result.settlement.verdict);
            let record = Record { settlement: result.settlement, begun: result.begun, ack };
            // Until the recorder has taken the outcome, its slot stays taken: that bounds what can pile up. A recorder
            // that died takes the process with it, and the next start reads the outcome from the journal.
            if line.recorder.send(record).await.is_err() {
                tracing::error!(page.id = page.0, "the recorder is gone; the journal holds the outcome");
            }
            in_flight.fetch_sub(1, Ordering::AcqRel);
            let _ = freed.send(Freed { campaign, reach: result.reach });
        });
    }

    fn freed(&mut self, freed: Freed, ctx: &mut Context<Self>) {
        let now = Instant::now();
        match freed.reach {
            Reach::Answered => {
                self.silences = 0;
                self.circuit.answered();
                if self.parts.health.note_pool(&self.line.pool, None) {
                    tracing::info!(pool = self.line.pool, "provider answers again");
                }
            }
            Reach::Fault(detail) => {
                self.circuit.fault(now);
                if self.parts.health.note_pool(&self.line.pool, Some(("provider_unreachable", detail))) {
                    tracing::warn!(pool = self.line.pool, "provider cannot be used; deliveries stay pending");
                }
            }
            // A provider that swallows one call after another would leave the whole audience uncertain.
            Reach::Silence(detail) => {
                self.silences += 1;
                if self.silences >= SILENCES {
                    self.circuit.fault(now);
                    self.parts.health.note_pool(&self.line.pool, Some(("provider_unreachable", detail)));
                }
            }
            Reach::Quiet(quiet) => {
                self.circuit.quiet(now + quiet);
                let detail = format!("the provider asked for {} s of quiet", quiet.as_secs());
                self.parts.health.note_pool(&self.line.pool, Some(("provider_throttling", detail)));
            }
            Reach::Untried(reason) => self.not_begun(freed.campaign, reason),
        }
        self.pump(ctx);
    }

    fn not_begun(&mut self, campaign: CampaignId, reason: Option<NotBegun>) {
        let Some(reason) = reason else { return };
        self.bucket.give_back(1);
        if let Some(rate) = self.rates.get_mut(&campaign) {
            rate.give_back(1);
        }
        match reason {
            NotBegun::Paused | NotBegun::Stopped => {
                for run in self.runs.values_mut().filter(|run| run.campaign == campaign) {
                    if run.phase == Phase::Working {
                        tracing::info!(campaign.id = campaign.0, page.seq = run.seq, "aborted: {reason}");
                    }
                    run.close();
                }
            }
            NotBegun::JournalUnavailable => {
                let trouble = self.parts.journal.trouble();
                if self.parts.health.note_journal(trouble) {
                    tracing::error!("the journal cannot be written; nothing is handed over");
                }
                self.circuit.quiet(Instant::now() + self.parts.timing.circuit_first());
            }
            NotBegun::Fenced => {
                for run in self.runs.values_mut().filter(|run| run.campaign == campaign) {
                    run.close();
                }
            }
            // What came too late is pending again and claimed in the next round; a draining pool closes by itself.
            NotBegun::Late | NotBegun::ShuttingDown => {}
        }
    }

    fn recorded(&mut self, page: PageId, ctx: &mut Context<Self>) {
        if let Some(run) = self.runs.get_mut(&page) {
            run.unrecorded = run.unrecorded.saturating_sub(1);
            if run.unrecorded == 0 {
                self.pump(ctx);
            }
        }
    }

    fn settle_finished(&mut self, ctx: &mut Context<Self>) {
        let finished: Vec<PageId> = self.runs.values().filter(|run| run.settleable()).map(|run| run.id).collect();
        for page in finished {
            self.settle(page, ctx);
        }
    }

    fn settle(&mut self, page: PageId, ctx: &mut Context<Self>) {
        let keep = if self.draining() { Duration::ZERO } else { KEEP_WITHIN };
        let Some(run) = self.runs.get_mut(&page) else { return };
        let keep = if run.phase == Phase::Closing { Duration::ZERO } else { keep };
        run.phase = Phase::Settling;
        let token = run.token;
        let store = self.parts.store.clone();
        let work = async move {
            store
                .run(Lane::Hot, "settle a page", move |conn| {
                    conn.write(|conn| {
                        let settled = pages::settle(conn, page, token, keep)?;
                        Ok((settled, crate::store::backend::now(conn)?))
                    })
                })
                .await
        };
        ctx.spawn(work.into_actor(self).map(move |result, pool, ctx| {
            pool.settled(page, result, ctx);
            pool.pump(ctx);
        }));
    }

    fn settled(
        &mut self,
        page: PageId,
        result: Result<(Settled, crate::domain::instant::UtcInstant), StoreError>,
        ctx: &mut Context<Self>,
    ) {
        match result {
            Ok((Settled::Kept(due), now)) => {
                let wait = Duration::from_millis(u64::try_from(due.0 - now.0).unwrap_or(0));
                if let Some(run) = self.runs.get_mut(&page) {
                    run.phase = Phase::Resting(Instant::now() + wait);
                }
                ctx.run_later(wait, |pool, ctx| pool.due(ctx));
            }
            Ok((Settled::Done(counts), _)) => {
                if let Some(run) = self.runs.remove(&page) {
                    tracing::info!(
                        campaign.id = run.campaign.0,
                        page.seq = run.seq,
                        sent = counts.sent,
                        failed = counts.failed,
                        skipped = counts.skipped,
                        uncertain = counts.uncertain,
                        "campaign.batch.processed"
                    );
                    // A lost hint costs one tick of the supervisor.
                    let _ = self.parts.settled.try_send(PageSettled { campaign: run.campaign });
                }
            }
            Ok((Settled::Ready(_) | Settled::Lost, _)) => {
                self.runs.remove(&page);
            }
            Err(error) => {
                self.store_failed(&error);
                if let Some(run) = self.runs.get_mut(&page) {
                    run.phase = Phase::Settling;
                }
                // The page stays leased and renewed; its settlement is tried again.
                ctx.run_later(self.parts.timing.due_tick(), move |pool, ctx| {
                    if let Some(run) = pool.runs.get_mut(&page) {
                        run.phase = Phase::Closing;
                    }
                    pool.pump(ctx);
                });
            }
        }
        self.forget_idle();
    }

    /// Compiled content and rates of campaigns that hold no page go, so that memory follows the work.
    fn forget_idle(&mut self) {
        let held: HashSet<CampaignId> = self.runs.values().map(|run| run.campaign).collect();
        if self.contents.len() > held.len() + 8 {
            self.contents.retain(|campaign, _| held.contains(campaign));
            self.rates.retain(|campaign, _| held.contains(campaign));
            self.turns.retain(|campaign| held.contains(campaign));
            self.dry.retain(|campaign| held.contains(campaign));
        }
    }

    /// Rested pages whose retry has come due go round again.
    fn due(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        for run in self.runs.values_mut() {
            if matches!(run.phase, Phase::Resting(until) if until <= now) {
                run.restart();
            }
        }
        self.pump(ctx);
    }

    fn close_paused(&mut self) {
        for run in self.runs.values_mut() {
            let known = self.parts.status.get(run.campaign);
            if known.is_some_and(|status| status != CampaignStatus::Sending) {
                run.close();
            }
        }
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        self.close_paused();
        self.due(ctx);
        // Also with all pages in hand: a campaign that holds none gets one, however long the others take for theirs.
        if !self.draining() && !self.looking {
            self.look(ctx);
        }
    }

    /// Asks the database which campaigns have work for this pool.
    fn look(&mut self, ctx: &mut Context<Self>) {
        self.looking = true;
        let (store, pool) = (self.parts.store.clone(), self.line.pool.clone());
        let work = async move {
            store
                .run(Lane::Read, "look for ready pages", move |conn| pages::campaigns_with_ready_pages(conn, &pool))
                .await
        };
        ctx.spawn(work.into_actor(self).map(|result, pool, ctx| {
            pool.looking = false;
            match result {
                Ok(campaigns) => {
                    for campaign in campaigns {
                        pool.dry.remove(&campaign);
                        if !pool.turns.contains(&campaign) {
                            pool.turns.push_back(campaign);
                        }
                    }
                    pool.lease(ctx);
                }
                Err(error) => pool.store_failed(&error),
            }
        }));
    }

    /// Leases one more page, for the campaign that holds the fewest.
    fn lease(&mut self, ctx: &mut Context<Self>) {
        if self.leasing || self.draining() || self.circuit.is_open() && !self.runs.is_empty() {
            return;
        }
        let held = |campaign: CampaignId| self.runs.values().filter(|run| run.campaign == campaign).count();
        let hopeful = self.turns.iter().copied().filter(|campaign| !self.dry.contains(campaign));
        let Some(campaign) = hopeful.min_by_key(|campaign| held(*campaign)) else { return };
        if self.runs.len() >= PAGES_AT_ONCE && held(campaign) > 0 {
            return;
        }
        self.leasing = true;
        let (store, pool, owner) = (self.parts.store.clone(), self.line.pool.clone(), self.owner);
        let (lease, trust) = (self.parts.timing.lease(), self.parts.timing.lease_trust());
        let known = self.contents.get(&campaign).cloned();
        let held: Vec<PageId> = self.runs.keys().copied().collect();
        let work = async move {
            let trust = Trust::until(Boottime::now().plus(trust));
            let content = match known {
                Some(content) => content,
                None => load_content(&store, campaign).await?,
            };
            let token = fresh_token()?;
            let row = store
                .run(Lane::Hot, "lease a page", move |conn| {
                    conn.write(|conn| pages::lease(conn, campaign, &pool, owner, token, lease, &held))
                })
                .await?;
            Ok(row.map(|row| (row, token, trust, content)))
        };
        ctx.spawn(work.into_actor(self).map(move |result, pool, ctx| {
            pool.leasing = false;
            pool.leased(campaign, result);
            pool.pump(ctx);
        }));
    }

    fn leased(
        &mut self,
        campaign: CampaignId,
        result: Result<Option<(PageRow, LeaseToken, Trust, Arc<CampaignContent>)>, ContentError>,
    ) {
        match result {
            Ok(Some((row, token, trust, content))) => {
                self.parts.health.note_campaign(campaign, None);
                if !self.contents.contains_key(&campaign) && content.rate_per_second > 0.0 {
                    let rate = content.rate_per_second;
                    self.rates.insert(campaign, Bucket::new(rate, (rate / 10.0).max(1.0), Instant::now()));
                }
                self.contents.insert(campaign, Arc::clone(&content));
                self.runs.insert(row.id, PageRun::new(&row, token, trust, content));
            }
            // No page of this campaign is ready: the next look brings it back.
            Ok(None) => {
                self.dry.insert(campaign);
                self.turns.retain(|known| *known != campaign || self.runs.values().any(|run| run.campaign == *known));
            }
            Err(ContentError::Store(error)) => self.store_failed(&error),
            Err(error) => {
                tracing::error!(campaign.id = campaign.0, error = %error, "a campaign cannot be rendered");
                self.parts.health.note_campaign(campaign, Some(("content_unusable", error.to_string())));
                self.turns.retain(|known| *known != campaign);
            }
        }
    }

    fn renew(&mut self, ctx: &mut Context<Self>) {
        let leases: Vec<(PageId, LeaseToken)> = self.runs.values().map(|run| (run.id, run.token)).collect();
        if leases.is_empty() {
            return;
        }
        let trust = Boottime::now().plus(self.parts.timing.lease_trust());
        let (store, lease) = (self.parts.store.clone(), self.parts.timing.lease());
        let asked = leases.clone();
        let work = async move {
            store
                .run(Lane::Hot, "renew leases", move |conn| conn.write(|conn| pages::renew(conn, &leases, lease)))
                .await
        };
        ctx.spawn(work.into_actor(self).map(move |result, pool, ctx| match result {
            Ok(renewed) => {
                for (page, token) in asked {
                    let Some(run) = pool.runs.get_mut(&page).filter(|run| run.token == token) else { continue };
                    if renewed.contains(&page) {
                        run.trust.extend(trust);
                    } else if run.phase != Phase::Settling {
                        run.trust.end();
                        run.close();
                    }
                }
                pool.pump(ctx);
            }
            Err(error) => pool.store_failed(&error),
        }));
    }

    fn finish_drain(&mut self, ctx: &mut Context<Self>) {
        for run in self.runs.values_mut() {
            run.close();
        }
        self.settle_finished(ctx);
        let idle = self.runs.is_empty() && self.claims == 0 && self.in_flight.load(Ordering::Acquire) == 0;
        if idle && !self.leasing {
            for waiting in self.drained.drain(..) {
                let _ = waiting.send(());
            }
        }
    }
}

async fn load_content(store: &Store, campaign: CampaignId) -> Result<Arc<CampaignContent>, ContentError> {
    let loaded = store
        .run(Lane::Read, "load a campaign's content", move |conn| match CampaignContent::load(conn, campaign) {
            Err(ContentError::Store(error)) => Err(error),
            other => Ok(other),
        })
        .await?;
    loaded.map(Arc::new)
}

fn fresh_token() -> Result<LeaseToken, StoreError> {
    let random = getrandom::u64().map_err(|source| StoreError::NoRandomness { detail: source.to_string() })?;
    Ok(LeaseToken(i64::try_from(random >> 1).unwrap_or(i64::MAX)))
}

impl Actor for SenderPool {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Only hints and questions come by mailbox; hand-overs report through channels of their own.
        ctx.set_mailbox_capacity(64);
        if let Some((freed, acks)) = self.receivers.take() {
            ctx.add_stream(events(freed, Event::Freed));
            ctx.add_stream(events(acks, Event::Recorded));
        }
        let timing = self.parts.timing.clone();
        ctx.run_interval(timing.due_tick(), |pool, ctx| pool.tick(ctx));
        ctx.run_interval(timing.lease_renew(), |pool, ctx| pool.renew(ctx));
        self.parts.health.note_pool(&self.line.pool, None);
        self.look(ctx);
    }
}

impl Drop for SenderPool {
    /// However it ends, by a panic too: a rebuilt pool is a new owner, and what this one holds must not begin any more.
    fn drop(&mut self) {
        for run in self.runs.values() {
            run.trust.end();
        }
    }
}

enum Event {
    Freed(Freed),
    Recorded(PageId),
}

/// What tasks report, as a stream that the actor handles one by one. Never ends: the actor holds a sender itself.
fn events<T: 'static>(receiver: UnboundedReceiver<T>, event: fn(T) -> Event) -> impl Stream<Item = Event> {
    futures_util::stream::unfold(receiver, move |mut receiver| async move {
        receiver.recv().await.map(|item| (event(item), receiver))
    })
}

impl StreamHandler<Event> for SenderPool {
    fn handle(&mut self, event: Event, ctx: &mut Self::Context) {
        match event {
            Event::Freed(freed) => self.freed(freed, ctx),
            Event::Recorded(page) => self.recorded(page, ctx),
        }
    }
}

impl Handler<Wake> for SenderPool {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Self::Context) {
        self.tick(ctx);
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
        let pages = self.runs.values().map(|run| HeldPage {
            id: run.id,
            campaign_id: run.campaign,
            seq: run.seq,
            unrecorded: run.unrecorded,
            phase: run.phase.name(),
        });
        MessageResult(PoolState {
            pool: self.line.pool.clone(),
            generation: self.owner.generation,
            in_flight: self.in_flight.load(Ordering::Acquire),
            concurrency: self.parts.pool.concurrency,
            claims: self.claims,
            pages: pages.collect(),
            circuit_open: self.circuit.is_open(),
            circuit_wait_ms: u64::try_from(self.circuit.wait(Instant::now()).as_millis()).unwrap_or(u64::MAX),
        })
    }
}
