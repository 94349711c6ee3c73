//! Pages: leased, renewed and settled. Every statement checks the token.

use diesel::prelude::*;

use super::proofs::is_proven;
use super::reasons;
use super::side_rows::SideRows;
use crate::domain::campaigns::CampaignStatus;
use crate::domain::dispatch::deaths::{self, LeaseOutcome};
use crate::domain::dispatch::delivery::{DeliveryState, SkipReason};
use crate::domain::dispatch::lease::{LeaseToken, Owner};
use crate::domain::dispatch::page::{Counts, PageState, Progress};
use crate::domain::ids::{CampaignId, ContactId, InstanceId, PageId};
use crate::domain::instant::UtcInstant;
use crate::store::dispatch::dialect::{self, LockedPage};
use crate::store::engine::page_states::is_ready;
use crate::store::engine::schema::{campaigns, deliveries, delivery_contents, pages};
use crate::store::{Conn, StoreError, deliverability, engine};

/// A page as stored.
#[derive(Debug, Clone, Queryable, QueryableByName, Selectable)]
#[diesel(table_name = pages)]
pub struct PageRow {
    /// The page.
    pub id: PageId,
    /// Its campaign.
    pub campaign_id: CampaignId,
    /// Its number in the campaign, from 1.
    pub seq: i64,
    /// The pool that holds it, or held it last; before its first lease the one that is to send it.
    pub pool: String,
    /// Its first contact.
    pub first_contact_id: ContactId,
    /// Its last contact.
    pub last_contact_id: ContactId,
    /// How many it holds.
    pub size: i64,
    /// Where it stands.
    pub state: PageState,
    /// When a ready page may be leased.
    pub due_at: UtcInstant,
    /// The holder's incarnation.
    pub lease_instance_id: Option<InstanceId>,
    /// The holder's generation.
    pub lease_generation: Option<i64>,
    /// The lease.
    pub lease_token: Option<LeaseToken>,
    /// When it ends by itself.
    pub lease_until: Option<UtcInstant>,
    /// When it last claimed or recorded.
    pub progress_at: Option<UtcInstant>,
    /// How many it has settled.
    pub lease_settled: i64,
    /// Leases in a row that ended by their owner's death with nothing settled: [`deaths::after`].
    pub deaths: i64,
    /// Count by state.
    pub pending: i64,
    /// Count by state.
    pub sending: i64,
    /// Count by state.
    pub sent: i64,
    /// Count by state.
    pub failed: i64,
    /// Count by state.
    pub skipped: i64,
    /// Count by state.
    pub uncertain: i64,
}

impl PageRow {
    /// How far it has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress { at: self.progress_at, pending: self.pending, sending: self.sending, sent: self.sent }
    }

    /// The counts.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            pending: self.pending,
            sending: self.sending,
            sent: self.sent,
            failed: self.failed,
            skipped: self.skipped,
            uncertain: self.uncertain,
        }
    }
}

/// The page that a lease asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhichPage {
    /// The one that has been due for longest.
    Oldest,
    /// This one: a message announced it.
    This(PageId),
}

/// What a lease is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// A page of this campaign.
    pub campaign: CampaignId,
    /// By this pool.
    pub pool: &'a str,
    /// Which one.
    pub which: WhichPage,
    /// None of these: a pool that lost a lease may still have calls of that page in flight. It would count them together
    /// with the calls of a new lease, and settle too early.
    pub held: &'a [PageId],
}

/// Leases a ready page that is due, if there is one and the campaign is `sending`.
///
/// # Errors
/// The query failed. An unanswered COMMIT leaves a lease that nobody uses; it ends by itself.
pub fn lease(
    conn: &mut Conn,
    wanted: Wanted<'_>,
    owner: Owner,
    token: LeaseToken,
    lease: std::time::Duration,
) -> Result<Option<PageRow>, StoreError> {
    // A paused campaign has ready pages, too. A pause in this very moment is seen by the claim.
    let Some((CampaignStatus::Sending, pool)) = find_status(conn, wanted.campaign)? else { return Ok(None) };
    // One that got another pool while it was paused: the message that announced this page is out of date.
    if pool.as_deref() != Some(wanted.pool) {
        return Ok(None);
    }
    let now = engine::now(conn)?;
    let Some(id) = dialect::lock_ready_page(conn, wanted, now)? else { return Ok(None) };
    let leased = diesel::update(pages::table.filter(pages::id.eq(id).and(pages::state.eq(PageState::Ready))))
        .set((
            pages::state.eq(PageState::Leased),
            pages::pool.eq(wanted.pool),
            pages::lease_instance_id.eq(owner.instance),
            pages::lease_generation.eq(owner.generation),
            pages::lease_token.eq(token),
            pages::lease_until.eq(now.plus(lease)),
            pages::progress_at.eq(now),
            pages::lease_settled.eq(0),
        ))
        .execute(conn)
        .map_err(StoreError::query("lease a page"))?;
    if leased == 1 { Ok(lock(conn, id)?.map(LockedPage::into_row)) } else { Ok(None) }
}

