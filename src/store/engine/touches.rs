//! Touches: notes that something about contacts has changed, for the segments that ask about it.
//!
//! Every transaction that changes what a segment may ask about adds its touches itself, whether or not there is such a segment: nobody
//! has to know which segments there are. Rows are only added, so that no writer waits for another one. The worker of the segments
//! removes them.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;

use super::dialect;
use super::schema::segment_ranges;
use crate::domain::ids::{ContactId, ImportId};
use crate::domain::segments::topic::Topic;
use crate::store::{Conn, StoreError};

/// The most rows that are written in one statement.
const MOST_ROWS: usize = 5_000;

/// What one transaction changes of contacts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::store) struct Touches(BTreeMap<ContactId, BTreeSet<Topic>>);

impl Touches {
    /// Adds a change of a contact.
    pub(in crate::store) fn add(&mut self, contact: ContactId, topic: Topic) {
        let topics = self.0.entry(contact).or_default();
        let is_covered = topics.iter().any(Topic::concerns_all);
        if topic.concerns_all() && !is_covered {
            topics.clear();
        }
        if !is_covered {
            topics.insert(topic);
        }
    }

    /// The same change of several contacts.
    pub(in crate::store) fn of(contacts: impl IntoIterator<Item = ContactId>, topic: &Topic) -> Self {
        let mut touches = Self::default();
        contacts.into_iter().for_each(|contact| touches.add(contact, topic.clone()));
        touches
    }

    /// Stores them. Belongs in the transaction of the change.
    ///
    /// # Errors
    /// A query failed.
    pub(in crate::store) fn write(self, conn: &mut Conn) -> Result<(), StoreError> {
        let rows: Vec<(ContactId, String)> = self
            .0
            .into_iter()
            .flat_map(|(contact, topics)| topics.into_iter().map(move |topic| (contact, topic.to_string())))
            .collect();
        rows.chunks(MOST_ROWS).try_for_each(|chunk| dialect::touches::insert(conn, chunk))
    }
}

/// Adds the touches of what a reaction is about to change, each with how many reactions will have led to it. They come before the touches
/// that the changes themselves add, and are taken no later: whatever follows is found through them, and its chain is known.
///
/// # Errors
/// A query failed.
pub(in crate::store) fn write_ahead(conn: &mut Conn, rows: &[(ContactId, Topic, i32)]) -> Result<(), StoreError> {
    let rows: Vec<(ContactId, String, i32)> =
        rows.iter().map(|(contact, topic, depth)| (*contact, topic.to_string(), *depth)).collect();
    rows.chunks(MOST_ROWS).try_for_each(|chunk| dialect::touches::insert_ahead(conn, chunk))
}

/// Notes that something has changed about all contacts from one to another: where there are too many for a touch of each. They are
/// evaluated for all segments.
///
/// # Errors
/// A query failed.
pub(in crate::store) fn note_stretch(conn: &mut Conn, first: ContactId, last: ContactId) -> Result<(), StoreError> {
    let now = dialect::now(conn)?;
    diesel::insert_into(segment_ranges::table)
        .values((
            segment_ranges::cursor_contact_id.eq(ContactId(first.0 - 1)),
            segment_ranges::last_contact_id.eq(last),
            segment_ranges::created_at.eq(now),
        ))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("note that contacts have changed"))
}

/// Adds to the stretch that an import has changed. It is evaluated when the import is over.
///
/// # Errors
/// A query failed.
pub(in crate::store) fn widen_stretch(
    conn: &mut Conn,
    import: ImportId,
    first: ContactId,
    last: ContactId,
) -> Result<(), StoreError> {
    let so_far: Option<(ContactId, ContactId)> = segment_ranges::table
        .filter(segment_ranges::import_id.eq(import))
        .select((segment_ranges::cursor_contact_id, segment_ranges::last_contact_id))
        .first(conn)
        .optional()
        .map_err(StoreError::query("read what an import has changed"))?;
    let cursor = ContactId(first.0 - 1);
    match so_far {
        // Nobody else writes for this import.
        Some((before, end)) => diesel::update(segment_ranges::table.filter(segment_ranges::import_id.eq(import)))
            .set((
                segment_ranges::cursor_contact_id.eq(before.min(cursor)),
                segment_ranges::last_contact_id.eq(end.max(last)),
            ))
            .execute(conn),
        None => {
            let now = dialect::now(conn)?;
            diesel::insert_into(segment_ranges::table)
                .values((
                    segment_ranges::cursor_contact_id.eq(cursor),
                    segment_ranges::last_contact_id.eq(last),
                    segment_ranges::import_id.eq(import),
                    segment_ranges::created_at.eq(now),
                ))
                .execute(conn)
        }
    }
    .map(drop)
    .map_err(StoreError::query("note what an import has changed"))
}

/// Has the stretch evaluated that an import has changed, if there is one.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn close_stretch(conn: &mut Conn, import: ImportId) -> Result<(), StoreError> {
    diesel::update(segment_ranges::table.filter(segment_ranges::import_id.eq(import)))
        .set(segment_ranges::import_id.eq(None::<ImportId>))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("have evaluated what an import has changed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_touch_about_everything_covers_the_others_of_its_contact() {
        let mut touches = Touches::default();
        touches.add(ContactId(1), Topic::Event("paid".to_owned()));
        touches.add(ContactId(2), Topic::Event("paid".to_owned()));
        touches.add(ContactId(1), Topic::New);
        touches.add(ContactId(1), Topic::Event("left".to_owned()));
        let expected = [(ContactId(1), [Topic::New].into()), (ContactId(2), [Topic::Event("paid".to_owned())].into())];
        assert_eq!(touches.0, expected.into());
    }
}
