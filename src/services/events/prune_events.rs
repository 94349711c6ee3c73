//! Old events and old keys go.

use crate::services::segments::longest_window::longest_window;
use crate::store::events;
use crate::store::{Conn, Lane, Store, StoreError};

/// Removes events that were received more than so many days ago, and keys that are older than 30 days; 0 keeps all events. What the window
/// of a segment still needs stays. Many small transactions: what is told meanwhile does not wait for long.
///
/// # Errors
/// The database failed; some may be removed then.
pub async fn prune_events(store: &Store, keep_days: u32) -> Result<(), StoreError> {
    let prune = move |conn: &mut Conn| {
        if keep_days == 0 {
            return Ok(false);
        }
        match longest_window(conn)? {
            Some(window) => events::prune(conn, (i64::from(keep_days) * 86_400_000).max(window)),
            // What is removed does not come back.
            None => Ok(false),
        }
    };
    while store.transact::<_, StoreError>(Lane::Write, "remove old events", prune).await? {}
    while store.transact::<_, StoreError>(Lane::Write, "remove old keys of events", events::prune_keys).await? {}
    Ok(())
}
