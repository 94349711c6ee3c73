//! The suspension of a pool and its end: a question with numbers, and the form that does it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::errors::Trouble;
use super::form::{Form, fresh_key};
use super::frame::{Frame, Section, page};
use super::pools::one;
use super::refused::{Refusal, led_on};
use super::words::{begun, counted, curl, people_are};
use crate::domain::campaigns::CampaignStatus;
use crate::http::api::overview::{self, Glance};
use crate::http::api::replicas::pools::{self, Pool};
use crate::http::state::AppState;
use crate::http::web::extract::Query;
use crate::http::web::problem::ApiError;
use crate::services::By;

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// Nothing is handed over until it ends or is resumed.
    Suspend,
    /// It goes on.
    Resume,
}

impl Act {
    /// The act that a path ends with.
    fn of(request: &HttpRequest) -> Self {
        if request.path().ends_with("/resume") { Self::Resume } else { Self::Suspend }
    }

    /// The last part of its path.
    const fn word(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Resume => "resume",
        }
    }

    /// What the button says.
    const fn button(self) -> &'static str {
        match self {
            Self::Suspend => "Suspend",
            Self::Resume => "Resume",
        }
    }
}

/// How long a suspension holds: the value of its field, what it says, and milliseconds.
const SPANS: [(&str, &str, Option<i64>); 3] = [
    ("open", "until it is resumed", None),
    ("1h", "for 1 hour", Some(3_600_000)),
    ("5m", "for 5 minutes", Some(300_000)),
];

#[derive(Template)]
#[template(path = "ui/pool_act.html")]
struct ActPage {
    frame: Frame,
    name: String,
    word: &'static str,
    button: &'static str,
    consequence: Vec<String>,
    /// Whether the reason and the end are asked for.
    suspends: bool,
    spans: [(&'static str, &'static str, bool); 3],
    /// What was typed.
    reason: String,
    is_wrong: bool,
    trouble: Option<Trouble>,
    /// Why it cannot be done.
    refusal: Option<String>,
    key: String,
}

/// What was chosen in the form.
#[derive(Default)]
struct Chosen {
    reason: String,
    until: String,
}

impl ActPage {
    fn of(act: Act, pool: &Pool, campaigns: &[Glance], frame: Frame, chosen: &Chosen) -> Self {
        let (name, word) = (pool.name.clone(), act.word());
        let path = format!("/v1/pools/{name}/{word}");
        let body = (act == Act::Suspend).then_some(r#"{"reason": "…"}"#);
        let frame = frame.titled(&format!("{} pool {name}?", act.button()));
        let frame = frame.same_as(&format!("POST {path}"), &curl("POST", &path, body));
        let refusal = act == Act::Resume && !pool.suspended;
        let until = if chosen.until.is_empty() { "open" } else { chosen.until.as_str() };
        Self {
            frame: Frame { section: Some(Section::Delivery), up: Some(format!("/ui/pools/{name}")), ..frame },
            name,
            word,
            button: act.button(),
            consequence: consequence(act, campaigns),
            suspends: act == Act::Suspend,
            spans: SPANS.map(|(value, says, _)| (value, says, value == until)),
            reason: chosen.reason.clone(),
            is_wrong: false,
            trouble: None,
            refusal: refusal.then(|| "The pool is not suspended".to_owned()),
            key: fresh_key(),
        }
    }
}

/// What will happen, with the numbers of this moment.
fn consequence(act: Act, campaigns: &[Glance]) -> Vec<String> {
    let number = i64::try_from(campaigns.len()).unwrap_or(i64::MAX);
    let left: i64 = campaigns.iter().map(|campaign| campaign.left).sum();
    let sending = match campaigns {
        [] => "No campaign is being sent through it now.".to_owned(),
        [only] => format!("“{}” is being sent through it. {} still to come.", only.name, begun(&people_are(left))),
        _ => format!(
            "{} being sent through it. {} still to come.",
            counted(number, "campaign is", "campaigns are"),
            begun(&people_are(left))
        ),
    };
    match act {
        Act::Suspend => vec![
            "Nothing is handed over through it, on any instance and whatever the campaign. Recipients stay pending."
                .to_owned(),
            sending,
        ],
        Act::Resume => vec!["Messages are handed over through it again, on every instance.".to_owned(), sending],
    }
}

/// The pool, and the campaigns that are being sent through it.
async fn looked_at(state: &AppState, name: &str) -> Result<(Pool, Vec<Glance>), ApiError> {
    let (pool, _) = one(state, name).await?;
    let mut campaigns = overview::read(state).await?.active;
    campaigns.retain(|campaign| campaign.status == CampaignStatus::Sending && campaign.pool.as_deref() == Some(name));
    Ok((pool, campaigns))
}

/// Asks whether it shall be done.
pub(in crate::http) async fn ask(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    name: web::Path<String>,
    _: Query<()>,
) -> Result<HttpResponse, ApiError> {
    let (pool, campaigns) = looked_at(&state, &name).await?;
    page(StatusCode::OK, &ActPage::of(Act::of(&request), &pool, &campaigns, frame, &Chosen::default()))
}

/// Does it. The receipt is on the pool's page.
pub(in crate::http) async fn carry_out(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    name: web::Path<String>,
    by: By,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let act = Act::of(&request);
    let text = |field| form.text(field).unwrap_or_default().trim().to_owned();
    let chosen = Chosen { reason: text("reason"), until: text("until") };
    let done = match act {
        Act::Suspend => suspend(&state, &name, &chosen, &by).await,
        Act::Resume => pools::resume_now(&state, &name, &by).await,
    };
    let done = done.map(|()| format!("/ui/pools/{name}#receipt"));
    led_on(done, &request, async |Refusal { trouble, .. }| {
        let (pool, campaigns) = looked_at(&state, &name).await?;
        let shown = ActPage::of(act, &pool, &campaigns, frame, &chosen);
        Ok(ActPage { trouble: Some(trouble), refusal: None, is_wrong: true, ..shown })
    })
    .await
}

async fn suspend(state: &AppState, name: &str, chosen: &Chosen, by: &By) -> Result<(), ApiError> {
    let span = SPANS.iter().find(|(value, ..)| *value == chosen.until);
    let (_, _, ms) = span.ok_or_else(|| ApiError::field("until", "not_allowed", "one of: open, 1h, 5m"))?;
    pools::suspend_for(state, name, &chosen.reason, *ms, by).await
}
