//! Deliveries on their way into an archive: which campaigns may give theirs up, what is read of them, and how their rows go.

use std::collections::{BTreeMap, BTreeSet};

use diesel::dsl::{exists, not};
use diesel::prelude::*;

use super::attempts;
use super::deliveries::DeliveryRow;
use super::dialect::wait_for_deliveries;
use super::packing::parse_audience;
use crate::domain::campaigns::CampaignStatus;
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::dispatch::delivery::{DeliveryState, ErrorCategory};
use crate::domain::dispatch::page::PageState;
use crate::domain::dispatch::why::facts::Attempt;
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::instant::UtcInstant;
use crate::store::campaigns::archives::{self, ArchiveLease, ArchiveState};
use crate::store::engine::schema::{
    archives as archive, attempts as attempt, campaign_links, campaigns, deliveries, delivery_contents, link_followers,
    packings, pages,
};
use crate::store::engine::{self, CampaignLock};
use crate::store::{Conn, StoreError};

/// Statuses that a campaign leaves only by being opened again.
const ENDED: [CampaignStatus; 3] = [CampaignStatus::Sent, CampaignStatus::Failed, CampaignStatus::Stopped];

/// The campaigns that ended before this moment and may give their deliveries up, oldest first: everybody is packed, nothing is under way or
/// uncertain, no audience that is or may still be asked names them, and their archive is not begun. Of one campaign, or of all.
///
/// # Errors
/// A query failed, or an audience is not readable.
pub fn due(conn: &mut Conn, before: UtcInstant, one: Option<CampaignId>) -> Result<Vec<CampaignId>, StoreError> {
    let is_packed = packings::done.eq(true).and(packings::sweep.is_null()).and(packings::move_page_id.is_null());
    let is_open =
        pages::state.ne(PageState::Done).or(pages::uncertain.gt(0)).or(pages::pending.gt(0)).or(pages::sending.gt(0));
    let has_open_page = exists(pages::table.filter(pages::campaign_id.eq(campaigns::id).and(is_open)));
    let mut ended = campaigns::table
        .inner_join(packings::table.on(packings::campaign_id.eq(campaigns::id)))
        .filter(campaigns::status.eq_any(ENDED).and(campaigns::ended_at.lt(before)))
        .filter(is_packed.and(not(has_open_page)))
        .order(campaigns::id)
        .select(campaigns::id)
        .into_boxed();
    if let Some(one) = one {
        ended = ended.filter(campaigns::id.eq(one));
    } else {
        let is_begun = exists(archive::table.filter(archive::campaign_id.eq(campaigns::id)));
        ended = ended.filter(not(is_begun));
    }
    let mut found: Vec<CampaignId> = ended.load(conn).map_err(StoreError::query("look for campaigns to archive"))?;
    if !found.is_empty() {
        let named = named(conn)?;
        found.retain(|id| !named.contains(id));
    }
    Ok(found)
}

/// Those of these campaigns that have ended, by their ids.
///
/// # Errors
/// The query failed.
pub fn ended(conn: &mut Conn, of: &[CampaignId]) -> Result<Vec<CampaignId>, StoreError> {
    campaigns::table
        .filter(campaigns::id.eq_any(of.to_vec()).and(campaigns::status.eq_any(ENDED)))
        .order(campaigns::id)
        .select(campaigns::id)
        .load(conn)
        .map_err(StoreError::query("look which campaigns have ended"))
}

/// Campaigns whose recipients are asked for, or may be: by the audience of a campaign that is scheduled or under way, or of one that still has its own
/// deliveries, for which anybody may ask why a person was left out.
fn named(conn: &mut Conn) -> Result<BTreeSet<CampaignId>, StoreError> {
    let is_coming =
        campaigns::status.eq_any([CampaignStatus::Scheduled, CampaignStatus::Sending, CampaignStatus::Paused]);
    let is_launched = exists(packings::table.filter(packings::campaign_id.eq(campaigns::id)));
    let is_archived = exists(
        archive::table.filter(archive::campaign_id.eq(campaigns::id).and(archive::state.ne(ArchiveState::Writing))),
    );
    let audiences: Vec<Option<String>> = campaigns::table
        .filter(campaigns::deleted_at.is_null().and(is_coming.or(is_launched.and(not(is_archived)))))
        .filter(campaigns::audience.is_not_null().and(campaigns::audience.assume_not_null().like("%\"campaigns\"%")))
        .select(campaigns::audience)
        .load(conn)
        .map_err(StoreError::query("look for campaigns that audiences name"))?;
    let mut named = BTreeSet::new();
    for audience in audiences.iter().flatten() {
        let audience = parse_audience(Some(audience))?;
        let parts = audience.include.campaigns.iter().chain(&audience.exclude.campaigns);
        named.extend(parts.map(|part| part.id));
    }
    Ok(named)
}

