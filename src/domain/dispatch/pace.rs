//! How a pool finds out what its provider takes.
//!
//! A provider seldom says how many messages a second, or how many connections at once, it takes; it refuses what is too much.
//! This module turns refusals into two ceilings, a rate and a total of places, lowers them to what was measured as
//! accepted, and raises them again by trying. It judges from how others fare whether an unclear refusal is about its
//! recipient or about the provider as a whole, and decides when a provider is left alone and probed.
//!
//! Everything here is pure: state, report and time go in, state and permission come out. [`Shared`] is what all instances of
//! a pool have in common: one row, changed by compare-and-set. [`Member`] is one instance's part. Times are seconds on the
//! clock of the row. `docs/adr/0013-a-pool-finds-its-pace.md` gives the reasons; `tests/it/pace.rs` simulates it.

mod circuit;
mod domains;
mod member;
mod places;
mod put_off;
mod rate;
mod report;
mod scope;
mod shared;
mod tally;
mod undo;
mod verdict;
mod window;

use std::time::Duration;

pub use circuit::Circuit;
pub use domains::bin_of;
pub use member::{Admission, Decision, Held, Member};
pub use places::Places;
pub use rate::{Block, RateCeiling};
pub use report::{Refused, Report, Step};
pub use shared::{Cut, Exchange, Shared, State};
pub use verdict::{DomainWait, Scope, Verdict};

use crate::domain::instant::UtcInstant;

/// A span of time, or a point on the row's clock, in seconds.
pub type Seconds = f64;

/// What a pool's settings say about its pace.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Calls that one instance may have under way at once; at least 1.
    pub places: usize,
    /// Calls a second for all instances together; 0 is no limit.
    pub rate: f64,
    /// How long after an unclear refusal the others are looked at a second time, and how far back and forth. 5 s.
    pub second_look: Seconds,
    /// How long a delivery waits that was put off after an unclear refusal: the first time. 30 s.
    pub put_off: Seconds,
    /// How long a delivery waits that was put off after a refusal that is about the provider for sure: the first time. 1 s.
    pub step_back: Seconds,
    /// The first wait between two probes of a provider that is left alone. 0.5 s.
    pub probe_first: Seconds,
    /// The longest such wait. 15 s.
    pub probe_longest: Seconds,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            places: 50,
            rate: 0.0,
            second_look: 5.0,
            put_off: 30.0,
            step_back: 1.0,
            probe_first: 0.5,
            probe_longest: 15.0,
        }
    }
}

/// A ceiling that nobody met for so long is forgotten.
const FORGOTTEN: Seconds = 600.0;

/// A time of the database's clock on the row's.
#[must_use]
pub fn seconds(at: UtcInstant) -> Seconds {
    let part = |ms: i64| f64::from(u32::try_from(ms).unwrap_or(0));
    part(at.0.div_euclid(1000)) + part(at.0.rem_euclid(1000)) / 1000.0
}

/// A time of the row's clock on the database's.
#[must_use]
pub fn instant(at: Seconds) -> UtcInstant {
    let since = Duration::try_from_secs_f64(at.max(0.0)).unwrap_or_default();
    UtcInstant(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The whole part of a number that is not negative.
fn whole(number: f64) -> u32 {
    Duration::try_from_secs_f64(number.max(0.0)).map_or(0, |span| u32::try_from(span.as_secs()).unwrap_or(u32::MAX))
}

/// A count as a number to reckon with.
fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
