//! Message content in bodies: what templates and campaigns check before they store any.

use std::collections::BTreeSet;

use crate::domain::channel::ChannelKind;
use crate::domain::content::template::{Compiled, Content, MAX_SUBJECT, Part, SubjectRule, TemplateError};
use crate::http::web::problem::{ApiError, FieldProblem};

/// How many valid names an error lists.
const LISTED_NAMES: usize = 200;

/// Where the parts of a content stand in a body, as JSON pointers.
#[derive(Debug, Clone, Copy)]
pub struct Pointers {
    /// The subject line.
    pub subject: &'static str,
    /// The plain text.
    pub text: &'static str,
    /// The HTML.
    pub html: &'static str,
}

/// Where templates have them.
pub const TEMPLATE: Pointers = Pointers { subject: "/subject", text: "/body_text", html: "/body_html" };

impl Pointers {
    fn of(&self, part: Part) -> &'static str {
        match part {
            Part::Subject => self.subject,
            Part::Text => self.text,
            Part::Html => self.html,
        }
    }
}

/// Checks content for a channel and compiles it. Valid placeholders are the built-in fields and `known` attributes.
///
/// # Errors
/// 422, naming each wrong part by its pointer.
pub fn check(
    channel: ChannelKind,
    content: &Content,
    known: &BTreeSet<String>,
    pointers: Pointers,
) -> Result<Compiled, ApiError> {
    check_shape(channel, content, pointers)?;
    Compiled::compile(content, known)
        .and_then(|compiled| compiled.try_out().map(|()| compiled.with_subject_rule(SubjectRule::of(channel))))
        .map_err(|error| ApiError::Invalid(problems_of(&error, pointers)))
}

/// As [`check`], but unknown placeholders are no error: they are listed, and print nothing.
///
/// # Errors
/// As [`check`].
pub fn check_for_preview(
    channel: ChannelKind,
    content: &Content,
    known: &BTreeSet<String>,
    pointers: Pointers,
) -> Result<(Compiled, BTreeSet<String>), ApiError> {
    check_shape(channel, content, pointers)?;
    Compiled::compile_leniently(content, known)
        .and_then(|(compiled, unknown)| {
            compiled.try_out().map(|()| (compiled.with_subject_rule(SubjectRule::of(channel)), unknown))
        })
        .map_err(|error| ApiError::Invalid(problems_of(&error, pointers)))
}

/// What a channel asks of content, before its placeholders are looked at.
fn check_shape(channel: ChannelKind, content: &Content, pointers: Pointers) -> Result<(), ApiError> {
    let mut problems = Vec::new();
    let mut refuse = |field, code, reason: &str| problems.push(FieldProblem::new(field, code, reason));
    let is_blank = |text: &str| text.trim().is_empty();
    let has_html = content.html.as_deref().is_some_and(|html| !is_blank(html));
    if content.subject.chars().any(char::is_control) {
        refuse(pointers.subject, "control_character", "a subject is one line without control characters");
    }
    if content.subject.chars().count() > MAX_SUBJECT {
        refuse(pointers.subject, "subject_too_long", &format!("at most {MAX_SUBJECT} characters"));
    }
    if has_nul(&content.text) {
        refuse(pointers.text, "control_character", "contains control characters");
    }
    if content.html.as_deref().is_some_and(has_nul) {
        refuse(pointers.html, "control_character", "contains control characters");
    }
    match channel {
        ChannelKind::Email => {
            if is_blank(&content.subject) {
                refuse(pointers.subject, "subject_required", "an email needs a subject");
            }
            if is_blank(&content.text) && !has_html {
                refuse(pointers.text, "body_required", "an email needs a text or an HTML body");
            }
        }
        ChannelKind::Sms | ChannelKind::Whatsapp => {
            if is_blank(&content.text) {
                refuse(pointers.text, "body_required", "the message needs a text");
            }
            if content.html.is_some() {
                refuse(pointers.html, "html_not_allowed", "this channel shows no HTML");
            }
        }
        ChannelKind::Http => {
            if is_blank(&content.text) && !has_html {
                refuse(pointers.text, "body_required", "the message needs a text or an HTML body");
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(ApiError::Invalid(problems)) }
}

fn has_nul(text: &str) -> bool {
    text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}

fn problems_of(error: &TemplateError, pointers: Pointers) -> Vec<FieldProblem> {
    let code = error.code();
    match error {
        TemplateError::UnknownNames { unknown, valid } => {
            let mut names = valid.iter().take(LISTED_NAMES).cloned().collect::<Vec<_>>().join(", ");
            if valid.len() > LISTED_NAMES {
                names.push_str(", …");
            }
            unknown
                .iter()
                .map(|name| {
                    let at = format!("line {}, column {}", name.line, name.column);
                    let reason = format!(
                        "no contact has {}, {at}; valid are: {names}",
                        crate::http::web::problem::shown(&name.name)
                    );
                    FieldProblem::new(pointers.of(name.part), code, reason)
                })
                .collect()
        }
        TemplateError::Syntax { part, line, column, detail } => {
            vec![FieldProblem::new(pointers.of(*part), code, format!("line {line}, column {column}: {detail}"))]
        }
        TemplateError::TooLong { part, .. } | TemplateError::TooHeavy { part, .. } => {
            vec![FieldProblem::new(pointers.of(*part), code, error.to_string())]
        }
    }
}
