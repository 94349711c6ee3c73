//! A new template.

use std::sync::Arc;

use serde_json::json;

use super::check::{ContentError, check};
use super::check_email::{check_email, hold_files};
use crate::domain::access::audit::{Action, Object};
use crate::domain::channel::ChannelKind;
use crate::domain::content::category::Category;
use crate::domain::content::email_fields::EmailFields;
use crate::domain::content::props;
use crate::domain::content::template::Content;
use crate::domain::content::tracking::Tracking;
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::content::templates::{self, TemplateRow};
use crate::store::{Conn, Lane};

/// What a new template is made of.
pub struct NewTemplate {
    /// What its authors call it.
    pub name: String,
    /// What it is written for.
    pub channel: ChannelKind,
    /// Why its messages are sent.
    pub category: Category,
    /// What is tracked of them.
    pub tracking: Tracking,
    /// What they say.
    pub content: Content,
    /// What its emails have beside that.
    pub email: EmailFields,
}

/// Creates a template with its first version.
///
/// # Errors
/// The content is refused, or the database failed.
pub async fn create_template(services: &Services, new: NewTemplate, by: &By) -> Result<TemplateRow, ContentError> {
    let NewTemplate { name, channel, category, tracking, content, email } = new;
    let content = check(&services.store, channel, content, props::any()).await?;
    check_email(services, channel, &email, props::any()).await?;
    let by = by.clone();
    let settings = Arc::clone(&services.settings);
    let create = move |conn: &mut Conn| {
        hold_files(conn, &settings, &email)?;
        let row = templates::create(conn, &name, channel, category, tracking, &content, &email)?;
        let line = Line::of(Action::Created, Object::Template, row.id);
        let after =
            json!({ "channel": channel, "category": category, "tracking": tracking, "version": row.version.version });
        audit::write(conn, &by, line.after(after))?;
        Ok::<_, ContentError>(row)
    };
    services.store.transact(Lane::Write, "create a template", create).await
}
