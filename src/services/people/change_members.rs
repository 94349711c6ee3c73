//! Contacts that come to a list or leave it.

use serde_json::json;

use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::{ContactId, ListId};
use crate::domain::people::consent::Source;
use crate::services::audit::{self, Line};
use crate::services::people::standings::scribe;
use crate::services::{By, Services};
use crate::store::people::lists::{self, Membership};
use crate::store::{Conn, Lane, StoreError};

/// How many contacts the audit log names, the first ones.
const NAMED: usize = 100;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberChange {
    /// All of the contacts become members, or none where one does not exist. Who has refused stays so.
    Add,
    /// They are members no more. Contacts that were not on the list do not matter.
    Remove,
}

/// A list's members after a change.
#[derive(Debug, Clone, Copy)]
pub struct Members {
    /// How many contacts were added or removed. The others had been so before.
    pub changed: usize,
    /// How many members there are now.
    pub count: i64,
}

/// Why the members are as before.
#[derive(Debug, thiserror::Error)]
pub enum MembersError {
    /// There is no such list.
    #[error("there is no list {0}")]
    NoList(ListId),
    /// There are no such contacts: all that are missing.
    #[error("{} of the contacts do not exist", .0.len())]
    NoContacts(Vec<ContactId>),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Puts contacts on a list, or takes them off it.
///
/// # Errors
/// [`MembersError`]; nothing has changed then.
pub async fn change_members(
    services: &Services,
    id: ListId,
    change: MemberChange,
    contacts: Vec<ContactId>,
    by: &By,
) -> Result<Members, MembersError> {
    let action = match change {
        MemberChange::Add => "add members to a list",
        MemberChange::Remove => "take contacts off a list",
    };
    let (scribe, by) = (scribe(services, by, Source::API), by.clone());
    let work = move |conn: &mut Conn| {
        let (action, done) = match change {
            MemberChange::Add => (Action::MembersAdded, lists::add_members(conn, &scribe, id, &contacts)?),
            MemberChange::Remove => (Action::MembersRemoved, lists::remove_members(conn, &scribe, id, &contacts)?),
        };
        if let Membership::Done { changed, .. } = done {
            let some: Vec<_> = contacts.iter().take(NAMED).collect();
            let after = json!({ "changed": changed, "asked": contacts.len(), "contact_ids": some });
            audit::write(conn, &by, Line::of(action, Object::List, id).after(after))?;
        }
        Ok::<_, StoreError>(done)
    };
    match services.store.transact(Lane::Write, action, work).await? {
        Membership::Done { changed, members } => Ok(Members { changed, count: members }),
        Membership::NoList => Err(MembersError::NoList(id)),
        Membership::NoContacts(ids) => Err(MembersError::NoContacts(ids)),
    }
}
