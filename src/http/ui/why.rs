//! `/ui/campaigns/{id}/people/{contact_id}`: why one person got a campaign's message, or did not.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::form::see_other;
use super::frame::{Frame, Section, page, quoted};
use super::words::{When, curl};
use crate::domain::access::Scope;
use crate::domain::dispatch::why::answer::{Step, WhyAct, WhyState};
use crate::domain::ids::{CampaignId, ContactId};
use crate::http::api::campaigns::recipients::Recipient;
use crate::http::api::campaigns::why::{self, Can, WhyDelivery};
use crate::http::api::people::contacts;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Id, Params, Query, bad_parameter, path_id};
use crate::http::web::problem::ApiError;

/// The longest key of a contact, in characters.
const LONGEST: usize = 320;

#[derive(Template)]
#[template(path = "ui/why.html")]
struct WhyPage {
    frame: Frame,
    id: i64,
    contact: i64,
    campaign: String,
    verdict: String,
    /// What the person goes by: keys and names, the strongest first.
    called: Vec<String>,
    /// The state of the delivery, if there is one.
    state: Option<&'static str>,
    /// The same in words; of somebody without a delivery, why there is none.
    word: String,
    steps: Vec<Link>,
    ways: Vec<Way>,
    /// What is said where nothing can be done.
    nothing: &'static str,
}

/// A link of the chain.
struct Link {
    fact: String,
    /// `None`: nobody has written it down.
    source: Option<String>,
    at: Option<When>,
    decides: bool,
}

impl From<Step> for Link {
    fn from(step: Step) -> Self {
        let Step { fact, source, at, decides } = step;
        Self { fact, source: Some(source).filter(|source| source != "none"), at: at.map(When::of), decides }
    }
}

/// Something that can be done.
struct Way {
    what: String,
    /// The page that does it, and what its button says.
    page: Option<(String, &'static str)>,
    /// Where there is none: the request.
    command: Option<String>,
    /// The scope that a key needs and this one lacks.
    lacks: Option<&'static str>,
}

impl Way {
    fn of(can: Can, id: CampaignId, may: impl Fn(Scope) -> bool) -> Self {
        let Can { act, what, method, path, body, scope } = can;
        let lacks = (!may(scope)).then(|| scope.as_str());
        let page = match act {
            WhyAct::Resume => Some((format!("/ui/campaigns/{id}/resume"), "Resume the campaign")),
            WhyAct::ResumePool => path.strip_prefix("/v1").map(|path| (format!("/ui{path}"), "Resume the pool")),
            WhyAct::Launch
            | WhyAct::Retry
            | WhyAct::ResolveSent
            | WhyAct::ResolveFailed
            | WhyAct::ResolvePending
            | WhyAct::Lift
            | WhyAct::ChangeContact
            | WhyAct::Subscribe => None,
        };
        let is_own = page.is_some() || lacks.is_some();
        let body = body.unwrap_or_else(|| serde_json::json!({})).to_string();
        let command = (!is_own).then(|| curl(&method, &path, Some(&quoted(&body))));
        Self { what, page: page.filter(|_| lacks.is_none()), command, lacks }
    }
}

/// What a contact goes by.
fn called(contact: Option<Recipient>, id: ContactId) -> Vec<String> {
    let Some(Recipient { id: _, external_id, email, phone, first_name, last_name }) = contact else {
        return vec![format!("contact {id}")];
    };
    let names: Vec<String> = [first_name, last_name].into_iter().flatten().collect();
    let name = Some(names.join(" ")).filter(|name| !name.is_empty());
    let mut called: Vec<String> = [email, phone, external_id].into_iter().flatten().collect();
    called.extend(name);
    called.push(format!("contact {id}"));
    called
}

/// The state of a delivery, and what is said of somebody without one.
fn state(place: WhyState) -> (Option<&'static str>, String) {
    let state = match place {
        WhyState::Pending
        | WhyState::Sending
        | WhyState::Sent
        | WhyState::Failed
        | WhyState::Skipped
        | WhyState::Uncertain => Some(place.as_str()),
        WhyState::NotLaunched | WhyState::NotPacked | WhyState::LeftOut | WhyState::NotNamed | WhyState::Missed => None,
    };
    let word = match place {
        WhyState::NotLaunched | WhyState::NotPacked => "no delivery yet".to_owned(),
        WhyState::LeftOut | WhyState::NotNamed | WhyState::Missed => "no delivery".to_owned(),
        WhyState::Pending
        | WhyState::Sending
        | WhyState::Sent
        | WhyState::Failed
        | WhyState::Skipped
        | WhyState::Uncertain => place.as_str().to_owned(),
    };
    (state, word)
}

/// What is said where nothing can be done.
const fn nothing(place: WhyState) -> &'static str {
    match place {
        WhyState::Sent | WhyState::Pending | WhyState::Sending | WhyState::NotPacked => "There is nothing to do.",
        WhyState::Failed
        | WhyState::Skipped
        | WhyState::Uncertain
        | WhyState::NotLaunched
        | WhyState::LeftOut
        | WhyState::NotNamed
        | WhyState::Missed => "Nothing can be done about it in this campaign.",
    }
}

