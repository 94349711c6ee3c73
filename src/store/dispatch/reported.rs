//! Reports as evidence: a message that bounced or was opened had been accepted, whatever its call came to.
//!
//! [`crate::store::reports`] notes what is reported without the page's lock. What follows for a delivery is decided here, under the
//! lock: at once for one that is `uncertain` or waits to be asked again, and with its outcome for one that is `sending`.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;

use super::pages;
use super::sweeps::after_moving;
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::dispatch::delivery::{DeliveryId, DeliveryState, ErrorCategory};
use crate::domain::dispatch::page::Counts;
use crate::domain::ids::{CampaignId, ContactId, PageId};
use crate::domain::instant::UtcInstant;
use crate::domain::reports::{Proof, Reported};
use crate::store::dispatch::dialect;
use crate::store::engine::schema::deliveries;
use crate::store::{Conn, StoreError};

/// Why a delivery failed that was reported as not accepted.
const REJECTED_LATER: &str = "the provider reported later that it had not accepted the message";

/// How many deliveries a proof has settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settled {
    /// The provider had accepted them.
    pub sent: usize,
    /// It had not.
    pub failed: usize,
}

/// Settles those of these deliveries that are in doubt: `uncertain`, or `pending` after an attempt that may have been accepted.
/// Belongs in a write transaction of its own, after that of [`crate::store::reports::apply`]: it locks pages.
///
/// - A message that was accepted makes the delivery `sent`.
/// - One that was not accepted makes an `uncertain` delivery `failed`, if there was no other attempt. It says nothing about another
///   attempt, and what has failed may be sent again.
///
/// # Errors
/// A query failed; safe to repeat.
pub fn settle(conn: &mut Conn, proofs: &BTreeMap<DeliveryId, Proof>) -> Result<Settled, StoreError> {
    let mut by_campaign = BTreeMap::<CampaignId, Vec<ContactId>>::new();
    for delivery in proofs.keys() {
        by_campaign.entry(delivery.campaign).or_default().push(delivery.contact);
    }
    // Most are in no doubt: no page is locked for them.
    let mut pages = BTreeSet::new();
    for (campaign, contacts) in &by_campaign {
        pages.extend(in_doubt(conn, *campaign, contacts)?.into_iter().map(|doubtful| doubtful.page));
    }
    if pages.is_empty() {
        return Ok(Settled::default());
    }
    let (locked, now) = dialect::lock_pages(conn, &pages)?;
    let mut counts: BTreeMap<PageId, Counts> = locked.iter().map(|page| (page.id, page.counts())).collect();
    let mut settled = Settled::default();
    for (campaign, contacts) in by_campaign {
        let mut fates = BTreeMap::<Fate, Vec<ContactId>>::new();
        // Read again: nobody moves them now.
        for doubtful in in_doubt(conn, campaign, &contacts)? {
            let proof = proofs.get(&DeliveryId { campaign, contact: doubtful.contact }).copied();
            let (Some(fate), Some(counts)) = (doubtful.fate(proof), counts.get_mut(&doubtful.page)) else { continue };
            counts.shift(fate.before(), fate.after(), 1);
            fates.entry(fate).or_default().push(doubtful.contact);
        }
        for (fate, contacts) in fates {
            match fate {
                Fate::Accepted | Fate::NotAskedAgain => settled.sent += contacts.len(),
                Fate::NotAccepted => settled.failed += contacts.len(),
            }
            end(conn, campaign, contacts, fate, now)?;
        }
    }
    for page in &locked {
        let counts = counts.get(&page.id).copied().unwrap_or_else(|| page.counts());
        if counts != page.counts() {
            pages::forget_contents(conn, page)?;
            after_moving(conn, page, counts)?;
        }
    }
    Ok(settled)
}

/// A delivery that turned out to be accepted.
pub(in crate::store) struct Proven {
    pub(in crate::store) contact: ContactId,
    pub(in crate::store) page: PageId,
    /// The state that it was in.
    pub(in crate::store) from: DeliveryState,
}

/// Makes `sent` those of these deliveries that are in doubt although it was reported before that they were accepted. Their pages
/// are locked, and the caller moves the counts.
pub(in crate::store) fn believe(
    conn: &mut Conn,
    campaign: CampaignId,
    contacts: &[ContactId],
    now: UtcInstant,
) -> Result<Vec<Proven>, StoreError> {
    let mut proven = Vec::new();
    let mut fates = BTreeMap::<Fate, Vec<ContactId>>::new();
    for doubtful in in_doubt(conn, campaign, contacts)? {
        if let Some(fate) = doubtful.fate(None) {
            fates.entry(fate).or_default().push(doubtful.contact);
            proven.push(Proven { contact: doubtful.contact, page: doubtful.page, from: fate.before() });
        }
    }
    for (fate, contacts) in fates {
        end(conn, campaign, contacts, fate, now)?;
    }
    Ok(proven)
}

/// A delivery of which nobody knows whether it was accepted.
#[derive(Queryable)]
struct Doubtful {
    contact: ContactId,
    page: PageId,
    state: DeliveryState,
    attempts: i32,
    reported: Reported,
}

/// What becomes of a delivery in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// It was uncertain, and was accepted.
    Accepted,
    /// It was to be asked for again, and was accepted.
    NotAskedAgain,
    /// It was uncertain, and was not accepted.
    NotAccepted,
}

impl Fate {
    fn before(self) -> DeliveryState {
        match self {
            Self::Accepted | Self::NotAccepted => DeliveryState::Uncertain,
            Self::NotAskedAgain => DeliveryState::Pending,
        }
    }

    fn after(self) -> DeliveryState {
        match self {
            Self::Accepted | Self::NotAskedAgain => DeliveryState::Sent,
            Self::NotAccepted => DeliveryState::Failed,
        }
    }
}

impl Doubtful {
    /// By what is reported of it, and what was just said.
    fn fate(&self, said: Option<Proof>) -> Option<Fate> {
        let is_uncertain = self.state == DeliveryState::Uncertain;
        if self.reported.proves_acceptance() || said == Some(Proof::Accepted) {
            return Some(if is_uncertain { Fate::Accepted } else { Fate::NotAskedAgain });
        }
        let is_refuted = is_uncertain && said == Some(Proof::NotAccepted) && self.attempts <= 1;
        is_refuted.then_some(Fate::NotAccepted)
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
            deliveries::attempts,
            deliveries::reported,
        ))
        .load(conn)
        .map_err(StoreError::query("find what is in doubt"))
}

fn end(
    conn: &mut Conn,
    campaign: CampaignId,
    contacts: Vec<ContactId>,
    fate: Fate,
    now: UtcInstant,
) -> Result<(), StoreError> {
    let (expected, is_refuted) = (contacts.len(), fate == Fate::NotAccepted);
    let these = deliveries::campaign_id.eq(campaign).and(deliveries::contact_id.eq_any(contacts));
    let moved = diesel::update(deliveries::table.filter(these.and(deliveries::state.eq(fate.before()))))
        .set((
            deliveries::state.eq(fate.after()),
            deliveries::ambiguous.eq(false),
            deliveries::due_at.eq(UtcInstant(0)),
            deliveries::settled_at.eq(now),
            deliveries::reason.eq(is_refuted.then_some(REJECTED_LATER)),
            deliveries::category.eq(is_refuted.then_some(ErrorCategory::Refused.as_str())),
            deliveries::answer_class.eq(None::<AnswerClass>),
        ))
        .execute(conn)
        .map_err(StoreError::query("settle what is in doubt"))?;
    if moved == expected { Ok(()) } else { Err(StoreError::Stale { what: "a delivery in doubt" }) }
}
