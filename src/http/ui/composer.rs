//! `/ui/campaigns/{id}/edit`: a draft is written, saved while it is typed, and seen as one of its readers would see it.

use actix_web::http::StatusCode;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use askama::Template;
use serde_json::{Value, json};

use super::composer_beside::Beside;
use super::composer_fields::{Body, field_at, fields_of};
use super::composer_parts::{Choices, CountView, PreviewView};
use super::email_form::{self, EmailTyped, EmailView, FilesView};
use super::form::{Form, LARGEST_SIGNED_IN, fresh_key, see_other};
use super::frame::{Frame, Section, page};
use super::refused::of_what_is_there;
use super::words::{When, curl};
use crate::domain::access::audit::{Action, Object};
use crate::domain::campaigns::CampaignStatus;
use crate::domain::channel::ChannelKind;
use crate::domain::ids::CampaignId;
use crate::domain::instant::UtcInstant;
use crate::http::api::campaigns::{self, Campaign, CampaignPatch, actions};
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Query, read_part};
use crate::http::web::problem::{ApiError, FieldProblem};
use crate::services::By;

/// Why what was typed is not what is saved.
struct Held {
    code: String,
    detail: String,
}

impl Held {
    fn of(error: &ApiError) -> Self {
        let problem = error.problem();
        Self { code: problem.code.to_string(), detail: problem.detail.unwrap_or_default() }
    }

    /// Somebody else has changed the draft after the reader of the page did.
    fn overtaken() -> Self {
        let detail = "the draft has changed since you saved it.".to_owned();
        Self { code: "changed_meanwhile".to_owned(), detail }
    }

    /// Whether somebody has to decide before anything is saved.
    fn is_decided_first(&self) -> bool {
        ["changed_meanwhile", "campaign_not_editable"].contains(&self.code.as_str())
    }
}

/// Whether what was typed is saved, and why not.
#[derive(Template)]
#[template(path = "ui/composer_saved.html")]
struct SavedView {
    /// When the draft was changed last.
    at: When,
    /// The same, for the next edit to name.
    seen: String,
    trouble: Option<Held>,
    /// The page shows what somebody else has saved, and nothing that the reader has typed.
    shows_theirs: bool,
    /// The field, what it is called, and what is wrong with it.
    problems: Vec<(String, String, String)>,
}

#[derive(Template)]
#[template(path = "ui/composer.html")]
struct ComposerPage {
    frame: Frame,
    id: i64,
    name: String,
    channel: ChannelKind,
    has_html: bool,
    tracking: String,
    form: Form,
    choices: Choices,
    saved: SavedView,
    count: CountView,
    preview: PreviewView,
    /// What its emails have beside the words, where its channel has such.
    email: Option<EmailView>,
    /// The largest form that is taken, in bytes.
    most: usize,
    key: String,
}

/// What stands beside the form, alone.
#[derive(Template)]
#[template(path = "ui/composer_beside.html")]
struct BesidePage {
    saved: SavedView,
    count: CountView,
    preview: PreviewView,
    files: Option<FilesView>,
}

/// What is shown of a campaign that is no draft.
#[derive(Template)]
#[template(path = "ui/composer_closed.html")]
struct ClosedPage {
    frame: Frame,
    id: i64,
    name: String,
    status: &'static str,
    due: Option<When>,
    key: String,
}

/// What a field is called in the form.
fn called(field: &str) -> &'static str {
    match field {
        "name" => "Name",
        "description" => "What it is about",
        "props" => "Values",
        "pool" => "Pool",
        "from" => "Sender",
        "template_id" => "Template",
        "subject" => "Subject",
        "body_text" => "Text",
        "body_html" => "HTML",
        "literal" => "Sent as written",
        "category" => "Why it is sent",
        "topic_id" => "Topic",
        "rate_per_second" => "Rate",
        "retry_for" => "Tried again for",
        "scheduled_at" => "Time",
        "reply_to" => "Replies",
        "headers" => "Headers",
        _ if field.starts_with("attachments") => "Files",
        _ => "Audience",
    }
}

