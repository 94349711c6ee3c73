//! Locks. SQLite needs none of them: its write transactions already stand in line.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::domain::ids::{CampaignId, PageId};
use crate::domain::instant::UtcInstant;
use crate::store::pages::PageRow;
use crate::store::schema::pages;
use crate::store::sql::sql;
use crate::store::{Conn, StoreError};

/// How a campaign is locked, until the end of the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CampaignLock {
    /// Claims and packing: many at once.
    Shared,
    /// Pause, stop, resume, complete, re-open: alone.
    Exclusive,
}

/// Above every campaign id, below every other use of advisory locks here.
const CAMPAIGN_LOCKS: i64 = 0x564C_0000_0000_0000;

/// Takes the campaign's lock as a statement of its own, so that whatever is read next is read after the lock was won.
/// An advisory lock, because with `FOR SHARE` on the campaign's row pauses starved for seconds behind sixteen claimers.
///
/// # Errors
/// The lock was not won within the connection's `lock_timeout`, or the query failed.
pub fn lock_campaign(conn: &mut Conn, campaign: CampaignId, how: CampaignLock) -> Result<(), StoreError> {
    let Conn::Pg(conn) = conn else { return Ok(()) };
    let key = CAMPAIGN_LOCKS | campaign.0;
    match how {
        CampaignLock::Shared => sql("SELECT pg_advisory_xact_lock_shared(").bind::<BigInt, _>(key, ")").execute(conn),
        CampaignLock::Exclusive => sql("SELECT pg_advisory_xact_lock(").bind::<BigInt, _>(key, ")").execute(conn),
    }
    .map(drop)
    .map_err(StoreError::query("lock the campaign"))
}

/// Locks a page's row and reads it.
pub(in crate::store) fn lock_page(conn: &mut Conn, id: PageId) -> Result<Option<PageRow>, StoreError> {
    // Not `first`: its bound `LIMIT` makes SQLite plan the statement anew at each run.
    match conn {
        Conn::Pg(conn) => pages::table.find(id).select(PageRow::as_select()).for_update().get_result(conn).optional(),
        Conn::Sqlite(conn) => pages::table.find(id).select(PageRow::as_select()).get_result(conn).optional(),
    }
    .map_err(StoreError::query("lock a page"))
}

/// Locks the campaign's oldest ready page that is due and none of `held`, passing over those that others are just taking.
pub(in crate::store) fn lock_ready_page(
    conn: &mut Conn,
    campaign: CampaignId,
    pool: &str,
    held: &[PageId],
    now: UtcInstant,
) -> Result<Option<PageId>, StoreError> {
    let ready = || {
        pages::table
            .filter(pages::campaign_id.eq(campaign).and(pages::pool.eq(pool.to_owned())))
            .filter(super::is_ready().and(pages::due_at.le(now)))
            .filter(pages::id.ne_all(held.to_vec()))
            .order((pages::due_at, pages::id))
            .select(pages::id)
            .limit(1)
    };
    match conn {
        Conn::Pg(conn) => ready().for_update().skip_locked().first(conn).optional(),
        Conn::Sqlite(conn) => ready().first(conn).optional(),
    }
    .map_err(StoreError::query("find a ready page"))
}
