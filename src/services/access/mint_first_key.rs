//! The first API key of an installation.

use crate::domain::access::Rights;
use crate::services::By;
use crate::store::access::api_keys::{self, MintedKey};
use crate::store::{Conn, Lane, Store, StoreError};

/// The name of the key.
const NAME: &str = "first key";

/// Makes the first API key, which allows everything. `None`: there has been one.
///
/// # Errors
/// The system's random generator or the database failed.
pub async fn mint_first_key(store: &Store, _: &By) -> Result<Option<MintedKey>, StoreError> {
    let mint = |conn: &mut Conn| {
        if api_keys::list(conn)?.is_empty() { api_keys::create(conn, NAME, Rights::ALL).map(Some) } else { Ok(None) }
    };
    store.transact(Lane::Control, "mint the first API key", mint).await
}
