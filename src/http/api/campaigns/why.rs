//! One person of a campaign: the delivery as stored, and why it is as it is.

use std::collections::BTreeSet;

use actix_web::{HttpRequest, web};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::recipients::{Delivery, Recipient, must_exist, must_have_rows};
use crate::domain::access::Scope;
use crate::domain::callbacks::delivery_key::DeliveryKey;
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::dispatch::delivery::{DeliveryState, ErrorCategory};
use crate::domain::dispatch::why::answer::{Step, Way, Why, WhyAct, WhyState};
use crate::domain::dispatch::why::facts::Attempt;
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::instant::UtcInstant;
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Query, path_id};
use crate::http::web::problem::{ApiError, Problem};
use crate::services::campaigns::why::{self, Explained, WhyError};
use crate::store::dispatch::{attempts, deliveries};
use crate::store::{Conn, Lane, callbacks};

/// Why a person got a campaign's message, or did not.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct WhyDelivery {
    pub(in crate::http) campaign_id: CampaignId,
    pub(in crate::http) campaign_name: String,
    pub(in crate::http) contact_id: ContactId,
    /// As it is now. `null`: there is no row of it any more.
    pub(in crate::http) contact: Option<Recipient>,
    /// The state of the delivery; where there is none, why not.
    pub(in crate::http) state: WhyState,
    /// The answer in a sentence. For people: it may change.
    pub(in crate::http) verdict: String,
    /// The facts that it rests on, in the order in which they matter. Audience and consent are told as they are now.
    pub(in crate::http) steps: Vec<Step>,
    /// What can be done.
    pub(in crate::http) can: Vec<Can>,
}

/// Something that can be done, and the request that does it.
#[derive(Serialize, ToSchema)]
#[schema(as = WhyWay)]
pub(in crate::http) struct Can {
    pub(in crate::http) act: WhyAct,
    /// What it is, and what follows from it. For people: it may change.
    pub(in crate::http) what: String,
    pub(in crate::http) method: String,
    pub(in crate::http) path: String,
    /// `null`: an empty object will do.
    #[schema(value_type = Option<Object>)]
    pub(in crate::http) body: Option<Value>,
    /// The scope that it needs.
    pub(in crate::http) scope: Scope,
}

impl From<Way> for Can {
    fn from(way: Way) -> Self {
        let Way { act, what, method, path, body } = way;
        Self { scope: asked(act, body.as_ref()), act, what, method: method.to_owned(), path, body }
    }
}

/// The scope that an act needs. Complaints and bounces are lifted by administrators.
fn asked(act: WhyAct, body: Option<&Value>) -> Scope {
    let reason = body.and_then(|body| body.get("reason")).and_then(Value::as_str);
    match act {
        WhyAct::Lift if matches!(reason, Some("complained" | "bounced")) => Scope::Admin,
        WhyAct::ResumePool => Scope::Admin,
        WhyAct::ChangeContact | WhyAct::Subscribe => Scope::Ingest,
        WhyAct::Launch
        | WhyAct::Resume
        | WhyAct::Retry
        | WhyAct::ResolveSent
        | WhyAct::ResolveFailed
        | WhyAct::ResolvePending
        | WhyAct::Lift => Scope::Operate,
    }
}

impl From<WhyError> for ApiError {
    fn from(error: WhyError) -> Self {
        match error {
            WhyError::NoCampaign(id) => Self::not_found("campaign", id.0),
            WhyError::NoContact(contact) => Self::not_found("contact", contact.0),
            WhyError::Archived(archived) => (*archived).into(),
            WhyError::Store(error) => error.into(),
        }
    }
}

/// One recipient of a campaign, with the attempts that were not simply accepted.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct OneDelivery {
    #[serde(flatten)]
    delivery: Delivery,
    /// Attempts that counted, or that left in doubt whether they were accepted, in order: the newest 50. Empty where the first answer
    /// was a yes. What was put off without counting is not among them.
    attempt_log: Vec<AttemptShown>,
}

