//! Counts an audience that no campaign has yet.

use crate::domain::campaigns::audience::Audience;
use crate::domain::ids::{CampaignId, ContactId, TagId};
use crate::domain::instant::UtcInstant;
use crate::store::campaigns::launch;
use crate::store::dispatch::dialect::{Filtered, Given, People, count_given};
use crate::store::dispatch::packing::{Span, has_default};
use crate::store::segments::matching;
use crate::store::{Conn, StoreError};

/// What was found in a stretch of contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// How many living contacts the filters were asked about; 0 where the audience has none.
    pub looked_at: i64,
    /// How many people the audience names.
    pub named: i64,
    /// Where to go on. `None`: the stretch is counted to its end.
    pub rest_after: Option<ContactId>,
}

/// Counts whom an audience names, as things are at `now`, among the contacts above the first id of `stretch` up to the last. `most`:
/// filters are asked about so many living contacts at most, and the rest of the stretch is left.
///
/// # Errors
/// A query failed.
pub fn count(
    conn: &mut Conn,
    audience: &Audience,
    stretch: (ContactId, ContactId),
    most: Option<i64>,
    now: UtcInstant,
) -> Result<Counted, StoreError> {
    conn.snapshot(|conn| {
        let (after, last) = stretch;
        let tags = |conn: &mut Conn, names: &[String]| -> Result<Vec<TagId>, StoreError> {
            Ok(launch::tags_named(conn, names)?.into_iter().map(|(tag, _)| tag).collect())
        };
        let given = Given {
            now,
            tags: tags(conn, &audience.include.tags)?,
            left_out_tags: tags(conn, &audience.exclude.tags)?,
        };
        let ids = match most {
            Some(most) => matching::living(conn, after, last, most)?,
            None => Vec::new(),
        };
        let looked_at = i64::try_from(ids.len()).unwrap_or(i64::MAX);
        // Fewer than asked for: these are the last ones.
        let rest_after = ids.last().copied().filter(|last_looked| most == Some(looked_at) && *last_looked < last);
        let mut filtered = Filtered::default();
        if let Some(filter) = audience.include.asked_filter() {
            filtered.taken = matching::taken(conn, filter, &ids, now)?;
        }
        if let Some(filter) = &audience.exclude.filter {
            filtered.left_out = matching::taken(conn, filter, &ids, now)?;
        }
        let has_default = has_default(conn, audience)?;
        // No campaign has this id.
        let people = People { campaign: CampaignId(0), audience, has_default, filtered: Some(&filtered) };
        let span = Span { after, up_to: rest_after.unwrap_or(last) };
        Ok(Counted { looked_at, named: count_given(conn, people, &given, span)?, rest_after })
    })
}
