//! Criteria as clients write them: lists and segments go by their ids or their slugs.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::domain::ids::{ListId, SegmentId};
use crate::domain::people::contact::FieldError;
use crate::domain::segments::Criteria;
use crate::domain::segments::names::{Ids, put_ids, slugs};
use crate::store::people::lists::{self, ListKey};
use crate::store::segments::names;
use crate::store::{Conn, Lane, MayBeStoreError, Store, StoreError};

/// Why criteria are refused.
#[derive(Debug, thiserror::Error)]
pub enum UnreadCriteria {
    /// They are not as they must be. The field is a JSON pointer below the criteria.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MayBeStoreError for UnreadCriteria {
    fn into_store_error(self) -> Result<StoreError, Self> {
        if let Self::Store(error) = self { Ok(error) } else { Err(self) }
    }
}

/// Reads criteria, with the ids of the lists and segments that they name. Those exist.
///
/// # Errors
/// [`UnreadCriteria`].
pub async fn read(store: &Store, mut given: Value) -> Result<Criteria, UnreadCriteria> {
    let named = slugs(&given);
    let keys: Vec<ListKey> = named.lists.iter().cloned().map(ListKey::Slug).collect();
    let segments: Vec<String> = named.segments.into_iter().collect();
    if !keys.is_empty() || !segments.is_empty() {
        let look = move |conn: &mut Conn| {
            let lists = lists::existing(conn, &keys)?;
            let lists = lists.into_iter().filter_map(|(key, id)| match key {
                ListKey::Slug(slug) => Some((slug, id)),
                ListKey::Id(_) => None,
            });
            Ok(Ids { lists: lists.collect(), segments: names::ids_of_slugs(conn, &segments)? })
        };
        put_ids(&mut given, &store.run(Lane::LookUp, "look up slugs", look).await?);
    }
    let criteria = Criteria::read(given)?;
    let (lists, segments) = (criteria.lists(), criteria.segments());
    if !lists.is_empty() || !segments.is_empty() {
        let look = move |conn: &mut Conn| missing(conn, &lists, &segments);
        if let Some(error) = store.run(Lane::LookUp, "look up lists and segments", look).await? {
            return Err(error.into());
        }
    }
    Ok(criteria)
}

/// What is wrong, if one of these does not exist.
fn missing(
    conn: &mut Conn,
    lists: &BTreeSet<ListId>,
    segments: &BTreeSet<SegmentId>,
) -> Result<Option<FieldError>, StoreError> {
    let keys: Vec<ListKey> = lists.iter().copied().map(ListKey::Id).collect();
    let found = lists::existing(conn, &keys)?;
    if let Some(list) = lists.iter().find(|list| !found.contains_key(&ListKey::Id(**list))) {
        return Ok(Some(FieldError::new("", "criteria_invalid", format!("there is no list {list}"))));
    }
    let found = names::existing(conn, segments)?;
    let missing = segments.difference(&found).next();
    Ok(missing.map(|segment| FieldError::new("", "criteria_invalid", format!("there is no segment {segment}"))))
}
