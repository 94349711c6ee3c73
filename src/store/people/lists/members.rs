//! Who stands on a list.

use std::collections::BTreeSet;

use diesel::prelude::*;

use super::{counts, find, find_row};
use crate::domain::ids::{ContactId, ListId};
use crate::domain::people::standing::{Grounds, Standing, Wish};
use crate::store::engine::listing::{Slice, Window};
use crate::store::engine::schema::{contacts, list_members};
use crate::store::people::consent::{Ledger, Scribe};
use crate::store::people::contact_row::ContactRow;
use crate::store::people::standings::{self, Wished};
use crate::store::{Conn, StoreError};

/// What became of adding or removing members.
#[derive(Debug)]
pub enum Membership {
    /// How many were added or removed, and how many are on the list now.
    Done {
        /// Contacts that changed sides.
        changed: usize,
        /// Members now.
        members: i64,
    },
    /// There is no such list.
    NoList,
    /// These are no live contacts; nothing was changed.
    NoContacts(Vec<ContactId>),
}

/// Puts contacts on a list: all or, where one does not exist, none. Who has refused stays so.
///
/// # Errors
/// A query failed.
pub fn add_members(conn: &mut Conn, scribe: &Scribe, id: ListId, ids: &[ContactId]) -> Result<Membership, StoreError> {
    conn.write(|conn| {
        if find(conn, id)?.is_none() {
            return Ok(Membership::NoList);
        }
        let held = standings::hold(conn, ids)?;
        let living: BTreeSet<ContactId> =
            held.iter().filter(|contact| !contact.is_deleted).map(|contact| contact.id).collect();
        let missing: BTreeSet<ContactId> = ids.iter().copied().filter(|id| !living.contains(id)).collect();
        if !missing.is_empty() {
            return Ok(Membership::NoContacts(missing.into_iter().collect()));
        }
        let wished: Vec<Wished> =
            living.into_iter().map(|contact| Wished::new(contact, id, Wish::Subscribe(Grounds::Claimed))).collect();
        let mut ledger = Ledger::new(scribe);
        let outcomes = standings::apply(conn, &mut ledger, &wished)?;
        ledger.close(conn)?;
        let changed = outcomes.iter().filter(|outcome| outcome.is_change()).count();
        let members = counts(conn, &[id])?.remove(&id).unwrap_or_default().subscribed;
        Ok(Membership::Done { changed, members })
    })
}

/// Takes contacts off a list; contacts that are not on it are ignored, and refusals stay.
///
/// # Errors
/// A query failed.
pub fn remove_members(
    conn: &mut Conn,
    scribe: &Scribe,
    id: ListId,
    ids: &[ContactId],
) -> Result<Membership, StoreError> {
    conn.write(|conn| {
        if find(conn, id)?.is_none() {
            return Ok(Membership::NoList);
        }
        standings::hold(conn, ids)?;
        let mut ledger = Ledger::new(scribe);
        let changed = standings::take_off(conn, &mut ledger, id, ids)?;
        ledger.close(conn)?;
        let members = counts(conn, &[id])?.remove(&id).unwrap_or_default().subscribed;
        Ok(Membership::Done { changed, members })
    })
}

/// The contacts that stand so on a list, newest contact first. `None` when there is no such list.
///
/// # Errors
/// A query failed.
pub fn members(
    conn: &mut Conn,
    id: ListId,
    standing: Standing,
    window: Window,
) -> Result<Option<Slice<ContactRow>>, StoreError> {
    conn.snapshot(|conn| {
        if find_row(conn, id)?.is_none() {
            return Ok(None);
        }
        let stands = list_members::list_id.eq(id).and(list_members::status.eq(standing));
        let on_list = list_members::table.inner_join(contacts::table.on(contacts::id.eq(list_members::contact_id)));
        let anchor = match window.anchor {
            Some(anchor) => anchor,
            None => list_members::table
                .filter(list_members::list_id.eq(id))
                .select(diesel::dsl::max(list_members::contact_id))
                .first::<Option<i64>>(conn)
                .map_err(StoreError::query("list members"))?
                .unwrap_or_default(),
        };
        let total = list_members::table
            .filter(stands.and(list_members::contact_id.le(anchor)))
            .count()
            .get_result(conn)
            .map_err(StoreError::query("count members"))?;
        let rows = on_list
            .filter(stands.and(list_members::contact_id.le(anchor)))
            .filter(list_members::contact_id.lt(window.before.unwrap_or(i64::MAX)))
            .order(list_members::contact_id.desc())
            .offset(window.offset)
            .limit(window.fetch())
            .select(ContactRow::as_select())
            .load(conn)
            .map_err(StoreError::query("list members"))?;
        Ok(Some(window.slice(rows, total, anchor)))
    })
}
