//! Asks the database whether it answers, at most once a second however many requests want to know.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::runtime::health::Health;
use crate::store::{Lane, Store, StoreError, engine};

/// How long readiness waits for the database.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// How long the database's last answer is believed.
const FRESH: Duration = Duration::from_secs(1);

/// When the database was last asked whether it answers. One request asks; those that come meanwhile wait for its result.
#[derive(Debug, Default)]
pub struct DatabaseProbe {
    asked: Mutex<Option<Instant>>,
}

impl DatabaseProbe {
    /// Asks the database whether it answers, unless it was asked a moment ago, and notes a failure in `health`. A success is
    /// noted by what writes: a database that can be read may still have a full disk.
    pub(super) async fn refresh(&self, store: &Store, health: &Health) {
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|at| at.elapsed() < FRESH) {
            return;
        }
        let answer = store.run(Lane::LookUp, "ask whether the database answers", |conn| engine::now(conn).map(drop));
        let answer = tokio::time::timeout(READY_WITHIN, answer).await.unwrap_or_else(|_late| {
            Err(StoreError::Unavailable {
                action: "ask whether the database answers",
                detail: format!("no answer within {} s", READY_WITHIN.as_secs()),
            })
        });
        if let Err(error) = answer {
            health.note_store(Err(&error));
        }
        *asked = Some(Instant::now());
    }
}
