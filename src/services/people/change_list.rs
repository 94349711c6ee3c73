//! Another name or description for a list.

use serde_json::json;

use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::ListId;
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::people::lists::{self, CountedList, ListChange};
use crate::store::{Conn, Lane, StoreError};

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
    by: &By,
) -> Result<CountedList, ChangeError> {
    let by = by.clone();
    let work = move |conn: &mut Conn| {
        let changed = lists::change(conn, id, &change)?;
        if changed.is_some() {
            let line = Line::of(Action::Updated, Object::List, id);
            audit::write(conn, &by, line.after(json!({ "fields": change.names() })))?;
        }
        Ok::<_, StoreError>(changed)
    };
    services.store.transact(Lane::Write, "change a list", work).await?.ok_or(ChangeError::NotFound(id))
}
