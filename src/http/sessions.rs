//! Sessions of people: who signs in with an API key gets a cookie in its place.
//!
//! The cookie has 256 random bits, of which the database has a hash. `/v1` takes no cookie, ever.

use super::auth::Caller;
use super::codes::{CodeFor, random};
use super::state::AppState;
use super::web::problem::ApiError;
use crate::domain::ids::SessionId;
use crate::services::By;
use crate::services::access::open_session::open_session;
use crate::store::access::{api_keys, sessions};
use crate::store::{Conn, Lane, Store};

/// A person who has signed in.
#[derive(Debug, Clone)]
pub(super) struct SignedIn {
    /// The session.
    pub(super) session: SessionId,
    /// Who they are for every decision.
    pub(super) caller: Caller,
    /// What the key is called.
    pub(super) key_name: String,
}

/// Who has this secret in a cookie.
///
/// # Errors
/// The database failed.
pub(super) async fn find(state: &AppState, secret: &str) -> Result<Option<SignedIn>, ApiError> {
    let hashes = state.auth.session_hashes(secret);
    let look_up = move |conn: &mut Conn| sessions::find_valid(conn, &hashes);
    let Some(found) = state.store.run(Lane::LookUp, "look up a session", look_up).await? else { return Ok(None) };
    if found.is_touch_due {
        note_use(state.store.clone(), found.id);
    }
    let (caller, key_name) = match found.key {
        Some(key) => (Caller::Key(key.id, key.rights()), key.name),
        None => (Caller::Root, "root key".to_owned()),
    };
    Ok(Some(SignedIn { session: found.id, caller, key_name }))
}

/// Nobody waits for it: a session whose use goes unrecorded ends a little early.
fn note_use(store: Store, id: SessionId) {
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
    let failed = |source: getrandom::Error| ApiError::Unexpected { action: "make a session", source: Box::new(source) };
    let secret = random().map_err(failed)?;
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
    let found = state.store.run(Lane::LookUp, "look up an API key", move |conn| api_keys::find(conn, id)).await?;
    let valid = found.filter(|key| key.revoked_at.is_none());
    Ok(valid.map(|key| Caller::Key(key.id, key.rights())))
}
