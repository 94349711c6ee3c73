//! Tags on contacts.
//!
//! Side rows: written after the contacts are held. A tag's rows go with its contact; a tag that no contact has stays, so that a
//! campaign may name it. There are as many tags as people make up.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use diesel::prelude::*;

use crate::domain::ids::{ContactId, TagId};
use crate::domain::instant::UtcInstant;
use crate::domain::segments::topic::Topic;
use crate::store::engine::schema::{contact_tags, tags};
use crate::store::engine::touches::Touches;
use crate::store::people::dialect;
use crate::store::{Conn, StoreError, engine};

/// The most rows that are written in one statement.
const MOST_ROWS: usize = 5_000;

/// A tag and how many contacts have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedTag {
    /// Its id.
    pub id: TagId,
    /// Its name, in lower case.
    pub name: String,
    /// When it was first used.
    pub created_at: UtcInstant,
    /// Contacts that have it.
    pub contacts: i64,
}

/// The ids of tags by their names, as far as there are any.
///
/// # Errors
/// The query failed.
pub fn ids(conn: &mut Conn, names: &BTreeSet<String>) -> Result<BTreeMap<String, TagId>, StoreError> {
    let mut found = BTreeMap::new();
    let names: Vec<&String> = names.iter().collect();
    for chunk in names.chunks(500) {
        let rows: Vec<(String, TagId)> = tags::table
            .filter(tags::name.eq_any(chunk.iter().copied()))
            .select((tags::name, tags::id))
            .load(conn)
            .map_err(StoreError::query("look tags up"))?;
        found.extend(rows);
    }
    Ok(found)
}

/// The ids of tags by their names; those that are new are made.
fn ids_or_new(conn: &mut Conn, names: &BTreeSet<String>) -> Result<BTreeMap<String, TagId>, StoreError> {
    let known = ids(conn, names)?;
    if known.len() == names.len() {
        return Ok(known);
    }
    let now = engine::now(conn)?;
    for name in names.iter().filter(|name| !known.contains_key(*name)) {
        dialect::tags::keep_name(conn, name, now)?;
    }
    ids(conn, names)
}

/// Puts tags on contacts, which are held. How many were not there before.
///
/// # Errors
/// A query failed.
pub fn add(conn: &mut Conn, wanted: &[(ContactId, &str)]) -> Result<usize, StoreError> {
    add_besides(conn, wanted, &HashSet::new())
}

/// [`add`], where the contacts in `new` were made in this transaction and have no tags yet.
///
/// # Errors
/// A query failed.
pub fn add_besides(
    conn: &mut Conn,
    wanted: &[(ContactId, &str)],
    new: &HashSet<ContactId>,
) -> Result<usize, StoreError> {
    if wanted.is_empty() {
        return Ok(0);
    }
    let names: BTreeSet<&str> = wanted.iter().map(|(_, name)| *name).collect();
    let ids = ids_or_new(conn, &names.into_iter().map(ToOwned::to_owned).collect())?;
    let mut pairs: Vec<(TagId, ContactId)> =
        wanted.iter().filter_map(|(contact, name)| Some((*ids.get(*name)?, *contact))).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let (to_new, others): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(_, contact)| new.contains(contact));
    let mut touches = Touches::default();
    // A contact that is new is touched by that.
    let known = wanted.iter().filter(|(contact, _)| !new.contains(contact));
    known.for_each(|(contact, name)| touches.add(*contact, Topic::Tag((*name).to_owned())));
    touches.write(conn)?;
    let now = engine::now(conn)?;
    let mut added = 0;
    for chunk in to_new.chunks(MOST_ROWS) {
        added += dialect::tags::add_to_new(conn, chunk, now)?;
    }
    for chunk in others.chunks(MOST_ROWS) {
        added += dialect::tags::add(conn, chunk, now)?;
    }
    Ok(added)
}

/// Takes tags off contacts. How many were there.
///
/// # Errors
/// A query failed.
pub fn remove(conn: &mut Conn, contacts: &[ContactId], names: &BTreeSet<String>) -> Result<usize, StoreError> {
    let known = ids(conn, names)?;
    let mut touches = Touches::default();
    for name in known.keys() {
        contacts.iter().for_each(|contact| touches.add(*contact, Topic::Tag(name.clone())));
    }
    touches.write(conn)?;
    let ids: Vec<TagId> = known.into_values().collect();
    let mut removed = 0;
    for chunk in contacts.chunks(1_000) {
        let these = contact_tags::tag_id.eq_any(&ids).and(contact_tags::contact_id.eq_any(chunk));
        removed += diesel::delete(contact_tags::table.filter(these))
            .execute(conn)
            .map_err(StoreError::query("take tags off contacts"))?;
    }
    Ok(removed)
}

/// The tags of contacts, by name.
///
/// # Errors
/// The query failed.
pub fn of_contacts(conn: &mut Conn, contacts: &[ContactId]) -> Result<HashMap<ContactId, Vec<String>>, StoreError> {
    let mut all: HashMap<ContactId, Vec<String>> = HashMap::new();
    for chunk in contacts.chunks(1_000) {
        let rows: Vec<(ContactId, String)> = contact_tags::table
            .inner_join(tags::table.on(tags::id.eq(contact_tags::tag_id)))
            .filter(contact_tags::contact_id.eq_any(chunk))
            .order((contact_tags::contact_id, tags::name))
            .select((contact_tags::contact_id, tags::name))
            .load(conn)
            .map_err(StoreError::query("read the tags of contacts"))?;
        for (contact, name) in rows {
            all.entry(contact).or_default().push(name);
        }
    }
    Ok(all)
}

/// Every tag, by name.
///
/// # Errors
/// The query failed.
pub fn list(conn: &mut Conn) -> Result<Vec<CountedTag>, StoreError> {
    let counts: HashMap<TagId, i64> = contact_tags::table
        .group_by(contact_tags::tag_id)
        .select((contact_tags::tag_id, diesel::dsl::count_star()))
        .load::<(TagId, i64)>(conn)
        .map_err(StoreError::query("count tags"))?
        .into_iter()
        .collect();
    let rows: Vec<(TagId, String, UtcInstant)> = tags::table
        .order(tags::name)
        .select((tags::id, tags::name, tags::created_at))
        .load(conn)
        .map_err(StoreError::query("list tags"))?;
    let counted = |(id, name, created_at): (TagId, String, UtcInstant)| CountedTag {
        contacts: counts.get(&id).copied().unwrap_or_default(),
        id,
        name,
        created_at,
    };
    Ok(rows.into_iter().map(counted).collect())
}
