//! The form of a template: a new one, or a new version of one.

use actix_web::http::StatusCode;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::email_form::{self, EmailTyped, EmailView};
use super::errors::Trouble;
use super::form::{Form, fresh_key, see_other};
use super::frame::{Frame, Section, page};
use super::header_lines;
use super::literal_lines::literal_lines;
use super::refused::{Refusal, led_on, refused};
use super::templates::tracked;
use crate::domain::channel::ChannelKind;
use crate::domain::content::category::Category;
use crate::domain::content::tracking::Tracking;
use crate::domain::ids::TemplateId;
use crate::domain::instant::UtcInstant;
use crate::http::api::content::files::File;
use crate::http::api::content::templates::{self, Template as Stored, TemplateInput};
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Query, read_part};
use crate::http::web::problem::{ApiError, FieldProblem};
use crate::services::By;

/// Where answers to the emails of a template go that says nothing of it.
const FALLBACK: &str = "Empty: as the pool says, else to the sender.";

/// What stands in the form.
struct Typed {
    name: String,
    channel: ChannelKind,
    category: Category,
    tracking: Tracking,
    subject: String,
    text: String,
    html: String,
    /// A text on each line.
    literal: String,
    email: EmailTyped,
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
            literal: String::new(),
            email: EmailTyped::default(),
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
            literal: text("literal"),
            email: EmailTyped::of(form),
        })
    }

    fn input(&self) -> Result<TemplateInput, ApiError> {
        Ok(TemplateInput {
            name: self.name.clone(),
            channel: self.channel,
            category: self.category,
            tracking: self.tracking,
            subject: self.subject.clone(),
            body_text: self.text.clone(),
            body_html: Some(self.html.clone()).filter(|html| !html.trim().is_empty()),
            literal: literal_lines(&self.literal),
            reply_to: Some(self.email.reply_to.clone()).filter(|address| !address.is_empty()),
            headers: header_lines::read(&self.email.headers)?,
            attachments: read_part(self.email.attachments()?, "/attachments")?,
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

    /// What a form says that it starts from. A form that names no time has seen nothing.
    fn typed(id: TemplateId, form: &Form) -> Self {
        let version = form.value("based_on").parse().unwrap_or(0);
        Self { id, version, seen: UtcInstant::parse(form.value("seen")).unwrap_or(UtcInstant(0)) }
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

impl Overtaken {
    /// What a template has become since a form has seen it, if anything has changed.
    fn since(seen: UtcInstant, based_on: i64, now: &Base, stored: Stored) -> Option<Self> {
        (now.seen != seen).then(|| Self {
            based_on: Some(based_on).filter(|based_on| *based_on != now.version),
            name: stored.name,
            category: stored.category,
            tracking: tracked(stored.tracking),
        })
    }
}

#[derive(Template)]
#[template(path = "ui/template_edit.html")]
struct EditPage {
    frame: Frame,
    /// The template that is edited. None: a new one.
    of: Option<Base>,
    typed: Typed,
    /// What its emails have beside the words.
    email: EmailView,
    trouble: Option<Trouble>,
    /// What is wrong with which field.
    errors: Vec<FieldProblem>,
    /// What somebody else has changed since the form was shown.
    overtaken: Option<Overtaken>,
    /// A file that has just come, and stands in the form.
    brought: Option<String>,
    key: String,
}

impl EditPage {
    async fn of(
        state: &AppState,
        frame: Frame,
        of: Option<Base>,
        typed: Typed,
        errors: Vec<FieldProblem>,
    ) -> Result<Self, ApiError> {
        let (title, json, here) = match &of {
            None => ("New template".to_owned(), "POST /v1/templates".to_owned(), "/ui/templates/new".to_owned()),
            Some(Base { id, .. }) => (
                format!("Edit {}", typed.name),
                format!("PATCH /v1/templates/{id}"),
                format!("/ui/templates/{id}/edit"),
            ),
        };
        let up = of.as_ref().map_or_else(|| "/ui/templates".to_owned(), |of| format!("/ui/templates/{}", of.id));
        let frame = Frame { section: Some(Section::Templates), up: Some(up), json: Some(json), ..frame.titled(&title) };
        let email = EmailView::of(state, &typed.email, Some(format!("{here}/files")), FALLBACK, &errors).await?;
        let (trouble, overtaken, brought, key) = (None, None, None, fresh_key());
        Ok(Self { frame, of, typed, email, trouble, errors, overtaken, brought, key })
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
}

/// Shows the form of a new template.
pub(in crate::http) async fn blank(
    state: web::Data<AppState>,
    frame: Frame,
    _: Query<()>,
) -> Result<HttpResponse, ApiError> {
    page(StatusCode::OK, &EditPage::of(&state, frame, None, Typed::nothing(), Vec::new()).await?)
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
        Err(error) => error,
    };
    refused(error, &request, async |Refusal { trouble, errors, .. }| {
        let shown = EditPage::of(&state, frame, None, typed, errors).await?;
        Ok(EditPage { trouble: Some(trouble), ..shown })
    })
    .await
}

/// Stores a file, and shows the form of a new template with it. Nothing else is stored.
pub(in crate::http) async fn bring(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    by: By,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let (form, file) = email_form::brought(&state, &request, payload, &by).await?;
    with_file(&state, frame, None, &form, file).await
}

/// Stores a file, and shows the form of a template with it. The template stays as it is.
pub(in crate::http) async fn bring_to(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    Id(id): Id<TemplateId>,
    by: By,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    templates::one(&state, id, None).await?;
    let (form, file) = email_form::brought(&state, &request, payload, &by).await?;
    with_file(&state, frame, Some(Base::typed(id, &form)), &form, file).await
}

async fn with_file(
    state: &AppState,
    frame: Frame,
    of: Option<Base>,
    form: &Form,
    file: Result<File, FieldProblem>,
) -> Result<HttpResponse, ApiError> {
    let status = if file.is_ok() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let (brought, errors) = match file {
        Ok(file) => (Some(file.name), Vec::new()),
        Err(problem) => (None, vec![problem]),
    };
    page(status, &EditPage { brought, ..EditPage::of(state, frame, of, Typed::of(form)?, errors).await? })
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
        literal: latest.content.literal.join("\n"),
        email: EmailTyped::stored(&latest.content.email),
    };
    page(StatusCode::OK, &EditPage::of(&state, frame, Some(base), typed, Vec::new()).await?)
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
    let Base { version: based_on, seen, .. } = Base::typed(id, &form);
    let saved = async { templates::replaced(&state, id, Some(seen), typed.input()?, &by).await };
    let done = saved.await.map(|_| format!("/ui/templates/{id}"));
    led_on(done, &request, async |Refusal { trouble, errors, .. }| {
        let stored = templates::one(&state, id, None).await?;
        let base = Base::of(&stored);
        let overtaken = Overtaken::since(seen, based_on, &base, stored);
        let shown = EditPage::of(&state, frame, Some(base), typed, errors).await?;
        Ok(EditPage { trouble: Some(trouble), overtaken, ..shown })
    })
    .await
}
