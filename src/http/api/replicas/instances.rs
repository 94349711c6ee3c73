//! `/v1/instances`: the processes that share the database.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ids::InstanceId;
use crate::domain::instant::UtcInstant;
use crate::domain::replicas::role::Role;
use crate::domain::shown::grouped;
use crate::domain::text_enum::text_enum;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Params, Query};
use crate::http::web::problem::ApiError;
use crate::store::Lane;
use crate::store::replicas::instances::{self, Fate, LiveInstance};

/// A live instance.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct Instance {
    pub(in crate::http) id: InstanceId,
    pub(in crate::http) host: String,
    pub(in crate::http) version: String,
    pub(in crate::http) started_at: UtcInstant,
    pub(in crate::http) last_seen_at: UtcInstant,
    /// What it does: `all`, `api` (it sends nothing) or `sender` (it takes no requests).
    pub(in crate::http) role: Role,
    /// The pools it runs.
    pub(in crate::http) pools: Vec<String>,
    /// Its hand-overs under way, at its last heartbeat.
    pub(in crate::http) in_flight: i64,
    /// Whether it is the one that answers.
    pub(in crate::http) answering: bool,
    /// What became of it, if it is not running. With `all=true` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) gone: Option<Gone>,
}

text_enum! {
    /// How an instance has ended.
    HowGone {
        /// In order.
        Ended = "ended",
        /// Without notice, and another one has started with its data folder since.
        Replaced = "replaced",
        /// Without notice, and its journal was not read since.
        Silent = "silent",
    }
}

/// What became of an instance that is not running.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct Gone {
    pub(in crate::http) how: HowGone,
    /// When it ended in order.
    pub(in crate::http) ended_at: Option<UtcInstant>,
    /// The instance that started with its data folder next.
    pub(in crate::http) succeeded_by: Option<InstanceId>,
    /// Pages that are still leased in its name. Others take them over when their leases run out.
    pub(in crate::http) pages_held: i64,
    /// For people.
    pub(in crate::http) detail: String,
}

impl Gone {
    fn of(fate: &Fate) -> Self {
        let how = match (fate.known.stopped_at, fate.succeeded_by) {
            (Some(_), _) => HowGone::Ended,
            (None, Some(_)) => HowGone::Replaced,
            (None, None) => HowGone::Silent,
        };
        let left = match (how, fate.succeeded_by) {
            (HowGone::Ended, _) => "It ended in order.".to_owned(),
            (HowGone::Replaced | HowGone::Silent, Some(id)) => format!(
                "It ended without notice. Instance {id} started with its data folder, and settled what its journal knew."
            ),
            (HowGone::Replaced | HowGone::Silent, None) => {
                "It ended without notice, and its journal was not read since. Start an instance with its data folder."
                    .to_owned()
            }
        };
        let held = match fate.pages_held {
            0 => "It holds nothing any more.".to_owned(),
            1 => "It still holds 1 page, which another one takes over when the lease runs out.".to_owned(),
            count => {
                format!("It still holds {} pages, which others take over when their leases run out.", grouped(count))
            }
        };
        Self {
            how,
            ended_at: fate.known.stopped_at,
            succeeded_by: fate.succeeded_by,
            pages_held: fate.pages_held,
            detail: format!("{left} {held}"),
        }
    }
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
            role: live.role,
            pools: serde_json::from_str(&live.pools).unwrap_or_default(),
            in_flight: live.in_flight,
            answering: live.id == own,
            gone: None,
        }
    }
}

/// Live instances.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Instances {
    data: Vec<Instance>,
}

/// Which instances.
#[derive(Debug)]
pub(in crate::http) struct Which {
    all: bool,
}

impl FromQuery for Which {
    const NAMES: &'static [&'static str] = &["all"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        Ok(Self { all: params.choice("all", &[true, false])?.unwrap_or(false) })
    }
}

/// The instances that share this database and were heard of within the last ten seconds; with `all`, within the last day, the
/// newest first, and those that are not running with what became of them.
#[utoipa::path(get, path = "/v1/instances", tag = "operations", params(("all" = Option<bool>, Query)),
    responses((status = 200, body = Instances)))]
pub(in crate::http) async fn list_instances(
    state: web::Data<AppState>,
    Query(which): Query<Which>,
) -> Result<web::Json<Instances>, ApiError> {
    if which.all {
        return Ok(web::Json(Instances { data: of_the_last_day(&state).await? }));
    }
    let live = state.store.run(Lane::Read, "list live instances", instances::live).await?;
    let data = live.into_iter().map(|live| Instance::of(live, state.instance));
    Ok(web::Json(Instances { data: data.collect() }))
}

/// The instances of the last day, the newest first.
pub(in crate::http) async fn of_the_last_day(state: &AppState) -> Result<Vec<Instance>, ApiError> {
    let fates = state.store.run(Lane::Read, "list instances of the last day", instances::of_the_last_day).await?;
    let one = |fate: Fate| {
        let gone = (!fate.is_live).then(|| Gone::of(&fate));
        Instance { gone, ..Instance::of(fate.known.said, state.instance) }
    };
    Ok(fates.into_iter().map(one).collect())
}
