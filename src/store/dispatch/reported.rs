//! Reports as evidence: a message that bounced or was opened had been accepted, whatever its call came to.
//!
//! [`crate::store::reports`] notes what is reported without the page's lock. What follows for a delivery is decided here, under the
//! lock: at once for one that is `uncertain` or waits to be asked again, and with its outcome for one that is `sending`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::prelude::*;

use super::pages;
use super::reasons;
use super::side_rows::SideRows;
use super::sweeps::after_moving;
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::dispatch::delivery::{DeliveryId, DeliveryState, ErrorCategory};
use crate::domain::dispatch::doubt::Standing;
use crate::domain::dispatch::page::Counts;
use crate::domain::dispatch::settlement::Verdict;
use crate::domain::ids::{CampaignId, ContactId, PageId};
use crate::domain::instant::UtcInstant;
use crate::domain::reports::Reported;
use crate::store::dispatch::dialect;
use crate::store::engine::schema::deliveries;
use crate::store::{Conn, StoreError, deliverability};

/// How many deliveries reports have settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settled {
    /// The provider had accepted them.
    pub sent: usize,
    /// It had not.
    pub failed: usize,
}

/// Settles those of these deliveries that are in doubt, by what was reported of them ([`Standing::settled_by`]). Belongs in a write
/// transaction of its own, after that of [`crate::store::reports::apply`]: it locks pages.
///
/// # Errors
/// A query failed; safe to repeat.
pub fn settle(conn: &mut Conn, deliveries: &BTreeSet<DeliveryId>) -> Result<Settled, StoreError> {
    let mut by_campaign = BTreeMap::<CampaignId, Vec<ContactId>>::new();
    for delivery in deliveries {
        by_campaign.entry(delivery.campaign).or_default().push(delivery.contact);
    }
    // Most are in no doubt: no page is locked for them.
    let mut pages = BTreeSet::new();
    for (campaign, contacts) in &by_campaign {
        let doubtful = in_doubt(conn, *campaign, contacts)?;
        pages.extend(doubtful.iter().filter(|doubtful| doubtful.becomes().is_some()).map(|doubtful| doubtful.page));
    }
    if pages.is_empty() {
        return Ok(Settled::default());
    }
    SideRows::collect(conn, |conn, rows| settle_on(conn, &pages, by_campaign, rows))
}

fn settle_on(
    conn: &mut Conn,
    pages: &BTreeSet<PageId>,
    by_campaign: BTreeMap<CampaignId, Vec<ContactId>>,
    rows: &mut SideRows,
) -> Result<Settled, StoreError> {
    let (locked, now) = dialect::lock_pages(conn, pages)?;
    rows.happen_at(now);
    let mut counts: BTreeMap<PageId, Counts> = locked.iter().map(|page| (page.id, page.counts())).collect();
    let mut settled = Settled::default();
    for (campaign, contacts) in by_campaign {
        // Read again: nobody moves them now. On a page that is not locked, an outcome may have come meanwhile that looks itself.
        let proven = believe(conn, campaign, &contacts, now, &|page| pages.contains(&page))?;
        for proven in proven {
            rows.reasons.prove(campaign, proven.kind(), proven.to);
            let Proven { page, from, to, .. } = proven;
            if let Some(counts) = counts.get_mut(&page) {
                counts.shift(from, to, 1);
            }
            if to == DeliveryState::Sent {
                settled.sent += 1;
            } else {
                settled.failed += 1;
            }
        }
    }
    for page in &locked {
        let counts = counts.get(&page.id).copied().unwrap_or_else(|| page.counts());
        if counts != page.counts() {
            pages::forget_contents(conn, page)?;
            after_moving(conn, page, counts, rows)?;
        }
    }
    Ok(settled)
}

/// A delivery that was in doubt.
pub(in crate::store) struct Proven {
    pub(in crate::store) contact: ContactId,
    pub(in crate::store) page: PageId,
    /// The state that it was in.
    pub(in crate::store) from: DeliveryState,
    /// What it is now: `sent` or `failed`.
    pub(in crate::store) to: DeliveryState,
    /// What kind of trouble it had been in.
    pub(in crate::store) category: Option<ErrorCategory>,
    /// Whose trouble that was.
    pub(in crate::store) class: Option<AnswerClass>,
}

