//! The first API key of an installation.

use super::create_key::make;
use crate::domain::access::Rights;
use crate::services::By;
use crate::store::access::api_keys::{self, MintedKey, NewKey};
use crate::store::{Conn, Lane, Store, StoreError};

/// The name of the key.
const NAME: &str = "first key";

/// Makes the first API key, which allows everything. `None`: there has been one.
///
/// # Errors
/// The system's random generator or the database failed.
pub async fn mint_first_key(store: &Store, by: &By) -> Result<Option<MintedKey>, StoreError> {
    let by = by.clone();
    let mint = move |conn: &mut Conn| {
        let new = NewKey { name: NAME.to_owned(), rights: Rights::ALL, source: None };
        if api_keys::list(conn)?.is_empty() { make(conn, &new, &by).map(Some) } else { Ok(None) }
    };
    store.transact(Lane::Control, "mint the first API key", mint).await
}
