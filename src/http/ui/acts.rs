//! What can be done with a campaign: a question with numbers, and the form that does it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::errors::Trouble;
use super::form::{Form, fresh_key};
use super::frame::{Frame, Section, page};
use super::refused::{Refusal, led_on};
use super::words::{begun, counted, people_are};
use crate::domain::campaigns::CampaignEvent;
use crate::domain::ids::CampaignId;
use crate::domain::people::spelling::composed;
use crate::domain::replicas::decision::Subject;
use crate::http::api::overview::{self, Glance};
use crate::http::api::replicas::receipt::{self, Wait};
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Query};
use crate::http::web::problem::ApiError;
use crate::services::By;
use crate::services::campaigns::control::control;

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
    fn consequence(self, campaign: &Glance) -> Vec<String> {
        let sending = campaign.stats.counts.sending;
        let under_way = match sending {
            0 => "No call is under way.".to_owned(),
            count => format!("{} under way and will come to an end.", counted(count, "call is", "calls are")),
        };
        let is_whole = campaign.packing_on().is_none();
        let about = if is_whole { "" } else { "about " };
        let left = begun(&format!("{about}{}", people_are(campaign.left - sending)));
        if self == Self::Stop && campaign.launched_at.is_none() {
            return vec![
                "It was not launched, and never will be: nobody gets a message.".to_owned(),
                "A stopped campaign cannot be resumed.".to_owned(),
            ];
        }
        match self {
            Self::Pause => vec![format!("{left} still to come. They wait until the campaign is resumed."), under_way],
            Self::Resume => vec![format!("{left} still to come. Their messages are handed over then.")],
            Self::Stop => vec![
                format!(
                    "{left} still to come. They get no message{}.",
                    if is_whole {
                        ", and are marked as skipped"
                    } else {
                        "; who is packed by then is marked as skipped"
                    }
                ),
                under_way,
                "A stopped campaign cannot be resumed.".to_owned(),
            ],
        }
    }

    /// Why it cannot be done now.
    fn refusal(self, campaign: &Glance) -> Option<String> {
        campaign.status.next(self.event()).err().map(|bad| bad.to_string())
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
    /// Why it cannot be done.
    refusal: Option<String>,
    key: String,
}

impl ActPage {
    fn of(act: Act, campaign: &Glance, frame: Frame) -> Self {
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
            refusal: act.refusal(campaign),
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
    let campaign = Glance::from(overview::sight(&state, id).await?.campaign);
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
    let typed = form.text("name").unwrap_or_default().trim().to_owned();
    let done = decide(&state, act, id, &typed, &by).await.map(|()| format!("/ui/campaigns/{id}#receipt"));
    led_on(done, &request, async |Refusal { trouble, is_wrong, .. }| {
        let campaign = Glance::from(overview::sight(&state, id).await?.campaign);
        let shown = ActPage::of(act, &campaign, frame);
        Ok(ActPage { trouble: Some(trouble), refusal: None, typed, is_wrong, ..shown })
    })
    .await
}

/// Decides, and waits a moment for the instances to follow. A pause waits for no read; only a stop looks at the name first.
async fn decide(state: &AppState, act: Act, id: CampaignId, typed: &str, by: &By) -> Result<(), ApiError> {
    if act == Act::Stop {
        let name = overview::sight_to_decide(state, id).await?.campaign.name;
        if composed(typed) != name {
            return Err(ApiError::field("name", "name_differs", "type the campaign's name as it is"));
        }
    }
    control(&state.services, id, act.event(), by).await?;
    // The decision stands, whatever becomes of the question who has heard of it.
    let _ = receipt::wait(state, Subject::Campaign(id), Wait::USUAL).await;
    Ok(())
}
