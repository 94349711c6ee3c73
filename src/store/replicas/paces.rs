//! What a pool's instances found out together about the pace that its provider takes: one row for each pool.

use diesel::prelude::*;

use crate::domain::dispatch::pace::{Exchange, Limits, Report, Seconds, Shared, seconds};
use crate::store::engine::schema::pool_paces;
use crate::store::replicas::dialect;
use crate::store::{Conn, StoreError, engine};

/// Tells the row what one instance saw, and hears what that instance may do. To be run in a transaction.
///
/// # Errors
/// A query failed, or another instance was faster ([`StoreError::Stale`]): nothing was told, try again.
pub fn exchange(
    conn: &mut Conn,
    pool: &str,
    report: &Report,
    limits: &Limits,
) -> Result<(Shared, Exchange, Seconds), StoreError> {
    change(conn, pool, |shared, now| shared.exchange(report, limits, now))
}

/// Changes the row, by compare-and-set on its version. Returns it, what `work` returned, and the database's time. To be
/// run in a transaction.
///
/// # Errors
/// A query failed, or somebody else was faster ([`StoreError::Stale`]).
pub fn change<T>(
    conn: &mut Conn,
    pool: &str,
    work: impl FnOnce(&mut Shared, Seconds) -> T,
) -> Result<(Shared, T, Seconds), StoreError> {
    let now = engine::now(conn)?;
    dialect::create_pool_pace(conn, pool, now)?;
    let (known, state) = dialect::lock_pool_pace(conn, pool)?;
    let mut shared = parse(&state, known);
    // The wait for the lock may have been long.
    let now = engine::now(conn)?;
    let done = work(&mut shared, seconds(now));
    shared.version = known + 1;
    let state = serde_json::to_string(&shared)
        .map_err(|source| StoreError::Corrupt { what: "pool_paces.state", detail: source.to_string() })?;
    let columns = (pool_paces::version.eq(shared.version), pool_paces::state.eq(state), pool_paces::changed_at.eq(now));
    let row = pool_paces::table.filter(pool_paces::pool.eq(pool)).filter(pool_paces::version.eq(known));
    let changed = diesel::update(row).set(columns).execute(conn).map_err(StoreError::query("change a pool's pace"))?;
    if changed == 1 { Ok((shared, done, seconds(now))) } else { Err(StoreError::Stale { what: "pool pace" }) }
}

/// The row as it stands, if there is one, and the database's time.
///
/// # Errors
/// The query failed.
pub fn read(conn: &mut Conn, pool: &str) -> Result<(Option<Shared>, Seconds), StoreError> {
    let now = engine::now(conn)?;
    let row: Option<(i64, String)> = pool_paces::table
        .find(pool)
        .select((pool_paces::version, pool_paces::state))
        .get_result(conn)
        .optional()
        .map_err(StoreError::query("read a pool's pace"))?;
    Ok((row.map(|(version, state)| parse(&state, version)), seconds(now)))
}

/// What an older or newer version of Volley wrote and this one cannot read is begun anew: it is found out again.
fn parse(state: &str, version: i64) -> Shared {
    let mut shared: Shared = serde_json::from_str(state).unwrap_or_default();
    shared.version = version;
    shared
}
