//! The reaper: leases that ended without their owner are resolved here, and this instance says that it lives.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use serde::Serialize;

use super::guardian::PoolDirectory;
use super::health::Health;
use super::journal::{Journal, Testimony};
use crate::channels::Channel;
use crate::config::pools::PoolConfig;
use crate::config::timing::Timing;
use crate::domain::ids::InstanceId;
use crate::domain::instant::UtcInstant;
use crate::domain::page::PageState;
use crate::store::instances::{self, OpenLease};
use crate::store::lost_leases::{self, Evidence, Repeat};
use crate::store::pages::LeaseToken;
use crate::store::{Lane, Store, StoreError, deliveries};

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

/// What a lost lease is judged by.
#[derive(Clone)]
pub struct Court {
    repeats: Arc<HashMap<String, Repeat>>,
}

impl Court {
    /// From the configured pools and the channels that serve them.
    #[must_use]
    pub fn new(pools: &[PoolConfig], channels: &BTreeMap<String, Arc<dyn Channel>>, timing: &Timing) -> Self {
        let repeat = |pool: &PoolConfig| Some(repeat(pool, channels.get(&pool.name)?.call_timeout(), timing));
        let repeats = pools.iter().filter_map(|pool| Some((pool.name.clone(), repeat(pool)?))).collect();
        Self { repeats: Arc::new(repeats) }
    }

    fn of(&self, pool: &str) -> Repeat {
        // A pool that is configured no more: nobody can say that its provider honours keys.
        const UNKNOWN: Repeat = Repeat { key_valid_ms: None, on_the_wire_ms: 600_000, max_attempts: 1 };
        self.repeats.get(pool).copied().unwrap_or(UNKNOWN)
    }
}

fn repeat(pool: &PoolConfig, call: Duration, timing: &Timing) -> Repeat {
    let on_the_wire = timing.start_deadline() + call + timing.call_margin();
    Repeat {
        key_valid_ms: pool.idempotent_for().and_then(|valid| i64::try_from(valid.as_millis() / 10 * 9).ok()),
        on_the_wire_ms: i64::try_from(on_the_wire.as_millis()).unwrap_or(i64::MAX),
        max_attempts: i32::try_from(pool.max_attempts).unwrap_or(i32::MAX),
    }
}

/// Resolves every lease of this slot's former incarnations, by the journals they left. Called once, before any pool
/// starts; the journals may go when it has returned.
///
/// # Errors
/// The database does not answer; safe to repeat.
pub async fn recover(
    store: &Store,
    identity: &Identity,
    court: &Court,
    testimony: Arc<Testimony>,
) -> Result<(), StoreError> {
    loop {
        let (leases, _) = store.run(Lane::Read, "look for our former leases", instances::open_leases).await?;
        let own = |lease: &OpenLease| {
            lease.slot.as_deref() == Some(&identity.slot) && lease.instance != Some(identity.instance)
        };
        let former: Vec<OpenLease> = leases.into_iter().filter(own).collect();
        if former.is_empty() {
            return Ok(());
        }
        for lease in former {
            let valid = lease.instance.is_some_and(|owner| testimony.is_valid_for(owner, &identity.boot_id))
                && lease.boot_id.as_deref() == Some(&identity.boot_id);
            end(store, court, lease, valid.then(|| Arc::clone(&testimony))).await?;
        }
    }
}

async fn end(
    store: &Store,
    court: &Court,
    lease: OpenLease,
    testimony: Option<Arc<Testimony>>,
) -> Result<(), StoreError> {
    let Some(token) = lease.token else { return Ok(()) };
    let repeat = court.of(&lease.pool);
    let journal_read = testimony.is_some();
    let (campaign, page) = (lease.campaign, lease.page);
    let ended = store
        .run(Lane::Control, "resolve a lost lease", move |conn| {
            conn.write(|conn| {
                let evidence = |key| match &testimony {
                    Some(testimony) => testimony.evidence(key),
                    None => Evidence::Ambiguous,
                };
                lost_leases::end_lease(conn, campaign, page, token, repeat, &evidence)
            })
        })
        .await?;
    if let Some(ended) = ended {
        metrics::counter!("volley_leases_lost_total").increment(1);
        tracing::warn!(
            campaign.id = campaign.0,
            page.id = page.0,
            journal_read,
            given_back = ended.given_back,
            known = ended.known,
            uncertain = ended.uncertain,
            poison = ended.poison,
            "a lease ended without its owner"
        );
    }
    Ok(())
}

/// The actor.
pub struct Reaper {
    store: Store,
    identity: Identity,
    court: Court,
    pools: PoolDirectory,
    journal: Arc<Journal>,
    health: Health,
    tick: Duration,
    /// How long a lease of our own may lie unrenewed, with a database that answers, before nobody is taken to hold it.
    patience: Duration,
    /// Our own expired leases, and since when they have been seen so.
    overdue: HashMap<LeaseToken, Instant>,
    busy: bool,
    ended: u64,
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
    /// Rounds under way.
    pub busy: bool,
    /// Lost leases resolved since the start.
    pub ended: u64,
}

