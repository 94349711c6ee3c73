//! How often a key, or an address without one, may ask.
//!
//! Each limit is a bucket that holds a minute's worth and fills evenly (GCRA). A refused request takes nothing out of it, so that
//! asking again does not lengthen the wait. Every instance counts by itself: behind a load balancer, `n` instances let through up
//! to `n` times as much.
//!
//! The memory is bounded: callers are counted in 65,536 places for each limit. Keys have a place of their own until there are more
//! keys than places. Addresses get theirs by a hash that nobody outside can foresee; two that share a place share its limit.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::auth::Caller;
use super::web::problem::ApiError;
use crate::config::Limits as Settings;
use crate::domain::access::limit::{Limit, Standing, WINDOW};

/// A place to count in.
type Place = u16;

type Counter<C> = RateLimiter<Place, HashMapStateStore<Place>, C, StateInformationMiddleware>;

/// One limit: how much a minute, and who has taken how much of it.
struct Bucket<C: Clock> {
    limit: Limit,
    quota: NonZeroU32,
    counter: Counter<C>,
}

impl<C: Clock> Bucket<C> {
    fn take(&self, place: Place, items: u32) -> Result<Standing, Standing> {
        let quota = self.quota.get();
        // More than a full bucket at once would never be let through.
        let Some(items) = NonZeroU32::new(items.min(quota)) else { return Ok(self.standing(quota, Duration::ZERO)) };
        match self.counter.check_key_n(&place, items) {
            Ok(Ok(state)) => {
                let left = state.remaining_burst_capacity();
                let missing = f64::from(quota.saturating_sub(left)) / f64::from(quota);
                Ok(self.standing(left, WINDOW.mul_f64(missing)))
            }
            Ok(Err(until)) => Err(self.standing(0, until.wait_time_from(self.counter.clock().now()))),
            Err(_more_than_a_bucket) => Err(self.standing(0, WINDOW)),
        }
    }

    const fn standing(&self, left: u32, wait: Duration) -> Standing {
        Standing { limit: self.limit, quota: self.quota.get(), left, wait }
    }
}

/// All limits of this instance.
pub struct Limits<C: Clock = DefaultClock> {
    buckets: Vec<Bucket<C>>,
    hasher: RandomState,
}

impl Limits {
    /// Nothing has been asked for yet.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self::with_clock(settings, &DefaultClock::default())
    }
}

impl<C: Clock + Clone> Limits<C> {
    fn with_clock(settings: &Settings, clock: &C) -> Self {
        let bucket = |limit: &Limit| {
            // 0 is no limit.
            let quota = NonZeroU32::new(settings.of(*limit))?;
            let counter = RateLimiter::new(Quota::per_minute(quota), HashMapStateStore::default(), clock.clone());
            Some(Bucket { limit: *limit, quota, counter })
        };
        Self { buckets: Limit::ALL.iter().filter_map(bucket).collect(), hasher: RandomState::new() }
    }

    /// Takes so many items out of a caller's bucket. `None`: there is no such limit.
    ///
    /// # Errors
    /// The bucket does not have them. Nothing was taken.
    pub(super) fn take(&self, caller: Caller, limit: Limit, items: u32) -> Result<Option<Standing>, ApiError> {
        let place = match caller {
            Caller::Root => 0,
            Caller::Key(id, _) => Place::try_from(id.0.rem_euclid(i64::from(Place::MAX) + 1)).unwrap_or(0),
        };
        self.take_at(place, limit, items)
    }

    /// Counts a request without a valid key, by its address.
    ///
    /// # Errors
    /// The address has asked too often.
    pub(super) fn take_without_key(&self, address: Option<IpAddr>) -> Result<(), ApiError> {
        let place = Place::try_from(self.hasher.hash_one(address.map(network)) % (u64::from(Place::MAX) + 1));
        self.take_at(place.unwrap_or(0), Limit::WithoutKey, 1).map(drop)
    }

    fn take_at(&self, place: Place, limit: Limit, items: u32) -> Result<Option<Standing>, ApiError> {
        let bucket = self.buckets.iter().find(|bucket| bucket.limit == limit);
        bucket.map(|bucket| bucket.take(place, items)).transpose().map_err(ApiError::TooManyRequests)
    }
}

