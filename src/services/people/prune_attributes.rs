//! Attribute names that no contact has any more.

use std::collections::BTreeSet;

use crate::domain::ids::ContactId;
use crate::store::people::{attributes, contact_filter};
use crate::store::{Conn, Lane, Store, StoreError};

/// Contacts that are looked at in one query.
const CONTACTS_AT_ONCE: i64 = 1_000;

/// Names that are written in one transaction.
const NAMES_AT_ONCE: usize = 200;

/// How long a name stays after it was found unused, in milliseconds: a day. No transaction that took the name for a known one lasts as long.
const STAYS_MS: i64 = 86_400_000;

/// Looks at all contacts, and removes the attribute names that no contact has now, nor had at a look of more than a day ago. What content or a
/// segment mentions stays: its checks would refuse the name. How many were removed.
///
/// # Errors
/// The database failed; some may be removed then.
pub async fn prune_attributes(store: &Store) -> Result<usize, StoreError> {
    let begin = |conn: &mut Conn| Ok((contact_filter::newest(conn)?, attributes::known(conn)?));
    let (newest, mut unused) = store.run(Lane::Read, "read attribute names", begin).await?;
    let (mut used, mut after) = (BTreeSet::new(), ContactId(0));
    while !unused.is_empty() {
        let read = move |conn: &mut Conn| attributes::block(conn, after, newest, CONTACTS_AT_ONCE);
        let block = store.run(Lane::Read, "look at the attributes of contacts", read).await?;
        for name in block.names.into_keys() {
            unused.remove(&name);
            used.insert(name);
        }
        match block.last {
            Some(last) => after = last,
            None => break,
        }
    }
    let mut removed = 0;
    for names in chunks(unused) {
        let asked = names.clone();
        // Without holding SQLite's only writer: most names that are left are mentioned, and all content is searched for each.
        let search = move |conn: &mut Conn| attributes::forgettable(conn, &asked, STAYS_MS);
        let old = store.run(Lane::Read, "search content for unused attribute names", search).await?;
        let note = move |conn: &mut Conn| {
            let removed = attributes::forget_unused(conn, &old, STAYS_MS)?;
            attributes::note_use(conn, &[], &names)?;
            Ok::<_, StoreError>(removed)
        };
        removed += store.transact(Lane::Write, "remove unused attribute names", note).await?;
    }
    for names in chunks(used) {
        let note = move |conn: &mut Conn| attributes::note_use(conn, &names, &[]);
        store.transact::<_, StoreError>(Lane::Write, "note attribute names that are in use", note).await?;
    }
    Ok(removed)
}

fn chunks(names: BTreeSet<String>) -> Vec<Vec<String>> {
    let names: Vec<String> = names.into_iter().collect();
    names.chunks(NAMES_AT_ONCE).map(<[String]>::to_vec).collect()
}
