//! Events in bulk. PostgreSQL takes arrays; SQLite takes rows one by one, prepared once, inside one transaction.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text};

use super::{EventKey, KnownKey, NewEvent, NewKey};
use crate::domain::ids::EventId;
use crate::domain::instant::UtcInstant;
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError, engine};

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = BigInt)]
    id: EventId,
}

pub(super) fn ids(conn: &mut Conn, count: usize) -> Result<Vec<EventId>, StoreError> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    match conn {
        Conn::Pg(conn) => sql("SELECT nextval(pg_get_serial_sequence('events', 'id')) AS id FROM generate_series(1, ")
            .bind::<BigInt, _>(count, ")")
            .load::<Id>(conn)
            .map(|ids| ids.into_iter().map(|row| row.id).collect()),
        // The transaction is IMMEDIATE, so nobody else inserts in between.
        Conn::Sqlite(conn) => sql("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0) AS id")
            .get_result::<Id>(conn)
            .map(|newest| (1..=count).map(|step| EventId(newest.id.0 + step)).collect()),
    }
    .map_err(StoreError::query("take ids for events"))
}

const COLUMNS: &str = "INSERT INTO events (id, contact_id, name, properties, occurred_at, source, received_at) ";

pub(super) fn insert(conn: &mut Conn, events: &[NewEvent<'_>], received_at: UtcInstant) -> Result<(), StoreError> {
    match conn {
        Conn::Pg(conn) => sql(format!("{COLUMNS} SELECT * FROM unnest("))
            .bind::<Array<BigInt>, _>(column(events, |event| event.id), ", ")
            .bind::<Array<BigInt>, _>(column(events, |event| event.contact), ", ")
            .bind::<Array<Text>, _>(column(events, |event| event.name), ", ")
            .bind::<Array<Text>, _>(column(events, |event| event.properties), ", ")
            .bind::<Array<BigInt>, _>(column(events, |event| event.occurred_at), ", ")
            .bind::<Array<Text>, _>(column(events, |event| event.source), ", ")
            .bind::<Array<BigInt>, _>(vec![received_at; events.len()], ")")
            .execute(conn)
            .map(drop),
        Conn::Sqlite(conn) => events.iter().try_for_each(|event| {
            sql(format!("{COLUMNS} VALUES ("))
                .bind::<BigInt, _>(event.id, ", ")
                .bind::<BigInt, _>(event.contact, ", ")
                .bind::<Text, _>(event.name, ", ")
                .bind::<Text, _>(event.properties, ", ")
                .bind::<BigInt, _>(event.occurred_at, ", ")
                .bind::<Text, _>(event.source, ", ")
                .bind::<BigInt, _>(received_at, ")")
                .execute(conn)
                .map(drop)
        }),
    }
    .map_err(StoreError::query("store events"))
}

fn column<'a, R, T>(rows: &'a [R], each: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(each).collect()
}

#[derive(QueryableByName)]
struct Known {
    #[diesel(sql_type = Text)]
    source: String,
    #[diesel(sql_type = Text)]
    key: String,
    #[diesel(sql_type = Text)]
    body_hash: String,
    #[diesel(sql_type = BigInt)]
    event_id: EventId,
}

const KNOWN: &str = "SELECT e.source, e.key, e.body_hash, e.event_id FROM ";

pub(super) fn recall(conn: &mut Conn, keys: &[&EventKey]) -> Result<HashMap<EventKey, KnownKey>, StoreError> {
    engine::keep_to_indexes(conn)?;
    let known: QueryResult<Vec<Known>> = match conn {
        Conn::Pg(conn) => sql(format!("{KNOWN} unnest("))
            .bind::<Array<Text>, _>(column(keys, |key| key.source.as_str()), ", ")
            .bind::<Array<Text>, _>(
                column(keys, |key| key.key.as_str()),
                ") AS k (source, key) JOIN event_keys AS e ON e.source = k.source AND e.key = k.key",
            )
            .load(conn),
        Conn::Sqlite(conn) => {
            let pairs: Vec<[&str; 2]> = keys.iter().map(|key| [key.source.as_str(), key.key.as_str()]).collect();
            sql(format!("{KNOWN} json_each("))
                .bind::<Text, _>(
                    serde_json::json!(pairs).to_string(),
                    ") AS k CROSS JOIN event_keys AS e ON e.source = k.value ->> 0 AND e.key = k.value ->> 1",
                )
                .load(conn)
        }
    };
    let known = known.map_err(StoreError::query("look up the keys of events"))?;
    let entries = known.into_iter().map(|row| {
        let key = EventKey { source: row.source, key: row.key };
        (key, KnownKey { body_hash: row.body_hash, event: row.event_id })
    });
    Ok(entries.collect())
}

const KEYS: &str = "INSERT INTO event_keys (source, key, body_hash, event_id, at) ";

/// How many of them were new.
pub(super) fn remember(conn: &mut Conn, keys: &[NewKey<'_>], now: UtcInstant) -> Result<usize, StoreError> {
    match conn {
        Conn::Pg(conn) => sql(format!("{KEYS} SELECT * FROM unnest("))
            .bind::<Array<Text>, _>(column(keys, |key| key.key.source.as_str()), ", ")
            .bind::<Array<Text>, _>(column(keys, |key| key.key.key.as_str()), ", ")
            .bind::<Array<Text>, _>(column(keys, |key| key.body_hash), ", ")
            .bind::<Array<BigInt>, _>(column(keys, |key| key.event), ", ")
            .bind::<Array<BigInt>, _>(vec![now; keys.len()], ") ON CONFLICT DO NOTHING")
            .execute(conn),
        Conn::Sqlite(conn) => keys.iter().try_fold(0, |count, key| {
            sql(format!("{KEYS} VALUES ("))
                .bind::<Text, _>(key.key.source.as_str(), ", ")
                .bind::<Text, _>(key.key.key.as_str(), ", ")
                .bind::<Text, _>(key.body_hash, ", ")
                .bind::<BigInt, _>(key.event, ", ")
                .bind::<BigInt, _>(now, ") ON CONFLICT DO NOTHING")
                .execute(conn)
                .map(|new| count + new)
        }),
    }
    .map_err(StoreError::query("store the keys of events"))
}
