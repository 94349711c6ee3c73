//! An operator's word on an incident: a question with numbers, and the form that does it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use askama::Template;

use super::errors::Trouble;
use super::form::{Form, fresh_key};
use super::frame::{Frame, Section, page};
use super::refused::{Refusal, led_on};
use super::words::counted;
use crate::domain::ids::{CampaignId, ContactId};
use crate::http::api::campaigns::resolving::{self, EvidenceInput, MAX_RESOLVED, ResolveAs, ResolveInput, Resolved};
use crate::http::api::uncertain;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Params, Query, bad_parameter};
use crate::http::web::problem::ApiError;
use crate::services::By;

/// What is asked.
pub(in crate::http) struct Asked(ResolveAs);

impl FromQuery for Asked {
    const NAMES: &'static [&'static str] = &["as"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let found = params.choice("as", ResolveAs::ALL)?;
        found.map(Self).ok_or_else(|| bad_parameter("as", "required", "one of: sent, failed, pending".to_owned()))
    }
}

#[derive(Template)]
#[template(path = "ui/incident_act.html")]
struct ActPage {
    frame: Frame,
    id: String,
    campaign_name: String,
    word: &'static str,
    button: &'static str,
    consequence: Option<String>,
    /// How many others there are: one resolution takes no more.
    rest: Option<String>,
    contacts: String,
    log_sha256: String,
    note: String,
    is_wrong: bool,
    trouble: Option<Trouble>,
    /// Why it cannot be done.
    refusal: Option<String>,
    key: String,
}

const fn button(resolution: ResolveAs) -> &'static str {
    match resolution {
        ResolveAs::Sent => "Count as sent",
        ResolveAs::Failed => "Count as not sent",
        ResolveAs::Pending => "Send again",
    }
}

/// What was chosen in a form.
struct Chosen {
    resolution: ResolveAs,
    /// Whose; empty: all of the incident.
    contacts: Vec<ContactId>,
    note: String,
    log_sha256: String,
}

impl Chosen {
    fn read(form: &Form) -> Result<Self, ApiError> {
        let text = |name: &str| form.text(name).unwrap_or_default().trim().to_owned();
        let resolution = ResolveAs::from_text(&text("as"));
        let ids = text("contacts");
        let ids = ids.split(',').filter(|id| !id.is_empty()).map(|id| id.parse().map(ContactId));
        Ok(Self {
            resolution: resolution
                .ok_or_else(|| ApiError::field("as", "not_allowed", "one of: sent, failed, pending"))?,
            contacts: ids.collect::<Result<_, _>>().map_err(|_not_a_number| {
                ApiError::field("contacts", "wrong_type", "ids of contacts, with commas between them")
            })?,
            note: text("note"),
            log_sha256: text("log_sha256"),
        })
    }
}

/// Whom a decision is about.
struct About {
    campaign: CampaignId,
    campaign_name: String,
    contacts: Vec<ContactId>,
    /// How many more are in the incident.
    rest: usize,
}

/// The recipients of an incident that one decision takes: those that are named, or the first ones.
async fn about(state: &AppState, incident: &str, named: &[ContactId]) -> Result<About, ApiError> {
    let inside = uncertain::inside(state, incident).await?;
    let all = inside.contacts.len();
    let of_incident = inside.contacts.into_iter().filter(|id| named.is_empty() || named.contains(id));
    let contacts: Vec<ContactId> = of_incident.take(MAX_RESOLVED).collect();
    Ok(About {
        campaign: inside.case.campaign.id,
        campaign_name: inside.case.campaign.name,
        rest: if named.is_empty() { all - contacts.len() } else { 0 },
        contacts,
    })
}

/// Decides, or says what would follow. Nobody who is not in the incident any more is decided on.
async fn decide(
    state: &AppState,
    about: &About,
    chosen: &Chosen,
    dry_run: bool,
    by: &By,
) -> Result<Resolved, ApiError> {
    let log_sha256 = Some(chosen.log_sha256.clone()).filter(|hash| !hash.is_empty());
    let evidence = EvidenceInput { note: chosen.note.clone(), log_sha256 };
    let order = ResolveInput {
        contact_ids: Some(about.contacts.clone()),
        message_ids: None,
        resolution: chosen.resolution,
        dry_run,
        evidence: (!dry_run).then_some(evidence),
    };
    resolving::resolved(state, about.campaign, order, by).await
}

/// The page of a question, with the numbers of this moment.
async fn question(
    state: &AppState,
    frame: Frame,
    incident: &str,
    chosen: Chosen,
    by: &By,
) -> Result<ActPage, ApiError> {
    let about = about(state, incident, &chosen.contacts).await?;
    let (consequence, refusal) = match decide(state, &about, &chosen, true, by).await {
        Ok(would) => (would.consequence, None),
        Err(error) if error.status_code().is_server_error() => return Err(error),
        Err(error) => (None, Some(error.to_string())),
    };
    let (word, button) = (chosen.resolution.as_str(), button(chosen.resolution));
    let frame = frame.titled(&format!("{button}: {}", about.campaign_name));
    let json = format!("POST /v1/campaigns/{}/deliveries/resolve", about.campaign);
    let frame = frame.same_as(&json, &format!("volley uncertain {incident} --as {word} --note TEXT"));
    let rest = i64::try_from(about.rest).unwrap_or(i64::MAX);
    Ok(ActPage {
        frame: Frame { section: Some(Section::Delivery), up: Some(format!("/ui/uncertain/{incident}")), ..frame },
        id: incident.to_owned(),
        campaign_name: about.campaign_name,
        word,
        button,
        consequence,
        rest: (rest > 0).then(|| counted(rest, "other stays", "others stay")),
        // Those of the question, and nobody who comes in meanwhile.
        contacts: about.contacts.iter().map(ContactId::to_string).collect::<Vec<_>>().join(","),
        log_sha256: chosen.log_sha256,
        note: chosen.note,
        is_wrong: false,
        trouble: None,
        refusal,
        key: fresh_key(),
    })
}

/// Asks whether it shall be done.
pub(in crate::http) async fn ask(
    state: web::Data<AppState>,
    frame: Frame,
    incident: web::Path<String>,
    Query(Asked(resolution)): Query<Asked>,
    by: By,
) -> Result<HttpResponse, ApiError> {
    let chosen = Chosen { resolution, contacts: Vec::new(), note: String::new(), log_sha256: String::new() };
    page(StatusCode::OK, &question(&state, frame, &incident, chosen, &by).await?)
}

/// Does it. The receipt is above what is still uncertain.
pub(in crate::http) async fn carry_out(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    incident: web::Path<String>,
    _: Query<()>,
    by: By,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let chosen = Chosen::read(&form)?;
    let about = about(&state, &incident, &chosen.contacts).await?;
    let done = decide(&state, &about, &chosen, false, &by).await;
    let done = done.map(|done| {
        let (word, count, of) = (chosen.resolution, done.resolved, about.campaign);
        format!("/ui/uncertain?as={word}&count={count}&of={of}")
    });
    led_on(done, &request, async |Refusal { trouble, .. }| {
        let shown = question(&state, frame, &incident, chosen, &by).await?;
        Ok(ActPage { trouble: Some(trouble), refusal: None, is_wrong: true, ..shown })
    })
    .await
}
