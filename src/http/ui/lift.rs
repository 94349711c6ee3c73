//! `/ui/suppressions/lift`: an address or a domain is written to again, for a reason.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::errors::Trouble;
use super::form::{Form, fresh_key};
use super::frame::{Frame, Section, page, quoted};
use super::refused::{Refusal, led_on};
use super::suppressed;
use crate::domain::channel::ChannelKind;
use crate::domain::people::consent::Reason;
use crate::http::api::people::suppressions::{self, DomainFilter, LiftInput, SuppressionFilter};
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Params, Query};
use crate::http::web::problem::ApiError;
use crate::services::By;

/// What is to be lifted.
pub(in crate::http) struct Wanted {
    address: Option<String>,
    domain: Option<String>,
    channel: Option<ChannelKind>,
    list: Option<String>,
    reason: Option<Reason>,
}

impl FromQuery for Wanted {
    const NAMES: &'static [&'static str] = &["address", "domain", "channel", "list", "reason"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let text = |name: &str| params.text(name).map(ToOwned::to_owned);
        Ok(Self {
            address: text("address"),
            domain: text("domain"),
            channel: params.choice("channel", ChannelKind::ALL)?,
            list: text("list"),
            reason: params.choice("reason", Reason::ALL)?,
        })
    }
}

impl Wanted {
    /// As a form says it.
    fn of(form: &Form) -> Result<Self, ApiError> {
        let text = |name: &str| form.text(name).filter(|text| !text.is_empty());
        let not_allowed = |field: &'static str| ApiError::field(field, "not_allowed", "load the question again");
        let known = |channel: &str| ChannelKind::from_text(channel).ok_or_else(|| not_allowed("channel"));
        Ok(Self {
            address: text("address").map(ToOwned::to_owned),
            domain: text("domain").map(ToOwned::to_owned),
            channel: text("channel").map(known).transpose()?,
            list: text("list").map(ToOwned::to_owned),
            reason: text("reason")
                .map(|word| Reason::from_text(word).ok_or_else(|| not_allowed("reason")))
                .transpose()?,
        })
    }

    /// What it is about, in words.
    fn what(&self) -> String {
        match (&self.address, &self.domain) {
            (Some(address), _) => address.clone(),
            (None, Some(domain)) => format!("every address at {domain}"),
            (None, None) => "nothing".to_owned(),
        }
    }

    /// The same at the command line.
    fn command(&self) -> String {
        let name = self.address.clone().or_else(|| self.domain.as_ref().map(|domain| format!("@{domain}")));
        let reason = self.reason.filter(|reason| *reason != Reason::SoftBounced);
        let reason = reason.map(|reason| format!(" --reason {reason}")).unwrap_or_default();
        let list = self.list.as_ref().map(|list| format!(" --list '{}'", quoted(list))).unwrap_or_default();
        format!("volley suppression remove '{}'{reason}{list} --note '…'", quoted(&name.unwrap_or_default()))
    }

    /// The page that shows what is suppressed of it.
    fn back(&self) -> String {
        match &self.address {
            None => "/ui/suppressions".to_owned(),
            Some(address) => {
                let query =
                    url::form_urlencoded::Serializer::new(String::new()).append_pair("address", address).finish();
                format!("/ui/suppressions?{query}")
            }
        }
    }

    /// Whether there is something to lift.
    async fn is_there(&self, state: &AppState) -> Result<bool, ApiError> {
        if let Some(domain) = &self.domain {
            return Ok(!suppressions::listed_domains(state, DomainFilter::named(domain)?).await?.data.is_empty());
        }
        let Some(address) = &self.address else { return Ok(false) };
        let filter = SuppressionFilter::of_address(address, self.channel, self.reason)?;
        let found = suppressions::listed(state, filter).await?;
        let list = self.list.as_deref().map(str::parse::<i64>);
        Ok(found.data.iter().any(|one| match (&list, one.list_id) {
            (Some(Ok(wanted)), Some(id)) => *wanted == id.0,
            (None, None) => true,
            (Some(_), _) | (None, Some(_)) => false,
        }))
    }

