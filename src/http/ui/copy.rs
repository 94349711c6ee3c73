//! `/ui/campaigns/{id}/copy`: a draft like another campaign.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::errors::Trouble;
use super::form::{Form, fresh_key};
use super::frame::{Frame, Section, page};
use super::refused::{Refusal, led_on};
use crate::domain::ids::CampaignId;
use crate::http::api::campaigns::duplicate;
use crate::http::api::overview;
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Query};
use crate::http::web::problem::ApiError;
use crate::services::By;

#[derive(Template)]
#[template(path = "ui/copy.html")]
struct CopyPage {
    frame: Frame,
    id: i64,
    name: String,
    /// What was typed.
    typed: String,
    is_wrong: bool,
    trouble: Option<Trouble>,
    key: String,
}

impl CopyPage {
    async fn of(state: &AppState, id: CampaignId, frame: Frame) -> Result<Self, ApiError> {
        let campaign = overview::sight(state, id).await?.campaign;
        let frame = frame.titled(&format!("Copy {}?", campaign.name));
        let frame =
            frame.same_as(&format!("POST /v1/campaigns/{id}/duplicate"), &format!("volley campaign duplicate {id}"));
        Ok(Self {
            frame: Frame { section: Some(Section::Campaigns), up: Some(format!("/ui/campaigns/{id}")), ..frame },
            id: id.0,
            name: campaign.name,
            typed: String::new(),
            is_wrong: false,
            trouble: None,
            key: fresh_key(),
        })
    }
}

/// Asks what the copy is called.
pub(in crate::http) async fn ask(
    state: web::Data<AppState>,
    frame: Frame,
    Id(id): Id<CampaignId>,
    _: Query<()>,
) -> Result<HttpResponse, ApiError> {
    page(StatusCode::OK, &CopyPage::of(&state, id, frame).await?)
}

/// Makes the copy, and leads to where it is written.
pub(in crate::http) async fn make(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    Id(id): Id<CampaignId>,
    by: By,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let typed = form.value("name").trim().to_owned();
    let named = Some(typed.as_str()).filter(|name| !name.is_empty());
    let done =
        duplicate::duplicated(&state, id, named, &by).await.map(|copy| format!("/ui/campaigns/{}/edit", copy.id));
    led_on(done, &request, async |Refusal { trouble, is_wrong, .. }| {
        let shown = CopyPage::of(&state, id, frame).await?;
        Ok(CopyPage { trouble: Some(trouble), typed, is_wrong, ..shown })
    })
    .await
}
