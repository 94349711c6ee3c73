//! Deliveries as people see them: lists, the audit, and the resolution of what is uncertain.

use diesel::prelude::*;

use super::dialect::{self, LockedPage};
use super::pages::{self, on_page};
use super::reasons;
use super::side_rows::SideRows;
use super::sweeps::after_moving;
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::dispatch::delivery::{DeliveryState, ErrorCategory, SkipReason};
use crate::domain::dispatch::lease::LeaseToken;
use crate::domain::dispatch::page::Counts;
use crate::domain::ids::{CampaignId, ContactId, PageId};
use crate::domain::instant::UtcInstant;
use crate::domain::reports::Reported;
use crate::store::engine::schema::{contacts, deliveries, pages as page};
use crate::store::{Conn, StoreError, campaigns, deliverability};

/// A delivery as stored, without what only the protocol needs.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = deliveries)]
pub struct DeliveryRow {
    /// The contact.
    pub contact_id: ContactId,
    /// Its page.
    pub page_id: PageId,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts that counted.
    pub attempts: i32,
    /// Why it is where it is.
    pub reason: Option<String>,
    /// What kind of trouble that was.
    pub category: Option<ErrorCategory>,
    /// Whose trouble the last refusal was, where it was refused.
    pub answer_class: Option<AnswerClass>,
    /// The provider's id of the message.
    pub provider_id: Option<String>,
    /// Not due before; 0 is at once.
    pub due_at: UtcInstant,
    /// When it was last claimed.
    pub claimed_at: Option<UtcInstant>,
    /// When it ended.
    pub settled_at: Option<UtcInstant>,
    /// Which kinds of reports there were of it.
    pub reported: Reported,
}

/// The contact of a delivery. Personal data: never logged, hence no `Debug`.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = contacts)]
pub struct RecipientRow {
    /// The contact, deleted or not.
    pub id: ContactId,
    /// The client's own id.
    pub external_id: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// E.164 number.
    pub phone: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
}

/// A stretch of contacts: above the first, up to the second.
type Stretch = (ContactId, ContactId);

/// The campaign's deliveries above `after`, in contact order, each with its contact. Those in one state are looked for only
/// on pages that hold some: a few among a million cost what they are, and no index changes with every delivery.
///
/// # Errors
/// The query failed.
pub fn list(
    conn: &mut Conn,
    campaign: CampaignId,
    state: Option<DeliveryState>,
    after: ContactId,
    limit: i64,
) -> Result<Vec<(DeliveryRow, RecipientRow)>, StoreError> {
    let Some(state) = state else {
        return within(conn, campaign, (None, TroubleFilter::default()), (after, ContactId(i64::MAX)), limit);
    };
    let (mut found, mut after) = (Vec::new(), after);
    loop {
        let pages = pages_holding(conn, campaign, state, after)?;
        let Some((_, last)) = pages.last().copied() else { return Ok(found) };
        for (first, last) in pages {
            let missing = limit - pages::count(found.len())?;
            if missing <= 0 {
                return Ok(found);
            }
            found.extend(within(
                conn,
                campaign,
                (Some(state), TroubleFilter::default()),
                (after.max(first), last),
                missing,
            )?);
        }
        after = last;
    }
}

/// Those of these contacts that the campaign has a delivery to, by id.
///
/// # Errors
/// The query failed.
pub fn recipients(conn: &mut Conn, campaign: CampaignId, ids: &[ContactId]) -> Result<Vec<RecipientRow>, StoreError> {
    deliveries::table
        .inner_join(contacts::table.on(contacts::id.eq(deliveries::contact_id)))
        .filter(deliveries::campaign_id.eq(campaign).and(deliveries::contact_id.eq_any(ids.to_vec())))
        .order(deliveries::contact_id)
        .select(RecipientRow::as_select())
        .load(conn)
        .map_err(StoreError::query("read recipients"))
}

/// A kind of trouble that deliveries are looked for by. `None` takes all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TroubleFilter {
    /// What kind of trouble it was.
    pub category: Option<ErrorCategory>,
    /// Whose trouble it was.
    pub class: Option<AnswerClass>,
    /// Why it was skipped.
    pub skip_reason: Option<SkipReason>,
}

