//! The revocation of an API key.

use crate::domain::ids::ApiKeyId;
use crate::services::By;
use crate::store::access::api_keys::{self, ApiKeyRow};
use crate::store::{Lane, Store, StoreError};

/// Makes an API key void. A key that is void already stays as it is. `None`: there is no such key.
///
/// # Errors
/// The database failed.
pub async fn revoke_key(store: &Store, id: ApiKeyId, _: &By) -> Result<Option<ApiKeyRow>, StoreError> {
    store.run(Lane::Control, "revoke an API key", move |conn| api_keys::revoke(conn, id)).await
}
