//! Recording outcomes: rows and page counts, in one transaction, as often as need be.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use diesel::prelude::*;

use super::attempts::{self, Tried};
use super::bounces::{self, Bounce};
use super::pages;
use super::reasons;
use super::reported::{self, Proven};
use super::side_rows::SideRows;
use crate::domain::campaigns::CampaignStatus;
use crate::domain::deliverability::Counted;
use crate::domain::dispatch::claim::ClaimKey;
use crate::domain::dispatch::delivery::{DeliveryId, DeliveryState, SkipReason};
use crate::domain::dispatch::lease::LeaseToken;
use crate::domain::dispatch::minutes::MinuteFigures;
use crate::domain::dispatch::page::{Counts, PageState};
use crate::domain::dispatch::settlement::Settlement;
use crate::domain::ids::{CampaignId, ContactId, PageId};
use crate::domain::instant::UtcInstant;
use crate::store::deliverability::{self, News};
use crate::store::dispatch::dialect::{self, LockedPage};
use crate::store::engine::schema::{deliveries, delivery_contents, pages as page};
use crate::store::engine::{self, CampaignLock};
use crate::store::{Conn, StoreError};

/// What a recorded batch did.
#[derive(Debug, Default)]
pub struct Recorded {
    /// How many rows changed.
    pub changed: usize,
    /// Outcomes that no row takes, and what each would have made of it: the delivery was put back, and claimed again or ended
    /// otherwise, before they came. What had been recorded before is not among them.
    pub unmatched: Vec<(ClaimKey, DeliveryState)>,
}

/// Records a batch, in as many statements for many pages as for one: locks its pages in id order, then the rows in one of
/// the states of `FROM` and fenced by claim number and token, then moves the counts by the rows that *really* changed.
/// Repeating it changes nothing.
///
/// What goes back to pending does so only while the campaign is open. For those the campaign's shared lock comes first:
/// otherwise the campaign could be completed between the look at its status and the commit.
///
/// # Errors
/// A query failed, or the COMMIT went unanswered: record the same batch again.
pub fn record(conn: &mut Conn, batch: &[Settlement]) -> Result<Recorded, StoreError> {
    SideRows::collect(conn, |conn, rows| record_noting(conn, batch, rows))
}

/// As [`record`], as a part of a transaction that does more.
pub(super) fn record_noting(
    conn: &mut Conn,
    batch: &[Settlement],
    rows: &mut SideRows,
) -> Result<Recorded, StoreError> {
    let returning: BTreeSet<CampaignId> = batch
        .iter()
        .filter(|settlement| settlement.verdict.state == DeliveryState::Pending)
        .map(|settlement| settlement.key.campaign)
        .collect();
    for campaign in &returning {
        engine::lock_campaign(conn, *campaign, CampaignLock::Shared)?;
    }
    let ids = batch.iter().map(|settlement| settlement.page).collect();
    let (pages, now) = dialect::lock_pages(conn, &ids)?;
    let mut tallies: BTreeMap<PageId, Tally> = pages.iter().map(|page| (page.id, Tally::of(page))).collect();
    let mut by_campaign = BTreeMap::<CampaignId, Vec<&Settlement>>::new();
    // A batch that was put together from several sources may hold a claim twice; its row changes once.
    let mut seen = HashSet::with_capacity(batch.len());
    for settlement in batch {
        if tallies.contains_key(&settlement.page) && seen.insert(settlement.key) {
            by_campaign.entry(settlement.key.campaign).or_default().push(settlement);
        }
    }
    let (mut unmatched, mut ended) = (Vec::new(), Ended::default());
    for (campaign, settlements) in by_campaign {
        // A stop's own pass may have left a page already, and evidence may come after the end: what would go back to
        // pending ends here instead.
        let closed = match returning.contains(&campaign) {
            true => Some(pages::status_of(conn, campaign)?).filter(|status| status.is_ended()),
            false => None,
        };
        let mut writes: Vec<Write<'_>> = settlements.into_iter().map(|each| write(each, closed, now)).collect();
        // The order in which reports lock them, too.
        writes.sort_unstable_by_key(|write| write.settlement.key.contact);
        let missed = record_campaign(conn, campaign, &writes, &mut tallies, &mut ended, rows, now)?;
        unmatched.extend(unknown(conn, campaign, &missed)?);
    }
    bounces::note(conn, &ended.bounced)?;
    deliverability::note(conn, &ended.sent)?;
    tallies.retain(|_, tally| tally.changed > 0);
    dialect::write_progress(conn, &tallies, now)?;
    for page in &pages {
        let skipped = tallies.get(&page.id).map_or(0, |tally| tally.counts.skipped - page.skipped);
        if skipped > 0 {
            // Only a stop ends as skipped what was claimed.
            dialect::count_skips(conn, page.campaign_id, page.id, SkipReason::Stopped.as_str(), skipped)?;
        }
    }
    for page in pages.iter().filter(|page| page.state == PageState::Done) {
        if tallies.get(&page.id).is_some_and(|tally| tally.counts.pending > 0) {
            reopen_for_late_evidence(conn, page)?;
        }
    }
    for (page, tally) in pages.iter().filter_map(|page| Some((page, tallies.get(&page.id)?))) {
        let moved = MinuteFigures::between(&page.counts(), &tally.counts);
        rows.happen_at(now);
        rows.add(page, &MinuteFigures { deferred: tally.deferred, ..moved });
    }
    Ok(Recorded { changed: tallies.values().map(|tally| tally.changed).sum(), unmatched })
}

