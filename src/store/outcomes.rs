//! Recording outcomes: rows and page counts, in one transaction, as often as need be.

use diesel::prelude::*;

use super::backend::{self, CampaignLock};
use super::pages::{self, LeaseToken, PageRow};
use super::schema::{delivery_contents, pages as page};
use super::{Conn, StoreError};
use crate::domain::campaign::CampaignStatus;
use crate::domain::delivery::{DeliveryState, SkipReason};
use crate::domain::ids::{CampaignId, ContactId, PageId};
use crate::domain::instant::UtcInstant;
use crate::domain::settlement::Verdict;

/// One claim of one delivery: what an outcome is fenced by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClaimKey {
    /// The campaign.
    pub campaign: CampaignId,
    /// The contact.
    pub contact: ContactId,
    /// Rises with every claim of the delivery.
    pub claim_no: i32,
    /// The lease it was claimed under.
    pub token: LeaseToken,
}

/// An outcome to be recorded.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// Which claim.
    pub key: ClaimKey,
    /// The delivery's page.
    pub page: PageId,
    /// What happens to it.
    pub verdict: Verdict,
    /// How long from its claim on the provider honours the key of the attempt that this settles, in milliseconds.
    pub key_valid_ms: Option<i64>,
    /// What the attempt said, when it has to be repeated word for word (JSON of a message).
    pub content: Option<String>,
}

/// What a recorded batch did.
#[derive(Debug, Default)]
pub struct Recorded {
    /// How many rows changed; the rest had been settled before.
    pub changed: usize,
}

/// Records a batch: locks its pages in id order, then the rows `WHERE state IN (sending, uncertain)` and fenced by claim
/// number and token, then moves the counts by the rows that *really* changed. Repeating it changes nothing.
///
/// What goes back to pending does so only while the campaign is open. For those the campaign's shared lock comes first:
/// otherwise the campaign could be completed between the look at its status and the commit.
///
/// # Errors
/// A query failed, or the COMMIT went unanswered: record the same batch again.
pub fn record(conn: &mut Conn, batch: &[Settlement]) -> Result<Recorded, StoreError> {
    let mut by_page = std::collections::BTreeMap::<PageId, Vec<&Settlement>>::new();
    for settlement in batch {
        by_page.entry(settlement.page).or_default().push(settlement);
    }
    let returning: std::collections::BTreeSet<CampaignId> = batch
        .iter()
        .filter(|settlement| settlement.verdict.state == DeliveryState::Pending)
        .map(|settlement| settlement.key.campaign)
        .collect();
    for campaign in returning {
        backend::lock_campaign(conn, campaign, CampaignLock::Shared)?;
    }
    let mut recorded = Recorded::default();
    for (page, settlements) in by_page {
        let Some(page) = pages::lock(conn, page)? else { continue };
        recorded.changed += record_page(conn, &page, &settlements)?;
    }
    Ok(recorded)
}

/// A settlement as it is written: the verdict in the light of the campaign's present status.
pub(super) struct Write<'a> {
    pub(super) settlement: &'a Settlement,
    pub(super) state: DeliveryState,
    pub(super) reason: Option<&'a str>,
    pub(super) due_at: UtcInstant,
}

