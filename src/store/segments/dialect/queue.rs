//! What waits to be evaluated. PostgreSQL locks shards; SQLite has one writer, and one shard.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text};

use crate::domain::ids::ContactId;
use crate::domain::instant::UtcInstant;
use crate::store::engine::dialect::{CLOCK_PG, CLOCK_SQLITE};
use crate::store::engine::sql::sql;
use crate::store::segments::queue::{MOST_COUNTED, Shard, Touch, Waiting};
use crate::store::{Conn, StoreError};

/// PostgreSQL: the shard of the contact in this column. `store::engine::dialect::touches` says the same.
const SHARD_PG: &str = "((c >> 13) & 7)::INTEGER";

pub(in crate::store::segments) fn shard_of(conn: &Conn, contact: ContactId) -> Shard {
    match conn {
        Conn::Pg(_) => Shard(i32::try_from((contact.0 >> 13) & 7).unwrap_or_default()),
        Conn::Sqlite(_) => Shard(0),
    }
}

const fn clock(conn: &Conn) -> &'static str {
    match conn {
        Conn::Pg(_) => CLOCK_PG,
        Conn::Sqlite(_) => CLOCK_SQLITE,
    }
}

/// Whether something waits in the shard of `s`. The first entry of an index tells, however many timers are set for later, and however
/// many touches wait: PostgreSQL answers `EXISTS` by reading all of them, because its clock is volatile and it expects to find one soon.
fn has_work(conn: &Conn) -> String {
    format!(
        "((SELECT t.id FROM touches AS t WHERE t.shard = s.shard ORDER BY t.id LIMIT 1) IS NOT NULL OR (SELECT c.due_at FROM \
         contact_timers AS c WHERE c.shard = s.shard ORDER BY c.due_at LIMIT 1) <= {})",
        clock(conn)
    )
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Bool)]
    found: bool,
}

pub(in crate::store::segments) fn is_any_waiting(conn: &mut Conn) -> Result<bool, StoreError> {
    let query = sql(format!("SELECT EXISTS (SELECT 1 FROM segment_shards AS s WHERE {}) AS found", has_work(conn)));
    let row: QueryResult<Found> = match conn {
        Conn::Pg(conn) => query.get_result(conn),
        Conn::Sqlite(conn) => query.get_result(conn),
    };
    row.map(|row| row.found).map_err(StoreError::query("look for contacts that have changed"))
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    touches: i64,
    #[diesel(sql_type = BigInt)]
    due: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    oldest: Option<UtcInstant>,
}

pub(in crate::store::segments) fn waiting(conn: &mut Conn, now: UtcInstant) -> Result<Waiting, StoreError> {
    let query = sql(format!(
        "SELECT (SELECT count(*) FROM (SELECT 1 FROM touches LIMIT {MOST_COUNTED}) AS t) AS touches, \
         (SELECT CAST(sum((SELECT count(*) FROM (SELECT 1 FROM contact_timers AS c WHERE c.shard = s.shard AND c.due_at <= "
    ))
    .bind::<BigInt, _>(now, format!(
        " LIMIT {MOST_COUNTED}) AS d)) AS BIGINT) FROM segment_shards AS s) AS due, \
         (SELECT min((SELECT t.at FROM touches AS t WHERE t.shard = s.shard ORDER BY t.id LIMIT 1)) FROM segment_shards AS s) AS oldest"
    ));
    let row: QueryResult<Counted> = match conn {
        Conn::Pg(conn) => query.get_result(conn),
        Conn::Sqlite(conn) => query.get_result(conn),
    };
    row.map(|row| Waiting { touches: row.touches, due: row.due.min(MOST_COUNTED), oldest: row.oldest })
        .map_err(StoreError::query("count contacts that have changed"))
}

#[derive(QueryableByName)]
struct OfShard {
    #[diesel(sql_type = Integer)]
    shard: i32,
}

pub(in crate::store::segments) fn lock_one_with_work(
    conn: &mut Conn,
    from: Shard,
) -> Result<Option<Shard>, StoreError> {
    let has_work = has_work(conn);
    let found: QueryResult<Option<OfShard>> = match conn {
        Conn::Pg(conn) => sql(format!("SELECT s.shard FROM segment_shards AS s WHERE {has_work} ORDER BY (s.shard - "))
            .bind::<Integer, _>(from.0, " + 8) % 8 LIMIT 1 FOR UPDATE OF s SKIP LOCKED")
            .get_result(conn)
            .optional(),
        // The transaction is IMMEDIATE: nobody else writes.
        Conn::Sqlite(conn) => {
            sql(format!("SELECT s.shard FROM segment_shards AS s WHERE {has_work}")).get_result(conn).optional()
        }
    };
    found.map(|row| row.map(|row| Shard(row.shard))).map_err(StoreError::query("lock a shard of contacts"))
}

