//! The change of a paused campaign's pool: a pass over its pages that can be resumed. One page per transaction; the cursor moves with it.
//!
//! The change itself is one row: from then on no page is leased for the former pool, whatever the page says, and the claim decides about who
//! is in doubt. The pass does the same ahead of it, so that nobody waits for the resume to see who is uncertain.

use diesel::prelude::*;

use super::dialect::LockedPage;
use super::pages::{self, on_page};
use super::proofs::is_proven;
use super::reasons;
use super::side_rows::SideRows;
use super::sweeps::{Swept, after_moving};
use crate::domain::campaigns::{CampaignStatus, OnUncertain};
use crate::domain::dispatch::delivery::DeliveryState;
use crate::domain::dispatch::fingerprint::ProviderFingerprint;
use crate::domain::dispatch::page::{Counts, PageState};
use crate::domain::ids::{CampaignId, ContactId, PageId};
use crate::domain::instant::UtcInstant;
use crate::store::campaigns::{self, LockedCampaign};
use crate::store::engine::schema::{campaigns as campaign, deliveries, former_pools, packings, pages as page};
use crate::store::engine::{self, CampaignLock};
use crate::store::{Conn, StoreError, deliverability};

/// Why a delivery is in doubt that the new pool's provider cannot be asked about.
pub const OTHER_POOL: &str = "the campaign got another pool after an attempt that went unanswered";

/// Begins the pass for a campaign that is about to get a pool with this provider, and notes the pool that it leaves. A pass for an earlier
/// change begins anew.
///
/// # Errors
/// A query failed.
pub fn begin(conn: &mut Conn, row: &LockedCampaign, provider: ProviderFingerprint) -> Result<(), StoreError> {
    let now = engine::now(conn)?;
    if let Some(pool) = &row.pool {
        let known: bool = diesel::select(diesel::dsl::exists(former_pools::table.find((row.id, pool))))
            .get_result(conn)
            .map_err(StoreError::query("look for a former pool"))?;
        if !known {
            diesel::insert_into(former_pools::table)
                .values((
                    former_pools::campaign_id.eq(row.id),
                    former_pools::pool.eq(pool),
                    former_pools::left_at.eq(now),
                ))
                .execute(conn)
                .map_err(StoreError::query("note a former pool"))?;
        }
    }
    diesel::update(packings::table.find(row.id))
        .set((packings::move_page_id.eq(0), packings::move_provider.eq(provider)))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("begin a change of pool"))
}

/// Moves the next page of a campaign that got another pool.
///
/// # Errors
/// A query failed; nothing was changed.
pub fn move_page(conn: &mut Conn, id: CampaignId) -> Result<Swept, StoreError> {
    engine::lock_campaign(conn, id, CampaignLock::Shared)?;
    let Some(packing) = campaigns::packing(conn, id)? else { return Ok(Swept::Done) };
    let Some(after) = packing.move_page_id else { return Ok(Swept::Done) };
    let next: Option<PageId> = page::table
        .filter(page::campaign_id.eq(id).and(page::id.gt(PageId(after))))
        .order(page::id)
        .select(page::id)
        .first(conn)
        .optional()
        .map_err(StoreError::query("find the next page to move"))?;
    let unmoved = packings::table.filter(packings::campaign_id.eq(id).and(packings::move_page_id.eq(after)));
    let Some(next) = next else {
        diesel::update(unmoved)
            .set((packings::move_page_id.eq(None::<i64>), packings::move_provider.eq(None::<ProviderFingerprint>)))
            .execute(conn)
            .map_err(StoreError::query("end a change of pool"))?;
        return Ok(Swept::Done);
    };
    // Not the whole row: that may hold an audience of a million ids.
    let (status, pool, on_uncertain): (CampaignStatus, Option<String>, OnUncertain) = campaign::table
        .find(id)
        .select((campaign::status, campaign::pool, campaign::on_uncertain))
        .first(conn)
        .map_err(StoreError::query("read a campaign's pool"))?;
    let row = pages::lock(conn, next)?;
    let is_leased = row.as_ref().is_some_and(|row| row.state == PageState::Leased);
    // The former pool still records its last calls. Once the campaign goes on, the new one may have leased it, which moves it, too.
    if is_leased && status == CampaignStatus::Paused {
        return Ok(Swept::Waits);
    }
    if let Some(row) = row.filter(|_| !is_leased) {
        // Who agreed to messages that come twice stays pending.
        let provider = packing.move_provider.filter(|_| on_uncertain == OnUncertain::Hold);
        SideRows::collect(conn, |conn, rows| apply(conn, &row, pool.as_deref(), provider, rows))?;
    }
    diesel::update(unmoved)
        .set(packings::move_page_id.eq(next.0))
        .execute(conn)
        .map_err(StoreError::query("move a change of pool on"))?;
    Ok(Swept::Page(next))
}

