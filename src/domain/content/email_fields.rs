//! What an email has beside its words: its sender, the address that answers go to, headers of its own, and files.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::attachment::{AttachmentUse, check_uses};
use super::check::reasons;
use super::mailbox::parse_mailbox;
use super::template::{Line, MAX_SUBJECT, Provided, ProvidedName, RenderError, TemplateError};
use crate::domain::channel::ChannelKind;
use crate::domain::people::contact::{FieldError, Profile};
use crate::domain::shown::shown;

/// The most headers of one template or campaign.
pub const MAX_HEADERS: usize = 20;

/// The longest name of a header, in characters: its line has to hold a value, too (RFC 5322 2.1.1).
const MAX_NAME: usize = 40;

/// The longest address to answer to, with its name, in bytes.
const MAX_REPLY_TO: usize = 320;

/// Headers that Volley writes itself, and those that only servers on the way may write. Lower case.
const RESERVED: [&str; 26] = [
    "apparently-to",
    "authentication-results",
    "bcc",
    "cc",
    "date",
    "delivered-to",
    "dkim-signature",
    "domainkey-signature",
    "from",
    "list-id",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "message-id",
    "mime-version",
    "received",
    "received-spf",
    "reply-to",
    "return-path",
    "sender",
    "subject",
    "to",
    "x-envelope-to",
    "x-mc-bccaddress",
    "x-original-to",
    "x-receiver",
    "x-smtpapi",
];

/// What all headers that are reserved as a kind begin with. Lower case.
const RESERVED_KINDS: [&str; 6] = ["arc-", "content-", "resent-", "x-mailgun-", "x-pm-metadata-", "x-volley-"];

/// Its sender, the address that answers go to, headers beyond those that Volley writes, and files. Of a template, or of one campaign.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct EmailFields {
    /// Who a campaign's emails are from: `Shop <shop@example.com>`, at the domain of its pool's sender. Absent: as the pool says. Templates
    /// have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Where answers go: `Help <help@example.com>`. Absent: as the pool says, else to the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Headers by their names, at most 20. A value may have placeholders; one that is empty for a recipient is left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Files, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<AttachmentUse>,
}

/// What changes of [`EmailFields`]. `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct EmailFieldsEdit {
    /// The inner `None` clears it.
    pub from: Option<Option<String>>,
    /// The inner `None` clears it.
    pub reply_to: Option<Option<String>>,
    /// All headers, as they are to be.
    pub headers: Option<BTreeMap<String, String>>,
    /// All files, as they are to be.
    pub attachments: Option<Vec<AttachmentUse>>,
}

impl EmailFieldsEdit {
    /// The fields after the change.
    #[must_use]
    pub fn of(self, before: EmailFields) -> EmailFields {
        EmailFields {
            from: self.from.unwrap_or(before.from),
            reply_to: self.reply_to.unwrap_or(before.reply_to),
            headers: self.headers.unwrap_or(before.headers),
            attachments: self.attachments.unwrap_or(before.attachments),
        }
    }

    /// Whether nothing is to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.from.is_none() && self.reply_to.is_none() && self.headers.is_none() && self.attachments.is_none()
    }
}

