//! The change of a contact.

use serde_json::json;

use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::ContactId;
use crate::domain::people::consent::Source;
use crate::services::audit::{self, Line};
use crate::services::people::standings::scribe;
use crate::services::{By, Services};
use crate::store::people::contact_row::ContactRow;
use crate::store::people::contacts::{self, Changed, ContactChange};
use crate::store::{Conn, Lane, StoreError};

/// Why a contact is not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is no such contact.
    #[error("there is no contact {0}")]
    NotFound(ContactId),
    /// Other contacts have the keys: these.
    #[error("external_id, email and phone do not belong to one and the same contact")]
    Conflict(Vec<ContactId>),
    /// It would have no key left.
    #[error("the contact would have no key left")]
    NoKey,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Changes a contact. Its version rises only when something is different afterwards.
///
/// # Errors
/// [`ChangeError`]; nothing has changed then.
pub async fn change_contact(
    services: &Services,
    id: ContactId,
    change: ContactChange,
    by: &By,
) -> Result<ContactRow, ChangeError> {
    let (scribe, by) = (scribe(services, by, Source::API), by.clone());
    let work = move |conn: &mut Conn| {
        let changed = contacts::change(conn, &scribe, id, &change)?;
        if let Changed::Done(_) = changed {
            let line = Line::of(Action::Updated, Object::Contact, id);
            audit::write(conn, &by, line.after(json!({ "fields": change.names() })))?;
        }
        Ok::<_, StoreError>(changed)
    };
    match services.store.transact(Lane::Write, "change a contact", work).await? {
        Changed::Done(row) => Ok(*row),
        Changed::NotFound => Err(ChangeError::NotFound(id)),
        Changed::Conflict(ids) => Err(ChangeError::Conflict(ids)),
        Changed::NoKey => Err(ChangeError::NoKey),
    }
}
