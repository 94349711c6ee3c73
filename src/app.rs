//! The composition root, as the command line sees it.
//!
//! Replaced as a whole when the real one lands: this file only carries the interface.

use crate::config::Settings;
use crate::config::pools::PoolConfig;
use crate::domain::instant::UtcInstant;

/// A running instance.
pub struct App;

/// An API key, without the key.
#[derive(Debug, Clone, serde::Serialize)]
pub struct KeyInfo {
    /// Its id.
    pub id: i64,
    /// What it is for.
    pub name: String,
    /// Its first characters.
    pub prefix: String,
    /// When it was made.
    pub created_at: UtcInstant,
    /// When it was last used.
    pub last_used_at: Option<UtcInstant>,
    /// When it was revoked.
    pub revoked_at: Option<UtcInstant>,
}

const ABSENT: &str = "this build has no engine";

impl App {
    /// Migrates, binds and starts every actor.
    ///
    /// # Errors
    /// What could not be started.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        std::future::ready(Err(anyhow::anyhow!("{ABSENT} ({} pools)", settings.pools.len()))).await
    }

    /// Where the API listens.
    #[must_use]
    pub fn addr(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }

    /// The key that a first start minted.
    #[must_use]
    pub fn first_key(&self) -> Option<&str> {
        None
    }

    /// Drains and stops.
    ///
    /// # Errors
    /// What could not be stopped in time.
    pub async fn stop(self) -> anyhow::Result<()> {
        std::future::ready(Ok(())).await
    }

    /// Resolves when a vital part dies.
    pub async fn failed(&self) -> anyhow::Error {
        std::future::pending().await
    }
}

/// Applies what migrations are missing; their names.
///
/// # Errors
/// The database's refusal.
pub async fn migrate(_settings: &Settings) -> anyhow::Result<Vec<String>> {
    std::future::ready(Err(anyhow::anyhow!(ABSENT))).await
}

/// Makes a key.
///
/// # Errors
/// The database's refusal.
pub async fn create_key(_settings: &Settings, _name: &str) -> anyhow::Result<String> {
    std::future::ready(Err(anyhow::anyhow!(ABSENT))).await
}

/// Every key, newest first.
///
/// # Errors
/// The database's refusal.
pub async fn list_keys(_settings: &Settings) -> anyhow::Result<Vec<KeyInfo>> {
    std::future::ready(Err(anyhow::anyhow!(ABSENT))).await
}

/// Revokes a key; false when there is none.
///
/// # Errors
/// The database's refusal.
pub async fn revoke_key(_settings: &Settings, _id: i64) -> anyhow::Result<bool> {
    std::future::ready(Err(anyhow::anyhow!(ABSENT))).await
}

/// What `doctor` says of the database.
///
/// # Errors
/// What is wrong and how to mend it.
pub async fn check_database(_settings: &Settings) -> Result<String, String> {
    std::future::ready(Err(ABSENT.to_owned())).await
}

/// Whether a pool's provider can be reached.
///
/// # Errors
/// What is wrong.
pub async fn probe(_pool: &PoolConfig) -> Result<(), String> {
    std::future::ready(Err(ABSENT.to_owned())).await
}
