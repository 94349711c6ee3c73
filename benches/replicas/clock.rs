//! The clock that all processes of the machine share.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The time since some moment in the past that is the same for every process.
pub(crate) fn now() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = time.tv_sec.try_into().expect("a time after that moment");
    Duration::new(seconds, time.tv_nsec.try_into().expect("a part of a second"))
}

/// Milliseconds from one time to another; negative when that came first.
pub(crate) fn millis_between(from: Duration, to: Duration) -> f64 {
    (to.as_secs_f64() - from.as_secs_f64()) * 1e3
}
