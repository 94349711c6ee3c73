//! Touches in bulk. PostgreSQL takes arrays, SQLite takes JSON.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Text};

use crate::domain::ids::ContactId;
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError};

/// Adds touches.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn insert(conn: &mut Conn, rows: &[(ContactId, String)]) -> Result<(), StoreError> {
    match conn {
        Conn::Pg(conn) => {
            let (contacts, topics): (Vec<ContactId>, Vec<&str>) =
                rows.iter().map(|(contact, topic)| (*contact, topic.as_str())).unzip();
            sql("INSERT INTO touches (shard, contact_id, topic) SELECT ((t.c >> 13) & 7)::INTEGER, t.c, t.t FROM unnest(")
                .bind::<Array<BigInt>, _>(contacts, ", ")
                .bind::<Array<Text>, _>(topics, ") AS t (c, t)")
                .execute(conn)
        }
        Conn::Sqlite(conn) => {
            sql("INSERT INTO touches (shard, contact_id, topic) SELECT 0, t.value ->> 0, t.value ->> 1 FROM json_each(")
                .bind::<Text, _>(serde_json::json!(rows).to_string(), ") AS t")
                .execute(conn)
        }
    }
    .map(drop)
    .map_err(StoreError::query("note that contacts have changed"))
}

/// Adds touches that reactions led to.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn insert_ahead(conn: &mut Conn, rows: &[(ContactId, String, i32)]) -> Result<(), StoreError> {
    const INSERT: &str = "INSERT INTO touches (shard, contact_id, topic, depth) SELECT ";
    match conn {
        Conn::Pg(conn) => sql(format!("{INSERT} ((t.c >> 13) & 7)::INTEGER, t.c, t.t, t.d FROM unnest("))
            .bind::<Array<BigInt>, _>(rows.iter().map(|row| row.0).collect::<Vec<_>>(), ", ")
            .bind::<Array<Text>, _>(rows.iter().map(|row| row.1.as_str()).collect::<Vec<_>>(), ", ")
            .bind::<Array<Integer>, _>(rows.iter().map(|row| row.2).collect::<Vec<_>>(), ") AS t (c, t, d)")
            .execute(conn),
        Conn::Sqlite(conn) => sql(format!("{INSERT} 0, t.value ->> 0, t.value ->> 1, t.value ->> 2 FROM json_each("))
            .bind::<Text, _>(serde_json::json!(rows).to_string(), ") AS t")
            .execute(conn),
    }
    .map(drop)
    .map_err(StoreError::query("note that contacts have changed"))
}
