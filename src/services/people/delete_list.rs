//! The deletion of a list.

use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::{CampaignId, ListId};
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::people::lists::{self, Deleted};
use crate::store::{Conn, Lane, StoreError};

/// Why a list is not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// There is no such list.
    #[error("there is no list {0}")]
    NotFound(ListId),
    /// These campaigns are sending to it.
    #[error("campaigns are sending to this list")]
    InUse(Vec<CampaignId>),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Deletes a list that no campaign is sending to. Its members stay contacts.
///
/// # Errors
/// [`DeleteError`]; nothing has changed then.
pub async fn delete_list(services: &Services, id: ListId, by: &By) -> Result<(), DeleteError> {
    let by = by.clone();
    let delete = move |conn: &mut Conn| {
        let deleted = lists::delete(conn, id)?;
        if deleted == Deleted::Done {
            audit::write(conn, &by, Line::of(Action::Deleted, Object::List, id))?;
        }
        Ok::<_, StoreError>(deleted)
    };
    match services.store.transact(Lane::Write, "delete a list", delete).await? {
        Deleted::Done => Ok(()),
        Deleted::NotFound => Err(DeleteError::NotFound(id)),
        Deleted::InUse(campaigns) => Err(DeleteError::InUse(campaigns)),
    }
}
