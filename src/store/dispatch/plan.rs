//! How an audience is read, stretch by stretch: that of a launched campaign when it is packed, or the same before a launch.

use diesel::prelude::*;

use crate::domain::campaigns::audience::Audience;
use crate::domain::ids::{CampaignId, ContactId, TagId};
use crate::domain::instant::UtcInstant;
use crate::store::dispatch::dialect::{self, Filtered, Given, People, Walk};
use crate::store::engine::schema::{audience_tags, lists};
use crate::store::segments::matching;
use crate::store::{Conn, StoreError, engine};

/// How many stretches of contacts are looked at for one page, where a filter alone names people.
const MOST_LOOKS: usize = 10;

/// A stretch of contact ids: above `after`, up to and including `up_to`.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Exclusive.
    pub after: ContactId,
    /// Inclusive.
    pub up_to: ContactId,
}

/// The next stretch of an audience, and what its filters say of the contacts there.
#[derive(Debug, Clone)]
pub struct Ahead {
    pub(in crate::store) span: Span,
    /// Nobody is left behind it.
    pub(in crate::store) is_end: bool,
    pub(in crate::store) filtered: Filtered,
}

/// How an audience is read.
pub(in crate::store) struct Plan {
    campaign: CampaignId,
    pub(in crate::store) audience: Audience,
    has_default: bool,
    walk: Walk,
    /// What belongs to the audience, where no campaign has it in its tables.
    given: Option<Given>,
}

impl Plan {
    /// The audience of a launched campaign.
    pub(in crate::store) fn of_launched(
        conn: &mut Conn,
        campaign: CampaignId,
        audience: Audience,
    ) -> Result<Self, StoreError> {
        let has_default = has_default(conn, &audience)?;
        let tags = if audience.include.tags.is_empty() { Vec::new() } else { tags_of(conn, campaign)? };
        let walk = Walk::new(campaign, &audience, has_default, &tags);
        Ok(Self { campaign, audience, has_default, walk, given: None })
    }

    /// An audience that a launch at `now` would have, with the ids of the tags that it names and that leave people out.
    pub(in crate::store) fn of_given(
        conn: &mut Conn,
        audience: Audience,
        tags: (Vec<TagId>, Vec<TagId>),
        now: UtcInstant,
    ) -> Result<Self, StoreError> {
        let has_default = has_default(conn, &audience)?;
        // Those who are named one by one are in no table: they are walked here.
        let mut walked = audience.clone();
        walked.include.contact_ids.clear();
        // No campaign has this id.
        let campaign = CampaignId(0);
        let walk = Walk::new(campaign, &walked, has_default, &tags.0);
        let given = Some(Given { now, tags: tags.0, left_out_tags: tags.1 });
        Ok(Self { campaign, audience, has_default, walk, given })
    }

    pub(in crate::store) fn given(&self) -> Option<&Given> {
        self.given.as_ref()
    }

    pub(in crate::store) fn people<'a>(&'a self, filtered: Option<&'a Filtered>) -> People<'a> {
        People { campaign: self.campaign, audience: &self.audience, has_default: self.has_default, filtered }
    }

    /// Whom the audience means in a stretch, in the order of their ids.
    pub(in crate::store) fn people_of(
        &self,
        conn: &mut Conn,
        filtered: Option<&Filtered>,
        span: Span,
    ) -> Result<Vec<ContactId>, StoreError> {
        match &self.given {
            None => dialect::people_of(conn, self.people(filtered), span),
            Some(given) => dialect::people_given(conn, self.people(filtered), given, span),
        }
    }

    /// The contact at which a stretch of about `limit` candidates ends; `None` when there is no candidate left.
    fn bound(&self, conn: &mut Conn, span: Span, limit: i64) -> Result<Option<ContactId>, StoreError> {
        let bound = self.walk.bound(conn, span, limit)?;
        if self.given.is_none() {
            return Ok(bound);
        }
        let ids = &self.audience.include.contact_ids;
        let rest = ids.get(ids.partition_point(|id| *id <= span.after)..).unwrap_or_default();
        let rest = rest.get(..rest.partition_point(|id| *id <= span.up_to)).unwrap_or_default();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let named = rest.get(limit.saturating_sub(1)).or(rest.last()).copied();
        Ok(match (bound, named) {
            (Some(bound), Some(named)) => Some(bound.min(named)),
            (bound, named) => bound.or(named),
        })
    }

    /// The next stretch of `rest`, where the audience has no filter.
    pub(in crate::store) fn next(&self, conn: &mut Conn, rest: Span, page_size: i64) -> Result<Ahead, StoreError> {
        let bound = self.bound(conn, rest, page_size)?;
        let span = Span { up_to: bound.unwrap_or(rest.up_to), ..rest };
        Ok(Ahead { span, is_end: bound.is_none(), filtered: Filtered::default() })
    }

    /// The next stretch of `rest`, and what filters say of it. Contacts are looked at until about a page of them is taken, but
    /// not too many: a filter may take hardly anybody.
    pub(in crate::store) fn ask(&self, conn: &mut Conn, rest: Span, page_size: i64) -> Result<Ahead, StoreError> {
        let now = engine::now(conn)?;
        let mut filtered = Filtered::default();
        let (mut span, mut is_end) = (Span { up_to: rest.after, ..rest }, false);
        for _ in 0..if self.audience.include.is_only_filter() { MOST_LOOKS } else { 1 } {
            let missing = page_size - i64::try_from(filtered.taken.len()).unwrap_or(i64::MAX);
            // The rest of a page is not looked for, but one contact may be a whole page.
            if missing <= 0 || missing < page_size / 2 {
                break;
            }
            let part = Span { after: span.up_to, ..rest };
            let Some(up_to) = self.bound(conn, part, missing)? else {
                is_end = span.up_to == rest.after;
                span.up_to = rest.up_to;
                break;
            };
            span.up_to = up_to;
            if let Some(filter) = self.audience.include.asked_filter() {
                let ids = matching::living(conn, part.after, up_to, missing)?;
                filtered.taken.extend(matching::taken(conn, filter, &ids, now)?);
            }
        }
        if let Some(filter) = self.audience.exclude.filter.as_ref().filter(|_| !is_end) {
            let named = self.people_of(conn, Some(&filtered), span)?;
            filtered.left_out = matching::taken(conn, filter, &named, now)?;
            filtered.asked = Some(named);
        }
        Ok(Ahead { span, is_end, filtered })
    }
}

/// Whether a list of an audience counts everybody who was introduced and has not refused.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn has_default(conn: &mut Conn, audience: &Audience) -> Result<bool, StoreError> {
    let lists = &audience.include.lists;
    if lists.is_empty() {
        return Ok(false);
    }
    let counting = lists::table.filter(lists::id.eq_any(lists.clone()).and(lists::default_opt_in.eq(true)));
    diesel::select(diesel::dsl::exists(counting)).get_result(conn).map_err(StoreError::query("look lists up"))
}

fn tags_of(conn: &mut Conn, campaign: CampaignId) -> Result<Vec<TagId>, StoreError> {
    audience_tags::table
        .filter(audience_tags::campaign_id.eq(campaign).and(audience_tags::excluded.eq(false)))
        .order(audience_tags::tag_id)
        .select(audience_tags::tag_id)
        .load(conn)
        .map_err(StoreError::query("read the tags of an audience"))
}
