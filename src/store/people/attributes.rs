//! Attribute names: what a template may ask for.

use std::collections::{BTreeMap, BTreeSet};

use diesel::dsl::exists;
use diesel::prelude::*;

use crate::domain::ids::ContactId;
use crate::domain::instant::UtcInstant;
use crate::domain::people::contact::Attributes;
use crate::store::engine::like::escape_like;
use crate::store::engine::schema::{attribute_keys, campaign_email, contacts, segments, template_versions};
use crate::store::people::dialect;
use crate::store::{Conn, StoreError, engine};

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
    let known: BTreeSet<String> = attribute_keys::table
        .filter(attribute_keys::unused_since.is_null())
        .select(attribute_keys::name)
        .load::<String>(conn)
        .map(BTreeSet::from_iter)
        .map_err(StoreError::query("read attribute names"))?;
    for name in names.into_iter().filter(|name| !known.contains(*name)) {
        dialect::keep_attribute_name(conn, name, now)?;
    }
    Ok(())
}

/// Notes what a look at all contacts has found: which of these names are in use, and which are not. Belongs in a write transaction.
///
/// # Errors
/// A query failed.
pub fn note_use(conn: &mut Conn, used: &[String], unused: &[String]) -> Result<(), StoreError> {
    let now = engine::now(conn)?;
    let marked = attribute_keys::table.filter(attribute_keys::unused_since.is_not_null());
    diesel::update(marked.filter(attribute_keys::name.eq_any(used)))
        .set(attribute_keys::unused_since.eq(None::<UtcInstant>))
        .execute(conn)
        .map_err(StoreError::query("note attribute names that are in use"))?;
    let unmarked = attribute_keys::table.filter(attribute_keys::unused_since.is_null());
    diesel::update(unmarked.filter(attribute_keys::name.eq_any(unused)))
        .set(attribute_keys::unused_since.eq(now))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("note attribute names that are not in use"))
}

/// Those of these names that were noted as unused more than `after_ms` ago, and that no content and no segment mentions: what
/// [`forget_unused`] would remove. It searches all content for each of them.
///
/// # Errors
/// A query failed.
pub fn forgettable(conn: &mut Conn, unused: &[String], after_ms: i64) -> Result<Vec<String>, StoreError> {
    let before = engine::now(conn)?.plus_ms(-after_ms);
    let old: Vec<String> = attribute_keys::table
        .filter(attribute_keys::unused_since.lt(before).and(attribute_keys::name.eq_any(unused)))
        .select(attribute_keys::name)
        .load(conn)
        .map_err(StoreError::query("look for unused attribute names"))?;
    let mut gone = Vec::new();
    for name in old {
        if !is_mentioned(conn, &name)? {
            gone.push(name);
        }
    }
    Ok(gone)
}

/// Removes those of these names that are still [`forgettable`]. How many those were. Call it after a look at all contacts that has found none of
/// them, in a write transaction: a name that a contact got meanwhile has lost its mark.
///
/// # Errors
/// A query failed.
pub fn forget_unused(conn: &mut Conn, unused: &[String], after_ms: i64) -> Result<usize, StoreError> {
    let before = engine::now(conn)?.plus_ms(-after_ms);
    let gone = forgettable(conn, unused, after_ms)?;
    let still = attribute_keys::table.filter(attribute_keys::unused_since.lt(before));
    diesel::delete(still.filter(attribute_keys::name.eq_any(gone)))
        .execute(conn)
        .map_err(StoreError::query("remove unused attribute names"))
}

/// Whether the name stands in any content or in the rule of a segment: checks of them ask for it.
fn is_mentioned(conn: &mut Conn, name: &str) -> Result<bool, StoreError> {
    let pattern = format!("%{}%", escape_like(name));
    let in_html = template_versions::body_html.assume_not_null().like(pattern.clone()).escape('\\');
    let in_content = template_versions::subject
        .like(pattern.clone())
        .escape('\\')
        .or(template_versions::body_text.like(pattern.clone()).escape('\\'))
        .or(template_versions::email.like(pattern.clone()).escape('\\'))
        .or(template_versions::body_html.is_not_null().and(in_html));
    let in_content: bool = diesel::select(exists(template_versions::table.filter(in_content)))
        .get_result(conn)
        .map_err(StoreError::query("look for an attribute name in content"))?;
    // Headers of a campaign's own.
    let in_emails = campaign_email::table.filter(campaign_email::email.like(pattern.clone()).escape('\\'));
    let in_emails: bool = diesel::select(exists(in_emails))
        .get_result(conn)
        .map_err(StoreError::query("look for an attribute name in the headers of campaigns"))?;
    if in_content || in_emails {
        return Ok(true);
    }
    let in_criteria = segments::criteria.assume_not_null().like(pattern).escape('\\');
    let criteria = segments::criteria.is_not_null().and(in_criteria);
    diesel::select(exists(segments::table.filter(segments::deleted_at.is_null().and(criteria))))
        .get_result(conn)
        .map_err(StoreError::query("look for an attribute name in segments"))
}
