//! Rates and circuits: when may the next hand-over begin?

use std::time::{Duration, Instant};

use crate::domain::backoff;

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

/// Whether a pool's provider is used at all. Opens at the first fault of the provider as a whole; after a wait, one
/// recipient at a time tries whether it is back.
#[derive(Debug, Clone)]
pub(super) struct Circuit {
    first: Duration,
    longest: Duration,
    faults: u32,
    closed_until: Option<Instant>,
    /// How often in a row it put somebody off for coming too fast.
    throttles: u32,
    /// Asked for by the provider: no answer to a call that was under way ends it.
    quiet_until: Option<Instant>,
}

impl Circuit {
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, faults: 0, closed_until: None, throttles: 0, quiet_until: None }
    }

    /// The provider failed as a whole. Calls that were under way together count once.
    pub(super) fn fault(&mut self, now: Instant) {
        if self.closed_until.is_some_and(|until| now < until) {
            return;
        }
        self.faults = self.faults.saturating_add(1);
        self.closed_until = Some(now + backoff::doubling(self.first, self.faults, self.longest));
    }

    /// The provider answered. Returns whether it may be used at once.
    pub(super) fn answered(&mut self, now: Instant) -> bool {
        self.faults = 0;
        self.throttles = 0;
        self.closed_until = None;
        self.quiet_until = self.quiet_until.filter(|until| now < *until);
        self.quiet_until.is_none()
    }

    /// The provider asked for quiet.
    pub(super) fn quiet(&mut self, until: Instant) {
        self.quiet_until = self.quiet_until.max(Some(until));
    }

    /// The provider put somebody off for coming too fast, and did not say how long. One may have meant this recipient only
    /// (greylisting); from the third in a row on the provider is given quiet, longer each time. Calls that were under way
    /// together count once. Returns for how long, if it begins now.
    pub(super) fn throttled(&mut self, now: Instant) -> Option<Duration> {
        const TOLERATED: u32 = 2;
        if self.quiet_until.is_some_and(|until| now < until) {
            return None;
        }
        self.throttles = self.throttles.saturating_add(1);
        let times = self.throttles.checked_sub(TOLERATED).filter(|times| *times > 0)?;
        let wait = backoff::doubling(self.first, times, self.longest);
        self.quiet(now + wait);
        Some(wait)
    }

    fn opens_at(&self) -> Option<Instant> {
        self.closed_until.max(self.quiet_until)
    }

    /// How many may begin, of `most`.
    pub(super) fn admits(&self, now: Instant, in_flight: usize, most: usize) -> usize {
        match self.opens_at() {
            None => most,
            Some(until) if now < until => 0,
            // Half open: one at a time.
            Some(_) => most.min(1_usize.saturating_sub(in_flight)),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.opens_at().is_some()
    }

    /// How long until one may try.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        self.opens_at().map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
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

    #[test]
    fn an_open_circuit_admits_one_at_a_time_after_its_wait() {
        let start = Instant::now();
        let mut circuit = Circuit::new(Duration::from_secs(1), Duration::from_secs(4));
        circuit.fault(start);
        circuit.fault(start);
        assert_eq!(circuit.admits(start, 0, 50), 0);
        let later = start + Duration::from_secs(1);
        assert_eq!(circuit.admits(later, 0, 50), 1);
        assert_eq!(circuit.admits(later, 1, 50), 0);
        circuit.fault(later);
        assert_eq!(circuit.wait(later), Duration::from_secs(2));
        circuit.answered(later);
        assert_eq!(circuit.admits(later, 20, 50), 50);
    }

    #[test]
    fn a_provider_that_throttles_again_and_again_gets_longer_and_longer_quiet() {
        let mut now = Instant::now();
        let mut circuit = Circuit::new(Duration::from_secs(1), Duration::from_secs(4));
        assert_eq!((circuit.throttled(now), circuit.throttled(now)), (None, None));
        assert_eq!(circuit.admits(now, 0, 50), 50, "two may have meant their recipients only");
        for seconds in [1, 2, 4, 4] {
            assert_eq!(circuit.throttled(now), Some(Duration::from_secs(seconds)));
            assert_eq!(circuit.throttled(now), None, "those under way together count once");
            assert_eq!(circuit.admits(now, 0, 50), 0);
            now += Duration::from_secs(seconds);
            assert_eq!(circuit.admits(now, 0, 50), 1, "one tries first");
        }
        assert!(circuit.answered(now));
        assert_eq!((circuit.admits(now, 0, 50), circuit.throttled(now)), (50, None));
    }

    #[test]
    fn an_answer_to_a_call_under_way_does_not_end_the_quiet_that_was_asked_for() {
        let start = Instant::now();
        let mut circuit = Circuit::new(Duration::from_secs(1), Duration::from_secs(4));
        circuit.quiet(start + Duration::from_secs(3));
        circuit.fault(start);
        assert!(!circuit.answered(start + Duration::from_millis(10)));
        assert_eq!(circuit.admits(start + Duration::from_secs(2), 0, 50), 0);
        let later = start + Duration::from_secs(3);
        assert_eq!(circuit.admits(later, 0, 50), 1, "one tries first");
        assert!(circuit.answered(later));
        assert_eq!(circuit.admits(later, 20, 50), 50);
    }
}
