//! The suspension of a pool, and its end.

use serde_json::json;

use super::known_pool::is_known;
use crate::domain::access::audit::{Action as Done, Object};
use crate::domain::instant::UtcInstant;
use crate::domain::replicas::decision::{Action, Subject};
use crate::domain::replicas::messages::Control;
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::replicas::pool_switch::PoolSwitch;
use crate::store::replicas::pool_switches;
use crate::store::{Conn, Lane, MayBeStoreError, StoreError, engine};

/// What an operator decides about a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PoolDecision {
    /// Nothing is handed over through it, on any instance.
    Suspend {
        /// For people.
        reason: String,
        /// When it goes on by itself.
        until: Option<UtcInstant>,
    },
    /// It goes on.
    Resume,
}

/// Why a pool is not switched.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// There is no such pool.
    #[error("there is no pool {0}")]
    NoSuchPool(String),
    /// The end of the suspension has passed.
    #[error("must lie in the future (it is {now})")]
    Past {
        /// The time of the database.
        now: UtcInstant,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MayBeStoreError for SwitchError {
    fn into_store_error(self) -> Result<StoreError, Self> {
        match self {
            Self::Store(error) => Ok(error),
            refused @ (Self::NoSuchPool(_) | Self::Past { .. }) => Err(refused),
        }
    }
}

/// Suspends a pool on every instance, or lets it go on. Returns the switch and the database's time. A suspension holds on
/// this instance before this returns.
///
/// # Errors
/// [`SwitchError`]; nothing has changed then.
pub async fn switch_pool(
    services: &Services,
    pool: &str,
    decision: PoolDecision,
    by: &By,
) -> Result<(PoolSwitch, UtcInstant), SwitchError> {
    if !is_known(services, pool).await? {
        return Err(SwitchError::NoSuchPool(pool.to_owned()));
    }
    let name = pool.to_owned();
    let (suspends, action) = match &decision {
        PoolDecision::Suspend { .. } => (true, Action::Suspend),
        PoolDecision::Resume => (false, Action::Resume),
    };
    let asker = by.clone();
    let work = move |conn: &mut Conn| {
        let now = engine::now(conn)?;
        let set = match &decision {
            PoolDecision::Suspend { until: Some(until), .. } if *until <= now => return Err(SwitchError::Past { now }),
            PoolDecision::Suspend { reason, until } => pool_switches::set(conn, &name, true, Some(reason), *until)?,
            PoolDecision::Resume => pool_switches::set(conn, &name, false, None, None)?,
        };
        let done = if suspends { Done::Suspended } else { Done::Resumed };
        let line = Line::of(done, Object::Pool, &name);
        audit::write(conn, &asker, line.after(json!({ "version": set.version, "expires_at": set.expires_at })))?;
        Ok((set, now))
    };
    let (set, now) = services.store.transact(Lane::Control, "set a pool's switch", work).await?;
    if suspends {
        // Before the answer, and whatever the decision's follower is at: nothing more begins here.
        services.suspensions.suspend(pool, set.version);
    }
    services.hints.decision_stored(&Control::of(&Subject::Pool(pool.to_owned()), action, set.version), by);
    tracing::info!(
        event = "pool.control",
        pool,
        suspended = suspends,
        version = set.version,
        by = %by,
        "a decision about the pool is stored"
    );
    Ok((set, now))
}
