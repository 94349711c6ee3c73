//! Lists and who is on them.

use std::collections::HashMap;

use diesel::prelude::*;

use super::contact_row::ContactRow;
use crate::domain::campaigns::CampaignStatus;
use crate::domain::ids::{CampaignId, ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::store::engine::listing::{Slice, Window};
use crate::store::engine::schema::{audience_lists, campaigns, contacts, list_members, lists};
use crate::store::people::dialect;
use crate::store::{Conn, StoreError, engine};

/// A list as stored.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = lists)]
pub struct ListRow {
    /// Its id.
    pub id: ListId,
    /// Unique.
    pub name: String,
    /// For people.
    pub description: String,
    /// When it was created.
    pub created_at: UtcInstant,
    /// When name or description changed last.
    pub updated_at: UtcInstant,
}

/// A list and how many are on it.
#[derive(Debug, Clone)]
pub struct CountedList {
    /// The list.
    pub list: ListRow,
    /// Its live members.
    pub members: i64,
}

/// What is to change; `None` stays.
#[derive(Debug, Clone, Default, AsChangeset)]
#[diesel(table_name = lists)]
pub struct ListChange {
    /// The new name.
    pub name: Option<String>,
    /// The new description.
    pub description: Option<String>,
}

impl ListChange {
    /// The fields that it sets.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        let Self { name, description } = self;
        let set = [("name", name.is_some()), ("description", description.is_some())];
        set.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect()
    }
}

/// Creates a list.
///
/// # Errors
/// [`StoreError::Taken`] when another list has the name, or a query failed.
pub fn create(conn: &mut Conn, name: &str, description: &str) -> Result<CountedList, StoreError> {
    conn.write(|conn| {
        refuse_taken(conn, name, None)?;
        let now = engine::now(conn)?;
        let list =
            diesel::insert_into(lists::table)
                .values((
                    lists::name.eq(name),
                    lists::description.eq(description),
                    lists::created_at.eq(now),
                    lists::updated_at.eq(now),
                ))
                .returning(
                    <ListRow as Selectable<crate::store::engine::dialect::conn::MultiBackend>>::construct_selection(),
                )
                .get_result(conn)
                .map_err(taken_or("create a list"))?;
        Ok(CountedList { list, members: 0 })
    })
}

fn refuse_taken(conn: &mut Conn, name: &str, by_other_than: Option<ListId>) -> Result<(), StoreError> {
    let holder = find_by_name(conn, name)?;
    match holder {
        Some(list) if Some(list.id) != by_other_than => {
            Err(StoreError::Taken { field: "list_name", by: Some(list.id.0) })
        }
        _ => Ok(()),
    }
}

/// Another transaction may take the name between the look and the write.
fn taken_or(action: &'static str) -> impl FnOnce(diesel::result::Error) -> StoreError {
    move |source| {
        let error = StoreError::query(action)(source);
        if error.is_unique_violation() { StoreError::Taken { field: "list_name", by: None } } else { error }
    }
}

/// The list with this name.
///
/// # Errors
/// The query failed.
pub fn find_by_name(conn: &mut Conn, name: &str) -> Result<Option<ListRow>, StoreError> {
    lists::table
        .filter(lists::name.eq(name))
        .select(ListRow::as_select())
        .first(conn)
        .optional()
        .map_err(StoreError::query("find a list by name"))
}

/// A list and its count.
///
/// # Errors
/// A query failed.
pub fn find(conn: &mut Conn, id: ListId) -> Result<Option<CountedList>, StoreError> {
    let list = lists::table
        .find(id)
        .select(ListRow::as_select())
        .first(conn)
        .optional()
        .map_err(StoreError::query("read a list"))?;
    let Some(list) = list else { return Ok(None) };
    let members = counts(conn, &[id])?.remove(&id).unwrap_or_default();
    Ok(Some(CountedList { list, members }))
}

/// Those of `ids` that are no lists, in order.
///
/// # Errors
/// The query failed.
pub fn missing(conn: &mut Conn, ids: &[ListId]) -> Result<Vec<ListId>, StoreError> {
    let found: Vec<ListId> = lists::table
        .filter(lists::id.eq_any(ids))
        .select(lists::id)
        .load(conn)
        .map_err(StoreError::query("look lists up"))?;
    let mut missing: Vec<ListId> = ids.iter().copied().filter(|id| !found.contains(id)).collect();
    missing.sort_unstable();
    missing.dedup();
    Ok(missing)
}

fn counts(conn: &mut Conn, ids: &[ListId]) -> Result<HashMap<ListId, i64>, StoreError> {
    list_members::table
        .filter(list_members::list_id.eq_any(ids))
        .group_by(list_members::list_id)
        .select((list_members::list_id, diesel::dsl::count_star()))
        .load::<(ListId, i64)>(conn)
        .map(|rows| rows.into_iter().collect())
        .map_err(StoreError::query("count the members of lists"))
}

