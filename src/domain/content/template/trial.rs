//! Trying a template out before it is saved.

use super::{Compiled, Message, Provided, RenderError, TemplateError};
use crate::domain::content::props::Props;
use crate::domain::people::contact::{Fields, Profile};

impl Compiled {
    /// Renders the template once for a contact of short values. One that takes too long even so would be refused for
    /// everybody.
    ///
    /// # Errors
    /// [`TemplateError::TooHeavy`].
    pub fn try_out(&self) -> Result<(), TemplateError> {
        match self.render_for_sample(&Props::default()) {
            Err(RenderError::TooManySteps { part, line }) => {
                Err(TemplateError::TooHeavy { part, line, what: "it takes too many steps" })
            }
            Err(RenderError::TooLong { part }) => {
                Err(TemplateError::TooHeavy { part, line: 1, what: "it comes to more than 2 MiB" })
            }
            _ => Ok(()),
        }
    }

    /// Renders the template for a contact of short values and a campaign with these values: what goes wrong with the subject then goes wrong for
    /// everybody.
    ///
    /// # Errors
    /// [`RenderError::SubjectControl`] and [`RenderError::SubjectTooLong`].
    pub fn try_subject(&self, props: &Props) -> Result<(), RenderError> {
        match self.render_for_sample(props) {
            Err(error @ (RenderError::SubjectControl | RenderError::SubjectTooLong)) => Err(error),
            _ => Ok(()),
        }
    }

    fn render_for_sample(&self, props: &Props) -> Result<Message, RenderError> {
        let sample = Profile {
            fields: Fields {
                email: Some("a@example.com".to_owned()),
                first_name: Some("A".to_owned()),
                last_name: Some("B".to_owned()),
                ..Fields::default()
            },
            ..Profile::default()
        };
        self.render_for(&sample, &Provided { props: props.clone(), ..Provided::default() }, None)
    }
}
