//! `/v1/content/preview`: content as one reader would get it, before it is saved.

use std::collections::BTreeSet;

use actix_web::web;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::domain::channel::ChannelKind;
use crate::domain::content::advice::Advice;
use crate::domain::content::sms::SmsLength;
use crate::domain::content::template::Content;
use crate::domain::ids::ContactId;
use crate::domain::people::contact::{BuiltIn, ContactDraft, Profile};
use crate::http::state::AppState;
use crate::http::web::extract::{Json, Query};
use crate::http::web::problem::{ApiError, FieldProblem, Problem};
use crate::services::content::preview_content::{ContentPreview, Reader, preview_content};

/// Content that is saved nowhere, and who reads it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ContentPreviewInput {
    channel: ChannelKind,
    /// Emails need one.
    #[serde(default)]
    subject: String,
    #[serde(default)]
    body_text: String,
    body_html: Option<String>,
    /// Texts that go out as they are written, though they look like placeholders.
    #[serde(default)]
    literal: Vec<String>,
    /// A contact …
    contact_id: Option<ContactId>,
    /// … or values to try it with: built-in fields and attributes by their names. With neither, the reader has no value at all.
    #[schema(value_type = Option<Object>)]
    fields: Option<Map<String, Value>>,
}

/// A message as one reader would get it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Preview {
    pub(in crate::http) subject: String,
    pub(in crate::http) body_text: String,
    pub(in crate::http) body_html: Option<String>,
    /// The names that the content uses.
    pub(in crate::http) placeholders: Vec<String>,
    /// Those for which this reader has no value.
    pub(in crate::http) missing: Vec<String>,
    /// Those that no contact has ever had: a campaign with them is refused.
    pub(in crate::http) unknown: BTreeSet<String>,
    /// What its author may want to change, and is not refused for.
    pub(in crate::http) warnings: Vec<Advice>,
    /// How long it is as a text message; of other channels absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) sms: Option<SmsLength>,
}

impl From<ContentPreview> for Preview {
    fn from(preview: ContentPreview) -> Self {
        let ContentPreview { message, placeholders, missing, unknown, warnings, sms } = preview;
        Self {
            subject: message.subject,
            body_text: message.text,
            body_html: message.html,
            placeholders,
            missing,
            unknown,
            warnings,
            sms,
        }
    }
}

fn example(fields: Map<String, Value>) -> Result<Profile, ApiError> {
    let (mut draft, mut errors) = (ContactDraft::default(), Vec::new());
    for (name, value) in fields {
        let place = format!("/fields/{}", name.replace('~', "~0").replace('/', "~1"));
        let set = match (BuiltIn::from_name(&name), &value) {
            (Some(field), Value::String(text)) => draft.set(field, text),
            (Some(_), Value::Null) => Ok(()),
            (Some(_), Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                errors.push(FieldProblem::new(place, "wrong_type", "a built-in field is a text"));
                continue;
            }
            (None, _) => draft.set_attribute(&name, value),
        };
        if let Err(error) = set {
            errors.push(FieldProblem::new(place, error.code, error.reason));
        }
    }
    let ContactDraft { fields, attributes } = draft;
    if errors.is_empty() {
        Ok(Profile { fields, attributes, untracked: false })
    } else {
        Err(ApiError::Invalid(errors))
    }
}

/// Renders content for one reader before it is saved: a contact, somebody with example values, or somebody without any. Nothing is
/// stored, nothing is sent, and the links that Volley brings lead nowhere.
#[utoipa::path(post, path = "/v1/content/preview", tag = "templates", request_body = ContentPreviewInput,
    responses((status = 200, body = Preview), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn preview(
    state: web::Data<AppState>,
    _: Query<()>,
    Json(body): Json<ContentPreviewInput>,
) -> Result<web::Json<Preview>, ApiError> {
    let ContentPreviewInput { channel, subject, body_text, body_html, literal, contact_id, fields } = body;
    let reader = match (contact_id, fields) {
        (Some(_), Some(_)) => {
            let reason = "give a contact_id or fields, not both";
            return Err(ApiError::field("/fields", "not_allowed", reason));
        }
        (Some(contact), None) => Reader::Contact(contact),
        (None, fields) => Reader::Example(Box::new(example(fields.unwrap_or_default())?)),
    };
    let content = Content { subject, text: body_text, html: body_html, literal };
    Ok(web::Json(previewed(&state, channel, content, reader).await?))
}

/// Renders content that need not be stored.
pub(in crate::http) async fn previewed(
    state: &AppState,
    channel: ChannelKind,
    content: Content,
    reader: Reader,
) -> Result<Preview, ApiError> {
    Ok(preview_content(&state.services, channel, content, reader).await?.into())
}