/// Campaigns that have a ready, due page for `pool`.
///
/// # Errors
/// The query failed.
pub fn campaigns_with_ready_pages(conn: &mut Conn, pool: &str) -> Result<Vec<CampaignId>, StoreError> {
    let now = engine::now(conn)?;
    campaigns::table
        .filter(campaigns::status.eq(CampaignStatus::Sending).and(campaigns::pool.eq(pool)))
        .filter(diesel::dsl::exists(
            pages::table.filter(pages::campaign_id.eq(campaigns::id).and(is_ready()).and(pages::due_at.le(now))),
        ))
        .order(campaigns::id)
        .select(campaigns::id)
        .load(conn)
        .map_err(StoreError::query("look for ready pages"))
}

/// Renews leases that nobody has ended, even late ones: as long as the token stands, no one else has touched the page.
/// Returns those that were renewed.
///
/// # Errors
/// The query failed.
pub fn renew(
    conn: &mut Conn,
    leases: &[(PageId, LeaseToken)],
    lease: std::time::Duration,
) -> Result<Vec<PageId>, StoreError> {
    let until = engine::now(conn)?.plus(lease);
    let mut renewed = Vec::with_capacity(leases.len());
    for (id, token) in leases {
        let changed = diesel::update(pages::table.filter(held(*id, *token)))
            .set(pages::lease_until.eq(until))
            .execute(conn)
            .map_err(StoreError::query("renew a lease"))?;
        if changed == 1 {
            renewed.push(*id);
        }
    }
    Ok(renewed)
}

type Held = diesel::dsl::And<
    diesel::dsl::And<diesel::dsl::Eq<pages::id, PageId>, diesel::dsl::Eq<pages::state, PageState>>,
    diesel::dsl::Eq<pages::lease_token, LeaseToken>,
    diesel::sql_types::Nullable<diesel::sql_types::Bool>,
>;

fn held(id: PageId, token: LeaseToken) -> Held {
    pages::id.eq(id).and(pages::state.eq(PageState::Leased)).and(pages::lease_token.eq(token))
}

/// How a lease ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Nothing pending, nothing sending.
    Done(Counts),
    /// Back to ready: some are pending still.
    Ready(Counts),
    /// Kept: the next retry is due soon.
    Kept(UtcInstant),
    /// Somebody else had ended it.
    Lost,
}

/// Ends a lease by its owner, who has nothing in flight on the page: whatever is still `sending` under the token was
/// never begun (a claim whose COMMIT went unanswered) and goes back to pending. With retries waiting the page becomes
/// ready from the first one's due time on, unless that is within `keep_within`: then the lease goes on.
///
/// # Errors
/// The query failed; safe to repeat.
pub fn settle(
    conn: &mut Conn,
    id: PageId,
    token: LeaseToken,
    keep_within: std::time::Duration,
) -> Result<Settled, StoreError> {
    SideRows::collect(conn, |conn, rows| settle_noting(conn, id, token, keep_within, rows))
}

