//! Campaigns found by what they are: for people's lists, and for the actors that drive them.

use diesel::prelude::*;

use super::{CampaignRow, PackingRow};
use crate::domain::campaign::{CampaignStatus, ChannelKind};
use crate::domain::ids::CampaignId;
use crate::domain::page::PageState;
use crate::store::listing::{Slice, Window};
use crate::store::schema::{campaigns, packings, pages};
use crate::store::{Conn, StoreError, backend};

/// Which campaigns a list shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    /// Only this status.
    pub status: Option<CampaignStatus>,
    /// Only this channel.
    pub channel: Option<ChannelKind>,
}

/// A part of the list of campaigns, newest first.
///
/// # Errors
/// The query failed.
pub fn list(conn: &mut Conn, filter: Filter, window: Window) -> Result<Slice<CampaignRow>, StoreError> {
    let newest: Option<CampaignId> = campaigns::table
        .select(diesel::dsl::max(campaigns::id))
        .first(conn)
        .map_err(StoreError::query("find the newest campaign"))?;
    let anchor = window.anchor.unwrap_or(newest.map_or(0, |id| id.0));
    let matching = || {
        let mut query = campaigns::table
            .filter(campaigns::deleted_at.is_null().and(campaigns::id.le(CampaignId(anchor))))
            .into_boxed();
        if let Some(status) = filter.status {
            query = query.filter(campaigns::status.eq(status));
        }
        if let Some(channel) = filter.channel {
            query = query.filter(campaigns::channel.eq(channel));
        }
        query
    };
    let total = matching().count().get_result(conn).map_err(StoreError::query("count campaigns"))?;
    let before = CampaignId(window.before.unwrap_or(i64::MAX));
    let rows = matching()
        .filter(campaigns::id.lt(before))
        .order(campaigns::id.desc())
        .offset(window.offset)
        .limit(window.fetch())
        .select(CampaignRow::as_select())
        .load(conn)
        .map_err(StoreError::query("list campaigns"))?;
    Ok(window.slice(rows, total, anchor))
}

/// Campaigns that something may have to be done for: sending or paused ones, and those with a pass to finish.
///
/// # Errors
/// The query failed.
pub fn unfinished(conn: &mut Conn) -> Result<Vec<(CampaignRow, PackingRow)>, StoreError> {
    campaigns::table
        .inner_join(packings::table.on(packings::campaign_id.eq(campaigns::id)))
        .filter(campaigns::status.eq(CampaignStatus::Sending).or(packings::sweep.is_not_null()))
        .select((CampaignRow::as_select(), PackingRow::as_select()))
        .order(campaigns::id)
        .load(conn)
        .map_err(StoreError::query("list unfinished campaigns"))
}

/// Scheduled campaigns whose time has come, oldest first.
///
/// # Errors
/// The query failed.
pub fn due(conn: &mut Conn) -> Result<Vec<CampaignRow>, StoreError> {
    let now = backend::now(conn)?;
    campaigns::table
        .filter(campaigns::status.eq(CampaignStatus::Scheduled))
        .filter(campaigns::scheduled_at.le(now).and(campaigns::deleted_at.is_null()))
        .select(CampaignRow::as_select())
        .order(campaigns::scheduled_at)
        .load(conn)
        .map_err(StoreError::query("list due campaigns"))
}

/// Whether some page of the campaign is not done. Looked at without a lock: only a hint.
///
/// # Errors
/// The query failed.
pub fn has_open_page(conn: &mut Conn, id: CampaignId) -> Result<bool, StoreError> {
    let open = |state: PageState| {
        diesel::select(diesel::dsl::exists(pages::table.filter(pages::campaign_id.eq(id).and(pages::state.eq(state)))))
    };
    for state in [PageState::Leased, PageState::Ready] {
        if open(state).get_result(conn).map_err(StoreError::query("look for open pages"))? {
            return Ok(true);
        }
    }
    Ok(false)
}
