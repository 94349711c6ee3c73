//! The rate of a pool or a campaign: kept here where this is the only instance, taken from the database in blocks where
//! several share it.

use std::time::{Duration, Instant};

use super::bucket::Bucket;
use crate::store::replicas::rates::{Grant, Limit};

/// How many hand-overs may be asked for, and when.
#[derive(Debug, Clone)]
pub(super) enum Rate {
    /// As many as there is room for.
    Unlimited,
    /// This instance's own.
    Own(Bucket),
    /// Shared with other instances.
    Shared(Stock),
}

/// Tokens in hand of a rate that is shared.
#[derive(Debug, Clone)]
pub(super) struct Stock {
    limit: Limit,
    tokens: f64,
    /// More are being asked for.
    asked: bool,
    /// Somebody wanted more than was in hand.
    wanted: bool,
    /// There were none: not asked again before.
    again_at: Instant,
    /// When tokens were last spent or granted.
    fresh_at: Instant,
}

/// Tokens that were not spent for so long are dropped: saved up on several instances, they would pass the rate together.
const TOKENS_KEEP: Duration = Duration::from_secs(1);

impl Rate {
    /// A rate of so many a second, with so many saved up at first; 0 is no limit.
    pub(super) fn new(scope: String, rate: f64, burst: f64, shared: bool, now: Instant) -> Self {
        let burst = burst.max(1.0);
        if rate <= 0.0 {
            Self::Unlimited
        } else if shared {
            let limit = Limit { scope, rate, burst };
            Self::Shared(Stock { limit, tokens: 0.0, asked: false, wanted: false, again_at: now, fresh_at: now })
        } else {
            Self::Own(Bucket::new(rate, burst, now))
        }
    }

    /// Hand-overs per second; 0 is no limit.
    pub(super) fn per_second(&self) -> f64 {
        match self {
            Self::Unlimited => 0.0,
            Self::Own(bucket) => bucket.per_second(),
            Self::Shared(stock) => stock.limit.rate,
        }
    }

    /// Whole tokens in hand, at most `most`.
    pub(super) fn in_hand(&mut self, now: Instant, most: usize) -> usize {
        match self {
            Self::Unlimited => most,
            Self::Own(bucket) => bucket.in_hand(now, most),
            Self::Shared(stock) => {
                if now.duration_since(stock.fresh_at) > TOKENS_KEEP {
                    stock.tokens = stock.tokens.min(0.0);
                }
                let whole = (0..most).take_while(|n| stock.tokens >= tokens(n + 1)).count();
                // No more than a block in advance: what lies idle here is missing elsewhere, and passes the rate later.
                stock.wanted |= whole < most && stock.tokens < stock.limit.block();
                whole
            }
        }
    }

    pub(super) fn take(&mut self, n: usize) {
        match self {
            Self::Unlimited => {}
            Self::Own(bucket) => bucket.take(n),
            Self::Shared(stock) => {
                stock.tokens -= tokens(n);
                stock.fresh_at = Instant::now();
            }
        }
    }

    /// Gives back tokens of hand-overs that were not begun.
    pub(super) fn give_back(&mut self, n: usize) {
        match self {
            Self::Unlimited => {}
            Self::Own(bucket) => bucket.give_back(n),
            Self::Shared(stock) => stock.tokens += tokens(n),
        }
    }

    /// How long until it is worth looking again, where time alone brings tokens. A shared rate is looked at when what was
    /// asked for has come.
    pub(super) fn wait(&self) -> Duration {
        match self {
            Self::Unlimited => Duration::ZERO,
            Self::Own(bucket) => bucket.wait(),
            Self::Shared(stock) => stock.again_at.saturating_duration_since(Instant::now()),
        }
    }

    /// How long until a token is in hand; zero where one is, or may be had for the asking.
    pub(super) fn dry_for(&self, now: Instant) -> Duration {
        match self {
            Self::Unlimited => Duration::ZERO,
            Self::Own(bucket) => bucket.dry_for(now),
            Self::Shared(stock) if stock.tokens >= 1.0 => Duration::ZERO,
            Self::Shared(stock) => stock.again_at.saturating_duration_since(now),
        }
    }

