//! `/v1/contacts/{id}/deliveries`: what was sent to one contact.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::campaigns::CampaignStatus;
use crate::domain::channel::ChannelKind;
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::dispatch::delivery::{DeliveryState, ErrorCategory};
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::instant::UtcInstant;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Id, Params, Query, bad_parameter};
use crate::http::web::problem::{ApiError, Problem};
use crate::store::campaigns::{CampaignRow, glance};
use crate::store::dispatch::deliveries::DeliveryRow;
use crate::store::dispatch::of_contact::{self, Found, Reach};
use crate::store::people::contacts;
use crate::store::{Conn, Lane, StoreError};

/// Most campaigns that one answer looks at.
const CAMPAIGNS: i64 = 500;

/// Deliveries of one answer unless asked otherwise, and most of them.
const PAGE: (i64, i64) = (20, 100);

/// What one campaign sent, or is to send, to the contact.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ContactDelivery {
    pub(in crate::http) campaign_id: CampaignId,
    /// What the campaign is called.
    pub(in crate::http) campaign: String,
    pub(in crate::http) channel: ChannelKind,
    /// How the campaign stands.
    pub(in crate::http) campaign_status: CampaignStatus,
    pub(in crate::http) launched_at: Option<UtcInstant>,
    /// How the delivery stands.
    pub(in crate::http) status: DeliveryState,
    /// Hand-overs that counted.
    pub(in crate::http) attempts: i32,
    /// Why it is in this state.
    pub(in crate::http) error: Option<String>,
    /// What kind of trouble that was.
    pub(in crate::http) error_category: Option<ErrorCategory>,
    /// Whose trouble the last refusal was: docs/provider-answers.md.
    pub(in crate::http) answer_class: Option<AnswerClass>,
    pub(in crate::http) provider_id: Option<String>,
    /// For `pending`: not before then.
    pub(in crate::http) due_at: Option<UtcInstant>,
    pub(in crate::http) claimed_at: Option<UtcInstant>,
    pub(in crate::http) settled_at: Option<UtcInstant>,
}

impl ContactDelivery {
    fn of(campaign: &CampaignRow, row: DeliveryRow) -> Self {
        Self {
            campaign_id: campaign.id,
            campaign: campaign.name.clone(),
            channel: campaign.channel,
            campaign_status: campaign.status,
            launched_at: campaign.launched_at,
            status: row.state,
            attempts: row.attempts,
            error: row.reason,
            error_category: row.category,
            answer_class: row.answer_class,
            provider_id: row.provider_id,
            due_at: (row.state == DeliveryState::Pending && row.due_at.0 > 0).then_some(row.due_at),
            claimed_at: row.claimed_at,
            settled_at: row.settled_at,
        }
    }
}

/// A part of the deliveries to a contact, the newest campaign first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ContactDeliveries {
    /// May be empty although more follow: the campaigns that were looked at may have sent the contact nothing.
    pub(in crate::http) data: Vec<ContactDelivery>,
    /// How many campaigns were looked at: at most 500, of those whose launch already knew the contact.
    pub(in crate::http) campaigns_looked_at: usize,
    /// Those of them whose deliveries were archived: whether they wrote to the contact stands in their files
    /// (`archive` of `GET /v1/campaigns/{id}`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub(in crate::http) archived_campaign_ids: Vec<CampaignId>,
    /// The next part: give it as `cursor`. `null`: all campaigns were looked at.
    pub(in crate::http) next_cursor: Option<String>,
}

/// Which part.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct WhichPart {
    before: Option<CampaignId>,
    page_size: i64,
}

impl FromQuery for WhichPart {
    const NAMES: &'static [&'static str] = &["cursor", "page_size"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let before = match params.text("cursor") {
            None => None,
            Some(text) => Some(
                text.strip_prefix("before-")
                    .and_then(|id| id.parse().ok())
                    .map(CampaignId)
                    .ok_or_else(|| bad_parameter("cursor", "cursor_invalid", "not a cursor of this list".to_owned()))?,
            ),
        };
        Ok(Self { before, page_size: params.integer("page_size", 1..=PAGE.1)?.unwrap_or(PAGE.0) })
    }
}

/// Lists what was sent to a contact, and what is to be, the newest campaign first. One answer looks at 500 campaigns at most.
#[utoipa::path(get, path = "/v1/contacts/{id}/deliveries", tag = "contacts",
    params(("id" = i64, Path), ("cursor" = Option<String>, Query), ("page_size" = Option<i64>, Query)),
    responses((status = 200, body = ContactDeliveries), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    Id(id): Id<ContactId>,
    Query(which): Query<WhichPart>,
) -> Result<web::Json<ContactDeliveries>, ApiError> {
    listed(&state, id, which).await.map(web::Json)
}

/// A part of the deliveries to a contact.
pub(in crate::http) async fn listed(
    state: &AppState,
    id: ContactId,
    which: WhichPart,
) -> Result<ContactDeliveries, ApiError> {
    let reach = Reach { before: which.before, campaigns: CAMPAIGNS, deliveries: which.page_size };
    let read = move |conn: &mut Conn| {
        conn.snapshot(|conn| match contacts::find(conn, id)? {
            Some(_) => look(conn, id, reach).map(Some),
            None => Ok(None),
        })
    };
    let found = state.store.run(Lane::Read, "read the deliveries to a contact", read).await?;
    found.ok_or(ApiError::not_found("contact", id.0))
}

fn look(conn: &mut Conn, id: ContactId, reach: Reach) -> Result<ContactDeliveries, StoreError> {
    let Found { deliveries, looked_at, archived, next } = of_contact::of_contact(conn, id, reach)?;
    let ids: Vec<CampaignId> = deliveries.iter().map(|(campaign, _)| *campaign).collect();
    let campaigns = glance::these(conn, &ids)?;
    let named = |(id, row): (CampaignId, DeliveryRow)| {
        campaigns.iter().find(|campaign| campaign.id == id).map(|campaign| ContactDelivery::of(campaign, row))
    };
    Ok(ContactDeliveries {
        data: deliveries.into_iter().filter_map(named).collect(),
        campaigns_looked_at: looked_at,
        archived_campaign_ids: archived,
        next_cursor: next.map(|campaign| format!("before-{campaign}")),
    })
}
