//! The form of a template: a new one, or a new version of one.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use askama::Template;
use serde_json::json;

use super::errors::Trouble;
use super::form::{Form, fresh_key, see_other};
use super::frame::{Frame, Section, page};
use super::header_lines;
use super::templates::tracked;
use crate::domain::channel::ChannelKind;
use crate::domain::content::category::Category;
use crate::domain::content::tracking::Tracking;
use crate::domain::ids::TemplateId;
use crate::domain::instant::UtcInstant;
use crate::http::api::content::templates::{self, Template as Stored, TemplateInput};
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Query, read_part};
use crate::http::web::problem::{ApiError, FieldProblem};
use crate::services::By;

/// What stands in the form.
struct Typed {
    name: String,
    channel: ChannelKind,
    category: Category,
    tracking: Tracking,
    subject: String,
    text: String,
    html: String,
    reply_to: String,
    /// One in each line.
    headers: String,
    /// Files, as JSON: the form keeps them.
    attachments: String,
}

impl Typed {
    fn nothing() -> Self {
        Self {
            name: String::new(),
            channel: ChannelKind::Email,
            category: Category::Marketing,
            tracking: Tracking::default(),
            subject: String::new(),
            text: String::new(),
            html: String::new(),
            reply_to: String::new(),
            headers: String::new(),
            attachments: "[]".to_owned(),
        }
    }

    /// A browser sends every end of a line as two characters.
    fn of(form: &Form) -> Result<Self, ApiError> {
        let text = |name: &str| form.text(name).unwrap_or_default().replace("\r\n", "\n");
        let tracking = Tracking { clicks: form.text("clicks").is_some(), opens: form.text("opens").is_some() };
        Ok(Self {
            name: text("name"),
            channel: chosen("channel", &text("channel"), ChannelKind::ALL)?,
            category: chosen("category", &text("category"), Category::ALL)?,
            tracking,
            subject: text("subject").trim().to_owned(),
            text: text("body_text"),
            html: text("body_html"),
            reply_to: text("reply_to").trim().to_owned(),
            headers: text("headers"),
            attachments: text("attachments"),
        })
    }

    fn input(&self) -> Result<TemplateInput, ApiError> {
        let files = Some(self.attachments.as_str()).filter(|files| !files.is_empty()).unwrap_or("[]");
        let files = serde_json::from_str(files)
            .map_err(|_not_json| ApiError::field("/attachments", "invalid", "is not the form's own list of files"))?;
        Ok(TemplateInput {
            name: self.name.clone(),
            channel: self.channel,
            category: self.category,
            tracking: self.tracking,
            subject: self.subject.clone(),
            body_text: self.text.clone(),
            body_html: Some(self.html.clone()).filter(|html| !html.trim().is_empty()),
            reply_to: Some(self.reply_to.clone()).filter(|address| !address.is_empty()),
            headers: header_lines::read(&self.headers)?,
            attachments: read_part(files, "/attachments")?,
        })
    }
}

/// One of a closed set of words.
pub(super) fn chosen<T: Copy + std::fmt::Display>(field: &'static str, text: &str, all: &[T]) -> Result<T, ApiError> {
    all.iter().copied().find(|one| one.to_string() == text).ok_or_else(|| {
        let allowed: Vec<String> = all.iter().map(ToString::to_string).collect();
        ApiError::field(field, "not_allowed", format!("one of: {}", allowed.join(", ")))
    })
}

/// What a form starts from.
struct Base {
    id: TemplateId,
    version: i64,
    /// When the template was changed last.
    seen: UtcInstant,
}

impl Base {
    const fn of(stored: &Stored) -> Self {
        Self { id: stored.id, version: stored.content.version, seen: stored.updated_at }
    }
}

/// What a template has become while somebody wrote.
struct Overtaken {
    /// The version that was written on, where there is a newer one.
    based_on: Option<i64>,
    /// What it is called, is for and tracks now.
    name: String,
    category: Category,
    tracking: &'static str,
}

#[derive(Template)]
#[template(path = "ui/template_edit.html")]
struct EditPage {
    frame: Frame,
    /// The template that is edited. None: a new one.
    of: Option<Base>,
    typed: Typed,
    trouble: Option<Trouble>,
    /// What is wrong with which field.
    errors: Vec<FieldProblem>,
    /// What somebody else has changed since the form was shown.
    overtaken: Option<Overtaken>,
    key: String,
}

