//! What is open, for the metrics: along the indexes over open pages, and from the packings of the campaigns that are under
//! way, so that it costs the same however many pages are done.

use crate::store::dispatch::dialect;
use crate::store::{Conn, StoreError, engine};

/// What is open in the whole database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenWork {
    /// Pages that wait to be leased.
    pub ready_pages: i64,
    /// Pages under a lease.
    pub leased_pages: i64,
    /// Pages that are done, of campaigns that are sending or paused.
    pub done_pages: i64,
    /// By pool: pending recipients of sending campaigns, on pages that are due or leased.
    pub due: Vec<(String, i64)>,
}

/// Counts it.
///
/// # Errors
/// A query failed.
pub fn count(conn: &mut Conn) -> Result<OpenWork, StoreError> {
    let now = engine::now(conn)?;
    let rows = dialect::open_pages(conn, now)?;
    let pages = |leased: bool| rows.iter().filter(|row| row.leased == leased).map(|row| row.pages).sum();
    let mut due: Vec<(String, i64)> = Vec::new();
    for row in &rows {
        match due.iter_mut().find(|(pool, _)| *pool == row.pool) {
            Some((_, known)) => *known += row.due,
            None => due.push((row.pool.clone(), row.due)),
        }
    }
    // Between the two questions a page may have been packed or done.
    let done_pages = (dialect::pages_of_active(conn)? - rows.iter().map(|row| row.active).sum::<i64>()).max(0);
    Ok(OpenWork { ready_pages: pages(false), leased_pages: pages(true), done_pages, due })
}
