//! What a template would say to one contact.

use super::preview_content::{ContentPreview, PreviewError, Reader, preview_content};
use crate::domain::ids::{ContactId, TemplateId};
use crate::services::Services;
use crate::store::Lane;
use crate::store::content::templates;

/// Renders a template for one contact: its latest version, or another.
///
/// # Errors
/// [`PreviewError`].
pub async fn preview_template(
    services: &Services,
    id: TemplateId,
    version: Option<i64>,
    contact: ContactId,
) -> Result<ContentPreview, PreviewError> {
    let find = move |conn: &mut _| templates::find(conn, id, version);
    let found = services.store.run(Lane::Read, "read a template", find).await?;
    let template = found.ok_or(version.map_or(PreviewError::NoTemplate(id), PreviewError::NoVersion))?;
    preview_content(services, template.channel, template.version.content(), Reader::Contact(contact)).await
}
