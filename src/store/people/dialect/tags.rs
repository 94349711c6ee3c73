//! Tags in bulk.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text};

use crate::domain::ids::{ContactId, TagId};
use crate::domain::instant::UtcInstant;
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError};

/// Keeps the name of a tag.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn keep_name(conn: &mut Conn, name: &str, now: UtcInstant) -> Result<(), StoreError> {
    let insert = sql("INSERT INTO tags (name, created_at) VALUES (")
        .bind::<Text, _>(name, ", ")
        .bind::<BigInt, _>(now, ") ON CONFLICT DO NOTHING");
    match conn {
        Conn::Pg(conn) => insert.execute(conn),
        Conn::Sqlite(conn) => insert.execute(conn),
    }
    .map(drop)
    .map_err(StoreError::query("keep a tag"))
}

/// Puts tags on contacts. How many were not there before.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn add(
    conn: &mut Conn,
    pairs: &[(TagId, ContactId)],
    now: UtcInstant,
) -> Result<usize, StoreError> {
    insert(conn, pairs, now, " ON CONFLICT DO NOTHING")
}

/// Puts tags on contacts that have none yet, each once. Looking for a row that cannot be there costs PostgreSQL half as much as
/// writing one. How many those were.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn add_to_new(
    conn: &mut Conn,
    pairs: &[(TagId, ContactId)],
    now: UtcInstant,
) -> Result<usize, StoreError> {
    insert(conn, pairs, now, "")
}

fn insert(conn: &mut Conn, pairs: &[(TagId, ContactId)], now: UtcInstant, or_else: &str) -> Result<usize, StoreError> {
    const INSERT: &str = "INSERT INTO contact_tags (tag_id, contact_id, created_at) SELECT ";
    match conn {
        Conn::Pg(conn) => {
            let (tags, contacts): (Vec<TagId>, Vec<ContactId>) = pairs.iter().copied().unzip();
            sql(format!("{INSERT} p.t, p.c, "))
                .bind::<BigInt, _>(now, " FROM unnest(")
                .bind::<Array<BigInt>, _>(tags, ", ")
                .bind::<Array<BigInt>, _>(contacts, format!(") AS p (t, c){or_else}"))
                .execute(conn)
        }
        Conn::Sqlite(conn) => sql(format!("{INSERT} p.value ->> 0, p.value ->> 1, "))
            .bind::<BigInt, _>(now, " FROM json_each(")
            .bind::<Text, _>(serde_json::json!(pairs).to_string(), format!(") AS p WHERE TRUE{or_else}"))
            .execute(conn),
    }
    .map_err(StoreError::query("put tags on contacts"))
}
