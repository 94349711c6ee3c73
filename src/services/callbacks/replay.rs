//! A callback that failed is read again.

use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::CallbackId;
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::callbacks::{self, Replayed};
use crate::store::{Conn, Lane, StoreError};

/// Lets a callback that failed be read again.
///
/// # Errors
/// The database failed; nothing has changed then.
pub async fn replay(services: &Services, id: CallbackId, by: &By) -> Result<Replayed, StoreError> {
    let by = by.clone();
    let work = move |conn: &mut Conn| {
        let replayed = callbacks::replay(conn, id)?;
        if replayed == Replayed::Again {
            audit::write(conn, &by, Line::of(Action::Replayed, Object::Callback, id))?;
        }
        Ok::<_, StoreError>(replayed)
    };
    services.store.transact(Lane::Write, "replay a callback", work).await
}
