//! Recording outcomes: rows and page counts, in one transaction, as often as need be.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use diesel::prelude::*;

use super::backend::{self, CampaignLock};
use super::pages::{self, LeaseToken, PageRow};
use super::schema::{delivery_contents, pages as page};
use super::{Conn, StoreError};
use crate::domain::campaign::CampaignStatus;
use crate::domain::delivery::{DeliveryState, SkipReason};
use crate::domain::ids::{CampaignId, ContactId, PageId};
use crate::domain::instant::UtcInstant;
use crate::domain::page::{Counts, PageState};
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

/// Records a batch, in as many statements for many pages as for one: locks its pages in id order, then the rows `WHERE state IN (sending, uncertain)` and fenced by claim
/// number and token, then moves the counts by the rows that *really* changed. Repeating it changes nothing.
///
/// What goes back to pending does so only while the campaign is open. For those the campaign's shared lock comes first:
/// otherwise the campaign could be completed between the look at its status and the commit.
///
/// # Errors
/// A query failed, or the COMMIT went unanswered: record the same batch again.
pub fn record(conn: &mut Conn, batch: &[Settlement]) -> Result<Recorded, StoreError> {
    let returning: BTreeSet<CampaignId> = batch
        .iter()
        .filter(|settlement| settlement.verdict.state == DeliveryState::Pending)
        .map(|settlement| settlement.key.campaign)
        .collect();
    for campaign in &returning {
        backend::lock_campaign(conn, *campaign, CampaignLock::Shared)?;
    }
    let ids = batch.iter().map(|settlement| settlement.page).collect();
    let (pages, now) = backend::lock_pages(conn, &ids)?;
    let mut tallies: BTreeMap<PageId, Tally> = pages.iter().map(|page| (page.id, Tally::of(page))).collect();
    let mut by_campaign = BTreeMap::<CampaignId, Vec<&Settlement>>::new();
    // A batch that was put together from several sources may hold a claim twice; its row changes once.
    let mut seen = HashSet::with_capacity(batch.len());
    for settlement in batch {
        if tallies.contains_key(&settlement.page) && seen.insert(settlement.key) {
            by_campaign.entry(settlement.key.campaign).or_default().push(settlement);
        }
    }
    for (campaign, settlements) in by_campaign {
        // A stop's own pass may have left a page already, and evidence may come after the end: what would go back to
        // pending ends here instead.
        let closed = match returning.contains(&campaign) {
            true => Some(pages::status_of(conn, campaign)?).filter(|status| status.is_ended()),
            false => None,
        };
        let writes: Vec<Write<'_>> = settlements.into_iter().map(|each| write(each, closed, now)).collect();
        record_campaign(conn, campaign, &writes, &mut tallies, now)?;
    }
    tallies.retain(|_, tally| tally.changed > 0);
    backend::write_progress(conn, &tallies, now)?;
    for page in pages.iter().filter(|page| page.state == PageState::Done) {
        if tallies.get(&page.id).is_some_and(|tally| tally.counts.pending > 0) {
            reopen_for_late_evidence(conn, page)?;
        }
    }
    Ok(Recorded { changed: tallies.values().map(|tally| tally.changed).sum() })
}

/// What a batch does to one page.
pub(super) struct Tally {
    /// The page's counts as they become.
    pub(super) counts: Counts,
    /// Its owners' deaths in a row.
    pub(super) deaths: i64,
    /// How many came to their end.
    pub(super) settled: i64,
    changed: usize,
}

impl Tally {
    fn of(page: &PageRow) -> Self {
        Self { counts: page.counts(), deaths: page.deaths, settled: 0, changed: 0 }
    }

    fn note(&mut self, from: DeliveryState, to: DeliveryState) {
        self.counts.shift(from, to, 1);
        self.changed += 1;
        if to != DeliveryState::Pending {
            self.settled += 1;
            self.deaths = 0;
        }
    }
}

/// A settlement as it is written: the verdict in the light of the campaign's present status.
pub(super) struct Write<'a> {
    pub(super) settlement: &'a Settlement,
    pub(super) state: DeliveryState,
    pub(super) reason: Option<&'a str>,
    pub(super) due_at: UtcInstant,
}

fn record_campaign(
    conn: &mut Conn,
    campaign: CampaignId,
    writes: &[Write<'_>],
    tallies: &mut BTreeMap<PageId, Tally>,
    now: UtcInstant,
) -> Result<(), StoreError> {
    let mut missed: Vec<&Write<'_>> = writes.iter().collect();
    // Nearly every row is `sending`; the second round is for evidence that came after the lease had ended.
    for from in [DeliveryState::Sending, DeliveryState::Uncertain] {
        // That it is uncertain is no news of an uncertain one: a repeated batch must not count its attempt again.
        missed.retain(|write| write.state != from);
        if missed.is_empty() {
            break;
        }
        let done = backend::write_outcomes(conn, campaign, &missed, from, now)?;
        for write in missed.extract_if(.., |write| done.contains(&claim_of(write))) {
            if let Some(tally) = tallies.get_mut(&write.settlement.page) {
                tally.note(from, write.state);
            }
            keep_content(conn, write)?;
        }
    }
    Ok(())
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

/// Keeps the words of an attempt that will be repeated, and forgets those of a delivery that has ended.
fn keep_content(conn: &mut Conn, write: &Write<'_>) -> Result<(), StoreError> {
    let Some(content) = &write.settlement.content else { return Ok(()) };
    let key = write.settlement.key;
    if write.state == DeliveryState::Pending {
        return backend::keep_content(conn, key.campaign, key.contact, content);
    }
    forget_content(conn, key.campaign, key.contact)
}

/// Forgets what an attempt said whose delivery has ended.
pub(super) fn forget_content(conn: &mut Conn, campaign: CampaignId, contact: ContactId) -> Result<(), StoreError> {
    diesel::delete(delivery_contents::table.find((campaign, contact)))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("forget what an attempt said"))
}

/// Evidence that came after the page was closed ("not taken") leaves a pending delivery on a page that is done: open it.
fn reopen_for_late_evidence(conn: &mut Conn, page: &PageRow) -> Result<(), StoreError> {
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
