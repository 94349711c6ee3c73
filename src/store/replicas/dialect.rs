//! Rows that several instances write at the same moment.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::domain::ids::InstanceId;
use crate::domain::instant::UtcInstant;
use crate::domain::replicas::decision::{Action, Scope};
use crate::store::engine::schema::{notices, pool_paces, pool_switches, rate_buckets};
use crate::store::engine::sql::sql;
use crate::store::replicas::announcement::Announcement;
use crate::store::replicas::pool_switch::PoolSwitch;
use crate::store::{Conn, StoreError, engine};

/// A bucket's tokens, and when they were counted; locked.
pub(in crate::store) fn lock_rate_bucket(
    conn: &mut Conn,
    scope: &str,
) -> Result<Option<(f64, UtcInstant)>, StoreError> {
    let bucket = || rate_buckets::table.find(scope.to_owned()).select((rate_buckets::tokens, rate_buckets::counted_at));
    match conn {
        Conn::Pg(conn) => bucket().for_update().get_result(conn),
        Conn::Sqlite(conn) => bucket().get_result(conn),
    }
    .optional()
    .map_err(StoreError::query("lock a rate"))
}

/// Makes a full bucket, unless somebody else just has.
pub(in crate::store) fn create_rate_bucket(
    conn: &mut Conn,
    scope: &str,
    tokens: f64,
    now: UtcInstant,
) -> Result<(), StoreError> {
    let row = || {
        diesel::insert_into(rate_buckets::table)
            .values((
                rate_buckets::scope.eq(scope.to_owned()),
                rate_buckets::tokens.eq(tokens),
                rate_buckets::counted_at.eq(now),
            ))
            .on_conflict_do_nothing()
    };
    match conn {
        Conn::Pg(conn) => row().execute(conn),
        Conn::Sqlite(conn) => row().execute(conn),
    }
    .map(drop)
    .map_err(StoreError::query("make a rate"))
}

/// A pool's pace: version and state, locked.
pub(in crate::store) fn lock_pool_pace(conn: &mut Conn, pool: &str) -> Result<(i64, String), StoreError> {
    let pace = || pool_paces::table.find(pool.to_owned()).select((pool_paces::version, pool_paces::state));
    match conn {
        Conn::Pg(conn) => pace().for_update().get_result(conn),
        Conn::Sqlite(conn) => pace().get_result(conn),
    }
    .map_err(StoreError::query("lock a pool's pace"))
}

/// Makes the row of a pool's pace, unless it is there.
pub(in crate::store) fn create_pool_pace(conn: &mut Conn, pool: &str, now: UtcInstant) -> Result<(), StoreError> {
    let row = || {
        diesel::insert_into(pool_paces::table)
            .values((
                pool_paces::pool.eq(pool.to_owned()),
                pool_paces::version.eq(0),
                pool_paces::state.eq("{}"),
                pool_paces::changed_at.eq(now),
            ))
            .on_conflict_do_nothing()
    };
    match conn {
        Conn::Pg(conn) => row().execute(conn),
        Conn::Sqlite(conn) => row().execute(conn),
    }
    .map(drop)
    .map_err(StoreError::query("make a pool's pace"))
}

/// Makes the switch of a pool that was never suspended, unless somebody else just has.
pub(in crate::store) fn create_pool_switch(conn: &mut Conn, pool: &str, now: UtcInstant) -> Result<(), StoreError> {
    let row = || {
        diesel::insert_into(pool_switches::table)
            .values((
                pool_switches::pool.eq(pool.to_owned()),
                pool_switches::version.eq(0),
                pool_switches::suspended.eq(false),
                pool_switches::changed_at.eq(now),
            ))
            .on_conflict_do_nothing()
    };
    match conn {
        Conn::Pg(conn) => row().execute(conn),
        Conn::Sqlite(conn) => row().execute(conn),
    }
    .map(drop)
    .map_err(StoreError::query("make a pool's switch"))
}

/// A pool's switch, locked.
pub(in crate::store) fn lock_pool_switch(conn: &mut Conn, pool: &str) -> Result<Option<PoolSwitch>, StoreError> {
    let switch = || pool_switches::table.find(pool.to_owned());
    match conn {
        Conn::Pg(conn) => switch().select(PoolSwitch::as_select()).for_update().get_result(conn),
        Conn::Sqlite(conn) => switch().select(PoolSwitch::as_select()).get_result(conn),
    }
    .optional()
    .map_err(StoreError::query("lock a pool's switch"))
}

type NoticeRow = (
    diesel::dsl::Eq<notices::scope, Scope>,
    diesel::dsl::Eq<notices::subject, String>,
    diesel::dsl::Eq<notices::version, i64>,
    diesel::dsl::Eq<notices::instance_id, InstanceId>,
    diesel::dsl::Eq<notices::action, Action>,
    diesel::dsl::Eq<notices::noted_at, UtcInstant>,
);

/// Writes a decision down for each instance.
pub(in crate::store) fn insert_notices(conn: &mut Conn, rows: Vec<NoticeRow>) -> QueryResult<()> {
    match conn {
        Conn::Pg(conn) => diesel::insert_into(notices::table).values(rows).execute(conn).map(drop),
        Conn::Sqlite(conn) => {
            rows.into_iter().try_for_each(|row| diesel::insert_into(notices::table).values(row).execute(conn).map(drop))
        }
    }
}