impl SavedView {
    fn of(campaign: &Campaign, trouble: Option<Held>, problems: &[FieldProblem]) -> Self {
        let shown = |problem: &FieldProblem| {
            let (field, reason) =
                email_form::said(problem).unwrap_or_else(|| (field_at(&problem.field), problem.reason.clone()));
            (field.clone(), called(&field).to_owned(), reason)
        };
        Self {
            at: When::of(campaign.updated_at),
            seen: campaign.updated_at.to_string(),
            trouble,
            shows_theirs: false,
            problems: problems.iter().map(shown).collect(),
        }
    }
}

impl ComposerPage {
    /// What is wrong with a field, below it.
    fn wrong(&self, field: &str) -> Option<&str> {
        let mut problems = self.saved.problems.iter();
        problems.find(|(name, ..)| name == field).map(|(.., reason)| reason.as_str())
    }

    /// Attributes of a field with which something is wrong.
    fn marks(&self, field: &str) -> String {
        match self.wrong(field) {
            Some(_) => format!(" aria-invalid=\"true\" aria-describedby=\"{field}-wrong\""),
            None => String::new(),
        }
    }

    /// Whether something is set that most campaigns do without.
    fn has_more_people(&self) -> bool {
        let fields = ["tags", "contact_ids", "campaigns", "filter", "all", "more_lists", "more_segments"];
        fields.iter().any(|field| !self.form.value(field).is_empty() || self.wrong(field).is_some())
    }

    /// Whether it has values of its own.
    fn has_values(&self) -> bool {
        !self.form.value("props").is_empty() || self.wrong("props").is_some()
    }

    /// Whether texts are named that go out as they are written.
    fn has_literal(&self) -> bool {
        !self.form.value("literal").is_empty() || self.wrong("literal").is_some()
    }

    /// Whether somebody is left out.
    fn leaves_out(&self) -> bool {
        let fields = ["not_lists", "not_segments", "not_tags", "not_contact_ids", "not_campaigns", "not_filter"];
        let more = ["not_more_lists", "not_more_segments", "exclude"];
        fields.iter().chain(&more).any(|field| !self.form.value(field).is_empty() || self.wrong(field).is_some())
    }
}

/// What was typed and not saved, or not wholly.
struct Typed {
    status: StatusCode,
    form: Form,
    trouble: Option<Held>,
    problems: Vec<FieldProblem>,
    by: Option<By>,
}

