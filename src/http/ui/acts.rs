//! What can be done with a campaign: a question with numbers, and the form that does it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use askama::Template;

use super::errors::Trouble;
use super::form::{Form, fresh_key, see_other};
use super::frame::{Frame, Section, page};
use super::words::{counted, people};
use crate::domain::campaigns::CampaignEvent;
use crate::domain::ids::CampaignId;
use crate::http::api::campaigns::{self, Campaign, actions};
use crate::http::api::replicas::receipt::Wait;
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Query};
use crate::http::web::problem::ApiError;
use crate::services::By;

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// Nothing is handed over until it is resumed.
    Pause,
    /// It goes on.
    Resume,
    /// It ends, and cannot be resumed.
    Stop,
}

impl Act {
    /// The last part of its path, and the command.
    const fn word(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Stop => "stop",
        }
    }

    const fn event(self) -> CampaignEvent {
        match self {
            Self::Pause => CampaignEvent::Pause,
            Self::Resume => CampaignEvent::Resume,
            Self::Stop => CampaignEvent::Stop,
        }
    }

    /// What the button says.
    const fn button(self) -> &'static str {
        match self {
            Self::Pause => "Pause",
            Self::Resume => "Resume",
            Self::Stop => "Stop",
        }
    }

    /// What will happen, with the numbers of this moment.
    fn consequence(self, campaign: &Campaign) -> Vec<String> {
        let counts = &campaign.stats.counts;
        let under_way = match counts.sending {
            0 => "No call is under way.".to_owned(),
            count => format!("{} under way and will come to an end.", counted(count, "call is", "calls are")),
        };
        let left = people(counts.pending);
        match self {
            Self::Pause => {
                vec![format!("{left} are still to come. They wait until the campaign is resumed."), under_way]
            }
            Self::Resume => vec![format!("{left} are still to come. They get their message.")],
            Self::Stop => vec![
                format!("{left} are still to come. They get no message, and are marked as skipped."),
                under_way,
                "A stopped campaign cannot be resumed.".to_owned(),
            ],
        }
    }
}

#[derive(Template)]
#[template(path = "ui/act.html")]
struct ActPage {
    frame: Frame,
    id: i64,
    name: String,
    word: &'static str,
    button: &'static str,
    consequence: Vec<String>,
    /// Whether the campaign's name has to be typed.
    asks_for_name: bool,
    /// What was typed.
    typed: String,
    is_wrong: bool,
    trouble: Option<Trouble>,
    key: String,
}

impl ActPage {
    fn of(act: Act, campaign: &Campaign, frame: Frame) -> Self {
        let id = campaign.id;
        let title = format!("{} {}?", act.button(), campaign.name);
        let path = format!("POST /v1/campaigns/{id}/{}", act.word());
        let frame = frame.titled(&title).same_as(&path, &format!("volley campaign {} {id}", act.word()));
        let up = Some(format!("/ui/campaigns/{id}"));
        Self {
            frame: Frame { section: Some(Section::Campaigns), up, ..frame },
            id: id.0,
            name: campaign.name.clone(),
            word: act.word(),
            button: act.button(),
            consequence: act.consequence(campaign),
            asks_for_name: act == Act::Stop,
            typed: String::new(),
            is_wrong: false,
            trouble: None,
            key: fresh_key(),
        }
    }
}

/// The act that a path ends with.
fn act_of(request: &HttpRequest) -> Result<Act, ApiError> {
    let word = request.path().rsplit('/').next().unwrap_or_default();
    let all = [Act::Pause, Act::Resume, Act::Stop];
    all.into_iter().find(|act| act.word() == word).ok_or_else(|| ApiError::no_such("page", request.path()))
}

/// Asks whether it shall be done.
pub(in crate::http) async fn ask(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    Id(id): Id<CampaignId>,
    _: Query<()>,
) -> Result<HttpResponse, ApiError> {
    let act = act_of(&request)?;
    let campaign = campaigns::find(&state, id).await?;
    page(StatusCode::OK, &ActPage::of(act, &campaign, frame))
}

/// Does it. The receipt is on the campaign's page.
pub(in crate::http) async fn carry_out(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    Id(id): Id<CampaignId>,
    by: By,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let act = act_of(&request)?;
    let campaign = campaigns::find(&state, id).await?;
    let typed = form.text("name").unwrap_or_default().trim().to_owned();
    let error = if act == Act::Stop && typed != campaign.name.trim() {
        ApiError::field("name", "name_differs", "type the campaign's name as it is")
    } else {
        match actions::control(&state, id, act.event(), Wait::USUAL, &by).await {
            Ok(_) => return Ok(see_other(&format!("/ui/campaigns/{id}#receipt"))),
            Err(error) => error,
        }
    };
    let status = error.status_code();
    if status.is_server_error() {
        return Err(error);
    }
    let trouble = Some(Trouble::of(&error.problem(), &request));
    let is_wrong = status == StatusCode::UNPROCESSABLE_ENTITY;
    page(status, &ActPage { trouble, typed, is_wrong, ..ActPage::of(act, &campaign, frame) })
}
