//! Reactions: what is written differently on PostgreSQL and SQLite.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text};

use super::{Counted, DueCall, MOST_COUNTED, NewReaction};
use crate::domain::ids::SegmentId;
use crate::domain::instant::UtcInstant;
use crate::store::engine::dialect::{CLOCK_PG, CLOCK_SQLITE};
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError};

const INSERT: &str = "INSERT INTO reactions_due (shard, kind, segment_id, contact_id, campaign_id, key, event, at, depth, target, content, state, \
                      error, due_at, created_at, attempts) ";

pub(super) fn insert(conn: &mut Conn, rows: &[NewReaction], now: UtcInstant) -> Result<(), StoreError> {
    match conn {
        Conn::Pg(conn) => sql(format!("{INSERT} SELECT coalesce((r.contact >> 13) & 7, 8)::INTEGER, r.* FROM unnest("))
            .bind::<Array<Text>, _>(column(rows, |row| row.kind), ", ")
            .bind::<Array<Nullable<BigInt>>, _>(column(rows, |row| row.segment), ", ")
            .bind::<Array<Nullable<BigInt>>, _>(column(rows, |row| row.contact), ", ")
            .bind::<Array<Nullable<BigInt>>, _>(column(rows, |row| row.campaign), ", ")
            .bind::<Array<Text>, _>(column(rows, |row| row.key.as_str()), ", ")
            .bind::<Array<Text>, _>(column(rows, |row| row.event.as_str()), ", ")
            .bind::<Array<BigInt>, _>(column(rows, |row| row.at), ", ")
            .bind::<Array<Integer>, _>(column(rows, |row| row.depth), ", ")
            .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.target.as_deref()), ", ")
            .bind::<Array<Text>, _>(column(rows, |row| row.content.as_str()), ", ")
            .bind::<Array<Text>, _>(column(rows, NewReaction::state), ", ")
            .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.refused.as_deref()), ", ")
            .bind::<Array<BigInt>, _>(vec![now; rows.len()], ", ")
            .bind::<Array<BigInt>, _>(vec![now; rows.len()], ", ")
            .bind::<Array<Integer>, _>(
                vec![0; rows.len()],
                ") AS r (kind, segment, contact, campaign, key, event, at, depth, target, content, state, error, due, created, attempts)",
            )
            .execute(conn)
            .map(drop),
        Conn::Sqlite(conn) => rows.iter().try_for_each(|row| {
            sql(format!("{INSERT} VALUES ("))
                .bind::<Integer, _>(if row.contact.is_some() { 0 } else { 8 }, ", ")
                .bind::<Text, _>(row.kind, ", ")
                .bind::<Nullable<BigInt>, _>(row.segment, ", ")
                .bind::<Nullable<BigInt>, _>(row.contact, ", ")
                .bind::<Nullable<BigInt>, _>(row.campaign, ", ")
                .bind::<Text, _>(row.key.as_str(), ", ")
                .bind::<Text, _>(row.event.as_str(), ", ")
                .bind::<BigInt, _>(row.at, ", ")
                .bind::<Integer, _>(row.depth, ", ")
                .bind::<Nullable<Text>, _>(row.target.as_deref(), ", ")
                .bind::<Text, _>(row.content.as_str(), ", ")
                .bind::<Text, _>(row.state(), ", ")
                .bind::<Nullable<Text>, _>(row.refused.as_deref(), ", ")
                .bind::<BigInt, _>(now, ", ")
                .bind::<BigInt, _>(now, ", 0)")
                .execute(conn)
                .map(drop)
        }),
    }
    .map_err(StoreError::query("store reactions"))
}

fn column<'a, R, T>(rows: &'a [R], each: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(each).collect()
}

const fn clock(conn: &Conn) -> &'static str {
    match conn {
        Conn::Pg(_) => CLOCK_PG,
        Conn::Sqlite(_) => CLOCK_SQLITE,
    }
}

/// Whether something but calls is to be done in the shard of `s`.
fn has_work(conn: &Conn) -> String {
    format!(
        "EXISTS (SELECT 1 FROM reactions_due AS r WHERE r.state = 'waiting' AND r.kind <> 'call' AND r.shard = s.shard AND r.due_at <= {})",
        clock(conn)
    )
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Bool)]
    found: bool,
}

pub(super) fn is_any_due(conn: &mut Conn) -> Result<bool, StoreError> {
    let query = sql(format!("SELECT EXISTS (SELECT 1 FROM reaction_shards AS s WHERE {}) AS found", has_work(conn)));
    let row: QueryResult<Found> = match conn {
        Conn::Pg(conn) => query.get_result(conn),
        Conn::Sqlite(conn) => query.get_result(conn),
    };
    row.map(|row| row.found).map_err(StoreError::query("look for reactions"))
}

