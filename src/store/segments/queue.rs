//! What waits to be evaluated: touches, timers that are due, and the shards that share the work.
//!
//! Who evaluates contacts holds the lock of their shard. Only then the clock is read, touches are removed, and facts are read: what
//! is committed after the facts were read has left a touch that is still there.

use diesel::prelude::*;

use super::dialect;
use crate::domain::ids::ContactId;
use crate::domain::instant::UtcInstant;
use crate::store::engine::schema::segment_shards;
use crate::store::{Conn, StoreError};

/// How many contacts in a row belong to one shard.
pub const BLOCK: i64 = 8_192;

/// A part of the contacts: those whose lock one transaction holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard(pub i32);

impl Shard {
    /// That of a contact.
    #[must_use]
    pub fn of(conn: &Conn, contact: ContactId) -> Self {
        dialect::queue::shard_of(conn, contact)
    }
}

/// A contact was touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// Which contact.
    pub contact: ContactId,
    /// What the change is about, as it is stored.
    pub topic: String,
    /// When it was noted.
    pub at: UtcInstant,
    /// How many reactions led to it, one after the other.
    pub depth: i32,
}

/// How much waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Touches, up to [`MOST_COUNTED`].
    pub touches: i64,
    /// Timers that are due, up to [`MOST_COUNTED`].
    pub due: i64,
    /// When the oldest touch was noted.
    pub oldest: Option<UtcInstant>,
}

/// How many rows are counted at most: more than that are a long queue, however many they are.
pub const MOST_COUNTED: i64 = 100_000;

/// Whether there is a touch or a timer that is due.
///
/// # Errors
/// The query failed.
pub fn is_any_waiting(conn: &mut Conn) -> Result<bool, StoreError> {
    dialect::queue::is_any_waiting(conn)
}

/// How much waits at `now`, which the database's clock has just said.
///
/// # Errors
/// A query failed.
pub fn waiting(conn: &mut Conn, now: UtcInstant) -> Result<Waiting, StoreError> {
    dialect::queue::waiting(conn, now)
}

/// Locks a shard in which something waits, and which nobody else has: the next one from `from` on.
///
/// # Errors
/// The query failed.
pub fn lock_one_with_work(conn: &mut Conn, from: Shard) -> Result<Option<Shard>, StoreError> {
    dialect::queue::lock_one_with_work(conn, from)
}

/// Locks a shard, and waits for those who have it.
///
/// # Errors
/// The query failed.
pub fn lock(conn: &mut Conn, shard: Shard) -> Result<(), StoreError> {
    dialect::queue::lock(conn, shard)
}

/// Locks all shards: afterwards nobody goes by what was committed only now.
///
/// # Errors
/// A query failed.
pub fn lock_all(conn: &mut Conn) -> Result<(), StoreError> {
    let all: Vec<i32> = segment_shards::table
        .order(segment_shards::shard)
        .select(segment_shards::shard)
        .load(conn)
        .map_err(StoreError::query("read the shards of segments"))?;
    all.into_iter().try_for_each(|shard| lock(conn, Shard(shard)))
}

/// Removes the oldest touches of a shard, which is locked, and returns them.
///
/// # Errors
/// The query failed.
pub fn take_touches(conn: &mut Conn, shard: Shard, limit: i64) -> Result<Vec<Touch>, StoreError> {
    dialect::queue::take_touches(conn, shard, limit)
}

/// Removes the timers of a shard, which is locked, that are due at `now`: the oldest first. Their contacts, and when each was due.
///
/// # Errors
/// The query failed.
pub fn take_due(
    conn: &mut Conn,
    shard: Shard,
    now: UtcInstant,
    limit: i64,
) -> Result<Vec<(ContactId, UtcInstant)>, StoreError> {
    dialect::queue::take_due(conn, shard, now, limit)
}

/// Sets timers of contacts whose shard is locked. An earlier one stays.
///
/// # Errors
/// The query failed.
pub fn set_timers(conn: &mut Conn, timers: &[(ContactId, UtcInstant)]) -> Result<(), StoreError> {
    if timers.is_empty() { Ok(()) } else { dialect::queue::set_timers(conn, timers) }
}