/// Reads the draft, and what is to be seen beside it.
async fn shown(
    state: &AppState,
    frame: Frame,
    id: CampaignId,
    typed: Option<Typed>,
    beside: &Beside,
) -> Result<HttpResponse, ApiError> {
    let (campaign, at) = campaigns::at_this_moment(state, id).await?;
    if typed.is_none() && campaign.status != CampaignStatus::Draft {
        return closed(frame, &campaign);
    }
    let is_untouched = typed.is_none();
    let untouched =
        || Typed { status: StatusCode::OK, form: fields_of(&campaign), trouble: None, problems: Vec::new(), by: None };
    let Typed { status, form, trouble, problems, by } = typed.unwrap_or_else(untouched);
    let is_overtaken = beside.saved.is_some_and(|saved| saved != campaign.updated_at);
    let trouble = match trouble {
        Some(trouble) if trouble.is_decided_first() => Some(trouble),
        Some(_) | None if is_overtaken => Some(Held::overtaken()),
        trouble => trouble,
    };
    // A script keeps what is typed; a page that is loaded anew has the fields as they are saved.
    let shows_theirs = is_untouched && !beside.part;
    let saved = SavedView { shows_theirs, ..SavedView::of(&campaign, trouble, &problems) };
    let count = CountView::of(state, &campaign, at, beside.count).await?;
    let preview = PreviewView::of(state, &campaign, beside.reader, beside.is_unknown).await?;
    // What the route itself shows is noted by its entry in the table; a refusal that shows somebody is not.
    if let Some(by) = by.filter(|_| preview.shows_somebody()) {
        state.gathered.note(by, Action::Read, Object::Contact, None);
    }
    let email = email_view(state, &campaign, &form, &problems).await?;
    if beside.part {
        let files = email.and_then(|email| email.files);
        return page(status, &BesidePage { saved, count, preview, files });
    }
    let choices = Choices::of(state, campaign.channel, &form).await?;
    let command = curl("PATCH", &format!("/v1/campaigns/{id}"), Some(r#"{"subject": "…"}"#));
    let frame =
        frame.titled(&format!("Edit {}", campaign.name)).same_as(&format!("PATCH /v1/campaigns/{id}"), &command);
    let up = Some(format!("/ui/campaigns/{id}"));
    let tracks = |tracked: bool, what: &'static str| tracked.then_some(what);
    let tracking: Vec<&str> = [tracks(campaign.tracking.clicks, "clicks"), tracks(campaign.tracking.opens, "opens")]
        .into_iter()
        .flatten()
        .collect();
    let composer = ComposerPage {
        frame: Frame { section: Some(Section::Campaigns), up, ..frame },
        id: id.0,
        has_html: matches!(campaign.channel, ChannelKind::Email | ChannelKind::Http),
        channel: campaign.channel,
        name: campaign.name,
        tracking: if tracking.is_empty() { "nothing".to_owned() } else { tracking.join(" and ") },
        form,
        choices,
        saved,
        count,
        preview,
        email,
        most: LARGEST_SIGNED_IN,
        key: fresh_key(),
    };
    page(status, &composer)
}

/// What the campaign's emails have beside the words, as it stands in the form.
async fn email_view(
    state: &AppState,
    campaign: &Campaign,
    form: &Form,
    problems: &[FieldProblem],
) -> Result<Option<EmailView>, ApiError> {
    let bring_to = format!("/ui/campaigns/{}/edit/files", campaign.id);
    let files = (campaign.channel == ChannelKind::Email).then_some(bring_to);
    match campaign.channel {
        ChannelKind::Email | ChannelKind::Http => {
            let fallback = "Empty: as its template or the pool says, else to the sender.";
            EmailView::of(state, &EmailTyped::of(form), files, fallback, problems).await.map(Some)
        }
        ChannelKind::Sms | ChannelKind::Whatsapp => Ok(None),
    }
}

fn closed(frame: Frame, campaign: &Campaign) -> Result<HttpResponse, ApiError> {
    let id = campaign.id;
    let frame = frame.titled(&campaign.name);
    let shown = ClosedPage {
        frame: Frame { section: Some(Section::Campaigns), up: Some(format!("/ui/campaigns/{id}")), ..frame },
        id: id.0,
        name: campaign.name.clone(),
        status: campaign.status.as_str(),
        due: campaign.scheduled_at.filter(|_| campaign.status == CampaignStatus::Scheduled).map(When::of),
        key: fresh_key(),
    };
    page(StatusCode::OK, &shown)
}

/// Shows the composer.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    frame: Frame,
    Id(id): Id<CampaignId>,
    Query(beside): Query<Beside>,
) -> Result<HttpResponse, ApiError> {
    shown(&state, frame, id, None, &beside).await
}

/// Saves what was typed, and goes where that is wanted.
pub(in crate::http) async fn save(
    state: web::Data<AppState>,
    frame: Frame,
    Id(id): Id<CampaignId>,
    by: By,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    carry_out(&state, frame, id, by, form, Vec::new()).await
}

/// Stores a file, and saves what was typed with it. A file that is refused keeps nothing else from being saved.
pub(in crate::http) async fn bring(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    Id(id): Id<CampaignId>,
    by: By,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let (form, file) = email_form::brought(&state, &request, payload, &by).await?;
    carry_out(&state, frame, id, by, form, file.err().into_iter().collect()).await
}

/// Does what a form asks for. `refused`: what is wrong with it already.
async fn carry_out(
    state: &AppState,
    frame: Frame,
    id: CampaignId,
    by: By,
    form: Form,
    refused: Vec<FieldProblem>,
) -> Result<HttpResponse, ApiError> {
    let mut seen = UtcInstant::parse(form.value("seen")).ok();
    let done = match done(state, id, &form, &by, &mut seen).await {
        Ok(Done::Wholly(_)) if !refused.is_empty() => Ok(Done::InPart(refused)),
        Ok(Done::InPart(problems)) => Ok(Done::InPart(refused.into_iter().chain(problems).collect())),
        done => done,
    };
    let beside = Beside::of(state, &form, seen).await?;
    let typed = match done {
        Ok(Done::Wholly(path)) => return Ok(see_other(&path.unwrap_or_else(|| beside.path(id)))),
        Ok(Done::InPart(problems)) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            Typed { status, form, trouble: None, problems, by: Some(by) }
        }
        Err(error) if !error.is_refusal() => return Err(error),
        Err(error) => {
            let error = of_what_is_there(error)?;
            let problems = error.problem().errors;
            let trouble = problems.is_empty().then(|| Held::of(&error));
            Typed { status: error.status_code(), form, trouble, problems, by: Some(by) }
        }
    };
    shown(state, frame, id, Some(typed), &beside).await
}