#[derive(QueryableByName)]
struct OfShard {
    #[diesel(sql_type = Integer)]
    shard: i32,
}

pub(super) fn lock_one_with_work(conn: &mut Conn, from: i32) -> Result<Option<i32>, StoreError> {
    let query = format!("SELECT s.shard FROM reaction_shards AS s WHERE {} ORDER BY (s.shard - ", has_work(conn));
    let found: QueryResult<Option<OfShard>> = match conn {
        Conn::Pg(conn) => sql(query)
            .bind::<Integer, _>(from, " + 9) % 9 LIMIT 1 FOR UPDATE OF s SKIP LOCKED")
            .get_result(conn)
            .optional(),
        // The transaction is IMMEDIATE: nobody else writes.
        Conn::Sqlite(conn) => sql(query).bind::<Integer, _>(from, " + 9) % 9 LIMIT 1").get_result(conn).optional(),
    };
    found.map(|row| row.map(|row| row.shard)).map_err(StoreError::query("lock a shard of reactions"))
}

/// On PostgreSQL it passes over what somebody else is just taking; SQLite has one writer.
pub(super) fn lock_calls(
    conn: &mut Conn,
    target: &str,
    now: UtcInstant,
    limit: i64,
) -> Result<Vec<DueCall>, StoreError> {
    macro_rules! lock_on {
        ($conn:expr, $lock:literal) => {
            sql("SELECT id, segment_id, contact_id, event FROM reactions_due WHERE state = 'waiting' AND kind = 'call' AND target = ")
                .bind::<Text, _>(target, " AND due_at <= ")
                .bind::<BigInt, _>(now, " ORDER BY due_at, id LIMIT ")
                .bind::<BigInt, _>(limit, $lock)
                .load($conn)
        };
    }
    match conn {
        Conn::Pg(conn) => lock_on!(conn, " FOR UPDATE SKIP LOCKED"),
        Conn::Sqlite(conn) => lock_on!(conn, ""),
    }
    .map_err(StoreError::query("take calls"))
}

/// On SQLite there is nothing to hold: nobody else writes.
pub(super) fn hold_segments(conn: &mut Conn, ids: &[SegmentId]) -> Result<(), StoreError> {
    let Conn::Pg(conn) = conn else { return Ok(()) };
    sql("SELECT id FROM segments WHERE id = ANY(")
        .bind::<Array<BigInt>, _>(ids.to_vec(), ") ORDER BY id FOR SHARE")
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("hold segments"))
}

pub(super) fn say_target(conn: &mut Conn, name: &str, event: &str, now: UtcInstant) -> Result<(), StoreError> {
    let query = sql("INSERT INTO known_targets (name, event, seen_at) VALUES (")
        .bind::<Text, _>(name, ", ")
        .bind::<Text, _>(event, ", ")
        .bind::<BigInt, _>(now, ") ON CONFLICT (name, event) DO UPDATE SET seen_at = excluded.seen_at");
    let done = match conn {
        Conn::Pg(conn) => query.execute(conn),
        Conn::Sqlite(conn) => query.execute(conn),
    };
    done.map(drop).map_err(StoreError::query("say which targets there are"))
}

#[derive(QueryableByName)]
struct Counts {
    #[diesel(sql_type = BigInt)]
    waiting: i64,
    #[diesel(sql_type = BigInt)]
    failed: i64,
    #[diesel(sql_type = BigInt)]
    oldest_ms: i64,
}

pub(super) fn count(conn: &mut Conn) -> Result<Counted, StoreError> {
    // Each condition is that of an index.
    let of = |those: &str| {
        format!("(SELECT count(*) FROM (SELECT 1 FROM reactions_due WHERE {those} LIMIT {MOST_COUNTED}) AS r)")
    };
    let query = sql(format!(
        "SELECT {} AS waiting, {} AS failed, coalesce({} - (SELECT created_at FROM reactions_due WHERE state = 'waiting' ORDER BY id LIMIT 1), 0) AS oldest_ms",
        of("state = 'waiting'"),
        of("state <> 'waiting' AND state = 'failed'"),
        clock(conn)
    ));
    let row: QueryResult<Counts> = match conn {
        Conn::Pg(conn) => query.get_result(conn),
        Conn::Sqlite(conn) => query.get_result(conn),
    };
    row.map(|row| Counted { waiting: row.waiting, failed: row.failed, oldest_ms: row.oldest_ms.max(0) })
        .map_err(StoreError::query("count reactions"))
}
