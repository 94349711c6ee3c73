//! The launch: one transaction that pins everything a campaign will be sent from.

use std::time::Duration;

use diesel::prelude::*;

use super::{CampaignRow, TransitionError};
use crate::domain::campaigns::CampaignEvent;
use crate::domain::campaigns::audience::Audience;
use crate::domain::content::category::Category;
use crate::domain::content::template::TrackedLink;
use crate::domain::content::tracking::{StoredTracking, Tracking};
use crate::domain::ids::{CampaignId, ContactId, ListId, TagId, TemplateVersionId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::link::Kid;
use crate::domain::people::tag;
use crate::store::dispatch::dialect::{People, count_audience, count_live_contacts, insert_audience_contacts};
use crate::store::dispatch::packing::{Span, has_default};
use crate::store::engine::schema::{
    audience_lists, audience_tags, campaigns as campaign, contact_tags, contacts, list_members, packings,
    segment_members, tags,
};
use crate::store::people::dialect::hold_lists;
use crate::store::{Conn, StoreError, campaigns, engine, tracking};

/// What a launch pins.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The campaign.
    pub campaign: CampaignId,
    /// The recipients; checked.
    pub audience: Audience,
    /// The content.
    pub template_version: TemplateVersionId,
    /// Why it is sent.
    pub category: Category,
    /// What is tracked of its messages.
    pub tracking: Tracking,
    /// The links that are.
    pub links: Vec<TrackedLink>,
    /// The pool that will send it.
    pub pool: String,
    /// Random: the first half of every idempotency key.
    pub key: String,
    /// What log lines about this sending will carry: a UUID.
    pub correlation_id: String,
    /// The key that signs the links of its messages.
    pub link_kid: Kid,
}

/// A launched campaign and its audience, counted once.
#[derive(Debug)]
pub struct Launched {
    /// The campaign, now `sending`.
    pub campaign: CampaignRow,
    /// How many the audience names.
    pub expected: i64,
}

/// Moves a draft or scheduled campaign to `sending` by compare-and-set, and writes audience, template revision, highest
/// contact id and key beside it. Runs inside the caller's transaction, so that an idempotency key can join it.
///
/// # Errors
/// The campaign is missing or in another status, or a query failed.
pub fn launch(conn: &mut Conn, launch: &Launch) -> Result<Launched, TransitionError> {
    let row = campaigns::locked(conn, launch.campaign)?;
    let next = row.status.next(CampaignEvent::Launch)?;
    write_audience(conn, launch)?;
    // Nobody joins these lists until the commit: the members at this instant are the audience.
    hold_lists(conn, &launch.audience.include.lists)?;
    let now = engine::now(conn)?;
    let audience = serde_json::to_string(&launch.audience)
        .map_err(|error| StoreError::Corrupt { what: "audience", detail: error.to_string() })?;
    diesel::update(campaign::table.find(launch.campaign))
        .set((
            campaign::audience.eq(audience),
            campaign::template_version_id.eq(launch.template_version),
            campaign::category.eq(launch.category),
            campaign::tracking.eq(StoredTracking::from(launch.tracking)),
            campaign::pool.eq(&launch.pool),
            campaign::key.eq(&launch.key),
            campaign::correlation_id.eq(&launch.correlation_id),
            campaign::link_kid.eq(launch.link_kid.as_str()),
            campaign::launched_at.eq(now),
        ))
        .execute(conn)
        .map_err(StoreError::query("pin a campaign's content"))?;
    tracking::write_links(conn, launch.campaign, &launch.links)?;
    let max_contact_id: Option<ContactId> = contacts::table
        .select(diesel::dsl::max(contacts::id))
        .first(conn)
        .map_err(StoreError::query("find the highest contact"))?;
    let max_contact_id = max_contact_id.unwrap_or(ContactId(0));
    let has_default = has_default(conn, &launch.audience)?;
    let expected = if launch.audience.is_counted_by_packing() {
        at_most(conn, &launch.audience)?
    } else {
        let people = People { campaign: launch.campaign, audience: &launch.audience, has_default, filtered: None };
        count_audience(conn, people, Span { after: ContactId(0), up_to: max_contact_id })?
    };
    diesel::insert_into(packings::table)
        .values((
            packings::campaign_id.eq(launch.campaign),
            packings::cursor_contact_id.eq(ContactId(0)),
            packings::max_contact_id.eq(max_contact_id),
            packings::next_page.eq(1),
            packings::expected.eq(expected),
            packings::done.eq(false),
            packings::sweep_page_id.eq(0),
        ))
        .execute(conn)
        .map_err(StoreError::query("begin a packing"))?;
    let campaign = campaigns::set_status(conn, &row, next, None)?;
    let include = &launch.audience.include;
    if !include.lists.is_empty() || !include.tags.is_empty() || !include.segments.is_empty() {
        outlast(conn, now)?;
    }
    Ok(Launched { campaign, expected })
}

