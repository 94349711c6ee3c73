//! Contacts: who a set of keys means, and how rows are created, changed and found.
//!
//! One path serves the API and imports: a batch of drafts is matched against the live contacts in memory, then written
//! in bulk (`people::dialect`).

mod batch;
pub mod foreseen;
mod matched;
pub mod strongest;

use std::collections::BTreeSet;

use diesel::prelude::*;

pub use self::batch::{Applied, IgnoredKey, Joining, Noted, apply, apply_one_by_one};
pub use self::matched::{Fate, Several};
use super::attributes;
use super::contact_row::ContactRow;
use crate::domain::ids::ContactId;
use crate::domain::people::consent::addresses_of;
use crate::domain::people::contact::{BuiltIn, ContactDraft};
use crate::domain::segments::topic::Topic;
use crate::store::engine::schema::{contact_tags, contacts, list_members};
use crate::store::engine::touches::Touches;
use crate::store::people::addresses::{self, Moved};
use crate::store::people::consent::{Ledger, Scribe};
use crate::store::people::dialect::{self, Hold};
use crate::store::people::standings;
use crate::store::{Conn, StoreError, engine};

/// How often a write is tried when another transaction takes one of its keys meanwhile.
const TRIES: usize = 3;

/// What became of one draft.
pub enum Upserted {
    /// A new contact, and keys that it did not get: they belong to somebody who has another stronger key.
    Created(ContactRow, Vec<BuiltIn>),
    /// A live contact was found by its keys.
    Updated(ContactRow),
    /// The keys belong to different people.
    Conflict(Vec<ContactId>),
}

/// Creates the contact that the draft describes, or updates the one that its keys mean.
///
/// # Errors
/// A query failed.
pub fn upsert(
    conn: &mut Conn,
    scribe: &Scribe,
    draft: &ContactDraft,
    joining: &Joining<'_>,
) -> Result<Upserted, StoreError> {
    retrying(conn, |conn| {
        let now = engine::now(conn)?;
        let mut ledger = Ledger::new(scribe);
        let applied = apply(conn, &mut ledger, std::slice::from_ref(draft), joining, now)?;
        ledger.close(conn)?;
        if let Some(others) = applied.conflict {
            return Ok(Upserted::Conflict(others));
        }
        let stored = match applied.ids.first() {
            Some(id) => find(conn, *id)?,
            None => None,
        };
        let ignored = applied.ignored.into_iter().map(|(_, key)| key.field).collect();
        Ok(match (applied.fates.into_iter().next(), stored) {
            (Some(Fate::Created), Some(row)) => Upserted::Created(row, ignored),
            (Some(Fate::Updated), Some(row)) => Upserted::Updated(row),
            (Some(Fate::Created | Fate::Updated) | None, _) => return Err(StoreError::Stale { what: "the contact" }),
        })
    })
}

/// A write transaction that is tried again when it collides with another one over a unique key.
fn retrying<T>(conn: &mut Conn, mut work: impl FnMut(&mut Conn) -> Result<T, StoreError>) -> Result<T, StoreError> {
    let mut tries = 1;
    loop {
        match conn.write(&mut work) {
            Err(error) if error.is_unique_violation() && tries < TRIES => tries += 1,
            result => return result,
        }
    }
}

/// A change of one contact.
#[derive(Clone, Default)]
pub struct ContactChange {
    /// Fields to set, to their parsed values.
    pub set: ContactDraft,
    /// Fields to clear.
    pub clear: Vec<BuiltIn>,
    /// Whether the attributes that are there are taken away first.
    pub clear_attributes: bool,
    /// Whether the person has confirmed the new address: a list with double opt-in does not ask again.
    pub is_confirmed: bool,
}

impl ContactChange {
    /// The fields that it sets or clears.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names = self.set.names();
        names.extend(self.clear.iter().map(|field| field.as_str().to_owned()));
        if self.clear_attributes {
            names.push("attributes".to_owned());
        }
        names
    }
}

/// What became of a change.
pub enum Changed {
    /// The contact as it is now.
    Done(Box<ContactRow>),
    /// There is no such contact.
    NotFound,
    /// Others have the keys.
    Conflict(Vec<ContactId>),
    /// The contact would have no key left.
    NoKey,
}

