//! `/ui/uncertain`: of which messages it is not known whether they have left, by incident, and what a provider's log says of them.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::form::{Form, fresh_key};
use super::frame::{Frame, Section, page};
use super::words::{When, counted, grouped};
use crate::domain::ids::{CampaignId, ContactId};
use crate::http::api::campaigns::resolving::ResolveAs;
use crate::http::api::provider_logs::{self, LogMatch};
use crate::http::api::uncertain::{self, Incident, IncidentInside, Onwards, Which};
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Params, Query};
use crate::http::web::problem::ApiError;

/// An incident, as pages show it.
pub(super) struct IncidentView {
    pub(super) id: String,
    pub(super) campaign: i64,
    pub(super) campaign_name: String,
    pub(super) count: String,
    /// `12 messages are`.
    pub(super) messages_are: String,
    pub(super) reason: String,
    kind: Option<String>,
    began: Option<(When, When)>,
    at: Option<When>,
    instance: Option<(i64, String, bool)>,
    journal: &'static str,
    may_wait: bool,
    message_key: String,
}

impl From<&Incident> for IncidentView {
    fn from(incident: &Incident) -> Self {
        Self {
            id: incident.id.clone(),
            campaign: incident.campaign_id.0,
            campaign_name: incident.campaign_name.clone(),
            count: grouped(incident.count),
            messages_are: counted(incident.count, "message is", "messages are"),
            reason: incident.reason.clone().unwrap_or_else(|| "It was not written down why.".to_owned()),
            kind: incident.error_category.map(|kind| kind.to_string().replace('_', " ")),
            began: incident.first_claimed_at.map(When::of).zip(incident.last_claimed_at.map(When::of)),
            at: incident.last_at.map(When::of),
            instance: incident.instance.as_ref().map(|one| (one.id.0, one.host.clone(), one.running)),
            journal: incident.journal.detail,
            may_wait: incident.journal.may_decide,
            message_key: incident.message_key.clone(),
        }
    }
}

/// What the list shows: some incidents, and what was just decided.
pub(in crate::http) struct Shown {
    which: Which,
    campaign: Option<i64>,
    /// Whether it is the first part.
    is_first: bool,
    done: Option<(ResolveAs, i64, CampaignId)>,
}

impl FromQuery for Shown {
    const NAMES: &'static [&'static str] = &["campaign_id", "cursor", "as", "count", "of"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let done = params.choice("as", ResolveAs::ALL)?;
        let (count, of) = (params.integer("count", 0..=i64::MAX)?, params.integer("of", 1..=i64::MAX)?);
        Ok(Self {
            which: Which::from_params(params)?,
            campaign: params.integer("campaign_id", 1..=i64::MAX)?,
            is_first: params.text("cursor").is_none(),
            done: done.zip(count).zip(of).map(|((done, count), of)| (done, count, CampaignId(of))),
        })
    }
}

/// What was decided, in a sentence.
fn receipt(done: ResolveAs, count: i64) -> String {
    match done {
        ResolveAs::Sent => format!("{} as sent now.", counted(count, "message counts", "messages count")),
        ResolveAs::Failed => format!("{} as not sent now.", counted(count, "message counts", "messages count")),
        ResolveAs::Pending => format!("{} sent again.", counted(count, "message is", "messages are")),
    }
}

#[derive(Template)]
#[template(path = "ui/uncertain.html")]
struct UncertainPage {
    frame: Frame,
    incidents: Vec<IncidentView>,
    /// What was just decided, and the campaign of it.
    receipt: Option<(String, i64)>,
    /// The only campaign that is shown.
    campaign: Option<i64>,
    first: Option<String>,
    next: Option<String>,
}

/// Shows the incidents.
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    frame: Frame,
    Query(shown): Query<Shown>,
) -> Result<HttpResponse, ApiError> {
    let Shown { which, campaign, is_first, done } = shown;
    let listed = uncertain::listed(&state, which).await?;
    let filter = campaign.map(|id| format!("campaign_id={id}"));
    let path = |more: Option<String>| {
        let parts: Vec<String> = [filter.clone(), more].into_iter().flatten().collect();
        if parts.is_empty() { "/ui/uncertain".to_owned() } else { format!("/ui/uncertain?{}", parts.join("&")) }
    };
    let option = campaign.map(|id| format!(" --campaign {id}")).unwrap_or_default();
    let query = filter.as_ref().map(|filter| format!("?{filter}")).unwrap_or_default();
    let frame = frame.titled("Uncertain");
    let frame = frame.same_as(&format!("GET /v1/uncertain{query}"), &format!("volley uncertain{option}"));
    let shown = UncertainPage {
        frame: Frame { section: Some(Section::Delivery), ..frame },
        incidents: listed.data.iter().map(IncidentView::from).collect(),
        receipt: done.map(|(done, count, of)| (receipt(done, count), of.0)),
        campaign,
        first: (!is_first).then(|| path(None)),
        next: listed.next_cursor.map(|cursor| path(Some(format!("cursor={cursor}")))),
    };
    page(StatusCode::OK, &shown)
}

