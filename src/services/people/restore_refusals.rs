//! Refusals that a restored backup does not know: they are filed beside the database, and said again.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::time::{Duration, Instant};

use crate::domain::ids::{ContactId, ListId};
use crate::domain::people::consent::{EVERYTHING, Reason, Source, addresses_of};
use crate::services::By;
use crate::services::people::standings::{Refusal, RefusalScope, refuse};
use crate::store::people::consent::{self, Ledger, Scribe};
use crate::store::people::lists;
use crate::store::people::refusals::{Filed, RefusalBook};
use crate::store::people::standings::{self, KnownContact};
use crate::store::people::suppressions::{self, Entry};
use crate::store::{Conn, Store, StoreError};

/// How often it is said how far it has come.
const TOLD_EVERY: Duration = Duration::from_secs(3);

/// Why refusals are not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A file of refusals cannot be read.
    #[error("cannot read the refusals that are filed in data_dir/refusals")]
    Unreadable(#[from] io::Error),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stores the filed refusals whose ids the consent log does not have. How many those were. May be repeated, and runs also while a
/// database that has gone back in time serves nobody else.
///
/// # Errors
/// [`RestoreError`]; some may be stored then.
pub async fn restore_refusals(store: &Store, book: &RefusalBook, by: &By) -> Result<usize, RestoreError> {
    let (mut count, mut read, mut told) = (0, 0, Instant::now());
    book.read(async |filed: Vec<Filed>| -> Result<(), RestoreError> {
        read += filed.len();
        let by = by.clone();
        let work = move |conn: &mut Conn| conn.write_along_indexes(|conn| restore(conn, &filed, &by));
        count += store.settle_history("restore refusals", work).await?;
        if told.elapsed() >= TOLD_EVERY {
            told = Instant::now();
            tracing::info!(
                event = "consent.refusals_compared",
                read,
                restored = count,
                "the refusals that are filed beside the database are compared with it, before anything is sent"
            );
        }
        Ok(())
    })
    .await?;
    if count > 0 {
        tracing::warn!(
            event = "consent.refusals_restored",
            refusals = count,
            by = %by,
            "refusals that the database did not know are stored again: it was restored from an older backup"
        );
    }
    Ok(count)
}

fn restore(conn: &mut Conn, filed: &[Filed], by: &By) -> Result<usize, StoreError> {
    let ids: Vec<&str> = filed.iter().map(|filed| filed.id.as_str()).collect();
    let known: HashSet<String> = consent::known_refusals(conn, &ids)?.into_iter().collect();
    let mut seen = HashSet::new();
    let missing: Vec<&Filed> =
        filed.iter().filter(|filed| !known.contains(&filed.id) && seen.insert(filed.id.as_str())).collect();
    if missing.is_empty() {
        return Ok(0);
    }
    let named: Vec<ListId> =
        missing.iter().filter_map(|filed| filed.list).collect::<BTreeSet<_>>().into_iter().collect();
    let gone = lists::missing(conn, &named)?;
    let who: Vec<ContactId> = missing.iter().filter_map(|filed| filed.contact).collect();
    let known = standings::look(conn, &who)?.into_iter().map(|contact| (contact.id, contact)).collect();
    let mut refusals = Vec::new();
    let mut entries = Vec::new();
    for filed in &missing {
        match filed.reason {
            Reason::Unsubscribed => refusals.extend(said_again(filed, &known, &gone)),
            Reason::Stopped | Reason::Complained | Reason::Bounced | Reason::SoftBounced | Reason::Blocked => {
                entries.extend(filed.addresses.iter().map(|(channel, address)| Entry {
                    address: address.clone(),
                    channel: *channel,
                    topic: filed.list.unwrap_or(EVERYTHING),
                    reason: filed.reason,
                    at: filed.at,
                    contact: filed.contact,
                    act: None,
                    is_said: false,
                }));
            }
        }
    }
    // They are filed already.
    let scribe = Scribe::of(Source::RESTORED);
    refuse(conn, &scribe.book, by, &refusals)?;
    let mut ledger = Ledger::new(&scribe);
    suppressions::set(conn, &mut ledger, &entries)?;
    for filed in &missing {
        ledger.restored(filed);
    }
    ledger.close(conn)?;
    Ok(missing.len())
}

/// The refusal again: of its contact, where that has one of its addresses still; else of its addresses. An id alone is not believed,
/// because the file may have been beside another database.
fn said_again(filed: &Filed, known: &HashMap<ContactId, KnownContact>, gone: &[ListId]) -> Vec<Refusal> {
    let refusal = |contact, address| Refusal {
        contact,
        address,
        // The backup may be from before the list was made. Nobody knows under which id it comes back: everything is refused then.
        scope: match filed.list {
            Some(list) if !gone.contains(&list) => RefusalScope::Topics(vec![list]),
            Some(_) | None => RefusalScope::Everything,
        },
        source: Source::stored(filed.source.clone()),
        campaign: filed.campaign,
        at: Some(filed.at),
        client: None,
    };
    if let Some(contact) = filed.contact.and_then(|id| known.get(&id)) {
        let addresses = addresses_of(&contact.keys);
        if !contact.is_deleted && filed.addresses.iter().any(|address| addresses.contains(address)) {
            return vec![refusal(Some(contact.id), None)];
        }
    }
    filed.addresses.iter().map(|address| refusal(None, Some(address.clone()))).collect()
}
