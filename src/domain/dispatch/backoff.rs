//! How long something that failed is left alone.

use std::time::Duration;

/// The longest `Retry-After` that is honoured; a longer one counts as this.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// `first`, doubled for each further failure, and never more than `cap`.
#[must_use]
pub fn doubling(first: Duration, failures: u32, cap: Duration) -> Duration {
    first.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(cap)
}

/// A provider's `Retry-After`, at least a second (`0`, or a date that has passed, would be a call after the other without
/// end) and at most [`MAX_RETRY_AFTER`].
#[must_use]
pub fn honoured(retry_after: Duration) -> Duration {
    retry_after.clamp(Duration::from_secs(1), MAX_RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_provider_asks_for_is_held_between_a_second_and_an_hour() {
        assert_eq!(honoured(Duration::ZERO), Duration::from_secs(1));
        assert_eq!(honoured(Duration::from_secs(90)), Duration::from_secs(90));
        assert_eq!(honoured(Duration::from_secs(86_400)), MAX_RETRY_AFTER);
    }

    #[test]
    fn a_wait_doubles_up_to_its_cap() {
        let cap = Duration::from_secs(30);
        let waits: Vec<u64> =
            (1..=7).map(|failures| doubling(Duration::from_secs(1), failures, cap).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
    }
}
