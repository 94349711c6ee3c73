//! Whether this instance can work, for load balancers and orchestrators.
//!
//! Anybody may ask, as often as they like, so the question writes nothing and costs the database at most one read a
//! second. That writes succeed is what the reaper's heartbeat finds out, each second; both note it in
//! [`crate::runtime::health::Health`].

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::actors::replicas::broker_link::LinkState;
use crate::http::state::AppState;
use crate::http::web::extract::Query;
use crate::runtime::health::{Attention, AttentionCode};

/// Whether this instance can work.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Readiness {
    /// `ready`, `degraded` (a provider or the broker cannot be used) or `unavailable`.
    status: &'static str,
    /// Why it is unavailable; or `no_sender`: it can work, and no instance sends anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    code: Option<AttentionCode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Each pool, and its trouble or `null`.
    #[schema(value_type = Object)]
    pools: BTreeMap<String, Option<Attention>>,
    /// The state of the link to the broker, if one is configured. Work continues without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    broker: Option<LinkState>,
}

/// Whether database and journal take writes, as of the last second. An unreachable provider or broker is reported, and
/// keeps 200.
#[utoipa::path(get, path = "/readyz", tag = "operations", security(()),
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
pub(in crate::http) async fn readyz(state: web::Data<AppState>, _: Query<()>) -> HttpResponse {
    state.database_probe.refresh(&state.store, &state.health).await;
    let pools = state.health.pools();
    let broker = state.link_state().await;
    match state.health.vital() {
        Some(trouble) => HttpResponse::ServiceUnavailable().json(Readiness {
            status: "unavailable",
            code: Some(trouble.code),
            detail: Some(trouble.detail),
            pools,
            broker,
        }),
        None => {
            let is_cut_off = broker.as_ref().is_some_and(|link| !link.connected);
            let no_sender = state.health.no_sender();
            let is_degraded = is_cut_off || no_sender.is_some() || pools.values().any(Option::is_some);
            let status = if is_degraded { "degraded" } else { "ready" };
            let (code, detail) = no_sender.map(|none| (none.code, none.detail)).unzip();
            HttpResponse::Ok().json(Readiness { status, code, detail, pools, broker })
        }
    }
}
