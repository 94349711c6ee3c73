//! How fast campaigns move, as far as somebody watches it.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::domain::ids::CampaignId;

/// Over how long the speed of a campaign is measured.
const MEASURED_OVER: Duration = Duration::from_secs(10);

/// After how many seconds without a hand-over a campaign is said to stand still.
const STILL_AFTER: f64 = 9.0;

/// How fast campaigns move, as far as that was watched.
#[derive(Default)]
pub(super) struct Speeds(BTreeMap<CampaignId, VecDeque<(Instant, i64)>>);

impl Speeds {
    /// Hand-overs per second, from how many each campaign has had so far.
    pub(super) fn measure(
        &mut self,
        now: Instant,
        seen: impl Iterator<Item = (CampaignId, i64)>,
    ) -> BTreeMap<CampaignId, f64> {
        let mut before = std::mem::take(&mut self.0);
        let mut rates = BTreeMap::new();
        for (campaign, done) in seen {
            if self.0.contains_key(&campaign) {
                continue;
            }
            let mut marks = before.remove(&campaign).unwrap_or_default();
            while marks.front().is_some_and(|(at, _)| now.duration_since(*at) > MEASURED_OVER) {
                marks.pop_front();
            }
            // What is tried again is no longer done: the measure begins anew.
            if marks.back().is_some_and(|(_, last)| *last > done) {
                marks.clear();
            }
            if let Some((at, first)) = marks.front() {
                let took = now.duration_since(*at).as_secs_f64();
                let moved = u32::try_from(done - first).unwrap_or(u32::MAX);
                // That nothing moves is known only after all of that time.
                if took >= if moved == 0 { STILL_AFTER } else { 1.0 } {
                    rates.insert(campaign, f64::from(moved) / took);
                }
            }
            marks.push_back((now, done));
            self.0.insert(campaign, marks);
        }
        rates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_measured_over_ten_seconds_and_begins_anew_when_something_is_tried_again() {
        let (mut speeds, began, id) = (Speeds::default(), Instant::now(), CampaignId(7));
        let mut at = |ms: u64, done: i64| {
            speeds.measure(began + Duration::from_millis(ms), std::iter::once((id, done))).get(&id).copied()
        };
        assert_eq!(at(0, 0), None);
        assert_eq!(at(500, 60), None, "half a second says little");
        assert_eq!(at(1_000, 120), Some(120.0));
        assert_eq!(at(10_000, 1_200), Some(120.0));
        assert_eq!(at(20_000, 1_200), Some(0.0), "only the last ten seconds count");
        assert_eq!(at(20_500, 1_100), None);
        assert_eq!(at(22_500, 1_300), Some(100.0));
        assert_eq!(at(33_500, 1_300), None, "after a while that nobody watched");
        assert_eq!(at(36_500, 1_300), None, "three seconds without a message are not a standstill");
        assert_eq!(at(42_600, 1_300), Some(0.0));
    }
}
