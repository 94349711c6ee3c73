//! Callbacks: what is written differently on PostgreSQL and SQLite.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::{NewCallback, Taken};
use crate::domain::instant::UtcInstant;
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError};

const COLUMNS: &str = "INSERT INTO callbacks \
                       (pool, format, content_type, key, body, received_at, next_attempt_at, state, attempts) VALUES (";

/// How many were stored: none, if there is one with its key.
pub(super) fn insert(conn: &mut Conn, new: &NewCallback, now: UtcInstant) -> Result<usize, StoreError> {
    macro_rules! insert_on {
        ($conn:expr) => {
            sql(COLUMNS)
                .bind::<Text, _>(new.pool.as_str(), ", ")
                .bind::<Text, _>(new.format, ", ")
                .bind::<Text, _>(new.content_type.as_str(), ", ")
                .bind::<Text, _>(new.key.as_str(), ", ")
                .bind::<Text, _>(new.body.as_str(), ", ")
                .bind::<BigInt, _>(now, ", ")
                .bind::<BigInt, _>(now, ", 'pending', 0) ON CONFLICT (pool, key) DO NOTHING")
                .execute($conn)
        };
    }
    match conn {
        Conn::Pg(conn) => insert_on!(conn),
        Conn::Sqlite(conn) => insert_on!(conn),
    }
    .map_err(StoreError::query("store a callback"))
}

/// What a reader needs of a callback.
const READ: &str = " RETURNING id, pool, format, content_type, key, coalesce(body, '') AS body, received_at";

/// Takes those that are due. On PostgreSQL it passes over what another reader is just taking; SQLite has one writer.
pub(super) fn take(conn: &mut Conn, limit: i64, now: UtcInstant, until: UtcInstant) -> Result<Vec<Taken>, StoreError> {
    macro_rules! take_on {
        ($conn:expr, $lock:literal) => {
            sql("UPDATE callbacks SET next_attempt_at = ")
                .bind::<BigInt, _>(
                    until,
                    " WHERE id IN (SELECT id FROM callbacks WHERE state = 'pending' AND next_attempt_at <= ",
                )
                .bind::<BigInt, _>(now, " ORDER BY next_attempt_at, id LIMIT ")
                .bind::<BigInt, _>(limit, format!("{}){READ}", $lock))
                .load($conn)
        };
    }
    match conn {
        Conn::Pg(conn) => take_on!(conn, " FOR UPDATE SKIP LOCKED"),
        Conn::Sqlite(conn) => take_on!(conn, ""),
    }
    .map_err(StoreError::query("take callbacks"))
}
