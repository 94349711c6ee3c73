//! How long each write transaction of this process took: from when it had begun until it was committed. On SQLite nobody else writes
//! meanwhile; on PostgreSQL a transaction of the worker holds one shard.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use diesel::connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation};

use crate::figures::percentile;

static TOOK_MS: Mutex<Vec<f64>> = Mutex::new(Vec::new());

/// Where a connection stands.
#[derive(Default)]
enum Clock {
    #[default]
    Idle,
    Beginning,
    Begun(Instant),
    Committing(Instant),
}

impl Instrumentation for Clock {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        let before = std::mem::take(self);
        *self = match (before, event) {
            (_, InstrumentationEvent::BeginTransaction { .. }) => Self::Beginning,
            (Self::Begun(at), InstrumentationEvent::CommitTransaction { .. }) => Self::Committing(at),
            // Those that read are no concern of others.
            (Self::Beginning, InstrumentationEvent::FinishQuery { query, .. })
                if !["DEFERRED", "READ ONLY"].iter().any(|word| query.to_string().contains(word)) =>
            {
                Self::Begun(Instant::now())
            }
            (Self::Committing(at), InstrumentationEvent::FinishQuery { .. }) => {
                let took = at.elapsed().as_secs_f64() * 1e3;
                TOOK_MS.lock().unwrap_or_else(PoisonError::into_inner).push(took);
                Self::Idle
            }
            (Self::Beginning, InstrumentationEvent::FinishQuery { .. })
            | (_, InstrumentationEvent::RollbackTransaction { .. }) => Self::Idle,
            (before, _) => before,
        };
    }
}

/// Listens to all connections that this process makes from now on.
pub(crate) fn listen() {
    set_default_instrumentation(|| Some(Box::new(Clock::default()))).expect("nobody else listens");
}

/// Forgets those that were so far.
pub(crate) fn forget() {
    TOOK_MS.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// What stands above [`columns`].
pub(crate) const HEAD: &str = "transaction p50 ms | p99 | longest |";

/// How long those took that were since [`forget`].
pub(crate) fn columns() -> String {
    let took = TOOK_MS.lock().unwrap_or_else(PoisonError::into_inner);
    let [p50, p99, longest] = [50, 99, 100].map(|percent| percentile(&took, percent));
    format!("{p50:.1} | {p99:.1} | {longest:.1} |")
}