/// A part of a list, and behind which contact more may come.
pub type Listed = (Vec<(DeliveryRow, RecipientRow)>, Option<ContactId>);

/// The campaign's deliveries in one state and of one kind of trouble above `after`, in contact order, each with its contact, and behind which
/// contact more may come. It looks at no more pages at once than [`list`] does, so that fewer than `limit` may come although there are more.
///
/// # Errors
/// The query failed.
pub fn list_of_kind(
    conn: &mut Conn,
    campaign: CampaignId,
    (state, kind): (DeliveryState, TroubleFilter),
    after: ContactId,
    limit: i64,
) -> Result<Listed, StoreError> {
    let pages = pages_holding(conn, campaign, state, after)?;
    let mut found = Vec::new();
    for (first, last) in &pages {
        // One more shows whether there are more.
        let missing = limit + 1 - pages::count(found.len())?;
        if missing <= 0 {
            break;
        }
        let stretch = (after.max(*first), *last);
        found.extend(within(conn, campaign, (Some(state), kind), stretch, missing)?);
    }
    if pages::count(found.len())? > limit {
        found.pop();
        let last = found.last().map(|(delivery, _)| delivery.contact_id);
        return Ok((found, last));
    }
    let is_cut = pages::count(pages.len())? >= PAGES_AT_ONCE;
    Ok((found, pages.last().filter(|_| is_cut).map(|(_, last)| *last)))
}

/// The campaign's delivery to one contact.
///
/// # Errors
/// The query failed.
pub fn find(
    conn: &mut Conn,
    campaign: CampaignId,
    contact: ContactId,
) -> Result<Option<(DeliveryRow, RecipientRow)>, StoreError> {
    Ok(within(conn, campaign, (None, TroubleFilter::default()), (ContactId(contact.0 - 1), contact), 1)?.pop())
}

/// Whether the campaign has a delivery to this contact.
///
/// # Errors
/// The query failed.
pub fn exists(conn: &mut Conn, campaign: CampaignId, contact: ContactId) -> Result<bool, StoreError> {
    let one = deliveries::campaign_id.eq(campaign).and(deliveries::contact_id.eq(contact));
    diesel::select(diesel::dsl::exists(deliveries::table.filter(one)))
        .get_result(conn)
        .map_err(StoreError::query("look for a delivery"))
}

/// How many pages are looked up at once.
const PAGES_AT_ONCE: i64 = 100;

/// Where pages lie that reach beyond `after` and hold deliveries in `state`, in contact order.
fn pages_holding(
    conn: &mut Conn,
    campaign: CampaignId,
    state: DeliveryState,
    after: ContactId,
) -> Result<Vec<Stretch>, StoreError> {
    let beyond = page::table
        .filter(page::campaign_id.eq(campaign).and(page::last_contact_id.gt(after)))
        .order(page::seq)
        .limit(PAGES_AT_ONCE)
        .select((page::first_contact_id, page::last_contact_id))
        .into_boxed();
    let holding = match state {
        DeliveryState::Pending => beyond.filter(page::pending.gt(0)),
        DeliveryState::Sending => beyond.filter(page::sending.gt(0)),
        DeliveryState::Sent => beyond.filter(page::sent.gt(0)),
        DeliveryState::Failed => beyond.filter(page::failed.gt(0)),
        DeliveryState::Skipped => beyond.filter(page::skipped.gt(0)),
        DeliveryState::Uncertain => beyond.filter(page::uncertain.gt(0)),
    };
    let pages: Vec<Stretch> = holding.load(conn).map_err(StoreError::query("look for pages of a status"))?;
    Ok(pages.into_iter().map(|(first, last)| (ContactId(first.0 - 1), last)).collect())
}

