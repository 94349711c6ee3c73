//! At start: what former incarnations of this slot left, resolved by their journals before any pool starts.

use std::sync::Arc;

use super::{Identity, LeaseResolver};
use crate::domain::ids::PageId;
use crate::journal::JournalContents;
use crate::store::dispatch::late_evidence;
use crate::store::dispatch::lost_leases::OwnerFate;
use crate::store::replicas::instances::{self, OpenLease};
use crate::store::{Lane, Store, StoreError};

/// Outcomes compared with the database in one transaction.
const OUTCOMES_AT_ONCE: usize = 500;

/// Resolves every lease of this slot's former incarnations, by the journals they left; then what others had to leave
/// `uncertain` because they could not read those journals. They may go when this has returned.
///
/// # Errors
/// The database does not answer; safe to repeat.
pub async fn recover(
    store: &Store,
    identity: &Identity,
    resolver: &LeaseResolver,
    journals: Arc<JournalContents>,
) -> Result<(), StoreError> {
    end_leases(store, identity, resolver, &journals).await?;
    reconcile(store, identity, journals).await
}

async fn end_leases(
    store: &Store,
    identity: &Identity,
    resolver: &LeaseResolver,
    journals: &Arc<JournalContents>,
) -> Result<(), StoreError> {
    let mut after = PageId(0);
    loop {
        let (slot, me) = (identity.slot.clone(), identity.instance);
        let former = store
            .run(Lane::Read, "look for our former leases", move |conn| instances::former_leases(conn, &slot, me, after))
            .await?;
        let Some(last) = former.last() else { return Ok(()) };
        after = last.page;
        for lease in former {
            let valid = is_valid(journals, identity, &lease);
            resolver.end(store, &lease, OwnerFate::Died, None, valid.then(|| Arc::clone(journals))).await?;
        }
    }
}

/// Whether the journals are those of the lease's owner, and of the machine's present boot.
fn is_valid(journals: &JournalContents, identity: &Identity, lease: &OpenLease) -> bool {
    lease.instance.is_some_and(|owner| journals.is_valid_for(owner, &identity.boot_id))
        && lease.owner.as_ref().is_some_and(|owner| owner.boot_id == identity.boot_id)
}

/// Says of deliveries whose leases somebody else has ended what the journals know of them.
async fn reconcile(store: &Store, identity: &Identity, journals: Arc<JournalContents>) -> Result<(), StoreError> {
    let (mut known, mut given_back) = (0, 0);
    for chunk in journals.outcomes().chunks(OUTCOMES_AT_ONCE) {
        let chunk = chunk.to_vec();
        let settle = move |conn: &mut crate::store::Conn| conn.write(|conn| late_evidence::settle(conn, &chunk));
        known += store.run(Lane::Control, "record what a journal knows", settle).await?;
    }
    for lease in journals.whole_leases(&identity.boot_id) {
        let journals = Arc::clone(&journals);
        given_back += store
            .run(Lane::Control, "give back what was not begun", move |conn| {
                conn.write(|conn| late_evidence::give_back(conn, lease, &|key| journals.has_begun(key)))
            })
            .await?;
    }
    if known + given_back > 0 {
        tracing::warn!(
            event = "journal.reconciled",
            known,
            given_back,
            "uncertain deliveries were settled from the journal"
        );
    }
    Ok(())
}
