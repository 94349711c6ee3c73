//! Pictures, drawn as SVG: marks only. Every number in them stands beside them in words.

use askama::Template;

use super::words::grouped;
use crate::domain::dispatch::delivery::DeliveryState;
use crate::http::api::campaigns::{Packing, Stats};

/// The part of a bar that nobody is packed for yet.
const UNPACKED: &str = "unpacked";

/// The order of the states, everywhere: from what is settled to what is to come, like a fill.
pub(super) const ORDER: [DeliveryState; 6] = [
    DeliveryState::Sent,
    DeliveryState::Failed,
    DeliveryState::Skipped,
    DeliveryState::Uncertain,
    DeliveryState::Sending,
    DeliveryState::Pending,
];

/// The least share of a state that has anybody, in percent: 3 pixels on a wide screen, and on a narrow one.
const LEAST_WIDE: f64 = 0.25;
const LEAST_NARROW: f64 = 0.9;

/// Below this share, in percent, there is no room for a shape.
const SLIVER: f64 = 2.5;

/// The six states of a campaign's recipients as one bar, which is always as long as the audience, as far as that is known.
#[derive(Debug, Template)]
#[template(path = "ui/bar.html")]
pub(super) struct Bar {
    wide: Vec<Part>,
    narrow: Vec<Part>,
    /// All of it in words.
    label: String,
    states: Vec<StateCount>,
    /// What is below the whole bar, and how many those are.
    whole: (String, String),
    /// Whether the numbers stand below it.
    has_legend: bool,
}

/// A part of a bar. Places and lengths in percent.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    state: &'static str,
    x: String,
    width: String,
    /// Whether it is too short for more than its colour.
    is_sliver: bool,
}

/// How many are in a state.
#[derive(Debug, Clone)]
struct StateCount {
    state: &'static str,
    shown: String,
    is_zero: bool,
}

/// The colour and the shape of a state, beside its word.
#[derive(Template)]
#[template(path = "ui/swatch.html")]
struct Swatch<'s> {
    state: &'s str,
}

/// Draws the swatch of a state.
pub(super) fn swatch(state: &str) -> String {
    Swatch { state }.render().unwrap_or_default()
}

