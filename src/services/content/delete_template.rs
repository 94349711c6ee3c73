//! The deletion of a template.

use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::{CampaignId, TemplateId};
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::content::templates::{self, Deleted};
use crate::store::{Conn, Lane, StoreError};

/// Why a template is not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// There is no such template.
    #[error("there is no template {0}")]
    NotFound(TemplateId),
    /// These campaigns use it.
    #[error("campaigns that are scheduled, sending or paused use this template")]
    InUse(Vec<CampaignId>),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Deletes a template that no campaign uses which is scheduled, sending or paused.
///
/// # Errors
/// [`DeleteError`]; nothing has changed then.
pub async fn delete_template(services: &Services, id: TemplateId, by: &By) -> Result<(), DeleteError> {
    let by = by.clone();
    let delete = move |conn: &mut Conn| {
        let deleted = templates::delete(conn, id)?;
        if deleted == Deleted::Done {
            audit::write(conn, &by, Line::of(Action::Deleted, Object::Template, id))?;
        }
        Ok::<_, StoreError>(deleted)
    };
    match services.store.transact(Lane::Write, "delete a template", delete).await? {
        Deleted::Done => Ok(()),
        Deleted::NotFound => Err(DeleteError::NotFound(id)),
        Deleted::InUse(campaigns) => Err(DeleteError::InUse(campaigns)),
    }
}