pub(in crate::store::segments) fn lock(conn: &mut Conn, shard: Shard) -> Result<(), StoreError> {
    // SQLite: the transaction is IMMEDIATE, and nobody else writes.
    let Conn::Pg(conn) = conn else { return Ok(()) };
    sql("SELECT shard FROM segment_shards WHERE shard = ")
        .bind::<Integer, _>(shard.0, " FOR UPDATE")
        .get_result::<OfShard>(conn)
        .map(drop)
        .map_err(StoreError::query("lock a shard of contacts"))
}

#[derive(QueryableByName)]
struct Taken {
    #[diesel(sql_type = BigInt)]
    contact_id: ContactId,
    #[diesel(sql_type = Text)]
    topic: String,
    #[diesel(sql_type = BigInt)]
    at: UtcInstant,
    #[diesel(sql_type = Integer)]
    depth: i32,
}

pub(in crate::store::segments) fn take_touches(
    conn: &mut Conn,
    shard: Shard,
    limit: i64,
) -> Result<Vec<Touch>, StoreError> {
    // By their ids: a touch of the same contact that is added meanwhile stays.
    let delete = sql("DELETE FROM touches WHERE shard = ")
        .bind::<Integer, _>(shard.0, " AND id IN (SELECT id FROM touches WHERE shard = ")
        .bind::<Integer, _>(shard.0, " ORDER BY id LIMIT ")
        .bind::<BigInt, _>(limit, ") RETURNING contact_id, topic, at, depth");
    let taken: QueryResult<Vec<Taken>> = match conn {
        Conn::Pg(conn) => delete.load(conn),
        Conn::Sqlite(conn) => delete.load(conn),
    };
    taken
        .map(|rows| {
            let touch = |row: Taken| Touch { contact: row.contact_id, topic: row.topic, at: row.at, depth: row.depth };
            rows.into_iter().map(touch).collect()
        })
        .map_err(StoreError::query("take contacts that have changed"))
}

#[derive(QueryableByName)]
struct Due {
    #[diesel(sql_type = BigInt)]
    contact_id: ContactId,
    #[diesel(sql_type = BigInt)]
    due_at: UtcInstant,
}

pub(in crate::store::segments) fn take_due(
    conn: &mut Conn,
    shard: Shard,
    now: UtcInstant,
    limit: i64,
) -> Result<Vec<(ContactId, UtcInstant)>, StoreError> {
    let delete =
        sql("DELETE FROM contact_timers WHERE contact_id IN (SELECT contact_id FROM contact_timers WHERE shard = ")
            .bind::<Integer, _>(shard.0, " AND due_at <= ")
            .bind::<BigInt, _>(now, " ORDER BY due_at LIMIT ")
            .bind::<BigInt, _>(limit, ") RETURNING contact_id, due_at");
    let due: QueryResult<Vec<Due>> = match conn {
        Conn::Pg(conn) => delete.load(conn),
        Conn::Sqlite(conn) => delete.load(conn),
    };
    due.map(|rows| rows.into_iter().map(|row| (row.contact_id, row.due_at)).collect())
        .map_err(StoreError::query("take timers that are due"))
}

pub(in crate::store::segments) fn set_timers(
    conn: &mut Conn,
    timers: &[(ContactId, UtcInstant)],
) -> Result<(), StoreError> {
    const INSERT: &str = "INSERT INTO contact_timers (contact_id, shard, due_at) SELECT ";
    const EARLIER_STAYS: &str = " ON CONFLICT (contact_id) DO UPDATE SET due_at = excluded.due_at WHERE contact_timers.due_at > excluded.due_at";
    match conn {
        Conn::Pg(conn) => {
            let (contacts, due): (Vec<ContactId>, Vec<UtcInstant>) = timers.iter().copied().unzip();
            sql(format!("{INSERT} c, {SHARD_PG}, d FROM unnest("))
                .bind::<Array<BigInt>, _>(contacts, ", ")
                .bind::<Array<BigInt>, _>(due, format!(") AS t (c, d){EARLIER_STAYS}"))
                .execute(conn)
        }
        Conn::Sqlite(conn) => {
            let pairs: Vec<(i64, i64)> = timers.iter().map(|(contact, due)| (contact.0, due.0)).collect();
            sql(format!("{INSERT} t.value ->> 0, 0, t.value ->> 1 FROM json_each("))
                .bind::<Text, _>(serde_json::json!(pairs).to_string(), format!(") AS t WHERE TRUE{EARLIER_STAYS}"))
                .execute(conn)
        }
    }
    .map(drop)
    .map_err(StoreError::query("set timers of contacts"))
}
