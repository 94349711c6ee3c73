//! A session on PostgreSQL that shows, for as long as it lasts, that this instance lives: it holds an advisory lock, which
//! the server frees the moment the process is gone.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use r2d2::ManageConnection as _;

use crate::domain::ids::InstanceId;
use crate::store::engine::dialect::conn::{Manager, Purpose};
use crate::store::replicas::dialect;
use crate::store::{Store, Target};

/// How often the session is looked at, and tried again when it is gone.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// The session; it ends with this. SQLite has one instance: no lock is held.
#[derive(Debug)]
pub struct SessionLock {
    /// Its end wakes the thread.
    _ends: Option<Sender<()>>,
}

impl SessionLock {
    /// Shows that `me` lives, on a connection and a thread of its own.
    #[must_use]
    pub fn of(store: &Store, me: InstanceId) -> Self {
        let target = store.target().clone();
        if matches!(target, Target::Sqlite(_)) {
            return Self { _ends: None };
        }
        let (ends, ended) = channel();
        let manager = Manager { target, purpose: Purpose::General, history: Arc::clone(store.history()) };
        let shows = std::thread::Builder::new().name("presence".to_owned()).spawn(move || show(&manager, me, &ended));
        if let Err(error) = shows {
            // Others then wait for the leases to end, should this process die.
            tracing::warn!(
                event = "instance.presence_unshown",
                error = %error,
                "no thread can be started to hold the session lock of this instance"
            );
        }
        Self { _ends: Some(ends) }
    }
}

fn show(manager: &Manager, me: InstanceId, ended: &Receiver<()>) {
    let mut session = None;
    loop {
        session = match session.take() {
            Some(mut pooled) => manager.is_valid(&mut pooled).ok().map(|()| pooled),
            // A session that the server has not yet given up still shows it; the next try takes over.
            None => manager.connect().ok().and_then(|mut pooled| {
                matches!(dialect::hold_presence(&mut pooled.conn, me), Ok(true)).then_some(pooled)
            }),
        };
        match ended.recv_timeout(CHECK_EVERY) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
