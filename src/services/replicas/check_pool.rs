//! Whether a pool's provider answers, asked by an operator: as `volley doctor` asks it, on an instance that is running.

use std::time::{Duration, Instant};

use crate::channels;
use crate::config::pools::PoolConfig;
use crate::domain::access::audit::{Action, Object};
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::StoreError;

/// How long a provider is waited for.
const LONGEST: Duration = Duration::from_secs(15);

/// What came of a check.
#[derive(Debug, Clone)]
pub struct Checked {
    /// What was tried and worked, or what is wrong; one line without secrets.
    pub result: Result<String, String>,
    /// How long it took.
    pub took: Duration,
}

/// Connects to a pool's provider and logs in as the settings say, over a connection of its own. Sends no message.
///
/// # Errors
/// The database failed: the provider was not asked.
pub async fn check_pool(services: &Services, pool: &PoolConfig, by: &By) -> Result<Checked, StoreError> {
    audit::announce(&services.store, by, Line::of(Action::Checked, Object::Pool, &pool.name)).await?;
    let began = Instant::now();
    let result = match channels::build(pool) {
        Err(error) => Err(error.reason),
        Ok(channel) => tokio::time::timeout(LONGEST, channel.probe())
            .await
            .unwrap_or_else(|_elapsed| Err(format!("no answer within {} s", LONGEST.as_secs()))),
    };
    let took = began.elapsed();
    tracing::info!(
        event = "pool.checked",
        pool = pool.name,
        ok = result.is_ok(),
        took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        by = %by,
        "the provider of a pool was checked"
    );
    Ok(Checked { result, took })
}
