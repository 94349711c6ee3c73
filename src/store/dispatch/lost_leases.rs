//! Leases that ended without their owner: all rows of the lease, the counts and the page's state are resolved in one
//! transaction.

use diesel::prelude::*;

use super::attempts::{self, Tried};
use super::bounces::{self, Bounce};
use super::pages::{self, PageRow, on_page};
use super::side_rows::SideRows;
use crate::domain::campaigns::{CampaignStatus, OnUncertain};
use crate::domain::dispatch::abandoned::{Abandoned, Evidence, Fate, LeaseEnd, Repeat};
use crate::domain::dispatch::claim::ClaimKey;
use crate::domain::dispatch::deaths::{DEATHS_BEFORE_SINGLE, LeaseOutcome};
use crate::domain::dispatch::delivery::{DeliveryState, ErrorCategory, SkipReason};
use crate::domain::dispatch::fingerprint::ProviderFingerprint;
use crate::domain::dispatch::lease::{Lease, LeaseToken};
use crate::domain::dispatch::page::{PageState, Progress};
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::instant::UtcInstant;
use crate::domain::reports::Reported;
use crate::store::engine::schema::{campaigns, deliveries};
use crate::store::engine::{self, CampaignLock};
use crate::store::{Conn, StoreError, deliverability};

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

/// What a lease was judged by. A journal is read between that look and the end of the lease, and the page may have moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// The page's progress.
    pub progress: Progress,
    /// Until when the lease was to last, where it was judged by that.
    pub until: Option<UtcInstant>,
}

impl Judged {
    /// Whether the page is still what was judged.
    fn holds_of(&self, row: &PageRow) -> bool {
        row.progress() == self.progress && (self.until.is_none() || row.lease_until == self.until)
    }
}

#[derive(Queryable)]
struct SendingRow {
    contact: ContactId,
    claim_no: i32,
    attempts: i32,
    put_offs: i32,
    deaths: i32,
    ambiguous: bool,
    key_until: Option<UtcInstant>,
    claimed_at: Option<UtcInstant>,
    provider: Option<ProviderFingerprint>,
    reported: Reported,
}

/// Ends a lease. `None`: it had ended already, or the page is no longer what was `judged`, and nothing is changed. Without
/// `judged` it is ended as it is found: for an owner that cannot come back.
///
/// # Errors
/// A query failed; safe to repeat.
pub fn end_lease(
    conn: &mut Conn,
    lease: Lease,
    owner: OwnerFate,
    judged: Option<Judged>,
    repeat: Repeat,
    evidence: &dyn Fn(ClaimKey) -> Evidence,
) -> Result<Option<Ended>, StoreError> {
    SideRows::collect(conn, |conn, rows| end_lease_noting(conn, lease, owner, judged, repeat, evidence, rows))
}

