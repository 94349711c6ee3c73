//! When a recipient who was refused for now is tried again, and when that ends.
//!
//! The age of a delivery is the sum of the waits that it was given, not the time since its first try: what the clock does
//! while a campaign is paused or a pool rests makes nobody older, and after each wait there is one more try.

use std::time::Duration;

use crate::domain::span::Span;

/// How soon an attempt is repeated whose answer was lost, under the key that makes repeating it harmless. Short at first,
/// whatever the channel: most answers are lost to a connection that broke or a process that was restarted, the repeat
/// tells what became of the first, and a provider forgets its keys.
const QUICK: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(300),
];

/// The longest limit that may be set, a week: no provider is asked about the same message for longer.
pub const LONGEST_RETRY_FOR: Span = Span::seconds(7 * 86_400);

/// How far a wait is lengthened at most, as a share of it, so that a thousand who were refused at once do not come back at
/// once. It is never shortened: a greylisting relay counts from its first answer.
const JITTER: f64 = 0.25;

/// The longest that [`Retries::tries`] counts.
const MOST_TRIES: u32 = 10_000;

/// What a try was that has just ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// It was certainly not accepted, and none before it is in doubt.
    None,
    /// It, or one before it, may have been accepted: the quick schedule.
    Some,
}

/// The waits of a pool, and where they end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retries {
    delays: Vec<Duration>,
    quick: Vec<Duration>,
    retry_for: Duration,
    max_attempts: u32,
}

/// There is no further try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GaveUp {
    /// It has waited for as long as it may.
    Age(Duration),
    /// It had as many attempts as it may have.
    Attempts(u32),
}

impl std::fmt::Display for GaveUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Age(age) => write!(f, "gave up after {}", Span(*age)),
            Self::Attempts(1) => f.write_str("gave up after 1 attempt"),
            Self::Attempts(attempts) => write!(f, "gave up after {attempts} attempts"),
        }
    }
}

impl Retries {
    /// Waits of `delays`, the last of which repeats, until they add up to `retry_for`, or until there were `max_attempts`
    /// attempts (0: no limit). Without any delay the wait is a second.
    #[must_use]
    pub fn new(delays: Vec<Duration>, retry_for: Duration, max_attempts: u32) -> Self {
        let delays = if delays.is_empty() { vec![Duration::from_secs(1)] } else { delays };
        let longest = delays.len().max(QUICK.len());
        let quick = (0..longest).map(|n| nth(&delays, n).min(nth(&QUICK, n))).collect();
        Self { delays, quick, retry_for, max_attempts }
    }

    /// How long to wait after attempt number `attempt` (from 1). `retry_for` is the campaign's own, if it has one.
    ///
    /// # Errors
    /// It is not tried again.
    pub fn wait(&self, attempt: u32, doubt: Doubt, retry_for: Option<Duration>) -> Result<Duration, GaveUp> {
        let retry_for = retry_for.unwrap_or(self.retry_for);
        if self.max_attempts > 0 && attempt >= self.max_attempts || retry_for.is_zero() {
            return Err(GaveUp::Attempts(attempt));
        }
        let delays = match doubt {
            Doubt::None => &self.delays,
            Doubt::Some => &self.quick,
        };
        let waits = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        let left = retry_for.saturating_sub(sum(delays, waits));
        if left.is_zero() { Err(GaveUp::Age(retry_for)) } else { Ok(nth(delays, waits).min(left)) }
    }

    /// How many tries there are at most of a delivery whose attempts are in doubt.
    #[must_use]
    pub fn tries(&self) -> u32 {
        (1..MOST_TRIES).find(|attempt| self.wait(*attempt, Doubt::Some, None).is_err()).unwrap_or(MOST_TRIES)
    }
}

/// `wait`, lengthened by `jitter` (0.0 to 1.0) of `JITTER`.
#[must_use]
pub fn spread(wait: Duration, jitter: f64) -> Duration {
    wait.mul_f64(1.0 + JITTER * jitter.clamp(0.0, 1.0))
}

/// The one at `n`, or the last.
fn nth(delays: &[Duration], n: usize) -> Duration {
    delays.get(n).or(delays.last()).copied().unwrap_or(Duration::ZERO)
}

/// The first `n` together.
fn sum(delays: &[Duration], n: usize) -> Duration {
    let listed: Duration = delays.iter().take(n).sum();
    let beyond = u32::try_from(n.saturating_sub(delays.len())).unwrap_or(u32::MAX);
    listed.saturating_add(nth(delays, n).saturating_mul(beyond))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(all: &[u64]) -> Vec<Duration> {
        all.iter().map(|seconds| Duration::from_secs(*seconds)).collect()
    }

    fn email() -> Retries {
        Retries::new(seconds(&[300, 600, 1800, 3600]), Duration::from_secs(6 * 3600), 0)
    }

    /// All waits until the end, and the end.
    fn all(retries: &Retries, doubt: Doubt, retry_for: Option<Duration>) -> (Vec<u64>, GaveUp) {
        let mut waits = Vec::new();
        for attempt in 1.. {
            match retries.wait(attempt, doubt, retry_for) {
                Ok(wait) => waits.push(wait.as_secs()),
                Err(end) => return (waits, end),
            }
        }
        unreachable!()
    }

    #[test]
    fn mail_waits_five_ten_and_thirty_minutes_then_hours_and_ends_after_six_hours_of_waiting() {
        let (waits, end) = all(&email(), Doubt::None, None);
        assert_eq!(waits, [300, 600, 1800, 3600, 3600, 3600, 3600, 3600, 900]);
        assert_eq!(waits.iter().sum::<u64>(), 6 * 3600);
        assert_eq!(end.to_string(), "gave up after 6 h");
    }

    #[test]
    fn a_campaigns_own_limit_goes_before_the_pools() {
        let (waits, end) = all(&email(), Doubt::None, Some(Duration::from_secs(1000)));
        assert_eq!((waits, end), (vec![300, 600, 100], GaveUp::Age(Duration::from_secs(1000))));
        assert_eq!(all(&email(), Doubt::None, Some(Duration::ZERO)), (vec![], GaveUp::Attempts(1)));
    }

    #[test]
    fn a_limit_of_attempts_ends_it_earlier() {
        let retries = Retries::new(seconds(&[1, 2]), Duration::from_secs(900), 4);
        let (waits, end) = all(&retries, Doubt::None, None);
        assert_eq!((waits, end.to_string().as_str()), (vec![1, 2, 2], "gave up after 4 attempts"));
    }

    #[test]
    fn what_is_in_doubt_is_asked_again_soon_and_never_later_than_the_pool_says() {
        let (waits, _) = all(&email(), Doubt::Some, None);
        assert_eq!(waits.get(..6), Some([1, 5, 30, 120, 300, 300].as_slice()));
        assert_eq!(waits.iter().sum::<u64>(), 6 * 3600);
        assert_eq!(usize::try_from(email().tries()).unwrap(), waits.len() + 1);
        let short = Retries::new(vec![Duration::from_millis(50)], Duration::from_secs(1), 0);
        assert_eq!(short.wait(1, Doubt::Some, None), Ok(Duration::from_millis(50)));
        assert_eq!(short.tries(), 21);
    }

    #[test]
    fn a_wait_is_spread_upwards_only() {
        assert_eq!(spread(Duration::from_secs(300), 0.0), Duration::from_secs(300));
        assert_eq!(spread(Duration::from_secs(300), 1.0), Duration::from_secs(375));
    }
}