impl Bar {
    fn sizes(&self) -> [(&'static str, &Vec<Part>); 2] {
        [("wide", &self.wide), ("narrow", &self.narrow)]
    }

    /// A bar with its numbers below it.
    pub(super) fn with_legend(stats: &Stats, packing: Option<Packing>) -> Self {
        Self::new(stats, packing, true)
    }

    /// A thin bar in a row, whose numbers are in the row.
    pub(super) fn in_a_row(stats: &Stats, packing: Option<Packing>) -> Self {
        Self::new(stats, packing, false)
    }

    fn new(stats: &Stats, packing: Option<Packing>, has_legend: bool) -> Self {
        let counts = &stats.counts;
        let total = counts.total();
        let expected = packing.filter(|packing| !packing.done).map(|packing| packing.expected.max(total));
        let each = ORDER.map(|state| (state.as_str(), counts.of(state)));
        let words: Vec<String> = each
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(state, count)| format!("{} {state}", grouped(*count)))
            .collect();
        let words = if words.is_empty() { "nobody".to_owned() } else { words.join(", ") };
        // The rest of the audience, of which nothing is drawn.
        let drawn: Vec<(&'static str, i64)> =
            each.into_iter().chain(expected.map(|expected| (UNPACKED, expected - total))).collect();
        let whole = match expected {
            None => ("= recipients".to_owned(), grouped(total)),
            Some(expected) => (format!("packed, of about {}", grouped(expected)), grouped(total)),
        };
        let label = match expected {
            None => format!("{words}; {} altogether", grouped(total)),
            Some(expected) => format!("{words}; {} packed of about {}", grouped(total), grouped(expected)),
        };
        Self {
            wide: parts(&drawn, LEAST_WIDE),
            narrow: parts(&drawn, LEAST_NARROW),
            label,
            states: each
                .iter()
                .map(|&(state, count)| StateCount { state, shown: grouped(count), is_zero: count == 0 })
                .collect(),
            whole,
            has_legend,
        }
    }
}

/// Shares of the whole. A state with one person is seen, too: no share is less than `least`, at the expense of the larger ones.
fn parts(each: &[(&'static str, i64)], least: f64) -> Vec<Part> {
    let number = |count: i64| u32::try_from(count.clamp(0, i64::from(u32::MAX))).map_or(0.0, f64::from);
    let there: Vec<(&'static str, f64)> =
        each.iter().map(|(state, count)| (*state, number(*count))).filter(|(_, count)| *count > 0.0).collect();
    let total: f64 = there.iter().map(|(_, count)| count).sum();
    let share = |count: f64| 100.0 * count / total;
    let (small, large): (Vec<f64>, Vec<f64>) =
        there.iter().map(|(_, count)| share(*count)).partition(|share| *share < least);
    let slivers: f64 = small.iter().map(|_| least).sum();
    let scale = if large.is_empty() { 1.0 } else { (100.0 - slivers) / large.iter().sum::<f64>() };
    let mut x = 0.0;
    let mut parts = Vec::with_capacity(there.len());
    for (state, count) in there {
        let width = if share(count) < least { least } else { share(count) * scale };
        let is_sliver = width < SLIVER;
        parts.push(Part { state, x: format!("{x:.3}"), width: format!("{width:.3}"), is_sliver });
        x += width;
    }
    parts
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::dispatch::page::Counts;

    fn lengths(counts: &Counts, least: f64) -> Vec<(&'static str, f64, f64)> {
        let parts = parts(&ORDER.map(|state| (state.as_str(), counts.of(state))), least);
        parts.iter().map(|part| (part.state, part.x.parse().unwrap(), part.width.parse().unwrap())).collect()
    }

    #[test]
    fn a_bar_is_as_long_as_the_audience_and_a_state_with_few_people_is_seen() {
        let counts =
            Counts { pending: 34_970, sending: 48, sent: 62_076, failed: 1_825, skipped: 1_060, uncertain: 21 };
        let lengths = lengths(&counts, 0.25);
        assert_eq!(
            lengths.iter().map(|part| part.0).collect::<Vec<_>>(),
            ["sent", "failed", "skipped", "uncertain", "sending", "pending"]
        );
        let mut end = 0.0;
        for (state, x, width) in &lengths {
            assert!((x - end).abs() < 0.01, "{state} begins at {x}, and the one before ends at {end}");
            assert!(*width >= 0.249, "{state} is {width} wide");
            end = x + width;
        }
        assert!((end - 100.0).abs() < 0.01, "{end}");
    }

    #[test]
    fn a_state_without_anybody_is_not_drawn() {
        assert_eq!(lengths(&Counts { sent: 3, ..Counts::default() }, 0.25), [("sent", 0.0, 100.0)]);
        assert_eq!(lengths(&Counts::default(), 0.25), []);
    }

    #[test]
    fn a_bar_says_in_words_what_it_draws() {
        let counts = Counts { sent: 1_200, failed: 3, ..Counts::default() };
        let stats = Stats { total: counts.total(), counts, skipped_by_reason: BTreeMap::new() };
        let bar = Bar::with_legend(&stats, Some(Packing { done: true, expected: 1_210 }));
        assert_eq!(bar.label, "1,200 sent, 3 failed; 1,203 altogether");
        // While the audience is being packed, the bar is as long as the audience.
        let bar = Bar::with_legend(&stats, Some(Packing { done: false, expected: 12_030 }));
        assert_eq!(bar.label, "1,200 sent, 3 failed; 1,203 packed of about 12,030");
        let [.., last] = bar.wide.as_slice() else { panic!("no parts") };
        assert_eq!(last.state, UNPACKED);
        assert!((last.width.parse::<f64>().unwrap() - 89.75).abs() < 0.3, "{last:?}");
    }
}
