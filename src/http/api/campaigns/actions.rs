//! What operators do with a campaign: send, pause, resume, stop, schedule, retry.

use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Campaign, Whole, check_schedule, decide, decide_whole, inner, refused};
use crate::domain::campaigns::audience::Audience;
use crate::domain::campaigns::{CampaignEvent, CampaignStatus};
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::instant::UtcInstant;
use crate::domain::replicas::decision::{Action, Subject};
use crate::domain::replicas::messages::Control;
use crate::domain::text_enum::text_enum;
use crate::http::api::replicas::receipt::{self, Receipt, Wait};
use crate::http::state::AppState;
use crate::http::web::edge;
use crate::http::web::extract::{Hashed, Id, Json, Nothing, Query};
use crate::http::web::idempotency::{IdempotencyKey, respond, reused};
use crate::http::web::problem::{ApiError, Problem};
use crate::runtime::hints::{Changed, Listen};
use crate::services::campaigns::launch::{LaunchError, check_launchable, launch_campaign};
use crate::store::campaigns::launch::Launched;
use crate::store::campaigns::{self, CampaignRow};
use crate::store::engine;
use crate::store::engine::idempotency::{self, Answer, Recall};
use crate::store::{Conn, Lane};

/// Most campaigns in one bulk action.
const MAX_BULK: usize = 100;

/// Whom to send to, if not the draft's audience.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct SendInput {
    /// Replaces the draft's audience.
    #[serde(alias = "customer_ids")]
    contact_ids: Option<Vec<ContactId>>,
}

/// A launch.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Sent {
    campaign_id: CampaignId,
    /// How many recipients the audience names: distinct ids, or one count.
    messages_queued: i64,
    status: CampaignStatus,
}

/// Launches a campaign. With an `Idempotency-Key` the same request gets the same answer again.
#[utoipa::path(post, path = "/v1/campaigns/{id}/send", tag = "campaigns", request_body = SendInput,
    params(("id" = i64, Path)),
    responses((status = 202, body = Sent), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn send(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    _: Query<()>,
    key: IdempotencyKey,
    Hashed { body, hash }: Hashed<SendInput>,
) -> Result<HttpResponse, ApiError> {
    let audience = match body.contact_ids {
        Some(ids) if ids.is_empty() => {
            return Err(ApiError::field("/contact_ids", "recipients_required", "name at least one contact"));
        }
        ids => ids.map(Audience::of_contacts),
    };
    let key = key.scoped("campaigns.send", &hash);
    let settings = std::sync::Arc::clone(&state.settings);
    let began = Instant::now();
    let (answer, launched) = state
        .store
        .run(Lane::Control, "launch a campaign", move |conn| {
            inner(conn.write(|conn| {
                if let Some(key) = &key {
                    match idempotency::recall(conn, key)? {
                        Recall::New => {}
                        Recall::Answered(answer) => return Ok((answer, None)),
                        Recall::Reused | Recall::UnderWay => return Err(reused()),
                    }
                }
                let launched = launch_campaign(conn, &settings.pools, id, audience).map_err(refused)?;
                let sent =
                    Sent { campaign_id: id, messages_queued: launched.expected, status: launched.campaign.status };
                let body = serde_json::to_string(&sent)
                    .map_err(|source| ApiError::Unexpected { action: "write an answer", source: Box::new(source) })?;
                let answer = Answer { status: 202, body, location: Some(format!("/v1/campaigns/{id}")) };
                if let Some(key) = &key {
                    idempotency::remember(conn, key, &answer)?;
                }
                Ok((answer, Some(launched)))
            }))
        })
        .await??;
    if let Some(launched) = launched {
        announce(&state, &launched, began);
    }
    Ok(respond(answer))
}

/// Makes a launch known that is stored.
fn announce(state: &AppState, launched: &Launched, began: Instant) {
    let Launched { campaign, expected } = launched;
    state.status.set(campaign.id, campaign.status, campaign.status_version);
    tracing::info!(
        campaign.id = campaign.id.0,
        correlation.id = campaign.correlation_id,
        campaign.expected = expected,
        duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        "campaign.launched"
    );
    hint(state, campaign.id);
}

/// Tells the supervisor. A full mailbox loses the hint, which costs one tick.
fn hint(state: &AppState, campaign: CampaignId) {
    let _ = state.supervisor.try_send(Changed { campaign });
}

/// A campaign after a decision, and how the instances have taken it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Controlled {
    #[serde(flatten)]
    campaign: Campaign,
    /// Which instances have followed it so far. Also at `/v1/campaigns/{id}/receipt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<Receipt>,
}

