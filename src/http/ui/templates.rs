//! `/ui/templates` and `/ui/templates/{id}`: what messages are made of, in versions.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::asked::{Asked, Ways};
use super::audit::actor;
use super::email_form::extras;
use super::frame::{Frame, Section, page};
use super::words::{When, counted, curl, grouped};
use crate::domain::campaigns::CampaignStatus;
use crate::domain::channel::ChannelKind;
use crate::domain::content::category::Category;
use crate::domain::content::email_fields::EmailFields;
use crate::domain::content::tracking::Tracking;
use crate::domain::ids::TemplateId;
use crate::http::api::access::audit_log;
use crate::http::api::campaigns::{self, CampaignFilter};
use crate::http::api::content::files;
use crate::http::api::content::templates::{self, Template as Stored, TemplateFilter, Version, WhichVersion};
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Id, Params, Query};
use crate::http::web::problem::ApiError;

/// A template, as pages show it.
struct TemplateView {
    id: i64,
    name: String,
    channel: ChannelKind,
    category: Category,
    tracking: &'static str,
    version: i64,
    subject: String,
    text: String,
    html: Option<String>,
    updated: When,
    created: When,
}

/// What is tracked, in words.
pub(super) const fn tracked(tracking: Tracking) -> &'static str {
    match (tracking.clicks, tracking.opens) {
        (false, false) => "nothing",
        (true, false) => "clicks",
        (false, true) => "opens",
        (true, true) => "clicks and opens",
    }
}

impl From<Stored> for TemplateView {
    fn from(stored: Stored) -> Self {
        let Version { version, subject, body_text, body_html, email: _, version_created_at: _ } = stored.content;
        Self {
            id: stored.id.0,
            name: stored.name,
            channel: stored.channel,
            category: stored.category,
            tracking: tracked(stored.tracking),
            version,
            subject,
            text: body_text,
            html: body_html,
            updated: When::of(stored.updated_at),
            created: When::of(stored.created_at),
        }
    }
}

impl TemplateView {
    /// The subject, or where the channel has none the beginning of the text.
    fn begins(&self) -> String {
        let whole = if self.subject.is_empty() { self.text.lines().next().unwrap_or_default() } else { &self.subject };
        let short: String = whole.chars().take(80).collect();
        if short.len() < whole.len() { format!("{short}…") } else { short }
    }
}

#[derive(Template)]
#[template(path = "ui/templates.html")]
struct TemplatesPage {
    frame: Frame,
    total: String,
    /// Channels: the word, and whether only it is shown.
    channels: Vec<(&'static str, bool)>,
    is_filtered: bool,
    templates: Vec<TemplateView>,
    ways: Ways,
}

/// Lists the templates.
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    frame: Frame,
    Query(asked): Query<Asked<TemplateFilter>>,
) -> Result<HttpResponse, ApiError> {
    let (which, asked) = asked.split();
    let found = templates::listed(&state, which).await?;
    let ways = asked.ways("/ui/templates", "/v1/templates", found.next_cursor.as_deref());
    let chosen = asked.text("channel");
    let frame = frame.titled("Templates").same_as(&ways.json, &ways.command);
    let shown = TemplatesPage {
        frame: Frame { section: Some(Section::Templates), ..frame },
        total: grouped(found.pagination.total_count),
        channels: ChannelKind::ALL.iter().map(|channel| (channel.as_str(), channel.as_str() == chosen)).collect(),
        is_filtered: !chosen.is_empty(),
        templates: found.data.into_iter().map(TemplateView::from).collect(),
        ways,
    };
    page(StatusCode::OK, &shown)
}

/// A version, as a line of the history.
struct VersionLine {
    version: i64,
    at: When,
    by: Option<String>,
    /// The version before it, which it can be compared with.
    before: Option<i64>,
    /// How long it is.
    size: String,
}

