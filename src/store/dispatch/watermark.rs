//! Numbers that change when the people of an audience do, without a look at each of them.

use diesel::dsl::{count_star, max};
use diesel::prelude::*;

use crate::domain::campaigns::audience::Audience;
use crate::domain::ids::{ContactId, ListId, SegmentId, TagId};
use crate::domain::segments::Criteria;
use crate::store::campaigns::{counts, launch};
use crate::store::dispatch::dialect::count_live_contacts;
use crate::store::dispatch::packing::has_default;
use crate::store::engine::schema::{contact_tags, contacts, list_members, segment_members};
use crate::store::{Conn, StoreError};

/// How many are in each kind of source of an audience, and when the newest came or changed. Another member of a list, a tag or a
/// segment changes it; of an earlier campaign, another count. Of all contacts it is how many live and the highest id: that one of
/// them has changed is not seen, and neither is an event that a filter asks for.
///
/// # Errors
/// A query failed.
pub fn watermark(conn: &mut Conn, audience: &Audience) -> Result<Vec<i64>, StoreError> {
    let (include, exclude) = (&audience.include, &audience.exclude);
    let mut marks = Vec::new();
    let in_filters = audience.filters().flat_map(Criteria::lists);
    let lists: Vec<ListId> = include.lists.iter().chain(&exclude.lists).copied().chain(in_filters).collect();
    if !lists.is_empty() {
        let found: (i64, Option<i64>, Option<i64>) = list_members::table
            .filter(list_members::list_id.eq_any(lists))
            .select((count_star(), max(list_members::status_at), max(list_members::created_at)))
            .first(conn)
            .map_err(StoreError::query("count the members of lists"))?;
        marks.extend([found.0, found.1.unwrap_or_default(), found.2.unwrap_or_default()]);
    }
    let names: Vec<String> = include.tags.iter().chain(&exclude.tags).cloned().collect();
    if !names.is_empty() {
        let tags: Vec<TagId> = launch::tags_named(conn, &names)?.into_iter().map(|(tag, _)| tag).collect();
        let found: (i64, Option<i64>) = contact_tags::table
            .filter(contact_tags::tag_id.eq_any(tags))
            .select((count_star(), max(contact_tags::created_at)))
            .first(conn)
            .map_err(StoreError::query("count who has tags"))?;
        marks.extend([found.0, found.1.unwrap_or_default()]);
    }
    let segments: Vec<SegmentId> = audience.segments().into_iter().collect();
    if !segments.is_empty() {
        let found: (i64, Option<i64>) = segment_members::table
            .filter(segment_members::segment_id.eq_any(segments).and(segment_members::left_at.is_null()))
            .select((count_star(), max(segment_members::entered_at)))
            .first(conn)
            .map_err(StoreError::query("count the members of segments"))?;
        marks.extend([found.0, found.1.unwrap_or_default()]);
    }
    for part in &include.campaigns {
        let counts = counts(conn, part.id)?;
        marks.extend([counts.total(), counts.sent]);
    }
    for part in &exclude.campaigns {
        // Who failed or was skipped there is not left out.
        let counts = counts(conn, part.id)?;
        marks.extend([counts.total(), counts.failed + counts.skipped]);
    }
    if include.all || include.filter.is_some() || has_default(conn, audience)? {
        let highest: Option<i64> = contacts::table
            .select(max(contacts::id))
            .first(conn)
            .map_err(StoreError::query("find the highest contact"))?;
        marks.extend([count_live_contacts(conn, ContactId(i64::MAX))?, highest.unwrap_or_default()]);
    }
    Ok(marks)
}
