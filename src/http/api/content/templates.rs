//! `/v1/templates`: content with placeholders, in versions.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::pointers::CONTENT;
use super::previews::Preview;
use crate::domain::channel::ChannelKind;
use crate::domain::content::advice::{Advice, advise, advise_on_files};
use crate::domain::content::attachment::AttachmentUse;
use crate::domain::content::category::Category;
use crate::domain::content::email_fields::{EmailFields, EmailFieldsEdit};
use crate::domain::content::template::Content;
use crate::domain::content::tracking::Tracking;
use crate::domain::ids::{ContactId, TemplateId};
use crate::domain::instant::UtcInstant;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Id, Json, Params, Query, present};
use crate::http::web::paging::{ListParams, Listing, Paging};
use crate::http::web::problem::{ApiError, Problem};
use crate::http::web::text;
use crate::services::By;
use crate::services::content::change_template::{Change, change_template, check_channel};
use crate::services::content::create_template::{NewTemplate, create_template};
use crate::services::content::delete_template::delete_template;
use crate::services::content::preview_template::preview_template;
use crate::store::Lane;
use crate::store::content::templates::{self, TemplateRow, VersionRow};

/// Longest name, in characters.
const MAX_NAME: usize = 200;

/// A template with one of its versions.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Template {
    pub(in crate::http) id: TemplateId,
    pub(in crate::http) name: String,
    pub(in crate::http) channel: ChannelKind,
    pub(in crate::http) category: Category,
    pub(in crate::http) tracking: Tracking,
    #[serde(flatten)]
    pub(in crate::http) content: Version,
    pub(in crate::http) created_at: UtcInstant,
    pub(in crate::http) updated_at: UtcInstant,
    /// In the answer to who saves it: what may be better. Nothing of it is refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::http) warnings: Vec<Advice>,
}

impl Template {
    /// The answer to who has saved it.
    fn saved(row: TemplateRow) -> Self {
        let html = row.version.body_html.as_deref().unwrap_or_default();
        let warnings =
            advise(html).into_iter().chain(advise_on_files(html, &row.version.email.0.attachments)).collect();
        Self { warnings, ..row.into() }
    }
}

/// One revision of a template's content.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Version {
    /// From 1.
    pub(in crate::http) version: i64,
    pub(in crate::http) subject: String,
    pub(in crate::http) body_text: String,
    pub(in crate::http) body_html: Option<String>,
    /// Texts that go out as they are written, though they look like placeholders.
    pub(in crate::http) literal: Vec<String>,
    #[serde(flatten)]
    pub(in crate::http) email: EmailFields,
    /// When this version was written.
    pub(in crate::http) version_created_at: UtcInstant,
}

impl From<VersionRow> for Version {
    fn from(row: VersionRow) -> Self {
        let VersionRow { id: _, version, subject, body_text, body_html, created_at, email, literal } = row;
        let (email, literal) = (email.0, literal.0);
        Self { version, subject, body_text, body_html, literal, email, version_created_at: created_at }
    }
}

impl From<TemplateRow> for Template {
    fn from(row: TemplateRow) -> Self {
        let TemplateRow { id, name, channel, category, tracking, created_at, updated_at, version } = row;
        let tracking = tracking.into();
        let warnings = Vec::new();
        Self { id, name, channel, category, tracking, content: version.into(), created_at, updated_at, warnings }
    }
}

/// A template as a whole.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct TemplateInput {
    pub(in crate::http) name: String,
    /// Does not change once the template is there.
    pub(in crate::http) channel: ChannelKind,
    /// Why its messages are sent: `marketing` unless given. `transactional` asks nobody whether they agreed.
    #[serde(default = "marketing")]
    pub(in crate::http) category: Category,
    /// What is tracked of its emails: clicks and no opens unless given.
    #[serde(default)]
    pub(in crate::http) tracking: Tracking,
    /// Emails need one.
    #[serde(default)]
    pub(in crate::http) subject: String,
    #[serde(default)]
    pub(in crate::http) body_text: String,
    pub(in crate::http) body_html: Option<String>,
    /// Texts that go out as they are written, though they look like placeholders: `["[Email]"]`. At most 20, of one line each.
    #[serde(default)]
    pub(in crate::http) literal: Vec<String>,
    /// Where answers go: `Help <help@example.com>`. Left out: as the pool says, else to the sender.
    pub(in crate::http) reply_to: Option<String>,
    /// Headers by their names, at most 20; a value may have placeholders.
    #[serde(default)]
    pub(in crate::http) headers: BTreeMap<String, String>,
    /// Files that its emails have, at most 20.
    #[serde(default)]
    pub(in crate::http) attachments: Vec<AttachmentUse>,
}

fn marketing() -> Category {
    Category::Marketing
}

