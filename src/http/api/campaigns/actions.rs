//! What operators do with a campaign: send, pause, resume, stop, schedule, retry.

use std::time::Instant;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Campaign;
use super::audience::{self, AudienceInput};
use crate::domain::access::limit::Limit;
use crate::domain::campaigns::audience::Audience;
use crate::domain::campaigns::{CampaignEvent, CampaignStatus};
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::instant::UtcInstant;
use crate::domain::local_time::{self, LocalTimeError};
use crate::domain::replicas::decision::Subject;
use crate::domain::text_enum::text_enum;
use crate::http::access::Charge;
use crate::http::api::replicas::receipt::{self, Receipt, Wait};
use crate::http::state::AppState;
use crate::http::web::extract::{Hashed, Id, Json, Nothing, Query};
use crate::http::web::idempotency::{IdempotencyKey, answered_once, respond};
use crate::http::web::problem::{ApiError, Problem};
use crate::services::campaigns::launch::LaunchError;
use crate::services::campaigns::terms::Terms;
use crate::services::campaigns::{control, delete, launch, retry, schedule};
use crate::services::{By, Services};
use crate::store::campaigns::launch::Launched;
use crate::store::engine::idempotency::Answer;
use crate::store::{Conn, Lane};

/// Most campaigns in one bulk action.
const MAX_BULK: usize = 100;

/// The recipients, if not the draft's audience.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct SendInput {
    /// Replaces the draft's audience.
    #[serde(alias = "customer_ids")]
    contact_ids: Option<Vec<ContactId>>,
    /// Replaces the draft's audience, in the form that campaigns have it.
    audience: Option<AudienceInput>,
    /// What becomes of ids in `contact_ids`, here or in `audience`, that no contact has: `refuse` unless given.
    #[serde(default)]
    on_missing: OnMissing,
    /// The fingerprint of a preflight: the campaign is launched only if nothing has changed since.
    preflight: Option<String>,
}

/// What becomes of ids that no contact has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum OnMissing {
    /// Nobody is sent to, and the answer names them.
    #[default]
    Refuse,
    /// The others are sent to, and the answer counts them.
    Skip,
}

impl SendInput {
    /// Who is sent to instead of the draft's audience.
    async fn audience(&self, state: &AppState) -> Result<Option<Audience>, ApiError> {
        match (&self.contact_ids, &self.audience) {
            (None, None) => Ok(None),
            (Some(ids), None) if ids.is_empty() => {
                Err(ApiError::field("/contact_ids", "recipients_required", "name at least one contact"))
            }
            (Some(ids), None) => Ok(Some(Audience::of_contacts(ids.clone()))),
            (None, given) => {
                let (_, form) = audience::resolve(state, None, given.as_ref()).await?;
                Ok(form.map(Audience::try_from).transpose().map_err(LaunchError::Audience)?)
            }
            (Some(_), Some(_)) => Err(ApiError::field(
                "/audience",
                "not_allowed",
                "contact_ids names the recipients, too: give one of them",
            )),
        }
    }
}

/// A launch.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Sent {
    campaign_id: CampaignId,
    /// How many recipients the audience names: distinct ids, or one count. With a filter: how many at most.
    messages_queued: i64,
    /// With `on_missing: skip`: how many distinct ids no contact has.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages_skipped: Option<usize>,
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
    by: By,
    Hashed { body, hash }: Hashed<SendInput>,
) -> Result<HttpResponse, ApiError> {
    let mut terms = Terms { audience: body.audience(&state).await?, preflight: body.preflight };
    let key = key.scoped("campaigns.send", &hash);
    let services = state.services.clone();
    let (began, asker) = (Instant::now(), by.clone());
    let launch = move |conn: &mut Conn| {
        let skipped = match body.on_missing {
            OnMissing::Refuse => None,
            OnMissing::Skip => Some(terms.skip_missing(conn)?.map_err(LaunchError::Audience)?),
        };
        let launched = launch::in_transaction(conn, &services, id, terms, &asker)?;
        Ok((answer_to(&launched, skipped)?, launched))
    };
    let (answer, launched) = answered_once(&state, (Lane::Control, "launch a campaign"), key, launch).await?;
    if let Some(launched) = launched {
        launch::announce(&state.services, &launched, began, &by);
    }
    Ok(respond(answer))
}

