//! A new list.

use crate::domain::access::audit::{Action, Object};
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::people::lists::{self, CountedList};
use crate::store::{Conn, Lane, StoreError};

/// Creates a list.
///
/// # Errors
/// [`StoreError::Taken`] when another list has the name, or the database failed.
pub async fn create_list(
    services: &Services,
    name: String,
    description: String,
    by: &By,
) -> Result<CountedList, StoreError> {
    let by = by.clone();
    let create = move |conn: &mut Conn| {
        let created = lists::create(conn, &name, &description)?;
        audit::write(conn, &by, Line::of(Action::Created, Object::List, created.list.id))?;
        Ok(created)
    };
    services.store.transact(Lane::Write, "create a list", create).await
}
