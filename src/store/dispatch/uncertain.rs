//! What is uncertain, in all campaigns: few pages hold any, and an index finds those.

use std::collections::BTreeMap;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use crate::domain::dispatch::delivery::DeliveryState;
use crate::domain::dispatch::incident::{Doubtful, OwnerStands};
use crate::domain::ids::{CampaignId, ContactId, InstanceId, PageId};
use crate::domain::instant::UtcInstant;
use crate::store::engine::schema::{campaigns, deliveries, instances, pages};
use crate::store::replicas::instances::is_live;
use crate::store::{Conn, StoreError, engine};

/// Most pages in one look: each is a stretch of up to 10,000 deliveries.
const PAGES_AT_ONCE: i64 = 100;

/// A look ends with the page with which it has found so many deliveries.
const ROWS_AT_ONCE: usize = 5_000;

/// Where a look ended. Looks go from the newest campaign to the oldest, and through each from its last page to its first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The campaign.
    pub campaign: CampaignId,
    /// The last page that was looked at.
    pub page: PageId,
}

/// A page that holds something uncertain.
#[derive(Debug, Clone, Copy, Queryable)]
pub struct UncertainPage {
    /// The page.
    pub id: PageId,
    /// Its campaign.
    pub campaign: CampaignId,
    /// Its first recipient.
    pub first: ContactId,
    /// Its last recipient.
    pub last: ContactId,
}

impl UncertainPage {
    /// Where a look stands after it.
    #[must_use]
    pub const fn place(self) -> Place {
        Place { campaign: self.campaign, page: self.id }
    }
}

/// Pages that hold something uncertain, of all campaigns or of one, behind `after`.
///
/// # Errors
/// The query failed.
pub fn pages(
    conn: &mut Conn,
    campaign: Option<CampaignId>,
    after: Option<Place>,
) -> Result<Vec<UncertainPage>, StoreError> {
    // Word for word the condition of an index: a bound value would not let every plan use it.
    let is_uncertain = sql::<Bool>("pages.uncertain > 0");
    let mut query = pages::table
        .inner_join(campaigns::table.on(campaigns::id.eq(pages::campaign_id)))
        .filter(is_uncertain.and(campaigns::deleted_at.is_null()))
        .order((pages::campaign_id.desc(), pages::id.desc()))
        .limit(PAGES_AT_ONCE)
        .select((pages::id, pages::campaign_id, pages::first_contact_id, pages::last_contact_id))
        .into_boxed();
    if let Some(campaign) = campaign {
        query = query.filter(pages::campaign_id.eq(campaign));
    }
    if let Some(Place { campaign, page }) = after {
        let is_behind = pages::campaign_id.lt(campaign).or(pages::id.lt(page));
        query = query.filter(pages::campaign_id.le(campaign).and(is_behind));
    }
    query.load(conn).map_err(StoreError::query("look for what is uncertain"))
}

/// What a look has found.
#[derive(Debug)]
pub struct Looked {
    /// Uncertain deliveries.
    pub rows: Vec<Doubtful>,
    /// Where the next look goes on, if there may be more.
    pub next: Option<Place>,
}

/// Looks for uncertain deliveries, of all campaigns or of one, behind `after`: at most a hundred pages at once.
///
/// # Errors
/// A query failed.
pub fn look(conn: &mut Conn, campaign: Option<CampaignId>, after: Option<Place>) -> Result<Looked, StoreError> {
    let found = pages(conn, campaign, after)?;
    let is_last = super::pages::count(found.len())? < PAGES_AT_ONCE;
    let end = found.last().map(|page| page.place());
    let mut rows = Vec::new();
    for page in found {
        rows.extend(on_page(conn, page)?);
        let is_end = end == Some(page.place());
        if rows.len() >= ROWS_AT_ONCE || is_end {
            let next = Some(page.place()).filter(|_| !(is_end && is_last));
            return Ok(Looked { rows, next });
        }
    }
    Ok(Looked { rows, next: None })
}