impl EditPage {
    fn new(frame: Frame, of: Option<Base>, typed: Typed) -> Self {
        let (title, json, up) = match &of {
            None => ("New template".to_owned(), "POST /v1/templates".to_owned(), "/ui/templates".to_owned()),
            Some(Base { id, .. }) => {
                (format!("Edit {}", typed.name), format!("PATCH /v1/templates/{id}"), format!("/ui/templates/{id}"))
            }
        };
        let frame = Frame { section: Some(Section::Templates), up: Some(up), json: Some(json), ..frame.titled(&title) };
        Self { frame, of, typed, trouble: None, errors: Vec::new(), overtaken: None, key: fresh_key() }
    }

    fn channels(&self) -> &'static [ChannelKind] {
        ChannelKind::ALL
    }

    fn categories(&self) -> &'static [Category] {
        Category::ALL
    }

    /// What is wrong with a field.
    fn wrong(&self, field: &str) -> Option<&str> {
        let is_field = |error: &&FieldProblem| error.field.trim_start_matches('/').split('/').next() == Some(field);
        let found = self.errors.iter().find(is_field)?;
        Some(&found.reason)
    }

    /// The same form with what a refusal says.
    fn refused(self, error: &ApiError, request: &HttpRequest) -> Self {
        let problem = error.problem();
        Self { trouble: Some(Trouble::of(&problem, request)), errors: problem.errors, ..self }
    }
}

/// Shows the form of a new template.
pub(in crate::http) async fn blank(frame: Frame, _: Query<()>) -> Result<HttpResponse, ApiError> {
    page(StatusCode::OK, &EditPage::new(frame, None, Typed::nothing()))
}

/// Makes a template.
pub(in crate::http) async fn create(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    by: By,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let typed = Typed::of(&form)?;
    let made = async { templates::created(&state, typed.input()?, &by).await };
    let error = match made.await {
        Ok(made) => return Ok(see_other(&format!("/ui/templates/{}", made.id))),
        Err(error) if error.status_code().is_server_error() => return Err(error),
        Err(error) => error,
    };
    page(error.status_code(), &EditPage::new(frame, None, typed).refused(&error, &request))
}

/// Shows the form with the latest version.
pub(in crate::http) async fn ask(
    state: web::Data<AppState>,
    frame: Frame,
    Id(id): Id<TemplateId>,
    _: Query<()>,
) -> Result<HttpResponse, ApiError> {
    let latest = templates::one(&state, id, None).await?;
    let base = Base::of(&latest);
    let typed = Typed {
        name: latest.name,
        channel: latest.channel,
        category: latest.category,
        tracking: latest.tracking,
        subject: latest.content.subject,
        text: latest.content.body_text,
        html: latest.content.body_html.unwrap_or_default(),
        reply_to: latest.content.email.reply_to.unwrap_or_default(),
        headers: header_lines::written(&latest.content.email.headers),
        attachments: json!(latest.content.email.attachments).to_string(),
    };
    page(StatusCode::OK, &EditPage::new(frame, Some(base), typed))
}

/// Saves the form: other content is a new version. What somebody else has written since is not overwritten unseen.
pub(in crate::http) async fn save(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    Id(id): Id<TemplateId>,
    by: By,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let typed = Typed::of(&form)?;
    // A form that names no time has seen nothing.
    let seen = UtcInstant::parse(form.value("seen")).unwrap_or(UtcInstant(0));
    let saved = async { templates::replaced(&state, id, Some(seen), typed.input()?, &by).await };
    let error = match saved.await {
        Ok(_) => return Ok(see_other(&format!("/ui/templates/{id}"))),
        Err(error) => error,
    };
    let status = error.status_code();
    if status.is_server_error() || status == StatusCode::NOT_FOUND {
        return Err(error);
    }
    let stored = templates::one(&state, id, None).await?;
    let base = Base::of(&stored);
    let based_on = form.value("based_on").parse().unwrap_or(0);
    let overtaken = (base.seen != seen).then(|| Overtaken {
        based_on: Some(based_on).filter(|based_on| *based_on != base.version),
        name: stored.name,
        category: stored.category,
        tracking: tracked(stored.tracking),
    });
    page(status, &EditPage { overtaken, ..EditPage::new(frame, Some(base), typed).refused(&error, &request) })
}