/// The campaign's deliveries to a stretch of contacts.
fn within(
    conn: &mut Conn,
    campaign: CampaignId,
    (state, kind): (Option<DeliveryState>, TroubleFilter),
    (after, up_to): Stretch,
    limit: i64,
) -> Result<Vec<(DeliveryRow, RecipientRow)>, StoreError> {
    let stretch = deliveries::contact_id.gt(after).and(deliveries::contact_id.le(up_to));
    let mut query = deliveries::table
        .inner_join(contacts::table.on(contacts::id.eq(deliveries::contact_id)))
        .filter(deliveries::campaign_id.eq(campaign).and(stretch))
        // The same once more: PostgreSQL does not conclude it, and would merge with everybody from the first contact on.
        .filter(contacts::id.gt(after).and(contacts::id.le(up_to)))
        .order(deliveries::contact_id)
        .limit(limit)
        .select((DeliveryRow::as_select(), RecipientRow::as_select()))
        .into_boxed();
    if let Some(state) = state {
        query = query.filter(deliveries::state.eq(state));
    }
    if let Some(category) = kind.category {
        query = query.filter(deliveries::category.eq(category));
    }
    if let Some(class) = kind.class {
        query = query.filter(deliveries::answer_class.eq(class));
    }
    if let Some(reason) = kind.skip_reason {
        query = query.filter(deliveries::reason.eq(reason.as_str()));
    }
    query.load(conn).map_err(StoreError::query("list deliveries"))
}

/// Rows counted one by one, beside the counts that pages keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audit {
    /// From the rows.
    pub rows: Counts,
    /// From the pages.
    pub pages: Counts,
    /// How many rows there are.
    pub total: i64,
    /// How many recipients the pages hold.
    pub page_sizes: i64,
}

/// Counts a campaign's rows. Call it inside one snapshot.
///
/// # Errors
/// A query failed.
pub fn audit(conn: &mut Conn, campaign: CampaignId) -> Result<Audit, StoreError> {
    let by_state: Vec<(DeliveryState, i64)> = deliveries::table
        .filter(deliveries::campaign_id.eq(campaign))
        .group_by(deliveries::state)
        .select((deliveries::state, diesel::dsl::count_star()))
        .load(conn)
        .map_err(StoreError::query("count deliveries"))?;
    let rows = by_state.iter().fold(Counts::default(), |counts, (state, n)| counts.shifted(*state, *n));
    let pages = campaigns::counts(conn, campaign)?;
    let sizes: Vec<i64> = page::table
        .filter(page::campaign_id.eq(campaign))
        .select(page::size)
        .load(conn)
        .map_err(StoreError::query("sum up page sizes"))?;
    Ok(Audit { rows, pages, total: by_state.iter().map(|(_, n)| n).sum(), page_sizes: sizes.iter().sum() })
}

/// An operator's word on what is uncertain: did it arrive or not?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// It was accepted.
    Sent,
    /// It was not.
    Failed,
    /// Send it again. The campaign has to be open.
    Pending,
}

impl Resolution {
    /// The state that it gives a delivery.
    #[must_use]
    pub fn state(self) -> DeliveryState {
        match self {
            Self::Sent => DeliveryState::Sent,
            Self::Failed => DeliveryState::Failed,
            Self::Pending => DeliveryState::Pending,
        }
    }
}

/// Pages of the campaign that hold something uncertain: all, or those of `contacts`.
///
/// # Errors
/// The query failed.
pub fn uncertain_pages(
    conn: &mut Conn,
    campaign: CampaignId,
    contacts: Option<&[ContactId]>,
) -> Result<Vec<PageId>, StoreError> {
    match contacts {
        None => page::table
            .filter(page::campaign_id.eq(campaign).and(page::uncertain.gt(0)))
            .order(page::id)
            .select(page::id)
            .load(conn),
        Some(contacts) => deliveries::table
            .filter(deliveries::campaign_id.eq(campaign).and(deliveries::contact_id.eq_any(contacts.to_vec())))
            .filter(deliveries::state.eq(DeliveryState::Uncertain))
            .select(deliveries::page_id)
            .distinct()
            .order(deliveries::page_id)
            .load(conn),
    }
    .map_err(StoreError::query("find what is uncertain"))
}

