//! The deletion of a campaign.

use serde_json::json;

use crate::domain::access::audit::{Action, Object};
use crate::domain::campaigns::CampaignStatus;
use crate::domain::ids::CampaignId;
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::campaigns::{self, TransitionError};
use crate::store::{Conn, Lane, MayBeStoreError, StoreError};

/// Why a campaign is not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// It is sending or paused.
    #[error("the campaign is {0}; stop it first")]
    Active(CampaignStatus),
    /// There is no such campaign, or the database failed.
    #[error(transparent)]
    Campaign(#[from] TransitionError),
}

impl From<StoreError> for DeleteError {
    fn from(error: StoreError) -> Self {
        Self::Campaign(error.into())
    }
}

impl MayBeStoreError for DeleteError {
    fn into_store_error(self) -> Result<StoreError, Self> {
        match self {
            Self::Campaign(error) => error.into_store_error().map_err(Self::Campaign),
            refused @ Self::Active(_) => Err(refused),
        }
    }
}

/// Deletes a campaign that is not active. Its rows stay in the books; it is shown no more.
///
/// # Errors
/// [`DeleteError`]; nothing has changed then.
pub async fn delete(services: &Services, id: CampaignId, by: &By) -> Result<(), DeleteError> {
    let asker = by.clone();
    let delete = move |conn: &mut Conn| {
        let row = campaigns::locked(conn, id)?;
        if matches!(row.status, CampaignStatus::Sending | CampaignStatus::Paused) {
            return Err(DeleteError::Active(row.status));
        }
        campaigns::delete(conn, &row)?;
        let line = Line::of(Action::Deleted, Object::Campaign, id);
        Ok(audit::write(conn, &asker, line.before(json!({ "status": row.status })))?)
    };
    services.store.transact(Lane::Control, "delete a campaign", delete).await?;
    tracing::info!(event = "campaign.deleted", campaign.id = id.0, by = %by, "the campaign was deleted");
    Ok(())
}
