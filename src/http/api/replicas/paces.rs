//! The pace that a pool has found, as operators see and correct it.

use actix_web::web;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::actors::dispatch::sender_pool;
use crate::domain::dispatch::pace::{Limits, Seconds, Shared, State, instant};
use crate::domain::instant::UtcInstant;
use crate::http::state::AppState;
use crate::http::web::extract::{Hashed, Json, Nothing};
use crate::http::web::problem::{ApiError, Problem};
use crate::http::web::text;
use crate::services::By;
use crate::services::replicas::change_pace::{PaceDecision, PaceError, change_pace};

/// Longest signature of an answer, in characters.
const MAX_SIGNATURE: usize = 300;

/// The pace that a pool has found, all instances together.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Pace {
    /// `full`, `slowed_rate`, `slowed_places`, `tiptoe` (one call at a time), `paused` (the provider asked for a pause) or
    /// `circuit_open` (nothing but probes is handed over).
    pub(in crate::http) state: &'static str,
    /// The ceiling on hand-overs a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) rate_per_second: Option<f64>,
    /// What was accepted a second when that ceiling was last lowered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) rate_measured: Option<f64>,
    /// The ceiling on hand-overs at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) places: Option<f64>,
    /// What each instance with work may use of them now.
    pub(in crate::http) places_by_instance: Vec<InstancePlaces>,
    /// Accepted hand-overs a second, over the last seconds. Absent where nothing is held back: then instances do not
    /// tell each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) accepted_per_second: Option<f64>,
    /// What an accepted call takes, smoothed, in seconds. Absent as `accepted_per_second`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) call_seconds: Option<f64>,
    /// Of a thousand hand-overs of the last ten minutes, how many were refused, other than surely because of their recipient
    /// or message. It counts the hand-overs that instances told each other of, which they do while there is trouble.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) refused_per_thousand: Option<f64>,
    /// Whether an operator has pinned a ceiling.
    pub(in crate::http) pinned: bool,
    /// When the rate may be raised next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) next_raise_at: Option<UtcInstant>,
    /// The provider asked for a pause until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) paused_until: Option<UtcInstant>,
    /// When an open circuit is probed next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) next_probe_at: Option<UtcInstant>,
    /// The last time that a ceiling was lowered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) last_cut: Option<LastCut>,
    /// What answers were found, or marked, to be about.
    pub(in crate::http) verdicts: Vec<Verdict>,
    /// Recipient domains that are throttled alone.
    pub(in crate::http) domains_waiting: Vec<DomainWaiting>,
    /// How often ceilings were restored because lowering them did not help.
    pub(in crate::http) undone_cuts: u32,
}

/// An instance's part of a pool's places.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct InstancePlaces {
    pub(in crate::http) instance_id: i64,
    pub(in crate::http) places: usize,
}

/// A ceiling that was lowered.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct LastCut {
    pub(in crate::http) at: UtcInstant,
    /// What the provider said.
    pub(in crate::http) detail: String,
    /// Hand-overs a second, before; absent: no ceiling, or not lowered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) rate_from: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) rate_to: Option<f64>,
    /// Hand-overs at once, before; absent: not lowered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) places_from: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) places_to: Option<f64>,
}

/// What an answer is about.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaceVerdict)]
pub(in crate::http) struct Verdict {
    /// The answer: code, enhanced code and words, without numbers and addresses.
    pub(in crate::http) signature: String,
    /// `relay` or `recipient`.
    pub(in crate::http) scope: &'static str,
    /// Whether an operator said so.
    pub(in crate::http) marked: bool,
    /// When it is forgotten, if it was found and not marked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) until: Option<UtcInstant>,
    /// The share of other recipients that was refused when it was found, 0.0 to 1.0.
    pub(in crate::http) share: f64,
    /// How many others there were.
    pub(in crate::http) sample: u32,
}

/// A recipient domain that is throttled alone.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct DomainWaiting {
    pub(in crate::http) until: UtcInstant,
    /// What the provider said.
    pub(in crate::http) detail: String,
}

impl Pace {
    fn of(shared: &Shared, limits: &Limits, now: Seconds) -> Self {
        let state = shared.state(limits, now);
        let ceiling = shared.rate.ceiling;
        Self {
            state: state.as_str(),
            rate_per_second: ceiling,
            rate_measured: ceiling.map(|_| shared.rate.measured),
            places: shared.places.total,
            places_by_instance: shared
                .places_by_instance(limits, now)
                .into_iter()
                .map(|(instance_id, places)| InstancePlaces { instance_id, places })
                .collect(),
            accepted_per_second: (!shared.is_calm()).then(|| tenths(shared.accepted_per_second(now))),
            call_seconds: Some(shared.latency)
                .filter(|seconds| *seconds > 0.0 && !shared.is_calm())
                .map(|seconds| (seconds * 1_000.0).round() / 1_000.0),
            refused_per_thousand: shared.refused_per_thousand(now).map(tenths),
            pinned: shared.rate.pinned || shared.places.pinned,
            next_raise_at: ceiling.filter(|_| !shared.rate.pinned).map(|_| instant(shared.rate.next_raise_at)),
            paused_until: (state == State::Paused).then(|| instant(shared.pause_until)),
            next_probe_at: shared.circuit.is_open().then(|| instant(shared.circuit.next_probe_at)),
            last_cut: shared.last_cut.as_ref().map(|cut| LastCut {
                at: instant(cut.at),
                detail: cut.detail.clone(),
                rate_from: cut.rate.and_then(|(from, _)| from),
                rate_to: cut.rate.map(|(_, to)| to),
                places_from: cut.places.map(|(from, _)| from),
                places_to: cut.places.map(|(_, to)| to),
            }),
            verdicts: shared
                .verdicts
                .iter()
                .filter(|known| known.until.is_none_or(|until| now < until))
                .map(|known| Verdict {
                    signature: known.signature.clone(),
                    scope: if known.relay { "relay" } else { "recipient" },
                    marked: known.until.is_none(),
                    until: known.until.map(instant),
                    share: known.share,
                    sample: known.sample,
                })
                .collect(),
            domains_waiting: shared
                .domains
                .iter()
                .filter(|domain| now < domain.until)
                .map(|domain| DomainWaiting { until: instant(domain.until), detail: domain.detail.clone() })
                .collect(),
            undone_cuts: shared.undo.undone,
        }
    }
}

