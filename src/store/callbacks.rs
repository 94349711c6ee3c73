//! What providers report, as it came. A row is stored before the provider is answered, taken by one reader at a time, and read.
//!
//! Order of locks: a row of a callback is locked by nobody for longer than one statement, except together with its effect, last. Rows
//! go by age, when they are done or have failed.

mod dialect;

use std::collections::{BTreeSet, HashMap};

use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use crate::domain::callbacks::{CallbackState, Format};
use crate::domain::channel::ChannelKind;
use crate::domain::ids::{CallbackId, CampaignId, ContactId};
use crate::domain::instant::UtcInstant;
use crate::store::engine::dialect::conn::MultiBackend;
use crate::store::engine::schema::{callbacks, campaigns, events, former_pools};
use crate::store::{Conn, StoreError, engine};

/// Rows that one transaction removes at most: it holds SQLite's only writer for some milliseconds.
const PORTION: i64 = 1_000;

/// As far as pending callbacks are counted.
const COUNTED: i64 = 10_000;

/// A callback to store. It holds personal data: never logged, so it has no `Debug`.
#[derive(Clone)]
pub struct NewCallback {
    /// Whose provider sent it.
    pub pool: String,
    /// How it is read.
    pub format: Format,
    /// Of its body.
    pub content_type: String,
    /// What its repetitions share, within the pool.
    pub key: String,
    /// As it came.
    pub body: String,
}

/// A callback that a reader has taken. It holds personal data: never logged, so it has no `Debug`.
#[derive(Clone, QueryableByName)]
pub struct Taken {
    /// Its id.
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    pub id: CallbackId,
    /// Whose provider sent it.
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub pool: String,
    /// How it is read: a format that this version may not know.
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub format: String,
    /// Of its body.
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub content_type: String,
    /// What its repetitions share.
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub key: String,
    /// As it came.
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub body: String,
    /// When it came.
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    pub received_at: UtcInstant,
}

/// A callback that could not be understood.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = callbacks)]
pub struct FailedCallback {
    /// Its id: a later one has a higher one.
    pub id: CallbackId,
    /// Whose provider sent it.
    pub pool: String,
    /// How it was read.
    pub format: String,
    /// When it came.
    pub received_at: UtcInstant,
    /// How often it was tried.
    pub attempts: i32,
    /// Why it was not understood.
    pub error: Option<String>,
}

/// Stores a callback. `false`: it is a repetition, and nothing is stored.
///
/// # Errors
/// The query failed.
pub fn store(conn: &mut Conn, new: &NewCallback) -> Result<bool, StoreError> {
    let now = engine::now(conn)?;
    dialect::insert(conn, new, now).map(|stored| stored > 0)
}

/// Those that are to be read. A literal, as in [`page_states`](crate::store::engine::page_states): the index over them serves no statement
/// that binds the state.
fn is_pending() -> SqlLiteral<Bool> {
    diesel::dsl::sql("callbacks.state = 'pending'")
}

/// Those that could not be understood.
fn is_failed() -> SqlLiteral<Bool> {
    diesel::dsl::sql("callbacks.state = 'failed'")
}

/// How many callbacks are to be read, up to 10,000, and how many of these may be taken now.
///
/// # Errors
/// A query failed.
pub fn pending(conn: &mut Conn) -> Result<(usize, usize), StoreError> {
    let now = engine::now(conn)?;
    let due_at: Vec<UtcInstant> = callbacks::table
        .filter(is_pending())
        .order(callbacks::next_attempt_at)
        .limit(COUNTED)
        .select(callbacks::next_attempt_at)
        .load(conn)
        .map_err(StoreError::query("count callbacks"))?;
    Ok((due_at.len(), due_at.iter().filter(|at| **at <= now).count()))
}

/// Takes up to `limit` callbacks that are due, oldest first. Until `for_ms` milliseconds have passed, no other reader gets them. Belongs
/// in a write transaction.
///
/// # Errors
/// A query failed.
pub fn take(conn: &mut Conn, limit: i64, for_ms: i64) -> Result<Vec<Taken>, StoreError> {
    let now = engine::now(conn)?;
    let mut taken = dialect::take(conn, limit, now, now.plus_ms(for_ms))?;
    taken.sort_unstable_by_key(|callback| callback.id);
    Ok(taken)
}

