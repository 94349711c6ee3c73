//! A tray: where many tasks on many threads leave things for one actor.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// How long the owner waits for company after the first thing: one wake-up then serves all that came meanwhile. A
/// wake-up of another thread for every message costs more than the rest of what this process does for it.
const LINGER: Duration = Duration::from_millis(1);

/// Things for one owner, in order. Leaving one never waits.
pub(crate) struct Batcher<T> {
    things: Mutex<Vec<T>>,
    first: Notify,
}

impl<T> Batcher<T> {
    pub(crate) fn new() -> Self {
        Self { things: Mutex::new(Vec::new()), first: Notify::new() }
    }

    /// Leaves one thing.
    pub(crate) fn leave(&self, thing: T) {
        let is_first = {
            let mut things = self.things.lock().unwrap_or_else(PoisonError::into_inner);
            things.push(thing);
            things.len() == 1
        };
        if is_first {
            self.first.notify_one();
        }
    }

    /// Everything left since the last call, once there is something. For the owner alone.
    pub(crate) async fn next(&self) -> Vec<T> {
        loop {
            self.first.notified().await;
            tokio::time::sleep(LINGER).await;
            let things = std::mem::take(&mut *self.things.lock().unwrap_or_else(PoisonError::into_inner));
            if !things.is_empty() {
                return things;
            }
        }
    }
}
