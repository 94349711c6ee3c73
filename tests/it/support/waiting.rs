//! Waiting for a condition instead of sleeping.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(10);

/// Waits until `found` answers something. Fails the test after `limit`, naming `what` was waited for.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, limit: Duration, mut found: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(began.elapsed() < limit, "waited {limit:?} in vain: {what}");
        std::thread::sleep(POLL);
    }
}

/// Waits until `condition` holds. Fails the test after `limit`, naming `what` was waited for.
#[track_caller]
pub(crate) fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    wait_for(what, limit, || condition().then_some(()));
}

/// Fails the test when `condition` stops holding before `length` has passed.
#[track_caller]
pub(crate) fn stays(what: &str, length: Duration, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while began.elapsed() < length {
        assert!(condition(), "did not stay so for {length:?}: {what}");
        std::thread::sleep(POLL);
    }
}

/// Watches how late this machine wakes a thread that asked for a short nap: what no program on it can be blamed for.
pub(crate) struct Lateness {
    worst_ms: Arc<AtomicU64>,
}

impl Lateness {
    /// Begins to watch; ends when this is dropped.
    pub(crate) fn watch() -> Self {
        const NAP: Duration = Duration::from_millis(2);
        let worst_ms = Arc::new(AtomicU64::new(0));
        let watched = Arc::downgrade(&worst_ms);
        std::thread::spawn(move || {
            while let Some(worst) = watched.upgrade() {
                let began = Instant::now();
                std::thread::sleep(NAP);
                let late = began.elapsed().saturating_sub(NAP).as_millis();
                worst.fetch_max(u64::try_from(late).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        });
        Self { worst_ms }
    }

    /// The worst so far.
    pub(crate) fn worst(&self) -> Duration {
        Duration::from_millis(self.worst_ms.load(Ordering::Relaxed))
    }
}
