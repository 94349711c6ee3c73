//! How long a delivery waits before it is tried again, and how long something that failed is left alone.

use std::time::Duration;

/// The longest wait between two attempts that Volley chooses by itself.
pub const MAX_RETRY_WAIT: Duration = Duration::from_secs(30);

/// The longest `Retry-After` that is honoured; a longer one counts as this.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// The wait after attempt number `attempt` (1 for the first): 1, 2, 4 … seconds up to [`MAX_RETRY_WAIT`], spread over
/// 75 % to 125 % by `jitter` (0.0 to 1.0) so that a thousand refused at once do not come back at once.
#[must_use]
pub fn retry_wait(attempt: u32, jitter: f64) -> Duration {
    doubling(Duration::from_secs(1), attempt, MAX_RETRY_WAIT).mul_f64(0.75 + 0.5 * jitter.clamp(0.0, 1.0))
}

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
    fn waits_double_from_one_second() {
        let waits: Vec<u64> = (1..=7).map(|attempt| retry_wait(attempt, 0.5).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn jitter_spreads_a_wait_by_a_quarter_either_way() {
        assert_eq!(retry_wait(1, 0.0), Duration::from_millis(750));
        assert_eq!(retry_wait(1, 1.0), Duration::from_millis(1250));
    }
}
