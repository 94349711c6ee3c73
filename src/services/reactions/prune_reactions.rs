//! Old reactions go.

use crate::store::reactions::over;
use crate::store::{Conn, Lane, Store, StoreError};

/// Removes reactions that failed, or were refused, and were written more than so many days ago. Many small transactions.
///
/// # Errors
/// The database failed; some may be removed then.
pub async fn prune_reactions(store: &Store, keep_days: u32) -> Result<(), StoreError> {
    let prune = move |conn: &mut Conn| over::prune(conn, i64::from(keep_days) * 86_400_000);
    while store.transact::<_, StoreError>(Lane::Write, "remove old reactions", prune).await? {}
    Ok(())
}
