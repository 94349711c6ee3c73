//! Attribute names: what a template may ask for.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;

use crate::domain::ids::ContactId;
use crate::domain::instant::UtcInstant;
use crate::domain::people::contact::Attributes;
use crate::store::engine::schema::{attribute_keys, contacts};
use crate::store::people::dialect;
use crate::store::{Conn, StoreError};

/// Every attribute name that imports or contacts have brought.
///
/// # Errors
/// The query failed.
pub fn known(conn: &mut Conn) -> Result<BTreeSet<String>, StoreError> {
    attribute_keys::table
        .select(attribute_keys::name)
        .load::<String>(conn)
        .map(BTreeSet::from_iter)
        .map_err(StoreError::query("read attribute names"))
}

/// What was found in a stretch of contacts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Block {
    /// How many contacts were looked at.
    pub looked_at: i64,
    /// The last of them.
    pub last: Option<ContactId>,
    /// How many of them have an attribute of this name.
    pub names: BTreeMap<String, i64>,
}

/// The attributes of the next `limit` living contacts above `after`, up to `up_to`.
///
/// # Errors
/// The query failed, or what is stored is not readable.
pub fn block(conn: &mut Conn, after: ContactId, up_to: ContactId, limit: i64) -> Result<Block, StoreError> {
    let rows: Vec<(ContactId, String)> = contacts::table
        .filter(contacts::deleted_at.is_null().and(contacts::id.gt(after)).and(contacts::id.le(up_to)))
        .order(contacts::id)
        .limit(limit)
        .select((contacts::id, contacts::attributes))
        .load(conn)
        .map_err(StoreError::query("read attributes"))?;
    let mut block = Block::default();
    for (id, stored) in rows {
        let attributes: Attributes = serde_json::from_str(&stored)
            .map_err(|error| StoreError::Corrupt { what: "contacts.attributes", detail: error.to_string() })?;
        (block.looked_at, block.last) = (block.looked_at + 1, Some(id));
        for (name, _) in attributes.into_iter().filter(|(_, value)| !value.is_null()) {
            *block.names.entry(name).or_default() += 1;
        }
    }
    Ok(block)
}

/// Keeps names that are new.
///
/// # Errors
/// A query failed.
pub(in crate::store) fn record<'a>(
    conn: &mut Conn,
    names: impl Iterator<Item = &'a String>,
    now: UtcInstant,
) -> Result<(), StoreError> {
    let names: BTreeSet<&String> = names.collect();
    if names.is_empty() {
        return Ok(());
    }
    let known = known(conn)?;
    for name in names.into_iter().filter(|name| !known.contains(*name)) {
        dialect::keep_attribute_name(conn, name, now)?;
    }
    Ok(())
}