/// What a batch notes beside the deliveries.
#[derive(Default)]
struct Ended {
    bounced: Vec<Bounce>,
    sent: Vec<News>,
}

/// What a batch does to one page.
pub(in crate::store) struct Tally {
    /// The page's counts as they become.
    pub(in crate::store) counts: Counts,
    /// How many came to their end.
    pub(in crate::store) settled: i64,
    /// How many attempts ended with a wait for another one.
    deferred: i64,
    changed: usize,
}

impl Tally {
    fn of(page: &LockedPage) -> Self {
        Self { counts: page.counts(), settled: 0, deferred: 0, changed: 0 }
    }

    fn note(&mut self, from: DeliveryState, to: DeliveryState) {
        self.counts.shift(from, to, 1);
        self.changed += 1;
        if to != DeliveryState::Pending {
            self.settled += 1;
        }
    }

    /// What was just noted as in doubt is settled by a report.
    fn believe(&mut self, proven: &Proven) {
        self.counts.shift(proven.from, proven.to, 1);
        if proven.from == DeliveryState::Pending {
            self.settled += 1;
        }
    }
}

/// A settlement as it is written: the verdict in the light of the campaign's present status.
pub(in crate::store) struct Write<'a> {
    pub(in crate::store) settlement: &'a Settlement,
    pub(in crate::store) state: DeliveryState,
    pub(in crate::store) reason: Option<&'a str>,
    pub(in crate::store) due_at: UtcInstant,
}

/// The states in which a row may be when its outcome comes. Nearly every row is `sending`; the others are for evidence
/// that came after the lease had ended: it was left `uncertain`, or put back to `pending` and not claimed again so far.
const FROM: [DeliveryState; 3] = [DeliveryState::Sending, DeliveryState::Uncertain, DeliveryState::Pending];

