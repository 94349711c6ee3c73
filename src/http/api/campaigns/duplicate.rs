//! `POST /v1/campaigns/{id}/duplicate`: a draft like another campaign.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Campaign, MAX_NAME};
use crate::domain::ids::CampaignId;
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Json, Query};
use crate::http::web::problem::{ApiError, Problem};
use crate::http::web::text;
use crate::services::By;
use crate::services::campaigns::duplicate;

/// What the copy is called.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct DuplicateInput {
    /// 1 to 255 characters. Left out: the same name with `(copy)`, or with the next free number.
    name: Option<String>,
}

/// Makes a draft that says what another campaign says, to the same people, in the same way. It has no launch time and no recipients yet.
#[utoipa::path(post, path = "/v1/campaigns/{id}/duplicate", tag = "campaigns", params(("id" = i64, Path)),
    request_body = DuplicateInput, responses((status = 201, body = Campaign), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn duplicate(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    _: Query<()>,
    by: By,
    Json(body): Json<DuplicateInput>,
) -> Result<HttpResponse, ApiError> {
    let campaign = duplicated(&state, id, body.name.as_deref(), &by).await?;
    let location = format!("/v1/campaigns/{}", campaign.id);
    Ok(HttpResponse::Created().insert_header(("Location", location)).json(campaign))
}

/// A draft like another campaign.
pub(in crate::http) async fn duplicated(
    state: &AppState,
    id: CampaignId,
    name: Option<&str>,
    by: &By,
) -> Result<Campaign, ApiError> {
    let name = name.map(|name| text::name("/name", name, MAX_NAME)).transpose()?;
    let stored = duplicate::duplicate(&state.services, id, name, by).await?;
    Ok(Campaign::new(stored, state)?)
}
