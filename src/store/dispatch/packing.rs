//! Packing: the audience is cut into pages by contact id, a few pages per transaction.

use diesel::prelude::*;

use super::minutes;
use crate::domain::campaigns::CampaignStatus;
use crate::domain::campaigns::audience::Audience;
use crate::domain::dispatch::page::{Counts, PageState};
use crate::domain::ids::{CampaignId, ContactId, PageId};
use crate::store::campaigns::{self, CampaignRow, PackingRow};
use crate::store::dispatch::dialect;
use crate::store::dispatch::plan::Plan;
pub(in crate::store) use crate::store::dispatch::plan::has_default;
pub use crate::store::dispatch::plan::{Ahead, Span};
use crate::store::engine::schema::{packings, pages};
use crate::store::engine::{self, CampaignLock};
use crate::store::{Conn, StoreError};

/// What one step of packing came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packed {
    /// A page was born.
    Page {
        /// The page.
        id: PageId,
        /// Its number in the campaign, from 1.
        seq: i64,
        /// How many it holds.
        size: i64,
        /// How many of them can be reached.
        pending: i64,
        /// Everyone of the audience up to here is packed.
        up_to: ContactId,
    },
    /// Nobody of this stretch was eligible; the cursor moved on.
    Nobody,
    /// The whole audience is packed.
    Done,
    /// The campaign is not `sending`: packing goes on when it is again.
    NotSending(CampaignStatus),
    /// Another paginator moved the cursor first.
    Overtaken,
    /// The audience has filters, and nobody has asked them about this page: [`look_ahead`] does. Nothing was changed.
    LookAgain,
}

/// Where the filters of an audience are asked.
enum Asked {
    /// In the transaction that packs.
    Here,
    /// Before it, if they were.
    Before(Option<Ahead>),
}

/// Packs the next page, in the caller's transaction. A crash resumes at the cursor; nothing is ever deleted or reset. Filters are
/// asked in that transaction: for where nobody waits for it.
///
/// # Errors
/// A query failed; nothing was changed.
pub fn pack_page(conn: &mut Conn, id: CampaignId, page_size: i64) -> Result<Packed, StoreError> {
    Ok(pack(conn, id, page_size, 1, Asked::Here)?.pop().unwrap_or(Packed::Done))
}

/// Packs the next pages, at most so many, in the caller's transaction: shared lock, status, then for each page the cursor
/// by compare-and-set, the page and its deliveries. The last answer says whether there is more to do. `ahead` is what
/// [`look_ahead`] said of the first one; where filters have to be asked first, or again, nothing is packed.
///
/// # Errors
/// A query failed; nothing was changed.
pub fn pack_pages(
    conn: &mut Conn,
    id: CampaignId,
    page_size: i64,
    most: usize,
    ahead: Option<Ahead>,
) -> Result<Vec<Packed>, StoreError> {
    pack(conn, id, page_size, most, Asked::Before(ahead))
}

fn pack(conn: &mut Conn, id: CampaignId, page_size: i64, most: usize, asked: Asked) -> Result<Vec<Packed>, StoreError> {
    engine::lock_campaign(conn, id, CampaignLock::Shared)?;
    let Some(campaign) = campaigns::find(conn, id)? else { return Ok(vec![Packed::Done]) };
    if campaign.status != CampaignStatus::Sending {
        return Ok(vec![Packed::NotSending(campaign.status)]);
    }
    let Some(mut packing) = campaigns::packing(conn, id)? else { return Ok(vec![Packed::Done]) };
    engine::keep_to_indexes(conn)?;
    let plan = plan_of(conn, &campaign)?;
    // The filters of one page were asked: the next is for another transaction.
    let most = if plan.audience.has_filter() { 1 } else { most };
    let mut ahead = match asked {
        Asked::Here => None,
        Asked::Before(ahead) => {
            let ahead = ahead.filter(|ahead| ahead.span.after == packing.cursor_contact_id);
            if ahead.is_none() && plan.audience.has_filter() && !packing.done {
                return Ok(vec![Packed::LookAgain]);
            }
            ahead
        }
    };
    let (mut packed, mut unreachable) = (Vec::with_capacity(most), 0);
    while packed.len() < most {
        let page = pack_next(conn, &campaign, &mut packing, &plan, page_size, ahead.take())?;
        packed.push(page);
        match page {
            Packed::Page { size, pending, .. } => unreachable += size - pending,
            Packed::Nobody => {}
            Packed::Done | Packed::NotSending(_) | Packed::Overtaken | Packed::LookAgain => break,
        }
    }
    if unreachable > 0 {
        diesel::update(packings::table.find(id))
            .set(packings::unreachable.eq(packings::unreachable + unreachable))
            .execute(conn)
            .map_err(StoreError::query("count recipients without an address"))?;
    }
    Ok(packed)
}

/// Asks the filters of a campaign's audience about the contacts of its next page, outside the transaction that packs it: that one
/// holds SQLite's one writer. `None`: the audience has no filter, or there is nothing to pack.
///
/// # Errors
/// A query failed.
pub fn look_ahead(conn: &mut Conn, id: CampaignId, page_size: i64) -> Result<Option<Ahead>, StoreError> {
    let Some(campaign) = campaigns::find(conn, id)? else { return Ok(None) };
    if campaign.status != CampaignStatus::Sending || !parse_audience(campaign.audience.as_deref())?.has_filter() {
        return Ok(None);
    }
    conn.snapshot(|conn| {
        let Some(packing) = campaigns::packing(conn, id)?.filter(|packing| !packing.done) else { return Ok(None) };
        engine::keep_to_indexes(conn)?;
        let rest = rest_of(&packing);
        plan_of(conn, &campaign)?.ask(conn, rest, page_size).map(Some)
    })
}

