//! Another name for a template, or a new version of it.

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
use crate::domain::ids::TemplateId;
use crate::domain::instant::UtcInstant;
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::content::templates::{self, TemplateChange, TemplateRow};
use crate::store::{Conn, Lane, StoreError};

/// Why a template is not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is no such template.
    #[error("there is no template {0}")]
    NotFound(TemplateId),
    /// A template keeps its channel.
    #[error("this template is for {0}; create a new one for another channel")]
    OtherChannel(ChannelKind),
    /// The content is refused.
    #[error(transparent)]
    Content(#[from] ContentError),
}

impl From<StoreError> for ChangeError {
    fn from(error: StoreError) -> Self {
        Self::Content(error.into())
    }
}

/// Checks that a template is for this channel.
///
/// # Errors
/// [`ChangeError::OtherChannel`].
pub fn check_channel(template: &TemplateRow, channel: ChannelKind) -> Result<(), ChangeError> {
    if channel == template.channel { Ok(()) } else { Err(ChangeError::OtherChannel(template.channel)) }
}

/// What changes.
pub struct Change {
    /// What its authors call it.
    pub name: Option<String>,
    /// Why its messages are sent.
    pub category: Option<Category>,
    /// What is tracked of them.
    pub tracking: Option<Tracking>,
    /// What they say, as a whole.
    pub content: Content,
    /// What its emails have beside that, as a whole.
    pub email: EmailFields,
    /// When the template was changed last, as the editor has seen it: nothing is changed that has changed since.
    pub seen: Option<UtcInstant>,
}

/// Changes a template, as the caller has read it. Other content makes a new version. What is `None` stays as it
/// is.
///
/// # Errors
/// [`ChangeError`]. [`StoreError::Stale`] is among the database's errors: somebody else has changed the template since.
pub async fn change_template(
    services: &Services,
    latest: &TemplateRow,
    change: Change,
    by: &By,
) -> Result<TemplateRow, ChangeError> {
    let (id, based_on) = (latest.id, latest.version.version);
    let Change { name, category, tracking, content, email, seen } = change;
    let content = check(&services.store, latest.channel, content, props::any()).await?;
    let is_new_email = email != latest.version.email.0;
    if is_new_email {
        check_email(services, latest.channel, &email, props::any()).await?;
    }
    let settings = Arc::clone(&services.settings);
    let change = TemplateChange { based_on, seen, name, category, tracking, content, email };
    let by = by.clone();
    let before =
        json!({ "version": based_on, "category": latest.category, "tracking": Tracking::from(latest.tracking) });
    let store = move |conn: &mut Conn| {
        if is_new_email {
            hold_files(conn, &settings, &change.email)?;
        }
        let row = templates::change(conn, id, &change)?;
        if let Some(row) = &row {
            let line = Line::of(Action::Updated, Object::Template, id);
            let after = json!({
                "version": row.version.version,
                "category": row.category,
                "tracking": Tracking::from(row.tracking),
            });
            audit::write(conn, &by, line.before(before.clone()).after(after))?;
        }
        Ok::<_, ContentError>(row)
    };
    services.store.transact(Lane::Write, "change a template", store).await?.ok_or(ChangeError::NotFound(id))
}
