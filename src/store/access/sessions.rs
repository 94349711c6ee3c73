//! Sessions of people in the operators' pages: a random secret in a cookie, stored as a hash.

use diesel::prelude::*;

use super::api_keys::ApiKeyRow;
use crate::domain::ids::{ApiKeyId, SessionId};
use crate::domain::instant::UtcInstant;
use crate::store::engine::schema::{api_keys, sessions};
use crate::store::{Conn, StoreError, engine};

/// How long a session lasts at most, in milliseconds: 12 hours.
pub const LONGEST_MS: i64 = 12 * 3_600_000;

/// How long a session may be unused, in milliseconds: 2 hours.
pub const IDLE_MS: i64 = 2 * 3_600_000;

/// How long a use goes unrecorded when another one was recorded before, in milliseconds.
const TOUCH_EVERY_MS: i64 = 60_000;

/// A session that is valid.
#[derive(Debug, Clone)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// The key that it was opened with. `None`: the root key of the settings.
    pub key: Option<ApiKeyRow>,
    /// Whether a use now is worth recording.
    pub is_touch_due: bool,
}

/// Opens a session that is known by this hash.
///
/// # Errors
/// The query failed.
pub fn open(conn: &mut Conn, hash: &str, key: Option<ApiKeyId>) -> Result<SessionId, StoreError> {
    let now = engine::now(conn)?;
    diesel::insert_into(sessions::table)
        .values((
            sessions::hash.eq(hash),
            sessions::api_key_id.eq(key),
            sessions::created_at.eq(now),
            sessions::seen_at.eq(now),
        ))
        .returning(sessions::id)
        .get_result(conn)
        .map_err(StoreError::query("open a session"))
}

/// Sessions with their keys that are valid at `$now`: not too old, used lately, and the key has neither been revoked nor has it
/// expired.
macro_rules! valid {
    ($now:expr) => {
        sessions::table
            .left_join(api_keys::table.on(api_keys::id.nullable().eq(sessions::api_key_id)))
            .filter(sessions::created_at.gt($now.plus_ms(-LONGEST_MS)))
            .filter(sessions::seen_at.gt($now.plus_ms(-IDLE_MS)))
            .filter(
                sessions::api_key_id.is_null().or(api_keys::id
                    .is_not_null()
                    .and(api_keys::revoked_at.is_null())
                    .and(api_keys::expires_at.is_null().or(api_keys::expires_at.gt($now)))
                    .assume_not_null()),
            )
    };
}

/// The valid session that is known by `of_key` and was opened with a stored key, or is known by `of_root` and was opened with the
/// root key.
///
/// # Errors
/// The query failed.
pub fn find_valid(conn: &mut Conn, of_key: &str, of_root: Option<&str>) -> Result<Option<Session>, StoreError> {
    let now = engine::now(conn)?;
    let hashes: Vec<&str> = std::iter::once(of_key).chain(of_root).collect();
    let found: Option<(SessionId, String, UtcInstant, Option<ApiKeyRow>)> = valid!(now)
        .filter(sessions::hash.eq_any(hashes))
        .select((sessions::id, sessions::hash, sessions::seen_at, Option::<ApiKeyRow>::as_select()))
        .first(conn)
        .optional()
        .map_err(StoreError::query("look up a session"))?;
    // What was opened with a key is known by its secret alone; the root key's hash belongs to the other kind.
    let fits = |hash: &str, key: Option<&ApiKeyRow>| if key.is_some() { hash == of_key } else { Some(hash) == of_root };
    Ok(found.filter(|(_, hash, _, key)| fits(hash, key.as_ref())).map(|(id, _, seen_at, key)| Session {
        id,
        key,
        is_touch_due: now >= seen_at.plus_ms(TOUCH_EVERY_MS),
    }))
}

/// Which of these sessions are still valid.
///
/// # Errors
/// The query failed.
pub fn still_valid(conn: &mut Conn, ids: &[SessionId]) -> Result<Vec<SessionId>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let now = engine::now(conn)?;
    valid!(now)
        .filter(sessions::id.eq_any(ids))
        .select(sessions::id)
        .load(conn)
        .map_err(StoreError::query("look whether sessions are valid"))
}

/// Records a use.
///
/// # Errors
/// The query failed.
pub fn touch(conn: &mut Conn, id: SessionId) -> Result<(), StoreError> {
    let now = engine::now(conn)?;
    diesel::update(sessions::table.find(id))
        .set(sessions::seen_at.eq(now))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("record the use of a session"))
}

/// Ends a session. Returns whether there was one.
///
/// # Errors
/// The query failed.
pub fn close(conn: &mut Conn, id: SessionId) -> Result<bool, StoreError> {
    let closed = diesel::delete(sessions::table.find(id)).execute(conn);
    closed.map(|closed| closed > 0).map_err(StoreError::query("close a session"))
}

/// Removes sessions that are over by their age.
///
/// # Errors
/// The query failed.
pub fn prune(conn: &mut Conn) -> Result<usize, StoreError> {
    let now = engine::now(conn)?;
    let over = sessions::created_at.le(now.plus_ms(-LONGEST_MS)).or(sessions::seen_at.le(now.plus_ms(-IDLE_MS)));
    diesel::delete(sessions::table.filter(over)).execute(conn).map_err(StoreError::query("remove old sessions"))
}
