//! Events that programs tell of: many in one transaction, each with its own result.

use std::time::Duration;

use metrics::counter;
use tokio::time::Instant;

use super::record::{Fate, record};
use super::told::{Refused, Stored, Told};
use crate::store::people::refusals::RefusalBook;
use crate::store::{Conn, Lane, Store, StoreError};

/// Events in one transaction: on SQLite 1,000 would hold its only writer for some 45 ms.
const AT_ONCE: usize = 1_000;
const AT_ONCE_WITH_ONE_WRITER: usize = 200;

/// How often many events are tried together when another transaction is about the same contacts or keys.
const TRIES: usize = 3;

/// How long it is tried again when another transaction is about the same contact or key, and how far apart.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(25);

/// Why an event has no result.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// It was refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The database failed. Unless it has a key, it may be stored all the same.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of one event that was told.
pub type Outcome = Result<Stored, EventError>;

/// What stores events.
#[derive(Clone)]
pub struct EventStore {
    store: Store,
    book: RefusalBook,
}

impl EventStore {
    /// Stores into this database, and files refusals that events bring along in this book.
    #[must_use]
    pub const fn new(store: Store, book: RefusalBook) -> Self {
        Self { store, book }
    }

    /// How many events one transaction takes.
    #[must_use]
    pub fn at_once(&self) -> usize {
        if self.store.has_one_writer() { AT_ONCE_WITH_ONE_WRITER } else { AT_ONCE }
    }

    /// Stores events; what became of each of them, in their order. What is told has been committed. One that fails keeps no other
    /// one out: it is taken out, and tried alone.
    pub async fn store_all(&self, all: Vec<Told>) -> Vec<Outcome> {
        let mut together = Vec::with_capacity(all.len());
        for part in all.chunks(self.at_once()) {
            together.extend(self.store_together(part).await);
        }
        // One deadline for all: a request is answered before its sender gives up.
        let until = Self::patience();
        let (mut outcomes, mut outage) = (Vec::with_capacity(all.len()), None::<String>);
        for (told, outcome) in all.iter().zip(together) {
            outcomes.push(match (outcome, &outage) {
                (Some(outcome), _) => outcome,
                (None, Some(detail)) => absent(detail),
                (None, None) => {
                    let outcome = self.store_alone(told, until).await;
                    if let Err(EventError::Store(error)) = &outcome
                        && error.is_outage()
                    {
                        outage = Some(error.to_string());
                    }
                    outcome
                }
            });
        }
        outcomes
    }

    /// Stores events in one transaction. `None`: this one is to be stored alone.
    pub(super) async fn store_together(&self, part: &[Told]) -> Vec<Option<Outcome>> {
        let mut tries = if part.len() > 1 { TRIES } else { 0 };
        while tries > 0 {
            match self.try_to(part.to_vec()).await {
                Ok(fates) => return fates.into_iter().map(decided).collect(),
                Err(error) if error.is_outage() => {
                    let detail = error.to_string();
                    return part.iter().map(|_| Some(absent(&detail))).collect();
                }
                // What the other transaction has stored is seen now.
                Err(error) if error.is_contention() => tries -= 1,
                Err(_) => break,
            }
        }
        part.iter().map(|_| None).collect()
    }

    /// Stores an event in a transaction of its own. Until then, it waits for others that are about the same contact: outside of the
    /// database, where nobody waits for it.
    pub(super) async fn store_alone(&self, told: &Told, until: Instant) -> Outcome {
        loop {
            let fate = match self.try_to(vec![told.clone()]).await {
                Ok(fates) => fates.into_iter().next().unwrap_or(Err(Refused::Busy)),
                Err(error) if error.is_contention() => Err(Refused::Busy),
                Err(error) => return counted(Err(error.into())),
            };
            match fate {
                Err(Refused::Busy) if Instant::now() < until => tokio::time::sleep(PAUSE).await,
                fate => return counted(fate.map_err(EventError::from)),
            }
        }
    }

    /// Until when one that is tried now is tried again.
    pub(super) fn patience() -> Instant {
        Instant::now() + PATIENCE
    }

    async fn try_to(&self, told: Vec<Told>) -> Result<Vec<Fate>, StoreError> {
        let book = self.book.clone();
        let work = move |conn: &mut Conn| record(conn, &book, &told);
        self.store.transact(Lane::Write, "store events", work).await
    }
}

fn decided(fate: Fate) -> Option<Outcome> {
    match fate {
        Err(Refused::Busy) => None,
        fate => Some(counted(fate.map_err(EventError::from))),
    }
}

/// An event that was not tried because the database failed before.
fn absent(detail: &str) -> Outcome {
    let error = StoreError::Unavailable { action: "store events", detail: detail.to_owned() };
    counted(Err(error.into()))
}

fn counted(outcome: Outcome) -> Outcome {
    let what = match &outcome {
        Ok(stored) if stored.is_new => "stored",
        Ok(_) => "repeated",
        Err(EventError::Refused(_)) => "refused",
        Err(EventError::Store(_)) => "failed",
    };
    counter!("volley_events_total", "result" => what).increment(1);
    outcome
}
