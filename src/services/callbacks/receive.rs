//! A callback comes in: verified, then stored, then answered.

use metrics::counter;

use crate::config::pools::CallbackConfig;
use crate::domain::callbacks::{Incoming, Unverified};
use crate::services::Services;
use crate::store::callbacks::{self, NewCallback};
use crate::store::{Conn, Lane, StoreError};

/// Why a callback was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotReceived {
    /// It does not come from the provider, or not now.
    #[error(transparent)]
    Unverified(#[from] Unverified),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The settings of callbacks of a pool. `None`: there is no such pool, or it has no secret to verify them by.
#[must_use]
pub fn door<'a>(services: &'a Services, pool: &str) -> Option<&'a CallbackConfig> {
    let pool = services.settings.pools.iter().find(|other| other.name == pool)?;
    pool.callbacks.as_ref().filter(|callbacks| callbacks.is_open())
}

/// Verifies a callback and stores it. `false`: it is a repetition, and has no second effect.
///
/// # Errors
/// [`NotReceived`]; nothing is stored then.
pub async fn receive(
    services: &Services,
    pool: &str,
    door: &CallbackConfig,
    content_type: &str,
    incoming: &Incoming<'_>,
) -> Result<bool, NotReceived> {
    let received = verify_and_store(services, pool, door, content_type, incoming).await;
    let result = match &received {
        Ok(true) => "stored",
        Ok(false) => "repeated",
        Err(NotReceived::Unverified(_)) => "unverified",
        Err(NotReceived::Store(_)) => "failed",
    };
    counter!("volley_callbacks_total", "format" => door.format.as_str(), "result" => result).increment(1);
    received
}

async fn verify_and_store(
    services: &Services,
    pool: &str,
    door: &CallbackConfig,
    content_type: &str,
    incoming: &Incoming<'_>,
) -> Result<bool, NotReceived> {
    let key = door.format.verify(incoming, &door.secrets())?;
    let callback = NewCallback {
        pool: pool.to_owned(),
        format: door.format,
        content_type: content_type.to_owned(),
        key,
        // Neither database keeps NUL in a text, and no format has it.
        body: String::from_utf8_lossy(incoming.body).replace('\0', ""),
    };
    let store = move |conn: &mut Conn| callbacks::store(conn, &callback);
    Ok(services.store.transact(Lane::Write, "store a callback", store).await?)
}
