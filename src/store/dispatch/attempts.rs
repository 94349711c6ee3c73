//! Attempts that the provider did not simply accept, a row each: a delivery holds only what its newest attempt came to.

use std::collections::BTreeMap;

use diesel::prelude::*;

use super::dialect;
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::dispatch::delivery::{DeliveryState, ErrorCategory};
use crate::domain::dispatch::settlement::Verdict;
use crate::domain::dispatch::why::facts::Attempt;
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::instant::UtcInstant;
use crate::store::engine::schema::attempts;
use crate::store::{Conn, StoreError};

/// How many are shown of one delivery: the newest ones.
const MOST_SHOWN: i64 = 50;

/// What an attempt came to.
pub(in crate::store) struct Tried<'a> {
    pub(in crate::store) contact: ContactId,
    pub(in crate::store) claim_no: i32,
    /// The state of the delivery after it.
    pub(in crate::store) state: DeliveryState,
    pub(in crate::store) category: Option<ErrorCategory>,
    pub(in crate::store) class: Option<AnswerClass>,
    pub(in crate::store) reason: Option<&'a str>,
    /// It turned out that nothing was begun: there was no attempt.
    never_began: bool,
}

impl<'a> Tried<'a> {
    /// What is kept of an attempt by which a delivery left `from`. `None`: it was simply accepted; it was put off for a trouble that is not the
    /// recipient's, which a bad day may do to everybody many times; or it was never begun.
    pub(in crate::store) fn of(
        (contact, claim_no): (ContactId, i32),
        from: DeliveryState,
        state: DeliveryState,
        verdict: &'a Verdict,
        reason: Option<&'a str>,
    ) -> Option<Self> {
        let is_late = from != DeliveryState::Sending;
        let is_trouble = state != DeliveryState::Sent && (verdict.counted || verdict.ambiguous);
        let (category, class) = (verdict.category, verdict.class);
        let never_began = *verdict == Verdict::untouched();
        (is_late || is_trouble).then_some(Self { contact, claim_no, state, category, class, reason, never_began })
    }
}

/// Writes down attempts to people of a campaign. Evidence that comes late takes the place of what was known before, also that there was no
/// attempt.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn note(
    conn: &mut Conn,
    campaign: CampaignId,
    tried: &[Tried<'_>],
    now: UtcInstant,
) -> Result<(), StoreError> {
    let (none, tried): (Vec<&Tried<'_>>, Vec<&Tried<'_>>) = tried.iter().partition(|one| one.never_began);
    for one in none {
        diesel::delete(attempts::table.find((campaign, one.contact, one.claim_no)))
            .execute(conn)
            .map_err(StoreError::query("forget what was no attempt"))?;
    }
    if tried.is_empty() { Ok(()) } else { dialect::note_attempts(conn, campaign, &tried, now) }
}

/// An attempt as it is kept.
#[derive(Queryable, Selectable)]
#[diesel(table_name = attempts)]
struct Row {
    contact_id: ContactId,
    claim_no: i32,
    state: DeliveryState,
    category: Option<ErrorCategory>,
    answer_class: Option<AnswerClass>,
    reason: Option<String>,
    at: UtcInstant,
}

impl Row {
    fn attempt(self) -> Attempt {
        let Self { claim_no, state, category, answer_class: class, reason, at, .. } = self;
        Attempt { claim_no, state, category, class, reason, at }
    }
}

/// The attempts that are kept to people above `after`, up to `up_to`, of each in the order in which they were made.
///
/// # Errors
/// The query failed.
pub(super) fn of_stretch(
    conn: &mut Conn,
    campaign: CampaignId,
    after: ContactId,
    up_to: ContactId,
) -> Result<BTreeMap<ContactId, Vec<Attempt>>, StoreError> {
    let of_these = attempts::contact_id.gt(after).and(attempts::contact_id.le(up_to));
    let rows: Vec<Row> = attempts::table
        .filter(attempts::campaign_id.eq(campaign).and(of_these))
        .order((attempts::contact_id, attempts::claim_no))
        .select(Row::as_select())
        .load(conn)
        .map_err(StoreError::query("read the attempts of deliveries"))?;
    let mut found = BTreeMap::<ContactId, Vec<Attempt>>::new();
    for row in rows {
        found.entry(row.contact_id).or_default().push(row.attempt());
    }
    Ok(found)
}

/// The attempts to one person that are kept: the newest of them, in the order in which they were made, and how many there are.
///
/// # Errors
/// A query failed.
pub fn of(conn: &mut Conn, campaign: CampaignId, contact: ContactId) -> Result<(Vec<Attempt>, i64), StoreError> {
    let of_person = || attempts::campaign_id.eq(campaign).and(attempts::contact_id.eq(contact));
    let kept: i64 = attempts::table
        .filter(of_person())
        .count()
        .get_result(conn)
        .map_err(StoreError::query("count the attempts of a delivery"))?;
    let rows: Vec<Row> = attempts::table
        .filter(of_person())
        .order(attempts::claim_no.desc())
        .limit(MOST_SHOWN)
        .select(Row::as_select())
        .load(conn)
        .map_err(StoreError::query("read the attempts of a delivery"))?;
    Ok((rows.into_iter().rev().map(Row::attempt).collect(), kept))
}
