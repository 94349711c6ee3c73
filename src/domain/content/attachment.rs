//! Files of an email: attached to it, or shown in its HTML.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::ids::FileId;
use crate::domain::people::contact::FieldError;

/// The most files of one email.
pub const MAX_ATTACHMENTS: usize = 20;

/// The longest name of a file, in characters, and in bytes of UTF-8: a header has it in one line (RFC 2231).
const MAX_NAME: (usize, usize) = (100, 240);

/// The longest content id, in characters.
const MAX_CONTENT_ID: usize = 64;

/// The parameters of a media type that say how a file is read: its letters (RFC 2046), what a calendar entry asks for (RFC 5546), which
/// lines of a text are one (RFC 3676).
const PARAMETERS: [&str; 5] = ["charset", "component", "delsp", "format", "method"];

/// Bytes of one line of base64: 76 characters (RFC 2045 6.8).
const LINE: usize = 57;

/// That an email has a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttachmentUse {
    /// The file.
    pub file_id: FileId,
    /// The name by which the HTML shows it: `logo` is `<img src="cid:logo">` (RFC 2392). Absent: the file is attached. 1 to 64 of letters,
    /// digits, `.`, `-` and `_`, with an `@` or without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_id: Option<String>,
}

impl AttachmentUse {
    /// Which file, and what becomes of it, for people.
    #[must_use]
    pub fn described(&self) -> String {
        match &self.content_id {
            Some(id) => format!("{}, shown as cid:{id}", self.file_id),
            None => format!("{}, attached", self.file_id),
        }
    }
}

/// A file of an email, for people: what it is, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AttachedFile {
    /// The file.
    pub file_id: FileId,
    /// What it is called.
    pub name: String,
    /// Its media type: `application/pdf`.
    pub content_type: String,
    /// In bytes.
    pub size: i64,
    /// The name by which the HTML shows it. Absent: the file is attached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_id: Option<String>,
}

/// A file, ready to be part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// What it is called.
    pub name: String,
    /// Its media type: `application/pdf`, `text/csv; charset=utf-8`.
    pub content_type: String,
    /// The name by which the HTML shows it.
    pub content_id: Option<String>,
    /// Its bytes in base64, in lines of 76 characters with CRLF between them. Encoded once, and shared by all messages.
    pub base64: Arc<str>,
}

impl Attachment {
    /// The file with these `bytes`.
    #[must_use]
    pub fn new(name: String, content_type: String, content_id: Option<String>, bytes: &[u8]) -> Self {
        let mut base64 = String::with_capacity(bytes.len() / 3 * 4 + bytes.len() / LINE * 2 + 4);
        for line in bytes.chunks(LINE) {
            if !base64.is_empty() {
                base64.push_str("\r\n");
            }
            STANDARD.encode_string(line, &mut base64);
        }
        // Text without a charset is read as ASCII (RFC 2046 4.1.2).
        let is_utf8 = content_type.starts_with("text/")
            && !content_type.contains("; charset=")
            && std::str::from_utf8(bytes).is_ok();
        let content_type = if is_utf8 { format!("{content_type}; charset=utf-8") } else { content_type };
        Self { name, content_type, content_id, base64: base64.into() }
    }
}

