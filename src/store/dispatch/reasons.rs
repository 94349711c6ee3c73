//! Why recipients of a campaign failed or are uncertain, counted.
//!
//! A side row of the campaign for each kind of trouble, moved in the transaction that moves the counts of a page
//! (`side_rows`). What ends by its outcome is counted by the outcome; what changes otherwise, page by page or by an operator's
//! word, is counted before and after it.

use std::collections::BTreeMap;

use diesel::dsl::count_star;
use diesel::prelude::*;

use super::dialect::{self, LockedPage};
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::dispatch::delivery::{DeliveryState, ErrorCategory};
use crate::domain::dispatch::page::Counts;
use crate::domain::dispatch::settlement::Verdict;
use crate::domain::ids::{CampaignId, ContactId};
use crate::store::engine::schema::{campaign_reasons, deliveries};
use crate::store::{Conn, StoreError};

/// A kind of trouble: its state, category and class.
pub(in crate::store) type Kind = (DeliveryState, Option<ErrorCategory>, Option<AnswerClass>);

/// The states whose reasons are counted here.
const COUNTED: [DeliveryState; 2] = [DeliveryState::Failed, DeliveryState::Uncertain];

/// What one transaction moves.
#[derive(Default)]
pub(in crate::store) struct News(BTreeMap<(CampaignId, &'static str, &'static str, &'static str), i64>);

impl News {
    /// So many more are of this kind, or fewer; other states are not counted here.
    pub(in crate::store) fn add(&mut self, campaign: CampaignId, (state, category, class): Kind, n: i64) {
        if COUNTED.contains(&state) {
            let category = category.map_or("", ErrorCategory::as_str);
            let class = class.map_or("", AnswerClass::as_str);
            *self.0.entry((campaign, state.as_str(), category, class)).or_default() += n;
        }
    }

    /// All of these are there, or no longer.
    pub(in crate::store) fn add_all(&mut self, campaign: CampaignId, kinds: &[(Kind, i64)], sign: i64) {
        for (kind, n) in kinds {
            self.add(campaign, *kind, sign * n);
        }
    }

    /// A report has settled a doubt about one of this kind.
    pub(in crate::store) fn prove(&mut self, campaign: CampaignId, kind: Kind, to: DeliveryState) {
        self.add(campaign, kind, -1);
        self.add(campaign, (to, Verdict::reported(to, false).category, None), 1);
    }

    /// Writes it down, in the order of the rows.
    ///
    /// # Errors
    /// The query failed.
    pub(super) fn write(&self, conn: &mut Conn) -> Result<(), StoreError> {
        for ((campaign, state, category, class), n) in self.0.iter().filter(|(_, n)| **n != 0) {
            dialect::add_reason(conn, *campaign, (state, category, class), *n)?;
        }
        Ok(())
    }
}

/// How many of a page are of which kind. Looks at all of its recipients.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn of_page(conn: &mut Conn, page: &LockedPage) -> Result<Vec<(Kind, i64)>, StoreError> {
    kinds(conn, page, &COUNTED)
}

/// How many of a page that are uncertain (all, or those of `contacts`) are of which kind.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn of_uncertain(
    conn: &mut Conn,
    page: &LockedPage,
    contacts: Option<&[ContactId]>,
) -> Result<Vec<(Kind, i64)>, StoreError> {
    let Some(contacts) = contacts else { return kinds(conn, page, &[DeliveryState::Uncertain]) };
    let on_page = deliveries::contact_id.between(page.first_contact_id, page.last_contact_id);
    deliveries::table
        .filter(deliveries::campaign_id.eq(page.campaign_id).and(on_page))
        .filter(deliveries::state.eq(DeliveryState::Uncertain).and(deliveries::contact_id.eq_any(contacts.to_vec())))
        .group_by((deliveries::state, deliveries::category, deliveries::answer_class))
        .select(((deliveries::state, deliveries::category, deliveries::answer_class), count_star()))
        .load(conn)
        .map_err(StoreError::query("count the reasons of deliveries"))
}

/// How many of a page that wait are of which kind.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn of_pending(conn: &mut Conn, page: &LockedPage) -> Result<Vec<(Kind, i64)>, StoreError> {
    kinds(conn, page, &[DeliveryState::Pending])
}

fn kinds(conn: &mut Conn, page: &LockedPage, states: &[DeliveryState]) -> Result<Vec<(Kind, i64)>, StoreError> {
    let contacts = deliveries::contact_id.between(page.first_contact_id, page.last_contact_id);
    deliveries::table
        .filter(deliveries::campaign_id.eq(page.campaign_id).and(contacts).and(deliveries::state.eq_any(states)))
        .group_by((deliveries::state, deliveries::category, deliveries::answer_class))
        .select(((deliveries::state, deliveries::category, deliveries::answer_class), count_star()))
        .load(conn)
        .map_err(StoreError::query("count the reasons of a page"))
}

/// Of which kind these contacts are, as far as they are of any.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn of_contacts(
    conn: &mut Conn,
    campaign: CampaignId,
    contacts: Vec<ContactId>,
) -> Result<BTreeMap<ContactId, Kind>, StoreError> {
    if contacts.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows: Vec<(ContactId, Kind)> = deliveries::table
        .filter(deliveries::campaign_id.eq(campaign).and(deliveries::contact_id.eq_any(contacts)))
        .filter(deliveries::state.eq_any(COUNTED))
        .select((deliveries::contact_id, (deliveries::state, deliveries::category, deliveries::answer_class)))
        .load(conn)
        .map_err(StoreError::query("look up the reasons of deliveries"))?;
    Ok(rows.into_iter().collect())
}

/// A kind of trouble and how many are of it: state, category and class as text, the last two empty where there is none. Less than 0 where
/// recipients left the state who came into it before they were counted.
pub type Trouble = (DeliveryState, String, String, i64);

/// Why recipients of a campaign stand where they do.
#[derive(Debug, Clone)]
pub struct Counted {
    /// Those who failed or are uncertain.
    pub troubles: Vec<Trouble>,
    /// Those who were skipped, by reason.
    pub skips: BTreeMap<String, i64>,
    /// How many stand in each state.
    pub counts: Counts,
}

/// Why recipients of a campaign stand where they do. Belongs in a snapshot.
///
/// # Errors
/// A query failed.
pub fn counted(conn: &mut Conn, campaign: CampaignId) -> Result<Counted, StoreError> {
    let troubles = campaign_reasons::table
        .filter(campaign_reasons::campaign_id.eq(campaign).and(campaign_reasons::n.ne(0)))
        .order((campaign_reasons::state, campaign_reasons::category, campaign_reasons::answer_class))
        .select((
            campaign_reasons::state,
            campaign_reasons::category,
            campaign_reasons::answer_class,
            campaign_reasons::n,
        ))
        .load(conn)
        .map_err(StoreError::query("read the reasons of a campaign"))?;
    Ok(Counted {
        troubles,
        skips: dialect::sum_skips(conn, &[campaign])?.remove(&campaign).unwrap_or_default(),
        counts: dialect::sum_page_counts(conn, &[campaign])?.remove(&campaign).unwrap_or_default(),
    })
}