impl Proven {
    /// Of which kind it was.
    pub(in crate::store) fn kind(&self) -> reasons::Kind {
        (self.from, self.category, self.class)
    }
}

/// Settles those of these deliveries that are in doubt and that reports say something of. Their pages are locked, or are not
/// `is_locked`, and the caller moves the counts.
pub(in crate::store) fn believe(
    conn: &mut Conn,
    campaign: CampaignId,
    contacts: &[ContactId],
    now: UtcInstant,
    is_locked: &dyn Fn(PageId) -> bool,
) -> Result<Vec<Proven>, StoreError> {
    let mut proven = Vec::new();
    let mut moves = HashMap::<(DeliveryState, DeliveryState), Vec<ContactId>>::new();
    for doubtful in in_doubt(conn, campaign, contacts)?.into_iter().filter(|doubtful| is_locked(doubtful.page)) {
        let Doubtful { contact, page, state: from, category, class, .. } = doubtful;
        if let Some(to) = doubtful.becomes() {
            moves.entry((from, to)).or_default().push(contact);
            proven.push(Proven { contact, page, from, to, category, class });
        }
    }
    for ((from, to), contacts) in moves {
        end(conn, campaign, contacts, from, to, now)?;
    }
    Ok(proven)
}

/// A delivery of which nobody knows whether it was accepted.
#[derive(Queryable)]
struct Doubtful {
    contact: ContactId,
    page: PageId,
    state: DeliveryState,
    ambiguous: bool,
    claim_no: i32,
    reported: Reported,
    category: Option<ErrorCategory>,
    class: Option<AnswerClass>,
}

impl Doubtful {
    fn becomes(&self) -> Option<DeliveryState> {
        let Self { state, ambiguous, claim_no, .. } = *self;
        Standing { state, ambiguous, claim_no }.settled_by(self.reported)
    }
}

fn in_doubt(conn: &mut Conn, campaign: CampaignId, contacts: &[ContactId]) -> Result<Vec<Doubtful>, StoreError> {
    let waits = deliveries::state.eq(DeliveryState::Pending).and(deliveries::ambiguous.eq(true));
    deliveries::table
        .filter(deliveries::campaign_id.eq(campaign).and(deliveries::contact_id.eq_any(contacts.to_vec())))
        .filter(deliveries::state.eq(DeliveryState::Uncertain).or(waits))
        .select((
            deliveries::contact_id,
            deliveries::page_id,
            deliveries::state,
            deliveries::ambiguous,
            deliveries::claim_no,
            deliveries::reported,
            deliveries::category,
            deliveries::answer_class,
        ))
        .load(conn)
        .map_err(StoreError::query("find what is in doubt"))
}

fn end(
    conn: &mut Conn,
    campaign: CampaignId,
    contacts: Vec<ContactId>,
    from: DeliveryState,
    to: DeliveryState,
    now: UtcInstant,
) -> Result<(), StoreError> {
    let (expected, verdict) = (contacts.len(), Verdict::reported(to, false));
    if to == DeliveryState::Sent {
        deliverability::note_sent(conn, campaign, &contacts, now)?;
    }
    let these = deliveries::campaign_id.eq(campaign).and(deliveries::contact_id.eq_any(contacts));
    let moved = diesel::update(deliveries::table.filter(these.and(deliveries::state.eq(from))))
        .set((
            deliveries::state.eq(to),
            deliveries::ambiguous.eq(false),
            deliveries::due_at.eq(UtcInstant(0)),
            deliveries::settled_at.eq(now),
            deliveries::reason.eq(verdict.reason),
            deliveries::category.eq(verdict.category.map(ErrorCategory::as_str)),
            deliveries::answer_class.eq(None::<AnswerClass>),
        ))
        .execute(conn)
        .map_err(StoreError::query("settle what is in doubt"))?;
    if moved == expected { Ok(()) } else { Err(StoreError::Stale { what: "a delivery in doubt" }) }
}
