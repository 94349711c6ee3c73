//! Leases that ended without their owner: whoever ends a lease resolves all of its rows, the counts and the page's state
//! in one transaction.

use diesel::prelude::*;

use super::backend::{self, CampaignLock};
use super::late_evidence::Lease;
use super::outcomes::ClaimKey;
use super::pages::{self, LeaseToken, PageRow, on_page};
use super::schema::{campaigns, deliveries, pages as page};
use super::{Conn, StoreError};
use crate::domain::campaign::{CampaignStatus, OnUncertain};
use crate::domain::delivery::{DeliveryState, ErrorCategory, SkipReason};
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::instant::UtcInstant;
use crate::domain::page::PageState;
use crate::domain::settlement::Verdict;

/// Leases that must have ended with nothing settled before a page is claimed one recipient at a time.
pub const DEATHS_BEFORE_SINGLE: i64 = 3;

/// Deaths alone in flight that make a recipient poison.
const DEATHS_ALONE: i32 = 2;

/// What is known of a claim from its owner's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// No line: with a valid journal, proof that nothing left.
    NotBegun,
    /// Begun, and the outcome was written down.
    Ended(Verdict),
    /// Begun with no outcome; or there is no journal to ask.
    Ambiguous,
}

/// What a pool's provider does with a repeated attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    /// How long the provider honours keys, in milliseconds; `None`: not at all.
    pub key_valid_ms: Option<i64>,
    /// How long after its claim an attempt may still be on the wire: start deadline + call timeout + margin, in
    /// milliseconds.
    pub on_the_wire_ms: i64,
    /// Attempts allowed.
    pub max_attempts: i32,
}

/// Whether a lease ended because its owner died: only deaths count against the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerFate {
    /// It is gone.
    Died,
    /// It lives, and came too late or does not know of the lease.
    Lives,
}

/// What ending a lease came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ended {
    /// Rows that went back to pending.
    pub given_back: i64,
    /// Rows whose outcome the journal knew.
    pub known: i64,
    /// Rows that nobody can know.
    pub uncertain: i64,
    /// Rows found to be poison.
    pub poison: i64,
}

#[derive(Queryable)]
struct SendingRow {
    contact: ContactId,
    claim_no: i32,
    attempts: i32,
    deaths: i32,
    ambiguous: bool,
    key_until: Option<UtcInstant>,
    claimed_at: Option<UtcInstant>,
}

/// Ends a lease. `None`: it had ended already.
///
/// # Errors
/// A query failed; safe to repeat.
pub fn end_lease(
    conn: &mut Conn,
    lease: Lease,
    owner: OwnerFate,
    repeat: Repeat,
    evidence: &dyn Fn(ClaimKey) -> Evidence,
) -> Result<Option<Ended>, StoreError> {
    let Lease { campaign, page: id, token } = lease;
    backend::lock_campaign(conn, campaign, CampaignLock::Shared)?;
    let (status, on_uncertain): (CampaignStatus, OnUncertain) = campaigns::table
        .find(campaign)
        .select((campaigns::status, campaigns::on_uncertain))
        .first(conn)
        .map_err(StoreError::query("read a campaign"))?;
    let Some(row) = pages::lock(conn, id)? else { return Ok(None) };
    if row.state != PageState::Leased || row.lease_token != Some(token) {
        return Ok(None);
    }
    let now = backend::now(conn)?;
    let sending: Vec<SendingRow> = deliveries::table
        .filter(on_page(&row).and(deliveries::state.eq(DeliveryState::Sending)).and(deliveries::token.eq(token)))
        .order(deliveries::contact_id)
        .select((
            deliveries::contact_id,
            deliveries::claim_no,
            deliveries::attempts,
            deliveries::deaths,
            deliveries::ambiguous,
            deliveries::provider_key_until,
            deliveries::claimed_at,
        ))
        .load(conn)
        .map_err(StoreError::query("read what an ended lease left"))?;
    let died = owner == OwnerFate::Died;
    let alone = died && sending.len() == 1;
    let mut ended = Ended::default();
    let mut counts = row.counts();
    for delivery in &sending {
        let key = ClaimKey { campaign, contact: delivery.contact, claim_no: delivery.claim_no, token };
        let fate = Fate::of(delivery, &evidence(key), repeat, on_uncertain, alone, now);
        ended.note(&fate);
        counts.shift(DeliveryState::Sending, fate.state, 1);
        write_fate(conn, campaign, delivery, &fate, now)?;
    }
    let known = ended.known + ended.poison;
    let deaths = if row.lease_settled + known > 0 { 0 } else { row.deaths + i64::from(died) };
    diesel::update(page::table.find(id))
        .set(page::deaths.eq(deaths))
        .execute(conn)
        .map_err(StoreError::query("count an owner's death"))?;
    if status == CampaignStatus::Stopped && counts.pending > 0 {
        let skipped = pages::skip_pending(conn, &row, SkipReason::Stopped)?;
        counts.shift(DeliveryState::Pending, DeliveryState::Skipped, skipped.skipped);
        counts.shift(DeliveryState::Pending, DeliveryState::Uncertain, skipped.uncertain);
    }
    pages::forget_contents(conn, &row)?;
    let (state, due_at) = next_state(conn, &row, counts.pending)?;
    pages::close_lease(conn, &row, state, due_at, counts)?;
    Ok(Some(ended))
}

