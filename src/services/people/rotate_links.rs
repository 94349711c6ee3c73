//! A new key for links.

use crate::domain::access::audit::{Action, Object};
use crate::domain::people::link::Kid;
use crate::services::By;
use crate::services::audit::{self, Line};
use crate::store::people::link_keys;
use crate::store::{Conn, Lane, Store, StoreError};

/// Makes a key, with which campaigns sign that are launched from now on. Links under older keys stay valid. The key's name.
///
/// # Errors
/// The system's random generator or the database failed.
pub async fn rotate_links(store: &Store, by: &By) -> Result<Kid, StoreError> {
    let asker = by.clone();
    let rotate = move |conn: &mut Conn| {
        let kid = link_keys::create(conn)?.kid();
        audit::write(conn, &asker, Line::of(Action::Created, Object::LinkKey, kid))?;
        Ok::<_, StoreError>(kid)
    };
    let kid = store.transact(Lane::Control, "create a key of links", rotate).await?;
    tracing::info!(event = "links.rotated", link.kid = %kid, by = %by, "links are signed with a new key");
    Ok(kid)
}
