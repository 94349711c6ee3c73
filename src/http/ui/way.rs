//! `/ui/campaigns/{id}/way`: the rate of a campaign that is on its way, and its pool while it is paused.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde_json::{Value, json};

use super::errors::Trouble;
use super::form::{Form, fresh_key};
use super::frame::{Frame, Section, page};
use super::refused::{Refusal, led_on};
use crate::domain::campaigns::CampaignStatus;
use crate::domain::ids::CampaignId;
use crate::http::api::campaigns::{self, Campaign, CampaignPatch};
use crate::http::api::overview;
use crate::http::api::replicas::pools;
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Query, read_part};
use crate::http::web::problem::ApiError;
use crate::services::By;

#[derive(Template)]
#[template(path = "ui/way.html")]
struct WayPage {
    frame: Frame,
    id: i64,
    name: String,
    /// Hand-overs per second, as typed; empty where the campaign has no rate of its own.
    rate: String,
    is_wrong: bool,
    /// Pools of its channel, and whether each is the one that is chosen; none while it is sending.
    pools: Vec<(String, bool)>,
    trouble: Option<Trouble>,
    /// Why nothing can be changed.
    refusal: Option<String>,
    /// What both were when the page was first shown.
    rate_shown: String,
    pool_shown: String,
    key: String,
}

impl WayPage {
    async fn of(state: &AppState, campaign: &Campaign, frame: Frame) -> Result<Self, ApiError> {
        let id = campaign.id;
        let (path, command) = (format!("/v1/campaigns/{id}"), r#"{"rate_per_second": 50}"#);
        let frame = frame.titled(&format!("Rate and pool of {}", campaign.name));
        let frame = frame.same_as(&format!("PATCH {path}"), &super::words::curl("PATCH", &path, Some(command)));
        let is_paused = campaign.status == CampaignStatus::Paused;
        let pools = if is_paused { pools::listed(state).await?.0.data } else { Vec::new() };
        let fitting = pools
            .into_iter()
            .filter(|pool| pool.settings.as_ref().is_some_and(|settings| settings.channel == campaign.channel));
        let refusal = match campaign.status {
            CampaignStatus::Sending | CampaignStatus::Paused => None,
            CampaignStatus::Draft | CampaignStatus::Scheduled => Some("are changed where the campaign is written"),
            CampaignStatus::Sent | CampaignStatus::Failed | CampaignStatus::Stopped => {
                Some("cannot be changed any more")
            }
        };
        let refusal = refusal.map(|why| format!("The campaign is {}: its rate and its pool {why}", campaign.status));
        let rate = campaign.rate_per_second.map(|rate| rate.to_string()).unwrap_or_default();
        Ok(Self {
            frame: Frame { section: Some(Section::Campaigns), up: Some(format!("/ui/campaigns/{id}")), ..frame },
            id: id.0,
            name: campaign.name.clone(),
            rate_shown: rate.clone(),
            pool_shown: campaign.pool.clone().unwrap_or_default(),
            rate,
            is_wrong: false,
            pools: fitting.map(|pool| (pool.name.clone(), Some(pool.name) == campaign.pool)).collect(),
            trouble: None,
            refusal,
            key: fresh_key(),
        })
    }
}

/// Asks for the rate, and for the pool of one that is paused.
pub(in crate::http) async fn ask(
    state: web::Data<AppState>,
    frame: Frame,
    Id(id): Id<CampaignId>,
    _: Query<()>,
) -> Result<HttpResponse, ApiError> {
    let campaign = overview::sight(&state, id).await?.campaign;
    page(StatusCode::OK, &WayPage::of(&state, &campaign, frame).await?)
}

/// Changes them.
pub(in crate::http) async fn change(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    Id(id): Id<CampaignId>,
    by: By,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let done = changed(&state, id, &form, &by).await.map(|()| format!("/ui/campaigns/{id}"));
    led_on(done, &request, async |Refusal { trouble, is_wrong, .. }| {
        let campaign = overview::sight(&state, id).await?.campaign;
        let shown = WayPage::of(&state, &campaign, frame).await?;
        let chosen = form.value("pool");
        let pools = shown.pools.into_iter().map(|(name, is_its)| {
            let is_chosen = if chosen.is_empty() { is_its } else { name == chosen };
            (name, is_chosen)
        });
        let rate = form.value("rate_per_second").trim().to_owned();
        let (rate_shown, pool_shown) = (form.value("rate_shown").to_owned(), form.value("pool_shown").to_owned());
        let pools = pools.collect();
        Ok(WayPage { trouble: Some(trouble), refusal: None, rate, is_wrong, pools, rate_shown, pool_shown, ..shown })
    })
    .await
}

async fn changed(state: &AppState, id: CampaignId, form: &Form, by: &By) -> Result<(), ApiError> {
    let typed = form.value("rate_per_second").trim();
    let rate = match typed {
        "" => Value::Null,
        // JSON has no number that is not finite: it would be taken for no limit.
        typed => typed.parse::<f64>().ok().filter(|rate| rate.is_finite()).map(Value::from).ok_or_else(|| {
            let reason = "a number of hand-overs per second, or nothing for no limit of its own";
            ApiError::field("/rate_per_second", "out_of_range", reason)
        })?,
    };
    // Somebody else may have changed the campaign since the page was shown: only what was changed here is.
    let is_as_shown = |shown: &str, now: &str| form.text(shown) == Some(now);
    let mut members = serde_json::Map::new();
    if !is_as_shown("rate_shown", typed) {
        members.insert("rate_per_second".to_owned(), rate);
    }
    if let Some(pool) = form.text("pool").filter(|pool| !is_as_shown("pool_shown", pool)) {
        members.insert("pool".to_owned(), json!(pool));
    }
    if members.is_empty() {
        return Ok(());
    }
    let body: CampaignPatch = read_part(Value::Object(members), "")?;
    campaigns::changed(state, id, body, by).await.map(drop)
}
