//! An operator's correction of the pace that a pool has found.

use serde_json::{Value, json};

use super::known_pool::is_known;
use crate::domain::access::audit::{Action, Object};
use crate::domain::dispatch::pace::{Seconds, Shared};
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::StoreError;

/// What an operator decides about a pool's pace.
#[derive(Debug, Clone, PartialEq)]
pub enum PaceDecision {
    /// The ceilings that were found, and what led to them, are forgotten. What operators marked stays.
    Reset,
    /// A provider that is left alone, or that asked for quiet, is probed with the next delivery.
    Probe,
    /// These ceilings are neither raised nor lowered until a reset.
    Pin {
        /// Hand-overs a second, all instances together.
        rate: Option<f64>,
        /// Hand-overs at once, all instances together.
        places: Option<f64>,
    },
    /// What an unclear answer is about.
    Mark {
        /// The answer without numbers and addresses, as the pace shows it.
        signature: String,
        /// `Some(true)`: the provider as a whole. `Some(false)`: its recipient. `None`: it is found out again.
        relay: Option<bool>,
    },
}

impl PaceDecision {
    /// For the audit log. A provider's words are left out.
    fn described(&self) -> Value {
        match self {
            Self::Reset => json!({ "pace": "reset" }),
            Self::Probe => json!({ "pace": "probe" }),
            Self::Pin { rate, places } => json!({ "pace": "pin", "rate_per_second": rate, "places": places }),
            Self::Mark { relay, .. } => json!({ "pace": "mark", "relay": relay }),
        }
    }

    fn apply(&self, shared: &mut Shared, now: Seconds) {
        match self {
            Self::Reset => shared.reset(now),
            Self::Probe => shared.probe_now(now),
            Self::Pin { rate, places } => shared.pin(*rate, *places, now),
            Self::Mark { signature, relay } => shared.mark(signature, *relay, now),
        }
    }
}

/// Why a pool's pace is not changed.
#[derive(Debug, thiserror::Error)]
pub enum PaceError {
    /// There is no such pool.
    #[error("there is no pool {0}")]
    NoSuchPool(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Changes a pool's pace. Instances follow within a second. Returns the pace, and the time on its clock.
///
/// # Errors
/// [`PaceError`]; nothing has changed then.
pub async fn change_pace(
    services: &Services,
    pool: &str,
    decision: PaceDecision,
    by: &By,
) -> Result<(Shared, Seconds), PaceError> {
    if !is_known(services, pool).await? {
        return Err(PaceError::NoSuchPool(pool.to_owned()));
    }
    // On SQLite the pace is kept in memory: there is no transaction to join.
    let line = Line::of(Action::PaceChanged, Object::Pool, pool).after(decision.described());
    audit::announce(&services.store, by, line).await?;
    let change = move |shared: &mut Shared, now| decision.apply(shared, now);
    Ok(services.paces.change(pool.to_owned(), change).await?)
}