/// What is to change. Other content makes a new version.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct TemplatePatch {
    name: Option<String>,
    category: Option<Category>,
    tracking: Option<Tracking>,
    subject: Option<String>,
    body_text: Option<String>,
    /// `null` removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    body_html: Option<Option<String>>,
    /// All texts that go out as they are written.
    literal: Option<Vec<String>>,
    /// `null` removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    reply_to: Option<Option<String>>,
    /// All headers as they are to be.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    headers: Option<Option<BTreeMap<String, String>>>,
    /// All files as they are to be.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<AttachmentUse>>)]
    attachments: Option<Option<Vec<AttachmentUse>>>,
    /// The `updated_at` that was seen: if the template has changed since, the change is refused with `changed_meanwhile`.
    if_updated_at: Option<UtcInstant>,
}

/// The contact to render for.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = TemplatePreviewInput)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct PreviewInput {
    contact_id: ContactId,
    /// The latest unless given.
    version: Option<i64>,
}

#[derive(Debug)]
pub(in crate::http) struct TemplateFilter {
    paging: Paging,
    channel: Option<ChannelKind>,
}

impl TemplateFilter {
    /// The newest ones of a channel, as many as one answer has at most.
    pub(in crate::http) fn newest(channel: ChannelKind) -> Self {
        Self { paging: Paging::newest("templates"), channel: Some(channel) }
    }
}

impl FromQuery for TemplateFilter {
    const NAMES: &'static [&'static str] = &["page", "page_size", "anchor", "cursor", "channel"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let channel = params.choice("channel", ChannelKind::ALL)?;
        Ok(Self { paging: Paging::read(params, "templates", &["channel"])?, channel })
    }
}

/// Which part of a template's versions.
#[derive(Debug)]
pub(in crate::http) struct VersionFilter(Paging);

impl FromQuery for VersionFilter {
    const NAMES: &'static [&'static str] = &["page", "page_size", "anchor", "cursor"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        Paging::read(params, "template_versions", &[]).map(Self)
    }
}

#[derive(Debug)]
pub(in crate::http) struct WhichVersion(Option<i64>);

impl WhichVersion {
    /// The version; none: the latest.
    pub(in crate::http) const fn version(&self) -> Option<i64> {
        self.0
    }
}

impl FromQuery for WhichVersion {
    const NAMES: &'static [&'static str] = &["version"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        params.integer("version", 1..=i64::MAX).map(Self)
    }
}