fn on_page(conn: &mut Conn, page: UncertainPage) -> Result<Vec<Doubtful>, StoreError> {
    let rows = deliveries::table
        .filter(deliveries::campaign_id.eq(page.campaign))
        .filter(deliveries::contact_id.between(page.first, page.last))
        .filter(deliveries::state.eq(DeliveryState::Uncertain))
        .order(deliveries::contact_id)
        .select((
            deliveries::contact_id,
            deliveries::reason,
            deliveries::category,
            deliveries::token,
            deliveries::claimed_at,
            deliveries::settled_at,
        ))
        .load(conn)
        .map_err(StoreError::query("read what is uncertain"))?;
    let doubtful = |(contact, reason, category, token, claimed_at, settled_at)| Doubtful {
        campaign: page.campaign,
        contact,
        reason,
        category,
        token,
        claimed_at,
        settled_at,
    };
    Ok(rows.into_iter().map(doubtful).collect())
}

/// What of a campaign tells which messages are its own.
#[derive(Debug, Clone, Queryable)]
pub struct Named {
    /// The campaign.
    pub id: CampaignId,
    /// What people call it.
    pub name: String,
    /// What the keys of its messages begin with.
    pub key: String,
}

/// The names of campaigns.
///
/// # Errors
/// The query failed.
pub fn names(conn: &mut Conn, ids: &[CampaignId]) -> Result<BTreeMap<CampaignId, Named>, StoreError> {
    let rows: Vec<Named> = campaigns::table
        .filter(
            campaigns::id.eq_any(ids.to_vec()).and(campaigns::deleted_at.is_null().and(campaigns::key.is_not_null())),
        )
        .select((campaigns::id, campaigns::name, campaigns::key.assume_not_null()))
        .load(conn)
        .map_err(StoreError::query("read the names of campaigns"))?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// An instance that had deliveries which are uncertain.
#[derive(Debug, Clone)]
pub struct Owner {
    /// This incarnation.
    pub id: InstanceId,
    /// Its machine.
    pub host: String,
    /// When it was last heard of.
    pub last_seen_at: UtcInstant,
    /// What it is at.
    pub stands: OwnerStands,
}

/// The instances with these ids that are on the books: they stay there for 30 days.
///
/// # Errors
/// A query failed.
pub fn owners(conn: &mut Conn, ids: &[InstanceId]) -> Result<BTreeMap<InstanceId, Owner>, StoreError> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let now = engine::now(conn)?;
    let rows: Vec<(InstanceId, String, String, UtcInstant)> = instances::table
        .filter(instances::id.eq_any(ids.to_vec()))
        .select((instances::id, instances::slot, instances::host, instances::last_seen_at))
        .load(conn)
        .map_err(StoreError::query("read instances"))?;
    let running: Vec<InstanceId> = instances::table
        .filter(is_live(now).and(instances::id.eq_any(ids.to_vec())))
        .select(instances::id)
        .load(conn)
        .map_err(StoreError::query("read instances"))?;
    let slots: Vec<&String> = rows.iter().map(|(_, slot, ..)| slot).collect();
    let newest: Vec<(String, Option<InstanceId>)> = instances::table
        .filter(instances::slot.eq_any(slots))
        .group_by(instances::slot)
        .select((instances::slot, diesel::dsl::max(instances::id)))
        .load(conn)
        .map_err(StoreError::query("read instances"))?;
    let newest: BTreeMap<String, Option<InstanceId>> = newest.into_iter().collect();
    let owner = |(id, slot, host, last_seen_at): (InstanceId, String, String, UtcInstant)| {
        let is_succeeded = newest.get(&slot).copied().flatten().is_some_and(|newest| newest > id);
        let stands = match (running.contains(&id), is_succeeded) {
            (_, true) => OwnerStands::Succeeded,
            (true, false) => OwnerStands::Running,
            (false, false) => OwnerStands::Gone,
        };
        (id, Owner { id, host, last_seen_at, stands })
    };
    Ok(rows.into_iter().map(owner).collect())
}
