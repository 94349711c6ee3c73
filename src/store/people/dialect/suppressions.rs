//! Suppressions in bulk.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text};

use crate::domain::channel::ChannelKind;
use crate::domain::ids::ListId;
use crate::domain::instant::UtcInstant;
use crate::store::engine::sql::sql;
use crate::store::people::dialect::Hold;
use crate::store::people::suppression_row::SuppressionRow;
use crate::store::{Conn, StoreError};

const COLUMNS: &str = "address, channel, topic, unsubscribed_at, stopped_at, complained_at, bounced_at, soft_until, blocked_at, \
                       source, created_at, updated_at";

/// Every suppression of these addresses. Rows that are locked are so in the order of the key, and read as they are behind the lock.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn of_addresses(
    conn: &mut Conn,
    addresses: &[&str],
    hold: Hold,
) -> Result<Vec<SuppressionRow>, StoreError> {
    if addresses.is_empty() {
        return Ok(Vec::new());
    }
    match conn {
        Conn::Pg(conn) => sql(format!("SELECT {COLUMNS} FROM suppressions WHERE address = ANY("))
            .bind::<Array<Text>, _>(addresses, format!(") ORDER BY address, channel, topic{}", hold.clause()))
            .load(conn),
        Conn::Sqlite(conn) => {
            sql(format!("SELECT {COLUMNS} FROM suppressions WHERE address IN (SELECT value FROM json_each("))
                .bind::<Text, _>(serde_json::json!(addresses).to_string(), "))")
                .load(conn)
        }
    }
    .map_err(StoreError::query("read suppressions"))
}

fn column<'a, T>(rows: &'a [SuppressionRow], each: impl Fn(&'a SuppressionRow) -> T) -> Vec<T> {
    rows.iter().map(each).collect()
}

/// Adds rows, or their reasons to the rows that are there. A reason that is there keeps its instant, unless it
/// [moves on](crate::domain::people::consent::Reason::moves_on): then the later one stays.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn add(conn: &mut Conn, rows: &[SuppressionRow]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let kept = ["unsubscribed_at", "complained_at", "bounced_at", "blocked_at"]
        .map(|column| format!("{column} = coalesce(suppressions.{column}, excluded.{column})"))
        .join(", ");
    let conflict = |later: fn(&str) -> String| {
        format!(
            " ON CONFLICT (address, channel, topic) DO UPDATE SET {kept}, {}, {}, source = excluded.source, \
             updated_at = excluded.updated_at",
            later("soft_until"),
            later("stopped_at")
        )
    };
    let instants = |each: fn(&SuppressionRow) -> Option<UtcInstant>| column(rows, each);
    match conn {
        Conn::Pg(conn) => sql(format!("INSERT INTO suppressions ({COLUMNS}) SELECT * FROM unnest("))
            .bind::<Array<Text>, _>(column(rows, |row| &row.address), ", ")
            .bind::<Array<Text>, _>(column::<ChannelKind>(rows, |row| row.channel), ", ")
            .bind::<Array<BigInt>, _>(column::<ListId>(rows, |row| row.topic), ", ")
            .bind::<Array<Nullable<BigInt>>, _>(instants(|row| row.unsubscribed_at), ", ")
            .bind::<Array<Nullable<BigInt>>, _>(instants(|row| row.stopped_at), ", ")
            .bind::<Array<Nullable<BigInt>>, _>(instants(|row| row.complained_at), ", ")
            .bind::<Array<Nullable<BigInt>>, _>(instants(|row| row.bounced_at), ", ")
            .bind::<Array<Nullable<BigInt>>, _>(instants(|row| row.soft_until), ", ")
            .bind::<Array<Nullable<BigInt>>, _>(instants(|row| row.blocked_at), ", ")
            .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.source.as_deref()), ", ")
            .bind::<Array<BigInt>, _>(column::<UtcInstant>(rows, |row| row.created_at), ", ")
            .bind::<Array<BigInt>, _>(
                column::<UtcInstant>(rows, |row| row.updated_at),
                format!(
                    ") {}",
                    conflict(|column| format!("{column} = greatest(suppressions.{column}, excluded.{column})"))
                ),
            )
            .execute(conn)
            .map(drop),
        Conn::Sqlite(conn) => {
            let later = |column: &str| {
                let (there, new) = (format!("suppressions.{column}"), format!("excluded.{column}"));
                format!("{column} = max(coalesce({there}, {new}), coalesce({new}, {there}))")
            };
            let insert = format!("INSERT INTO suppressions ({COLUMNS}) VALUES (");
            let conflict = format!(") {}", conflict(later));
            rows.iter().try_for_each(|row| {
                sql(insert.clone())
                    .bind::<Text, _>(&row.address, ", ")
                    .bind::<Text, _>(row.channel, ", ")
                    .bind::<BigInt, _>(row.topic, ", ")
                    .bind::<Nullable<BigInt>, _>(row.unsubscribed_at, ", ")
                    .bind::<Nullable<BigInt>, _>(row.stopped_at, ", ")
                    .bind::<Nullable<BigInt>, _>(row.complained_at, ", ")
                    .bind::<Nullable<BigInt>, _>(row.bounced_at, ", ")
                    .bind::<Nullable<BigInt>, _>(row.soft_until, ", ")
                    .bind::<Nullable<BigInt>, _>(row.blocked_at, ", ")
                    .bind::<Nullable<Text>, _>(row.source.as_deref(), ", ")
                    .bind::<BigInt, _>(row.created_at, ", ")
                    .bind::<BigInt, _>(row.updated_at, conflict.clone())
                    .execute(conn)
                    .map(drop)
            })
        }
    }
    .map_err(StoreError::query("write suppressions"))
}

/// Keeps a domain as blocked.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn block_domain(
    conn: &mut Conn,
    domain: &str,
    now: UtcInstant,
    source: &str,
) -> Result<(), StoreError> {
    let insert = sql("INSERT INTO blocked_domains (domain, blocked_at, source) VALUES (")
        .bind::<Text, _>(domain, ", ")
        .bind::<BigInt, _>(now, ", ")
        .bind::<Text, _>(source, ") ON CONFLICT DO NOTHING");
    match conn {
        Conn::Pg(conn) => insert.execute(conn),
        Conn::Sqlite(conn) => insert.execute(conn),
    }
    .map(drop)
    .map_err(StoreError::query("block a domain"))
}
