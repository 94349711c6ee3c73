//! Subscriptions that nobody has confirmed.

use std::sync::Arc;

use crate::domain::people::consent::{Act, Source};
use crate::store::people::consent::{Ledger, Scribe};
use crate::store::people::standings;
use crate::store::{Conn, Lane, Store, StoreError, engine};

/// How many are removed in one transaction.
const PORTION: i64 = 500;

/// Removes `unconfirmed` standings that are older than so many days; 0 keeps all. How many those were.
///
/// # Errors
/// The database failed; some may be removed then.
pub async fn prune_unconfirmed(store: &Store, keep_days: u32) -> Result<usize, StoreError> {
    if keep_days == 0 {
        return Ok(0);
    }
    let mut count = 0;
    loop {
        let work = move |conn: &mut Conn| {
            let before = engine::now(conn)?.plus_ms(-i64::from(keep_days) * 86_400_000);
            let old = standings::unconfirmed_before(conn, before, PORTION)?;
            let contacts: Vec<_> = old.iter().map(|(_, contact)| *contact).collect();
            standings::hold(conn, &contacts)?;
            let scribe = Scribe { act: Arc::new(Act::of(Source::EXPIRED)), ..Scribe::of(Source::EXPIRED) };
            let mut ledger = Ledger::new(&scribe);
            let removed = standings::expire(conn, &mut ledger, &old, before)?;
            ledger.close(conn)?;
            Ok::<_, StoreError>((old.len(), removed))
        };
        let (found, removed) = store.transact(Lane::Write, "remove old unconfirmed subscriptions", work).await?;
        count += removed;
        // Nothing went: others hold what was found, and the next round comes in an hour.
        if removed == 0 || i64::try_from(found).is_ok_and(|found| found < PORTION) {
            return Ok(count);
        }
    }
}