/// Applies an event, and waits for the instances to follow it.
async fn control(
    state: &AppState,
    id: CampaignId,
    event: CampaignEvent,
    wait: Wait,
    request: &HttpRequest,
) -> Result<web::Json<Controlled>, ApiError> {
    apply(state, id, event, edge::request_id(request).as_deref()).await?;
    // The decision stands, whatever becomes of the question who has heard of it.
    let receipt = receipt::wait(state, Subject::Campaign(id), wait).await.ok().flatten();
    Ok(web::Json(Controlled { campaign: super::read(state, Lane::LookUp, id).await?, receipt }))
}

/// The receipt of the newest pause, resume or stop, as it stands now.
#[utoipa::path(get, path = "/v1/campaigns/{id}/receipt", tag = "campaigns", params(("id" = i64, Path)),
    responses((status = 200, body = Receipt), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn receipt(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    _: Query<()>,
) -> Result<web::Json<Receipt>, ApiError> {
    let receipt = receipt::read(&state, Subject::Campaign(id)).await?;
    receipt.map(web::Json).ok_or_else(|| ApiError::not_found("receipt", id.0))
}

/// Applies an event, lets the cache know *before* the answer leaves (from here on no hand-over begins after a pause),
/// and hints.
async fn apply(
    state: &AppState,
    id: CampaignId,
    event: CampaignEvent,
    request: Option<&str>,
) -> Result<CampaignRow, ApiError> {
    let row =
        decide(state, "change a campaign's status", move |conn| Ok(campaigns::transition(conn, id, event)?)).await?;
    state.status.set(id, row.status, row.status_version);
    tracing::info!(
        campaign.id = id.0,
        campaign.status = row.status.as_str(),
        event = event.as_str(),
        "campaign.control"
    );
    hint(state, id);
    if let Some(switchboard) = state.switchboard.get() {
        let _ = switchboard.try_send(Listen);
    }
    if let Some(action) = Action::of(event) {
        state.announcer.control(&Control::of(&Subject::Campaign(id), action, row.status_version), request);
    }
    Ok(row)
}

/// Pauses a campaign: once this is answered, no hand-over begins. Pausing a paused campaign changes nothing.
#[utoipa::path(post, path = "/v1/campaigns/{id}/pause", tag = "campaigns", params(("id" = i64, Path),
        ("wait_ms" = Option<u64>, Query, description = "how long to wait for every instance, 0 to 30000; 1000")),
    responses((status = 200, body = Controlled), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn pause(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    Query(wait): Query<Wait>,
    request: HttpRequest,
    _: Hashed<Nothing>,
) -> Result<web::Json<Controlled>, ApiError> {
    control(&state, id, CampaignEvent::Pause, wait, &request).await
}

/// Resumes a paused campaign: the rest goes out.
#[utoipa::path(post, path = "/v1/campaigns/{id}/resume", tag = "campaigns", params(("id" = i64, Path),
        ("wait_ms" = Option<u64>, Query, description = "how long to wait for every instance, 0 to 30000; 1000")),
    responses((status = 200, body = Controlled), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn resume(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    Query(wait): Query<Wait>,
    request: HttpRequest,
    _: Hashed<Nothing>,
) -> Result<web::Json<Controlled>, ApiError> {
    control(&state, id, CampaignEvent::Resume, wait, &request).await
}

/// Stops a campaign for good: what is pending is skipped.
#[utoipa::path(post, path = "/v1/campaigns/{id}/stop", tag = "campaigns", params(("id" = i64, Path),
        ("wait_ms" = Option<u64>, Query, description = "how long to wait for every instance, 0 to 30000; 1000")),
    responses((status = 200, body = Controlled), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn stop(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    Query(wait): Query<Wait>,
    request: HttpRequest,
    _: Hashed<Nothing>,
) -> Result<web::Json<Controlled>, ApiError> {
    control(&state, id, CampaignEvent::Stop, wait, &request).await
}

/// When to launch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ScheduleInput {
    /// RFC 3339 with an offset.
    #[serde(alias = "at")]
    scheduled_at: UtcInstant,
}