/// Writes what it can, and returns what no row takes.
fn record_campaign<'a, 'b>(
    conn: &mut Conn,
    campaign: CampaignId,
    writes: &'a [Write<'b>],
    tallies: &mut BTreeMap<PageId, Tally>,
    ended: &mut Ended,
    rows: &mut SideRows,
    now: UtcInstant,
) -> Result<Vec<&'a Write<'b>>, StoreError> {
    let mut missed: Vec<&Write<'_>> = writes.iter().collect();
    let (mut in_doubt, mut tried) = (Vec::new(), Vec::new());
    for from in FROM {
        let fitting: Vec<&Write<'_>> = missed.iter().copied().filter(|write| write.is_news_of(from)).collect();
        if fitting.is_empty() {
            continue;
        }
        // Evidence that comes late for what is uncertain: what it was counted as.
        let late = if from == DeliveryState::Uncertain { fitting.as_slice() } else { &[] };
        let contacts = late.iter().map(|write| write.settlement.key.contact).collect();
        let before = reasons::of_contacts(conn, campaign, contacts)?;
        let done = dialect::write_outcomes(conn, campaign, &fitting, from, now)?;
        for write in missed.extract_if(.., |write| done.contains(&claim_of(write))) {
            if let Some(tally) = tallies.get_mut(&write.settlement.page) {
                tally.note(from, write.state);
                tally.deferred += i64::from(from == DeliveryState::Sending && write.is_deferral());
            }
            keep_content(conn, write)?;
            let key = write.settlement.key;
            if let Some(kind) = before.get(&key.contact) {
                rows.reasons.add(campaign, *kind, -1);
            }
            let verdict = &write.settlement.verdict;
            tried.extend(Tried::of((key.contact, key.claim_no), from, write.state, verdict, write.reason));
            rows.reasons.add(campaign, (write.state, verdict.category, verdict.class), 1);
            if verdict.leaves_doubt() {
                in_doubt.push(key.contact);
            } else if verdict.is_bounce() {
                ended.bounced.push(Bounce { campaign, page: write.settlement.page, contact: key.contact });
            } else if write.state == DeliveryState::Sent {
                let delivery = DeliveryId { campaign, contact: key.contact };
                ended.sent.push(News { delivery, sent_at: now, what: Counted::Sent });
            }
        }
    }
    attempts::note(conn, campaign, &tried, now)?;
    believe_reports(conn, campaign, &in_doubt, tallies, &mut rows.reasons, now)?;
    Ok(missed)
}

/// A report may have come before the outcome: what it proves is not in doubt.
fn believe_reports(
    conn: &mut Conn,
    campaign: CampaignId,
    in_doubt: &[ContactId],
    tallies: &mut BTreeMap<PageId, Tally>,
    reasons: &mut reasons::News,
    now: UtcInstant,
) -> Result<(), StoreError> {
    if in_doubt.is_empty() {
        return Ok(());
    }
    let is_locked = |page| tallies.contains_key(&page);
    for proven in reported::believe(conn, campaign, in_doubt, now, &is_locked)? {
        if let Some(tally) = tallies.get_mut(&proven.page) {
            tally.believe(&proven);
        }
        reasons.prove(campaign, proven.kind(), proven.to);
        forget_content(conn, campaign, proven.contact)?;
    }
    Ok(())
}

impl Write<'_> {
    /// Whether an attempt was made that will be repeated.
    fn is_deferral(&self) -> bool {
        let verdict = &self.settlement.verdict;
        self.state == DeliveryState::Pending && (verdict.counted || verdict.put_off)
    }

    /// Whether a row in that state may change by this.
    fn is_news_of(&self, from: DeliveryState) -> bool {
        match from {
            DeliveryState::Sending => true,
            // An `uncertain` verdict adds nothing to an `uncertain` row: a repeated batch must not count its attempt again.
            DeliveryState::Uncertain => self.state != DeliveryState::Uncertain,
            // It will be asked again in any case, unless this says that there is nothing left to ask. `failed` is said only of
            // what was never in doubt before this attempt.
            DeliveryState::Pending => {
                matches!(self.settlement.verdict.state, DeliveryState::Sent | DeliveryState::Failed)
            }
            DeliveryState::Sent | DeliveryState::Failed | DeliveryState::Skipped => false,
        }
    }
}