fn record_page(conn: &mut Conn, page: &PageRow, settlements: &[&Settlement]) -> Result<usize, StoreError> {
    let now = backend::now(conn)?;
    // A stop's own pass may have left this page already, and evidence may come after the end: what would go back to
    // pending ends here instead.
    let closed = match settlements.iter().any(|settlement| settlement.verdict.state == DeliveryState::Pending) {
        true => Some(pages::status_of(conn, page.campaign_id)?).filter(|status| status.is_ended()),
        false => None,
    };
    // A batch that was put together from several sources may hold a claim twice; its row changes once.
    let mut seen = std::collections::HashSet::with_capacity(settlements.len());
    let writes: Vec<Write<'_>> = settlements
        .iter()
        .filter(|settlement| seen.insert(settlement.key))
        .map(|settlement| write(settlement, closed, now))
        .collect();
    let mut counts = page.counts();
    let mut changed: Vec<&Write<'_>> = Vec::with_capacity(writes.len());
    let mut missed: Vec<&Write<'_>> = writes.iter().collect();
    // Nearly every row is `sending`; the second round is for evidence that came after the lease had ended.
    for from in [DeliveryState::Sending, DeliveryState::Uncertain] {
        // That it is uncertain is no news of an uncertain one: a repeated batch must not count its attempt again.
        missed.retain(|write| write.state != from);
        if missed.is_empty() {
            break;
        }
        let done = backend::write_outcomes(conn, page.campaign_id, &missed, from, now)?;
        for write in missed.extract_if(.., |write| done.contains(&claim_of(write))) {
            counts.shift(from, write.state, 1);
            changed.push(write);
        }
    }
    if changed.is_empty() {
        return Ok(0);
    }
    keep_contents(conn, &changed)?;
    let settled = changed.iter().filter(|write| write.state != DeliveryState::Pending).count();
    let deaths = if settled > 0 { 0 } else { page.deaths };
    backend::write_progress(conn, page.id, counts, pages::count(settled)?, deaths, now)?;
    reopen_for_late_evidence(conn, page, counts)?;
    Ok(changed.len())
}

/// Why a delivery failed whose provider is known, too late for another attempt, not to have taken it.
const NOT_ACCEPTED: &str = "not_accepted";

fn write<'a>(settlement: &'a Settlement, closed: Option<CampaignStatus>, now: UtcInstant) -> Write<'a> {
    let verdict = &settlement.verdict;
    let (state, reason) = match closed.filter(|_| verdict.state == DeliveryState::Pending) {
        None => (verdict.state, verdict.reason.as_deref()),
        Some(_) if verdict.ambiguous => (DeliveryState::Uncertain, verdict.reason.as_deref()),
        Some(CampaignStatus::Stopped) => (DeliveryState::Skipped, Some(SkipReason::Stopped.as_str())),
        Some(_) => (DeliveryState::Failed, Some(NOT_ACCEPTED)),
    };
    Write {
        settlement,
        state,
        reason,
        due_at: if verdict.wait_ms > 0 { now.plus_ms(verdict.wait_ms) } else { UtcInstant(0) },
    }
}

/// Keeps the words of attempts that will be repeated, and forgets those of deliveries that have ended.
fn keep_contents(conn: &mut Conn, writes: &[&Write<'_>]) -> Result<(), StoreError> {
    for write in writes {
        let Some(content) = &write.settlement.content else { continue };
        let key = write.settlement.key;
        if write.state == DeliveryState::Pending {
            backend::keep_content(conn, key.campaign, key.contact, content)?;
        } else {
            forget_content(conn, key.campaign, key.contact)?;
        }
    }
    Ok(())
}

/// Forgets what an attempt said whose delivery has ended.
pub(super) fn forget_content(conn: &mut Conn, campaign: CampaignId, contact: ContactId) -> Result<(), StoreError> {
    diesel::delete(delivery_contents::table.find((campaign, contact)))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("forget what an attempt said"))
}

/// Evidence that came after the page was closed ("not taken") leaves a pending delivery on a page that is done: open it.
fn reopen_for_late_evidence(
    conn: &mut Conn,
    page: &PageRow,
    counts: crate::domain::page::Counts,
) -> Result<(), StoreError> {
    use crate::domain::page::PageState;
    if page.state != PageState::Done || counts.pending == 0 {
        return Ok(());
    }
    diesel::update(page::table.find(page.id))
        .set((page::state.eq(PageState::Ready), page::due_at.eq(UtcInstant(0))))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("re-open a page"))
}

/// Which claim of the campaign a settlement is about.
pub(super) fn claim_of(write: &Write<'_>) -> (ContactId, i32) {
    (write.settlement.key.contact, write.settlement.key.claim_no)
}

/// The token of a settlement's claim, for the fence in `backend`.
pub(super) fn fence(write: &Write<'_>) -> (ContactId, i32, LeaseToken) {
    let key = write.settlement.key;
    (key.contact, key.claim_no, key.token)
}
