//! A new template.

use serde_json::json;

use super::check::{ContentError, check};
use crate::domain::access::audit::{Action, Object};
use crate::domain::channel::ChannelKind;
use crate::domain::content::category::Category;
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
    category: Category,
    content: Content,
    by: &By,
) -> Result<TemplateRow, ContentError> {
    let content = check(&services.store, channel, content).await?;
    let by = by.clone();
    let create = move |conn: &mut Conn| {
        let row = templates::create(conn, &name, channel, category, &content)?;
        let line = Line::of(Action::Created, Object::Template, row.id);
        let after = json!({ "channel": channel, "category": category, "version": row.version.version });
        audit::write(conn, &by, line.after(after))?;
        Ok::<_, StoreError>(row)
    };
    Ok(services.store.transact(Lane::Write, "create a template", create).await?)
}
