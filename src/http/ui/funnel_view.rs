//! A funnel as pages draw it: people who are lost lie behind those who are left.

use std::collections::BTreeMap;

use super::words::grouped;
use crate::domain::campaigns::CampaignStatus;
use crate::domain::dispatch::delivery::SkipReason;
use crate::domain::preflight::funnel::{Funnel, Lost};
use crate::http::api::campaigns::{Campaign, Stats};

/// The smallest part of a bar that is drawn, in percent: a few people of a million are seen.
const SLIVER: f64 = 0.4;

/// A step of the funnel.
pub(super) struct Step {
    pub(super) word: &'static str,
    pub(super) count: String,
    /// `left` or `lost`.
    pub(super) kind: &'static str,
    /// Where its bar begins and how long it is, in percent of all who are named.
    pub(super) x: String,
    pub(super) width: String,
    pub(super) is_zero: bool,
    /// How many a preflight had said.
    pub(super) said: Option<String>,
}

/// The steps from those who are named to the messages.
pub(super) fn foreseen(funnel: &Funnel) -> Vec<Step> {
    let whole = funnel.named.max(funnel.recipients);
    let mut left = funnel.named;
    let mut steps = vec![step("named", funnel.named, "left", 0, whole)];
    let mut lose = |word: &'static str, count: i64, steps: &mut Vec<Step>| {
        left -= count;
        steps.push(step(word, count, "lost", left, whole));
    };
    lose("left out", funnel.excluded, &mut steps);
    lose("no address", funnel.unreachable, &mut steps);
    lose("suppressed", funnel.suppressed, &mut steps);
    lose("refused, or never agreed", funnel.refused, &mut steps);
    lose("message cannot be made", funnel.unrenderable, &mut steps);
    steps.push(step("will be handed over", funnel.messages, "left", 0, whole));
    steps
}

/// What became of the recipients of a launched campaign, beside what its last preflight had said of them. Empty: it has none.
pub(super) fn became(campaign: &Campaign, said: Option<&Funnel>) -> Vec<Step> {
    let unpacked = campaign.packing.map_or(0, |packing| packing.left(&campaign.stats));
    let is_over = !matches!(campaign.status, CampaignStatus::Sending | CampaignStatus::Paused);
    let unpacked = (if is_over { "not packed, and gets nothing" } else { "not packed yet" }, unpacked);
    steps(&campaign.stats, unpacked, said)
}

