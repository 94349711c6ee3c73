//! Idempotency keys. Where a request is one transaction, its answer is stored in it: [`recall`], the effect, [`remember`].
//! Where it is more than that, the key is reserved in a transaction before and answered in one after. A process that dies
//! in between leaves a key that is never used again, because it is not known how far the request had come.

use std::borrow::Cow;

use diesel::prelude::*;

use super::schema::idempotency_keys;
use crate::domain::instant::UtcInstant;
use crate::store::engine::dialect;
use crate::store::{Conn, StoreError};

/// How long an answer is kept, in milliseconds: 24 h.
pub const KEPT_FOR_MS: i64 = 24 * 3_600_000;

/// Keys that are removed in one transaction.
const PORTION: i64 = 500;

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// JSON body.
    pub body: String,
    /// The `Location` header.
    pub location: Option<String>,
}

/// What is known about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recall {
    /// Nothing: go on, and [`remember`] the answer in the same transaction. The key is reserved until that ends, so that
    /// a second request with it waits.
    New,
    /// The same request was answered before: answer the same.
    Answered(Answer),
    /// The key was used for another request.
    Reused,
    /// The same request is under way, or was cut off. Seen only of keys that are reserved before their effect.
    UnderWay,
}

/// One key of one kind of request.
#[derive(Debug, Clone)]
pub struct Key {
    /// Whose request of which kind: `root campaigns.send`, `key 7 POST /v1/lists`.
    pub scope: Cow<'static, str>,
    /// The client's key.
    pub key: String,
    /// What was asked for, hashed.
    pub request_hash: String,
    /// This request, among others under the same key.
    pub holder: i64,
}

impl Key {
    /// A key for one request.
    #[must_use]
    pub fn new(scope: impl Into<Cow<'static, str>>, key: String, request_hash: String) -> Self {
        let (holder, _) = uuid::Uuid::new_v4().as_u64_pair();
        Self { scope: scope.into(), key, request_hash, holder: holder.cast_signed() }
    }
}

/// Looks a key up and reserves it. Call it first in the transaction of the effect.
///
/// # Errors
/// A query failed.
pub fn recall(conn: &mut Conn, key: &Key) -> Result<Recall, StoreError> {
    let now = dialect::now(conn)?;
    // The others wait for [`prune`]: no request removes more than its own.
    let own = idempotency_keys::table.find((key.scope.as_ref(), &key.key));
    diesel::delete(own.filter(idempotency_keys::created_at.lt(now.plus_ms(-KEPT_FOR_MS))))
        .execute(conn)
        .map_err(StoreError::query("forget an old idempotency key"))?;
    if dialect::idempotency::reserve(conn, key, now)? {
        return Ok(Recall::New);
    }
    look(conn, key)
}

/// Removes a portion of the keys whose answers are kept no longer. Whether there may be more.
///
/// # Errors
/// A query failed.
pub fn prune(conn: &mut Conn) -> Result<bool, StoreError> {
    let before = dialect::now(conn)?.plus_ms(-KEPT_FOR_MS);
    let cut: Option<UtcInstant> = idempotency_keys::table
        .filter(idempotency_keys::created_at.lt(before))
        .order(idempotency_keys::created_at)
        .offset(PORTION - 1)
        .select(idempotency_keys::created_at)
        .first(conn)
        .optional()
        .map_err(StoreError::query("look for old idempotency keys"))?;
    diesel::delete(idempotency_keys::table.filter(idempotency_keys::created_at.le(cut.unwrap_or(before.plus_ms(-1)))))
        .execute(conn)
        .map_err(StoreError::query("remove old idempotency keys"))?;
    Ok(cut.is_some())
}

/// Looks a key up without reserving it.
///
/// # Errors
/// A query failed.
pub fn look(conn: &mut Conn, key: &Key) -> Result<Recall, StoreError> {
    let oldest = dialect::now(conn)?.plus_ms(-KEPT_FOR_MS);
    let found: Option<(String, i32, String, Option<String>)> = idempotency_keys::table
        .find((key.scope.as_ref(), &key.key))
        .filter(idempotency_keys::created_at.ge(oldest))
        .select((
            idempotency_keys::request_hash,
            idempotency_keys::status,
            idempotency_keys::body,
            idempotency_keys::location,
        ))
        .first(conn)
        .optional()
        .map_err(StoreError::query("read an idempotency key"))?;
    match found {
        None => Ok(Recall::New),
        Some((request_hash, ..)) if request_hash != key.request_hash => Ok(Recall::Reused),
        Some((_, 0, ..)) => Ok(Recall::UnderWay),
        Some((_, status, body, location)) => {
            let status = u16::try_from(status).map_err(|source| StoreError::Corrupt {
                what: "status of an idempotency key",
                detail: source.to_string(),
            })?;
            Ok(Recall::Answered(Answer { status, body, location }))
        }
    }
}

/// Stores the answer under a key that [`recall`] reserved.
///
/// # Errors
/// The query failed.
pub fn remember(conn: &mut Conn, key: &Key, answer: &Answer) -> Result<(), StoreError> {
    diesel::update(idempotency_keys::table.find((key.scope.as_ref(), &key.key)))
        .filter(idempotency_keys::holder.eq(key.holder))
        .set((
            idempotency_keys::status.eq(i32::from(answer.status)),
            idempotency_keys::body.eq(&answer.body),
            idempotency_keys::location.eq(&answer.location),
        ))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("store the answer under an idempotency key"))
}

/// Lets go of a key whose request had no effect; of nothing where another request holds the key.
///
/// # Errors
/// The query failed.
pub fn release(conn: &mut Conn, key: &Key) -> Result<(), StoreError> {
    let ours = idempotency_keys::holder.eq(key.holder).and(idempotency_keys::status.eq(0));
    diesel::delete(idempotency_keys::table.find((key.scope.as_ref(), &key.key)).filter(ours))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("let go of an idempotency key"))
}