/// An attempt as it is archived.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Tried {
    /// The number of the claim, from 1.
    pub claim_no: i32,
    /// The state of the delivery after it.
    pub status: DeliveryState,
    /// What kind of trouble it was.
    pub error_category: Option<ErrorCategory>,
    /// Whose trouble it was.
    pub answer_class: Option<AnswerClass>,
    /// What was said.
    pub error: Option<String>,
    /// When it was recorded.
    pub at: UtcInstant,
}

impl From<Attempt> for Tried {
    fn from(attempt: Attempt) -> Self {
        let Attempt { claim_no, state, category, class, reason, at } = attempt;
        Self { claim_no, status: state, error_category: category, answer_class: class, error: reason, at }
    }
}

/// A link that a recipient has followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Followed {
    /// The number of the link.
    pub link: i64,
    /// Whether a machine did.
    pub machine: bool,
}

/// A delivery with what hangs on it.
#[derive(Debug, Clone)]
pub struct Whole {
    /// The delivery.
    pub delivery: DeliveryRow,
    /// Its attempts that are kept, oldest first.
    pub attempts: Vec<Tried>,
    /// The links that were followed.
    pub links: Vec<Followed>,
}

/// Waits for reports that were begun before the campaign was noted as being archived, of what [`portion`] reads next with the same arguments: later
/// ones change no delivery. Belongs in a write transaction that ends before that.
///
/// # Errors
/// The query failed, or others held the deliveries for too long.
pub fn await_reports(conn: &mut Conn, campaign: CampaignId, after: ContactId, limit: i64) -> Result<(), StoreError> {
    wait_for_deliveries(conn, campaign, after, limit)
}

/// The campaign's deliveries above `after`, in contact order, at most so many.
///
/// # Errors
/// A query failed.
pub fn portion(conn: &mut Conn, campaign: CampaignId, after: ContactId, limit: i64) -> Result<Vec<Whole>, StoreError> {
    let rows: Vec<DeliveryRow> = deliveries::table
        .filter(deliveries::campaign_id.eq(campaign).and(deliveries::contact_id.gt(after)))
        .order(deliveries::contact_id)
        .limit(limit)
        .select(DeliveryRow::as_select())
        .load(conn)
        .map_err(StoreError::query("read deliveries to archive"))?;
    let Some(last) = rows.last().map(|row| row.contact_id) else { return Ok(Vec::new()) };
    let mut attempts_of = attempts::of_stretch(conn, campaign, after, last)?;
    let mut links_of = BTreeMap::<ContactId, Vec<Followed>>::new();
    for link in links(conn, campaign)? {
        let of_these = link_followers::contact_id.gt(after).and(link_followers::contact_id.le(last));
        let followers: Vec<(ContactId, bool)> = link_followers::table
            .filter(link_followers::campaign_id.eq(campaign).and(link_followers::link.eq(link)).and(of_these))
            .order((link_followers::contact_id, link_followers::machine))
            .select((link_followers::contact_id, link_followers::machine))
            .load(conn)
            .map_err(StoreError::query("read followers of links to archive"))?;
        for (contact, machine) in followers {
            links_of.entry(contact).or_default().push(Followed { link, machine });
        }
    }
    let whole = |delivery: DeliveryRow| Whole {
        attempts: attempts_of.remove(&delivery.contact_id).into_iter().flatten().map(Tried::from).collect(),
        links: links_of.remove(&delivery.contact_id).unwrap_or_default(),
        delivery,
    };
    Ok(rows.into_iter().map(whole).collect())
}

