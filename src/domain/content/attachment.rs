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
        let is_utf8 = content_type.starts_with("text/") && std::str::from_utf8(bytes).is_ok();
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

/// The media type of a file, without its parameters and in lower case: `application/pdf`. `None`: it is none that a file can have.
#[must_use]
pub fn media_type(text: &str) -> Option<String> {
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (kind, name) = essence.split_once('/')?;
    let is_token = |text: &str| {
        (1..=60).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
    };
    // What is a message or has parts of its own would be read as such.
    let is_file = !["multipart", "message"].contains(&kind) && essence != "application/x-www-form-urlencoded";
    (is_token(kind) && is_token(name) && is_file).then_some(essence)
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
        assert_eq!(media_type("Application/PDF; charset=x").as_deref(), Some("application/pdf"));
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
