//! How long sending takes, by the limits that are known.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::instant::UtcInstant;
use crate::domain::text_enum::text_enum;

text_enum! {
    /// A limit on how fast a campaign is sent.
    Limit {
        /// The campaign's own rate.
        Campaign = "campaign",
        /// The rate of its pool in the settings.
        Pool = "pool",
        /// The rate that the pool has found its provider to take.
        Provider = "provider",
    }
}

/// How long sending takes, by the limits that are known. What other campaigns take of them, and retries, come on top.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, ToSchema)]
#[schema(as = SendingEstimate)]
pub struct Estimate {
    /// Hand-overs per second, by the smallest of the limits. `null`: none is set, and how fast the provider answers decides.
    pub rate_per_second: Option<f64>,
    /// Which limit that is.
    pub bound_by: Option<Limit>,
    /// How long the messages take at this rate, in seconds.
    pub seconds: Option<i64>,
    /// When it would end: counted from its launch time where it is scheduled, else from now.
    pub ends_at: Option<UtcInstant>,
}

impl Estimate {
    /// For so many messages from `starts_at` on. A limit that is not set is `None`.
    #[must_use]
    pub fn of(messages: i64, starts_at: UtcInstant, limits: [(Limit, Option<f64>); 3]) -> Self {
        let set = limits.into_iter().filter_map(|(limit, rate)| Some((limit, rate.filter(|rate| *rate > 0.0)?)));
        let Some((limit, rate)) = set.min_by(|one, other| one.1.total_cmp(&other.1)) else { return Self::default() };
        let seconds = seconds(messages, rate);
        Self {
            rate_per_second: Some(rate),
            bound_by: Some(limit),
            seconds: Some(seconds),
            ends_at: Some(starts_at.plus_ms(seconds.saturating_mul(1_000))),
        }
    }
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "counts of people are far below 2^53, and a float is cut off at the largest integer"
)]
fn seconds(messages: i64, rate: f64) -> i64 {
    (messages as f64 / rate).ceil() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_limit_binds() {
        let limits = [(Limit::Campaign, Some(200.0)), (Limit::Pool, Some(50.0)), (Limit::Provider, None)];
        let estimate = Estimate::of(1_001, UtcInstant(5_000), limits);
        assert_eq!((estimate.bound_by, estimate.seconds), (Some(Limit::Pool), Some(21)));
        assert_eq!(estimate.ends_at, Some(UtcInstant(26_000)));
        let none = Estimate::of(
            1_001,
            UtcInstant(0),
            [(Limit::Campaign, None), (Limit::Pool, Some(0.0)), (Limit::Provider, None)],
        );
        assert_eq!(none, Estimate::default());
    }
}
