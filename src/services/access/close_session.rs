//! The end of a session, by the person whose it is.

use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::SessionId;
use crate::services::By;
use crate::services::audit::{self, Line};
use crate::store::access::sessions;
use crate::store::{Conn, Lane, Store, StoreError};

/// Ends a session. One that has ended already stays so.
///
/// # Errors
/// The database failed.
pub async fn close_session(store: &Store, id: SessionId, by: &By) -> Result<(), StoreError> {
    let by = by.clone();
    let close = move |conn: &mut Conn| {
        if sessions::close(conn, id)? {
            audit::write(conn, &by, Line::of(Action::Deleted, Object::Session, id))?;
        }
        Ok(())
    };
    store.transact(Lane::Control, "close a session", close).await
}
