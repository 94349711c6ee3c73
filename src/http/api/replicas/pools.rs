//! `/v1/pools`: sender pools, which are suspended and resumed on every instance.

use actix_web::web;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::paces::{Pace, pace_of};
use super::receipt::{self, Receipt, Wait};
use crate::config::pools::{PoolConfig, Provider};
use crate::domain::channel::ChannelKind;
use crate::domain::instant::UtcInstant;
use crate::domain::replicas::decision::Subject;
use crate::http::state::AppState;
use crate::http::web::extract::{Json, Nothing, Query};
use crate::http::web::problem::{ApiError, Problem};
use crate::http::web::text;
use crate::runtime::health::Attention;
use crate::services::By;
use crate::services::replicas::switch_pool::{PoolDecision, SwitchError, switch_pool};
use crate::store::replicas::pool_switch::PoolSwitch;
use crate::store::replicas::pool_switches;
use crate::store::{Lane, engine};

/// Longest reason, in characters.
const MAX_REASON: usize = 500;

/// A sender pool, as operators see it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Pool {
    pub(in crate::http) name: String,
    /// Whether nothing is handed over through it, on any instance, until it is resumed.
    pub(in crate::http) suspended: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) reason: Option<String>,
    /// When the suspension ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) expires_at: Option<UtcInstant>,
    /// The receipt of the newest decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<Receipt>,
    /// The pool as the settings of the instance that answers have it; absent where it does not run the pool. In the list only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) settings: Option<PoolSettings>,
    /// Why nothing goes through it on the instance that answers, if nothing does. In the list only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) attention: Option<Attention>,
    /// The pace that the pool has found, where anything was found out about its provider. In the list only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) pace: Option<Pace>,
}

/// What the settings of an instance say of a pool.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct PoolSettings {
    pub(in crate::http) channel: ChannelKind,
    pub(in crate::http) provider: Provider,
    /// Hand-overs at once on each instance, at most.
    pub(in crate::http) concurrency: usize,
    /// Hand-overs a second, all instances together, at most. Absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) rate_per_second: Option<f64>,
}

impl From<&PoolConfig> for PoolSettings {
    fn from(pool: &PoolConfig) -> Self {
        Self {
            channel: pool.channel,
            provider: pool.provider.kind(),
            concurrency: pool.concurrency,
            rate_per_second: Some(pool.rate_per_second).filter(|rate| *rate > 0.0),
        }
    }
}

impl Pool {
    fn of(name: &str, switch: Option<&PoolSwitch>, now: UtcInstant) -> Self {
        let holding = switch.filter(|switch| switch.holds(now));
        Self {
            name: name.to_owned(),
            suspended: holding.is_some(),
            reason: holding.and_then(|switch| switch.reason.clone()),
            expires_at: holding.and_then(|switch| switch.expires_at),
            receipt: None,
            settings: None,
            attention: None,
            pace: None,
        }
    }
}

/// Sender pools.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Pools {
    pub(in crate::http) data: Vec<Pool>,
}

/// The pools of the instance that answers, and those that any instance has ever suspended.
#[utoipa::path(get, path = "/v1/pools", tag = "operations", responses((status = 200, body = Pools)))]
pub(in crate::http) async fn list_pools(
    state: web::Data<AppState>,
    _: Query<()>,
) -> Result<web::Json<Pools>, ApiError> {
    Ok(web::Json(listed(&state).await?.0))
}

/// Reads the pools, and the moment of that.
pub(in crate::http) async fn listed(state: &AppState) -> Result<(Pools, UtcInstant), ApiError> {
    let (switches, now) = state.store.run(Lane::Read, "read the pools' switches", pool_switches::all).await?;
    let mut names: Vec<&str> = state.settings.pools.iter().map(|pool| pool.name.as_str()).collect();
    names.extend(switches.iter().map(|switch| switch.pool.as_str()));
    names.sort_unstable();
    names.dedup();
    let troubles = state.health.pools();
    let mut data = Vec::with_capacity(names.len());
    for name in names {
        let switch = switches.iter().find(|switch| switch.pool == name);
        let settings = state.settings.pools.iter().find(|pool| pool.name == name).map(PoolSettings::from);
        let attention = troubles.get(name).cloned().flatten();
        let pace = pace_of(state, name).await?;
        data.push(Pool { settings, attention, pace, ..Pool::of(name, switch, now) });
    }
    Ok((Pools { data }, now))
}

