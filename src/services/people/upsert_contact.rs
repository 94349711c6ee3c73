//! A contact, by what it is known by.

use crate::domain::ids::ContactId;
use crate::domain::people::contact::ContactDraft;
use crate::services::{By, Services};
use crate::store::people::contact_row::ContactRow;
use crate::store::people::contacts::{self, Upserted};
use crate::store::{Lane, StoreError};

/// A contact as it is stored now.
pub enum Stored {
    /// It is new.
    Created(ContactRow),
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

/// Creates the contact that the draft describes, or updates the one that its keys mean.
///
/// # Errors
/// [`UpsertError`]; nothing has changed then.
pub async fn upsert_contact(services: &Services, draft: ContactDraft, _: &By) -> Result<Stored, UpsertError> {
    let upsert = move |conn: &mut _| contacts::upsert(conn, &draft);
    match services.store.run(Lane::Write, "store a contact", upsert).await? {
        Upserted::Created(row) => Ok(Stored::Created(row)),
        Upserted::Updated(row) => Ok(Stored::Updated(row)),
        Upserted::Conflict(ids) => Err(UpsertError::Conflict(ids)),
    }
}
