//! How many hand-overs per second there were in the last minute.

use super::minutes::minute_of;
use crate::domain::instant::UtcInstant;

/// Over how long a pace is measured, in milliseconds.
const MEASURED_OVER_MS: i64 = 60_000;

/// A shorter time says nothing, in milliseconds.
const SHORTEST_MS: i64 = 5_000;

/// From when a campaign's pace is measured: its launch or, where its status was set later, the first minute that begins after that. What is
/// counted in the minute of a resume may have been handed over before the pause.
#[must_use]
pub fn measured_from(launched: UtcInstant, status_set: UtcInstant) -> UtcInstant {
    // The launch sets the status, too.
    if status_set.0 - launched.0 <= 1_000 { launched } else { minute_of(status_set.plus_ms(MEASURED_OVER_MS - 1)) }
}

/// Hand-overs per second over the last minute, by how many there were in each minute. A part of the minute before counts as far as it reaches
/// into that time; what ended before `from` counts not at all. `None`: less than five seconds have passed since `from`.
#[must_use]
pub fn handed_over_lately(minutes: &[(UtcInstant, i64)], from: UtcInstant, at: UtcInstant) -> Option<f64> {
    let since = at.0 - from.0;
    if since < SHORTEST_MS {
        return None;
    }
    let begun = at.0.rem_euclid(MEASURED_OVER_MS);
    let number = |n: i64| f64::from(u32::try_from(n).unwrap_or(0));
    let of = |minute: i64| {
        let counted = minutes.iter().find(|(at, _)| at.0 == minute && minute + MEASURED_OVER_MS > from.0);
        counted.map_or(0.0, |(_, count)| number(*count))
    };
    let (now, before) = (of(at.0 - begun), of(at.0 - begun - MEASURED_OVER_MS));
    if since < MEASURED_OVER_MS {
        return Some((now + before) * 1_000.0 / number(since));
    }
    let reaches = number(MEASURED_OVER_MS - begun) / number(MEASURED_OVER_MS);
    Some((now + before * reaches) * 1_000.0 / number(MEASURED_OVER_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_minute_is_made_of_parts_of_two() {
        let minutes = [(UtcInstant(60_000), 600), (UtcInstant(120_000), 100)];
        let rate = |from: i64, at: i64| handed_over_lately(&minutes, UtcInstant(from), UtcInstant(at));
        let is = |rate: Option<f64>, expected: f64| rate.is_some_and(|rate| (rate - expected).abs() < 0.01);
        assert!(is(rate(0, 135_000), (100.0 + 450.0) / 60.0), "{:?}", rate(0, 135_000));
        assert!(is(rate(110_000, 130_000), 700.0 / 20.0), "{:?}", rate(110_000, 130_000));
        assert_eq!(rate(128_000, 130_000), None);
        // Resumed at 119 s: what was handed over before the pause is not measured, and the pause is not either.
        let resumed = measured_from(UtcInstant(0), UtcInstant(119_000));
        assert!(is(rate(resumed.0, 130_000), 10.0), "{:?}", rate(resumed.0, 130_000));
        assert_eq!(measured_from(UtcInstant(119_000), UtcInstant(119_003)), UtcInstant(119_000));
    }
}
