//! `/ui/campaigns/new`: a new draft, of as little as one needs.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde_json::json;

use super::errors::Trouble;
use super::form::{Form, fresh_key, see_other};
use super::frame::{Frame, Section, page};
use super::refused::{Refusal, refused};
use super::words::curl;
use crate::domain::channel::ChannelKind;
use crate::domain::ids::CampaignId;
use crate::http::api::campaigns::{self, CampaignInput};
use crate::http::api::people::lists;
use crate::http::api::replicas::pools;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Params, Query, read_part};
use crate::http::web::problem::ApiError;
use crate::services::By;

/// What the address says of a new campaign.
#[derive(Debug)]
pub(in crate::http) struct Begun {
    /// The list that it is for.
    list: Option<i64>,
}

impl FromQuery for Begun {
    const NAMES: &'static [&'static str] = &["list"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        Ok(Self { list: params.integer("list", 1..=i64::MAX)? })
    }
}

#[derive(Template)]
#[template(path = "ui/compose.html")]
struct ComposePage {
    frame: Frame,
    name: String,
    /// Pools of this instance: name and channel, and whether it is chosen.
    pools: Vec<(String, ChannelKind, bool)>,
    /// The list that it is for: id and name.
    list: Option<(i64, String)>,
    is_wrong: bool,
    trouble: Option<Trouble>,
    key: String,
}

impl ComposePage {
    async fn of(state: &AppState, frame: Frame, list: Option<i64>, chosen: &str) -> Result<Self, ApiError> {
        let list = match list {
            Some(id) => lists::names(state, [crate::domain::ids::ListId(id)].into()).await?.into_iter().next(),
            None => None,
        };
        let pools = pools::listed(state).await?.0.data.into_iter();
        let pools = pools.filter_map(|pool| {
            let is_chosen = pool.name == chosen;
            Some((pool.name, pool.settings?.channel, is_chosen))
        });
        let command = curl("POST", "/v1/campaigns", Some(r#"{"name": "…", "channel": "email"}"#));
        let frame = frame.titled("New campaign").same_as("POST /v1/campaigns", &command);
        Ok(Self {
            frame: Frame { section: Some(Section::Campaigns), up: Some("/ui/campaigns".to_owned()), ..frame },
            name: String::new(),
            pools: pools.collect(),
            list: list.map(|(id, name)| (id.0, name)),
            is_wrong: false,
            trouble: None,
            key: fresh_key(),
        })
    }
}

/// Asks for a name and a pool.
pub(in crate::http) async fn ask(
    state: web::Data<AppState>,
    frame: Frame,
    Query(Begun { list }): Query<Begun>,
) -> Result<HttpResponse, ApiError> {
    page(StatusCode::OK, &ComposePage::of(&state, frame, list, "").await?)
}

/// Makes the draft, and leads to where it is written.
pub(in crate::http) async fn make(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    by: By,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let list = form.text("list").and_then(|list| list.parse().ok());
    let error = match made(&state, &form, list, &by).await {
        Ok(id) => return Ok(see_other(&format!("/ui/campaigns/{id}/edit"))),
        Err(error) => error,
    };
    refused(error, &request, async |Refusal { trouble, errors, .. }| {
        let shown = ComposePage::of(&state, frame, list, form.value("pool")).await?;
        let is_wrong = errors.iter().any(|problem| problem.field == "/name");
        Ok(ComposePage { trouble: Some(trouble), name: form.value("name").to_owned(), is_wrong, ..shown })
    })
    .await
}

async fn made(state: &AppState, form: &Form, list: Option<i64>, by: &By) -> Result<CampaignId, ApiError> {
    let pool = form.value("pool");
    let pools = pools::listed(state).await?.0.data;
    let found = pools.into_iter().find(|found| found.name == pool).and_then(|found| found.settings);
    let channel = found.ok_or_else(|| ApiError::no_such("pool", pool))?.channel;
    let audience = list.map(|list| json!({ "lists": [list] }));
    let body = json!({ "name": form.value("name"), "channel": channel, "pool": pool, "audience": audience });
    let body: CampaignInput = read_part(body, "")?;
    Ok(campaigns::created(state, body, by).await?.id)
}
