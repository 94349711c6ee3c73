//! Every difference between PostgreSQL and SQLite, as named functions.

mod campaign_lock;
#[allow(missing_docs, reason = "the derive of MultiConnection writes items without docs")]
pub(in crate::store) mod conn;
pub(in crate::store) mod idempotency;
pub mod migrating;
pub(in crate::store) mod touches;

use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use diesel::sql_types::{BigInt, Bool, Text};

use super::sql::sql;
use crate::domain::instant::UtcInstant;
use crate::store::{Conn, StoreError};
pub use campaign_lock::{CampaignLock, lock_campaign};

#[derive(diesel::QueryableByName)]
struct Instant {
    #[diesel(sql_type = BigInt)]
    now: UtcInstant,
}

/// PostgreSQL's clock, in milliseconds.
pub(in crate::store) const CLOCK_PG: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::BIGINT";

/// SQLite's clock, in milliseconds.
pub(in crate::store) const CLOCK_SQLITE: &str = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";

/// The database's clock. Due times, leases and schedules are compared with this one only.
///
/// # Errors
/// The query failed.
pub fn now(conn: &mut Conn) -> Result<UtcInstant, StoreError> {
    let row: diesel::QueryResult<Instant> = match conn {
        Conn::Pg(conn) => sql(format!("SELECT {CLOCK_PG} AS now")).get_result(conn),
        Conn::Sqlite(conn) => sql(format!("SELECT {CLOCK_SQLITE} AS now")).get_result(conn),
    };
    row.map(|row| row.now).map_err(StoreError::query("read the database's clock"))
}

/// Until the end of the transaction, PostgreSQL walks indexes: it reads no table whole, hashes none, and sorts nothing
/// that an index has in order. A plan that was made while a table was small would go on doing so while it grows: for each
/// page of a million members it gathered and sorted them all.
pub(in crate::store) fn keep_to_indexes(conn: &mut Conn) -> Result<(), StoreError> {
    let Conn::Pg(conn) = conn else { return Ok(()) };
    conn.batch_execute(ALONG_INDEXES).map_err(StoreError::query("pin a plan"))
}

/// [`keep_to_indexes`] as PostgreSQL takes it.
const ALONG_INDEXES: &str = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_hashjoin = off; \
                             SET LOCAL enable_mergejoin = off; SET LOCAL enable_sort = off";

#[derive(diesel::QueryableByName)]
struct Setting {
    #[diesel(sql_type = Text)]
    value: String,
}

/// Refuses a PostgreSQL that may lose acknowledged commits.
///
/// # Errors
/// [`StoreError::UnsafeDurability`] names the setting.
pub(in crate::store) fn refuse_unsafe_durability(conn: &mut Conn) -> Result<(), StoreError> {
    let Conn::Pg(conn) = conn else { return Ok(()) };
    for setting in ["fsync", "synchronous_commit"] {
        let row: Setting = sql("SELECT current_setting(")
            .bind::<Text, _>(setting, ") AS value")
            .get_result(conn)
            .map_err(StoreError::query("read the server's settings"))?;
        if row.value == "off" {
            return Err(StoreError::UnsafeDurability { setting });
        }
    }
    Ok(())
}

#[derive(diesel::QueryableByName)]
struct Found {
    #[diesel(sql_type = Bool)]
    found: bool,
}

/// Whether a table of that name is there.
pub(in crate::store) fn has_table(conn: &mut Conn, name: &str) -> Result<bool, StoreError> {
    let row: diesel::QueryResult<Found> = match conn {
        Conn::Pg(conn) => sql("SELECT to_regclass(").bind::<Text, _>(name, ") IS NOT NULL AS found").get_result(conn),
        Conn::Sqlite(conn) => sql("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ")
            .bind::<Text, _>(name, ") AS found")
            .get_result(conn),
    };
    row.map(|row| row.found).map_err(StoreError::query("look for a table"))
}
