//! A new list.

use crate::domain::access::audit::{Action, Object};
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::people::lists::{self, CountedList, NewList};
use crate::store::{Conn, Lane, StoreError};

/// Why a list is not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// It would count everybody who has not refused, and also ask for confirmations.
    #[error("a list counts everybody who has not refused, or asks for confirmations: not both")]
    BothOptIns,
    /// The database failed, or another list has the name or the slug ([`StoreError::Taken`]).
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Creates a list.
///
/// # Errors
/// [`CreateError`]; nothing is stored then.
pub async fn create_list(services: &Services, new: NewList, by: &By) -> Result<CountedList, CreateError> {
    if new.default_opt_in && new.double_opt_in {
        return Err(CreateError::BothOptIns);
    }
    let by = by.clone();
    let create = move |conn: &mut Conn| {
        let created = lists::create(conn, &new)?;
        audit::write(conn, &by, Line::of(Action::Created, Object::List, created.list.id))?;
        Ok::<_, StoreError>(created)
    };
    Ok(services.store.transact(Lane::Write, "create a list", create).await?)
}
