//! Tags that contacts get and lose.

use std::collections::BTreeSet;

use serde_json::json;

use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::ContactId;
use crate::services::audit::{self, Line};
use crate::services::people::selection::Selection;
use crate::services::{By, Services};
use crate::store::people::{standings, tags};
use crate::store::{Conn, Lane, MayBeStoreError, StoreError};

/// What contacts get and lose.
#[derive(Debug, Clone, Default)]
pub struct TagChange {
    /// Tags to put on; made where they are new.
    pub add: BTreeSet<String>,
    /// Tags to take off.
    pub remove: BTreeSet<String>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tagged {
    /// Tags that contacts got, counted for each contact.
    pub added: usize,
    /// Tags that contacts lost.
    pub removed: usize,
}

/// Why nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum TagError {
    /// There are no such contacts: all that are missing.
    #[error("{} of the contacts do not exist", .0.len())]
    NoContacts(Vec<ContactId>),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MayBeStoreError for TagError {
    fn into_store_error(self) -> Result<StoreError, Self> {
        if let Self::Store(error) = self { Ok(error) } else { Err(self) }
    }
}

/// How many contacts a line of the audit log names.
const NAMED: usize = 100;

/// Puts tags on contacts and takes others off: on all of them or, where one does not exist, on none.
///
/// # Errors
/// [`TagError`]; nothing has changed then.
pub async fn tag_contacts(
    services: &Services,
    contacts: Vec<ContactId>,
    change: TagChange,
    by: &By,
) -> Result<Tagged, TagError> {
    let by = by.clone();
    let work = move |conn: &mut Conn| {
        let held = standings::hold(conn, &contacts)?;
        let living: BTreeSet<ContactId> =
            held.iter().filter(|contact| !contact.is_deleted).map(|contact| contact.id).collect();
        let missing: BTreeSet<ContactId> = contacts.iter().copied().filter(|id| !living.contains(id)).collect();
        if !missing.is_empty() {
            return Err(TagError::NoContacts(missing.into_iter().collect()));
        }
        let wanted: Vec<(ContactId, &str)> =
            living.iter().flat_map(|id| change.add.iter().map(|tag| (*id, tag.as_str()))).collect();
        let added = tags::add(conn, &wanted)?;
        let living: Vec<ContactId> = living.iter().copied().collect();
        let removed = tags::remove(conn, &living, &change.remove)?;
        let some: Vec<_> = living.iter().take(NAMED).collect();
        let after = json!({ "fields": ["tags"], "added": added, "removed": removed, "contact_ids": some });
        let object = match living.as_slice() {
            [one] => one.to_string(),
            _ => "several".to_owned(),
        };
        audit::write(conn, &by, Line::of(Action::Updated, Object::Contact, object).after(after))?;
        Ok(Tagged { added, removed })
    };
    services.store.transact(Lane::Write, "tag contacts", work).await
}

/// Tags the contacts of a selection, a part in each transaction. Those that are deleted meanwhile are passed over.
///
/// # Errors
/// [`TagError`]. The parts before it are stored, and the same selection again finishes the rest.
pub async fn tag_selected(
    services: &Services,
    selection: &mut Selection,
    change: &TagChange,
    by: &By,
) -> Result<Tagged, TagError> {
    let mut tagged = Tagged::default();
    loop {
        let mut part = selection.next(services).await?;
        if part.is_empty() {
            return Ok(tagged);
        }
        while !part.is_empty() {
            match tag_contacts(services, part.clone(), change.clone(), by).await {
                Err(TagError::NoContacts(gone)) => part.retain(|id| !gone.contains(id)),
                done => {
                    let Tagged { added, removed } = done?;
                    tagged.added += added;
                    tagged.removed += removed;
                    break;
                }
            }
        }
    }
}
