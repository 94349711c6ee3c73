//! A new template.

use super::check::{ContentError, check};
use crate::domain::channel::ChannelKind;
use crate::domain::content::template::Content;
use crate::services::{By, Services};
use crate::store::Lane;
use crate::store::content::templates::{self, TemplateRow};

/// Creates a template with its first version.
///
/// # Errors
/// The content is refused, or the database failed.
pub async fn create_template(
    services: &Services,
    name: String,
    channel: ChannelKind,
    content: Content,
    _: &By,
) -> Result<TemplateRow, ContentError> {
    let content = check(&services.store, channel, content).await?;
    let create = move |conn: &mut _| templates::create(conn, &name, channel, &content);
    Ok(services.store.run(Lane::Write, "create a template", create).await?)
}
