//! Contacts that a filter takes, changed part by part: each part is a decision of its own, so that no transaction grows with the
//! audience.

use std::vec::IntoIter;

use crate::domain::ids::ContactId;
use crate::services::Services;
use crate::store::people::contact_filter::{self, ContactFilter};
use crate::store::{Conn, Lane, StoreError};

/// How many contacts one transaction changes.
const PART: usize = 1_000;

/// How far a selection is worked off: what is to be done lies above the first id, up to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Everybody up to this one is done.
    pub after: ContactId,
    /// Contacts above it were made after the selection began: they are not meant.
    pub until: ContactId,
}

/// Contacts that a filter takes, oldest first. Each is looked for once, at its place in the order of ids, so that what is done to it
/// may take it out of the filter.
#[derive(Debug)]
pub struct Selection {
    filter: ContactFilter,
    place: Option<Place>,
    limit: usize,
    /// Looked for at the first part, all at once: a filter may have to walk over everybody to find a few.
    found: Option<IntoIter<ContactId>>,
}

impl Selection {
    /// The first `limit` contacts from `place`; from the start where there is none.
    #[must_use]
    pub const fn new(filter: ContactFilter, place: Option<Place>, limit: usize) -> Self {
        Self { filter, place, limit, found: None }
    }

    /// The next contacts to change in one transaction; none when all are given. They may be gone by then, and the caller passes over
    /// those that are.
    ///
    /// # Errors
    /// The database failed.
    pub(super) async fn next(&mut self, services: &Services) -> Result<Vec<ContactId>, StoreError> {
        let found = match &mut self.found {
            Some(found) => found,
            found @ None => {
                let (place, ids) = find(services, self.filter.clone(), self.place, self.limit).await?;
                let is_at_end = ids.len() < self.limit;
                self.place = ids.last().filter(|_| !is_at_end).map(|last| Place { after: *last, ..place });
                found.insert(ids.into_iter())
            }
        };
        Ok(found.take(PART).collect())
    }

    /// Where to go on after the last part; none when everybody is done.
    #[must_use]
    pub const fn rest(&self) -> Option<Place> {
        self.place
    }
}

async fn find(
    services: &Services,
    filter: ContactFilter,
    place: Option<Place>,
    limit: usize,
) -> Result<(Place, Vec<ContactId>), StoreError> {
    let find = move |conn: &mut Conn| {
        let place = match place {
            Some(place) => place,
            None => Place { after: ContactId(0), until: contact_filter::newest(conn)? },
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok((place, contact_filter::ids(conn, &filter, (place.after, place.until), limit)?))
    };
    services.store.run(Lane::Read, "find contacts by a filter", find).await
}