/// How far an act was done.
enum Done {
    /// Where it leads; else back to the composer.
    Wholly(Option<String>),
    /// What could not be saved. The rest is.
    InPart(Vec<FieldProblem>),
}

/// `seen`: when the draft was changed last, as the form has seen it; after a change of its own, when that was.
async fn done(
    state: &AppState,
    id: CampaignId,
    form: &Form,
    by: &By,
    seen: &mut Option<UtcInstant>,
) -> Result<Done, ApiError> {
    let act = form.value("act");
    if act == "unschedule" {
        actions::unscheduled(state, id, by).await?;
        return Ok(Done::Wholly(None));
    }
    let (campaign, _) = campaigns::at_this_moment(state, id).await?;
    if campaign.status != CampaignStatus::Draft {
        // Half-typed words would go out at the time that somebody has set.
        let detail = format!("the campaign is {}, and only drafts are written here", campaign.status);
        return Err(ApiError::Conflict { code: "campaign_not_editable", detail, ids: Vec::new() });
    }
    let problems = saved(state, id, form, by, seen).await?;
    if !problems.is_empty() {
        return Ok(Done::InPart(problems));
    }
    Ok(Done::Wholly(match act {
        "check" => Some(format!("/ui/campaigns/{id}/preflight")),
        "schedule" => {
            actions::scheduled(state, id, time_of(form.value("scheduled_at"))?, by).await?;
            Some(format!("/ui/campaigns/{id}"))
        }
        _ => None,
    }))
}

/// A time as a browser's field has it, in UTC.
fn time_of(text: &str) -> Result<UtcInstant, ApiError> {
    let text = text.trim();
    let whole = if text.len() == "2026-01-01T00:00".len() { format!("{text}:00Z") } else { format!("{text}Z") };
    UtcInstant::parse(&whole).map_err(|_not_a_time| {
        ApiError::field("/scheduled_at", "invalid", "choose a day and a time, in UTC: 2027-03-01T09:00")
    })
}

/// Saves what can be saved, and says what cannot: what is half typed keeps nothing else from being saved.
async fn saved(
    state: &AppState,
    id: CampaignId,
    form: &Form,
    by: &By,
    seen: &mut Option<UtcInstant>,
) -> Result<Vec<FieldProblem>, ApiError> {
    let mut body = Body::of(form);
    let mut problems = std::mem::take(&mut body.problems);
    body.leave_out(&problems);
    while !body.members.is_empty() {
        let mut members = body.members.clone();
        members.insert("if_updated_at".to_owned(), json!(form.value("seen")));
        let patch = read_part::<CampaignPatch>(Value::Object(members), "").map(|mut patch| {
            patch.is_part = !problems.is_empty();
            patch
        });
        let error = match patch {
            Ok(patch) => match campaigns::changed(state, id, patch, by).await {
                Ok(campaign) => {
                    *seen = Some(campaign.updated_at);
                    return Ok(problems);
                }
                Err(error) => error,
            },
            Err(error) => error,
        };
        let wrong = wrong_fields(&error);
        if !body.leave_out(&wrong) {
            return Err(error);
        }
        problems.extend(wrong);
    }
    Ok(problems)
}

/// The fields that an error is about: of what an audience names, not all say it.
fn wrong_fields(error: &ApiError) -> Vec<FieldProblem> {
    let in_audience = ["contact", "list", "segment", "tag", "campaign"];
    let problem = error.problem();
    let code = problem.code.as_ref();
    let is_missing = code.strip_suffix("_not_found").is_some_and(|what| in_audience.contains(&what));
    if problem.errors.is_empty() && (is_missing || code.starts_with("segment_")) {
        return vec![FieldProblem::new("/audience", problem.code, error.to_string())];
    }
    problem.errors
}
