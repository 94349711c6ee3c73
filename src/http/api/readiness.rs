//! Whether this instance can work, for load balancers and orchestrators.
//!
//! Anybody may ask, as often as they like, so the question writes nothing and costs the database at most one read a
//! second. That writes succeed is what the reaper's heartbeat finds out, each second; both note it in [`Health`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use actix_web::{HttpResponse, web};
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use super::operations::link_state;
use crate::actors::replicas::broker_link::LinkState;
use crate::http::state::AppState;
use crate::http::web::extract::Query;
use crate::runtime::health::{Attention, Health};
use crate::store::{Lane, Store, StoreError, engine};

/// How long readiness waits for the database.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// How long the database's last answer is believed.
const FRESH: Duration = Duration::from_secs(1);

/// When the database was last asked whether it answers. One request asks; those that come meanwhile wait for its result.
#[derive(Debug, Default)]
pub struct DatabaseProbe {
    asked: Mutex<Option<Instant>>,
}

impl DatabaseProbe {
    /// Asks the database whether it answers, unless it was asked a moment ago, and notes a failure in `health`. A success is
    /// noted by what writes: a database that can be read may still have a full disk.
    async fn refresh(&self, store: &Store, health: &Health) {
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|at| at.elapsed() < FRESH) {
            return;
        }
        let answer = store.run(Lane::LookUp, "ask whether the database answers", |conn| engine::now(conn).map(drop));
        let answer = tokio::time::timeout(READY_WITHIN, answer).await.unwrap_or_else(|_late| {
            Err(StoreError::Unavailable {
                action: "ask whether the database answers",
                detail: format!("no answer within {} s", READY_WITHIN.as_secs()),
            })
        });
        if let Err(error) = answer {
            health.note_store(Err(&error));
        }
        *asked = Some(Instant::now());
    }
}

/// Whether this instance can work.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Readiness {
    /// `ready`, `degraded` (a provider or the broker cannot be used) or `unavailable`.
    status: &'static str,
    /// Why it is unavailable.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Each pool, and its trouble or `null`.
    #[schema(value_type = Object)]
    pools: BTreeMap<String, Option<Attention>>,
    /// How the link to the broker fares, if one is configured. Without it work goes on.
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
    let broker = link_state(&state).await;
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
            let is_degraded = is_cut_off || pools.values().any(Option::is_some);
            let status = if is_degraded { "degraded" } else { "ready" };
            HttpResponse::Ok().json(Readiness { status, code: None, detail: None, pools, broker })
        }
    }
}