/// Why a pool is suspended, and for how long.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct SuspendInput {
    /// For people: 1 to 500 characters.
    reason: String,
    /// When it goes on by itself: RFC 3339 with an offset.
    #[serde(default)]
    expires_at: Option<UtcInstant>,
}

/// Suspends a pool on every instance: nothing is handed over through it, whatever the campaign. Recipients stay pending.
#[utoipa::path(post, path = "/v1/pools/{name}/suspend", tag = "operations", request_body = SuspendInput,
    params(("name" = String, Path),
        ("wait_ms" = Option<u64>, Query, description = "how long to wait for every instance, 0 to 30000; 1000")),
    responses((status = 200, body = Pool), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn suspend(
    state: web::Data<AppState>,
    name: web::Path<String>,
    Query(wait): Query<Wait>,
    by: By,
    Json(body): Json<SuspendInput>,
) -> Result<web::Json<Pool>, ApiError> {
    let reason = reason_of(&body.reason)?;
    switch(&state, &name, PoolDecision::Suspend { reason, until: body.expires_at }, wait, &by).await
}

fn reason_of(text: &str) -> Result<String, ApiError> {
    text::name("/reason", text, MAX_REASON)
}

/// Suspends a pool for so many milliseconds of the database's clock, or until it is resumed, and waits a moment for the instances.
pub(in crate::http) async fn suspend_for(
    state: &AppState,
    name: &str,
    reason: &str,
    span_ms: Option<i64>,
    by: &By,
) -> Result<(), ApiError> {
    let reason = reason_of(reason)?;
    let until = match span_ms {
        None => None,
        Some(ms) => Some(state.store.run(Lane::Control, "read the clock", engine::now).await?.plus_ms(ms)),
    };
    switch(state, name, PoolDecision::Suspend { reason, until }, Wait::USUAL, by).await.map(drop)
}

/// Ends a pool's suspension, and waits a moment for the instances.
pub(in crate::http) async fn resume_now(state: &AppState, name: &str, by: &By) -> Result<(), ApiError> {
    switch(state, name, PoolDecision::Resume, Wait::USUAL, by).await.map(drop)
}

/// Ends a pool's suspension.
#[utoipa::path(post, path = "/v1/pools/{name}/resume", tag = "operations",
    params(("name" = String, Path),
        ("wait_ms" = Option<u64>, Query, description = "how long to wait for every instance, 0 to 30000; 1000")),
    responses((status = 200, body = Pool), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn resume(
    state: web::Data<AppState>,
    name: web::Path<String>,
    Query(wait): Query<Wait>,
    by: By,
    _: crate::http::web::extract::Hashed<Nothing>,
) -> Result<web::Json<Pool>, ApiError> {
    switch(&state, &name, PoolDecision::Resume, wait, &by).await
}

async fn switch(
    state: &AppState,
    name: &str,
    decision: PoolDecision,
    wait: Wait,
    by: &By,
) -> Result<web::Json<Pool>, ApiError> {
    let (set, now) = switch_pool(&state.services, name, decision, by).await?;
    // The decision stands, whatever becomes of the question who has heard of it.
    let receipt = receipt::wait(state, Subject::Pool(name.to_owned()), wait).await.ok().flatten();
    Ok(web::Json(Pool { receipt, ..Pool::of(name, Some(&set), now) }))
}

impl From<SwitchError> for ApiError {
    fn from(error: SwitchError) -> Self {
        match error {
            SwitchError::NoSuchPool(name) => Self::no_such("pool", &name),
            SwitchError::Past { .. } => Self::field("/expires_at", "out_of_range", error.to_string()),
            SwitchError::Store(error) => error.into(),
        }
    }
}

/// The receipt of the newest decision on a pool, as it stands now.
#[utoipa::path(get, path = "/v1/pools/{name}/receipt", tag = "operations", params(("name" = String, Path)),
    responses((status = 200, body = Receipt), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn pool_receipt(
    state: web::Data<AppState>,
    name: web::Path<String>,
    _: Query<()>,
) -> Result<web::Json<Receipt>, ApiError> {
    let receipt = receipt::read(&state, Subject::Pool(name.clone())).await?;
    receipt.map(web::Json).ok_or_else(|| ApiError::no_such("receipt", &name))
}
