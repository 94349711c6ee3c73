//! Incarnations of processes: who may hold a lease.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use crate::domain::dispatch::lease::LeaseToken;
use crate::domain::dispatch::page::Progress;
use crate::domain::ids::{CampaignId, InstanceId, PageId};
use crate::domain::instant::UtcInstant;
use crate::domain::replicas::role::Role;
use crate::store::engine::page_states::is_leased;
use crate::store::engine::schema::{instances, pages};
use crate::store::replicas::dialect;
use crate::store::{Conn, StoreError, engine};

/// What an incarnation says of itself.
#[derive(Debug, Clone)]
pub struct Incarnation {
    /// Stays with the journal's folder over restarts.
    pub slot: String,
    /// The machine's name.
    pub host: String,
    /// Volley's version.
    pub version: String,
    /// The kernel's boot id.
    pub boot_id: String,
    /// What it does.
    pub role: Role,
    /// The pools it runs.
    pub pools: Vec<String>,
}

/// How long after its last heartbeat an instance is taken to live, in milliseconds. Ten heartbeats.
const LIVE_FOR_MS: i64 = 10_000;

type IsLive =
    diesel::dsl::And<diesel::dsl::IsNull<instances::stopped_at>, diesel::dsl::Gt<instances::last_seen_at, UtcInstant>>;

/// Instances that have not ended and were heard of lately.
pub(in crate::store) fn is_live(now: UtcInstant) -> IsLive {
    instances::stopped_at.is_null().and(instances::last_seen_at.gt(now.plus_ms(-LIVE_FOR_MS)))
}

/// A live instance.
#[derive(Debug, Clone, Queryable)]
pub struct LiveInstance {
    /// This incarnation.
    pub id: InstanceId,
    /// Its machine.
    pub host: String,
    /// Volley's version.
    pub version: String,
    /// When it started.
    pub started_at: UtcInstant,
    /// When it last was heard of.
    pub last_seen_at: UtcInstant,
    /// The pools it runs, as JSON.
    pub pools: String,
    /// Its hand-overs under way.
    pub in_flight: i64,
    /// What it does.
    pub role: Role,
}

impl LiveInstance {
    /// Whether it runs a pool.
    #[must_use]
    pub fn runs(&self, pool: &str) -> bool {
        serde_json::from_str::<Vec<String>>(&self.pools).is_ok_and(|pools| pools.iter().any(|own| own == pool))
    }
}

/// The instances that live.
///
/// # Errors
/// The query failed.
pub fn live(conn: &mut Conn) -> Result<Vec<LiveInstance>, StoreError> {
    let now = engine::now(conn)?;
    instances::table
        .filter(is_live(now))
        .order(instances::id)
        .select((
            instances::id,
            instances::host,
            instances::version,
            instances::started_at,
            instances::last_seen_at,
            instances::pools,
            instances::in_flight,
            instances::role,
        ))
        .load(conn)
        .map_err(StoreError::query("list live instances"))
}

/// An instance that was heard of in the last day, running or not.
#[derive(Debug, Clone, Queryable)]
pub struct KnownInstance {
    /// What it said of itself.
    pub said: LiveInstance,
    /// Stays with the journal's folder over restarts.
    pub slot: String,
    /// When it ended in order.
    pub stopped_at: Option<UtcInstant>,
}

/// What became of an instance.
#[derive(Debug, Clone)]
pub struct Fate {
    /// The instance.
    pub known: KnownInstance,
    /// Whether it is running.
    pub is_live: bool,
    /// The next one with its data folder: it has read the journal that was left there.
    pub succeeded_by: Option<InstanceId>,
    /// Pages that are still leased in its name.
    pub pages_held: i64,
}

/// Most instances in one answer.
const MOST_KNOWN: i64 = 500;

/// The instances that were heard of in the last day, the newest first, at most 500.
///
/// # Errors
/// A query failed.
pub fn of_the_last_day(conn: &mut Conn) -> Result<Vec<Fate>, StoreError> {
    let now = engine::now(conn)?;
    let columns = (
        instances::id,
        instances::host,
        instances::version,
        instances::started_at,
        instances::last_seen_at,
        instances::pools,
        instances::in_flight,
        instances::role,
    );
    let known: Vec<KnownInstance> = instances::table
        .filter(instances::last_seen_at.gt(now.plus_ms(-SPOKEN_OF_MS)))
        .order(instances::id.desc())
        .limit(MOST_KNOWN)
        .select((columns, instances::slot, instances::stopped_at))
        .load(conn)
        .map_err(StoreError::query("list instances of the last day"))?;
    let held: Vec<(Option<InstanceId>, i64)> = pages::table
        .filter(is_leased())
        .group_by(pages::lease_instance_id)
        .select((pages::lease_instance_id, diesel::dsl::count_star()))
        .load(conn)
        .map_err(StoreError::query("count held pages"))?;
    let mut newer = HashMap::<String, InstanceId>::new();
    let fate = |known: KnownInstance| {
        let is_live = known.stopped_at.is_none() && known.said.last_seen_at > now.plus_ms(-LIVE_FOR_MS);
        let succeeded_by = newer.insert(known.slot.clone(), known.said.id);
        let pages_held = held.iter().find(|(id, _)| *id == Some(known.said.id)).map_or(0, |(_, count)| *count);
        Fate { known, is_live, succeeded_by, pages_held }
    };
    Ok(known.into_iter().map(fate).collect())
}

