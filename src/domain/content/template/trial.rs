//! Trying a template out before it is saved.

use super::{Compiled, RenderError, TemplateError};
use crate::domain::people::contact::{Fields, Profile};

impl Compiled {
    /// Renders the template once for a contact of short values. One that takes too long even so would be refused for
    /// everybody.
    ///
    /// # Errors
    /// [`TemplateError::TooHeavy`].
    pub fn try_out(&self) -> Result<(), TemplateError> {
        let sample = Profile {
            fields: Fields {
                email: Some("a@example.com".to_owned()),
                first_name: Some("A".to_owned()),
                last_name: Some("B".to_owned()),
                ..Fields::default()
            },
            ..Profile::default()
        };
        match self.render(&sample) {
            Err(RenderError::TooManySteps { part, line }) => {
                Err(TemplateError::TooHeavy { part, line, what: "it takes too many steps" })
            }
            Err(RenderError::TooLong { part }) => {
                Err(TemplateError::TooHeavy { part, line: 1, what: "it comes to more than 2 MiB" })
            }
            _ => Ok(()),
        }
    }
}
