//! Waiting for a condition instead of sleeping.

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
