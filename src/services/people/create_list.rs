//! A new list.

use crate::services::{By, Services};
use crate::store::people::lists::{self, CountedList};
use crate::store::{Lane, StoreError};

/// Creates a list.
///
/// # Errors
/// [`StoreError::Taken`] when another list has the name, or the database failed.
pub async fn create_list(
    services: &Services,
    name: String,
    description: String,
    _: &By,
) -> Result<CountedList, StoreError> {
    let create = move |conn: &mut _| lists::create(conn, &name, &description);
    services.store.run(Lane::Write, "create a list", create).await
}