/// Marks callbacks that had their effect as done. What they said is removed.
///
/// # Errors
/// The query failed.
pub fn finish(conn: &mut Conn, ids: &[CallbackId]) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let these = callbacks::id.eq_any(ids.to_vec()).and(callbacks::state.eq(CallbackState::Pending));
    diesel::update(callbacks::table.filter(these))
        .set((
            callbacks::state.eq(CallbackState::Done),
            callbacks::body.eq(None::<String>),
            callbacks::error.eq(None::<String>),
        ))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("finish callbacks"))
}

/// Lets callbacks be taken again after `ms` milliseconds. That is no attempt.
///
/// # Errors
/// A query failed.
pub fn put_off(conn: &mut Conn, ids: &[CallbackId], ms: i64) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let now = engine::now(conn)?;
    let these = callbacks::id.eq_any(ids.to_vec()).and(callbacks::state.eq(CallbackState::Pending));
    diesel::update(callbacks::table.filter(these))
        .set(callbacks::next_attempt_at.eq(now.plus_ms(ms)))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("put callbacks off"))
}

/// Counts an attempt in vain. After the last of `waits_ms` the callback has failed. Whether it has.
///
/// # Errors
/// A query failed.
pub fn fail(conn: &mut Conn, id: CallbackId, error: &str, waits_ms: &[i64]) -> Result<bool, StoreError> {
    let now = engine::now(conn)?;
    let this = callbacks::table.filter(callbacks::id.eq(id).and(callbacks::state.eq(CallbackState::Pending)));
    let attempts: Option<i32> = this
        .select(callbacks::attempts)
        .first(conn)
        .optional()
        .map_err(StoreError::query("read the attempts at a callback"))?;
    let Some(attempts) = attempts else { return Ok(false) };
    let wait = usize::try_from(attempts).ok().and_then(|attempts| waits_ms.get(attempts));
    let state = if wait.is_some() { CallbackState::Pending } else { CallbackState::Failed };
    diesel::update(this)
        .set((
            callbacks::state.eq(state),
            callbacks::attempts.eq(attempts + 1),
            callbacks::next_attempt_at.eq(now.plus_ms(wait.copied().unwrap_or_default())),
            callbacks::error.eq(Some(error)),
        ))
        .execute(conn)
        .map_err(StoreError::query("count an attempt at a callback"))?;
    Ok(state == CallbackState::Failed)
}

/// Up to `limit` callbacks that failed, newest first, with lower ids than `before`.
///
/// # Errors
/// The query failed.
pub fn failed(
    conn: &mut Conn,
    pool: Option<&str>,
    before: Option<CallbackId>,
    limit: i64,
) -> Result<Vec<FailedCallback>, StoreError> {
    let mut query =
        callbacks::table.filter(is_failed()).order(callbacks::id.desc()).limit(limit).into_boxed::<MultiBackend>();
    if let Some(pool) = pool {
        query = query.filter(callbacks::pool.eq(pool));
    }
    if let Some(before) = before {
        query = query.filter(callbacks::id.lt(before));
    }
    query.select(FailedCallback::as_select()).load(conn).map_err(StoreError::query("list callbacks that failed"))
}

/// What became of a wish to read a callback again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    /// It is to be read again.
    Again,
    /// It has not failed.
    NotFailed,
    /// There is no such callback.
    Unknown,
}

/// Lets a callback that failed be read again, with all its attempts.
///
/// # Errors
/// A query failed.
pub fn replay(conn: &mut Conn, id: CallbackId) -> Result<Replayed, StoreError> {
    let now = engine::now(conn)?;
    let failed = callbacks::id.eq(id).and(callbacks::state.eq(CallbackState::Failed));
    let again = diesel::update(callbacks::table.filter(failed))
        .set((
            callbacks::state.eq(CallbackState::Pending),
            callbacks::attempts.eq(0),
            callbacks::next_attempt_at.eq(now),
        ))
        .execute(conn)
        .map_err(StoreError::query("replay a callback"))?;
    if again > 0 {
        return Ok(Replayed::Again);
    }
    let there: Option<CallbackId> = callbacks::table
        .find(id)
        .select(callbacks::id)
        .first(conn)
        .optional()
        .map_err(StoreError::query("look for a callback"))?;
    Ok(if there.is_some() { Replayed::NotFailed } else { Replayed::Unknown })
}