/// Has a draft launch by itself, or moves its time. The campaign must be ready to be sent.
#[utoipa::path(post, path = "/v1/campaigns/{id}/schedule", tag = "campaigns", params(("id" = i64, Path)),
    request_body = ScheduleInput, responses((status = 200, body = Campaign), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn schedule(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    _: Query<()>,
    Json(body): Json<ScheduleInput>,
) -> Result<web::Json<Campaign>, ApiError> {
    let settings = std::sync::Arc::clone(&state.settings);
    let whole = state
        .store
        .run(Lane::Control, "schedule a campaign", move |conn| {
            inner(conn.write(|conn| {
                check_schedule(body.scheduled_at, engine::now(conn)?)?;
                // The status first: what is sending is not asked whether it could be.
                let row = campaigns::schedule(conn, id, Some(body.scheduled_at))
                    .map_err(|error| refused(LaunchError::Transition(error)))?;
                check_launchable(conn, &settings.pools, id).map_err(refused)?;
                Ok(Whole::of(conn, row)?)
            }))
        })
        .await??;
    Ok(web::Json(Campaign::new(whole, &state)?))
}

/// Takes the launch time away: the campaign is a draft again.
#[utoipa::path(post, path = "/v1/campaigns/{id}/unschedule", tag = "campaigns", params(("id" = i64, Path)),
    responses((status = 200, body = Campaign), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn unschedule(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    _: Query<()>,
    _: Hashed<Nothing>,
) -> Result<web::Json<Campaign>, ApiError> {
    let unscheduled = move |conn: &mut Conn| Ok(campaigns::schedule(conn, id, None)?);
    let whole = decide_whole(&state, "unschedule a campaign", unscheduled).await?;
    Ok(web::Json(Campaign::new(whole, &state)?))
}

/// What is tried again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct RetryInput {
    /// Only what was last refused for a reason of this class; left out, everything that failed.
    answer_class: Option<AnswerClass>,
}

/// Puts what failed back to pending and re-opens the campaign. A paused campaign stays paused.
#[utoipa::path(post, path = "/v1/campaigns/{id}/retry-failed", tag = "campaigns", params(("id" = i64, Path)),
    request_body = RetryInput, responses((status = 202, body = Campaign), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn retry_failed(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    _: Query<()>,
    Hashed { body, .. }: Hashed<RetryInput>,
) -> Result<HttpResponse, ApiError> {
    let class = body.answer_class;
    let retry = move |conn: &mut Conn| Ok(campaigns::retry_failed(conn, id, class)?);
    let whole = decide_whole(&state, "re-open a campaign", retry).await?;
    state.status.set(id, whole.row.status, whole.row.status_version);
    hint(&state, id);
    Ok(HttpResponse::Accepted().json(Campaign::new(whole, &state)?))
}

text_enum! {
    /// What to do with several campaigns.
    BulkVerb {
        /// Launch each with its own audience.
        Send = "send",
        /// Pause each.
        Pause = "pause",
        /// Resume each.
        Resume = "resume",
        /// Stop each.
        Stop = "stop",
        /// Delete each.
        Delete = "delete",
    }
}

/// One thing to do with several campaigns.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct BulkInput {
    action: BulkVerb,
    /// 1 to 100.
    campaign_ids: Vec<CampaignId>,
}

/// What came of each.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct BulkResults {
    results: Vec<BulkResult>,
}

/// What came of one.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct BulkResult {
    campaign_id: CampaignId,
    ok: bool,
    /// Where it stands now, if that worked.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<CampaignStatus>,
    /// Why not, if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

/// Does one thing with several campaigns, each by itself; the answer says what came of each.
#[utoipa::path(post, path = "/v1/campaigns/bulk-action", tag = "campaigns", request_body = BulkInput,
    responses((status = 200, body = BulkResults), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn bulk(
    state: web::Data<AppState>,
    _: Query<()>,
    request: HttpRequest,
    Json(body): Json<BulkInput>,
) -> Result<web::Json<BulkResults>, ApiError> {
    let mut ids = body.campaign_ids;
    if ids.is_empty() || ids.len() > MAX_BULK {
        let reason = format!("name 1 to {MAX_BULK} campaigns");
        return Err(ApiError::field("/campaign_ids", "out_of_range", reason));
    }
    let mut seen = std::collections::HashSet::new();
    ids.retain(|id| seen.insert(*id));
    let mut results = Vec::with_capacity(ids.len());
    let asked = edge::request_id(&request);
    let asked = asked.as_deref();
    for id in ids {
        let done = match body.action {
            BulkVerb::Pause => apply(&state, id, CampaignEvent::Pause, asked).await.map(|row| Some(row.status)),
            BulkVerb::Resume => apply(&state, id, CampaignEvent::Resume, asked).await.map(|row| Some(row.status)),
            BulkVerb::Stop => apply(&state, id, CampaignEvent::Stop, asked).await.map(|row| Some(row.status)),
            BulkVerb::Send => launch_one(&state, id).await.map(|row| Some(row.status)),
            BulkVerb::Delete => super::remove(&state, id).await.map(|()| None),
        };
        results.push(match done {
            Ok(status) => BulkResult { campaign_id: id, ok: true, status, problem: None },
            Err(error) => BulkResult { campaign_id: id, ok: false, status: None, problem: Some(error.problem()) },
        });
    }
    Ok(web::Json(BulkResults { results }))
}

async fn launch_one(state: &AppState, id: CampaignId) -> Result<CampaignRow, ApiError> {
    let settings = std::sync::Arc::clone(&state.settings);
    let began = Instant::now();
    let launch = move |conn: &mut Conn| launch_campaign(conn, &settings.pools, id, None);
    let launched = decide(state, "launch a campaign", launch).await?;
    announce(state, &launched, began);
    Ok(launched.campaign)
}
