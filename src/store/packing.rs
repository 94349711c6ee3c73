//! Packing: the audience is cut into pages, one transaction a page, by contact id.

use diesel::prelude::*;

use super::backend::{self, CampaignLock};
use super::campaigns;
use super::schema::{packings, pages};
use super::{Conn, StoreError};
use crate::domain::campaign::{Audience, CampaignStatus, ChannelKind};
use crate::domain::ids::{CampaignId, ContactId, PageId};
use crate::domain::page::{Counts, PageState};

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
    },
    /// Nobody of this stretch was eligible; the cursor moved on.
    Nobody,
    /// The whole audience is packed.
    Done,
    /// The campaign is not `sending`: packing goes on when it is again.
    NotSending(CampaignStatus),
    /// Another paginator moved the cursor first.
    Overtaken,
}

/// Packs the next page: shared lock, status, cursor by compare-and-set, page and deliveries, all in one transaction. A
/// crash resumes at the cursor; nothing is ever deleted or reset.
///
/// # Errors
/// A query failed; nothing was changed.
pub fn pack_page(conn: &mut Conn, id: CampaignId, page_size: i64) -> Result<Packed, StoreError> {
    backend::lock_campaign(conn, id, CampaignLock::Shared)?;
    let Some(campaign) = campaigns::find(conn, id)? else { return Ok(Packed::Done) };
    if campaign.status != CampaignStatus::Sending {
        return Ok(Packed::NotSending(campaign.status));
    }
    let Some(packing) = campaigns::packing(conn, id)? else { return Ok(Packed::Done) };
    if packing.done {
        return Ok(Packed::Done);
    }
    let audience = parse_audience(campaign.audience.as_deref())?;
    let span = Span { after: packing.cursor_contact_id, up_to: packing.max_contact_id };
    let Some(up_to) = backend::audience_bound(conn, id, &audience, span, page_size)? else {
        let moved = move_cursor(conn, id, packing.cursor_contact_id, packing.max_contact_id, 0, true)?;
        return Ok(if moved { Packed::Done } else { Packed::Overtaken });
    };
    let span = Span { up_to, ..span };
    let page = NewPage {
        campaign_id: id,
        seq: packing.next_page,
        pool: campaign.pool.clone().unwrap_or_default(),
        first_contact_id: ContactId(span.after.0 + 1),
        last_contact_id: up_to,
        state: PageState::Done,
        due_at: 0,
        size: 0,
        pending: 0,
        sending: 0,
        sent: 0,
        failed: 0,
        skipped: 0,
        uncertain: 0,
    };
    if !move_cursor(conn, id, packing.cursor_contact_id, up_to, 1, false)? {
        return Ok(Packed::Overtaken);
    }
    let page_id: PageId = diesel::insert_into(pages::table)
        .values(&page)
        .returning(pages::id)
        .get_result(conn)
        .map_err(StoreError::query("insert a page"))?;
    let inserted = backend::insert_deliveries(conn, id, page_id, &audience, campaign.channel, span)?;
    if inserted.total() == 0 {
        diesel::delete(pages::table.find(page_id)).execute(conn).map_err(StoreError::query("drop an empty page"))?;
        diesel::update(packings::table.find(id))
            .set(packings::next_page.eq(packing.next_page))
            .execute(conn)
            .map_err(StoreError::query("keep a page number"))?;
        return Ok(Packed::Nobody);
    }
    let state = if inserted.pending == 0 { PageState::Done } else { PageState::Ready };
    diesel::update(pages::table.find(page_id))
        .set((
            pages::state.eq(state),
            pages::size.eq(inserted.total()),
            pages::pending.eq(inserted.pending),
            pages::skipped.eq(inserted.skipped),
        ))
        .execute(conn)
        .map_err(StoreError::query("count a page"))?;
    Ok(Packed::Page { id: page_id, seq: page.seq, size: inserted.total(), pending: inserted.pending })
}

/// A stretch of contact ids: above `after`, up to and including `up_to`.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Exclusive.
    pub after: ContactId,
    /// Inclusive.
    pub up_to: ContactId,
}

#[derive(Insertable)]
#[diesel(table_name = pages)]
struct NewPage {
    campaign_id: CampaignId,
    seq: i64,
    pool: String,
    first_contact_id: ContactId,
    last_contact_id: ContactId,
    state: PageState,
    due_at: i64,
    size: i64,
    pending: i64,
    sending: i64,
    sent: i64,
    failed: i64,
    skipped: i64,
    uncertain: i64,
}

/// `false`: somebody else moved it first.
fn move_cursor(
    conn: &mut Conn,
    id: CampaignId,
    from: ContactId,
    to: ContactId,
    pages_made: i64,
    done: bool,
) -> Result<bool, StoreError> {
    let moved = diesel::update(
        packings::table
            .filter(packings::campaign_id.eq(id))
            .filter(packings::cursor_contact_id.eq(from).and(packings::done.eq(false))),
    )
    .set((
        packings::cursor_contact_id.eq(to),
        packings::next_page.eq(packings::next_page + pages_made),
        packings::done.eq(done),
    ))
    .execute(conn)
    .map_err(StoreError::query("move a packing's cursor"))?;
    Ok(moved == 1)
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

/// Which contacts a channel can reach; the column test stands in `backend`.
pub(super) fn address_test(channel: ChannelKind) -> &'static str {
    match channel {
        ChannelKind::Email => "c.email IS NOT NULL",
        ChannelKind::Sms | ChannelKind::Whatsapp => "c.phone IS NOT NULL",
        ChannelKind::Http => "(c.email IS NOT NULL OR c.phone IS NOT NULL OR c.external_id IS NOT NULL)",
    }
}

/// The counts of a page that was just packed.
pub(super) fn fresh_counts(size: i64, pending: i64) -> Counts {
    Counts { pending, skipped: size - pending, ..Counts::default() }
}