/// Removes a portion of the callbacks that came more than so many days ago and are not to be read any more. Whether there may be more.
///
/// # Errors
/// A query failed.
pub fn prune(conn: &mut Conn, keep_days: u32) -> Result<bool, StoreError> {
    let before = engine::now(conn)?.plus_ms(-i64::from(keep_days) * 86_400_000);
    let old: Vec<CallbackId> = callbacks::table
        .filter(callbacks::received_at.lt(before).and(callbacks::state.ne(CallbackState::Pending)))
        .order(callbacks::received_at)
        .limit(PORTION)
        .select(callbacks::id)
        .load(conn)
        .map_err(StoreError::query("look for old callbacks"))?;
    let is_full = i64::try_from(old.len()).is_ok_and(|count| count >= PORTION);
    diesel::delete(callbacks::table.filter(callbacks::id.eq_any(old)))
        .execute(conn)
        .map_err(StoreError::query("remove old callbacks"))?;
    Ok(is_full)
}

/// A campaign that messages belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The campaign.
    pub campaign: CampaignId,
    /// Its channel.
    pub channel: ChannelKind,
    /// The pools that send it, or have sent a part of it.
    pub pools: BTreeSet<String>,
}

/// The campaigns that messages with these keys belong to.
///
/// # Errors
/// The query failed.
pub fn campaigns_of_keys(conn: &mut Conn, keys: &BTreeSet<&str>) -> Result<HashMap<String, Origin>, StoreError> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(Option<String>, CampaignId, ChannelKind, Option<String>)> = campaigns::table
        .filter(campaigns::key.eq_any(keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>()))
        .select((campaigns::key, campaigns::id, campaigns::channel, campaigns::pool))
        .load(conn)
        .map_err(StoreError::query("find the campaigns of reports"))?;
    let mut former = former(conn, rows.iter().map(|row| row.1).collect())?;
    let mut origin = |(key, campaign, channel, pool)| Some((key?, Origin::of(campaign, channel, pool, &mut former)));
    Ok(rows.into_iter().filter_map(&mut origin).collect())
}

/// The campaigns with these ids.
///
/// # Errors
/// The query failed.
pub fn campaigns_of_ids(
    conn: &mut Conn,
    ids: &BTreeSet<CampaignId>,
) -> Result<HashMap<CampaignId, Origin>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(CampaignId, ChannelKind, Option<String>)> = campaigns::table
        .filter(campaigns::id.eq_any(ids.iter().copied().collect::<Vec<_>>()))
        .select((campaigns::id, campaigns::channel, campaigns::pool))
        .load(conn)
        .map_err(StoreError::query("find the campaigns of messages that came back"))?;
    let mut former = former(conn, rows.iter().map(|row| row.0).collect())?;
    let origin = |(campaign, channel, pool)| (campaign, Origin::of(campaign, channel, pool, &mut former));
    Ok(rows.into_iter().map(origin).collect())
}

impl Origin {
    fn of(
        campaign: CampaignId,
        channel: ChannelKind,
        pool: Option<String>,
        former: &mut HashMap<CampaignId, BTreeSet<String>>,
    ) -> Self {
        let mut pools = former.remove(&campaign).unwrap_or_default();
        pools.extend(pool);
        Self { campaign, channel, pools }
    }
}

/// The pools that campaigns were sent through before their present one.
fn former(conn: &mut Conn, campaigns: Vec<CampaignId>) -> Result<HashMap<CampaignId, BTreeSet<String>>, StoreError> {
    let rows: Vec<(CampaignId, String)> = former_pools::table
        .filter(former_pools::campaign_id.eq_any(campaigns))
        .select((former_pools::campaign_id, former_pools::pool))
        .load(conn)
        .map_err(StoreError::query("read former pools"))?;
    let mut former = HashMap::<CampaignId, BTreeSet<String>>::new();
    for (campaign, pool) in rows {
        former.entry(campaign).or_default().insert(pool);
    }
    Ok(former)
}

/// The properties of a contact's events of this name since then, newest first: at most `limit`.
///
/// # Errors
/// The query failed.
pub fn properties_since(
    conn: &mut Conn,
    contact: ContactId,
    name: &str,
    since: UtcInstant,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    events::table
        .filter(events::contact_id.eq(contact).and(events::name.eq(name)).and(events::occurred_at.ge(since)))
        .order(events::occurred_at.desc())
        .limit(limit)
        .select(events::properties)
        .load(conn)
        .map_err(StoreError::query("read a contact's reports"))
}