/// A measured number, as exact as people need it.
fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

fn limits(state: &AppState, pool: &str) -> Limits {
    let settings = state.settings.pools.iter().find(|known| known.name == pool);
    settings.map_or_else(Limits::default, |pool| sender_pool::limits(pool, &state.settings.timing))
}

/// A pool's pace; `None` where nothing was found out about it.
pub(in crate::http) async fn pace_of(state: &AppState, pool: &str) -> Result<Option<Pace>, ApiError> {
    let (shared, now) = state.services.paces.read(pool.to_owned()).await?;
    Ok(shared.map(|shared| Pace::of(&shared, &limits(state, pool), now)))
}

async fn change(state: &AppState, pool: &str, decision: PaceDecision, by: &By) -> Result<web::Json<Pace>, ApiError> {
    let (shared, now) = change_pace(&state.services, pool, decision, by).await?;
    Ok(web::Json(Pace::of(&shared, &limits(state, pool), now)))
}

impl From<PaceError> for ApiError {
    fn from(error: PaceError) -> Self {
        match error {
            PaceError::NoSuchPool(name) => Self::no_such("pool", &name),
            PaceError::Store(error) => error.into(),
        }
    }
}

/// Forgets the ceilings that a pool has found, and everything that led to them. What operators marked stays.
#[utoipa::path(post, path = "/v1/pools/{name}/pace/reset", tag = "operations", params(("name" = String, Path)),
    responses((status = 200, body = Pace), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn reset(
    state: web::Data<AppState>,
    name: web::Path<String>,
    by: By,
    _: Hashed<Nothing>,
) -> Result<web::Json<Pace>, ApiError> {
    change(&state, &name, PaceDecision::Reset, &by).await
}

/// Tries the next delivery as a probe, although the circuit is open or the provider asked for a pause.
#[utoipa::path(post, path = "/v1/pools/{name}/pace/probe", tag = "operations", params(("name" = String, Path)),
    responses((status = 200, body = Pace), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn probe(
    state: web::Data<AppState>,
    name: web::Path<String>,
    by: By,
    _: Hashed<Nothing>,
) -> Result<web::Json<Pace>, ApiError> {
    change(&state, &name, PaceDecision::Probe, &by).await
}

/// Ceilings that are neither raised nor lowered until a reset.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct PinInput {
    /// Hand-overs a second, all instances together: 0.01 to 1000000.
    #[serde(default)]
    rate_per_second: Option<f64>,
    /// Hand-overs at once, all instances together: 1 to 1000000.
    #[serde(default)]
    places: Option<u32>,
}

/// Pins ceilings of a pool.
#[utoipa::path(post, path = "/v1/pools/{name}/pace/pin", tag = "operations", request_body = PinInput,
    params(("name" = String, Path)),
    responses((status = 200, body = Pace), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn pin(
    state: web::Data<AppState>,
    name: web::Path<String>,
    by: By,
    Json(body): Json<PinInput>,
) -> Result<web::Json<Pace>, ApiError> {
    let (rate, places) = (body.rate_per_second, body.places);
    if rate.is_some_and(|rate| !(0.01..=1e6).contains(&rate)) {
        return Err(ApiError::field("/rate_per_second", "out_of_range", "must be 0.01 to 1000000"));
    }
    if places.is_some_and(|places| !(1..=1_000_000).contains(&places)) {
        return Err(ApiError::field("/places", "out_of_range", "must be 1 to 1000000"));
    }
    change(&state, &name, PaceDecision::Pin { rate, places: places.map(f64::from) }, &by).await
}

/// What an unclear answer is about.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct MarkInput {
    /// The answer, as `verdicts` shows it: 1 to 300 characters.
    signature: String,
    /// `relay`, `recipient`, or null: judged by the answers to other recipients.
    scope: Option<MarkScope>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum MarkScope {
    Relay,
    Recipient,
}

/// Says what an unclear answer is about: the provider as a whole, or its recipient.
#[utoipa::path(post, path = "/v1/pools/{name}/pace/mark", tag = "operations", request_body = MarkInput,
    params(("name" = String, Path)),
    responses((status = 200, body = Pace), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn mark(
    state: web::Data<AppState>,
    name: web::Path<String>,
    by: By,
    Json(body): Json<MarkInput>,
) -> Result<web::Json<Pace>, ApiError> {
    let signature = text::name("/signature", &body.signature, MAX_SIGNATURE)?;
    let relay = body.scope.map(|scope| scope == MarkScope::Relay);
    change(&state, &name, PaceDecision::Mark { signature, relay }, &by).await
}
