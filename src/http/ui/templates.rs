//! `/ui/templates` and `/ui/templates/{id}`: what messages are made of, in versions.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::asked::{Asked, Ways};
use super::campaign_users::Users;
use super::email_form::extras;
use super::frame::{Frame, Section, page};
use super::template_versions::VersionRows;
use super::words::{When, curl, grouped};
use crate::domain::channel::ChannelKind;
use crate::domain::content::category::Category;
use crate::domain::content::email_fields::EmailFields;
use crate::domain::content::tracking::Tracking;
use crate::domain::ids::TemplateId;
use crate::http::api::content::files;
use crate::http::api::content::templates::{self, Template as Stored, TemplateFilter, Version, WhichVersion};
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Query};
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
    /// What goes out as it is written, a text on each line.
    literal: String,
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
        let Version { version, subject, body_text, body_html, literal, email: _, version_created_at: _ } =
            stored.content;
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
            literal: literal.join("\n"),
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

#[derive(Template)]
#[template(path = "ui/template.html")]
struct TemplatePage {
    frame: Frame,
    template: TemplateView,
    /// What its emails have beside the words.
    extras: Vec<(String, String)>,
    /// The newest versions.
    versions: VersionRows,
    /// The newest version.
    latest: i64,
    /// How many there are, where these are not all.
    all_versions: Option<String>,
    is_latest: bool,
    users: Users,
}

/// Shows a template with its latest version, or with another.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    frame: Frame,
    Id(id): Id<TemplateId>,
    Query(which): Query<WhichVersion>,
) -> Result<HttpResponse, ApiError> {
    let stored = templates::one(&state, id, which.version()).await?;
    let EmailFields { from, reply_to, headers, attachments } = &stored.content.email;
    let extras =
        extras(from.as_deref(), reply_to.as_deref(), headers, &files::of_email(&state, attachments.clone()).await?);
    let template = TemplateView::from(stored);
    let (versions, total) = VersionRows::newest(&state, id, &frame, template.version).await?;
    let is_latest = total == template.version;
    let query = if is_latest { String::new() } else { format!("?version={}", template.version) };
    let path = format!("/v1/templates/{id}{query}");
    let frame = frame.titled(&template.name).same_as(&format!("GET {path}"), &curl("GET", &path, None));
    let shown = TemplatePage {
        frame: Frame { section: Some(Section::Templates), up: Some("/ui/templates".to_owned()), ..frame },
        template,
        extras,
        latest: total,
        all_versions: versions.are_part_of(total),
        versions,
        is_latest,
        users: Users::of_template(&state, id).await?,
    };
    page(StatusCode::OK, &shown)
}
