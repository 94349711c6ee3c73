//! Another name or description for a list.

use crate::domain::ids::ListId;
use crate::services::{By, Services};
use crate::store::people::lists::{self, CountedList, ListChange};
use crate::store::{Lane, StoreError};

/// Why a list is not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is no such list.
    #[error("there is no list {0}")]
    NotFound(ListId),
    /// The database failed, or another list has the name ([`StoreError::Taken`]).
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Changes a list's name or description.
///
/// # Errors
/// [`ChangeError`]; nothing has changed then.
pub async fn change_list(
    services: &Services,
    id: ListId,
    change: ListChange,
    _: &By,
) -> Result<CountedList, ChangeError> {
    let work = move |conn: &mut _| lists::change(conn, id, &change);
    services.store.run(Lane::Write, "change a list", work).await?.ok_or(ChangeError::NotFound(id))
}
