//! Counting by samples: how many contacts criteria take, without asking all of them.

use serde::Serialize;

/// Up to so many contacts, all of them are asked.
pub const EXACT_UP_TO: i64 = 100_000;

/// How many blocks of contacts are looked at, where not all contacts are.
const BLOCKS: i64 = 100;

/// How many contacts are in a block.
pub const BLOCK: i64 = 1_000;

/// How many standard errors an estimate is off at most, in 95 of 100 cases (the normal distribution).
const SURE: f64 = 1.96;

/// How many contacts are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = ContactEstimate)]
pub struct Estimate {
    /// So many.
    pub count: i64,
    /// Whether all contacts were asked. Else some blocks of them were, and `error` says how far off the count may be.
    pub exact: bool,
    /// The count is hardly further off than this, where contacts are spread evenly over their ids; 0 where it is exact.
    pub error: i64,
    /// How many contacts there are.
    pub contacts: i64,
}

/// The contacts below which blocks begin, evenly over all ids up to `highest`: a block holds the next [`BLOCK`] living contacts, or
/// all up to where the next block begins.
#[must_use]
pub fn blocks(highest: i64) -> Vec<i64> {
    let step = (highest / BLOCKS).max(1);
    (0..BLOCKS).map(|n| n * step).filter(|begin| *begin < highest).collect()
}

/// What was found in blocks: of each, how many contacts it had, and how many of them were taken.
#[derive(Debug, Clone, Default)]
pub struct Found(Vec<(i64, i64)>);

impl Found {
    /// Adds a block.
    pub fn add(&mut self, looked_at: i64, taken: i64) {
        self.0.push((looked_at, taken));
    }

    /// When all contacts were looked at.
    #[must_use]
    pub fn counted(&self, contacts: i64) -> Estimate {
        Estimate { count: self.0.iter().map(|(_, taken)| taken).sum(), exact: true, error: 0, contacts }
    }

    /// What they say of all contacts: the share of those looked at, times all. The error is that of whole blocks as a sample
    /// (Cochran, Sampling Techniques, 1977, 9.6), since contacts that were made one after another are often alike.
    #[must_use]
    pub fn estimated(&self, contacts: i64) -> Estimate {
        let (looked_at, taken) = self.0.iter().fold((0, 0), |sum, block| (sum.0 + block.0, sum.1 + block.1));
        if looked_at == 0 {
            return Estimate { count: 0, exact: contacts == 0, error: contacts, contacts };
        }
        let (all, share, blocks) = (float(contacts), float(taken) / float(looked_at), float(count_of(&self.0)));
        let mean = float(looked_at) / blocks;
        let off = |(size, taken): &(i64, i64)| (float(*taken) - share * float(*size)).powi(2);
        let spread = self.0.iter().map(off).sum::<f64>() / (blocks - 1.0).max(1.0);
        let part = float(looked_at) / all.max(1.0);
        let error = all * ((1.0 - part).max(0.0) * spread / blocks).sqrt() / mean;
        // When nobody was found there may still be some. Contacts of a block are often alike, so that it counts as one look: with n
        // looks that find none, three of n may (the rule of three: 95 of 100 cases).
        let least = if taken == 0 { 3.0 * all / blocks } else { 0.0 };
        let whole = |number: f64| whole(number.min(all));
        Estimate { count: whole(all * share), exact: false, error: whole((SURE * error).max(least).ceil()), contacts }
    }
}

fn count_of(blocks: &[(i64, i64)]) -> i64 {
    i64::try_from(blocks.len()).unwrap_or(i64::MAX)
}

#[expect(clippy::as_conversions, reason = "counts of contacts are far below 2^53")]
const fn float(count: i64) -> f64 {
    count as f64
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "at most the number of contacts, above zero"
)]
fn whole(number: f64) -> i64 {
    number.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_lie_evenly_over_all_ids() {
        assert!(blocks(0).is_empty());
        assert_eq!(blocks(3), [0, 1, 2]);
        let of_a_million = blocks(1_000_000);
        assert_eq!((of_a_million.len(), of_a_million[0], of_a_million[99]), (100, 0, 990_000));
    }

    #[test]
    fn an_estimate_says_how_far_off_it_may_be() {
        let mut even = Found::default();
        (0..100).for_each(|_| even.add(1_000, 100));
        let estimate = even.estimated(1_000_000);
        assert_eq!((estimate.count, estimate.exact, estimate.error), (100_000, false, 0));
        // All of them in one tenth of the ids.
        let mut uneven = Found::default();
        (0..100).for_each(|n| uneven.add(1_000, if n < 10 { 1_000 } else { 0 }));
        let estimate = uneven.estimated(1_000_000);
        assert_eq!(estimate.count, 100_000);
        assert!((50_000..60_000).contains(&estimate.error), "{estimate:?}");
        let mut none = Found::default();
        (0..100).for_each(|_| none.add(1_000, 0));
        assert_eq!((none.estimated(1_000_000).count, none.estimated(1_000_000).error), (0, 30_000));
        assert_eq!(even.counted(100_000), Estimate { count: 10_000, exact: true, error: 0, contacts: 100_000 });
    }
}
