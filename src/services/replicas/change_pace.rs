//! An operator's correction of the pace that a pool has found.

use super::known_pool::is_known;
use crate::domain::dispatch::pace::{Seconds, Shared};
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
    _: &By,
) -> Result<(Shared, Seconds), PaceError> {
    if !is_known(services, pool).await? {
        return Err(PaceError::NoSuchPool(pool.to_owned()));
    }
    let change = move |shared: &mut Shared, now| decision.apply(shared, now);
    Ok(services.paces.change(pool.to_owned(), change).await?)
}
