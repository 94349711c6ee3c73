//! Rates that hold across instances: one bucket of tokens for each scope, from which instances take a block at a time.

use std::time::Duration;

use diesel::prelude::*;

use crate::domain::instant::UtcInstant;
use crate::store::engine::schema::rate_buckets;
use crate::store::replicas::dialect;
use crate::store::{Conn, StoreError, engine};

/// How much of a rate is taken at once, in seconds' worth: what an instance that dies takes with it.
const BLOCK_SECONDS: f64 = 0.1;

/// What a scope is limited to.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// `pool:NAME` or `campaign:ID`.
    pub scope: String,
    /// Tokens a second, above 0.
    pub rate: f64,
    /// Tokens that may be saved up, at least 1.
    pub burst: f64,
}

impl Limit {
    /// How many are taken at once.
    #[must_use]
    pub fn block(&self) -> f64 {
        (self.rate * BLOCK_SECONDS).ceil().max(1.0)
    }
}

/// What came of asking for tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grant {
    /// Tokens to spend: whole ones.
    pub tokens: f64,
    /// How long to wait before asking again, if there were none.
    pub wait: Duration,
}

/// Takes a block of tokens, or as many as there are.
///
/// # Errors
/// A query failed. Tokens taken by a transaction whose end went unanswered are lost: the rate is undershot, never passed.
pub fn take(conn: &mut Conn, limit: &Limit) -> Result<Grant, StoreError> {
    let known = match dialect::lock_rate_bucket(conn, &limit.scope)? {
        Some(known) => Some(known),
        None => {
            let now = engine::now(conn)?;
            dialect::create_rate_bucket(conn, &limit.scope, limit.burst, now)?;
            dialect::lock_rate_bucket(conn, &limit.scope)?
        }
    };
    // Read under the lock: then it is not earlier than what the last holder wrote, unless the clock went back in between.
    let now = engine::now(conn)?;
    let (saved, counted_at) = known.unwrap_or((limit.burst, now));
    // After a step back nothing comes in for the time that is counted twice, once; and the rate goes on.
    let (left, grant) = spend(limit, saved, now.0 - counted_at.0);
    diesel::update(rate_buckets::table.find(&limit.scope))
        .set((rate_buckets::tokens.eq(left), rate_buckets::counted_at.eq(now)))
        .execute(conn)
        .map_err(StoreError::query("take tokens"))?;
    Ok(grant)
}

/// What is left of a bucket that held `saved` tokens `elapsed_ms` ago, and what is granted from it.
fn spend(limit: &Limit, saved: f64, elapsed_ms: i64) -> (f64, Grant) {
    let elapsed = Duration::from_millis(u64::try_from(elapsed_ms).unwrap_or(0)).as_secs_f64();
    let block = limit.block();
    // A bucket that held no more than a block would lose what comes in while everybody still spends the last one.
    let tokens = (saved + limit.rate * elapsed).min(limit.burst.max(block + 1.0));
    let granted = tokens.floor().clamp(0.0, block);
    let left = tokens - granted;
    let wait = if granted > 0.0 { 0.0 } else { ((1.0 - left) / limit.rate).clamp(0.001, 60.0) };
    (left, Grant { tokens: granted, wait: Duration::from_secs_f64(wait) })
}

/// Forgets buckets from which no token was taken since `before`. Returns how many those were. Such a bucket is full by then,
/// as a new one is.
///
/// # Errors
/// The query failed.
pub fn forget_idle(conn: &mut Conn, before: UtcInstant) -> Result<usize, StoreError> {
    diesel::delete(rate_buckets::table.filter(rate_buckets::counted_at.lt(before)))
        .execute(conn)
        .map_err(StoreError::query("forget idle rates"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(rate: f64, burst: f64) -> Limit {
        Limit { scope: "pool:p".to_owned(), rate, burst }
    }

    #[test]
    fn a_block_is_a_tenth_of_a_second() {
        let (left, grant) = spend(&limit(100.0, 50.0), 50.0, 0);
        assert!((grant.tokens - 10.0).abs() < 1e-9, "{grant:?}");
        assert!((left - 40.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_is_granted_beyond_the_rate() {
        let limit = limit(10.0, 1.0);
        let (mut saved, mut granted) = (1.0, 0.0);
        for _ in 0..1_000 {
            let (left, grant) = spend(&limit, saved, 10);
            saved = left;
            granted += grant.tokens;
        }
        // Ten seconds at ten a second, and the one that was saved up.
        assert!((99.0..=101.0).contains(&granted), "{granted}");
    }

    #[test]
    fn an_empty_bucket_says_how_long_to_wait() {
        let (_, grant) = spend(&limit(2.0, 1.0), 0.0, 0);
        assert!(grant.tokens == 0.0 && grant.wait == Duration::from_millis(500), "{grant:?}");
    }
}
