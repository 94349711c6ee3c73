//! A new template.

use serde_json::json;

use super::check::{ContentError, check};
use crate::domain::access::audit::{Action, Object};
use crate::domain::channel::ChannelKind;
use crate::domain::content::template::Content;
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::content::templates::{self, TemplateRow};
use crate::store::{Conn, Lane, StoreError};

/// Creates a template with its first version.
///
/// # Errors
/// The content is refused, or the database failed.
pub async fn create_template(
    services: &Services,
    name: String,
    channel: ChannelKind,
    content: Content,
    by: &By,
) -> Result<TemplateRow, ContentError> {
    let content = check(&services.store, channel, content).await?;
    let by = by.clone();
    let create = move |conn: &mut Conn| {
        let row = templates::create(conn, &name, channel, &content)?;
        let line = Line::of(Action::Created, Object::Template, row.id);
        audit::write(conn, &by, line.after(json!({ "channel": channel, "version": row.version.version })))?;
        Ok::<_, StoreError>(row)
    };
    Ok(services.store.transact(Lane::Write, "create a template", create).await?)
}
