//! How many calls were refused over the last minutes, for people to look at: no decision hangs on it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Seconds, whole};

/// How many minutes are counted, the present one among them.
const MINUTES: u32 = 10;

/// Calls by minute, oldest first: the minute, how many were answered, and how many of these were refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Tally(VecDeque<(u32, u32, u32)>);

impl Tally {
    /// So many calls were answered at `at`, of which so many were refused.
    pub(super) fn add(&mut self, at: Seconds, answered: u32, refused: u32) {
        let minute = whole(at) / 60;
        while self.0.front().is_some_and(|(oldest, ..)| oldest + MINUTES <= minute) {
            self.0.pop_front();
        }
        match self.0.back_mut() {
            // What is told late belongs to the newest minute: a report is some seconds old at most.
            Some((newest, known, no)) if *newest >= minute => (*known, *no) = (*known + answered, *no + refused),
            Some(_) | None => self.0.push_back((minute, answered, refused)),
        }
    }

    /// How many of a thousand calls were refused over the last ten minutes; `None` if none was answered.
    pub(super) fn refused_per_thousand(&self, now: Seconds) -> Option<f64> {
        let minute = whole(now) / 60;
        let recent = || self.0.iter().filter(|(at, ..)| at + MINUTES > minute);
        let answered: f64 = recent().map(|(_, answered, _)| f64::from(*answered)).sum();
        let refused: f64 = recent().map(|(.., refused)| f64::from(*refused)).sum();
        (answered > 0.0).then(|| 1000.0 * refused / answered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_for_ten_minutes() {
        let mut tally = Tally::default();
        assert_eq!(tally.refused_per_thousand(0.0), None);
        tally.add(60.0, 100, 0);
        tally.add(61.0, 100, 100);
        assert_eq!(tally.refused_per_thousand(119.0), Some(500.0));
        tally.add(359.0, 200, 0);
        assert_eq!(tally.refused_per_thousand(659.0), Some(250.0));
        assert_eq!(tally.refused_per_thousand(660.0), Some(0.0), "the first minute is over");
        assert_eq!(tally.refused_per_thousand(2000.0), None);
        for minute in 0..60 {
            tally.add(2000.0 + 60.0 * f64::from(minute), 1, 1);
        }
        assert!(tally.0.len() <= 10, "{tally:?}");
    }
}
