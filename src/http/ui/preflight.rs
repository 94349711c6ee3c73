//! `/ui/campaigns/{id}/preflight`: what a launch would do, and the form that launches just that.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::errors::Trouble;
use super::form::{Form, fresh_key, see_other};
use super::frame::{Frame, Section, page};
use super::funnel_view::{Step, became};
use super::preflight_view::PreflightView;
use super::refused::{Refusal, led_on};
use super::words::{When, grouped};
use crate::domain::access::audit::{Action, Object};
use crate::domain::campaigns::{CampaignEvent, CampaignStatus};
use crate::domain::ids::CampaignId;
use crate::domain::people::spelling::composed;
use crate::domain::preflight::Progress;
use crate::http::api::{campaigns, overview};
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Query};
use crate::http::web::problem::ApiError;
use crate::services::By;
use crate::services::campaigns::launch::launch_checked;
use crate::services::campaigns::preflight::desk::Busy;
use crate::services::campaigns::preflight::{self, Running};

/// How long a page waits for a result before it shows how far that is.
const WAITS_FOR: Duration = Duration::from_secs(10);

#[derive(Template)]
#[template(path = "ui/preflight.html")]
struct PreflightPage {
    frame: Frame,
    id: i64,
    name: String,
    status: &'static str,
    /// Whether it can be launched from its status.
    can_launch: bool,
    /// How far a preflight that runs is: people looked at, and thousandths.
    progress: Option<(String, i64)>,
    found: Option<PreflightView>,
    /// What became of everybody, once it is launched.
    became: Vec<Step>,
    /// When the check was made that is beside it, where there was one in the last hour.
    compared: Option<When>,
    /// Something has changed since what was found.
    is_stale: bool,
    /// What was typed.
    typed: String,
    is_wrong: bool,
    trouble: Option<Trouble>,
    key: String,
}

impl PreflightPage {
    /// The page of a campaign as it is now.
    async fn of(state: &AppState, frame: Frame, id: CampaignId) -> Result<Self, ApiError> {
        let campaign = overview::sight(state, id).await?.campaign;
        let can_launch = campaign.status.next(CampaignEvent::Launch).is_ok();
        let preflights = &state.services.preflights;
        let progress =
            preflights.progress(id).map(|Progress { looked_at, thousandths }| (grouped(looked_at), thousandths));
        let (report, mut before) = match preflights.last(id) {
            Some(report) if can_launch => (Some(report), None),
            before => (None, before),
        };
        let became = match can_launch {
            true => Vec::new(),
            false => {
                let (campaign, _) = campaigns::at_this_moment(state, id).await?;
                before =
                    before.filter(|said| campaign.launched_at.is_some_and(|launched| said.finished_at <= launched));
                became(&campaign, before.as_ref().map(|said| &said.funnel))
            }
        };
        let is_stale = match &report {
            Some(report) => preflight::fingerprint(&state.services, id).await? != report.fingerprint,
            None => false,
        };
        let title = format!("Preflight of {}", campaign.name);
        let json = format!("POST /v1/campaigns/{id}/preflight");
        let frame = frame.titled(&title).same_as(&json, &format!("volley campaign preflight {id}"));
        let up = Some(format!("/ui/campaigns/{id}"));
        Ok(Self {
            frame: Frame { section: Some(Section::Campaigns), up, ..frame },
            id: id.0,
            name: campaign.name,
            status: campaign.status.as_str(),
            can_launch,
            progress,
            found: report.map(|report| PreflightView::of(&report)),
            is_stale,
            became,
            compared: before.map(|said| When::of(said.finished_at)),
            typed: String::new(),
            is_wrong: false,
            trouble: None,
            key: fresh_key(),
        })
    }

    /// Why there is nothing to check.
    fn refusal(&self) -> String {
        match CampaignStatus::from_text(self.status) {
            Some(CampaignStatus::Sending | CampaignStatus::Paused) => {
                "The campaign is launched: there is nothing to check any more.".to_owned()
            }
            _ => format!("The campaign is {}: there is nothing to launch.", self.status),
        }
    }
}

/// Shows the last result, or how far the preflight is.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    frame: Frame,
    Id(id): Id<CampaignId>,
    _: Query<()>,
) -> Result<HttpResponse, ApiError> {
    page(StatusCode::OK, &PreflightPage::of(&state, frame, id).await?)
}

/// Runs a preflight, and waits for its result for a while. It goes on after that, and its page says how far it is.
pub(in crate::http) async fn check(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    by: By,
    _: Form,
) -> Result<HttpResponse, ApiError> {
    let done = || Ok(see_other(&format!("/ui/campaigns/{id}/preflight")));
    let Running { end, .. } = match preflight::start(&state.services, id, &by, true) {
        Ok(running) => running,
        Err(Busy::ThisCampaign) => return done(),
        Err(busy @ Busy::Others) => return Err(busy.into()),
    };
    match tokio::time::timeout(WAITS_FOR, end).await {
        Ok(Ok(Err(error))) => Err(error.into()),
        Ok(Ok(Ok(_)) | Err(_)) | Err(_) => done(),
    }
}

/// The form that launches a campaign is on the page of its preflight.
pub(in crate::http) async fn to_form(Id(id): Id<CampaignId>, _: Query<()>) -> HttpResponse {
    see_other(&format!("/ui/campaigns/{id}/preflight"))
}

/// Launches the campaign, if nothing has changed since the preflight that the form names.
pub(in crate::http) async fn send(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    Id(id): Id<CampaignId>,
    by: By,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let typed = form.text("name").unwrap_or_default().trim().to_owned();
    let fingerprint = form.text("preflight").unwrap_or_default().to_owned();
    let done = decide(&state, id, &typed, fingerprint, &by).await.map(|()| format!("/ui/campaigns/{id}"));
    led_on(done, &request, async |Refusal { trouble, is_wrong, .. }| {
        let shown = PreflightPage::of(&state, frame, id).await?;
        // What the route shows when it refuses is noted by nobody else.
        if shown.found.as_ref().is_some_and(PreflightView::shows_somebody) {
            state.gathered.note(by, Action::Read, Object::Campaign, Some(id.to_string()));
        }
        Ok(PreflightPage { trouble: Some(trouble), typed, is_wrong, ..shown })
    })
    .await
}

async fn decide(state: &AppState, id: CampaignId, typed: &str, fingerprint: String, by: &By) -> Result<(), ApiError> {
    let name = overview::sight_to_decide(state, id).await?.campaign.name;
    if composed(typed) != name {
        return Err(ApiError::field("name", "name_differs", "type the campaign's name as it is"));
    }
    launch_checked(&state.services, id, fingerprint, by).await?;
    Ok(())
}