/// Lists with `search` in their names, or all.
///
/// # Errors
/// A query failed.
pub fn list(conn: &mut Conn, window: Window) -> Result<Slice<CountedList>, StoreError> {
    conn.snapshot(|conn| {
        let anchor = match window.anchor {
            Some(anchor) => anchor,
            None => lists::table
                .select(diesel::dsl::max(lists::id))
                .first::<Option<i64>>(conn)
                .map_err(StoreError::query("list lists"))?
                .unwrap_or_default(),
        };
        let total = lists::table
            .filter(lists::id.le(anchor))
            .count()
            .get_result(conn)
            .map_err(StoreError::query("count lists"))?;
        let rows: Vec<ListRow> = lists::table
            .filter(lists::id.le(anchor).and(lists::id.lt(window.before.unwrap_or(i64::MAX))))
            .order(lists::id.desc())
            .offset(window.offset)
            .limit(window.fetch())
            .select(ListRow::as_select())
            .load(conn)
            .map_err(StoreError::query("list lists"))?;
        let ids: Vec<ListId> = rows.iter().map(|row| row.id).collect();
        let mut counts = counts(conn, &ids)?;
        let rows = rows
            .into_iter()
            .map(|list| CountedList { members: counts.remove(&list.id).unwrap_or_default(), list })
            .collect();
        Ok(window.slice(rows, total, anchor))
    })
}

/// Changes name or description. `None` when there is no such list.
///
/// # Errors
/// [`StoreError::Taken`] when another list has the name, or a query failed.
pub fn change(conn: &mut Conn, id: ListId, change: &ListChange) -> Result<Option<CountedList>, StoreError> {
    conn.write(|conn| {
        if let Some(name) = &change.name {
            refuse_taken(conn, name, Some(id))?;
        }
        let now = engine::now(conn)?;
        diesel::update(lists::table.find(id))
            .set((change, lists::updated_at.eq(now)))
            .execute(conn)
            .map_err(taken_or("change a list"))?;
        find(conn, id)
    })
}

/// What became of a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone; its members stay contacts.
    Done,
    /// There is no such list.
    NotFound,
    /// These campaigns are sending to it.
    InUse(Vec<CampaignId>),
}

/// Deletes a list, unless a campaign that is under way may still have to pack members of it.
///
/// # Errors
/// A query failed.
pub fn delete(conn: &mut Conn, id: ListId) -> Result<Deleted, StoreError> {
    conn.write(|conn| {
        let under_way = campaigns::status.eq(CampaignStatus::Sending).or(campaigns::status.eq(CampaignStatus::Paused));
        let mut using: Vec<CampaignId> = audience_lists::table
            .inner_join(campaigns::table.on(campaigns::id.eq(audience_lists::campaign_id)))
            .filter(audience_lists::list_id.eq(id).and(under_way))
            .order(campaigns::id)
            .select(campaigns::id)
            .load(conn)
            .map_err(StoreError::query("look for campaigns that use a list"))?;
        using.dedup();
        if !using.is_empty() {
            return Ok(Deleted::InUse(using));
        }
        // The list first: an addition of members that was running has ended by then.
        let deleted =
            diesel::delete(lists::table.find(id)).execute(conn).map_err(StoreError::query("delete a list"))?;
        diesel::delete(list_members::table.filter(list_members::list_id.eq(id)))
            .execute(conn)
            .map_err(StoreError::query("empty a deleted list"))?;
        Ok(if deleted == 1 { Deleted::Done } else { Deleted::NotFound })
    })
}

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

/// Puts contacts on a list: all or, where one does not exist, none.
///
/// # Errors
/// A query failed.
pub fn add_members(conn: &mut Conn, id: ListId, ids: &[ContactId]) -> Result<Membership, StoreError> {
    conn.write(|conn| {
        if find(conn, id)?.is_none() {
            return Ok(Membership::NoList);
        }
        let missing = super::contacts::missing(conn, ids)?;
        if !missing.is_empty() {
            return Ok(Membership::NoContacts(missing));
        }
        let changed = dialect::add_members(conn, id, ids)?;
        let members = counts(conn, &[id])?.remove(&id).unwrap_or_default();
        Ok(Membership::Done { changed, members })
    })
}

/// Removes contacts from a list; contacts that are not on it are ignored.
///
/// # Errors
/// A query failed.
pub fn remove_members(conn: &mut Conn, id: ListId, ids: &[ContactId]) -> Result<Membership, StoreError> {
    conn.write(|conn| {
        if find(conn, id)?.is_none() {
            return Ok(Membership::NoList);
        }
        let mut changed = 0;
        for chunk in ids.chunks(1000) {
            let on_list = list_members::list_id.eq(id).and(list_members::contact_id.eq_any(chunk));
            changed += diesel::delete(list_members::table.filter(on_list))
                .execute(conn)
                .map_err(StoreError::query("take contacts off a list"))?;
        }
        let members = counts(conn, &[id])?.remove(&id).unwrap_or_default();
        Ok(Membership::Done { changed, members })
    })
}

/// The members of a list, newest contact first. `None` when there is no such list.
///
/// # Errors
/// A query failed.
pub fn members(conn: &mut Conn, id: ListId, window: Window) -> Result<Option<Slice<ContactRow>>, StoreError> {
    conn.snapshot(|conn| {
        let Some(list) = find(conn, id)? else { return Ok(None) };
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
        let total = match window.anchor {
            None => list.members,
            Some(anchor) => list_members::table
                .filter(list_members::list_id.eq(id).and(list_members::contact_id.le(anchor)))
                .count()
                .get_result(conn)
                .map_err(StoreError::query("count members"))?,
        };
        let rows = on_list
            .filter(list_members::list_id.eq(id).and(list_members::contact_id.le(anchor)))
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
