//! API keys: 256 random bits, shown once, stored as a hash.

use std::collections::HashMap;

use diesel::prelude::*;
use sha2::{Digest, Sha256};

use crate::config::secret::Secret;
use crate::domain::access::{Rights, Scope};
use crate::domain::events::EventSource;
use crate::domain::ids::ApiKeyId;
use crate::domain::instant::UtcInstant;
use crate::store::engine::schema::api_keys;
use crate::store::{Conn, StoreError, engine};

/// What every key begins with, so that scanners of leaked secrets know one.
pub const KEY_PREFIX: &str = "vly_";

/// Characters of a key that are kept in clear, by which people tell keys apart.
const SHOWN_CHARS: usize = 12;

/// How long a use goes unrecorded when another one was recorded before, in milliseconds.
const TOUCH_EVERY_MS: i64 = 60_000;

/// A key as stored.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = api_keys)]
pub struct ApiKeyRow {
    /// Its id.
    pub id: ApiKeyId,
    /// What its owner calls it.
    pub name: String,
    /// Its first characters.
    pub prefix: String,
    /// When it was made.
    pub created_at: UtcInstant,
    /// Its last use, to the minute.
    pub last_used_at: Option<UtcInstant>,
    /// When it was revoked.
    pub revoked_at: Option<UtcInstant>,
    /// What it allows.
    pub scope: Scope,
    /// When it stops working by itself.
    pub expires_at: Option<UtcInstant>,
    /// What it calls itself in events. None: its name.
    pub source: Option<String>,
}

impl ApiKeyRow {
    /// What its holder may do.
    #[must_use]
    pub fn rights(&self) -> Rights {
        Rights { scope: self.scope, expires_at: self.expires_at }
    }
}

/// A key to make.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// What its owner calls it.
    pub name: String,
    /// What it allows.
    pub rights: Rights,
    /// What it calls itself in events. None: its name.
    pub source: Option<String>,
}

/// A key that was just made: the only time its secret is known.
#[derive(Debug)]
pub struct MintedKey {
    /// The stored row.
    pub row: ApiKeyRow,
    /// The key itself.
    pub secret: Secret,
}

/// The hash under which a key is stored: SHA-256, in hex. A random 256-bit key needs no slow hash.
#[must_use]
pub fn hash(key: &str) -> String {
    format!("{:x}", Sha256::digest(key))
}

/// Whether `text` can be a key of ours at all: a mistyped or foreign one costs no query.
#[must_use]
pub fn is_well_formed(text: &str) -> bool {
    text.strip_prefix(KEY_PREFIX)
        .filter(|rest| rest.is_ascii())
        .and_then(|rest| rest.split_at_checked(64))
        .is_some_and(|(random, check)| check == checksum(random))
}

fn checksum(random: &str) -> String {
    format!("{:08x}", crc32fast::hash(random.as_bytes()))
}

/// 256 random bits in hex: what nobody guesses.
///
/// # Errors
/// The system's generator failed.
pub fn random() -> Result<String, StoreError> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)
        .map_err(|source| StoreError::Corrupt { what: "system random generator", detail: source.to_string() })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Makes a key.
///
/// # Errors
/// The system's generator or the query failed.
pub fn create(conn: &mut Conn, new: &NewKey) -> Result<MintedKey, StoreError> {
    let random = random()?;
    let key = format!("{KEY_PREFIX}{random}{}", checksum(&random));
    let now = engine::now(conn)?;
    let row = diesel::insert_into(api_keys::table)
        .values((
            api_keys::name.eq(&new.name),
            api_keys::prefix.eq(key.chars().take(SHOWN_CHARS).collect::<String>()),
            api_keys::hash.eq(hash(&key)),
            api_keys::created_at.eq(now),
            api_keys::scope.eq(new.rights.scope),
            api_keys::expires_at.eq(new.rights.expires_at),
            api_keys::source.eq(&new.source),
        ))
        .returning(<ApiKeyRow as Selectable<crate::store::engine::dialect::conn::MultiBackend>>::construct_selection())
        .get_result(conn)
        .map_err(StoreError::query("store an API key"))?;
    Ok(MintedKey { row, secret: Secret::new(key) })
}

