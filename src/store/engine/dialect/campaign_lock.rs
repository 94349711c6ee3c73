//! The lock on a campaign. SQLite needs none: its write transactions already stand in line.

use diesel::connection::SimpleConnection;

use crate::domain::ids::CampaignId;
use crate::store::{Conn, StoreError};

/// How a campaign is locked, until the end of the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CampaignLock {
    /// Claims and packing: many at once.
    Shared,
    /// Pause, stop, resume, complete, re-open: alone.
    Exclusive,
}

impl CampaignLock {
    /// The statement that takes it on PostgreSQL.
    pub(in crate::store) fn statement(self, campaign: CampaignId) -> String {
        let key = CAMPAIGN_LOCKS | campaign.0;
        match self {
            Self::Shared => format!("SELECT pg_advisory_xact_lock_shared({key})"),
            Self::Exclusive => format!("SELECT pg_advisory_xact_lock({key})"),
        }
    }
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
    conn.batch_execute(&how.statement(campaign)).map_err(StoreError::query("lock the campaign"))
}
