//! One person of a campaign: the delivery as stored, and why it is as it is.

use std::collections::BTreeSet;

use actix_web::{HttpRequest, web};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::recipients::{Delivery, Recipient, must_exist};
use crate::domain::access::Scope;
use crate::domain::callbacks::delivery_key::DeliveryKey;
use crate::domain::dispatch::why::answer::{Step, Way, Why, WhyAct, WhyState};
use crate::domain::ids::{CampaignId, ContactId};
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Query, path_id};
use crate::http::web::problem::{ApiError, Problem};
use crate::services::campaigns::why::{self, Explained, WhyError};
use crate::store::dispatch::deliveries;
use crate::store::{Lane, callbacks};

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
            WhyError::Store(error) => error.into(),
        }
    }
}

/// Shows one delivery.
#[utoipa::path(get, path = "/v1/campaigns/{id}/deliveries/{contact_id}", tag = "campaigns",
    params(("id" = i64, Path), ("contact_id" = i64, Path)),
    responses((status = 200, body = Delivery), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn delivery(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    request: HttpRequest,
    _: Query<()>,
) -> Result<web::Json<Delivery>, ApiError> {
    let contact: ContactId = path_id(&request, "contact_id")?;
    must_exist(&state, id).await?;
    let find = move |conn: &mut _| deliveries::find(conn, id, contact);
    let found = state.store.run(Lane::Read, "read a delivery", find).await?;
    found.map(|found| web::Json(found.into())).ok_or(ApiError::not_found("delivery", contact.0))
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
