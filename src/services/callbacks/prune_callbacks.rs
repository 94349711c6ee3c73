//! Old callbacks go.

use crate::store::callbacks;
use crate::store::{Conn, Lane, Store, StoreError};

/// Removes callbacks that came more than so many days ago, done or failed. Many small transactions.
///
/// # Errors
/// The database failed; some may be removed then.
pub async fn prune_callbacks(store: &Store, keep_days: u32) -> Result<(), StoreError> {
    let prune = move |conn: &mut Conn| callbacks::prune(conn, keep_days);
    while store.transact::<_, StoreError>(Lane::Write, "remove old callbacks", prune).await? {}
    Ok(())
}
