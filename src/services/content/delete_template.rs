//! The deletion of a template.

use crate::domain::ids::{CampaignId, TemplateId};
use crate::services::{By, Services};
use crate::store::content::templates::{self, Deleted};
use crate::store::{Lane, StoreError};

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
pub async fn delete_template(services: &Services, id: TemplateId, _: &By) -> Result<(), DeleteError> {
    let delete = move |conn: &mut _| templates::delete(conn, id);
    match services.store.run(Lane::Write, "delete a template", delete).await? {
        Deleted::Done => Ok(()),
        Deleted::NotFound => Err(DeleteError::NotFound(id)),
        Deleted::InUse(campaigns) => Err(DeleteError::InUse(campaigns)),
    }
}