/// Shows why.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    Id(id): Id<CampaignId>,
    _: Query<()>,
) -> Result<HttpResponse, ApiError> {
    let contact: ContactId = path_id(&request, "contact_id")?;
    let why = why::explained(&state, id, contact).await?;
    page(StatusCode::OK, &WhyPage::of(frame, why))
}

impl WhyPage {
    fn of(frame: Frame, why: WhyDelivery) -> Self {
        let WhyDelivery { campaign_id: id, campaign_name, contact_id, contact, state: place, verdict, steps, can } =
            why;
        let called = called(contact, contact_id);
        let nothing = nothing(place);
        let (state, word) = state(place);
        let may = |scope| frame.visitor.as_ref().is_some_and(|visitor| visitor.scope.includes(scope));
        let ways = can.into_iter().map(|can| Way::of(can, id, may)).collect();
        let title = format!("Why {}: {campaign_name}", called.first().map_or("", String::as_str));
        let json = format!("GET /v1/campaigns/{id}/why/{contact_id}");
        let frame = frame.titled(&title).same_as(&json, &format!("volley why {id} {contact_id}"));
        let up = Some(format!("/ui/campaigns/{id}/people"));
        Self {
            frame: Frame { section: Some(Section::Campaigns), up, ..frame },
            id: id.0,
            contact: contact_id.0,
            campaign: campaign_name,
            verdict,
            called,
            state,
            word,
            steps: steps.into_iter().map(Link::from).collect(),
            ways,
            nothing,
        }
    }
}

/// Who is looked for.
#[derive(Debug)]
pub(in crate::http) struct Wanted {
    contact: String,
}

impl FromQuery for Wanted {
    const NAMES: &'static [&'static str] = &["contact"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let text = params.short("contact", LONGEST)?.map(|text| text.trim().to_owned());
        let reason = || "an id, an email address, a phone number such as +442079460123, or an external id".to_owned();
        let contact = text.filter(|text| !text.is_empty());
        Ok(Self { contact: contact.ok_or_else(|| bad_parameter("contact", "required", reason()))? })
    }
}

/// Leads to the page of the contact that a key means, or of the delivery that a `Message-ID` means, of whatever campaign.
pub(in crate::http) async fn find(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    Query(Wanted { contact }): Query<Wanted>,
) -> Result<HttpResponse, ApiError> {
    if let Some((id, contact)) = why::keyed(&state, &contact).await? {
        return Ok(see_other(&format!("/ui/campaigns/{id}/people/{contact}")));
    }
    let found = contacts::named(&state, &contact).await?;
    let reason =
        || "no contact has exactly this address, phone number or id; one that was deleted goes by its id".to_owned();
    let found = found.ok_or_else(|| bad_parameter("contact", "invalid", reason()))?;
    Ok(see_other(&format!("/ui/campaigns/{id}/people/{found}")))
}