/// Waits until the database's clock shows a later millisecond than `instant`. Most launches have taken longer already. A
/// clock that was set back is not waited for.
fn outlast(conn: &mut Conn, instant: UtcInstant) -> Result<(), StoreError> {
    for _ in 0..5 {
        if engine::now(conn)? > instant {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// How many people an audience could name at most, as things are now: quicker than to count them, and never less.
///
/// # Errors
/// A query failed.
pub fn at_most(conn: &mut Conn, audience: &Audience) -> Result<i64, StoreError> {
    let include = &audience.include;
    if include.all || include.filter.is_some() || has_default(conn, audience)? {
        return count_live_contacts(conn, ContactId(i64::MAX));
    }
    let members: i64 = list_members::table
        .filter(list_members::list_id.eq_any(include.lists.clone()))
        .count()
        .get_result(conn)
        .map_err(StoreError::query("count the members of lists"))?;
    let tags: Vec<TagId> = tags_named(conn, &include.tags)?.into_iter().map(|(tag, _)| tag).collect();
    let tagged: i64 = contact_tags::table
        .filter(contact_tags::tag_id.eq_any(tags))
        .count()
        .get_result(conn)
        .map_err(StoreError::query("count who has tags"))?;
    let in_segments: i64 = segment_members::table
        .filter(segment_members::segment_id.eq_any(include.segments.clone()).and(segment_members::left_at.is_null()))
        .count()
        .get_result(conn)
        .map_err(StoreError::query("count the members of segments"))?;
    let named = i64::try_from(include.contact_ids.len()).unwrap_or(i64::MAX);
    let mut sent: i64 = 0;
    for part in &include.campaigns {
        // By its pages: no look at each of its recipients.
        sent = sent.saturating_add(campaigns::counts(conn, part.id)?.total());
    }
    Ok([members, tagged, in_segments, named, sent].into_iter().fold(0, i64::saturating_add))
}

fn write_audience(conn: &mut Conn, launch: &Launch) -> Result<(), StoreError> {
    let audience = &launch.audience;
    for (ids, excluded) in [(&audience.include.contact_ids, false), (&audience.exclude.contact_ids, true)] {
        insert_audience_contacts(conn, launch.campaign, ids, excluded)?;
    }
    for (ids, excluded) in [(&audience.include.lists, false), (&audience.exclude.lists, true)] {
        for list in ids {
            diesel::insert_into(audience_lists::table)
                .values((
                    audience_lists::campaign_id.eq(launch.campaign),
                    audience_lists::list_id.eq(*list),
                    audience_lists::excluded.eq(excluded),
                ))
                .execute(conn)
                .map_err(StoreError::query("write an audience"))?;
        }
    }
    for (names, excluded) in [(&audience.include.tags, false), (&audience.exclude.tags, true)] {
        for (tag, _) in tags_named(conn, names)? {
            diesel::insert_into(audience_tags::table)
                .values((
                    audience_tags::campaign_id.eq(launch.campaign),
                    audience_tags::tag_id.eq(tag),
                    audience_tags::excluded.eq(excluded),
                ))
                .execute(conn)
                .map_err(StoreError::query("write an audience"))?;
        }
    }
    Ok(())
}

/// Which of `ids` are not live contacts, in id order. Asked before a launch, so that the answer can name them.
///
/// # Errors
/// A query failed.
pub fn missing_contacts(conn: &mut Conn, ids: &[ContactId]) -> Result<Vec<ContactId>, StoreError> {
    crate::store::dispatch::dialect::missing_contacts(conn, ids)
}

/// Leaves out contacts that an audience names and that do not exist; how many of those that it is for.
///
/// # Errors
/// A query failed.
pub fn forget_missing_contacts(conn: &mut Conn, audience: &mut Audience) -> Result<usize, StoreError> {
    let missing = missing_contacts(conn, &audience.include.contact_ids)?;
    audience.include.contact_ids.retain(|id| missing.binary_search(id).is_err());
    let left_out = missing_contacts(conn, &audience.exclude.contact_ids)?;
    audience.exclude.contact_ids.retain(|id| left_out.binary_search(id).is_err());
    Ok(missing.len())
}

pub(in crate::store) fn tags_named(conn: &mut Conn, names: &[String]) -> Result<Vec<(TagId, String)>, StoreError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    tags::table
        .filter(tags::name.eq_any(names.to_vec()))
        .select((tags::id, tags::name))
        .load(conn)
        .map_err(StoreError::query("look up tags"))
}

/// Which of `names` are not tags, in order.
///
/// # Errors
/// The query failed.
pub fn missing_tags(conn: &mut Conn, names: &[String]) -> Result<Vec<String>, StoreError> {
    // Other text need not even be text to the database: PostgreSQL takes none with a zero byte in it.
    let tags: Vec<String> = names.iter().filter(|name| tag::parse(name).is_ok()).cloned().collect();
    let found = tags_named(conn, &tags)?;
    Ok(names.iter().filter(|name| !found.iter().any(|(_, found)| found == *name)).cloned().collect())
}

/// Which of `ids` are not lists.
///
/// # Errors
/// The query failed.
pub fn missing_lists(conn: &mut Conn, ids: &[ListId]) -> Result<Vec<ListId>, StoreError> {
    use crate::store::engine::schema::lists;
    let found: Vec<ListId> = lists::table
        .filter(lists::id.eq_any(ids.to_vec()))
        .select(lists::id)
        .load(conn)
        .map_err(StoreError::query("look up lists"))?;
    Ok(ids.iter().copied().filter(|id| !found.contains(id)).collect())
}

/// Which of `ids` are not campaigns.
///
/// # Errors
/// The query failed.
pub fn missing_campaigns(conn: &mut Conn, ids: Vec<CampaignId>) -> Result<Vec<CampaignId>, StoreError> {
    if ids.is_empty() {
        return Ok(ids);
    }
    let found: Vec<CampaignId> = campaign::table
        .filter(campaign::id.eq_any(ids.clone()))
        .select(campaign::id)
        .load(conn)
        .map_err(StoreError::query("look up campaigns"))?;
    Ok(ids.into_iter().filter(|id| !found.contains(id)).collect())
}