fn answer_to(launched: &Launched, messages_skipped: Option<usize>) -> Result<Answer, ApiError> {
    let Launched { campaign, expected } = launched;
    let sent = Sent { campaign_id: campaign.id, messages_queued: *expected, messages_skipped, status: campaign.status };
    let body = serde_json::to_string(&sent)
        .map_err(|source| ApiError::Unexpected { action: "write an answer", source: Box::new(source) })?;
    Ok(Answer { status: 202, body, location: Some(format!("/v1/campaigns/{}", campaign.id)) })
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

/// Decides, and waits for the instances to follow.
async fn control(
    state: &AppState,
    id: CampaignId,
    event: CampaignEvent,
    wait: Wait,
    by: &By,
) -> Result<web::Json<Controlled>, ApiError> {
    control::control(&state.services, id, event, by).await?;
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

/// Pauses a campaign: no hand-over begins once this is answered on the instances that the receipt names as acknowledged, and on
/// the others within `start_deadline_ms`. Pausing a paused campaign changes nothing.
#[utoipa::path(post, path = "/v1/campaigns/{id}/pause", tag = "campaigns", params(("id" = i64, Path),
        ("wait_ms" = Option<u64>, Query, description = "how long to wait for every instance, 0 to 30000; 1000")),
    responses((status = 200, body = Controlled), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn pause(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    Query(wait): Query<Wait>,
    by: By,
    _: Hashed<Nothing>,
) -> Result<web::Json<Controlled>, ApiError> {
    control(&state, id, CampaignEvent::Pause, wait, &by).await
}

/// Resumes a paused campaign: the rest goes out.
#[utoipa::path(post, path = "/v1/campaigns/{id}/resume", tag = "campaigns", params(("id" = i64, Path),
        ("wait_ms" = Option<u64>, Query, description = "how long to wait for every instance, 0 to 30000; 1000")),
    responses((status = 200, body = Controlled), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn resume(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    Query(wait): Query<Wait>,
    by: By,
    _: Hashed<Nothing>,
) -> Result<web::Json<Controlled>, ApiError> {
    control(&state, id, CampaignEvent::Resume, wait, &by).await
}

/// Ends a campaign: pending recipients are skipped. It cannot be resumed. One that was not launched never will be.
#[utoipa::path(post, path = "/v1/campaigns/{id}/stop", tag = "campaigns", params(("id" = i64, Path),
        ("wait_ms" = Option<u64>, Query, description = "how long to wait for every instance, 0 to 30000; 1000")),
    responses((status = 200, body = Controlled), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn stop(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    Query(wait): Query<Wait>,
    by: By,
    _: Hashed<Nothing>,
) -> Result<web::Json<Controlled>, ApiError> {
    control(&state, id, CampaignEvent::Stop, wait, &by).await
}

/// When to launch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ScheduleInput {
    /// RFC 3339 with an offset: `2026-12-01T09:00:00+01:00`; or, with `timezone`, a date and time without one: `2026-12-01T09:00`.
    #[serde(alias = "at")]
    scheduled_at: String,
    /// Where clocks show `scheduled_at` then: an IANA name, such as `Europe/Zurich`.
    timezone: Option<String>,
}

impl ScheduleInput {
    fn moment(&self) -> Result<UtcInstant, ApiError> {
        match &self.timezone {
            None => UtcInstant::parse(&self.scheduled_at)
                .map_err(|error| ApiError::field("/scheduled_at", "invalid", error.to_string())),
            Some(zone) => local_time::moment(&self.scheduled_at, zone).map_err(|error| match error {
                LocalTimeError::Zone(wrong) => ApiError::field("/timezone", wrong.code(), wrong.to_string()),
                LocalTimeError::Form | LocalTimeError::Ambiguous { .. } => {
                    ApiError::field("/scheduled_at", "invalid", error.to_string())
                }
            }),
        }
    }
}

/// Sets or changes the time at which a draft launches by itself. The campaign must be ready to be sent.
#[utoipa::path(post, path = "/v1/campaigns/{id}/schedule", tag = "campaigns", params(("id" = i64, Path)),
    request_body = ScheduleInput, responses((status = 200, body = Campaign), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn schedule(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    _: Query<()>,
    by: By,
    Json(body): Json<ScheduleInput>,
) -> Result<web::Json<Campaign>, ApiError> {
    Ok(web::Json(scheduled(&state, id, body.moment()?, &by).await?))
}

/// A campaign after its launch time was set.
pub(in crate::http) async fn scheduled(
    state: &AppState,
    id: CampaignId,
    at: UtcInstant,
    by: &By,
) -> Result<Campaign, ApiError> {
    Ok(Campaign::new(schedule::schedule(&state.services, id, at, by).await?, state)?)
}

/// Removes the launch time: the campaign is a draft again.
#[utoipa::path(post, path = "/v1/campaigns/{id}/unschedule", tag = "campaigns", params(("id" = i64, Path)),
    responses((status = 200, body = Campaign), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn unschedule(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    _: Query<()>,
    by: By,
    _: Hashed<Nothing>,
) -> Result<web::Json<Campaign>, ApiError> {
    Ok(web::Json(unscheduled(&state, id, &by).await?))
}

/// A campaign after its launch time was taken away.
pub(in crate::http) async fn unscheduled(state: &AppState, id: CampaignId, by: &By) -> Result<Campaign, ApiError> {
    Ok(Campaign::new(schedule::unschedule(&state.services, id, by).await?, state)?)
}

/// What is tried again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = RetryFailedInput)]
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
    by: By,
    Hashed { body, .. }: Hashed<RetryInput>,
) -> Result<HttpResponse, ApiError> {
    let campaign = retry::retry_failed(&state.services, id, body.answer_class, &by).await?;
    Ok(HttpResponse::Accepted().json(Campaign::new(campaign, &state)?))
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
    /// The campaign's status now, if the action worked.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<CampaignStatus>,
    /// Why not, if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

/// Applies one action to several campaigns, one after the other; the answer has a result for each.
#[utoipa::path(post, path = "/v1/campaigns/bulk-action", tag = "campaigns", request_body = BulkInput,
    responses((status = 200, body = BulkResults), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn bulk(
    state: web::Data<AppState>,
    _: Query<()>,
    by: By,
    charge: Charge,
    Json(body): Json<BulkInput>,
) -> Result<web::Json<BulkResults>, ApiError> {
    let mut ids = body.campaign_ids;
    if ids.is_empty() || ids.len() > MAX_BULK {
        let reason = format!("name 1 to {MAX_BULK} campaigns");
        return Err(ApiError::field("/campaign_ids", "out_of_range", reason));
    }
    let mut seen = std::collections::HashSet::new();
    ids.retain(|id| seen.insert(*id));
    if matches!(body.action, BulkVerb::Send) {
        charge.take(Limit::Launches, ids.len())?;
    }
    let mut results = Vec::with_capacity(ids.len());
    for id in ids {
        let done = one(&state.services, id, body.action, &by).await;
        results.push(match done {
            Ok(status) => BulkResult { campaign_id: id, ok: true, status, problem: None },
            Err(error) => BulkResult { campaign_id: id, ok: false, status: None, problem: Some(error.problem()) },
        });
    }
    Ok(web::Json(BulkResults { results }))
}

/// Does it with one of them. Returns where that one stands then, if it is still there.
async fn one(services: &Services, id: CampaignId, verb: BulkVerb, by: &By) -> Result<Option<CampaignStatus>, ApiError> {
    let event = match verb {
        BulkVerb::Send => return Ok(Some(launch::launch(services, id, by).await?.status)),
        BulkVerb::Delete => return Ok(delete::delete(services, id, by).await.map(|()| None)?),
        BulkVerb::Pause => CampaignEvent::Pause,
        BulkVerb::Resume => CampaignEvent::Resume,
        BulkVerb::Stop => CampaignEvent::Stop,
    };
    Ok(Some(control::control(services, id, event, by).await?.status))
}
