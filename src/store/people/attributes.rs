//! Attribute names: what a template may ask for.

use std::collections::BTreeSet;

use diesel::prelude::*;

use crate::domain::instant::UtcInstant;
use crate::store::engine::schema::attribute_keys;
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