    /// Whether a new one in its place could not pass the rate.
    pub(super) fn is_rested(&self, now: Instant) -> bool {
        match self {
            Self::Unlimited => true,
            Self::Own(bucket) => bucket.is_full(now),
            // The database keeps count.
            Self::Shared(stock) => !stock.asked && stock.again_at <= now,
        }
    }

    /// What to ask the database for now, if anything: the caller asks.
    pub(super) fn ask(&mut self, now: Instant) -> Option<Limit> {
        match self {
            Self::Unlimited | Self::Own(_) => None,
            Self::Shared(stock) => {
                let asks = stock.wanted && !stock.asked && stock.again_at <= now;
                asks.then(|| {
                    stock.asked = true;
                    stock.limit.clone()
                })
            }
        }
    }

    /// What came of asking. `None`: the database did not answer.
    pub(super) fn granted(&mut self, grant: Option<Grant>, now: Instant, patience: Duration) {
        if let Self::Shared(stock) = self {
            stock.asked = false;
            let wait = grant.map_or(patience, |grant| grant.wait);
            stock.tokens += grant.map_or(0.0, |grant| grant.tokens);
            stock.wanted = false;
            stock.again_at = now + wait;
            stock.fresh_at = now;
        }
    }
}

fn tokens(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(now: Instant) -> Rate {
        Rate::new("pool:p".to_owned(), 10.0, 5.0, true, now)
    }

    #[test]
    fn a_shared_rate_has_nothing_in_hand_until_a_block_was_granted() {
        let now = Instant::now();
        let mut rate = shared(now);
        assert!(rate.ask(now).is_none(), "nobody wants any");
        assert_eq!(rate.in_hand(now, 8), 0);
        assert!(rate.ask(now).is_some());
        assert!(rate.ask(now).is_none(), "one question at a time");
        rate.granted(Some(Grant { tokens: 3.0, wait: Duration::ZERO }), now, Duration::ZERO);
        assert_eq!(rate.in_hand(now, 8), 3);
    }

    #[test]
    fn an_empty_bucket_is_asked_again_only_after_its_wait() {
        let now = Instant::now();
        let mut rate = shared(now);
        assert_eq!(rate.in_hand(now, 1), 0);
        assert!(rate.ask(now).is_some());
        rate.granted(Some(Grant { tokens: 0.0, wait: Duration::from_millis(100) }), now, Duration::ZERO);
        assert_eq!(rate.in_hand(now, 1), 0);
        assert!(rate.ask(now + Duration::from_millis(99)).is_none());
        assert!(rate.ask(now + Duration::from_millis(100)).is_some());
    }

    #[test]
    fn a_rate_says_how_long_it_is_dry_and_rests_when_it_is_full() {
        let now = Instant::now();
        let mut own = Rate::new("campaign:1".to_owned(), 0.05, 0.0, false, now);
        assert_eq!(own.dry_for(now), Duration::ZERO);
        assert!(own.is_rested(now));
        own.take(1);
        assert_eq!(own.dry_for(now), Duration::from_secs(20));
        assert_eq!(own.dry_for(now + Duration::from_secs(15)), Duration::from_secs(5));
        assert!(!own.is_rested(now + Duration::from_secs(15)));
        assert!(own.is_rested(now + Duration::from_secs(20)));
        let mut shared = shared(now);
        assert_eq!(shared.dry_for(now), Duration::ZERO, "it may be asked");
        shared.granted(Some(Grant { tokens: 0.0, wait: Duration::from_secs(20) }), now, Duration::ZERO);
        assert_eq!(shared.dry_for(now), Duration::from_secs(20));
        shared.granted(Some(Grant { tokens: 1.0, wait: Duration::ZERO }), now, Duration::ZERO);
        assert_eq!(shared.dry_for(now), Duration::ZERO);
    }

    #[test]
    fn nobody_asks_for_tokens_that_nobody_wants() {
        let now = Instant::now();
        let mut rate = shared(now);
        rate.granted(Some(Grant { tokens: 5.0, wait: Duration::ZERO }), now, Duration::ZERO);
        assert_eq!(rate.in_hand(now, 64), 5);
        assert!(rate.ask(now).is_none(), "a block is in hand");
        assert_eq!(rate.in_hand(now + Duration::from_secs(2), 64), 0, "what lies idle is let go");
    }
}