/// How many of these contacts the campaign has an uncertain delivery to.
///
/// # Errors
/// The query failed.
pub fn count_uncertain(conn: &mut Conn, campaign: CampaignId, contacts: &[ContactId]) -> Result<i64, StoreError> {
    deliveries::table
        .filter(deliveries::campaign_id.eq(campaign).and(deliveries::contact_id.eq_any(contacts.to_vec())))
        .filter(deliveries::state.eq(DeliveryState::Uncertain))
        .count()
        .get_result(conn)
        .map_err(StoreError::query("count what is uncertain"))
}

/// Notes the uncertain deliveries of a page (all, or those of `contacts`) as sent.
fn note_sent(
    conn: &mut Conn,
    page: &LockedPage,
    contacts: Option<&[ContactId]>,
    now: UtcInstant,
) -> Result<(), StoreError> {
    let uncertain: Vec<ContactId> = deliveries::table
        .filter(on_page(page).and(deliveries::state.eq(DeliveryState::Uncertain)))
        .select(deliveries::contact_id)
        .load(conn)
        .map_err(StoreError::query("find what is uncertain"))?;
    let chosen = uncertain.into_iter().filter(|contact| contacts.is_none_or(|contacts| contacts.contains(contact)));
    deliverability::note_sent(conn, page.campaign_id, &chosen.collect::<Vec<_>>(), now)
}

/// Resolves the uncertain deliveries of pages (all, or those of `contacts`), in one transaction. Returns how many changed.
///
/// # Errors
/// A query failed; nothing was changed.
pub fn resolve_pages(
    conn: &mut Conn,
    pages: &[PageId],
    contacts: Option<&[ContactId]>,
    resolution: Resolution,
) -> Result<i64, StoreError> {
    SideRows::collect(conn, |conn, rows| {
        let (locked, now) = dialect::lock_pages(conn, &pages.iter().copied().collect())?;
        rows.happen_at(now);
        let mut resolved = 0;
        for page in &locked {
            resolved += resolve_page(conn, page, contacts, resolution, now, rows)?;
        }
        Ok(resolved)
    })
}

fn resolve_page(
    conn: &mut Conn,
    row: &LockedPage,
    contacts: Option<&[ContactId]>,
    resolution: Resolution,
    now: UtcInstant,
    rows: &mut SideRows,
) -> Result<i64, StoreError> {
    let uncertain = on_page(row).and(deliveries::state.eq(DeliveryState::Uncertain));
    if resolution == Resolution::Sent {
        note_sent(conn, row, contacts, now)?;
    }
    for (kind, n) in reasons::of_uncertain(conn, row, contacts)? {
        rows.reasons.add(row.campaign_id, kind, -n);
        let (_, _, class) = kind;
        rows.reasons.add(row.campaign_id, (resolution.state(), Some(ErrorCategory::Resolved), class), n);
    }
    let again = resolution == Resolution::Pending;
    let change = (
        deliveries::state.eq(resolution.state()),
        deliveries::category.eq(ErrorCategory::Resolved.as_str()),
        deliveries::due_at.eq(UtcInstant(0)),
        deliveries::settled_at.eq((!again).then_some(now)),
        deliveries::token.eq(None::<LeaseToken>),
        // An operator's word is evidence: the delivery is no longer in doubt.
        deliveries::ambiguous.eq(false),
        // What is sent again begins anew, as after a retry of what failed.
        again.then_some((deliveries::attempts.eq(0), deliveries::put_offs.eq(0), deliveries::deaths.eq(0))),
    );
    let changed = match contacts {
        None => diesel::update(deliveries::table.filter(uncertain)).set(change).execute(conn),
        Some(contacts) => {
            let chosen = uncertain.and(deliveries::contact_id.eq_any(contacts.to_vec()));
            diesel::update(deliveries::table.filter(chosen)).set(change).execute(conn)
        }
    }
    .map_err(StoreError::query("resolve what is uncertain"))?;
    let changed = pages::count(changed)?;
    let mut counts = row.counts();
    counts.shift(DeliveryState::Uncertain, resolution.state(), changed);
    pages::forget_contents(conn, row)?;
    after_moving(conn, row, counts, rows)?;
    Ok(changed)
}
