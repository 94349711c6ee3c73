//! What instances leave behind goes: their rows, receipts of decisions, rates, and answers under idempotency keys.

use crate::store::dispatch::housekeeping;
use crate::store::engine::idempotency;
use crate::store::{Lane, Store, StoreError};

/// Removes old instances, receipts and rates (30 days), and answers that are kept no longer under their idempotency keys. Many small
/// transactions: what is sent meanwhile does not wait for long.
///
/// # Errors
/// The database failed; some may be removed then.
pub async fn prune_replicas(store: &Store) -> Result<(), StoreError> {
    let receipts = housekeeping::prune_receipts;
    while store.transact::<_, StoreError>(Lane::Write, "remove old receipts", receipts).await? {}
    let instances = housekeeping::prune_instances;
    while store.transact::<_, StoreError>(Lane::Write, "remove old instances", instances).await? {}
    let keys = idempotency::prune;
    while store.transact::<_, StoreError>(Lane::Write, "remove old idempotency keys", keys).await? {}
    store.transact::<_, StoreError>(Lane::Write, "remove unused rates", housekeeping::prune_rates).await.map(drop)
}
