//! A campaign's content, compiled together with what its messages carry: for those who send it and those who only look.

use crate::config::Settings;
use crate::domain::content::message::Message;
use crate::domain::content::template::{Compiled, Content, Provided, RenderError, SubjectRule, TemplateError};
use crate::domain::ids::ContactId;
use crate::domain::people::contact::Profile;
use crate::services::campaigns::carried::Carried;
use crate::services::campaigns::known_names::known_names;
use crate::services::people::links::Links;
use crate::store::campaigns::CampaignRow;
use crate::store::{Conn, StoreError};

/// Content from which the message of each recipient is made.
#[derive(Debug)]
pub struct Composed {
    compiled: Compiled,
    carried: Carried,
}

/// Why no message can be made.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The content does not compile.
    #[error(transparent)]
    Template(#[from] Box<TemplateError>),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Composed {
    /// What `campaign` says with this content.
    ///
    /// # Errors
    /// [`ComposeError`].
    pub fn of(
        conn: &mut Conn,
        links: &Links,
        settings: &Settings,
        campaign: &CampaignRow,
        content: &Content,
    ) -> Result<Self, ComposeError> {
        let known = known_names(conn, campaign.id)?;
        let compiled = Compiled::compile(content, &known).map_err(Box::new)?;
        let compiled = compiled.with_subject_rule(SubjectRule::of(campaign.channel));
        let carried = Carried::of(conn, links, settings, campaign)?;
        let compiled = carried.prepare(compiled, content, &known);
        Ok(Self { compiled, carried })
    }

    /// The message of one recipient.
    ///
    /// # Errors
    /// It cannot be made for this one.
    pub fn render(&self, contact: ContactId, profile: &Profile) -> Result<Message, RenderError> {
        self.carried.render(&self.compiled, contact, profile)
    }

    /// The message of one recipient with `provided` in place of what only the recipient may have, and nothing tracked. `None`: it cannot be
    /// made.
    #[must_use]
    pub fn example(&self, profile: &Profile, provided: &Provided) -> Option<Message> {
        let provided = &self.carried.with_props(provided);
        let mut message = self.compiled.render_for(profile, provided, None).ok()?;
        self.carried.add_fields(&mut message, profile, provided).ok()?;
        Some(message)
    }

    /// Whether rendering it may take a while.
    #[must_use]
    pub fn is_program(&self) -> bool {
        self.compiled.is_program() || self.carried.has_programs()
    }

    /// The names that the content uses and this contact has no value for, sorted.
    #[must_use]
    pub fn missing(&self, profile: &Profile, provided: &Provided) -> Vec<String> {
        self.compiled.missing(profile, &self.carried.with_props(provided))
    }
}
