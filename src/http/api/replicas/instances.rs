//! `/v1/instances`: the processes that share the database.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ids::InstanceId;
use crate::domain::instant::UtcInstant;
use crate::http::state::AppState;
use crate::http::web::extract::Query;
use crate::http::web::problem::ApiError;
use crate::store::Lane;
use crate::store::replicas::instances::{self, LiveInstance};

/// A live instance.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct Instance {
    pub(in crate::http) id: InstanceId,
    pub(in crate::http) host: String,
    pub(in crate::http) version: String,
    pub(in crate::http) started_at: UtcInstant,
    pub(in crate::http) last_seen_at: UtcInstant,
    /// The pools it runs.
    pub(in crate::http) pools: Vec<String>,
    /// Its hand-overs under way, at its last heartbeat.
    pub(in crate::http) in_flight: i64,
    /// Whether it is the one that answers.
    pub(in crate::http) answering: bool,
}

impl Instance {
    /// A live instance, as the one with the id `own` says it.
    pub(in crate::http) fn of(live: LiveInstance, own: InstanceId) -> Self {
        Self {
            id: live.id,
            host: live.host,
            version: live.version,
            started_at: live.started_at,
            last_seen_at: live.last_seen_at,
            pools: serde_json::from_str(&live.pools).unwrap_or_default(),
            in_flight: live.in_flight,
            answering: live.id == own,
        }
    }
}

/// Live instances.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Instances {
    data: Vec<Instance>,
}

/// The instances that share this database and were heard of within the last ten seconds.
#[utoipa::path(get, path = "/v1/instances", tag = "operations", responses((status = 200, body = Instances)))]
pub(in crate::http) async fn list_instances(
    state: web::Data<AppState>,
    _: Query<()>,
) -> Result<web::Json<Instances>, ApiError> {
    let live = state.store.run(Lane::Read, "list live instances", instances::live).await?;
    let data = live.into_iter().map(|live| Instance::of(live, state.instance));
    Ok(web::Json(Instances { data: data.collect() }))
}