fn end_lease_noting(
    conn: &mut Conn,
    lease: Lease,
    owner: OwnerFate,
    judged: Option<Judged>,
    repeat: Repeat,
    evidence: &dyn Fn(ClaimKey) -> Evidence,
    rows: &mut SideRows,
) -> Result<Option<Ended>, StoreError> {
    let Lease { campaign, page: id, token } = lease;
    engine::lock_campaign(conn, campaign, CampaignLock::Shared)?;
    let (status, on_uncertain): (CampaignStatus, OnUncertain) = campaigns::table
        .find(campaign)
        .select((campaigns::status, campaigns::on_uncertain))
        .first(conn)
        .map_err(StoreError::query("read a campaign"))?;
    let Some(row) = pages::lock(conn, id)? else { return Ok(None) };
    if row.state != PageState::Leased || row.lease_token != Some(token) {
        return Ok(None);
    }
    if judged.is_some_and(|judged| !judged.holds_of(&row)) {
        return Ok(None);
    }
    let now = engine::now(conn)?;
    rows.happen_at(now);
    let sending: Vec<SendingRow> = deliveries::table
        .filter(on_page(&row).and(deliveries::state.eq(DeliveryState::Sending)).and(deliveries::token.eq(token)))
        .order(deliveries::contact_id)
        .select((
            deliveries::contact_id,
            deliveries::claim_no,
            deliveries::attempts,
            deliveries::put_offs,
            deliveries::deaths,
            deliveries::ambiguous,
            deliveries::provider_key_until,
            deliveries::claimed_at,
            deliveries::provider_fingerprint,
            deliveries::reported,
        ))
        .load(conn)
        .map_err(StoreError::query("read what an ended lease left"))?;
    let died = owner == OwnerFate::Died;
    let end = LeaseEnd {
        repeat,
        on_uncertain,
        owner_lives: !died,
        died_alone: died && sending.len() == 1 && row.deaths >= DEATHS_BEFORE_SINGLE,
        now,
    };
    let (mut ended, mut bounced, mut sent) = (Ended::default(), Vec::new(), Vec::new());
    let mut counts = row.counts();
    let fates: Vec<Fate> = sending
        .iter()
        .map(|delivery| {
            let key = ClaimKey { campaign, contact: delivery.contact, claim_no: delivery.claim_no, token };
            Fate::of(&delivery.as_left(now), &evidence(key), &end)
        })
        .collect();
    for (delivery, fate) in sending.iter().zip(&fates) {
        ended.note(fate);
        if fate.verdict.is_bounce() {
            bounced.push(Bounce { campaign, page: id, contact: delivery.contact });
        }
        if fate.state() == DeliveryState::Sent {
            sent.push(delivery.contact);
        }
        counts.shift(DeliveryState::Sending, fate.state(), 1);
        rows.reasons.add(campaign, (fate.state(), fate.verdict.category, fate.verdict.class), 1);
        write_fate(conn, campaign, delivery, fate, now)?;
    }
    let tried = sending.iter().zip(&fates).filter_map(|(delivery, fate)| {
        let (claim, verdict) = ((delivery.contact, delivery.claim_no), &fate.verdict);
        Tried::of(claim, DeliveryState::Sending, verdict.state, verdict, verdict.reason.as_deref())
    });
    attempts::note(conn, campaign, &tried.collect::<Vec<_>>(), now)?;
    bounces::note(conn, &bounced)?;
    deliverability::note_sent(conn, campaign, &sent, now)?;
    // Poison that is found kills nobody any more.
    let settled = row.lease_settled + ended.known + ended.poison > 0;
    pages::count_deaths(conn, &row, LeaseOutcome::of(died && ended.poison == 0, settled))?;
    if status == CampaignStatus::Stopped && counts.pending > 0 {
        pages::skip_pending(conn, &row, SkipReason::Stopped, &mut counts, rows)?;
    }
    pages::forget_contents(conn, &row)?;
    let (state, due_at) = next_state(conn, &row, counts.pending)?;
    pages::close_lease(conn, &row, state, due_at, counts, rows)?;
    Ok(Some(ended))
}

pub(in crate::store) fn next_state(
    conn: &mut Conn,
    row: &PageRow,
    pending: i64,
) -> Result<(PageState, UtcInstant), StoreError> {
    if pending == 0 {
        return Ok((PageState::Done, UtcInstant(0)));
    }
    Ok((PageState::Ready, pages::next_due(conn, row)?))
}

impl SendingRow {
    fn as_left(&self, now: UtcInstant) -> Abandoned {
        let Self { attempts, deaths, ambiguous, key_until, provider, claim_no, reported, .. } = *self;
        let claimed_at = self.claimed_at.unwrap_or(now);
        Abandoned { attempts, deaths, ambiguous, key_until, claimed_at, provider, claim_no, reported }
    }
}

impl Ended {
    fn note(&mut self, fate: &Fate) {
        if fate.verdict.category == Some(ErrorCategory::Poison) {
            self.poison += 1;
        } else if fate.known {
            self.known += 1;
        } else if fate.state() == DeliveryState::Pending {
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
    let pending = fate.state() == DeliveryState::Pending;
    let verdict = &fate.verdict;
    diesel::update(deliveries::table.find((campaign, delivery.contact)))
        .set((
            deliveries::state.eq(fate.state()),
            deliveries::due_at.eq(fate.due_at),
            deliveries::attempts.eq(delivery.attempts + i32::from(verdict.counted)),
            deliveries::put_offs.eq(verdict.put_offs(delivery.put_offs)),
            deliveries::ambiguous.eq(delivery.ambiguous || verdict.ambiguous),
            deliveries::deaths.eq(delivery.deaths + i32::from(fate.died_alone)),
            deliveries::reason.eq(verdict.reason.as_deref()),
            deliveries::category.eq(verdict.category.map(ErrorCategory::as_str)),
            deliveries::answer_class.eq(verdict.class),
            deliveries::provider_id.eq(verdict.provider_id.as_deref()),
            deliveries::provider_key_until.eq(fate.key_until),
            deliveries::settled_at.eq((!pending).then_some(now)),
        ))
        .execute(conn)
        .map_err(StoreError::query("resolve what an ended lease left"))?;
    if pending && !fate.keeps_claim {
        // All others keep their token, so that their owner's late outcome still finds them.
        diesel::update(deliveries::table.find((campaign, delivery.contact)))
            .set(deliveries::token.eq(None::<LeaseToken>))
            .execute(conn)
            .map_err(StoreError::query("resolve what an ended lease left"))?;
    }
    Ok(())
}