impl EmailFields {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.from.is_none() && self.reply_to.is_none() && self.headers.is_empty() && self.attachments.is_empty()
    }

    /// The names of the fields that differ from what was said `before`.
    #[must_use]
    pub fn differing(&self, before: &Self) -> Vec<&'static str> {
        let fields = [
            ("from", self.from != before.from),
            ("reply_to", self.reply_to != before.reply_to),
            ("headers", self.headers != before.headers),
            ("attachments", self.attachments != before.attachments),
        ];
        fields.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }

    /// These before those of `template`: what both say is as here. Files of both are together, these first, and one that both have in the
    /// same way is there once.
    #[must_use]
    pub fn over(self, template: Self) -> Self {
        let is_here = |name: &String| self.headers.keys().any(|own| own.eq_ignore_ascii_case(name));
        let inherited = template.headers.into_iter().filter(|(name, _)| !is_here(name)).collect::<Vec<_>>();
        let mut attachments = self.attachments;
        for file in template.attachments {
            if !attachments.contains(&file) {
                attachments.push(file);
            }
        }
        Self {
            from: self.from.or(template.from),
            reply_to: self.reply_to.or(template.reply_to),
            headers: self.headers.into_iter().chain(inherited).collect(),
            attachments,
        }
    }

    /// Checks what a channel may have of it, and whether the placeholders are fields or `known` attributes.
    ///
    /// # Errors
    /// All that is wrong; each field is a JSON pointer (RFC 6901): `/reply_to`, `/headers/X-Name`.
    pub fn check(&self, channel: ChannelKind, known: &BTreeSet<String>) -> Result<(), Vec<FieldError>> {
        let mut errors = Vec::new();
        match channel {
            // What an HTTP API is given may become an email.
            ChannelKind::Email => {}
            ChannelKind::Http => {
                if self.from.is_some() {
                    errors.push(FieldError::new("/from", "not_of_channel", "only emails have a sender of their own"));
                }
                if !self.attachments.is_empty() {
                    errors.push(FieldError::new("/attachments", "not_of_channel", "only emails have files"));
                }
            }
            ChannelKind::Sms | ChannelKind::Whatsapp => {
                let reason = format!(
                    "{channel} has neither a sender of its own nor headers nor files nor an address to answer to"
                );
                let given = [
                    ("/from", self.from.is_some()),
                    ("/reply_to", self.reply_to.is_some()),
                    ("/headers", !self.headers.is_empty()),
                    ("/attachments", !self.attachments.is_empty()),
                ];
                let given = given.into_iter().filter(|(_, given)| *given);
                errors.extend(given.map(|(field, _)| FieldError::new(field, "not_of_channel", reason.clone())));
                return if errors.is_empty() { Ok(()) } else { Err(errors) };
            }
        }
        if let Some(reason) = self.from.as_deref().and_then(|address| check_reply_to(address).err()) {
            errors.push(FieldError::new("/from", "from_invalid", reason));
        }
        if let Some(reason) = self.reply_to.as_deref().and_then(|address| check_reply_to(address).err()) {
            errors.push(FieldError::new("/reply_to", "reply_to_invalid", reason));
        }
        errors.extend(check_uses(&self.attachments).err().unwrap_or_default());
        if self.headers.len() > MAX_HEADERS {
            let reason = format!("has {} headers, the most is {MAX_HEADERS}", self.headers.len());
            errors.push(FieldError::new("/headers", "too_many_headers", reason));
            return Err(errors);
        }
        let mut seen = BTreeSet::new();
        for (name, value) in &self.headers {
            let place = || format!("/headers/{}", name.replace('~', "~0").replace('/', "~1"));
            let mut refuse = |code, reason: String| errors.push(FieldError::new(place(), code, reason));
            if let Err((code, reason)) = check_header(name, value) {
                refuse(code, reason);
            } else if !seen.insert(name.to_ascii_lowercase()) {
                refuse("header_twice", "is there twice; upper and lower case are the same".to_owned());
            } else if let Err(error) = Line::check(value, known) {
                reasons(&error).into_iter().for_each(|reason| refuse(error.code(), reason));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// Checks the address that answers go to, or that a campaign is from.
///
/// # Errors
/// One line for people: what is allowed.
pub fn check_reply_to(address: &str) -> Result<(), String> {
    let mailbox = parse_mailbox(address)?;
    let user: &str = mailbox.email.as_ref();
    if !user.is_ascii() {
        return Err("must have ASCII before the @: many servers take nothing else".to_owned());
    }
    if address.len() > MAX_REPLY_TO {
        return Err(format!("must have at most {MAX_REPLY_TO} bytes"));
    }
    let nobody = BTreeSet::new();
    if address.contains(['{', '}']) || Line::check(address, &nobody).is_err() {
        return Err("is the same for everybody: it has no placeholders".to_owned());
    }
    Ok(())
}

/// Checks a header, apart from the placeholders in its value.
///
/// # Errors
/// A stable code, and one line for people: what is allowed.
pub fn check_header(name: &str, value: &str) -> Result<(), (&'static str, String)> {
    let is_name = (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    if !is_name {
        let reason = format!(
            "{} is no name of a header: 1 to {MAX_NAME} printable characters of ASCII, without blanks and colons",
            shown(name)
        );
        return Err(("header_name", reason));
    }
    let lower = name.to_ascii_lowercase();
    let is_kind = RESERVED_KINDS.iter().any(|kind| lower.starts_with(kind));
    if is_kind || RESERVED.contains(&lower.as_str()) {
        let reason = match lower.as_str() {
            "reply-to" => "has a field of its own: reply_to".to_owned(),
            "from" => "has a field of its own in campaigns: from; else it is the pool's".to_owned(),
            "sender" => "is the pool's: from".to_owned(),
            "return-path" => "is the pool's: return_path".to_owned(),
            "cc" | "bcc" | "to" => "each message has one recipient, who is written to once".to_owned(),
            _ => "is written by Volley, or by servers on the way".to_owned(),
        };
        return Err(("header_reserved", reason));
    }
    if value.trim().is_empty() {
        return Err(("header_value", "has no value".to_owned()));
    }
    if value.chars().any(char::is_control) || value.chars().count() > MAX_SUBJECT {
        let reason = format!("a value is one line of at most {MAX_SUBJECT} characters, without control characters");
        return Err(("header_value", reason));
    }
    Ok(())
}

/// [`EmailFields`] ready to be written for each recipient.
#[derive(Debug, Clone, Default)]
pub struct CompiledFields {
    /// Who they are from, where they say so.
    pub from: Option<String>,
    /// Where answers go.
    pub reply_to: Option<String>,
    headers: Vec<(String, Line)>,
}

impl CompiledFields {
    /// Compiles the headers. Names that no contact has print nothing: they were refused when the campaign was launched.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn compile(fields: &EmailFields, known: &BTreeSet<String>) -> Result<Self, TemplateError> {
        let compiled = |(name, value): (&String, &String)| Ok((name.clone(), Line::compile(value, known)?));
        let headers = fields.headers.iter().map(compiled).collect::<Result<_, TemplateError>>()?;
        Ok(Self { from: fields.from.clone(), reply_to: fields.reply_to.clone(), headers })
    }

    /// Whether a header runs in the template language, which may take a while.
    #[must_use]
    pub fn is_program(&self) -> bool {
        self.headers.iter().any(|(_, line)| line.is_program())
    }

    /// Whether a header uses a value that Volley brings.
    #[must_use]
    pub fn uses(&self, name: ProvidedName) -> bool {
        self.headers.iter().any(|(_, line)| line.uses(name))
    }

    /// The headers of one recipient's message: names and values, each in one line. One with an empty value is not written, and keeps the pool
    /// from writing its own of that name.
    ///
    /// # Errors
    /// [`RenderError::Header`].
    pub fn render(&self, profile: &Profile, provided: &Provided) -> Result<Vec<(String, String)>, RenderError> {
        let mut headers = Vec::with_capacity(self.headers.len());
        for (name, line) in &self.headers {
            let value = line
                .render(profile, provided)
                .map_err(|what| RenderError::Header { name: name.clone(), what: what.to_owned() })?;
            headers.push((name.clone(), value));
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::FileId;

    fn fields(headers: &[(&str, &str)]) -> EmailFields {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        EmailFields { headers, ..EmailFields::default() }
    }

    fn codes(fields: &EmailFields) -> Vec<(String, String)> {
        let errors = fields.check(ChannelKind::Email, &BTreeSet::new()).err().unwrap_or_default();
        errors.into_iter().map(|error| (error.field, error.code.into_owned())).collect()
    }

    #[test]
    fn what_is_no_header_is_refused_at_its_place() {
        for (name, value, code) in [
            ("X-Campaign", "spring", None),
            ("X-Person", "{first_name|friend} {{ external_id }}", None),
            ("Auto-Submitted", "auto-generated", None),
            ("X Campaign", "a", Some("header_name")),
            ("X-Ümlaut", "a", Some("header_name")),
            ("X:", "a", Some("header_name")),
            ("", "a", Some("header_name")),
            ("BCC", "a@example.com", Some("header_reserved")),
            ("Content-Type", "text/html", Some("header_reserved")),
            ("List-Unsubscribe", "<https://example.com>", Some("header_reserved")),
            ("X-Volley-Delivery", "1", Some("header_reserved")),
            ("X-A", "a\r\nBcc: b@example.com", Some("header_value")),
            ("X-A", " ", Some("header_value")),
            ("X-A", &"x".repeat(999), Some("header_value")),
            ("X-A", "{nobody}", Some("unknown_placeholder")),
            ("X-A", "*|FNAME|*", Some("placeholder_malformed")),
        ] {
            let expected: Vec<_> = code.map(|code| (format!("/headers/{name}"), code.to_owned())).into_iter().collect();
            assert_eq!(codes(&fields(&[(name, value)])), expected, "{name}: {value}");
        }
        assert_eq!(codes(&fields(&[("X-A", "1"), ("x-a", "2")])), [("/headers/x-a".into(), "header_twice".into())]);
        let many: Vec<String> = (0..21).map(|number| format!("X-{number}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "1")).collect();
        assert_eq!(codes(&fields(&many)), [("/headers".into(), "too_many_headers".into())]);
        let answer = EmailFields { reply_to: Some("nobody".into()), ..EmailFields::default() };
        assert_eq!(codes(&answer), [("/reply_to".into(), "reply_to_invalid".into())]);
        assert!(fields(&[("X-A", "1")]).check(ChannelKind::Sms, &BTreeSet::new()).is_err());
    }

    #[test]
    fn a_campaign_says_more_than_its_template_and_wins() {
        let files = |ids: &[i64]| -> Vec<AttachmentUse> {
            ids.iter().map(|id| AttachmentUse { file_id: FileId(*id), content_id: None }).collect()
        };
        let template = EmailFields {
            reply_to: Some("a@example.com".into()),
            attachments: files(&[1, 2]),
            ..fields(&[("X-One", "template"), ("X-Two", "template")])
        };
        let both = EmailFields { attachments: files(&[3, 2]), ..fields(&[("x-one", "campaign")]) }.over(template);
        let wanted = fields(&[("x-one", "campaign"), ("X-Two", "template")]);
        let attachments = files(&[3, 2, 1]);
        assert_eq!(both, EmailFields { reply_to: Some("a@example.com".into()), attachments, ..wanted });
    }

    #[test]
    fn values_are_filled_in_for_each_recipient_and_stay_one_line() {
        let known = BTreeSet::from(["note".to_owned()]);
        let fields = fields(&[("X-Note", "{note}"), ("X-Name", "Dear {first_name|friend}"), ("X-Gone", "{gone}")]);
        let compiled = CompiledFields::compile(&fields, &known).unwrap();
        let mut profile = Profile::default();
        profile.attributes.insert("note".to_owned(), serde_json::json!("a\r\nBcc: b@example.com\u{0} {first_name}"));
        let headers = compiled.render(&profile, &Provided::default()).unwrap();
        let expected = [("X-Gone", ""), ("X-Name", "Dear friend"), ("X-Note", "a  Bcc: b@example.com  {first_name}")];
        assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        profile.attributes.insert("note".to_owned(), serde_json::json!("x".repeat(999)));
        let refused = compiled.render(&profile, &Provided::default()).unwrap_err();
        assert_eq!(refused.to_string(), "header X-Note comes to more than 998 characters");
    }
}