impl Reaper {
    /// A reaper for this instance.
    #[must_use]
    pub fn new(
        store: Store,
        identity: Identity,
        court: Court,
        pools: PoolDirectory,
        journal: Arc<Journal>,
        health: Health,
        timing: &Timing,
    ) -> Self {
        let (tick, patience) = (timing.reaper_tick(), timing.lease());
        let overdue = HashMap::new();
        Self { store, identity, court, pools, journal, health, tick, patience, overdue, busy: false, ended: 0 }
    }

    fn round(&mut self, ctx: &mut Context<Self>) {
        self.journal.probe();
        if self.health.note_journal(self.journal.trouble()) {
            match self.journal.trouble() {
                None => tracing::info!("the journal takes writes again"),
                Some(trouble) => tracing::error!(trouble, "the journal cannot be written; nothing is handed over"),
            }
        }
        if self.busy {
            return;
        }
        self.busy = true;
        let (store, identity, court) = (self.store.clone(), self.identity.clone(), self.court.clone());
        let (pools, journal) = (self.pools.clone(), Arc::clone(&self.journal));
        let (patience, mut overdue) = (self.patience, std::mem::take(&mut self.overdue));
        let work = async move {
            let me = identity.instance;
            store.run(Lane::Control, "write a heartbeat", move |conn| instances::heartbeat(conn, me)).await?;
            let (leases, now) = store.run(Lane::Read, "look for ended leases", instances::open_leases).await?;
            note_overdue(&mut overdue, &leases, me, now);
            let forgotten = |lease: &OpenLease| {
                lease.token.and_then(|token| overdue.get(&token)).is_some_and(|since| since.elapsed() >= patience)
            };
            let mut ended = 0;
            let lost = |lease: &OpenLease| is_lost(lease, &identity, &pools, now) || forgotten(lease);
            for lease in leases.into_iter().filter(lost) {
                let own = lease.instance == Some(me);
                let testimony = if own { journal.read_back().ok().map(Arc::new) } else { None };
                let page = lease.page;
                match end(&store, &court, lease, testimony).await {
                    Ok(()) => ended += 1,
                    Err(error @ (StoreError::Unavailable { .. } | StoreError::Closed)) => return Err(error),
                    // One that resists must not hold up those behind it; its turn comes again.
                    Err(error) => tracing::error!(page.id = page.0, error = %error, "a lost lease stays unresolved"),
                }
            }
            let pages = store.run(Lane::Read, "count pages", deliveries::pages_by_state).await?;
            for state in PageState::ALL {
                // A state that no page is in has no row.
                let n = pages.iter().find(|(counted, _)| counted == state).map_or(0, |(_, n)| *n);
                metrics::gauge!("volley_pages", "state" => state.as_str())
                    .set(f64::from(u32::try_from(n).unwrap_or(u32::MAX)));
            }
            Ok::<_, StoreError>((ended, overdue))
        };
        ctx.spawn(work.into_actor(self).map(|result, reaper, _| {
            reaper.busy = false;
            let news = reaper.health.note_store(result.as_ref().map(drop));
            match result {
                Ok((ended, overdue)) => {
                    reaper.ended += ended;
                    reaper.overdue = overdue;
                    if news {
                        tracing::info!("the database answers again");
                        reaper.pools.wake_all();
                    }
                }
                Err(error) if news => tracing::error!(error = %error, "the database does not answer"),
                Err(_) => {}
            }
        }));
    }
}

/// Keeps the list of our own leases that have expired. A living pool renews what it holds, late if need be; one that no
/// pool knows of comes of a lease whose COMMIT went unanswered. A round that fails begins the list anew.
fn note_overdue(overdue: &mut HashMap<LeaseToken, Instant>, leases: &[OpenLease], me: InstanceId, now: UtcInstant) {
    let expired = |lease: &&OpenLease| lease.instance == Some(me) && lease.until.is_none_or(|until| until <= now);
    let expired: std::collections::HashSet<LeaseToken> =
        leases.iter().filter(expired).filter_map(|lease| lease.token).collect();
    overdue.retain(|token, _| expired.contains(token));
    for token in expired {
        overdue.entry(token).or_insert_with(Instant::now);
    }
}

/// Whether a lease has lost its owner. One of this instance's living pools is not taken away for being late: the owner
/// itself knows best what became of it.
fn is_lost(lease: &OpenLease, identity: &Identity, pools: &PoolDirectory, now: UtcInstant) -> bool {
    if lease.instance == Some(identity.instance) {
        return !lease.generation.is_some_and(|generation| pools.is_alive(&lease.pool, generation));
    }
    lease.until.is_none_or(|until| until <= now)
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
        MessageResult(ReaperState { instance_id: self.identity.instance, busy: self.busy, ended: self.ended })
    }
}