/// How long a silent instance is spoken of, in milliseconds: a day.
const SPOKEN_OF_MS: i64 = 86_400_000;

/// An instance that is silent and has not ended in order.
#[derive(Debug, Clone, Queryable)]
pub struct SilentInstance {
    /// This incarnation.
    pub id: InstanceId,
    /// Stays with the journal's folder over restarts.
    pub slot: String,
    /// Its machine.
    pub host: String,
    /// When it last was heard of.
    pub last_seen_at: UtcInstant,
}

/// The instances that were heard of in the last day, are silent since, have not ended in order, and were not started again.
///
/// # Errors
/// The query failed.
pub fn silent(conn: &mut Conn) -> Result<Vec<SilentInstance>, StoreError> {
    let now = engine::now(conn)?;
    let seen: Vec<(SilentInstance, Option<UtcInstant>)> = instances::table
        .filter(instances::last_seen_at.gt(now.plus_ms(-SPOKEN_OF_MS)))
        .order(instances::id.desc())
        .select(((instances::id, instances::slot, instances::host, instances::last_seen_at), instances::stopped_at))
        .load(conn)
        .map_err(StoreError::query("list silent instances"))?;
    let mut slots = HashSet::new();
    // Newest first: a slot's former incarnations come after it.
    let newest = seen.into_iter().filter(|(instance, _)| slots.insert(instance.slot.clone()));
    let is_silent = |(instance, stopped_at): &(SilentInstance, Option<UtcInstant>)| {
        stopped_at.is_none() && instance.last_seen_at <= now.plus_ms(-LIVE_FOR_MS)
    };
    Ok(newest.filter(is_silent).map(|(instance, _)| instance).collect())
}

/// Registers a new incarnation.
///
/// # Errors
/// The query failed.
pub fn register(conn: &mut Conn, incarnation: &Incarnation) -> Result<InstanceId, StoreError> {
    let now = engine::now(conn)?;
    diesel::insert_into(instances::table)
        .values((
            instances::slot.eq(&incarnation.slot),
            instances::host.eq(&incarnation.host),
            instances::version.eq(&incarnation.version),
            instances::boot_id.eq(&incarnation.boot_id),
            instances::started_at.eq(now),
            instances::last_seen_at.eq(now),
            instances::role.eq(incarnation.role),
            instances::pools.eq(serde_json::json!(incarnation.pools).to_string()),
        ))
        .returning(instances::id)
        .get_result(conn)
        .map_err(StoreError::query("register this instance"))
}

/// What another live instance says of itself.
#[derive(Debug, Clone, Queryable)]
pub struct Neighbour {
    /// What it does.
    pub role: Role,
    /// The pools it runs, as JSON.
    pub pools: String,
    /// What keeps it from going on, as JSON.
    pub troubles: String,
}

/// The instances that live beside `me`.
///
/// # Errors
/// The query failed.
pub fn neighbours(conn: &mut Conn, me: InstanceId) -> Result<Vec<Neighbour>, StoreError> {
    let now = engine::now(conn)?;
    instances::table
        .filter(is_live(now).and(instances::id.ne(me)))
        .order(instances::id)
        .select((instances::role, instances::pools, instances::troubles))
        .load(conn)
        .map_err(StoreError::query("list the other instances"))
}

/// Whether the incarnation is on the books, in its slot.
///
/// # Errors
/// The query failed.
pub fn is_registered(conn: &mut Conn, me: InstanceId, slot: &str) -> Result<bool, StoreError> {
    let known: i64 = instances::table
        .filter(instances::id.eq(me).and(instances::slot.eq(slot.to_owned())))
        .count()
        .get_result(conn)
        .map_err(StoreError::query("look for this instance"))?;
    Ok(known > 0)
}

/// Says that the incarnation lives, how many hand-overs are under way, and what keeps it from going on, as JSON; also the proof that
/// the database takes writes.
///
/// # Errors
/// The query failed.
pub fn report(conn: &mut Conn, id: InstanceId, in_flight: i64, troubles: &str) -> Result<(), StoreError> {
    let now = engine::now(conn)?;
    diesel::update(instances::table.find(id))
        .set((
            instances::last_seen_at.eq(now),
            instances::in_flight.eq(in_flight),
            instances::troubles.eq(troubles.to_owned()),
        ))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("write a heartbeat"))
}

