//! The state of the link: for `/readyz`, `/v1/admin/state` and the metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{counter, gauge};
use serde::Serialize;

use super::session::LinkError;
use crate::domain::instant::UtcInstant;

/// The link's connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Connection {
    Publishing,
    Consuming,
    Controlling,
}

impl Connection {
    const ALL: [Self; 3] = [Self::Publishing, Self::Consuming, Self::Controlling];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Publishing => "publishing",
            Self::Consuming => "consuming",
            Self::Controlling => "controlling",
        }
    }
}

/// The state of one connection.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ConnectionState {
    /// `publishing`, `consuming` or `controlling`.
    pub connection: &'static str,
    /// Whether it is open.
    pub connected: bool,
    /// Since when.
    pub since: UtcInstant,
    /// What ended it last.
    pub error: Option<String>,
}

/// The state of the link to the broker.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct LinkState {
    /// Whether every connection is open.
    pub connected: bool,
    /// Each connection.
    pub connections: Vec<ConnectionState>,
    /// Messages that wait in each queue, measured every 15 s; `null` where the broker did not say.
    pub queues: BTreeMap<String, Option<u32>>,
}

pub(super) struct State {
    broker_announces: Arc<AtomicBool>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    connections: BTreeMap<Connection, ConnectionState>,
    queues: BTreeMap<String, Option<u32>>,
}

impl State {
    pub(super) fn new(broker_announces: Arc<AtomicBool>) -> Self {
        let state = Self { broker_announces, inner: Mutex::default() };
        for which in Connection::ALL {
            state.set(which, false, None);
        }
        state
    }

    pub(super) fn connected(&self, which: Connection) {
        self.set(which, true, None);
        tracing::info!(
            event = "broker.connected",
            connection = which.name(),
            "this instance is connected to the broker"
        );
    }

    /// Returns whether that is news.
    pub(super) fn lost(&self, which: Connection, error: &LinkError) -> bool {
        let text = error.to_string();
        let news = {
            let inner = self.lock();
            inner.connections.get(&which).is_none_or(|known| known.connected || known.error.is_none())
        };
        self.set(which, false, Some(text));
        news
    }

    /// The link itself is gone.
    pub(super) fn all_lost(&self) {
        for which in Connection::ALL {
            self.set(which, false, None);
        }
    }

    fn set(&self, which: Connection, connected: bool, error: Option<String>) {
        gauge!("volley_broker_connected", "connection" => which.name()).set(f64::from(u8::from(connected)));
        let mut inner = self.lock();
        let known = inner.connections.get(&which).filter(|known| known.connected == connected);
        let since = known.map_or_else(now, |known| known.since);
        inner.connections.insert(which, ConnectionState { connection: which.name(), connected, since, error });
        let stands = |which| inner.connections.get(&which).is_some_and(|state| state.connected);
        self.broker_announces.store(stands(Connection::Publishing) && stands(Connection::Consuming), Ordering::Release);
    }

    pub(super) fn measured(&self, queue: &str, waiting: Option<u32>) {
        gauge!("volley_broker_queue_messages", "queue" => queue.to_owned()).set(waiting.map_or(f64::NAN, f64::from));
        self.lock().queues.insert(queue.to_owned(), waiting);
    }

    pub(super) fn published(&self, exchange: &'static str, n: usize) {
        let n = u64::try_from(n).unwrap_or(0);
        counter!("volley_broker_messages_total", "exchange" => exchange, "result" => "published").increment(n);
    }

    pub(super) fn heard(&self) {
        counter!("volley_broker_messages_total", "exchange" => super::topology::CONTROL, "result" => "heard")
            .increment(1);
    }

    pub(super) fn dead_lettered(&self) {
        counter!("volley_broker_dead_letters_total").increment(1);
    }

    pub(super) fn shown(&self) -> LinkState {
        let inner = self.lock();
        LinkState {
            connected: inner.connections.values().all(|state| state.connected),
            connections: inner.connections.values().cloned().collect(),
            queues: inner.queues.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shown to people only; nothing is decided by it.
fn now() -> UtcInstant {
    UtcInstant(jiff::Timestamp::now().as_millisecond())
}