/// Changes one contact. Its version rises only when something is different afterwards.
///
/// # Errors
/// A query failed.
pub fn change(conn: &mut Conn, scribe: &Scribe, id: ContactId, change: &ContactChange) -> Result<Changed, StoreError> {
    retrying(conn, |conn| {
        let Some(before) = dialect::lock(conn, id)? else { return Ok(Changed::NotFound) };
        let others: BTreeSet<ContactId> = dialect::sharing_keys(conn, std::slice::from_ref(&change.set), Hold::No)?
            .iter()
            .map(|row| row.id)
            .collect();
        let others: Vec<ContactId> = others.into_iter().filter(|other| *other != id).collect();
        if !others.is_empty() {
            return Ok(Changed::Conflict(others));
        }
        let now = engine::now(conn)?;
        let mut after = before.clone();
        if change.clear_attributes {
            after.attributes = "{}".to_owned();
        }
        after.take(&change.set)?;
        // Who was known by other means only is introduced now.
        after.introduced_at = after.introduced_at.or(Some(now));
        for field in &change.clear {
            *after.fields.get_mut(*field) = None;
        }
        if after.fields.keys() == [None; 3] {
            return Ok(Changed::NoKey);
        }
        if after != before {
            after.version += 1;
            after.updated_at = now;
            dialect::update(conn, std::slice::from_ref(&after))?;
            let mut touches = Touches::default();
            before.touch(&after, &mut touches)?;
            touches.write(conn)?;
            attributes::record(conn, change.set.attributes.keys(), now)?;
            let mut ledger = Ledger::new(scribe);
            let moved = Moved {
                contact: id,
                before: before.fields,
                after: after.fields.clone(),
                is_new: false,
                is_confirmed: change.is_confirmed,
            };
            addresses::follow_addresses(conn, &mut ledger, &[moved])?;
            ledger.close(conn)?;
        }
        Ok(Changed::Done(Box::new(after)))
    })
}

/// Those of these contacts that are there.
///
/// # Errors
/// The query failed.
pub fn these(conn: &mut Conn, ids: &[ContactId]) -> Result<Vec<ContactRow>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    contacts::table
        .filter(contacts::id.eq_any(ids.to_vec()).and(contacts::deleted_at.is_null()))
        .select(ContactRow::as_select())
        .load(conn)
        .map_err(StoreError::query("read contacts"))
}

/// A live contact.
///
/// # Errors
/// The query failed.
pub fn find(conn: &mut Conn, id: ContactId) -> Result<Option<ContactRow>, StoreError> {
    contacts::table
        .filter(contacts::id.eq(id).and(contacts::deleted_at.is_null()))
        .select(ContactRow::as_select())
        .first(conn)
        .optional()
        .map_err(StoreError::query("read a contact"))
}

/// Those of `ids` that are no live contacts, in order.
///
/// # Errors
/// A query failed.
pub fn missing(conn: &mut Conn, ids: &[ContactId]) -> Result<Vec<ContactId>, StoreError> {
    let mut missing: BTreeSet<ContactId> = ids.iter().copied().collect();
    for chunk in ids.chunks(1000) {
        let live: Vec<ContactId> = contacts::table
            .filter(contacts::id.eq_any(chunk).and(contacts::deleted_at.is_null()))
            .select(contacts::id)
            .load(conn)
            .map_err(StoreError::query("look contacts up"))?;
        for id in live {
            missing.remove(&id);
        }
    }
    Ok(missing.into_iter().collect())
}

/// Deletes a contact: it leaves its lists, its keys are free again, and what was sent to it stays on the books. What it refused
/// stays with its addresses. Whether it was there.
///
/// # Errors
/// A query failed.
pub fn delete(conn: &mut Conn, scribe: &Scribe, id: ContactId) -> Result<bool, StoreError> {
    conn.write(|conn| {
        let held = standings::hold(conn, &[id])?;
        let mut ledger = Ledger::new(scribe);
        for contact in held.iter().filter(|contact| !contact.is_deleted) {
            addresses::leave_refusals(conn, &mut ledger, id, &addresses_of(&contact.keys))?;
        }
        ledger.close(conn)?;
        let now = engine::now(conn)?;
        let deleted = diesel::update(contacts::table.filter(contacts::id.eq(id).and(contacts::deleted_at.is_null())))
            .set((
                contacts::deleted_at.eq(now),
                contacts::updated_at.eq(now),
                contacts::version.eq(contacts::version + 1),
            ))
            .execute(conn)
            .map_err(StoreError::query("delete a contact"))?;
        diesel::delete(list_members::table.filter(list_members::contact_id.eq(id)))
            .execute(conn)
            .map_err(StoreError::query("take a contact off its lists"))?;
        diesel::delete(contact_tags::table.filter(contact_tags::contact_id.eq(id)))
            .execute(conn)
            .map_err(StoreError::query("take the tags off a contact"))?;
        Touches::of([id], &Topic::Any).write(conn)?;
        Ok(deleted == 1)
    })
}