/// Says that the incarnation has ended in order.
///
/// # Errors
/// The query failed.
pub fn retire(conn: &mut Conn, id: InstanceId) -> Result<(), StoreError> {
    let now = engine::now(conn)?;
    diesel::update(instances::table.find(id))
        .set(instances::stopped_at.eq(Some(now)))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("retire this instance"))
}

/// Leases looked at in one query.
const LEASES_AT_ONCE: i64 = 500;

/// A leased page whose owner may be gone.
#[derive(Debug, Clone, Queryable)]
pub struct OpenLease {
    /// The page.
    pub page: PageId,
    /// Its campaign.
    pub campaign: CampaignId,
    /// The pool that held it.
    pub pool: String,
    /// The owner's incarnation.
    pub instance: Option<InstanceId>,
    /// The owner's generation.
    pub generation: Option<i64>,
    /// The lease.
    pub token: LeaseToken,
    /// When it ends by itself.
    pub until: Option<UtcInstant>,
    /// How far the page has come.
    pub progress: Progress,
    /// The owner, if it is known.
    pub owner: Option<OwnerSeen>,
}

impl OpenLease {
    /// Whether something is claimed under it.
    #[must_use]
    pub fn is_sending(&self) -> bool {
        self.progress.sending > 0
    }
}

/// What is known of a lease's owner.
#[derive(Debug, Clone, Queryable)]
pub struct OwnerSeen {
    /// The boot of its machine.
    pub boot_id: String,
    /// Its last heartbeat.
    pub last_seen_at: UtcInstant,
    /// When it ended in order.
    pub stopped_at: Option<UtcInstant>,
}

/// Leases, page by page: each call goes on behind `after`.
macro_rules! leases {
    ($conn:expr, $after:expr, $whose:expr) => {
        pages::table
            .left_join(instances::table.on(instances::id.nullable().eq(pages::lease_instance_id)))
            .filter(is_leased().and(pages::id.gt($after)))
            .filter($whose)
            .order(pages::id)
            .limit(LEASES_AT_ONCE)
            .select((
                pages::id,
                pages::campaign_id,
                pages::pool,
                pages::lease_instance_id,
                pages::lease_generation,
                pages::lease_token.assume_not_null(),
                pages::lease_until,
                (pages::progress_at, pages::pending, pages::sending, pages::sent),
                (instances::boot_id, instances::last_seen_at, instances::stopped_at).nullable(),
            ))
            .load($conn)
    };
}

/// Leases of a slot's former incarnations on pages behind `after`.
///
/// # Errors
/// The query failed.
pub fn former_leases(conn: &mut Conn, slot: &str, me: InstanceId, after: PageId) -> Result<Vec<OpenLease>, StoreError> {
    leases!(conn, after, instances::slot.eq(slot).and(instances::id.ne(me)))
        .map_err(StoreError::query("look for former leases"))
}

/// Leases that may have lost their owner.
#[derive(Debug)]
pub struct Doubtful {
    /// Those that are `me`'s own, have expired, or belong to somebody gone.
    pub leases: Vec<OpenLease>,
    /// Owners that neither say that they live nor hold a session on the database.
    pub gone: Vec<InstanceId>,
    /// The database's time.
    pub now: UtcInstant,
    /// No lease that was given at the database's present time ends later than this.
    latest: UtcInstant,
}

impl Doubtful {
    /// Whether a lease has come to its end. One that ends too far in the future was given before the database's clock went
    /// back, and its owner has not renewed it since.
    #[must_use]
    pub fn has_expired(&self, lease: &OpenLease) -> bool {
        lease.until.is_none_or(|until| until <= self.now || until > self.latest)
    }
}

/// An owner without a session that has been silent for so long is dead, in milliseconds: three heartbeats.
const SILENT_MS: i64 = 3_000;

/// Leases on pages behind `after` that are `me`'s own, have expired, or belong to instances that are gone. `lease` is how
/// long one lasts.
///
/// # Errors
/// The query failed.
pub fn doubtful_leases(
    conn: &mut Conn,
    me: InstanceId,
    after: PageId,
    lease: std::time::Duration,
) -> Result<Doubtful, StoreError> {
    let now = engine::now(conn)?;
    let latest = now.plus(2 * lease);
    let gone = dialect::silent_instances(conn, now.plus_ms(-SILENT_MS), now.plus_ms(SILENT_MS))?;
    let own = pages::lease_instance_id.eq(me);
    let expired = pages::lease_until.is_null().or(pages::lease_until.le(now)).or(pages::lease_until.gt(latest));
    let of_the_gone = pages::lease_instance_id.eq_any(gone.clone());
    let leases =
        leases!(conn, after, own.or(expired).or(of_the_gone)).map_err(StoreError::query("look for ended leases"))?;
    Ok(Doubtful { leases, gone, now, latest })
}
