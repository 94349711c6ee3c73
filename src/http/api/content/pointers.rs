//! Where the parts of a content stand in a body, and what refused content is for clients.

use crate::domain::content::check::PartProblem;
use crate::domain::content::template::Part;
use crate::http::web::problem::{ApiError, FieldProblem};
use crate::services::blocking::Interrupted;
use crate::services::content::check::ContentError;

/// Where the parts of a content stand in a body, as JSON pointers (RFC 6901).
#[derive(Debug, Clone, Copy)]
pub struct Pointers {
    /// The subject line.
    pub subject: &'static str,
    /// The plain text.
    pub text: &'static str,
    /// The HTML.
    pub html: &'static str,
}

/// Where templates and campaigns have them.
pub const CONTENT: Pointers = Pointers { subject: "/subject", text: "/body_text", html: "/body_html" };

impl Pointers {
    fn of(&self, part: Part) -> &'static str {
        match part {
            Part::Subject => self.subject,
            Part::Text => self.text,
            Part::Html => self.html,
        }
    }

    /// 422 that names each wrong part by its pointer, or what the database's failure is for clients.
    #[must_use]
    pub fn refusal(&self, error: ContentError) -> ApiError {
        match error {
            ContentError::Parts(problems) => {
                ApiError::Invalid(problems.into_iter().map(|one| self.problem(one)).collect())
            }
            ContentError::Email(errors) => ApiError::Invalid(errors.into_iter().map(FieldProblem::from).collect()),
            ContentError::Interrupted(error) => error.into(),
            ContentError::Store(error) => error.into(),
        }
    }

    fn problem(&self, PartProblem { part, code, reason }: PartProblem) -> FieldProblem {
        FieldProblem::new(self.of(part), code, reason)
    }
}

impl From<Interrupted> for ApiError {
    fn from(Interrupted { action, source }: Interrupted) -> Self {
        Self::Unexpected { action, source: source.into() }
    }
}