fn settle_noting(
    conn: &mut Conn,
    id: PageId,
    token: LeaseToken,
    keep_within: std::time::Duration,
    rows: &mut SideRows,
) -> Result<Settled, StoreError> {
    let Some(page) = lock(conn, id)? else { return Ok(Settled::Lost) };
    if page.state != PageState::Leased || page.lease_token != Some(token) {
        return Ok(Settled::Lost);
    }
    let mut counts = page.counts();
    if counts.sending > 0 {
        let given_back = give_back(conn, &page, token)?;
        counts.shift(DeliveryState::Sending, DeliveryState::Pending, given_back);
    }
    let status = status_of(conn, page.campaign_id)?;
    if status == CampaignStatus::Stopped && counts.pending > 0 {
        skip_pending(conn, &page, SkipReason::Stopped, &mut counts, rows)?;
    }
    if counts.pending == 0 && counts.sending == 0 {
        close_lease(conn, &page, PageState::Done, UtcInstant(0), counts, rows)?;
        return Ok(Settled::Done(counts));
    }
    let due_at = next_due(conn, &page)?;
    let now = engine::now(conn)?;
    if status == CampaignStatus::Sending && due_at <= now.plus(keep_within) && due_at > now {
        write_counts(conn, &page, counts, rows)?;
        return Ok(Settled::Kept(due_at));
    }
    count_deaths(conn, &page, LeaseOutcome::of(false, page.lease_settled > 0))?;
    close_lease(conn, &page, PageState::Ready, due_at, counts, rows)?;
    Ok(Settled::Ready(counts))
}

/// Locks a page and reads it: the second lock, after the campaign's.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn lock(conn: &mut Conn, id: PageId) -> Result<Option<LockedPage>, StoreError> {
    dialect::lock_page(conn, id)
}

/// The campaign's status and pool. A message may name one that does not exist.
fn find_status(conn: &mut Conn, campaign: CampaignId) -> Result<Option<(CampaignStatus, Option<String>)>, StoreError> {
    campaigns::table
        .find(campaign)
        .select((campaigns::status, campaigns::pool))
        .get_result(conn)
        .optional()
        .map_err(StoreError::query("read a campaign's status"))
}

pub(in crate::store) fn status_of(conn: &mut Conn, campaign: CampaignId) -> Result<CampaignStatus, StoreError> {
    campaigns::table
        .find(campaign)
        .select(campaigns::status)
        .get_result(conn)
        .map_err(StoreError::query("read a campaign's status"))
}

/// The first due time among a page's pending deliveries.
pub(in crate::store) fn next_due(conn: &mut Conn, page: &PageRow) -> Result<UtcInstant, StoreError> {
    let due: Option<UtcInstant> = deliveries::table
        .filter(on_page(page).and(deliveries::state.eq(DeliveryState::Pending)))
        .select(diesel::dsl::min(deliveries::due_at))
        .first(conn)
        .map_err(StoreError::query("find the next retry"))?;
    Ok(due.unwrap_or(UtcInstant(0)))
}

type OnPage = diesel::dsl::And<
    diesel::dsl::Eq<deliveries::campaign_id, CampaignId>,
    diesel::dsl::Between<deliveries::contact_id, ContactId, ContactId>,
>;

/// The deliveries of a page: a stretch of the primary key.
pub(in crate::store) fn on_page(page: &PageRow) -> OnPage {
    deliveries::campaign_id
        .eq(page.campaign_id)
        .and(deliveries::contact_id.between(page.first_contact_id, page.last_contact_id))
}

fn give_back(conn: &mut Conn, page: &LockedPage, token: LeaseToken) -> Result<i64, StoreError> {
    let changed = diesel::update(
        deliveries::table
            .filter(on_page(page).and(deliveries::state.eq(DeliveryState::Sending)).and(deliveries::token.eq(token))),
    )
    .set((deliveries::state.eq(DeliveryState::Pending), deliveries::token.eq(None::<LeaseToken>)))
    .execute(conn)
    .map_err(StoreError::query("give back what was not begun"))?;
    count(changed)
}

