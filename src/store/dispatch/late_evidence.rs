//! Evidence that comes after a lease has ended: what a former owner's journal knows of deliveries that somebody else had
//! to leave `uncertain`, or to put back to be asked again.

use std::collections::BTreeMap;

use diesel::prelude::*;

use super::outcomes;
use super::pages::{self, on_page};
use crate::domain::dispatch::claim::ClaimKey;
use crate::domain::dispatch::delivery::DeliveryState;
use crate::domain::dispatch::lease::Lease;
use crate::domain::dispatch::settlement::{Settlement, Verdict};
use crate::domain::ids::{CampaignId, ContactId, PageId};
use crate::store::engine::schema::deliveries;
use crate::store::engine::{self, CampaignLock};
use crate::store::{Conn, StoreError};

/// Tells the truth about those of `known` that are `uncertain`, or `pending` with the claim that is spoken of still on them.
/// Returns how many were.
///
/// # Errors
/// A query failed; safe to repeat.
pub fn settle(conn: &mut Conn, known: &[(ClaimKey, Verdict)]) -> Result<usize, StoreError> {
    let mut by_campaign = BTreeMap::<CampaignId, Vec<ContactId>>::new();
    for (key, _) in known {
        by_campaign.entry(key.campaign).or_default().push(key.contact);
    }
    let mut pages = BTreeMap::<(CampaignId, ContactId), PageId>::new();
    for (campaign, contacts) in by_campaign {
        let doubtful: Vec<(ContactId, PageId)> = deliveries::table
            .filter(deliveries::campaign_id.eq(campaign).and(deliveries::contact_id.eq_any(contacts)))
            .filter(deliveries::state.eq_any([DeliveryState::Uncertain, DeliveryState::Pending]))
            .filter(deliveries::token.is_not_null())
            .select((deliveries::contact_id, deliveries::page_id))
            .load(conn)
            .map_err(StoreError::query("find what is in doubt"))?;
        pages.extend(doubtful.into_iter().map(|(contact, page)| ((campaign, contact), page)));
    }
    let batch: Vec<Settlement> = known
        .iter()
        .filter_map(|(key, verdict)| Some(late(*key, *pages.get(&(key.campaign, key.contact))?, verdict.clone())))
        .collect();
    Ok(outcomes::record(conn, &batch)?.changed)
}

/// Gives back what is `uncertain` under a lease and was never begun. Only first attempts: nobody has noted whether an
/// earlier one is in doubt. Returns how many those are.
///
/// # Errors
/// A query failed; safe to repeat.
pub fn give_back(conn: &mut Conn, lease: Lease, begun: &dyn Fn(ClaimKey) -> bool) -> Result<usize, StoreError> {
    engine::lock_campaign(conn, lease.campaign, CampaignLock::Shared)?;
    let Some(page) = pages::lock(conn, lease.page)?.filter(|page| page.uncertain > 0) else { return Ok(0) };
    let uncertain: Vec<(ContactId, i32)> = deliveries::table
        .filter(on_page(&page).and(deliveries::state.eq(DeliveryState::Uncertain)))
        .filter(deliveries::token.eq(lease.token).and(deliveries::attempts.le(1)))
        .select((deliveries::contact_id, deliveries::claim_no))
        .load(conn)
        .map_err(StoreError::query("find what is uncertain"))?;
    let batch: Vec<Settlement> = uncertain
        .into_iter()
        .map(|(contact, claim_no)| ClaimKey { campaign: lease.campaign, contact, claim_no, token: lease.token })
        .filter(|key| !begun(*key))
        .map(|key| late(key, page.id, Verdict::untouched()))
        .collect();
    Ok(outcomes::record(conn, &batch)?.changed)
}

fn late(key: ClaimKey, page: PageId, verdict: Verdict) -> Settlement {
    Settlement { key, page, verdict, key_valid_ms: None, content: None }
}
