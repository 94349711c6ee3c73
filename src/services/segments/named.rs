//! Criteria as clients write them: lists and segments go by their ids or their slugs.

use serde_json::Value;

use crate::domain::people::contact::FieldError;
use crate::domain::segments::Criteria;
use crate::domain::segments::names::{Ids, Named, named, put_ids, slugs};
use crate::store::campaigns::launch;
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

/// Reads criteria, with the ids of the lists and segments that they name. Those exist, and so do the campaigns.
///
/// # Errors
/// [`UnreadCriteria`].
pub async fn read(store: &Store, mut given: Value) -> Result<Criteria, UnreadCriteria> {
    let slugs = slugs(&given);
    let keys: Vec<ListKey> = slugs.lists.iter().cloned().map(ListKey::Slug).collect();
    let segments: Vec<String> = slugs.segments.into_iter().collect();
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
    let named = named(criteria.given());
    if named != Named::default() {
        let look = move |conn: &mut Conn| missing(conn, &named);
        if let Some(error) = store.run(Lane::LookUp, "look up what criteria name", look).await? {
            return Err(error.into());
        }
    }
    Ok(criteria)
}

/// What is wrong, if something that is named does not exist.
fn missing(conn: &mut Conn, named: &Named) -> Result<Option<FieldError>, StoreError> {
    let refuse = |pointer: &String, what: String| {
        Some(FieldError::new(pointer.clone(), "criteria_invalid", format!("there is no {what}")))
    };
    let keys: Vec<ListKey> = named.lists.keys().copied().map(ListKey::Id).collect();
    let found = lists::existing(conn, &keys)?;
    if let Some((list, pointer)) = named.lists.iter().find(|(list, _)| !found.contains_key(&ListKey::Id(**list))) {
        return Ok(refuse(pointer, format!("list {list}")));
    }
    let found = names::existing(conn, &named.segments.keys().copied().collect())?;
    if let Some((segment, pointer)) = named.segments.iter().find(|(segment, _)| !found.contains(segment)) {
        return Ok(refuse(pointer, format!("segment {segment}")));
    }
    let missing = launch::missing_campaigns(conn, named.campaigns.keys().copied().collect())?;
    let missing = missing.first().and_then(|campaign| named.campaigns.get_key_value(campaign));
    Ok(missing.and_then(|(campaign, pointer)| refuse(pointer, format!("campaign {campaign}"))))
}
