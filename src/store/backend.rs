//! Every difference between PostgreSQL and SQLite, as named functions.

pub(super) mod contacts;
pub(super) mod idempotency;

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Text};

use super::sql::sql;
use super::{Conn, StoreError};
use crate::domain::instant::UtcInstant;

#[derive(diesel::QueryableByName)]
struct Instant {
    #[diesel(sql_type = BigInt)]
    now: UtcInstant,
}

/// The database's clock. Due times, leases and schedules are compared with this one only.
///
/// # Errors
/// The query failed.
pub fn now(conn: &mut Conn) -> Result<UtcInstant, StoreError> {
    let row: diesel::QueryResult<Instant> = match conn {
        Conn::Pg(conn) => sql("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT AS now").get_result(conn),
        Conn::Sqlite(conn) => sql("SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now").get_result(conn),
    };
    row.map(|row| row.now).map_err(StoreError::query("read the database's clock"))
}

#[derive(diesel::QueryableByName)]
struct Setting {
    #[diesel(sql_type = Text)]
    value: String,
}

/// Refuses a PostgreSQL that may lose acknowledged commits.
///
/// # Errors
/// [`StoreError::UnsafeDurability`] names the setting.
pub(super) fn refuse_unsafe_durability(conn: &mut Conn) -> Result<(), StoreError> {
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
