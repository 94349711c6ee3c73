//! Repeatable randomness: the seed is printed, so that a failed run can be thrown again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A splitmix64 generator.
#[derive(Debug)]
pub(crate) struct Dice(AtomicU64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Seeded by `VOLLEY_TEST_SEED` or by the system; prints the seed.
    pub(crate) fn thrown() -> Self {
        let given = std::env::var_os("VOLLEY_TEST_SEED").and_then(|text| text.to_str()?.parse().ok());
        let seed = given.unwrap_or_else(|| u64::from(uuid::Uuid::new_v4().as_fields().0));
        println!("VOLLEY_TEST_SEED={seed}");
        Self::new(seed)
    }

    pub(crate) fn next(&self) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    /// A time from `low` to `high` milliseconds, to the microsecond.
    pub(crate) fn millis(&self, low: u64, high: u64) -> Duration {
        Duration::from_micros(self.between(low * 1_000, high * 1_000))
    }
}