fn steps(stats: &Stats, (unpacked, count_unpacked): (&'static str, i64), said: Option<&Funnel>) -> Vec<Step> {
    let whole = stats.total + count_unpacked;
    if whole == 0 {
        return Vec::new();
    }
    let lost = lost(&stats.skipped_by_reason);
    let count = |step: Lost| lost.iter().filter(|(one, _)| *one == step).map(|(_, count)| count).sum::<i64>();
    let known: i64 = lost.iter().map(|(_, count)| count).sum();
    let counts = stats.counts;
    let rows = [
        (unpacked, count_unpacked, None),
        ("no address", count(Lost::Unreachable), said.map(|said| said.unreachable)),
        ("suppressed", count(Lost::Suppressed), said.map(|said| said.suppressed)),
        ("refused, or never agreed", count(Lost::Refused), said.map(|said| said.refused)),
        ("stopped before", count(Lost::Stopped), None),
        ("skipped, reason not recorded", counts.skipped - known, None),
        ("failed", counts.failed, said.map(|said| said.unrenderable)),
        ("uncertain", counts.uncertain, None),
        ("not handed over yet", counts.pending + counts.sending, None),
    ];
    let mut left = whole;
    let first = step("recipients", whole, "left", 0, whole);
    let mut steps = vec![Step { said: said.map(|said| grouped(said.recipients)), ..first }];
    for (word, count, said) in rows {
        left -= count;
        // A step without people is shown only where something was said of it.
        if count != 0 || said.is_some() {
            steps.push(Step { said: said.map(grouped), ..step(word, count, "lost", left, whole) });
        }
    }
    let last = step("accepted by the provider", counts.sent, "left", 0, whole);
    steps.push(Step { said: said.map(|said| grouped(said.messages)), ..last });
    steps
}

fn lost(skipped: &BTreeMap<String, i64>) -> Vec<(Lost, i64)> {
    let known = skipped.iter().filter_map(|(reason, count)| Some((SkipReason::from_text(reason)?, *count)));
    known.map(|(reason, count)| (Lost::to(reason), count)).collect()
}

fn step(word: &'static str, count: i64, kind: &'static str, from: i64, whole: i64) -> Step {
    let percent = |part: i64| share(part, whole);
    let width = if count == 0 { 0.0 } else { percent(count).max(SLIVER) };
    let x = percent(from).min(100.0 - width);
    Step {
        word,
        count: grouped(count),
        kind,
        x: format!("{x:.2}"),
        width: format!("{width:.2}"),
        is_zero: count == 0,
        said: None,
    }
}

#[expect(clippy::as_conversions, reason = "counts of people are far below 2^53")]
fn share(part: i64, whole: i64) -> f64 {
    (part as f64 / whole.max(1) as f64 * 100.0).clamp(0.0, 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dispatch::page::Counts;

    #[test]
    fn who_is_lost_lies_behind_who_is_left_and_a_few_of_many_are_seen() {
        let mut funnel = Funnel::default();
        funnel.name(1_000, 0, 100);
        (0..500).for_each(|_| funnel.skip(SkipReason::NoAddress));
        funnel.fail();
        (0..399).for_each(|_| funnel.send());
        let steps = foreseen(&funnel);
        let drawn: Vec<_> = steps.iter().map(|step| (step.word, step.x.as_str(), step.width.as_str())).collect();
        assert_eq!(
            drawn,
            [
                ("named", "0.00", "100.00"),
                ("left out", "90.00", "10.00"),
                ("no address", "40.00", "50.00"),
                ("suppressed", "40.00", "0.00"),
                ("refused, or never agreed", "40.00", "0.00"),
                ("message cannot be made", "39.90", "0.40"),
                ("will be handed over", "0.00", "39.90"),
            ]
        );
    }

    #[test]
    fn what_became_of_everybody_adds_up_and_stands_beside_what_was_said() {
        let counts = Counts { pending: 5, sent: 80, failed: 2, skipped: 12, uncertain: 1, ..Counts::default() };
        let skipped = [("suppressed", 4), ("unsubscribed", 3), ("stopped", 2)];
        let skipped_by_reason = skipped.into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect();
        let stats = Stats { total: counts.total(), counts, skipped_by_reason };
        let said = Funnel { recipients: 100, messages: 95, suppressed: 5, ..Funnel::default() };
        let row = |step: &Step| (step.word, step.count.clone(), step.said.clone().unwrap_or_default());
        let shown: Vec<_> = steps(&stats, ("not packed yet", 20), Some(&said)).iter().map(row).collect();
        let expected = [
            ("recipients", "120", "100"),
            ("not packed yet", "20", ""),
            ("no address", "0", "0"),
            ("suppressed", "4", "5"),
            ("refused, or never agreed", "3", "0"),
            ("stopped before", "2", ""),
            ("skipped, reason not recorded", "3", ""),
            ("failed", "2", "0"),
            ("uncertain", "1", ""),
            ("not handed over yet", "5", ""),
            ("accepted by the provider", "80", "95"),
        ];
        assert_eq!(shown, expected.map(|(word, count, said)| (word, count.to_owned(), said.to_owned())));
        let alone: Vec<_> = steps(&stats, ("not packed yet", 0), None).iter().map(|step| step.word).collect();
        assert!(!alone.contains(&"no address"), "nobody was lost there: {alone:?}");
    }
}