/// Which of these outcomes are not in the books: their rows do not stand as the same claim has left them.
fn unknown(
    conn: &mut Conn,
    campaign: CampaignId,
    missed: &[&Write<'_>],
) -> Result<Vec<(ClaimKey, DeliveryState)>, StoreError> {
    if missed.is_empty() {
        return Ok(Vec::new());
    }
    let contacts: Vec<ContactId> = missed.iter().map(|write| write.settlement.key.contact).collect();
    let found: Vec<(ContactId, i32, Option<LeaseToken>, DeliveryState)> = deliveries::table
        .filter(deliveries::campaign_id.eq(campaign).and(deliveries::contact_id.eq_any(contacts)))
        .select((deliveries::contact_id, deliveries::claim_no, deliveries::token, deliveries::state))
        .load(conn)
        .map_err(StoreError::query("look for outcomes that were recorded before"))?;
    let stands = |write: &&&Write<'_>| {
        let key = write.settlement.key;
        found.iter().any(|(contact, claim_no, token, state)| {
            let same_claim = *contact == key.contact && *claim_no == key.claim_no;
            // A report, or an operator, may have settled the doubt since.
            let is_settled =
                write.settlement.verdict.leaves_doubt() && matches!(state, DeliveryState::Sent | DeliveryState::Failed);
            same_claim && (*state == write.state || is_settled) && token.is_none_or(|token| token == key.token)
        })
    };
    let lost = missed.iter().filter(|write| !stands(write));
    Ok(lost.map(|write| (write.settlement.key, write.state)).collect())
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
    Write { settlement, state, reason, due_at: due_at(now, verdict.wait_ms) }
}

/// When a wait that begins now is over. Long ones end at moments that others share, a little later, so that a page is
/// leased for many at once instead of for each.
pub(in crate::store) fn due_at(now: UtcInstant, wait_ms: i64) -> UtcInstant {
    /// Shorter waits are kept to the millisecond.
    const LONG_MS: i64 = 10_000;
    /// What a long wait may be lengthened by, as a part of it.
    const PART: i64 = 64;
    if wait_ms <= 0 {
        return UtcInstant(0);
    }
    let due = now.plus_ms(wait_ms);
    if wait_ms < LONG_MS {
        return due;
    }
    // A power of two: waits of different length share most moments.
    let step = 1_i64 << (wait_ms / PART).ilog2();
    due.plus_ms((step - due.0.rem_euclid(step)) % step)
}

/// Keeps the words of an attempt that will be repeated, and forgets those of a delivery that has ended.
fn keep_content(conn: &mut Conn, write: &Write<'_>) -> Result<(), StoreError> {
    let Some(content) = &write.settlement.content else { return Ok(()) };
    let key = write.settlement.key;
    if write.state == DeliveryState::Pending {
        return dialect::keep_content(conn, key.campaign, key.contact, content);
    }
    forget_content(conn, key.campaign, key.contact)
}

/// Forgets what an attempt said whose delivery has ended.
pub(in crate::store) fn forget_content(
    conn: &mut Conn,
    campaign: CampaignId,
    contact: ContactId,
) -> Result<(), StoreError> {
    diesel::delete(delivery_contents::table.find((campaign, contact)))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("forget what an attempt said"))
}

/// Evidence that came after the page was closed ("not taken") leaves a pending delivery on a page that is done: open it.
fn reopen_for_late_evidence(conn: &mut Conn, page: &LockedPage) -> Result<(), StoreError> {
    diesel::update(page::table.find(page.id))
        .set((page::state.eq(PageState::Ready), page::due_at.eq(UtcInstant(0))))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("re-open a page"))
}

/// Which claim of the campaign a settlement is about.
pub(in crate::store) fn claim_of(write: &Write<'_>) -> (ContactId, i32) {
    (write.settlement.key.contact, write.settlement.key.claim_no)
}

/// The token of a settlement's claim, for the fence in `dialect`.
pub(in crate::store) fn fence(write: &Write<'_>) -> (ContactId, i32, LeaseToken) {
    let key = write.settlement.key;
    (key.contact, key.claim_no, key.token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_waits_end_together_and_never_early() {
        let ends: std::collections::BTreeSet<i64> = (0..1_000)
            .map(|n| {
                let (now, wait) = (UtcInstant(1_000_000 + n * 7), 300_000 + n * 75);
                let due = due_at(now, wait);
                let late = due.0 - now.0 - wait;
                assert!((0..=wait / 64).contains(&late), "{late} ms late after {wait}");
                due.0
            })
            .collect();
        assert!(ends.len() <= 22, "{} moments", ends.len());
        assert_eq!(due_at(UtcInstant(5), 0), UtcInstant(0));
        assert_eq!(due_at(UtcInstant(5), 1_001), UtcInstant(1_006));
    }
}
