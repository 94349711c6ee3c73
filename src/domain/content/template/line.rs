//! One line with placeholders: the value of a header.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::provided::{Provided, ProvidedName};
use super::{Compiled, Content, MAX_SUBJECT, Part, RenderError, TemplateError};
use crate::domain::people::contact::Profile;

/// A line, compiled. Clones share it.
#[derive(Debug, Clone)]
pub struct Line(Arc<Compiled>);

fn content(source: &str) -> Content {
    Content { subject: source.to_owned(), ..Content::default() }
}

impl Line {
    /// Checks a line as the parts of a content are checked.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn check(source: &str, known: &BTreeSet<String>) -> Result<(), TemplateError> {
        let content = content(source);
        content.check_placeholders(known)?;
        Compiled::compile(&content, known)?.try_out()
    }

    /// Compiles a line. Names that no contact has print nothing.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn compile(source: &str, known: &BTreeSet<String>) -> Result<Self, TemplateError> {
        Ok(Self(Arc::new(Compiled::compile_leniently(&content(source), known)?.0)))
    }

    /// Whether it runs in the template language.
    #[must_use]
    pub fn is_program(&self) -> bool {
        self.0.is_program()
    }

    /// Whether it uses a value that Volley brings.
    #[must_use]
    pub fn uses(&self, name: ProvidedName) -> bool {
        self.0.uses(name)
    }

    /// The line for one contact, without blanks at its ends. Control characters become blanks.
    ///
    /// # Errors
    /// One line for people: why there is none for this contact.
    pub fn render(&self, profile: &Profile, provided: &Provided) -> Result<String, &'static str> {
        let Some((part, body)) = self.0.parts.iter().find(|(part, _)| *part == Part::Subject) else {
            return Ok(String::new());
        };
        let rendered = self.0.render_part(*part, body, profile, provided, None).map_err(|error| match error {
            RenderError::TooManySteps { .. } => "takes too many steps",
            RenderError::TooLong { .. } => "is too long",
            RenderError::Failed { .. }
            | RenderError::Header { .. }
            | RenderError::SubjectControl
            | RenderError::SubjectTooLong
            | RenderError::SubjectBlank => "cannot be filled in",
        })?;
        let line: String = rendered.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let line = line.trim();
        if line.chars().count() > MAX_SUBJECT { Err("comes to more than 998 characters") } else { Ok(line.to_owned()) }
    }
}
