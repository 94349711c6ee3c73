//! What operators and their machines look at: health, metrics, and the actors' state.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::actors::callback_reader::{self, CallbackReaderState};
use crate::actors::dispatch::campaign_driver::{self, DriverState};
use crate::actors::dispatch::paginator::{self, PaginatorState};
use crate::actors::dispatch::reaper::{self, ReaperState};
use crate::actors::dispatch::recorder::{self, RecorderState};
use crate::actors::dispatch::scheduler::{self, SchedulerState};
use crate::actors::guardian::{self, SupervisedState};
use crate::actors::import::importer::{self, ImporterState};
use crate::actors::replicas::broker_link::LinkState;
use crate::actors::replicas::decision_follower::{self, DecisionFollowerState};
use crate::http::state::{AppState, STATE_WITHIN};
use crate::http::web::extract::Query;
use crate::http::web::problem::ApiError;
use crate::journal::JournalState;
use crate::runtime::pool::{self, PoolState};
use crate::runtime::process;

/// Whether the process answers.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Alive {
    status: &'static str,
}

/// Whether the process answers: nothing else is looked at.
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = 200, body = Alive)), security(()))]
pub(in crate::http) async fn healthz(_: Query<()>) -> HttpResponse {
    HttpResponse::Ok().json(Alive { status: "ok" })
}

/// The answer to everything else, where an instance only sends.
pub(in crate::http) async fn sender_only() -> Result<HttpResponse, ApiError> {
    Err(ApiError::SenderOnly)
}

/// Prometheus metrics; docs/metrics.md lists them.
#[utoipa::path(get, path = "/metrics", tag = "operations", security(()), responses((status = 200, body = String)))]
pub(in crate::http) async fn metrics(state: web::Data<AppState>, _: Query<()>) -> HttpResponse {
    let text = state.metrics.render() + &process::measured();
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(text)
}

/// What every actor holds and waits for. An actor that does not answer in time is missing.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ActorStates {
    /// The actors that are started again when they die.
    actors: Option<Vec<SupervisedState>>,
    campaign_driver: Option<DriverState>,
    paginators: Vec<PaginatorState>,
    recorder: Option<RecorderState>,
    importer: Option<ImporterState>,
    reaper: Option<ReaperState>,
    scheduler: Option<SchedulerState>,
    decision_follower: Option<DecisionFollowerState>,
    callback_reader: Option<CallbackReaderState>,
    broker: Option<LinkState>,
    pools: Vec<PoolState>,
    journal: JournalState,
    /// Campaign statuses in the cache.
    status_cache: usize,
}

/// Shows every actor's state.
#[utoipa::path(get, path = "/v1/admin/state", tag = "operations", responses((status = 200, body = ActorStates)))]
pub(in crate::http) async fn actor_states(
    state: web::Data<AppState>,
    _: Query<()>,
) -> Result<web::Json<ActorStates>, ApiError> {
    let mut pools = Vec::new();
    for pool in state.pools.states() {
        pools.extend(pool.send(pool::GetState).timeout(STATE_WITHIN).await.ok());
    }
    let mut paginators = Vec::new();
    let at_work = state.driver.send(campaign_driver::Paginators).timeout(STATE_WITHIN).await;
    for paginator in at_work.unwrap_or_default() {
        paginators.extend(paginator.send(paginator::GetState).timeout(STATE_WITHIN).await.ok());
    }
    Ok(web::Json(ActorStates {
        actors: state.guardian.send(guardian::GetState).timeout(STATE_WITHIN).await.ok(),
        campaign_driver: state.driver.send(campaign_driver::GetState).timeout(STATE_WITHIN).await.ok(),
        recorder: state.recorder.send(recorder::GetState).timeout(STATE_WITHIN).await.ok(),
        importer: state.importer_state.send(importer::GetState).timeout(STATE_WITHIN).await.ok(),
        reaper: match state.reaper.get() {
            Some(reaper) => reaper.send(reaper::GetState).timeout(STATE_WITHIN).await.ok(),
            None => None,
        },
        scheduler: match state.scheduler.get() {
            Some(scheduler) => scheduler.send(scheduler::GetState).timeout(STATE_WITHIN).await.ok(),
            None => None,
        },
        decision_follower: match state.follower.get() {
            Some(follower) => follower.send(decision_follower::GetState).timeout(STATE_WITHIN).await.ok(),
            None => None,
        },
        callback_reader: match state.callbacks.get() {
            Some(reader) => reader.send(callback_reader::GetState).timeout(STATE_WITHIN).await.ok(),
            None => None,
        },
        broker: state.link_state().await,
        paginators,
        pools,
        journal: state.journal.state(),
        status_cache: state.services.status.len(),
    }))
}
