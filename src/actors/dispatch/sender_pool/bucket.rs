//! A bucket of tokens: when may the next hand-over begin?

use std::time::{Duration, Instant};

/// A token bucket: `rate` tokens a second, at most `burst` saved up. A rate of 0 is no limit.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    pub(super) fn new(rate: f64, burst: f64, now: Instant) -> Self {
        let burst = burst.max(1.0);
        Self { rate, burst, tokens: burst, at: now }
    }

    /// Tokens a second.
    pub(super) fn per_second(&self) -> f64 {
        self.rate
    }

    /// Whole tokens in hand, at most `most`.
    pub(super) fn in_hand(&mut self, now: Instant, most: usize) -> usize {
        if self.rate <= 0.0 {
            return most;
        }
        self.tokens = (self.tokens + now.duration_since(self.at).as_secs_f64() * self.rate).min(self.burst);
        self.at = now;
        let mut whole = 0;
        while whole < most && self.tokens >= f64::from(u32::try_from(whole + 1).unwrap_or(u32::MAX)) {
            whole += 1;
        }
        whole
    }

    pub(super) fn take(&mut self, n: usize) {
        if self.rate > 0.0 {
            self.tokens -= f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        }
    }

    /// Gives back tokens of hand-overs that were not begun.
    pub(super) fn give_back(&mut self, n: usize) {
        if self.rate > 0.0 {
            self.tokens = (self.tokens + f64::from(u32::try_from(n).unwrap_or(u32::MAX))).min(self.burst);
        }
    }

    /// How long from `now` on until a token is in hand.
    pub(super) fn dry_for(&self, now: Instant) -> Duration {
        self.filled(1.0).saturating_sub(now.duration_since(self.at))
    }

    /// Whether it holds all that may be saved up.
    pub(super) fn is_full(&self, now: Instant) -> bool {
        self.filled(self.burst) <= now.duration_since(self.at)
    }

    /// How long after the last look it holds so many tokens.
    fn filled(&self, tokens: f64) -> Duration {
        if self.rate <= 0.0 || self.tokens >= tokens {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64((tokens - self.tokens) / self.rate).unwrap_or(Duration::MAX)
    }

    /// How long until a token is in hand.
    pub(super) fn wait(&self) -> Duration {
        if self.rate <= 0.0 || self.tokens >= 1.0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64(((1.0 - self.tokens) / self.rate).clamp(0.001, 60.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10.0, 5.0, start);
        assert_eq!(bucket.in_hand(start, 64), 5);
        bucket.take(5);
        assert_eq!(bucket.in_hand(start, 64), 0);
        assert_eq!(bucket.in_hand(start + Duration::from_millis(310), 64), 3);
    }

    #[test]
    fn no_rate_is_no_limit() {
        let start = Instant::now();
        let mut bucket = Bucket::new(0.0, 1.0, start);
        bucket.take(1000);
        assert_eq!(bucket.in_hand(start, 64), 64);
    }
}
