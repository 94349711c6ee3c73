//! A clock that never goes back and counts the time the machine sleeps: what fencing needs.

use std::time::Duration;

/// A point on CLOCK_BOOTTIME: nanoseconds since boot, suspend included. A lease held over a laptop's nap is not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Boottime(i64);

impl Boottime {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Self(time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec))
    }

    /// The point `duration` later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// How long it is from `now` until this point; zero when it has passed.
    #[must_use]
    pub fn remaining(self, now: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(now.0)).unwrap_or(0))
    }

    /// As a number that an atomic can hold.
    #[must_use]
    pub fn to_bits(self) -> i64 {
        self.0
    }

    /// From such a number.
    #[must_use]
    pub fn from_bits(bits: i64) -> Self {
        Self(bits)
    }
}