/// Who has written which version, where the reader may know, as far as the newest lines of the audit log say.
async fn writers(state: &AppState, id: TemplateId, frame: &Frame) -> Result<HashMap<i64, String>, ApiError> {
    if !frame.may_administer() {
        return Ok(HashMap::new());
    }
    let query = format!("object=template&object_id={id}&page_size=100");
    let which = audit_log::Which::from_params(&Params::parse(&query, audit_log::Which::NAMES)?)?;
    let mut found = HashMap::new();
    // Newest first: a later line about a version changes its name or what is tracked.
    for line in audit_log::listed(state, which).await?.data {
        let after = line.after.as_deref().and_then(|after| serde_json::from_str::<serde_json::Value>(after.get()).ok());
        if let Some(version) = after.and_then(|after| after.get("version")?.as_i64()) {
            found.insert(version, actor(&line));
        }
    }
    Ok(found)
}

/// The versions of a template, newest first.
async fn history(state: &AppState, id: TemplateId, frame: &Frame) -> Result<Vec<VersionLine>, ApiError> {
    let (all, mut writers) = (templates::versions_of(state, id).await?.data, writers(state, id, frame).await?);
    let before: Vec<Option<i64>> = all.iter().skip(1).map(|one| Some(one.version)).chain([None]).collect();
    let line = |(version, before): (&Version, Option<i64>)| {
        let chars =
            version.body_text.chars().count() + version.body_html.as_deref().unwrap_or_default().chars().count();
        VersionLine {
            version: version.version,
            at: When::of(version.version_created_at),
            by: writers.remove(&version.version),
            before,
            size: counted(i64::try_from(chars).unwrap_or(i64::MAX), "character", "characters"),
        }
    };
    Ok(all.iter().zip(before).map(line).collect())
}

/// The campaigns that are going to send a template, or are at it: id, name and status.
async fn users(state: &AppState, id: TemplateId) -> Result<Vec<(i64, String, CampaignStatus)>, ApiError> {
    let mut found = Vec::new();
    for status in [CampaignStatus::Sending, CampaignStatus::Paused, CampaignStatus::Scheduled, CampaignStatus::Draft] {
        let query = format!("status={status}&page_size=100");
        let which = CampaignFilter::from_params(&Params::parse(&query, CampaignFilter::NAMES)?)?;
        let listed = campaigns::listed(state, which).await?.data;
        let using = listed.into_iter().filter(|campaign| campaign.template_id == Some(id));
        found.extend(using.map(|campaign| (campaign.id.0, campaign.name, campaign.status)));
    }
    Ok(found)
}

#[derive(Template)]
#[template(path = "ui/template.html")]
struct TemplatePage {
    frame: Frame,
    template: TemplateView,
    /// What its emails have beside the words.
    extras: Vec<(String, String)>,
    versions: Vec<VersionLine>,
    is_latest: bool,
    users: Vec<(i64, String, CampaignStatus)>,
}

/// Shows a template with its latest version, or with another.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    frame: Frame,
    Id(id): Id<TemplateId>,
    Query(which): Query<WhichVersion>,
) -> Result<HttpResponse, ApiError> {
    let stored = templates::one(&state, id, which.version()).await?;
    let EmailFields { reply_to, headers, attachments } = &stored.content.email;
    let extras = extras(reply_to.as_deref(), headers, &files::of_email(&state, attachments.clone()).await?);
    let template = TemplateView::from(stored);
    let versions = history(&state, id, &frame).await?;
    let is_latest = versions.first().is_none_or(|newest| newest.version == template.version);
    let query = if is_latest { String::new() } else { format!("?version={}", template.version) };
    let path = format!("/v1/templates/{id}{query}");
    let frame = frame.titled(&template.name).same_as(&format!("GET {path}"), &curl("GET", &path, None));
    let shown = TemplatePage {
        frame: Frame { section: Some(Section::Templates), up: Some("/ui/templates".to_owned()), ..frame },
        template,
        extras,
        versions,
        is_latest,
        users: users(&state, id).await?,
    };
    page(StatusCode::OK, &shown)
}