/// Checks how many files there are, and the names by which the HTML shows them.
///
/// # Errors
/// All that is wrong; each field is a JSON pointer (RFC 6901): `/attachments/0/content_id`.
pub fn check_uses(uses: &[AttachmentUse]) -> Result<(), Vec<FieldError>> {
    if uses.len() > MAX_ATTACHMENTS {
        let reason = format!("has {} files, the most is {MAX_ATTACHMENTS}", uses.len());
        return Err(vec![FieldError::new("/attachments", "too_many_attachments", reason)]);
    }
    let mut seen = BTreeSet::new();
    let mut errors = Vec::new();
    for (place, id) in uses.iter().enumerate().filter_map(|(place, one)| Some((place, one.content_id.as_ref()?))) {
        let is_atom =
            |atom: &str| !atom.is_empty() && atom.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        let is_name = |name: &str| name.split('.').all(is_atom);
        let is_id = match id.split_once('@') {
            Some((left, right)) => is_name(left) && is_name(right),
            None => is_name(id),
        };
        let reason = if id.len() > MAX_CONTENT_ID || !is_id {
            format!(
                "must have 1 to {MAX_CONTENT_ID} of letters, digits, -, _ and single dots; one @ may stand among them"
            )
        } else if !seen.insert(id) {
            "another file has this one, too".to_owned()
        } else {
            continue;
        };
        errors.push(FieldError::new(format!("/attachments/{place}/content_id"), "content_id_invalid", reason));
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Checks the name of a file.
///
/// # Errors
/// One line for people: what is allowed.
pub fn check_name(name: &str) -> Result<(), String> {
    let (characters, bytes) = MAX_NAME;
    let fits = (1..=characters).contains(&name.chars().count()) && name.len() <= bytes;
    if fits && !name.chars().any(|c| c.is_control() || "/\\".contains(c)) && !name.trim().is_empty() {
        Ok(())
    } else {
        Err(format!(
            "must have 1 to {characters} characters, at most {bytes} bytes, without control characters, / and \\"
        ))
    }
}

/// The media type of a file in lower case, with the parameters that say how it is read: `text/calendar; method=request`. Others, such as
/// its name, stand elsewhere. `None`: it is none that a file can have.
#[must_use]
pub fn media_type(text: &str) -> Option<String> {
    let mut pieces = text.split(';').map(|piece| piece.trim().to_ascii_lowercase());
    let mut kept = pieces.next()?;
    let (kind, name) = kept.split_once('/')?;
    // What is a message or has parts of its own would be read as such.
    let is_file = !["multipart", "message"].contains(&kind) && kept != "application/x-www-form-urlencoded";
    if !is_token(kind) || !is_token(name) || !is_file {
        return None;
    }
    for (name, value) in pieces.filter_map(|piece| {
        piece.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
    }) {
        let value = value.trim_matches('"');
        if PARAMETERS.contains(&name.as_str()) && is_token(value) && !kept.contains(&format!("; {name}=")) {
            kept.push_str(&format!("; {name}={value}"));
        }
    }
    Some(kept)
}

/// Whether a part of a media type is one that needs no quotes (RFC 2045 5.1, RFC 6838 4.2).
fn is_token(text: &str) -> bool {
    (1..=60).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_lines_that_mail_can_carry() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let file = Attachment::new("a".into(), "image/png".into(), None, &bytes);
        assert!(file.base64.split("\r\n").all(|line| line.len() <= 76));
        assert_eq!(STANDARD.decode(file.base64.replace("\r\n", "")).unwrap(), bytes);
    }

    #[test]
    fn names_types_and_content_ids_are_checked() {
        for name in ["a.pdf", "Preisliste für März.pdf", "a b"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", " ", "../a", "a\\b", "a\r\nb", &"x".repeat(101), &"😀".repeat(61)] {
            assert!(check_name(name).is_err(), "{name}");
        }
        for (given, kept) in [
            ("Application/PDF; name=\"a b.pdf\"", "application/pdf"),
            ("text/calendar; method=REQUEST; charset=UTF-8", "text/calendar; method=request; charset=utf-8"),
            ("text/calendar;method=\"REQUEST\" ;method=cancel;charset", "text/calendar; method=request"),
            ("text/plain; charset=\"a\\\"b\"; boundary=x", "text/plain"),
        ] {
            assert_eq!(media_type(given).as_deref(), Some(kept), "{given}");
        }
        for none in
            ["", "pdf", "a/", "/b", "multipart/mixed", "message/rfc822", "a b/c", "application/x-www-form-urlencoded"]
        {
            assert_eq!(media_type(none), None, "{none}");
        }
        let uses = |ids: &[&str]| -> Vec<AttachmentUse> {
            ids.iter().map(|id| AttachmentUse { file_id: FileId(1), content_id: Some((*id).to_owned()) }).collect()
        };
        assert!(check_uses(&uses(&["logo", "Foot.er-1_", "logo@mail.example.com"])).is_ok());
        for wrong in [&["a b"][..], &[""], &["a", "a"], &["a>"], &["a..b"], &[".a"], &["a@"], &["a@b@c"]] {
            assert_eq!(check_uses(&uses(wrong)).unwrap_err().len(), 1, "{wrong:?}");
        }
        assert!(check_uses(&vec![AttachmentUse { file_id: FileId(1), content_id: None }; 21]).is_err());
    }
}
