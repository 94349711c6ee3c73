//! What a channel asks of content, before a template or a campaign may have it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::props::{self, Props};
use super::template::{
    Compiled, Content, MAX_SUBJECT, Part, RenderError, SubjectRule, TemplateError, has_placeholders, position,
};
use crate::domain::channel::ChannelKind;
use crate::domain::people::contact::{Attributes, FieldError};
use crate::domain::shown::shown;

/// How many valid names an error lists.
const LISTED_NAMES: usize = 200;

/// What is wrong with one part of a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartProblem {
    /// The part.
    pub part: Part,
    /// Stable, for programs: `subject_required`.
    pub code: &'static str,
    /// For people: what is wrong, and what is allowed.
    pub reason: String,
}

impl PartProblem {
    fn new(part: Part, code: &'static str, reason: impl Into<String>) -> Self {
        Self { part, code, reason: reason.into() }
    }
}

/// Checks content for a channel and compiles it. Valid placeholders are the built-in fields and `known` attributes.
///
/// # Errors
/// What is wrong with which part.
pub fn check(channel: ChannelKind, content: &Content, known: &BTreeSet<String>) -> Result<Compiled, Vec<PartProblem>> {
    check_shape(channel, content)?;
    content.check_placeholders(known).map_err(|error| problems_of(&error))?;
    Compiled::compile(content, known)
        .and_then(|compiled| compiled.try_out().map(|()| compiled.with_subject_rule(SubjectRule::of(channel))))
        .map_err(|error| problems_of(&error))
}

/// As [`check`], but unknown placeholders are no error: they are listed, and print nothing.
///
/// # Errors
/// As [`check`].
pub fn check_for_preview(
    channel: ChannelKind,
    content: &Content,
    known: &BTreeSet<String>,
) -> Result<(Compiled, BTreeSet<String>), Vec<PartProblem>> {
    check_shape(channel, content)?;
    content.check_placeholders(known).map_err(|error| problems_of(&error))?;
    Compiled::compile_leniently(content, known)
        .and_then(|(compiled, unknown)| {
            compiled.try_out().map(|()| (compiled.with_subject_rule(SubjectRule::of(channel)), unknown))
        })
        .map_err(|error| problems_of(&error))
}

/// Checks the values that a campaign brings to its content. They are printed as they are.
///
/// # Errors
/// What is wrong; each field is a JSON pointer.
pub fn check_props(values: Attributes) -> Result<Props, Vec<FieldError>> {
    let props = Props::new(values)?;
    let refused = |name: &String| {
        let reason =
            "has what looks like a placeholder, and values are printed as they are: write the words into the content";
        FieldError::new(format!("/props/{name}"), "props_invalid", reason)
    };
    let found = props.values().iter().filter(|(_, value)| has_words_to_fill(value));
    let errors: Vec<FieldError> = found.map(|(name, _)| refused(name)).collect();
    if errors.is_empty() { Ok(props) } else { Err(errors) }
}

/// Checks that a subject can be written with the values of a campaign.
///
/// # Errors
/// A value has a line break, or is too long, and the subject prints it.
pub fn check_props_of_subject(compiled: &Compiled, props: &Props) -> Result<(), FieldError> {
    let refused = |error: RenderError| {
        FieldError::new(
            "/props",
            "props_invalid",
            format!("with these values, the {error}, and the subject prints them"),
        )
    };
    if props.is_empty() { Ok(()) } else { compiled.try_subject(props).map_err(refused) }
}

/// Whether a value has a text in it that somebody may have meant to be filled in.
fn has_words_to_fill(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => has_placeholders(text),
        Value::Array(all) => all.iter().any(has_words_to_fill),
        Value::Object(all) => all.values().any(has_words_to_fill),
    }
}

