//! The figures of each pool: what went through it in a time, and what waits for it now.

use std::collections::BTreeMap;

use super::dialect;
use crate::domain::instant::UtcInstant;
use crate::store::{Conn, StoreError};

/// The figures of a pool, or of all together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolFigures {
    /// How many messages became sent.
    pub sent: i64,
    /// How many failed.
    pub failed: i64,
    /// How many recipients wait on open pages.
    pub pending: i64,
    /// How many are claimed or handed over right now.
    pub sending: i64,
}

impl PoolFigures {
    /// With another's.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            failed: self.failed + other.failed,
            pending: self.pending + other.pending,
            sending: self.sending + other.sending,
        }
    }
}

/// By pool, what has happened since a moment, which is the beginning of a minute, and what waits. Reads no delivery. Belongs in a
/// snapshot.
///
/// # Errors
/// A query failed.
pub fn since(conn: &mut Conn, from: UtcInstant) -> Result<BTreeMap<String, PoolFigures>, StoreError> {
    let mut pools: BTreeMap<String, PoolFigures> = BTreeMap::new();
    for passed in dialect::passed_by_pool(conn, from)? {
        let pool = pools.entry(passed.pool).or_default();
        // Less than 0 only where a journal has corrected a database that went back in time.
        (pool.sent, pool.failed) = (passed.one.max(0), passed.other.max(0));
    }
    for waiting in dialect::waiting_by_pool(conn)? {
        let pool = pools.entry(waiting.pool).or_default();
        pool.pending += waiting.one;
        pool.sending += waiting.other;
    }
    Ok(pools)
}
