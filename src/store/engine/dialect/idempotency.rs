//! Reserving an idempotency key.

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Text};

use crate::domain::instant::UtcInstant;
use crate::store::engine::idempotency::Key;
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError};

/// Inserts the key unless it is there. On PostgreSQL a second transaction with the same key waits here for the first.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn reserve(conn: &mut Conn, key: &Key, now: UtcInstant) -> Result<bool, StoreError> {
    let statement =
        sql("INSERT INTO idempotency_keys (scope, key, request_hash, holder, status, body, created_at) VALUES (")
            .bind::<Text, _>(key.scope.as_ref(), ", ")
            .bind::<Text, _>(&key.key, ", ")
            .bind::<Text, _>(&key.request_hash, ", ")
            .bind::<BigInt, _>(key.holder, ", 0, '', ")
            .bind::<BigInt, _>(now, ") ON CONFLICT DO NOTHING");
    let inserted = match conn {
        Conn::Pg(conn) => statement.execute(conn),
        Conn::Sqlite(conn) => statement.execute(conn),
    };
    inserted.map(|rows| rows == 1).map_err(StoreError::query("reserve an idempotency key"))
}
