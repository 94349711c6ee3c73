//! What a template says to a contact: a document of its own, for a frame of a page.
//!
//! It runs no script and loads nothing from elsewhere: its policy allows neither. The HTML stands in a frame within it that is nobody's origin.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use askama::Template;

use super::errors::Trouble;
use super::form::Form;
use super::frame::{Frame, page};
use super::literal_lines::literal_lines;
use super::mail;
use super::template_edit::chosen;
use crate::domain::channel::ChannelKind;
use crate::domain::content::template::Content;
use crate::domain::ids::{ContactId, TemplateId};
use crate::http::api::content::previews::{Preview, previewed};
use crate::http::api::content::templates;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Id, Params, Query};
use crate::http::web::problem::ApiError;
use crate::services::content::preview_content::Reader;

#[derive(Template)]
#[template(path = "ui/template_preview.html")]
struct PreviewDocument {
    frame: Frame,
    preview: Option<Preview>,
    trouble: Option<Trouble>,
    /// Whether it is for an example and not for a contact.
    is_example: bool,
}

fn document(
    frame: Frame,
    request: &HttpRequest,
    rendered: Result<Preview, ApiError>,
    is_example: bool,
) -> Result<HttpResponse, ApiError> {
    let (status, preview, trouble) = match rendered {
        Ok(preview) => (StatusCode::OK, Some(preview), None),
        Err(error) if error.status_code().is_server_error() => return Err(error),
        Err(error) => (error.status_code(), None, Some(Trouble::of(&error.problem(), request))),
    };
    let mut answer = page(status, &PreviewDocument { frame, preview, trouble, is_example })?;
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, header::HeaderValue::from_static(mail::AROUND));
    Ok(answer)
}

/// The contact that a text names; anybody where it is empty.
fn reader_of(text: &str) -> Result<Reader, ApiError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Reader::Anybody);
    }
    let id = text.parse().ok().filter(|id: &i64| *id >= 1);
    let reason = "give the id of a contact: a number, as in the address of its page";
    id.map(|id| Reader::Contact(ContactId(id))).ok_or_else(|| ApiError::field("contact_id", "id_malformed", reason))
}

/// A version of a template, and the person to show it for.
pub(in crate::http) struct Which {
    version: Option<i64>,
    contact: String,
}

impl FromQuery for Which {
    const NAMES: &'static [&'static str] = &["version", "contact_id"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let contact = params.text("contact_id").unwrap_or_default().to_owned();
        Ok(Self { version: params.integer("version", 1..=i64::MAX)?, contact })
    }
}

/// Shows a version of a template as a contact would get it, or with example values.
pub(in crate::http) async fn stored(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    Id(id): Id<TemplateId>,
    Query(which): Query<Which>,
) -> Result<HttpResponse, ApiError> {
    let rendered = async {
        let reader = reader_of(&which.contact)?;
        let template = templates::one(&state, id, which.version).await?;
        let version = template.content;
        let content = Content {
            subject: version.subject,
            text: version.body_text,
            html: version.body_html,
            literal: version.literal,
        };
        previewed(&state, template.channel, content, reader).await
    };
    document(frame, &request, rendered.await, which.contact.trim().is_empty())
}

/// Shows what stands in the form, which is stored nowhere.
pub(in crate::http) async fn typed(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    _: Query<()>,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let text = |name: &str| form.text(name).unwrap_or_default().replace("\r\n", "\n");
    let contact = text("contact_id");
    let rendered = async {
        let channel = chosen("channel", &text("channel"), ChannelKind::ALL)?;
        let html = Some(text("body_html")).filter(|html| !html.trim().is_empty());
        let literal = literal_lines(&text("literal"));
        let content = Content { subject: text("subject").trim().to_owned(), text: text("body_text"), html, literal };
        previewed(&state, channel, content, reader_of(&contact)?).await
    };
    document(frame, &request, rendered.await, contact.trim().is_empty())
}
