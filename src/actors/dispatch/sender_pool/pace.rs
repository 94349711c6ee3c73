//! How far claims run ahead of free places, so that no place stands empty while a claim is out.

use std::time::Duration;

/// Most recipients that are claimed beyond the free places, in claims of full size.
const CLAIMS_AHEAD: usize = 2;

/// How much of a new measurement is believed.
const WEIGHT: f64 = 0.125;

/// What claims and calls take, smoothed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    claim: Option<f64>,
    call: Option<f64>,
}

impl Pace {
    /// A claim took so long, from asking to its answer.
    pub(super) fn claimed(&mut self, took: Duration) {
        smooth(&mut self.claim, took);
    }

    /// A place was held for so long by one call.
    pub(super) fn called(&mut self, took: Duration) {
        smooth(&mut self.call, took);
    }

    /// How many places come free while a claim is out, and once more while the next one is waited for: so many may be
    /// claimed beyond the free ones. A provider that is slow beside the database gets nobody claimed ahead.
    pub(super) fn ahead(&self, places: usize, chunk: usize) -> usize {
        let (Some(claim), Some(call)) = (self.claim, self.call) else { return 0 };
        let most = chunk.saturating_mul(CLAIMS_AHEAD);
        let per_second = f64::from(u32::try_from(places).unwrap_or(u32::MAX)) / call.max(1e-6);
        (1..=most).take_while(|n| f64::from(u32::try_from(*n).unwrap_or(u32::MAX)) <= 2.0 * claim * per_second).count()
    }
}

fn smooth(known: &mut Option<f64>, took: Duration) {
    let took = took.as_secs_f64();
    *known = Some(known.map_or(took, |known| known + (took - known) * WEIGHT));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(claim_ms: u64, call_ms: u64) -> Pace {
        let mut pace = Pace::default();
        pace.claimed(Duration::from_millis(claim_ms));
        pace.called(Duration::from_millis(call_ms));
        pace
    }

    #[test]
    fn nobody_is_claimed_ahead_for_a_slow_provider() {
        assert_eq!(pace(2, 300).ahead(50, 64), 0);
        assert_eq!(Pace::default().ahead(50, 64), 0);
    }

    #[test]
    fn a_fast_provider_finds_the_next_recipients_claimed() {
        assert_eq!(pace(2, 20).ahead(50, 64), 10);
        assert_eq!(pace(2, 1).ahead(50, 64), 128);
    }
}
