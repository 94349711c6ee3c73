//! A form that brings a file. It is read as it comes: the file is written on its way, and memory does not grow with it.

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::Payload;
use futures_util::StreamExt;

use super::form::LARGEST_SIGNED_IN;
use crate::domain::export::Format;
use crate::http::api::import::heads::{Head, Seen};
use crate::http::api::import::receiving::{Arrived, Receiving};
use crate::http::state::AppState;
use crate::http::web::extract::{in_time, refuse_content_encoding};
use crate::http::web::problem::ApiError;

/// The largest of all fields together that are no file, in bytes.
const LARGEST: usize = 64 * 1024;

/// How much of a file that is refused is read to its end all the same, in bytes: a browser that is still sending reads no answer.
const READ_ON: u64 = 256 << 20;

/// What becomes of the file of a form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Fate {
    /// It is written, to be imported.
    #[default]
    Import,
    /// It is only looked at.
    Look,
    /// It is kept in memory, to be stored as it is.
    Keep,
}

/// A file that is kept in memory.
pub(super) struct Kept {
    pub(super) name: String,
    /// Its media type, as the browser says it.
    pub(super) content_type: Option<String>,
    pub(super) bytes: Vec<u8>,
}

/// What a form has brought.
#[derive(Default)]
pub(super) struct Brought {
    fields: Vec<(String, String)>,
    fate: Fate,
    is_whole: bool,
    /// The beginning of the file, where it is only looked at.
    pub(super) seen: Option<Seen>,
    /// The file that was chosen.
    pub(super) file: Option<Arrived>,
    kept: Option<Kept>,
}

impl Brought {
    /// A form whose file is only looked at.
    pub(super) fn to_look_at() -> Self {
        Self { fate: Fate::Look, ..Self::default() }
    }

    /// A form with a file of at most `http.max_body_bytes` in its field `upload`, beside fields that may be as long as a message.
    pub(super) fn to_keep() -> Self {
        Self { fate: Fate::Keep, ..Self::default() }
    }

    /// All that was typed, as it was typed, and the file that was kept.
    pub(super) fn into_parts(self) -> (Vec<(String, String)>, Option<Kept>) {
        (self.fields, self.kept)
    }

    /// The field that has the file, the largest size of the file in bytes, and of all other fields together.
    fn limits(&self, state: &AppState) -> (&'static str, u64, usize) {
        let http = &state.settings.http;
        match self.fate {
            Fate::Import | Fate::Look => ("file", http.max_import_bytes, LARGEST),
            Fate::Keep => ("upload", u64::try_from(http.max_body_bytes).unwrap_or(u64::MAX), LARGEST_SIGNED_IN),
        }
    }

    /// What was typed into a field; empty where there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value.trim())
    }

    /// All that was typed, in its order.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.trim()))
    }

    /// Reads a form with its file. What has come before an error stays.
    pub(super) async fn read(
        &mut self,
        state: &AppState,
        request: &HttpRequest,
        payload: Payload,
    ) -> Result<(), ApiError> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !kind.to_ascii_lowercase().starts_with("multipart/form-data") {
            return Err(ApiError::UnsupportedMediaType("send the form with its file, as a browser does"));
        }
        refuse_content_encoding(request)?;
        let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let (of_file, limit, most) = self.limits(state);
        // Beside the file there are its other fields, and a few bytes around each.
        let beside = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1 << 20);
        let is_too_large = length.is_some_and(|length| length > limit.saturating_add(beside));
        let (mut form, mut size) = (Multipart::new(request.headers(), payload), 0);
        let mut refused = None;
        while let Some(field) = in_time(form.next()).await? {
            let field = field.map_err(unreadable)?;
            let name = field.name().unwrap_or_default().to_owned();
            if name != of_file {
                let value = short(field, most.saturating_sub(size), most).await?;
                size += name.len() + value.len();
                self.fields.push((name, value));
            } else {
                // A file of lines is known by its name.
                let is_table = !matches!(self.fate, Fate::Keep) && is_chosen(&field);
                let format = is_table.then(|| format_of(&field)).flatten();
                self.fields.extend(format.map(|format| ("format".to_owned(), format.to_string())));
                let taken = if is_too_large {
                    read_on(field, ApiError::TooLarge { limit }).await
                } else {
                    self.take_file(state, field, limit).await
                };
                match taken {
                    // What was typed behind the file is read, too.
                    Err(error) if error.is_refusal() => _ = refused.get_or_insert(error),
                    taken => taken?,
                }
            }
        }
        self.is_whole = true;
        refused.map_or(Ok(()), Err)
    }

    /// Whether the form was read to its end, also if its file was refused.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    async fn take_file(&mut self, state: &AppState, field: Field, limit: u64) -> Result<(), ApiError> {
        match self.fate {
            Fate::Look => self.seen = beginning(state, field).await?,
            Fate::Keep => self.kept = kept(field, limit).await?.or(self.kept.take()),
            Fate::Import => self.file = whole(state, field).await?.or(self.file.take()),
        }
        Ok(())
    }
}