pub(super) fn next_state(conn: &mut Conn, row: &PageRow, pending: i64) -> Result<(PageState, UtcInstant), StoreError> {
    if pending == 0 {
        return Ok((PageState::Done, UtcInstant(0)));
    }
    Ok((PageState::Ready, pages::next_due(conn, row)?))
}

/// What becomes of one row.
struct Fate {
    state: DeliveryState,
    due_at: UtcInstant,
    verdict: Verdict,
    key_until: Option<UtcInstant>,
    died_alone: bool,
    known: bool,
}

impl Fate {
    fn of(
        delivery: &SendingRow,
        evidence: &Evidence,
        repeat: Repeat,
        on_uncertain: OnUncertain,
        alone: bool,
        now: UtcInstant,
    ) -> Self {
        let claimed_at = delivery.claimed_at.unwrap_or(now);
        // The provider may know the key since the first attempt that began, recorded or not.
        let key_until = match evidence {
            Evidence::NotBegun => delivery.key_until,
            Evidence::Ended(_) | Evidence::Ambiguous => {
                delivery.key_until.or(repeat.key_valid_ms.map(|ms| claimed_at.plus_ms(ms)))
            }
        };
        let plain = |state, due_at, verdict, known: bool| {
            let died_alone = alone && !known;
            Self { state, due_at, verdict, key_until, died_alone, known }
        };
        if alone && delivery.deaths + 1 >= DEATHS_ALONE && !matches!(evidence, Evidence::Ended(_)) {
            return Self::poison(delivery, evidence);
        }
        match evidence {
            Evidence::NotBegun => plain(DeliveryState::Pending, UtcInstant(0), Verdict::untouched(), false),
            Evidence::Ended(verdict) => {
                let due_at = if verdict.wait_ms > 0 { now.plus_ms(verdict.wait_ms) } else { UtcInstant(0) };
                plain(verdict.state, due_at, verdict.clone(), true)
            }
            Evidence::Ambiguous => {
                let key_lives = repeat.key_valid_ms.is_some() && key_until.is_some_and(|until| until > now);
                let again = (key_lives || on_uncertain == OnUncertain::Resend)
                    && delivery.attempts + 1 < repeat.max_attempts.max(2);
                let verdict = Verdict {
                    state: if again { DeliveryState::Pending } else { DeliveryState::Uncertain },
                    counted: true,
                    ambiguous: true,
                    reason: Some("the process ended before the provider's answer was written down".to_owned()),
                    category: Some(ErrorCategory::Unexpected),
                    ..Verdict::untouched()
                };
                // The first call may still be on the wire.
                plain(verdict.state, claimed_at.plus_ms(repeat.on_the_wire_ms), verdict, false)
            }
        }
    }

    fn poison(delivery: &SendingRow, evidence: &Evidence) -> Self {
        let ambiguous = delivery.ambiguous || *evidence == Evidence::Ambiguous;
        let state = if ambiguous { DeliveryState::Uncertain } else { DeliveryState::Failed };
        let verdict = Verdict {
            state,
            counted: true,
            ambiguous,
            reason: Some("the process died twice with this delivery alone in flight".to_owned()),
            category: Some(ErrorCategory::Poison),
            ..Verdict::untouched()
        };
        let key_until = delivery.key_until;
        Self { state, due_at: UtcInstant(0), verdict, key_until, died_alone: true, known: false }
    }
}

impl Ended {
    fn note(&mut self, fate: &Fate) {
        if fate.verdict.category == Some(ErrorCategory::Poison) {
            self.poison += 1;
        } else if fate.known {
            self.known += 1;
        } else if fate.state == DeliveryState::Pending {
            self.given_back += 1;
        } else {
            self.uncertain += 1;
        }
    }
}

fn write_fate(
    conn: &mut Conn,
    campaign: CampaignId,
    delivery: &SendingRow,
    fate: &Fate,
    now: UtcInstant,
) -> Result<(), StoreError> {
    let pending = fate.state == DeliveryState::Pending;
    let verdict = &fate.verdict;
    diesel::update(deliveries::table.find((campaign, delivery.contact)))
        .set((
            deliveries::state.eq(fate.state),
            deliveries::due_at.eq(fate.due_at),
            deliveries::attempts.eq(delivery.attempts + i32::from(verdict.counted)),
            deliveries::ambiguous.eq(delivery.ambiguous || verdict.ambiguous),
            deliveries::deaths.eq(delivery.deaths + i32::from(fate.died_alone)),
            deliveries::reason.eq(verdict.reason.as_deref()),
            deliveries::category.eq(verdict.category.map(ErrorCategory::as_str)),
            deliveries::provider_id.eq(verdict.provider_id.as_deref()),
            deliveries::provider_key_until.eq(fate.key_until),
            deliveries::settled_at.eq((!pending).then_some(now)),
        ))
        .execute(conn)
        .map_err(StoreError::query("resolve what an ended lease left"))?;
    if pending {
        // `uncertain` keeps its token, so that its owner's late outcome still finds it.
        diesel::update(deliveries::table.find((campaign, delivery.contact)))
            .set(deliveries::token.eq(None::<LeaseToken>))
            .execute(conn)
            .map_err(StoreError::query("resolve what an ended lease left"))?;
    }
    Ok(())
}
