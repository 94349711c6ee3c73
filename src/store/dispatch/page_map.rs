//! The map of a campaign's pages: neighbours put together into cells, so that a campaign to ten million people fits on a screen.

use diesel::prelude::*;

use super::dialect;
use crate::domain::dispatch::page::Counts;
use crate::domain::ids::{CampaignId, ContactId, InstanceId};
use crate::store::engine::schema::pages;
use crate::store::{Conn, StoreError, engine};

/// Which part of the map.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// The number of the first page, from 1.
    pub from: i64,
    /// The number of the last page. `None`: the last one that is packed.
    pub to: Option<i64>,
    /// So many cells at most.
    pub cells: i64,
}

/// Neighbouring pages.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The numbers of its first and last page.
    pub pages: (i64, i64),
    /// The first and the last contact on them.
    pub contacts: (ContactId, ContactId),
    /// How their recipients stand.
    pub counts: Counts,
    /// How many of its pages an instance holds.
    pub leased: i64,
    /// How many of these leases are over, with nobody having ended them yet.
    pub overdue: i64,
    /// The most owners in a row that died on one of its pages with nothing settled.
    pub deaths: i64,
    /// The lowest and the highest number of the instances that hold its pages.
    pub instances: Option<(InstanceId, InstanceId)>,
}

/// A part of the map.
#[derive(Debug, Clone)]
pub struct PageMap {
    /// How many pages are packed.
    pub packed: i64,
    /// How many pages a cell puts together.
    pub together: i64,
    /// In the order of the pages.
    pub cells: Vec<Cell>,
}

/// Draws a part of the map of a campaign's pages. Reads each of those pages once, by their index. Belongs in a snapshot.
///
/// # Errors
/// A query failed.
pub fn draw(conn: &mut Conn, campaign: CampaignId, part: Part) -> Result<PageMap, StoreError> {
    let packed: Option<i64> = pages::table
        .filter(pages::campaign_id.eq(campaign))
        .select(diesel::dsl::max(pages::seq))
        .first(conn)
        .map_err(StoreError::query("count pages"))?;
    let packed = packed.unwrap_or(0);
    let to = part.to.map_or(packed, |to| to.min(packed));
    let asked = (to - part.from + 1).max(1);
    let together = (asked + part.cells - 1) / part.cells;
    let now = engine::now(conn)?;
    let cells = dialect::groups(conn, campaign, (part.from, to), together, now)?;
    let cell = |group: dialect::Group| Cell {
        pages: (group.first_seq, group.last_seq),
        contacts: (group.first_contact_id, group.last_contact_id),
        counts: group.counts(),
        leased: group.leased,
        overdue: group.overdue,
        deaths: group.deaths,
        instances: group.first_instance.zip(group.last_instance),
    };
    Ok(PageMap { packed, together, cells: cells.into_iter().map(cell).collect() })
}
