//! Incarnations of processes: who may hold a lease.

use diesel::prelude::*;

use super::backend;
use super::schema::{instances, pages};
use super::{Conn, StoreError};
use crate::domain::ids::{InstanceId, PageId};
use crate::domain::instant::UtcInstant;
use crate::domain::page::PageState;

/// What an incarnation says of itself.
#[derive(Debug, Clone)]
pub struct Incarnation {
    /// Stays with the journal's folder over restarts.
    pub slot: String,
    /// The machine's name.
    pub host: String,
    /// Volley's version.
    pub version: String,
    /// The kernel's boot id.
    pub boot_id: String,
}

/// Registers a new incarnation.
///
/// # Errors
/// The query failed.
pub fn register(conn: &mut Conn, incarnation: &Incarnation) -> Result<InstanceId, StoreError> {
    let now = backend::now(conn)?;
    diesel::insert_into(instances::table)
        .values((
            instances::slot.eq(&incarnation.slot),
            instances::host.eq(&incarnation.host),
            instances::version.eq(&incarnation.version),
            instances::boot_id.eq(&incarnation.boot_id),
            instances::started_at.eq(now),
            instances::last_seen_at.eq(now),
        ))
        .returning(instances::id)
        .get_result(conn)
        .map_err(StoreError::query("register this instance"))
}

/// Says that the incarnation lives; also the proof that the database takes writes.
///
/// # Errors
/// The query failed.
pub fn heartbeat(conn: &mut Conn, id: InstanceId) -> Result<(), StoreError> {
    let now = backend::now(conn)?;
    diesel::update(instances::table.find(id))
        .set(instances::last_seen_at.eq(now))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("write a heartbeat"))
}

/// Says that the incarnation has ended in order.
///
/// # Errors
/// The query failed.
pub fn retire(conn: &mut Conn, id: InstanceId) -> Result<(), StoreError> {
    let now = backend::now(conn)?;
    diesel::update(instances::table.find(id))
        .set(instances::stopped_at.eq(Some(now)))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("retire this instance"))
}

/// A leased page whose owner may be gone.
#[derive(Debug, Clone, Queryable)]
pub struct OpenLease {
    /// The page.
    pub page: PageId,
    /// Its campaign.
    pub campaign: crate::domain::ids::CampaignId,
    /// The pool that held it.
    pub pool: String,
    /// The owner's incarnation.
    pub instance: Option<InstanceId>,
    /// The owner's generation.
    pub generation: Option<i64>,
    /// The lease.
    pub token: Option<super::pages::LeaseToken>,
    /// When it ends by itself.
    pub until: Option<UtcInstant>,
    /// The slot of the owner's incarnation, and its boot id.
    pub slot: Option<String>,
    /// The owner's boot id.
    pub boot_id: Option<String>,
}

/// Every leased page, and the database's time.
///
/// # Errors
/// The query failed.
pub fn open_leases(conn: &mut Conn) -> Result<(Vec<OpenLease>, UtcInstant), StoreError> {
    let now = backend::now(conn)?;
    let leases = pages::table
        .left_join(instances::table.on(instances::id.nullable().eq(pages::lease_instance_id)))
        .filter(pages::state.eq(PageState::Leased))
        .order(pages::id)
        .limit(500)
        .select((
            pages::id,
            pages::campaign_id,
            pages::pool,
            pages::lease_instance_id,
            pages::lease_generation,
            pages::lease_token,
            pages::lease_until,
            instances::slot.nullable(),
            instances::boot_id.nullable(),
        ))
        .load(conn)
        .map_err(StoreError::query("look for ended leases"))?;
    Ok((leases, now))
}
