//! A new API key.

use crate::services::By;
use crate::store::access::api_keys::{self, MintedKey};
use crate::store::{Lane, Store, StoreError};

/// Makes an API key. Its secret is in the answer, and nowhere else.
///
/// # Errors
/// The system's random generator or the database failed.
pub async fn create_key(store: &Store, name: String, _: &By) -> Result<MintedKey, StoreError> {
    store.run(Lane::Control, "create an API key", move |conn| api_keys::create(conn, &name)).await
}
