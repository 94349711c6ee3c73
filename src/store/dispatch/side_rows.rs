//! What a transaction changes in the side rows of campaigns: collected while it runs, and written once, at its end.
//!
//! Transactions about different pages of a campaign add to the same side rows, and on PostgreSQL each holds what it has written until it
//! ends. Two that wrote them page by page could wait for each other. So whatever moves the counts of pages or the reasons of
//! recipients notes it here, and [`SideRows::collect`] writes all of it in one order: first the reasons, then the minutes, both in the
//! order of their keys. Everything else of the transaction is locked by then.

use super::dialect::LockedPage;
use super::minutes::{self, NOBODY};
use super::reasons;
use crate::domain::dispatch::minutes::MinuteFigures;
use crate::domain::dispatch::page::Counts;
use crate::domain::instant::UtcInstant;
use crate::store::{Conn, StoreError, engine};

/// The side rows of one transaction.
#[derive(Default)]
pub(in crate::store) struct SideRows {
    /// Why recipients failed or are uncertain.
    pub(in crate::store) reasons: reasons::News,
    minutes: minutes::News,
    at: Option<UtcInstant>,
}

impl SideRows {
    /// Runs the work of a transaction, and writes what it has noted.
    ///
    /// # Errors
    /// Those of the work, or a query failed.
    pub(in crate::store) fn collect<T>(
        conn: &mut Conn,
        work: impl FnOnce(&mut Conn, &mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut rows = Self::default();
        let done = work(conn, &mut rows)?;
        rows.write(conn)?;
        Ok(done)
    }

    /// When it happens. Without it the clock is asked when there is something to write.
    pub(in crate::store) fn happen_at(&mut self, now: UtcInstant) {
        self.at = Some(now);
    }

    /// The counts of a page have moved to these.
    pub(in crate::store) fn count(&mut self, page: &LockedPage, counts: &Counts) {
        self.add(page, &MinuteFigures::between(&page.counts(), counts));
    }

    /// This has happened on a page. It belongs to the minute of the instance that holds the page: several instances that send one campaign write different rows, and
    /// none waits for another.
    pub(in crate::store) fn add(&mut self, page: &LockedPage, figures: &MinuteFigures) {
        if !figures.is_nothing() {
            let owner = page.lease_instance_id.unwrap_or(NOBODY);
            self.minutes.entry((page.campaign_id, owner)).or_default().add(figures);
        }
    }

    fn write(self, conn: &mut Conn) -> Result<(), StoreError> {
        self.reasons.write(conn)?;
        if self.minutes.is_empty() {
            return Ok(());
        }
        let now = self.at.map_or_else(|| engine::now(conn), Ok)?;
        minutes::write(conn, &self.minutes, now)
    }
}
