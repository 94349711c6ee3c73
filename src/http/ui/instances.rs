//! `/ui/instances`: the processes that share the database, and those that have fallen silent.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::frame::{Frame, Section, page};
use super::words::{When, counted, curl, grouped};
use crate::http::api::overview::{self, NeedKind, Overview};
use crate::http::api::replicas::instances::{self, Instance};
use crate::http::state::AppState;
use crate::http::web::extract::Query;
use crate::http::web::problem::ApiError;

/// An instance.
struct Machine {
    id: i64,
    host: String,
    version: String,
    is_answering: bool,
    started: When,
    seen: When,
    role: &'static str,
    pools: Vec<String>,
    in_flight: String,
}

impl From<&Instance> for Machine {
    fn from(live: &Instance) -> Self {
        Self {
            id: live.id.0,
            host: live.host.clone(),
            version: live.version.clone(),
            is_answering: live.answering,
            started: When::of(live.started_at),
            seen: When::of(live.last_seen_at),
            role: live.role.as_str(),
            pools: live.pools.clone(),
            in_flight: grouped(live.in_flight),
        }
    }
}

/// An instance that is silent and has not ended in order.
struct Silent {
    id: i64,
    host: String,
    since: Option<When>,
}

/// An instance of the last day that is not running.
struct Departed {
    id: i64,
    host: String,
    version: String,
    how: &'static str,
    detail: String,
    seen: When,
}

fn departed(instance: &Instance) -> Option<Departed> {
    let gone = instance.gone.as_ref()?;
    Some(Departed {
        id: instance.id.0,
        host: instance.host.clone(),
        version: instance.version.clone(),
        how: gone.how.as_str(),
        detail: gone.detail.clone(),
        seen: When::of(gone.ended_at.unwrap_or(instance.last_seen_at)),
    })
}

#[derive(Template)]
#[template(path = "ui/instances.html")]
struct InstancesPage {
    frame: Frame,
    live: InstancesLive,
}

/// What of the page changes while it is open.
#[derive(Template)]
#[template(path = "ui/instances_live.html")]
pub(super) struct InstancesLive {
    running: Vec<Machine>,
    silent: Vec<Silent>,
    gone: Vec<Departed>,
    /// What a screen reader says when it changes.
    summary: String,
}

impl InstancesLive {
    /// `known`: the instances of the last day.
    pub(super) fn of(seen: &Overview, known: &[Instance]) -> Self {
        let running: Vec<Machine> = seen.instances.iter().map(Machine::from).collect();
        let silent = silent(seen);
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let summary = format!(
            "{}, {}",
            counted(number(running.len()), "instance is running", "instances are running"),
            counted(number(silent.len()), "is silent", "are silent")
        );
        Self { running, silent, gone: known.iter().filter_map(departed).collect(), summary }
    }
}

fn silent(seen: &Overview) -> Vec<Silent> {
    let needs = seen.needs.iter().filter(|need| need.kind == NeedKind::Instance);
    let one = |need: &overview::Need| {
        Some(Silent { id: need.instance_id?.0, host: need.name.clone(), since: need.since.map(When::of) })
    };
    needs.filter_map(one).collect()
}

/// Shows the instances.
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    frame: Frame,
    _: Query<()>,
) -> Result<HttpResponse, ApiError> {
    let seen = overview::read(&state).await?;
    let known = instances::of_the_last_day(&state).await?;
    let command = curl("GET", "/v1/instances?all=true", None);
    let frame = frame.titled("Instances").same_as("GET /v1/instances?all=true", &command);
    let live = InstancesLive::of(&seen, &known);
    let topic = Some("instances".to_owned());
    let frame = Frame { section: Some(Section::System), live: topic, at: Some(seen.at), ..frame };
    page(StatusCode::OK, &InstancesPage { frame, live })
}