/// Packs the next page of a campaign that may be paused, unless everyone up to `through` is packed: of a page that the
/// database has lost some people are known to have been handed over. Returns whether there was a page to pack.
///
/// # Errors
/// A query failed; nothing was changed.
pub fn pack_towards(conn: &mut Conn, id: CampaignId, page_size: i64, through: ContactId) -> Result<bool, StoreError> {
    engine::lock_campaign(conn, id, CampaignLock::Shared)?;
    let (Some(campaign), Some(mut packing)) = (campaigns::find(conn, id)?, campaigns::packing(conn, id)?) else {
        return Ok(false);
    };
    if packing.done || packing.cursor_contact_id >= through {
        return Ok(false);
    }
    engine::keep_to_indexes(conn)?;
    let plan = plan_of(conn, &campaign)?;
    if let Packed::Page { size, pending, .. } = pack_next(conn, &campaign, &mut packing, &plan, page_size, None)? {
        diesel::update(packings::table.find(id))
            .set(packings::unreachable.eq(packings::unreachable + size - pending))
            .execute(conn)
            .map_err(StoreError::query("count recipients without an address"))?;
    }
    Ok(true)
}

/// The result of packing a campaign, also after interruptions and by several instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The audience as it was counted at launch.
    pub expected: i64,
    /// Pages made.
    pub pages: i64,
    /// Recipients on them.
    pub contacts: i64,
    /// Of those, how many the channel could not reach.
    pub unreachable: i64,
    /// How the audience names people.
    pub strategy: String,
}

/// Sums a packing up; `None` before the launch.
///
/// # Errors
/// A query failed.
pub fn summary(conn: &mut Conn, id: CampaignId) -> Result<Option<Summary>, StoreError> {
    let (Some(campaign), Some(packing)) = (campaigns::find(conn, id)?, campaigns::packing(conn, id)?) else {
        return Ok(None);
    };
    Ok(Some(Summary {
        expected: packing.expected,
        pages: packing.next_page - 1,
        contacts: campaigns::counts(conn, id)?.total(),
        unreachable: packing.unreachable,
        strategy: parse_audience(campaign.audience.as_deref())?.include.ways(),
    }))
}

/// How a launched campaign's audience is read.
fn plan_of(conn: &mut Conn, campaign: &CampaignRow) -> Result<Plan, StoreError> {
    let audience = parse_audience(campaign.audience.as_deref())?;
    Plan::of_launched(conn, campaign.id, audience)
}

/// Who is not packed yet.
const fn rest_of(packing: &PackingRow) -> Span {
    Span { after: packing.cursor_contact_id, up_to: packing.max_contact_id }
}

/// Packs one page, and moves `packing` on as its row is moved.
fn pack_next(
    conn: &mut Conn,
    campaign: &CampaignRow,
    packing: &mut PackingRow,
    plan: &Plan,
    page_size: i64,
    ahead: Option<Ahead>,
) -> Result<Packed, StoreError> {
    if packing.done {
        return Ok(Packed::Done);
    }
    let Ahead { span, is_end, filtered } = match ahead {
        Some(ahead) => ahead,
        None if plan.audience.has_filter() => plan.ask(conn, rest_of(packing), page_size)?,
        None => plan.next(conn, rest_of(packing), page_size)?,
    };
    let filtered = Some(&filtered).filter(|_| plan.audience.has_filter());
    let seq = packing.next_page;
    if !dialect::move_cursor(conn, campaign.id, span, if is_end { seq } else { seq + 1 }, is_end)? {
        return Ok(Packed::Overtaken);
    }
    packing.cursor_contact_id = span.up_to;
    if is_end {
        packing.done = true;
        if plan.audience.is_counted_by_packing() {
            // Now it is known how many there are.
            diesel::update(packings::table.find(campaign.id))
                .set(packings::expected.eq(campaigns::counts(conn, campaign.id)?.total()))
                .execute(conn)
                .map_err(StoreError::query("count the audience"))?;
        }
        return Ok(Packed::Done);
    }
    let pool = campaign.pool.as_deref().unwrap_or_default();
    let id = dialect::insert_page(conn, campaign.id, seq, pool, span)?;
    let counts = dialect::insert_deliveries(conn, plan.people(filtered), id, campaign.channel, span)?;
    if counts.total() == 0 {
        diesel::delete(pages::table.find(id)).execute(conn).map_err(StoreError::query("drop an empty page"))?;
        dialect::number_next_page(conn, campaign.id, seq)?;
        return Ok(Packed::Nobody);
    }
    let state = if counts.pending == 0 { PageState::Done } else { PageState::Ready };
    dialect::fill_page(conn, id, state, counts)?;
    minutes::note_packed(conn, campaign.id, &counts)?;
    packing.next_page = seq + 1;
    Ok(Packed::Page { id, seq, size: counts.total(), pending: counts.pending, up_to: span.up_to })
}

/// Reads a stored audience.
///
/// # Errors
/// It is missing or not readable.
pub fn parse_audience(stored: Option<&str>) -> Result<Audience, StoreError> {
    let corrupt = |detail: String| StoreError::Corrupt { what: "audience", detail };
    let stored = stored.ok_or_else(|| corrupt("there is none".to_owned()))?;
    serde_json::from_str(stored).map_err(|error| corrupt(error.to_string()))
}

/// The counts of a page that was just packed.
pub(in crate::store) fn fresh_counts(size: i64, pending: i64) -> Counts {
    Counts { pending, skipped: size - pending, ..Counts::default() }
}
