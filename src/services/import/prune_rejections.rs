//! Rejected rows that nobody corrects any more.

use crate::store::import::rejections;
use crate::store::{Conn, Lane, Store, StoreError, engine};

/// Batches that are removed in one transaction: at most a few megabytes each.
const PORTION: i64 = 16;

/// Removes the rejected rows of imports that ended more than seven days ago.
///
/// # Errors
/// The database failed; some may be removed then.
pub async fn prune_rejections(store: &Store) -> Result<(), StoreError> {
    loop {
        let work = |conn: &mut Conn| {
            let before = engine::now(conn)?.plus_ms(-rejections::KEPT_MS);
            rejections::prune(conn, before, PORTION)
        };
        if store.run(Lane::Write, "remove old rejected rows", work).await? == 0 {
            return Ok(());
        }
    }
}
