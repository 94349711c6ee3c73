//! The walk through an audience: where its next page ends.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Untyped};

use crate::domain::campaigns::audience::{Audience, Became};
use crate::domain::ids::{CampaignId, ContactId, ListId, SegmentId, TagId};
use crate::store::dispatch::plan::Span;
use crate::store::engine::sql::Pieces;
use crate::store::{Conn, StoreError};

/// What is walked for an audience: together, these hold everybody who is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Walk(Vec<Walked>);

/// Something that is walked by the ids of contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Walked {
    /// All that live.
    Contacts,
    /// Those on a list.
    Members(ListId),
    /// Those with a tag.
    Tagged(TagId),
    /// The members of a segment.
    InSegment(SegmentId),
    /// Those that the campaign names one by one.
    Named(CampaignId),
    /// The recipients of another campaign, whatever became of them: it may have been sent to hardly any of very many, and the
    /// transaction that packs a page is to be short.
    RecipientsOf(CampaignId),
}

impl Walk {
    /// What has to be walked. `has_default`: a list of the audience counts everybody who was introduced and has not refused.
    pub(in crate::store) fn new(campaign: CampaignId, audience: &Audience, has_default: bool, tags: &[TagId]) -> Self {
        let include = &audience.include;
        let mut walked = Vec::new();
        if include.all || has_default || include.filter.is_some() {
            // All others live, too, unless they are named one by one.
            walked.push(Walked::Contacts);
        } else {
            walked.extend(include.lists.iter().copied().map(Walked::Members));
            walked.extend(tags.iter().copied().map(Walked::Tagged));
            walked.extend(include.segments.iter().copied().map(Walked::InSegment));
            walked.extend(include.campaigns.iter().map(|part| match part.was {
                Became::Sent => Walked::RecipientsOf(part.id),
            }));
        }
        if !include.contact_ids.is_empty() {
            walked.push(Walked::Named(campaign));
        }
        Self(walked)
    }

    /// The contact at which a stretch of about `limit` candidates ends; `None` when there is no candidate left.
    pub(in crate::store) fn bound(
        &self,
        conn: &mut Conn,
        span: Span,
        limit: i64,
    ) -> Result<Option<ContactId>, StoreError> {
        let bound = match self.0.as_slice() {
            [one] => one.last_of(conn, span, limit),
            several => merged(conn, several, span, limit),
        };
        bound.map_err(StoreError::query("walk an audience"))
    }
}

#[derive(QueryableByName)]
struct Bound {
    #[diesel(sql_type = Nullable<BigInt>)]
    id: Option<ContactId>,
}

impl Walked {
    /// Adds the first `limit` ids of a stretch, as `id`, in order. The limit is part of the text: SQLite plans a bound one anew at
    /// each run.
    fn push(self, to: &mut Pieces<i64>, span: Span, limit: i64) {
        let (key, of, owner, rest) = match self {
            Self::Contacts => ("id", "contacts WHERE 0 = ", 0, " AND deleted_at IS NULL"),
            Self::Members(list) => ("contact_id", "list_members WHERE list_id = ", list.0, ""),
            Self::Tagged(tag) => ("contact_id", "contact_tags WHERE tag_id = ", tag.0, ""),
            Self::InSegment(segment) => {
                ("contact_id", "segment_members WHERE segment_id = ", segment.0, " AND left_at IS NULL")
            }
            Self::RecipientsOf(campaign) => ("contact_id", "deliveries WHERE campaign_id = ", campaign.0, ""),
            Self::Named(campaign) => {
                ("contact_id", "audience_contacts WHERE campaign_id = ", campaign.0, " AND NOT excluded")
            }
        };
        to.push(&format!("SELECT {key} AS id FROM {of}"))
            .bind(owner)
            .push(&format!(" AND {key} > "))
            .bind(span.after.0)
            .push(&format!(" AND {key} <= "))
            .bind(span.up_to.0)
            .push(&format!("{rest} ORDER BY {key} LIMIT {limit}"));
    }

    fn last_of(self, conn: &mut Conn, span: Span, limit: i64) -> QueryResult<Option<ContactId>> {
        let mut query = Pieces::default();
        query.push("SELECT max(id) AS id FROM (");
        self.push(&mut query, span, limit);
        query.push(") AS first");
        let query = query.query::<BigInt, Untyped>();
        let row: QueryResult<Bound> = match conn {
            Conn::Pg(conn) => query.get_result(conn),
            Conn::Sqlite(conn) => query.get_result(conn),
        };
        row.map(|row| row.id)
    }

    fn first_of(self, conn: &mut Conn, span: Span, limit: i64) -> QueryResult<VecDeque<ContactId>> {
        let mut query = Pieces::default();
        self.push(&mut query, span, limit);
        let query = query.query::<BigInt, BigInt>();
        let ids: QueryResult<Vec<ContactId>> = match conn {
            Conn::Pg(conn) => query.load(conn),
            Conn::Sqlite(conn) => query.load(conn),
        };
        ids.map(VecDeque::from)
    }
}

/// The `limit`th of several walks together, or the last. Each is read in parts, as far as it is needed: what is read grows with
/// the page, however many walks there are.
fn merged(conn: &mut Conn, walks: &[Walked], span: Span, limit: i64) -> QueryResult<Option<ContactId>> {
    let part = part_of(limit, walks.len());
    let mut parts = Vec::with_capacity(walks.len());
    let mut heads = BinaryHeap::with_capacity(walks.len());
    for (n, walk) in walks.iter().enumerate() {
        let mut ids = walk.first_of(conn, span, part)?;
        heads.extend(ids.pop_front().map(|id| Reverse((id, n))));
        parts.push(ids);
    }
    let (mut last, mut found) = (None, 0);
    while let Some(Reverse((id, n))) = heads.pop() {
        if last != Some(id) {
            if found == limit {
                break;
            }
            found += 1;
            last = Some(id);
        }
        let (Some(ids), Some(walk)) = (parts.get_mut(n), walks.get(n)) else { continue };
        if ids.is_empty() {
            *ids = walk.first_of(conn, Span { after: id, ..span }, part)?;
        }
        heads.extend(ids.pop_front().map(|id| Reverse((id, n))));
    }
    Ok(last)
}

/// How many ids of each walk are read at once: a power of two, so that few texts of the statement stay prepared.
fn part_of(limit: i64, walks: usize) -> i64 {
    let share = u64::try_from(limit).unwrap_or(1) / u64::try_from(walks).unwrap_or(1).max(1);
    let part = share.next_power_of_two().clamp(16, 1 << 14);
    i64::try_from(part).unwrap_or(16)
}
