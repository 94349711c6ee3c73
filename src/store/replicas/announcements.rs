//! Pages that the broker is to tell other instances of. The row is the outbox: a page that was announced and is still
//! ready a while later is announced again, so that a lost message costs a delay.

use super::announcement::Announcement;
use super::dialect::take_pages_to_announce;
use crate::store::{Conn, StoreError};

/// After this time a page that nobody has leased is announced again, in milliseconds.
pub const AGAIN_AFTER_MS: i64 = 5_000;

/// Takes ready pages of `pool` that are due and not announced, and notes that they are: a few of each campaign in turn.
/// SQLite has one instance: nothing is announced.
///
/// # Errors
/// The query failed. Pages noted by a transaction whose end went unanswered are announced again later.
pub fn take(conn: &mut Conn, pool: &str) -> Result<Vec<Announcement>, StoreError> {
    take_pages_to_announce(conn, pool, AGAIN_AFTER_MS)
}