/// What an attempt came to.
#[derive(Serialize, ToSchema)]
#[schema(as = DeliveryAttempt)]
struct AttemptShown {
    /// Which claim of the delivery it was made under, from 1.
    claim_no: i32,
    /// The status of the delivery after it.
    status: DeliveryState,
    /// What the provider said, or why it ended.
    error: Option<String>,
    /// What kind of trouble it was.
    error_category: Option<ErrorCategory>,
    /// Whose trouble it was, where the provider refused: docs/provider-answers.md.
    answer_class: Option<AnswerClass>,
    /// When it was recorded.
    at: UtcInstant,
}

impl From<Attempt> for AttemptShown {
    fn from(attempt: Attempt) -> Self {
        let Attempt { claim_no, state, category, class, reason, at } = attempt;
        Self { claim_no, status: state, error: reason, error_category: category, answer_class: class, at }
    }
}

/// Shows one delivery.
#[utoipa::path(get, path = "/v1/campaigns/{id}/deliveries/{contact_id}", tag = "campaigns",
    params(("id" = i64, Path), ("contact_id" = i64, Path)),
    responses((status = 200, body = OneDelivery), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn delivery(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    request: HttpRequest,
    _: Query<()>,
) -> Result<web::Json<OneDelivery>, ApiError> {
    let contact: ContactId = path_id(&request, "contact_id")?;
    must_exist(&state, id).await?;
    must_have_rows(&state, id).await?;
    let read = move |conn: &mut Conn| {
        conn.snapshot(|conn| Ok((deliveries::find(conn, id, contact)?, attempts::of(conn, id, contact)?)))
    };
    let (found, (tried, _)) = state.store.run(Lane::Read, "read a delivery", read).await?;
    let found = found.ok_or(ApiError::not_found("delivery", contact.0))?;
    let attempt_log = tried.into_iter().map(AttemptShown::from).collect();
    Ok(web::Json(OneDelivery { delivery: found.into(), attempt_log }))
}

/// Says why a person got a campaign's message, or did not: for each state of a delivery, for those who are left out, and for those who
/// were never meant.
#[utoipa::path(get, path = "/v1/campaigns/{id}/why/{contact_id}", tag = "campaigns",
    params(("id" = i64, Path), ("contact_id" = i64, Path)),
    responses((status = 200, body = WhyDelivery), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    request: HttpRequest,
    _: Query<()>,
) -> Result<web::Json<WhyDelivery>, ApiError> {
    let contact = path_id(&request, "contact_id")?;
    explained(&state, id, contact).await.map(web::Json)
}

/// The answer for one person.
pub(in crate::http) async fn explained(
    state: &AppState,
    id: CampaignId,
    contact: ContactId,
) -> Result<WhyDelivery, ApiError> {
    let Explained { campaign, contact: found, why } = why::explain(&state.store, &state.health, id, contact).await?;
    let Why { place, verdict, steps, can } = why;
    Ok(WhyDelivery {
        campaign_id: id,
        campaign_name: campaign,
        contact_id: contact,
        contact: found.map(Recipient::from),
        state: place,
        verdict,
        steps,
        can: can.into_iter().map(Can::from).collect(),
    })
}

/// The hex digits of a campaign's key.
const KEY_DIGITS: usize = 24;

/// The delivery that a message's key or its `Message-ID` names. `None`: it is neither, or of no campaign here.
pub(in crate::http) async fn keyed(state: &AppState, text: &str) -> Result<Option<(CampaignId, ContactId)>, ApiError> {
    // An address may look like one: `spring-2026@example.com`.
    let is_minted = |key: &DeliveryKey| {
        key.campaign.len() == KEY_DIGITS && key.campaign.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let Some(key) = DeliveryKey::parse(text).filter(is_minted) else { return Ok(None) };
    let find = move |conn: &mut _| {
        let found = callbacks::campaigns_of_keys(conn, &BTreeSet::from([key.campaign.as_str()]))?;
        Ok(found.get(&key.campaign).map(|origin| (origin.campaign, key.contact)))
    };
    Ok(state.store.run(Lane::Read, "find a delivery by its key", find).await?)
}
