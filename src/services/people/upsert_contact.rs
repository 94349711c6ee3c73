//! A contact, by what it is known by.

use serde_json::json;

use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::ContactId;
use crate::domain::people::consent::Source;
use crate::domain::people::contact::{BuiltIn, ContactDraft};
use crate::domain::people::standing::Grounds;
use crate::services::audit::{self, Line};
use crate::services::people::standings::scribe;
use crate::services::{By, Services};
use crate::store::people::contact_row::ContactRow;
use crate::store::people::contacts::{self, Joining, Upserted};
use crate::store::{Conn, Lane, StoreError};

/// A contact as it is stored now.
pub enum Stored {
    /// It is new. Without these keys: they belong to a contact that has another stronger one.
    Created(ContactRow, Vec<BuiltIn>),
    /// It was there.
    Updated(ContactRow),
}

/// Why a contact is not stored.
#[derive(Debug, thiserror::Error)]
pub enum UpsertError {
    /// The keys mean different contacts: these.
    #[error("external_id, email and phone do not belong to one and the same contact")]
    Conflict(Vec<ContactId>),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Creates the contact that the draft describes, or updates the one that its keys mean. With `is_confirmed`, the person has confirmed
/// the address: a list with double opt-in does not ask again.
///
/// # Errors
/// [`UpsertError`]; nothing has changed then.
pub async fn upsert_contact(
    services: &Services,
    draft: ContactDraft,
    is_confirmed: bool,
    by: &By,
) -> Result<Stored, UpsertError> {
    let (scribe, by) = (scribe(services, by, Source::API), by.clone());
    let grounds = if is_confirmed { Grounds::Confirmed } else { Grounds::Claimed };
    let upsert = move |conn: &mut Conn| {
        let stored = contacts::upsert(conn, &scribe, &draft, &Joining { grounds, ..Joining::NOTHING })?;
        let line = match &stored {
            Upserted::Created(row, _) => Line::of(Action::Created, Object::Contact, row.id),
            Upserted::Updated(row) => Line::of(Action::Updated, Object::Contact, row.id),
            Upserted::Conflict(_) => return Ok(stored),
        };
        audit::write(conn, &by, line.after(json!({ "fields": draft.names() })))?;
        Ok::<_, StoreError>(stored)
    };
    match services.store.transact(Lane::Write, "store a contact", upsert).await? {
        Upserted::Created(row, ignored) => Ok(Stored::Created(row, ignored)),
        Upserted::Updated(row) => Ok(Stored::Updated(row)),
        Upserted::Conflict(ids) => Err(UpsertError::Conflict(ids)),
    }
}
