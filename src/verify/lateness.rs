//! How late this machine wakes those who sleep.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Watches how late this machine wakes a thread that asked for a short nap: what no program on it can be blamed for.
#[derive(Debug)]
pub struct Lateness {
    worst_ms: Arc<AtomicU64>,
}

impl Lateness {
    /// Begins to watch; ends when this is dropped.
    #[must_use]
    pub fn watch() -> Self {
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
    #[must_use]
    pub fn worst(&self) -> Duration {
        Duration::from_millis(self.worst_ms.load(Ordering::Relaxed))
    }
}
