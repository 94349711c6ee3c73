//! What a template would say to one contact.

use std::collections::BTreeSet;

use super::check::ContentError;
use crate::domain::content::check;
use crate::domain::content::message::Message;
use crate::domain::content::template::RenderError;
use crate::domain::ids::{ContactId, TemplateId};
use crate::services::Services;
use crate::services::blocking::blocking;
use crate::store::content::templates;
use crate::store::people::{attributes, contacts};
use crate::store::{Lane, StoreError};

/// A template as one contact would get it.
#[derive(Debug)]
pub struct TemplatePreview {
    /// What it says.
    pub message: Message,
    /// The names that the template uses.
    pub placeholders: Vec<String>,
    /// Those for which this contact has no value.
    pub missing: Vec<String>,
    /// Those that no contact has ever had.
    pub unknown: BTreeSet<String>,
}

/// Why a template is not rendered.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// There is no such template.
    #[error("there is no template {0}")]
    NoTemplate(TemplateId),
    /// The template has no such version.
    #[error("the template has no version {0}")]
    NoVersion(i64),
    /// There is no such contact.
    #[error("there is no contact {0}")]
    NoContact(ContactId),
    /// The content is refused.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// It cannot be rendered for this contact.
    #[error(transparent)]
    Unrenderable(#[from] RenderError),
}

impl From<StoreError> for PreviewError {
    fn from(error: StoreError) -> Self {
        Self::Content(error.into())
    }
}

/// Renders a template for one contact: its latest version, or another.
///
/// # Errors
/// [`PreviewError`].
pub async fn preview_template(
    services: &Services,
    id: TemplateId,
    version: Option<i64>,
    contact: ContactId,
) -> Result<TemplatePreview, PreviewError> {
    let find = move |conn: &mut _| templates::find(conn, id, version);
    let found = services.store.run(Lane::Read, "read a template", find).await?;
    let template = found.ok_or(version.map_or(PreviewError::NoTemplate(id), PreviewError::NoVersion))?;
    let read = move |conn: &mut _| Ok((attributes::known(conn)?, contacts::find(conn, contact)?));
    let (known, row) = services.store.run(Lane::Read, "read a contact", read).await?;
    let profile = row.ok_or(PreviewError::NoContact(contact))?.profile()?;
    let provided = services.links.sample(&services.settings);
    let render = move || {
        let content = template.version.content();
        let (compiled, unknown) =
            check::check_for_preview(template.channel, &content, &known).map_err(ContentError::Parts)?;
        Ok(TemplatePreview {
            message: compiled.render_for(&profile, &provided, None)?,
            placeholders: compiled.placeholders().map(ToOwned::to_owned).collect(),
            missing: compiled.missing(&profile, &provided).into_iter().filter(|name| !unknown.contains(name)).collect(),
            unknown,
        })
    };
    blocking("render a preview", render).await.map_err(ContentError::from)?
}
