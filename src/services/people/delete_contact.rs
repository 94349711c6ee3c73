//! The deletion of a contact.

use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::ContactId;
use crate::domain::people::consent::Source;
use crate::services::audit::{self, Line};
use crate::services::people::standings::scribe;
use crate::services::{By, Services};
use crate::store::people::contacts;
use crate::store::{Conn, Lane, StoreError};

/// Why a contact is not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// There is no such contact.
    #[error("there is no contact {0}")]
    NotFound(ContactId),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Deletes a contact: it leaves its lists, and its keys are free again. What was sent to it stays on the books, and what it
/// refused stays with its addresses.
///
/// # Errors
/// [`DeleteError`].
pub async fn delete_contact(services: &Services, id: ContactId, by: &By) -> Result<(), DeleteError> {
    let (scribe, by) = (scribe(services, by, Source::DELETION), by.clone());
    let delete = move |conn: &mut Conn| {
        let was_there = contacts::delete(conn, &scribe, id)?;
        if was_there {
            audit::write(conn, &by, Line::of(Action::Deleted, Object::Contact, id))?;
        }
        Ok::<_, StoreError>(was_there)
    };
    let was_there = services.store.transact(Lane::Write, "delete a contact", delete).await?;
    if was_there { Ok(()) } else { Err(DeleteError::NotFound(id)) }
}
