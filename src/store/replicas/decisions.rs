//! Operators' decisions, as every instance has to hear of them. A row for each instance is written with the decision, in
//! its transaction; the instance reads its rows, acts, and acknowledges. Messages only make that faster.

use diesel::prelude::*;

use super::instances::is_live;
use crate::domain::ids::InstanceId;
use crate::domain::instant::UtcInstant;
use crate::domain::replicas::decision::{Action, Scope, Subject};
use crate::store::engine::page_states::is_leased;
use crate::store::engine::schema::{instances, notices, pages};
use crate::store::replicas::dialect;
use crate::store::{Conn, StoreError, engine};

/// Writes a decision down for every instance that lives or holds pages, in place of earlier ones on the same subject.
///
/// # Errors
/// A query failed.
pub fn post(conn: &mut Conn, subject: &Subject, version: i64, action: Action) -> Result<(), StoreError> {
    let now = engine::now(conn)?;
    let (scope, name) = (subject.scope(), subject.name());
    diesel::delete(notices::table.filter(notices::scope.eq(scope).and(notices::subject.eq(&name))))
        .execute(conn)
        .map_err(StoreError::query("replace a notice"))?;
    // One that was cut off or frozen may have hand-overs under way, whenever it was last heard of.
    let holds_pages = diesel::dsl::exists(
        pages::table.filter(is_leased().and(pages::lease_instance_id.eq(instances::id.nullable()))),
    );
    let live: Vec<InstanceId> = instances::table
        .filter(is_live(now).or(instances::stopped_at.is_null().and(holds_pages)))
        .select(instances::id)
        .load(conn)
        .map_err(StoreError::query("list live instances"))?;
    let rows = live.into_iter().map(|instance| {
        (
            notices::scope.eq(scope),
            notices::subject.eq(name.clone()),
            notices::version.eq(version),
            notices::instance_id.eq(instance),
            notices::action.eq(action),
            notices::noted_at.eq(now),
        )
    });
    dialect::insert_notices(conn, rows.collect()).map_err(StoreError::query("post a notice"))
}

/// A decision that this instance has not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unacknowledged {
    /// What it is about.
    pub subject: Subject,
    /// Its version.
    pub version: i64,
    /// What was decided.
    pub action: Action,
}

/// What this instance has not acknowledged yet.
///
/// # Errors
/// The query failed.
pub fn unacknowledged(conn: &mut Conn, me: InstanceId) -> Result<Vec<Unacknowledged>, StoreError> {
    let rows: Vec<(Scope, String, i64, Action)> = notices::table
        .filter(notices::instance_id.eq(me).and(notices::acknowledged_at.is_null()))
        // The same order everywhere: two that acknowledge do not lock each other out.
        .order((notices::scope, notices::subject))
        .select((notices::scope, notices::subject, notices::version, notices::action))
        .load(conn)
        .map_err(StoreError::query("look for notices"))?;
    let unacknowledged = rows.into_iter().filter_map(|(scope, name, version, action)| {
        Some(Unacknowledged { subject: Subject::parse(scope, &name)?, version, action })
    });
    Ok(unacknowledged.collect())
}

/// What an instance says when it has acted on a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// What the decision was about.
    pub subject: Subject,
    /// Its version.
    pub version: i64,
    /// Hand-overs under way that the decision came too late for.
    pub in_flight: i64,
    /// How long ago the last one began, in milliseconds, if one has.
    pub last_begun_ms_ago: Option<i64>,
}

/// Acknowledges decisions.
///
/// # Errors
/// A query failed; safe to repeat.
pub fn acknowledge(conn: &mut Conn, me: InstanceId, all: &[Acknowledgement]) -> Result<(), StoreError> {
    let now = engine::now(conn)?;
    for one in all {
        let mine = notices::scope
            .eq(one.subject.scope())
            .and(notices::subject.eq(one.subject.name()))
            .and(notices::version.eq(one.version))
            .and(notices::instance_id.eq(me))
            .and(notices::acknowledged_at.is_null());
        diesel::update(notices::table.filter(mine))
            .set((
                notices::acknowledged_at.eq(now),
                notices::in_flight.eq(one.in_flight),
                notices::last_begun_at.eq(one.last_begun_ms_ago.map(|ago| now.plus_ms(-ago))),
            ))
            .execute(conn)
            .map_err(StoreError::query("acknowledge a notice"))?;
    }
    Ok(())
}

/// What one instance made of the newest decision on a subject.
#[derive(Debug, Clone, Queryable)]
pub struct Reply {
    /// The instance.
    pub instance: InstanceId,
    /// Its machine.
    pub host: String,
    /// The decision's version.
    pub version: i64,
    /// What was decided.
    pub action: Action,
    /// When.
    pub noted_at: UtcInstant,
    /// When the instance had acted on it.
    pub acknowledged_at: Option<UtcInstant>,
    /// Its hand-overs under way at that moment.
    pub in_flight: Option<i64>,
    /// When its last hand-over had begun.
    pub last_begun_at: Option<UtcInstant>,
    /// When it last was heard of.
    pub last_seen_at: UtcInstant,
    /// When it ended in order.
    pub stopped_at: Option<UtcInstant>,
}

/// The newest decision on a subject, as every instance that was alive then has taken it.
///
/// # Errors
/// The query failed.
pub fn replies(conn: &mut Conn, subject: &Subject) -> Result<Vec<Reply>, StoreError> {
    let all = replies_to_all(conn, std::slice::from_ref(subject))?;
    Ok(all.into_iter().map(|(_, reply)| reply).collect())
}

/// The same for several subjects of one kind: each reply with the name of its subject.
///
/// # Errors
/// The query failed.
pub fn replies_to_all(conn: &mut Conn, subjects: &[Subject]) -> Result<Vec<(String, Reply)>, StoreError> {
    let Some(first) = subjects.first() else { return Ok(Vec::new()) };
    let names: Vec<String> = subjects.iter().map(|subject| subject.name()).collect();
    notices::table
        .inner_join(instances::table.on(instances::id.eq(notices::instance_id)))
        .filter(notices::scope.eq(first.scope()).and(notices::subject.eq_any(names)))
        .order(notices::instance_id)
        .select((
            notices::subject,
            (
                notices::instance_id,
                instances::host,
                notices::version,
                notices::action,
                notices::noted_at,
                notices::acknowledged_at,
                notices::in_flight,
                notices::last_begun_at,
                instances::last_seen_at,
                instances::stopped_at,
            ),
        ))
        .load(conn)
        .map_err(StoreError::query("read a receipt"))
}