    /// What will happen.
    fn consequence(&self) -> Vec<String> {
        let channel = self.channel.map(|channel| format!(" by {channel}")).unwrap_or_default();
        let topic = if self.list.is_some() { " of this list" } else { "" };
        let held = self.reason.map_or("an operator has blocked it", suppressed::says);
        vec![
            format!("It is held back{channel} because: {held}."),
            match self.reason {
                Some(Reason::Unsubscribed | Reason::Stopped) => format!(
                    "The person said so. Lifting it lets messages{topic} go out again unless something else holds them back; how the \
                     person stands on lists stays as it is."
                ),
                Some(Reason::Complained | Reason::Bounced | Reason::SoftBounced | Reason::Blocked) | None => format!(
                    "Messages{topic} to it are handed over again from the next claim on, unless something else holds them back."
                ),
            },
        ]
    }

    /// Why it cannot be lifted by this reader.
    fn refusal(&self, frame: &Frame, is_there: bool) -> Option<&'static str> {
        let is_for_admins = self.reason.is_some_and(Reason::is_for_admins);
        match (is_there, is_for_admins && !frame.may_administer()) {
            (false, _) => Some("There is nothing to lift: it is not suppressed so"),
            (true, true) => Some("A complaint and a hard bounce are lifted with a key of the scope admin only"),
            (true, false) => None,
        }
    }
}

#[derive(Template)]
#[template(path = "ui/lift.html")]
struct LiftPage {
    frame: Frame,
    what: String,
    address: String,
    domain: String,
    channel: &'static str,
    list: String,
    reason: &'static str,
    consequence: Vec<String>,
    note: String,
    is_wrong: bool,
    back: String,
    refusal: Option<&'static str>,
    trouble: Option<Trouble>,
    key: String,
}

impl LiftPage {
    async fn of(state: &AppState, frame: Frame, wanted: &Wanted) -> Result<Self, ApiError> {
        let what = wanted.what();
        let title = format!("Lift the suppression of {what}?");
        let frame = frame.titled(&title).same_as("DELETE /v1/suppressions", &wanted.command());
        let refusal = wanted.refusal(&frame, wanted.is_there(state).await?);
        Ok(Self {
            frame: Frame { section: Some(Section::People), up: Some("/ui/suppressions".to_owned()), ..frame },
            what,
            address: wanted.address.clone().unwrap_or_default(),
            domain: wanted.domain.clone().unwrap_or_default(),
            channel: wanted.channel.map_or("", ChannelKind::as_str),
            list: wanted.list.clone().unwrap_or_default(),
            reason: wanted.reason.map_or("", Reason::as_str),
            consequence: wanted.consequence(),
            note: String::new(),
            is_wrong: false,
            back: wanted.back(),
            refusal,
            trouble: None,
            key: fresh_key(),
        })
    }
}

/// Asks whether it shall be lifted.
pub(in crate::http) async fn ask(
    state: web::Data<AppState>,
    frame: Frame,
    Query(wanted): Query<Wanted>,
) -> Result<HttpResponse, ApiError> {
    page(StatusCode::OK, &LiftPage::of(&state, frame, &wanted).await?)
}

/// Lifts it, with the reason that was typed.
pub(in crate::http) async fn carry_out(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    by: By,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let wanted = Wanted::of(&form)?;
    let note = form.text("note").unwrap_or_default().trim().to_owned();
    let done = lift(&state, &wanted, &note, &by).await.map(|()| wanted.back());
    led_on(done, &request, async |Refusal { trouble, is_wrong, .. }| {
        let shown = LiftPage::of(&state, frame, &wanted).await?;
        Ok(LiftPage { trouble: Some(trouble), note, is_wrong, ..shown })
    })
    .await
}

async fn lift(state: &AppState, wanted: &Wanted, note: &str, by: &By) -> Result<(), ApiError> {
    if note.is_empty() {
        return Err(ApiError::field("note", "required", "say why it is lifted"));
    }
    let input = LiftInput {
        address: wanted.address.clone(),
        domain: wanted.domain.clone(),
        channel: wanted.channel,
        list: wanted.list.clone(),
        reason: wanted.reason,
        note: Some(note.to_owned()),
    };
    suppressions::lifted(state, input, by).await.map(drop)
}
