//! Pools that operators have suspended: the same switch as a campaign's pause, for a provider and on every instance.

use diesel::prelude::*;

use super::decisions;
use super::pool_switch::PoolSwitch;
use crate::domain::instant::UtcInstant;
use crate::domain::replicas::decision::{Action, Subject};
use crate::store::engine::schema::pool_switches;
use crate::store::replicas::dialect;
use crate::store::{Conn, StoreError, engine};

/// Every switch that was ever set, and the database's time.
///
/// # Errors
/// The query failed.
pub fn all(conn: &mut Conn) -> Result<(Vec<PoolSwitch>, UtcInstant), StoreError> {
    let now = engine::now(conn)?;
    let switches = pool_switches::table
        .order(pool_switches::pool)
        .select(PoolSwitch::as_select())
        .load(conn)
        .map_err(StoreError::query("read the pools' switches"))?;
    Ok((switches, now))
}

/// Sets a pool's switch, and posts that to every live instance. Setting it as it is changes nothing.
///
/// # Errors
/// A query failed.
pub fn set(
    conn: &mut Conn,
    pool: &str,
    suspended: bool,
    reason: Option<&str>,
    expires_at: Option<UtcInstant>,
) -> Result<PoolSwitch, StoreError> {
    let now = engine::now(conn)?;
    dialect::create_pool_switch(conn, pool, now)?;
    let known = dialect::lock_pool_switch(conn, pool)?;
    if let Some(known) = &known
        && known.holds(now) == suspended
        && known.reason.as_deref() == reason
        && known.expires_at == expires_at
    {
        return Ok(known.clone());
    }
    let next = PoolSwitch {
        pool: pool.to_owned(),
        version: known.as_ref().map_or(1, |known| known.version + 1),
        suspended,
        reason: reason.map(str::to_owned),
        expires_at,
        changed_at: now,
    };
    let columns = (
        pool_switches::version.eq(next.version),
        pool_switches::suspended.eq(next.suspended),
        pool_switches::reason.eq(&next.reason),
        pool_switches::expires_at.eq(next.expires_at),
        pool_switches::changed_at.eq(next.changed_at),
    );
    diesel::update(pool_switches::table.find(pool))
        .set(columns)
        .execute(conn)
        .map_err(StoreError::query("set a pool's switch"))?;
    let action = if suspended { Action::Suspend } else { Action::Resume };
    decisions::post(conn, &Subject::Pool(pool.to_owned()), next.version, action)?;
    Ok(next)
}