/// What counts as one client: an IPv4 address, or the /64 that one subscriber is given.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => std::net::Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use governor::clock::FakeRelativeClock;

    use super::*;
    use crate::domain::access::Rights;
    use crate::domain::ids::ApiKeyId;

    const KEY: Caller = Caller::Key(ApiKeyId(7), Rights::ALL);

    fn limits(settings: &Settings) -> (Limits<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Limits::with_clock(settings, &clock), clock)
    }

    fn refused(result: Result<Option<Standing>, ApiError>) -> Duration {
        match result {
            Err(ApiError::TooManyRequests(standing)) => standing.wait,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_bucket_is_emptied_and_fills_evenly_and_asking_again_does_not_lengthen_the_wait() {
        let (limits, clock) = limits(&Settings { launches_per_minute: 60, ..Settings::default() });
        for left in (0..60).rev() {
            assert_eq!(limits.take(KEY, Limit::Launches, 1).unwrap().unwrap().left, left);
        }
        for _ in 0..1_000 {
            assert_eq!(refused(limits.take(KEY, Limit::Launches, 1)), Duration::from_secs(1));
        }
        clock.advance(Duration::from_millis(400));
        assert_eq!(refused(limits.take(KEY, Limit::Launches, 1)), Duration::from_millis(600));
        clock.advance(Duration::from_millis(600));
        assert_eq!(limits.take(KEY, Limit::Launches, 1).unwrap().unwrap().left, 0);
        clock.advance(Duration::from_secs(600));
        assert_eq!(
            limits.take(KEY, Limit::Launches, 1).unwrap().unwrap().left,
            59,
            "a bucket holds no more than it holds"
        );
        assert_eq!(limits.take(Caller::Root, Limit::Launches, 1).unwrap().unwrap().left, 59, "another key has its own");
        assert_eq!(limits.take(KEY, Limit::Requests, 1).unwrap().unwrap().quota, 6_000, "so has another limit");
    }

    #[test]
    fn items_are_let_through_together_or_not_at_all() {
        let (limits, clock) = limits(&Settings { ingest_items_per_minute: 600, ..Settings::default() });
        assert_eq!(limits.take(KEY, Limit::Ingest, 500).unwrap().unwrap().left, 100);
        assert_eq!(refused(limits.take(KEY, Limit::Ingest, 200)), Duration::from_secs(10));
        assert_eq!(limits.take(KEY, Limit::Ingest, 100).unwrap().unwrap().left, 0, "the refused ones took nothing");
        // More than a bucket holds goes through when it is full.
        assert_eq!(refused(limits.take(KEY, Limit::Ingest, 10_000)), Duration::from_secs(60));
        clock.advance(Duration::from_secs(60));
        assert_eq!(limits.take(KEY, Limit::Ingest, 10_000).unwrap().unwrap().left, 0);
    }

    #[test]
    fn an_address_is_counted_by_what_one_subscriber_has() {
        let (limits, _) = limits(&Settings { without_key_per_minute: 2, ..Settings::default() });
        let ask = |address: &str| limits.take_without_key(Some(address.parse().unwrap())).is_ok();
        assert!(ask("2001:db8::1") && ask("2001:db8:0:0:ffff::2"));
        assert!(!ask("2001:db8::3"), "a /64 is one client");
        assert!(ask("::ffff:192.0.2.1") && ask("192.0.2.1"));
        assert!(!ask("192.0.2.1"), "an IPv4 address is the same in both spellings");
    }

    #[test]
    fn however_many_ask_the_memory_is_bounded() {
        let (limits, _) = limits(&Settings::default());
        for n in 0..200_000_u32 {
            let _ = limits.take_without_key(Some(IpAddr::V4(n.into())));
            let _ = limits.take(Caller::Key(ApiKeyId(n.into()), Rights::ALL), Limit::Requests, 1);
        }
        for bucket in &limits.buckets {
            assert!(bucket.counter.len() <= usize::from(Place::MAX) + 1, "{}: {}", bucket.limit, bucket.counter.len());
        }
    }

    #[test]
    fn two_addresses_rarely_share_a_place_and_nobody_can_foresee_which() {
        let places = |limits: &Limits<FakeRelativeClock>| -> Vec<u64> {
            (0..100_u32).map(|n| limits.hasher.hash_one(IpAddr::V4(n.into())) % 65_536).collect()
        };
        let (one, other) = (limits(&Settings::default()).0, limits(&Settings::default()).0);
        assert!(places(&one).into_iter().collect::<HashSet<_>>().len() > 90);
        assert_ne!(places(&one), places(&other));
    }

    #[test]
    fn no_limit_is_no_limit() {
        let (limits, _) = limits(&Settings { requests_per_minute: 0, ..Settings::default() });
        for _ in 0..10_000 {
            assert_eq!(limits.take(KEY, Limit::Requests, 1).unwrap(), None);
        }
    }
}