/// Who is in an incident.
struct Person {
    id: i64,
    address: String,
    name: String,
    key: String,
}

#[derive(Template)]
#[template(path = "ui/incident.html")]
struct IncidentPage {
    frame: Frame,
    incident: IncidentView,
    is_whole: bool,
    people: Vec<Person>,
    first: Option<String>,
    next: Option<String>,
    matched: Option<MatchView>,
}

/// What a log says, and the forms that follow from it.
struct MatchView {
    summary: String,
    figures: [(&'static str, String); 4],
    contradicted: Option<String>,
    /// The numbers of lines that were not understood.
    lines: Option<String>,
    decisions: Vec<Decision>,
    log_sha256: String,
}

/// Some recipients that the log says the same about.
struct Decision {
    count: String,
    contacts: String,
    /// Not all of them: one resolution takes no more.
    is_part: bool,
    key: String,
    means: Vec<(&'static str, &'static str, String)>,
}

impl Decision {
    fn of(group: &provider_logs::Group, means: Vec<(&'static str, &'static str, String)>) -> Option<Self> {
        let contacts: Vec<String> = group.contact_ids.iter().map(ContactId::to_string).collect();
        (!contacts.is_empty()).then(|| Self {
            count: counted(group.count, "message", "messages"),
            is_part: i64::try_from(contacts.len()).is_ok_and(|shown| shown < group.count),
            contacts: contacts.join(","),
            key: fresh_key(),
            means,
        })
    }
}

impl From<LogMatch> for MatchView {
    fn from(found: LogMatch) -> Self {
        let lines: Vec<String> = found.lines.not_understood_at.iter().map(i64::to_string).collect();
        let both = found.contradicted.count;
        let accepted = Decision::of(&found.accepted, vec![("sent", "Count as sent", found.if_sent)]);
        let again = vec![("failed", "Count as not sent", found.if_failed), ("pending", "Send again", found.if_pending)];
        let not_accepted = Decision::of(&found.not_accepted, again);
        Self {
            figures: [
                ("accepted", grouped(found.accepted.count)),
                ("not accepted", grouped(found.not_accepted.count)),
                ("not mentioned", grouped(found.not_mentioned)),
                ("lines not understood", grouped(found.lines.not_understood)),
            ],
            contradicted: (both > 0).then(|| counted(both, "message is", "messages are")),
            lines: (!lines.is_empty()).then(|| lines.join(", ")),
            decisions: [accepted, not_accepted].into_iter().flatten().collect(),
            summary: found.summary,
            log_sha256: found.log_sha256,
        }
    }
}

fn incident_page(frame: Frame, inside: IncidentInside, is_first: bool, matched: Option<LogMatch>) -> IncidentPage {
    let IncidentInside { incident, complete, recipients, next_cursor } = inside;
    let path = format!("/ui/uncertain/{}", incident.id);
    let person = |one: uncertain::InDoubt| {
        let contact = one.contact;
        let names: Vec<String> = [contact.first_name, contact.last_name].into_iter().flatten().collect();
        let address = contact.email.or(contact.phone).or(contact.external_id);
        Person {
            id: contact.id.0,
            address: address.unwrap_or_else(|| format!("contact {}", contact.id)),
            name: names.join(" "),
            key: one.key,
        }
    };
    let frame = frame.titled(&format!("Uncertain in {}", incident.campaign_name));
    let (json, command) = (format!("/v1/uncertain/{}", incident.id), format!("volley uncertain {}", incident.id));
    let frame = match &matched {
        None => frame.same_as(&format!("GET {json}"), &command),
        Some(_) => frame.same_as(&format!("POST {json}/match"), &format!("{command} --log FILE")),
    };
    IncidentPage {
        frame: Frame { section: Some(Section::Delivery), up: Some("/ui/uncertain".to_owned()), ..frame },
        incident: IncidentView::from(&incident),
        is_whole: complete,
        people: recipients.into_iter().map(person).collect(),
        first: (!is_first).then(|| path.clone()),
        next: next_cursor.map(|cursor| format!("{path}?cursor={cursor}")),
        matched: matched.map(MatchView::from),
    }
}

/// Shows one incident and who is in it.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    frame: Frame,
    incident: web::Path<String>,
    Query(from): Query<Onwards>,
) -> Result<HttpResponse, ApiError> {
    let is_first = from.is_first();
    let inside = uncertain::shown(&state, &incident, from).await?;
    page(StatusCode::OK, &incident_page(frame, inside, is_first, None))
}

/// Shows what a pasted log says of an incident. Nothing is changed.
pub(in crate::http) async fn match_log(
    state: web::Data<AppState>,
    frame: Frame,
    incident: web::Path<String>,
    _: Query<()>,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let found = provider_logs::matched(&state, &incident, form.text("log").unwrap_or_default()).await?;
    let inside = uncertain::shown(&state, &incident, Onwards::first()).await?;
    page(StatusCode::OK, &incident_page(frame, inside, true, Some(found)))
}
