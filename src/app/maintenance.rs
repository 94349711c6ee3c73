//! What the command line does without a running instance: migrations, keys, and the doctor's questions.

use std::path::PathBuf;

use serde::Serialize;

use super::slot::DatabaseLock;
use crate::actors::replicas::broker_link;
use crate::channels;
use crate::channels::webhook::call::Caller;
use crate::config::Settings;
use crate::config::pools::PoolConfig;
use crate::config::targets::TargetConfig;
use crate::domain::access::Scope;
use crate::domain::ids::ApiKeyId;
use crate::domain::instant::UtcInstant;
use crate::domain::replicas::role::Role;
use crate::services::By;
use crate::services::access::{create_key, revoke_key};
use crate::services::people::rotate_links;
use crate::store::access::api_keys::{self, NewKey};
use crate::store::replicas::instances;
use crate::store::{Lane, Store, StoreError, Target, engine};

/// An API key, without its secret.
#[derive(Debug, Clone, Serialize)]
pub struct KeyInfo {
    /// Its id.
    pub id: ApiKeyId,
    /// What it is for.
    pub name: String,
    /// What it calls itself in events. None: its name.
    pub source: Option<String>,
    /// What it allows.
    pub scope: Scope,
    /// Its first characters.
    pub prefix: String,
    /// When it was made.
    pub created_at: UtcInstant,
    /// When it was last used, to the minute.
    pub last_used_at: Option<UtcInstant>,
    /// When it stops working by itself.
    pub expires_at: Option<UtcInstant>,
    /// When it was revoked.
    pub revoked_at: Option<UtcInstant>,
}

async fn migrated(settings: &Settings) -> anyhow::Result<Store> {
    let store = Store::open(&settings.database)?;
    store.migrate().await?;
    Ok(store)
}

/// Brings the schema up to date; the names of what was applied.
///
/// # Errors
/// The database does not answer, is in use by an instance (SQLite), or refuses.
pub async fn migrate(settings: &Settings) -> anyhow::Result<Vec<String>> {
    let store = Store::open(&settings.database)?;
    let _lock = DatabaseLock::take(store.target())?;
    Ok(store.migrate().await?)
}

/// Makes an API key; its secret is the answer, shown this once.
///
/// # Errors
/// The database does not answer, or the end of the key has passed.
pub async fn create_key(settings: &Settings, new: NewKey) -> anyhow::Result<String> {
    let store = migrated(settings).await?;
    let minted = create_key::create_key(&store, new, &By::command_line()).await?;
    Ok(minted.secret.expose().to_owned())
}

/// Every API key, newest first.
///
/// # Errors
/// The database does not answer.
pub async fn list_keys(settings: &Settings) -> anyhow::Result<Vec<KeyInfo>> {
    let store = migrated(settings).await?;
    let rows = store.run(Lane::Read, "list API keys", api_keys::list).await?;
    Ok(rows
        .into_iter()
        .map(|row| KeyInfo {
            id: row.id,
            name: row.name,
            source: row.source,
            scope: row.scope,
            expires_at: row.expires_at,
            prefix: row.prefix,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
        })
        .collect())
}

/// Revokes an API key; `false` when there is none with this id.
///
/// # Errors
/// The database does not answer.
pub async fn revoke_key(settings: &Settings, id: i64) -> anyhow::Result<bool> {
    let store = migrated(settings).await?;
    Ok(revoke_key::revoke_key(&store, ApiKeyId(id), &By::command_line()).await?.is_some())
}

/// Makes a new key for links; its name.
///
/// # Errors
/// The database does not answer.
pub async fn rotate_links(settings: &Settings) -> anyhow::Result<String> {
    let store = migrated(settings).await?;
    Ok(rotate_links::rotate_links(&store, &By::command_line()).await?.to_string())
}

/// What `doctor` says of the database.
///
/// # Errors
/// What is wrong, and how to fix it.
pub async fn check_database(settings: &Settings) -> Result<String, String> {
    let check = async {
        let store = Store::open(&settings.database)?;
        let pending = store.pending_migrations().await?;
        let now = store.run(Lane::Read, "read the database's clock", engine::now).await?;
        Ok::<_, StoreError>((store, pending, now))
    };
    match check.await {
        Ok((store, pending, now)) if pending.is_empty() => {
            Ok(format!("{:?} answers; its clock says {now}", store.target()))
        }
        Ok((_, pending, _)) => Err(format!(
            "{} migrations are missing ({}); run `volley migrate`, or start `volley serve`",
            pending.len(),
            pending.join(", ")
        )),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|source| format!(" ({source})")).unwrap_or_default();
            Err(format!("{error}{cause}; check database.url and that the server runs"))
        }
    }
}

/// The roles of the instances that live, with how many there are of each. None: that cannot be read, or none lives.
pub async fn live_roles(settings: &Settings) -> Vec<(Role, usize)> {
    let Ok(store) = Store::open(&settings.database) else { return Vec::new() };
    let live = store.run(Lane::Read, "list live instances", instances::live).await.unwrap_or_default();
    let count = |role: &Role| live.iter().filter(|one| one.role == *role).count();
    Role::ALL.iter().map(|role| (*role, count(role))).filter(|(_, count)| *count > 0).collect()
}

/// The file of the embedded database; `None` on PostgreSQL.
#[must_use]
pub fn database_file(settings: &Settings) -> Option<PathBuf> {
    match Target::parse(settings.database.url.expose()) {
        Ok(Target::Sqlite(path)) => Some(PathBuf::from(path)),
        Ok(Target::Pg(_)) | Err(_) => None,
    }
}

/// Checks that every pool's channel can be built from its settings. Opens no connection.
///
/// # Errors
/// The first setting that cannot work, by its key.
pub fn check_pools(settings: &Settings) -> anyhow::Result<()> {
    super::build_channels(&settings.pools).map(drop)
}

/// Whether a pool's provider answers: one line that says what was tried. Sends no message.
///
/// # Errors
/// What is wrong.
pub async fn probe(pool: &PoolConfig) -> Result<String, String> {
    let channel = channels::build(pool).map_err(|error| error.to_string())?;
    channel.probe().await
}

/// Whether a target can be called as its settings say. It is not called: a receiver would take that for news.
///
/// # Errors
/// In one line, which setting cannot work.
pub fn check_target(target: &TargetConfig) -> Result<(), String> {
    Caller::new(&target.webhook(), target.timeout()).map(drop)
}

/// Connects to the broker, where one is configured, and declares exchanges and queues.
///
/// # Errors
/// In one line, why that does not work.
pub async fn check_broker(settings: &Settings) -> Result<(), String> {
    broker_link::probe(settings).await
}
