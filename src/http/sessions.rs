//! Sessions of people: who signs in with an API key gets a cookie in its place.
//!
//! The cookie has 256 random bits, of which the database has a hash. `/v1` takes no cookie, ever.

use super::auth::Caller;
use super::codes::{CodeFor, is_random};
use super::state::AppState;
use super::web::problem::ApiError;
use crate::domain::ids::SessionId;
use crate::services::By;
use crate::services::access::open_session::open_session;
use crate::store::access::api_keys::{self, ApiKeyRow};
use crate::store::access::sessions;
use crate::store::{Conn, Lane, StoreError, engine};

/// A person who has signed in.
#[derive(Debug, Clone)]
pub(super) struct SignedIn {
    /// The session.
    pub(super) session: SessionId,
    /// Who they are for every decision.
    pub(super) caller: Caller,
    /// What the key is called.
    pub(super) key_name: String,
    is_use_due: bool,
}

/// Who has this secret in a cookie. `count` counts a secret that is not known to have been valid, before the database is asked: it
/// may refuse. A text that is no secret costs no query: it could be made of a hash and a secret.
///
/// # Errors
/// `count` refused, or the database failed.
pub(super) async fn find(
    state: &AppState,
    secret: &str,
    count: impl Fn() -> Result<(), ApiError>,
) -> Result<Option<SignedIn>, ApiError> {
    if !is_random(secret) {
        return Ok(None);
    }
    let (hash, of_root) = (api_keys::hash(secret), state.auth.root_session_hash(secret));
    if !state.auth.knows_session(&hash) {
        count()?;
    }
    let wanted = hash.clone();
    let look_up = move |conn: &mut Conn| sessions::find_valid(conn, &wanted, of_root.as_deref());
    let found = state.store.run(Lane::LookUp, "look up a session", look_up).await?;
    state.auth.note_session(hash, found.is_some());
    Ok(found.map(|found| {
        let (caller, key_name) = match found.key {
            Some(key) => (Caller::Key(key.id, key.rights()), key.name),
            None => (Caller::Root, "root key".to_owned()),
        };
        SignedIn { session: found.id, caller, key_name, is_use_due: found.is_touch_due }
    }))
}

/// Records that a session is used, to the minute. Nobody waits for it: a session whose use goes unrecorded ends a little early.
pub(super) fn note_use(state: &AppState, person: &SignedIn) {
    if !person.is_use_due {
        return;
    }
    let (store, id) = (state.store.clone(), person.session);
    actix_web::rt::spawn(async move {
        let noted = store.run(Lane::Write, "record the use of a session", move |conn| sessions::touch(conn, id)).await;
        if let Err(error) = noted {
            tracing::debug!(event = "session.use_unrecorded", %error, "the last use of a session cannot be stored");
        }
    });
}

/// Opens a session of a caller; its secret.
///
/// # Errors
/// The system's generator or the database failed.
pub(super) async fn open(state: &AppState, caller: Caller, by: &By) -> Result<String, ApiError> {
    let secret = api_keys::random()?;
    let hash = state.auth.session_hash(&secret, caller).ok_or(ApiError::Unauthorized)?;
    let key = match caller {
        Caller::Root => None,
        Caller::Key(id, _) => Some(id),
    };
    open_session(&state.store, hash, key, by).await?;
    Ok(secret)
}

/// Who a code is for, if that key is still valid.
///
/// # Errors
/// The database failed.
pub(super) async fn holder(state: &AppState, code: CodeFor) -> Result<Option<Caller>, ApiError> {
    let CodeFor::Key(id) = code else { return Ok(Some(Caller::Root)) };
    let look_up = move |conn: &mut Conn| Ok::<_, StoreError>((api_keys::find(conn, id)?, engine::now(conn)?));
    let (found, now) = state.store.run(Lane::LookUp, "look up an API key", look_up).await?;
    let is_valid = |key: &ApiKeyRow| key.revoked_at.is_none() && key.expires_at.is_none_or(|end| now < end);
    Ok(found.filter(is_valid).map(|key| Caller::Key(key.id, key.rights())))
}