fn links(conn: &mut Conn, campaign: CampaignId) -> Result<Vec<i64>, StoreError> {
    campaign_links::table
        .filter(campaign_links::campaign_id.eq(campaign))
        .order(campaign_links::link)
        .select(campaign_links::link)
        .load(conn)
        .map_err(StoreError::query("read the links of a campaign"))
}

/// What a step of the removal came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// The deliveries up to this contact; there may be more.
    UpTo(ContactId),
    /// There is nothing any more.
    All,
    /// Another instance has gone on with it.
    LeaseLost,
    /// The campaign was opened again after its file was complete: its rows may say more than the file.
    OpenedAgain,
}

/// Removes the next `limit` deliveries of a campaign whose file is complete, with what hangs on them. Those up to `after` are gone already, and
/// PostgreSQL does not have to walk over what is left of them. Belongs in a write transaction.
///
/// # Errors
/// A query failed; nothing was changed.
pub fn remove(conn: &mut Conn, lease: ArchiveLease, after: ContactId, limit: i64) -> Result<Removed, StoreError> {
    let campaign = lease.campaign;
    engine::lock_campaign(conn, campaign, CampaignLock::Shared)?;
    if !archives::renew(conn, lease, ArchiveState::Deleting)? {
        return Ok(Removed::LeaseLost);
    }
    if was_opened_again(conn, campaign)? {
        return Ok(Removed::OpenedAgain);
    }
    let next: Vec<ContactId> = deliveries::table
        .filter(deliveries::campaign_id.eq(campaign).and(deliveries::contact_id.gt(after)))
        .order(deliveries::contact_id)
        .limit(limit)
        .select(deliveries::contact_id)
        .load(conn)
        .map_err(StoreError::query("look for archived deliveries"))?;
    let Some(last) = next.last().copied() else { return remove_followers(conn, campaign, after, limit) };
    let tried = attempt::contact_id.gt(after).and(attempt::contact_id.le(last));
    diesel::delete(attempt::table.filter(attempt::campaign_id.eq(campaign).and(tried)))
        .execute(conn)
        .map_err(StoreError::query("remove archived attempts"))?;
    let kept = delivery_contents::contact_id.gt(after).and(delivery_contents::contact_id.le(last));
    diesel::delete(delivery_contents::table.filter(delivery_contents::campaign_id.eq(campaign).and(kept)))
        .execute(conn)
        .map_err(StoreError::query("remove archived contents"))?;
    let these = deliveries::contact_id.gt(after).and(deliveries::contact_id.le(last));
    diesel::delete(deliveries::table.filter(deliveries::campaign_id.eq(campaign).and(these)))
        .execute(conn)
        .map_err(StoreError::query("remove archived deliveries"))?;
    Ok(Removed::UpTo(last))
}

/// Whether the campaign is open, or has ended once more since its file was complete. An instance of an older version knows nothing of archives,
/// and may have opened it.
fn was_opened_again(conn: &mut Conn, campaign: CampaignId) -> Result<bool, StoreError> {
    let is_as_filed = campaigns::status.eq_any(ENDED).and(campaigns::ended_at.lt(archive::archived_at));
    let as_filed = campaigns::table
        .inner_join(archive::table.on(archive::campaign_id.eq(campaigns::id)))
        .filter(campaigns::id.eq(campaign).and(is_as_filed));
    diesel::select(not(exists(as_filed)))
        .get_result(conn)
        .map_err(StoreError::query("look whether an archived campaign was opened again"))
}

/// Removes who has followed the links of a campaign, a portion of one link.
fn remove_followers(
    conn: &mut Conn,
    campaign: CampaignId,
    after: ContactId,
    limit: i64,
) -> Result<Removed, StoreError> {
    for link in links(conn, campaign)? {
        let of_link = || link_followers::campaign_id.eq(campaign).and(link_followers::link.eq(link));
        let next: Vec<ContactId> = link_followers::table
            .filter(of_link())
            .order(link_followers::contact_id)
            .limit(limit)
            .select(link_followers::contact_id)
            .load(conn)
            .map_err(StoreError::query("look for archived followers of links"))?;
        if let Some(last) = next.last() {
            diesel::delete(link_followers::table.filter(of_link().and(link_followers::contact_id.le(*last))))
                .execute(conn)
                .map_err(StoreError::query("remove archived followers of links"))?;
            return Ok(Removed::UpTo(after));
        }
    }
    Ok(Removed::All)
}