#[derive(QueryableByName)]
struct Silent {
    #[diesel(sql_type = BigInt)]
    id: InstanceId,
}

/// Instances that have not been heard of since `then`, and whose session on the database has ended. Neither sign is
/// enough by itself: a restart of the database ends the sessions of the living. A heartbeat that is later than `ahead` was
/// written before the database's clock went back. With SQLite there is no other instance.
pub(in crate::store) fn silent_instances(
    conn: &mut Conn,
    then: UtcInstant,
    ahead: UtcInstant,
) -> Result<Vec<InstanceId>, StoreError> {
    let Conn::Pg(conn) = conn else { return Ok(Vec::new()) };
    let silent: Vec<Silent> = sql("SELECT i.id FROM instances AS i WHERE i.stopped_at IS NULL AND (i.last_seen_at <= ")
        .bind::<BigInt, _>(then, " OR i.last_seen_at > ")
        .bind::<BigInt, _>(
            ahead,
            ") AND EXISTS (SELECT FROM pages AS p WHERE p.state = 'leased' AND p.lease_instance_id = i.id) \
             AND NOT EXISTS (SELECT FROM pg_locks AS l WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 \
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             AND l.classid::BIGINT = ",
        )
        .bind::<BigInt, _>(i64::from(PRESENCE_LOCK), " AND l.objid::BIGINT = i.id % 2147483648)")
        .load(conn)
        .map_err(StoreError::query("look for silent instances"))?;
    Ok(silent.into_iter().map(|silent| silent.id).collect())
}

/// The first half of the advisory locks by which instances show that their session lives.
const PRESENCE_LOCK: i32 = 0x766f_6c6c;

/// Shows, for as long as this connection lives, that the instance does. `false` where somebody shows that already.
pub(in crate::store) fn hold_presence(conn: &mut Conn, me: InstanceId) -> Result<bool, StoreError> {
    #[derive(QueryableByName)]
    struct Held {
        #[diesel(sql_type = diesel::sql_types::Bool)]
        held: bool,
    }
    let Conn::Pg(conn) = conn else { return Ok(true) };
    let row: Held = sql("SELECT pg_try_advisory_lock(")
        .bind::<diesel::sql_types::Integer, _>(PRESENCE_LOCK, ", ")
        .bind::<diesel::sql_types::Integer, _>(i32::try_from(me.0 % 2_147_483_648).unwrap_or(0), ") AS held")
        .get_result(conn)
        .map_err(StoreError::query("show that this instance lives"))?;
    Ok(row.held)
}

/// How many announced pages of a pool may wait at once. A short queue lets campaigns take turns: a message cannot be
/// overtaken.
const WAITING_AT_ONCE: i64 = 32;

/// Takes ready pages of `pool` that are due and were not announced within `again_after_ms`, and notes that they are. With
/// SQLite, which has one instance, nothing is announced.
pub(in crate::store) fn take_pages_to_announce(
    conn: &mut Conn,
    pool: &str,
    again_after_ms: i64,
) -> Result<Vec<Announcement>, StoreError> {
    let now = engine::now(conn)?;
    let Conn::Pg(conn) = conn else { return Ok(Vec::new()) };
    let again = now.plus_ms(-again_after_ms);
    // The inner LIMIT bounds what is looked at; a campaign whose window is full has enough announced.
    sql("WITH open AS (SELECT p.id, p.announced_at, row_number() OVER (PARTITION BY p.campaign_id ORDER BY p.due_at, p.id) \
         AS turn FROM campaigns AS c CROSS JOIN LATERAL (SELECT id, campaign_id, due_at, announced_at FROM pages \
         WHERE campaign_id = c.id AND state = 'ready' AND due_at <= ")
        .bind::<BigInt, _>(now, " ORDER BY due_at LIMIT ")
        .bind::<BigInt, _>(WAITING_AT_ONCE, ") AS p WHERE c.status = 'sending' AND c.pool = ")
        .bind::<Text, _>(pool.to_owned(), "), chosen AS (SELECT id FROM open WHERE announced_at IS NULL OR announced_at <= ")
        .bind::<BigInt, _>(again, " ORDER BY turn, id LIMIT (SELECT greatest(0, ")
        .bind::<BigInt, _>(WAITING_AT_ONCE, " - count(*)) FROM open WHERE announced_at > ")
        .bind::<BigInt, _>(
            again,
            ")), taken AS (SELECT id FROM pages WHERE id IN (SELECT id FROM chosen) AND state = 'ready' \
             AND (announced_at IS NULL OR announced_at <= ",
        )
        .bind::<BigInt, _>(again, ") ORDER BY id FOR UPDATE SKIP LOCKED) UPDATE pages SET announced_at = ")
        .bind::<BigInt, _>(
            now,
            " FROM taken WHERE pages.id = taken.id RETURNING pages.id, pages.campaign_id, pages.seq",
        )
        .load(conn)
        .map_err(StoreError::query("take pages to announce"))
}