/// The key with this hash that is valid at `now`, together with the hash for a comparison in constant time.
///
/// # Errors
/// The query failed.
pub fn find_valid(conn: &mut Conn, hash: &str, now: UtcInstant) -> Result<Option<(ApiKeyRow, String)>, StoreError> {
    let found: Option<(ApiKeyRow, String)> = api_keys::table
        .filter(api_keys::hash.eq(hash).and(api_keys::revoked_at.is_null()))
        .select((ApiKeyRow::as_select(), api_keys::hash))
        .first(conn)
        .optional()
        .map_err(StoreError::query("look up an API key"))?;
    Ok(found.filter(|(row, _)| row.expires_at.is_none_or(|end| now < end)))
}

/// Whether a use now is worth recording.
#[must_use]
pub fn is_touch_due(row: &ApiKeyRow, now: UtcInstant) -> bool {
    row.last_used_at.is_none_or(|last| now >= last.plus_ms(TOUCH_EVERY_MS))
}

/// Records a use.
///
/// # Errors
/// The query failed.
pub fn touch(conn: &mut Conn, id: ApiKeyId) -> Result<(), StoreError> {
    let now = engine::now(conn)?;
    diesel::update(api_keys::table.find(id))
        .set(api_keys::last_used_at.eq(now))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("record the use of an API key"))
}

/// Every key, revoked ones too, newest first.
///
/// # Errors
/// The query failed.
pub fn list(conn: &mut Conn) -> Result<Vec<ApiKeyRow>, StoreError> {
    api_keys::table
        .order(api_keys::id.desc())
        .select(ApiKeyRow::as_select())
        .load(conn)
        .map_err(StoreError::query("list API keys"))
}

/// What these keys call themselves in events.
///
/// # Errors
/// The query failed.
pub fn sources(conn: &mut Conn, ids: &[ApiKeyId]) -> Result<HashMap<ApiKeyId, EventSource>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(ApiKeyId, String, Option<String>)> = api_keys::table
        .filter(api_keys::id.eq_any(ids))
        .select((api_keys::id, api_keys::name, api_keys::source))
        .load(conn)
        .map_err(StoreError::query("read the sources of API keys"))?;
    Ok(rows.into_iter().map(|(id, name, source)| (id, EventSource::of_key(&name, source.as_deref()))).collect())
}

/// The key with this id, valid or not.
///
/// # Errors
/// The query failed.
pub fn find(conn: &mut Conn, id: ApiKeyId) -> Result<Option<ApiKeyRow>, StoreError> {
    api_keys::table
        .find(id)
        .select(ApiKeyRow::as_select())
        .first(conn)
        .optional()
        .map_err(StoreError::query("read an API key"))
}

/// Which of these keys are valid still.
///
/// # Errors
/// The query failed.
pub fn still_valid(conn: &mut Conn, ids: &[ApiKeyId]) -> Result<Vec<ApiKeyId>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let now = engine::now(conn)?;
    api_keys::table
        .filter(api_keys::id.eq_any(ids).and(api_keys::revoked_at.is_null()))
        .filter(api_keys::expires_at.is_null().or(api_keys::expires_at.gt(now)))
        .select(api_keys::id)
        .load(conn)
        .map_err(StoreError::query("look whether API keys are valid"))
}

/// Makes a key void. `None` when there is no such key; one that is void already stays as it is.
///
/// # Errors
/// The query failed.
pub fn revoke(conn: &mut Conn, id: ApiKeyId) -> Result<Option<ApiKeyRow>, StoreError> {
    conn.write(|conn| {
        let now = engine::now(conn)?;
        diesel::update(api_keys::table.filter(api_keys::id.eq(id).and(api_keys::revoked_at.is_null())))
            .set(api_keys::revoked_at.eq(now))
            .execute(conn)
            .map_err(StoreError::query("revoke an API key"))?;
        find(conn, id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_key_is_seen_without_a_query() {
        let random = "0123456789abcdef".repeat(4);
        let key = format!("{KEY_PREFIX}{random}{}", checksum(&random));
        assert!(is_well_formed(&key));
        for other in ["", "vly_", &key[..key.len() - 1], &key.replace('a', "b"), &key.replace("vly_", "xxx_")] {
            assert!(!is_well_formed(other), "{other}");
        }
    }
}
