//! The audit log. Rows are only added; they go by age. It comes last in the order of locks, and takes none.

use diesel::prelude::*;

use crate::domain::access::audit::{Action, Actor, Object};
use crate::domain::ids::{ApiKeyId, AuditEntryId, SessionId};
use crate::domain::instant::UtcInstant;
use crate::store::engine::dialect::conn::MultiBackend;
use crate::store::engine::schema::{api_keys, audit_log};
use crate::store::{Conn, StoreError, engine};

/// A line to add. Its time is the database's.
#[derive(Debug, Clone, PartialEq, Eq, Insertable)]
#[diesel(table_name = audit_log)]
pub struct NewEntry {
    /// Who acted.
    pub actor: Actor,
    /// With which API key.
    pub api_key_id: Option<ApiKeyId>,
    /// Where the request came from.
    pub ip: Option<String>,
    /// What was done.
    pub action: Action,
    /// To which kind of thing.
    pub object: Object,
    /// To which one.
    pub object_id: Option<String>,
    /// How it was, as JSON without personal data.
    pub before: Option<String>,
    /// How it is since, as JSON without personal data.
    pub after: Option<String>,
    /// The request that asked for it.
    pub request_id: Option<String>,
    /// The session on the operators' pages in which it was asked for.
    pub session_id: Option<SessionId>,
}

/// A line as stored. Words are text here: a newer instance may have written words that this one does not know.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = audit_log)]
pub struct EntryRow {
    /// Its id: a later line has a higher one, unless both were written at the same moment.
    pub id: AuditEntryId,
    /// When it was done.
    pub at: UtcInstant,
    /// Who acted.
    pub actor: String,
    /// With which API key.
    pub api_key_id: Option<ApiKeyId>,
    /// Where the request came from.
    pub ip: Option<String>,
    /// What was done.
    pub action: String,
    /// To which kind of thing.
    pub object: String,
    /// To which one.
    pub object_id: Option<String>,
    /// How it was, as JSON.
    pub before: Option<String>,
    /// How it is since, as JSON.
    pub after: Option<String>,
    /// The request that asked for it.
    pub request_id: Option<String>,
    /// The session on the operators' pages in which it was asked for.
    pub session_id: Option<SessionId>,
}

/// The name and the first characters of a key, for people.
#[derive(Debug, Clone, Queryable)]
pub struct KeyName {
    /// Its name.
    pub name: String,
    /// Its first characters.
    pub prefix: String,
}

/// Which lines. `None` takes all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Who acted.
    pub actor: Option<Actor>,
    /// With which API key.
    pub key: Option<ApiKeyId>,
    /// What was done.
    pub action: Option<Action>,
    /// Which of these was done.
    pub among: Option<&'static [Action]>,
    /// To which kind of thing.
    pub object: Option<Object>,
    /// To which one.
    pub object_id: Option<String>,
    /// By which request.
    pub request_id: Option<String>,
    /// Not before this time.
    pub from: Option<UtcInstant>,
    /// Before this time.
    pub to: Option<UtcInstant>,
    /// Only lines with a lower id: where a cursor stopped.
    pub before: Option<AuditEntryId>,
}

/// Adds a line, in the caller's transaction.
///
/// # Errors
/// The query failed.
pub fn append(conn: &mut Conn, entry: &NewEntry) -> Result<(), StoreError> {
    let now = engine::now(conn)?;
    diesel::insert_into(audit_log::table)
        .values((entry, audit_log::at.eq(now)))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("write the audit log"))
}

/// Up to `limit` lines, newest first, with the names of their keys.
///
/// # Errors
/// The query failed.
pub fn list(conn: &mut Conn, filter: &Filter, limit: i64) -> Result<Vec<(EntryRow, Option<KeyName>)>, StoreError> {
    let mut query = audit_log::table
        .left_join(api_keys::table.on(api_keys::id.nullable().eq(audit_log::api_key_id)))
        .order(audit_log::id.desc())
        .limit(limit)
        .into_boxed::<MultiBackend>();
    if let Some(actor) = filter.actor {
        query = query.filter(audit_log::actor.eq(actor));
    }
    if let Some(key) = filter.key {
        query = query.filter(audit_log::api_key_id.eq(key));
    }
    if let Some(action) = filter.action {
        query = query.filter(audit_log::action.eq(action));
    }
    if let Some(among) = filter.among {
        query = query.filter(audit_log::action.eq_any(among));
    }
    if let Some(object) = filter.object {
        query = query.filter(audit_log::object.eq(object));
    }
    if let Some(id) = &filter.object_id {
        query = query.filter(audit_log::object_id.eq(id));
    }
    if let Some(request) = &filter.request_id {
        query = query.filter(audit_log::request_id.eq(request));
    }
    if let Some(from) = filter.from {
        query = query.filter(audit_log::at.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(audit_log::at.lt(to));
    }
    if let Some(before) = filter.before {
        query = query.filter(audit_log::id.lt(before));
    }
    query
        .select((EntryRow::as_select(), (api_keys::name, api_keys::prefix).nullable()))
        .load(conn)
        .map_err(StoreError::query("read the audit log"))
}

/// Removes lines that are older than so many days; 0 keeps all. Returns how many those were.
///
/// # Errors
/// The query failed.
pub fn prune(conn: &mut Conn, keep_days: u32) -> Result<usize, StoreError> {
    if keep_days == 0 {
        return Ok(0);
    }
    let before = engine::now(conn)?.plus_ms(-i64::from(keep_days) * 86_400_000);
    diesel::delete(audit_log::table.filter(audit_log::at.lt(before)))
        .execute(conn)
        .map_err(StoreError::query("remove old lines of the audit log"))
}
