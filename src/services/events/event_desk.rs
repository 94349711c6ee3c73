//! Where single events come in: those that come within a few milliseconds share a transaction.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::store_events::{EventError, EventStore, Outcome};
use super::told::Told;
use crate::store::StoreError;

/// How long the first event waits for company: one commit then serves all that came meanwhile.
const GATHERED_FOR: Duration = Duration::from_millis(3);

/// Events that may wait for their turn: more wait at the door.
const WAITING: usize = 4_096;

/// An event that waits, and where its outcome goes.
struct Waiting {
    event: Told,
    told: oneshot::Sender<Outcome>,
}

/// The way to the desk. Cloning is cheap.
#[derive(Clone)]
pub struct EventDesk {
    sender: mpsc::Sender<Waiting>,
    store: EventStore,
}

impl EventDesk {
    /// A desk, and the work behind it, which runs until the last desk is gone.
    pub fn new(store: EventStore) -> (Self, impl Future<Output = ()> + use<>) {
        let (sender, waiting) = mpsc::channel(WAITING);
        (Self { sender, store: store.clone() }, work(store, waiting))
    }

    /// Stores an event.
    ///
    /// # Errors
    /// [`EventError`]; it is not stored then, but for what that says.
    pub async fn take(&self, event: Told) -> Outcome {
        let (told, answer) = oneshot::channel();
        let gone = || EventError::Store(StoreError::Closed);
        self.sender.send(Waiting { event, told }).await.map_err(|_gone| gone())?;
        answer.await.unwrap_or_else(|_gone| Err(gone()))
    }

    /// Stores a batch of events at once; what became of each of them, in their order.
    pub async fn take_all(&self, events: Vec<Told>) -> Vec<Outcome> {
        self.store.store_all(events).await
    }

    /// Whether its work goes on.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }
}

async fn work(store: EventStore, mut waiting: mpsc::Receiver<Waiting>) {
    while let Some(first) = waiting.recv().await {
        tokio::time::sleep(GATHERED_FOR).await;
        let mut batch = vec![first];
        while batch.len() < store.at_once()
            && let Ok(next) = waiting.try_recv()
        {
            batch.push(next);
        }
        let (events, told): (Vec<Told>, Vec<_>) =
            batch.into_iter().map(|waiting| (waiting.event, waiting.told)).unzip();
        let outcomes = store.store_together(&events).await;
        for ((event, told), outcome) in events.into_iter().zip(told).zip(outcomes) {
            let store = store.clone();
            let answer = async move {
                let outcome = match outcome {
                    Some(outcome) => outcome,
                    None => store.store_alone(&event, EventStore::patience()).await,
                };
                // The event is stored although its request may have been broken off.
                let _ = told.send(outcome);
            };
            // The others do not wait for one whose contact is locked.
            tokio::spawn(answer);
        }
    }
}