/// Creates a template.
#[utoipa::path(post, path = "/v1/templates", tag = "templates", request_body = TemplateInput,
    responses((status = 201, body = Template), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn create(
    state: web::Data<AppState>,
    _: Query<()>,
    by: By,
    Json(body): Json<TemplateInput>,
) -> Result<HttpResponse, ApiError> {
    let template = created(&state, body, &by).await?;
    let location = format!("/v1/templates/{}", template.id);
    Ok(HttpResponse::Created().insert_header(("Location", location)).json(template))
}

/// Makes a template.
pub(in crate::http) async fn created(state: &AppState, body: TemplateInput, by: &By) -> Result<Template, ApiError> {
    let TemplateInput {
        name,
        channel,
        category,
        tracking,
        subject,
        body_text,
        body_html,
        literal,
        reply_to,
        headers,
        attachments,
    } = body;
    let name = text::name("/name", &name, MAX_NAME)?;
    let content = Content { subject, text: body_text, html: body_html, literal };
    let email = EmailFields { from: None, reply_to, headers, attachments };
    let new = NewTemplate { name, channel, category, tracking, content, email };
    let created = create_template(&state.services, new, by).await;
    Ok(Template::saved(created.map_err(|error| CONTENT.refusal(error))?))
}

/// Lists templates with their latest versions, newest first.
#[utoipa::path(get, path = "/v1/templates", tag = "templates",
    params(("channel" = Option<ChannelKind>, Query), ListParams),
    responses((status = 200, body = Listing<Template>), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    Query(filter): Query<TemplateFilter>,
) -> Result<web::Json<Listing<Template>>, ApiError> {
    Ok(web::Json(listed(&state, filter).await?))
}

/// A part of the templates.
pub(in crate::http) async fn listed(state: &AppState, filter: TemplateFilter) -> Result<Listing<Template>, ApiError> {
    let TemplateFilter { paging, channel } = filter;
    let window = paging.window();
    let list = move |conn: &mut _| templates::list(conn, channel, window);
    let slice = state.store.run(Lane::Read, "list templates", list).await?;
    Ok(paging.answer(slice.map(Template::from), |template| template.id.0))
}

/// A template with its latest version, or with another.
pub(in crate::http) async fn one(state: &AppState, id: TemplateId, version: Option<i64>) -> Result<Template, ApiError> {
    Ok(find(state, id, version).await?.into())
}

async fn find(state: &AppState, id: TemplateId, version: Option<i64>) -> Result<TemplateRow, ApiError> {
    let find = move |conn: &mut _| templates::find(conn, id, version);
    let row = state.store.run(Lane::Read, "read a template", find).await?;
    row.ok_or_else(|| match version {
        None => ApiError::not_found("template", id.0),
        Some(version) => ApiError::NotFound { what: "template_version", ids: vec![version] },
    })
}

/// Shows a template with its latest version, or with another.
#[utoipa::path(get, path = "/v1/templates/{id}", tag = "templates",
    params(("id" = i64, Path), ("version" = Option<i64>, Query)),
    responses((status = 200, body = Template), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    Id(id): Id<TemplateId>,
    Query(WhichVersion(version)): Query<WhichVersion>,
) -> Result<web::Json<Template>, ApiError> {
    Ok(web::Json(find(&state, id, version).await?.into()))
}

/// Lists the versions of a template, newest first.
#[utoipa::path(get, path = "/v1/templates/{id}/versions", tag = "templates", params(("id" = i64, Path), ListParams),
    responses((status = 200, body = Listing<Version>), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn versions(
    state: web::Data<AppState>,
    Id(id): Id<TemplateId>,
    Query(filter): Query<VersionFilter>,
) -> Result<web::Json<Listing<Version>>, ApiError> {
    versions_of(&state, id, filter).await.map(web::Json)
}

/// A part of the versions of a template.
pub(in crate::http) async fn versions_of(
    state: &AppState,
    id: TemplateId,
    VersionFilter(paging): VersionFilter,
) -> Result<Listing<Version>, ApiError> {
    let window = paging.window();
    let versions = move |conn: &mut _| templates::versions(conn, id, window);
    let slice = state.store.run(Lane::Read, "list the versions of a template", versions).await?;
    let slice = slice.ok_or(ApiError::not_found("template", id.0))?;
    Ok(paging.answer(slice.map(Version::from), |version| version.version))
}

/// Replaces a template; other content makes a new version.
#[utoipa::path(put, path = "/v1/templates/{id}", tag = "templates", params(("id" = i64, Path)),
    request_body = TemplateInput, responses((status = 200, body = Template), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn replace(
    state: web::Data<AppState>,
    Id(id): Id<TemplateId>,
    _: Query<()>,
    by: By,
    Json(body): Json<TemplateInput>,
) -> Result<web::Json<Template>, ApiError> {
    replaced(&state, id, None, body, &by).await.map(web::Json)
}

/// Replaces a template. `seen`: when it was changed last, as the editor has seen it, if that is known; a later change is not overwritten.
pub(in crate::http) async fn replaced(
    state: &AppState,
    id: TemplateId,
    seen: Option<UtcInstant>,
    body: TemplateInput,
    by: &By,
) -> Result<Template, ApiError> {
    let latest = find(state, id, None).await?;
    check_channel(&latest, body.channel)?;
    let name = text::name("/name", &body.name, MAX_NAME)?;
    let content = Content { subject: body.subject, text: body.body_text, html: body.body_html, literal: body.literal };
    let email =
        EmailFields { from: None, reply_to: body.reply_to, headers: body.headers, attachments: body.attachments };
    let (category, tracking) = (Some(body.category), Some(body.tracking));
    let change = Change { name: Some(name), category, tracking, content, email, seen };
    Ok(Template::saved(change_template(&state.services, &latest, change, by).await?))
}

/// Changes a template; other content makes a new version.
#[utoipa::path(patch, path = "/v1/templates/{id}", tag = "templates", params(("id" = i64, Path)),
    request_body = TemplatePatch, responses((status = 200, body = Template), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn change(
    state: web::Data<AppState>,
    Id(id): Id<TemplateId>,
    _: Query<()>,
    by: By,
    Json(body): Json<TemplatePatch>,
) -> Result<web::Json<Template>, ApiError> {
    let latest = find(&state, id, None).await?;
    let name = body.name.map(|name| text::name("/name", &name, MAX_NAME)).transpose()?;
    let mut content = latest.version.content();
    content.subject = body.subject.unwrap_or(content.subject);
    content.text = body.body_text.unwrap_or(content.text);
    content.html = body.body_html.unwrap_or(content.html);
    content.literal = body.literal.unwrap_or(content.literal);
    let email = EmailFieldsEdit {
        from: None,
        reply_to: body.reply_to,
        headers: body.headers.map(Option::unwrap_or_default),
        attachments: body.attachments.map(Option::unwrap_or_default),
    }
    .of(latest.version.email.0.clone());
    let (category, tracking, seen) = (body.category, body.tracking, body.if_updated_at);
    let change = Change { name, category, tracking, content, email, seen };
    let row = change_template(&state.services, &latest, change, &by).await?;
    Ok(web::Json(Template::saved(row)))
}

/// Deletes a template. Refused while a campaign that is scheduled, sending or paused uses it.
#[utoipa::path(delete, path = "/v1/templates/{id}", tag = "templates", params(("id" = i64, Path)),
    responses((status = 204), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn delete(
    state: web::Data<AppState>,
    Id(id): Id<TemplateId>,
    _: Query<()>,
    by: By,
) -> Result<HttpResponse, ApiError> {
    delete_template(&state.services, id, &by).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Renders a template for one contact.
#[utoipa::path(post, path = "/v1/templates/{id}/preview", tag = "templates", params(("id" = i64, Path)),
    request_body = PreviewInput, responses((status = 200, body = Preview), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn preview(
    state: web::Data<AppState>,
    Id(id): Id<TemplateId>,
    _: Query<()>,
    Json(body): Json<PreviewInput>,
) -> Result<web::Json<Preview>, ApiError> {
    Ok(web::Json(preview_template(&state.services, id, body.version, body.contact_id).await?.into()))
}