/// What a channel asks of content, before its placeholders are looked at.
fn check_shape(channel: ChannelKind, content: &Content) -> Result<(), Vec<PartProblem>> {
    let mut problems = Vec::new();
    let mut refuse = |part, code, reason: &str| problems.push(PartProblem::new(part, code, reason));
    let is_blank = |text: &str| text.trim().is_empty();
    let has_html = content.html.as_deref().is_some_and(|html| !is_blank(html));
    if let Some((place, _)) = control(&content.subject, &[]) {
        let reason = format!("a subject is one line without control characters, and has one at {place}");
        refuse(Part::Subject, "control_character", &reason);
    }
    if content.subject.chars().count() > MAX_SUBJECT {
        refuse(Part::Subject, "subject_too_long", &format!("must have at most {MAX_SUBJECT} characters"));
    }
    for (part, text) in [(Part::Text, Some(&content.text)), (Part::Html, content.html.as_ref())] {
        if let Some((place, c)) = text.and_then(|text| control(text, &['\n', '\r', '\t'])) {
            let reason = format!("has a control character, U+{:04X}, at {place}", u32::from(c));
            refuse(part, "control_character", &reason);
        }
    }
    match channel {
        ChannelKind::Email => {
            if is_blank(&content.subject) {
                refuse(Part::Subject, "subject_required", "an email needs a subject");
            }
            if is_blank(&content.text) && !has_html {
                refuse(Part::Text, "body_required", "an email needs a text or an HTML body");
            }
        }
        ChannelKind::Sms | ChannelKind::Whatsapp => {
            if is_blank(&content.text) {
                refuse(Part::Text, "body_required", "the message needs a text");
            }
            if content.html.is_some() {
                refuse(Part::Html, "html_not_allowed", "this channel shows no HTML");
            }
        }
        ChannelKind::Http => {
            if is_blank(&content.text) && !has_html {
                refuse(Part::Text, "body_required", "the message needs a text or an HTML body");
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// The first control character besides these, and where it is.
fn control(text: &str, allowed: &[char]) -> Option<(String, char)> {
    let (at, c) = text.char_indices().find(|(_, c)| c.is_control() && !allowed.contains(c))?;
    let (line, column) = position(text, at);
    Some((format!("line {line}, column {column}"), c))
}

/// What is wrong with a part, in lines for people that do not name the part.
pub(in crate::domain::content) fn reasons(error: &TemplateError) -> Vec<String> {
    problems_of(error).into_iter().map(|problem| problem.reason).collect()
}

fn problems_of(error: &TemplateError) -> Vec<PartProblem> {
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
                    let like = name.like.as_ref().map(|like| format!(" (did you mean {like}?)")).unwrap_or_default();
                    let is_of_campaign = name.name.starts_with(props::PREFIX);
                    let lacks = if is_of_campaign { "the campaign has no value" } else { "no contact has" };
                    let reason = format!(
                        "{lacks} {}{like}, {at}; valid are: {names}; braces that are no placeholder stand between {{% raw %}} and \
                         {{% endraw %}}",
                        shown(&name.name)
                    );
                    PartProblem::new(name.part, code, reason)
                })
                .collect()
        }
        TemplateError::Malformed { suspects } => {
            suspects.iter().map(|suspect| PartProblem::new(suspect.part, code, suspect.to_string())).collect()
        }
        TemplateError::Syntax { part, line, column, detail } => {
            vec![PartProblem::new(*part, code, format!("line {line}, column {column}: {detail}"))]
        }
        TemplateError::TooLong { part, .. } | TemplateError::TooHeavy { part, .. } => {
            vec![PartProblem::new(*part, code, error.to_string())]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(channel: ChannelKind, content: &Content) -> Vec<(Part, &'static str)> {
        let problems = check(channel, content, &BTreeSet::new()).err().unwrap_or_default();
        problems.into_iter().map(|problem| (problem.part, problem.code)).collect()
    }

    fn content(subject: &str, text: &str, html: Option<&str>) -> Content {
        Content {
            subject: subject.to_owned(),
            text: text.to_owned(),
            html: html.map(str::to_owned),
            ..Content::default()
        }
    }

    #[test]
    fn each_channel_asks_for_what_it_shows() {
        use ChannelKind::{Email, Http, Sms, Whatsapp};
        assert_eq!(codes(Email, &content("Hello", "", Some("<p>Hi</p>"))), []);
        assert_eq!(
            codes(Email, &content(" ", "", None)),
            [(Part::Subject, "subject_required"), (Part::Text, "body_required")]
        );
        for channel in [Sms, Whatsapp] {
            assert_eq!(codes(channel, &content("", "Hi", None)), []);
            let wrong = [(Part::Text, "body_required"), (Part::Html, "html_not_allowed")];
            assert_eq!(codes(channel, &content("", "", Some("<p>Hi</p>"))), wrong);
        }
        assert_eq!(codes(Http, &content("", "", Some("<p>Hi</p>"))), []);
        assert_eq!(codes(Http, &content("", " ", None)), [(Part::Text, "body_required")]);
    }

    #[test]
    fn a_control_character_is_named_with_its_place() {
        let problems = check(ChannelKind::Email, &content("a\u{7}", "b\n\u{1b}", None), &BTreeSet::new())
            .err()
            .unwrap_or_default();
        let reasons: Vec<&str> = problems.iter().map(|problem| problem.reason.as_str()).collect();
        assert_eq!(
            reasons,
            [
                "a subject is one line without control characters, and has one at line 1, column 2",
                "has a control character, U+001B, at line 2, column 1"
            ]
        );
    }

    #[test]
    fn what_would_go_out_as_it_stands_is_a_problem_of_its_part() {
        let content = content("*|FNAME|*", "{first_name)", Some("<p>%NAME%</p>"));
        let wrong = [Part::Subject, Part::Text, Part::Html].map(|part| (part, "placeholder_malformed"));
        assert_eq!(codes(ChannelKind::Email, &content), wrong);
        assert!(check_for_preview(ChannelKind::Email, &content, &BTreeSet::new()).is_err());
    }

    #[test]
    fn each_unknown_name_is_a_problem_of_its_part() {
        let content = content("{nobody}", "{first_name} {no_one}", None);
        let wrong = [(Part::Subject, "unknown_placeholder"), (Part::Text, "unknown_placeholder")];
        assert_eq!(codes(ChannelKind::Email, &content), wrong);
        let (_, unknown) = check_for_preview(ChannelKind::Email, &content, &BTreeSet::new()).unwrap();
        assert_eq!(unknown, ["nobody".to_owned(), "no_one".to_owned()].into());
    }

    #[test]
    fn a_value_of_a_campaign_with_a_placeholder_is_refused() {
        let props = |text: &str| {
            let values = serde_json::from_value(serde_json::json!({ "a": { "b": [text] } })).unwrap();
            check_props(values).err().map(|errors| errors[0].field.clone())
        };
        for text in ["Dear {first_name}", "*|FNAME|*", "{{ city }}", "[First Name]"] {
            assert_eq!(props(text).as_deref(), Some("/props/a"), "{text}");
        }
        assert_eq!(props("20 % off: {1, 2} [here] $5"), None);
    }

    #[test]
    fn a_value_with_a_line_break_cannot_stand_in_a_subject() {
        let props = check_props(serde_json::from_value(serde_json::json!({ "a": "x\ny", "b": "x" })).unwrap()).unwrap();
        let fits = |subject: &str| {
            let compiled = Compiled::compile(&content(subject, "{campaign.props.a}", None), &props.names()).unwrap();
            check_props_of_subject(&compiled, &props).map_err(|error| error.field)
        };
        assert_eq!(fits("Now {campaign.props.b} {first_name}"), Ok(()));
        for subject in ["Now {campaign.props.a}", "{% if true %}{{ campaign.props.a }}{% endif %}"] {
            assert_eq!(fits(subject), Err("/props".into()), "{subject}");
        }
    }
}
