//! Why a template cannot be saved, or not be rendered for one contact.

use serde::Serialize;

use super::{MAX_OUTPUT_BYTES, MAX_SOURCE_BYTES, MAX_SUBJECT, Part, Suspect};

/// A name that no contact has, and where the template uses it first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
pub struct UnknownName {
    /// The part that uses it.
    pub part: Part,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// As written.
    pub name: String,
    /// The valid name that is most like it, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub like: Option<String>,
}

/// Why a template cannot be saved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Placeholders that no contact has: at most 50 in each part.
    #[error("{}", describe_unknown(unknown, valid))]
    UnknownNames {
        /// Each name once per part, in the order of the source.
        unknown: Vec<UnknownName>,
        /// The names that would do, sorted.
        valid: Vec<String>,
    },
    /// Something looks like a placeholder and is none.
    #[error("{}", suspects.iter().map(|suspect| format!("{}, {suspect}", suspect.part)).collect::<Vec<_>>().join("; "))]
    Malformed {
        /// All of them, at most 20 in each part.
        suspects: Vec<Suspect>,
    },
    /// The template language does not understand it.
    #[error("{part}, line {line}, column {column}: {detail}")]
    Syntax {
        /// The part.
        part: Part,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong.
        detail: String,
    },
    /// Rendering it takes too long, or makes too much, for every contact.
    #[error("{part}, line {line}: {what}")]
    TooHeavy {
        /// The part.
        part: Part,
        /// From 1.
        line: usize,
        /// What is too much.
        what: &'static str,
    },
    /// A part is longer than [`MAX_SOURCE_BYTES`].
    #[error("{part} has {bytes} bytes, the most is {MAX_SOURCE_BYTES}")]
    TooLong {
        /// The part.
        part: Part,
        /// Its length.
        bytes: usize,
    },
}

impl TemplateError {
    /// Stable, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownNames { .. } => "unknown_placeholder",
            Self::Malformed { .. } => "placeholder_malformed",
            Self::Syntax { .. } => "template_syntax",
            Self::TooLong { .. } => "template_too_long",
            Self::TooHeavy { .. } => "template_too_heavy",
        }
    }
}

fn describe_unknown(unknown: &[UnknownName], valid: &[String]) -> String {
    let unknown: Vec<_> = unknown
        .iter()
        .map(|UnknownName { part, line, column, name, .. }| format!("{name} ({part}, line {line}, column {column})"))
        .collect();
    format!("unknown placeholders: {}; valid are: {}", unknown.join(", "), valid.join(", "))
}

/// Why a template cannot be rendered for one contact. Never tells the contact's values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The template language gave up.
    #[error("{part}, line {line}: {what}")]
    Failed {
        /// The part.
        part: Part,
        /// From 1.
        line: usize,
        /// What kind of thing went wrong.
        what: String,
    },
    /// The template language took more steps than a message may need.
    #[error("{part}, line {line}: takes too many steps")]
    TooManySteps {
        /// The part.
        part: Part,
        /// From 1.
        line: usize,
    },
    /// A part came to more than [`MAX_OUTPUT_BYTES`].
    #[error("{part} comes to more than {MAX_OUTPUT_BYTES} bytes")]
    TooLong {
        /// The part.
        part: Part,
    },
    /// A header cannot be filled in.
    #[error("header {name} {what}")]
    Header {
        /// The header's name.
        name: String,
        /// What went wrong with it.
        what: String,
    },
    /// The subject has a line break or another control character, which has no place in a header.
    #[error("subject has a line break or another control character")]
    SubjectControl,
    /// The subject is longer than [`MAX_SUBJECT`].
    #[error("subject comes to more than {MAX_SUBJECT} characters")]
    SubjectTooLong,
    /// The subject is empty or blank, on a channel that needs one.
    #[error("subject is empty")]
    SubjectBlank,
}