/// How a file is written, by its name.
fn format_of(field: &Field) -> Option<Format> {
    Format::of_name(field.content_disposition()?.get_filename()?)
}

fn unreadable(error: MultipartError) -> ApiError {
    ApiError::Malformed { code: "body_incomplete", detail: format!("the form cannot be read: {error}") }
}

/// A field of at most `most` bytes, where all fields together have at most `all`.
async fn short(mut field: Field, most: usize, all: usize) -> Result<String, ApiError> {
    let mut value = Vec::new();
    while let Some(chunk) = in_time(field.next()).await? {
        let chunk = chunk.map_err(unreadable)?;
        if value.len() + chunk.len() > most {
            return Err(ApiError::TooLarge { limit: u64::try_from(all).unwrap_or(u64::MAX) });
        }
        value.extend_from_slice(&chunk);
    }
    let not_text =
        |error: std::string::FromUtf8Error| ApiError::Malformed { code: "encoding", detail: error.to_string() };
    String::from_utf8(value).map_err(not_text)
}

/// A file, written as it comes. `None`: none was chosen, and the browser sends an empty one without a name.
async fn whole(state: &AppState, mut field: Field) -> Result<Option<Arrived>, ApiError> {
    let is_chosen = is_chosen(&field);
    let mut receiving = Receiving::begin(state).await?;
    while let Some(chunk) = in_time(field.next()).await? {
        receiving = match receiving.take(&chunk.map_err(unreadable)?).await {
            Ok(receiving) => receiving,
            Err(error) => return read_on(field, error).await.map(|()| None),
        };
    }
    if is_chosen { receiving.finish().await.map(Some) } else { Ok(None) }
}

fn is_chosen(field: &Field) -> bool {
    let name = field.content_disposition().and_then(|disposition| disposition.get_filename());
    name.is_some_and(|name| !name.is_empty())
}

/// A file of at most `most` bytes, in memory. `None`: none was chosen.
async fn kept(mut field: Field, most: u64) -> Result<Option<Kept>, ApiError> {
    let name = field.content_disposition().and_then(|disposition| disposition.get_filename());
    let name = name.unwrap_or_default().to_owned();
    let content_type = field.content_type().map(ToString::to_string);
    let mut bytes = Vec::new();
    while let Some(chunk) = in_time(field.next()).await? {
        bytes.extend_from_slice(&chunk.map_err(unreadable)?);
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
            return read_on(field, ApiError::TooLarge { limit: most }).await.map(|()| None);
        }
    }
    Ok((!name.is_empty()).then_some(Kept { name, content_type, bytes }))
}

/// The beginning of a file. `None`: none was chosen.
async fn beginning(state: &AppState, mut field: Field) -> Result<Option<Seen>, ApiError> {
    let (is_chosen, mut head) = (is_chosen(&field), Head::begin(state));
    while let Some(chunk) = in_time(field.next()).await? {
        if let Err(error) = head.take(&chunk.map_err(unreadable)?) {
            return read_on(field, error).await.map(|()| None);
        }
    }
    Ok(is_chosen.then(|| head.finish()))
}

/// Reads a refused file on for a while, and refuses it then.
async fn read_on(mut field: Field, error: ApiError) -> Result<(), ApiError> {
    let mut read = 0;
    while let Ok(Some(Ok(chunk))) = in_time(field.next()).await
        && read < READ_ON
    {
        read += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
    }
    Err(error)
}
