//! The revocation of an API key.

use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::ApiKeyId;
use crate::services::By;
use crate::services::audit::{self, Line};
use crate::store::access::api_keys::{self, ApiKeyRow};
use crate::store::{Conn, Lane, Store, StoreError};

/// Makes an API key void. A key that is void already stays as it is. `None`: there is no such key.
///
/// # Errors
/// The database failed.
pub async fn revoke_key(store: &Store, id: ApiKeyId, by: &By) -> Result<Option<ApiKeyRow>, StoreError> {
    let by = by.clone();
    let revoke = move |conn: &mut Conn| {
        let row = api_keys::revoke(conn, id)?;
        if row.is_some() {
            audit::write(conn, &by, Line::of(Action::Revoked, Object::Key, id))?;
        }
        Ok(row)
    };
    store.transact(Lane::Control, "revoke an API key", revoke).await
}