/// Ends what is pending on a page, and moves its counts. What was ever ambiguous becomes `uncertain`, or `sent` where a report says so:
/// skipping would claim to know.
pub(in crate::store) fn skip_pending(
    conn: &mut Conn,
    page: &LockedPage,
    reason: SkipReason,
    counts: &mut Counts,
    rows: &mut SideRows,
) -> Result<(), StoreError> {
    let now = engine::now(conn)?;
    let pending = || on_page(page).and(deliveries::state.eq(DeliveryState::Pending));
    let clear = diesel::update(deliveries::table.filter(pending().and(deliveries::ambiguous.eq(false))))
        .set((
            deliveries::state.eq(DeliveryState::Skipped),
            deliveries::reason.eq(reason.as_str()),
            deliveries::settled_at.eq(now),
        ))
        .execute(conn)
        .map_err(StoreError::query("skip what is pending"))?;
    let skipped = count(clear)?;
    counts.shift(DeliveryState::Pending, DeliveryState::Skipped, skipped);
    if skipped > 0 {
        dialect::count_skips(conn, page.campaign_id, page.id, reason.as_str(), skipped)?;
    }
    let accepted: Vec<ContactId> = deliveries::table
        .filter(pending().and(is_proven()))
        .select(deliveries::contact_id)
        .load(conn)
        .map_err(StoreError::query("look for what is reported of what is pending"))?;
    deliverability::note_sent(conn, page.campaign_id, &accepted, now)?;
    // These alone: a report that comes meanwhile takes no page lock, and settles what becomes uncertain here.
    let chosen = pending().and(deliveries::contact_id.eq_any(accepted));
    let proven = diesel::update(deliveries::table.filter(chosen))
        .set((deliveries::state.eq(DeliveryState::Sent), deliveries::settled_at.eq(now)))
        .execute(conn)
        .map_err(StoreError::query("believe what is reported of what is pending"))?;
    counts.shift(DeliveryState::Pending, DeliveryState::Sent, count(proven)?);
    for ((_, category, class), n) in reasons::of_pending(conn, page)? {
        rows.reasons.add(page.campaign_id, (DeliveryState::Uncertain, category, class), n);
    }
    let ambiguous = diesel::update(deliveries::table.filter(pending()))
        .set((deliveries::state.eq(DeliveryState::Uncertain), deliveries::settled_at.eq(now)))
        .execute(conn)
        .map_err(StoreError::query("skip what is pending"))?;
    counts.shift(DeliveryState::Pending, DeliveryState::Uncertain, count(ambiguous)?);
    forget_contents(conn, page)
}

/// Forgets what attempts said whose deliveries have ended. Needed wherever deliveries end other than by their outcome.
pub(in crate::store) fn forget_contents(conn: &mut Conn, page: &LockedPage) -> Result<(), StoreError> {
    let open = deliveries::table
        .filter(deliveries::campaign_id.eq(delivery_contents::campaign_id))
        .filter(deliveries::contact_id.eq(delivery_contents::contact_id))
        .filter(deliveries::state.eq_any([DeliveryState::Pending, DeliveryState::Sending]));
    let kept = delivery_contents::table
        .filter(delivery_contents::campaign_id.eq(page.campaign_id))
        .filter(delivery_contents::contact_id.between(page.first_contact_id, page.last_contact_id));
    diesel::delete(kept.filter(diesel::dsl::not(diesel::dsl::exists(open))))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("forget what attempts said"))
}

/// Writes how many owners in a row have died over a page, if its lease changes that.
pub(in crate::store) fn count_deaths(
    conn: &mut Conn,
    page: &LockedPage,
    lease: LeaseOutcome,
) -> Result<(), StoreError> {
    let deaths = deaths::after(page.deaths, lease);
    if deaths == page.deaths {
        return Ok(());
    }
    diesel::update(pages::table.find(page.id))
        .set(pages::deaths.eq(deaths))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("count an owner's death"))
}

/// Ends the lease on a page, and writes its counts.
pub(in crate::store) fn close_lease(
    conn: &mut Conn,
    page: &LockedPage,
    state: PageState,
    due_at: UtcInstant,
    counts: Counts,
    rows: &mut SideRows,
) -> Result<(), StoreError> {
    diesel::update(pages::table.find(page.id))
        .set((
            pages::state.eq(state),
            pages::due_at.eq(due_at),
            pages::lease_instance_id.eq(None::<InstanceId>),
            pages::lease_generation.eq(None::<i64>),
            pages::lease_token.eq(None::<LeaseToken>),
            pages::lease_until.eq(None::<UtcInstant>),
            pages::announced_at.eq(None::<UtcInstant>),
        ))
        .execute(conn)
        .map_err(StoreError::query("end a lease"))?;
    write_counts(conn, page, counts, rows)
}

/// Writes a page's counts, if they have changed.
pub(in crate::store) fn write_counts(
    conn: &mut Conn,
    page: &LockedPage,
    counts: Counts,
    rows: &mut SideRows,
) -> Result<(), StoreError> {
    if counts == page.counts() {
        return Ok(());
    }
    dialect::write_counts(conn, page, counts)?;
    rows.count(page, &counts);
    Ok(())
}

pub(in crate::store) fn count(changed: usize) -> Result<i64, StoreError> {
    i64::try_from(changed).map_err(|error| StoreError::Corrupt { what: "row count", detail: error.to_string() })
}
