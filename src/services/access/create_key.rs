//! A new API key.

use serde_json::json;

use crate::domain::access::Rights;
use crate::domain::access::audit::{Action, Object};
use crate::domain::instant::UtcInstant;
use crate::services::By;
use crate::services::audit::{self, Line};
use crate::store::access::api_keys::{self, MintedKey, NewKey};
use crate::store::{Conn, Lane, MayBeStoreError, Store, StoreError, engine};

/// Why no key is made.
#[derive(Debug, thiserror::Error)]
pub enum CreateKeyError {
    /// Its end has passed.
    #[error("{at} is not in the future (it is {now})")]
    Expired {
        /// The end asked for.
        at: UtcInstant,
        /// The time of the database.
        now: UtcInstant,
    },
    /// It would allow more than the key of its maker, or for longer.
    #[error("a key cannot make a key that allows more, or lasts longer, than it does itself: {0}")]
    MoreThanMaker(String),
    /// The system's random generator or the database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MayBeStoreError for CreateKeyError {
    fn into_store_error(self) -> Result<StoreError, Self> {
        match self {
            Self::Store(error) => Ok(error),
            refused @ (Self::Expired { .. } | Self::MoreThanMaker(_)) => Err(refused),
        }
    }
}

/// Makes an API key. Its secret is in the answer, and nowhere else.
///
/// # Errors
/// [`CreateKeyError`]; there is no new key then.
pub async fn create_key(store: &Store, new: NewKey, by: &By) -> Result<MintedKey, CreateKeyError> {
    if !by.rights.cover(new.rights) {
        return Err(CreateKeyError::MoreThanMaker(described(by.rights)));
    }
    let by = by.clone();
    let create = move |conn: &mut Conn| {
        let now = engine::now(conn)?;
        if let Some(at) = new.rights.expires_at.filter(|at| *at <= now) {
            return Err(CreateKeyError::Expired { at, now });
        }
        Ok(make(conn, &new, &by)?)
    };
    store.transact(Lane::Control, "create an API key", create).await
}

/// Makes a key and writes its line, in the caller's transaction.
pub(super) fn make(conn: &mut Conn, new: &NewKey, by: &By) -> Result<MintedKey, StoreError> {
    let minted = api_keys::create(conn, new)?;
    let line = Line::of(Action::Created, Object::Key, minted.row.id);
    audit::write(
        conn,
        by,
        line.after(json!({ "scope": new.rights.scope, "expires_at": new.rights.expires_at, "source": new.source })),
    )?;
    Ok(minted)
}

fn described(rights: Rights) -> String {
    let end = rights.expires_at.map_or_else(|| "without end".to_owned(), |at| format!("until {at}"));
    format!("its scope is {}, {end}", rights.scope)
}
