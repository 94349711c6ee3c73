//! A recipient's own links.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ids::{CampaignId, ContactId};
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Query, path_id};
use crate::http::web::problem::{ApiError, Problem};
use crate::services::By;
use crate::services::campaigns::recipient_links::{Given, LinksError, recipient_links};

/// What a recipient's message carries to say no.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Links {
    campaign_id: CampaignId,
    contact_id: ContactId,
    /// What reports of the provider name the message by, such as `0123456789abcdef01234567:42`.
    delivery_key: Option<String>,
    /// GET shows a page with one button; POST refuses at once (RFC 8058). Null: nobody has said where links lead.
    unsubscribe_url: Option<String>,
    /// Where the person sees and changes what it agreed to: valid for 30 days from the launch.
    preferences_url: Option<String>,
    /// The headers of a marketing email, by name; of other messages there are none.
    headers: BTreeMap<&'static str, String>,
}

impl From<LinksError> for ApiError {
    fn from(error: LinksError) -> Self {
        match error {
            LinksError::NoCampaign(id) => Self::not_found("campaign", id.0),
            LinksError::NoDelivery(contact) => Self::not_found("delivery", contact.0),
            LinksError::Archived(archived) => (*archived).into(),
            LinksError::Store(error) => error.into(),
        }
    }
}

/// Shows the links and headers that a recipient's message has: those that were sent, or will be. The holder of a link can refuse in
/// the person's name, so the audit log says whose links were given, and to which key.
#[utoipa::path(get, path = "/v1/campaigns/{id}/deliveries/{contact_id}/links", tag = "campaigns",
    params(("id" = i64, Path), ("contact_id" = i64, Path)),
    responses((status = 200, body = Links), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    request: HttpRequest,
    _: Query<()>,
    by: By,
) -> Result<web::Json<Links>, ApiError> {
    let contact = path_id(&request, "contact_id")?;
    let Given { delivery_key, links } = recipient_links(&state.services, id, contact, &by).await?;
    let headers = links.headers.iter().flat_map(|headers| headers.lines()).collect();
    Ok(web::Json(Links {
        campaign_id: id,
        contact_id: contact,
        delivery_key,
        unsubscribe_url: links.unsubscribe_url,
        preferences_url: links.preferences_url,
        headers,
    }))
}
