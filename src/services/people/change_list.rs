//! Another name or description for a list.

use serde_json::json;

use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::ListId;
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::people::lists::{self, CountedList, ListChange, ListChanged};
use crate::store::{Conn, Lane, StoreError};

/// Why a list is not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is no such list.
    #[error("there is no list {0}")]
    NotFound(ListId),
    /// It would count everybody who has not refused, and also ask for confirmations.
    #[error("a list counts everybody who has not refused, or asks for confirmations: not both")]
    BothOptIns,
    /// The database failed, or another list has the name or the slug ([`StoreError::Taken`]).
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
        if let ListChanged::Done(_) = changed {
            let line = Line::of(Action::Updated, Object::List, id);
            audit::write(conn, &by, line.after(json!({ "fields": change.names() })))?;
        }
        Ok::<_, StoreError>(changed)
    };
    match services.store.transact(Lane::Write, "change a list", work).await? {
        ListChanged::Done(list) => Ok(list),
        ListChanged::NotFound => Err(ChangeError::NotFound(id)),
        ListChanged::BothOptIns => Err(ChangeError::BothOptIns),
    }
}
