//! The beginning of a session.

use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::{ApiKeyId, SessionId};
use crate::services::By;
use crate::services::audit::{self, Line};
use crate::store::access::sessions;
use crate::store::{Conn, Lane, Store, StoreError};

/// Opens a session of the holder of a key, known by a hash. `None`: the root key of the settings.
///
/// # Errors
/// The database failed.
pub async fn open_session(
    store: &Store,
    hash: String,
    key: Option<ApiKeyId>,
    by: &By,
) -> Result<SessionId, StoreError> {
    let by = by.clone();
    let open = move |conn: &mut Conn| {
        let session = sessions::open(conn, &hash, key)?;
        audit::write(conn, &by, Line::of(Action::Created, Object::Session, session))?;
        Ok(session)
    };
    store.transact(Lane::Control, "open a session", open).await
}