/// Gives a page to the new pool. `provider`: of those who wait, that provider cannot repeat an attempt of another one.
fn apply(
    conn: &mut Conn,
    row: &LockedPage,
    pool: Option<&str>,
    provider: Option<ProviderFingerprint>,
    rows: &mut SideRows,
) -> Result<(), StoreError> {
    if let Some(pool) = pool {
        // Announced anew: the message about it went to the other pool.
        diesel::update(page::table.find(row.id))
            .set((page::pool.eq(pool), page::announced_at.eq(None::<UtcInstant>)))
            .execute(conn)
            .map_err(StoreError::query("give a page to another pool"))?;
    }
    let Some(provider) = provider.filter(|_| row.pending > 0) else { return Ok(()) };
    let before = reasons::of_page(conn, row)?;
    let mut counts = row.counts();
    end_doubts(conn, row, provider, &mut counts)?;
    if counts == row.counts() {
        return Ok(());
    }
    rows.reasons.add_all(row.campaign_id, &before, -1);
    rows.reasons.add_all(row.campaign_id, &reasons::of_page(conn, row)?, 1);
    pages::forget_contents(conn, row)?;
    after_moving(conn, row, counts, rows)
}

/// Ends who waits with an attempt in doubt that another provider was asked for: `sent` where a report says so, else `uncertain`.
fn end_doubts(
    conn: &mut Conn,
    row: &LockedPage,
    provider: ProviderFingerprint,
    counts: &mut Counts,
) -> Result<(), StoreError> {
    let now = engine::now(conn)?;
    let in_doubt =
        || on_page(row).and(deliveries::state.eq(DeliveryState::Pending)).and(deliveries::ambiguous.eq(true));
    let accepted: Vec<ContactId> = deliveries::table
        .filter(in_doubt().and(is_proven()))
        .select(deliveries::contact_id)
        .load(conn)
        .map_err(StoreError::query("look for what is reported of what is in doubt"))?;
    deliverability::note_sent(conn, row.campaign_id, &accepted, now)?;
    let proven = diesel::update(deliveries::table.filter(in_doubt().and(deliveries::contact_id.eq_any(accepted))))
        .set((deliveries::state.eq(DeliveryState::Sent), deliveries::settled_at.eq(now)))
        .execute(conn)
        .map_err(StoreError::query("believe what is reported of what is in doubt"))?;
    counts.shift(DeliveryState::Pending, DeliveryState::Sent, pages::count(proven)?);
    let of_another = deliveries::provider_fingerprint.is_null().or(deliveries::provider_fingerprint.ne(provider));
    let uncertain =
        diesel::update(deliveries::table.filter(in_doubt().and(diesel::dsl::not(is_proven())).and(of_another)))
            .set((
                deliveries::state.eq(DeliveryState::Uncertain),
                deliveries::reason.eq(OTHER_POOL),
                deliveries::category.eq(None::<String>),
                deliveries::settled_at.eq(now),
            ))
            .execute(conn)
            .map_err(StoreError::query("end what another pool cannot repeat"))?;
    counts.shift(DeliveryState::Pending, DeliveryState::Uncertain, pages::count(uncertain)?);
    Ok(())
}
