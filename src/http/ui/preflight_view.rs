//! The result of a preflight, as its page shows it.

use askama::Template;

use super::words::{When, counted, grouped, per_second};
use crate::domain::preflight::Report;
use crate::domain::preflight::estimate::{Estimate, Limit};
use crate::domain::preflight::funnel::Funnel;
use crate::domain::preflight::samples::{Chosen, Sample};
use crate::domain::preflight::verdict::Finding;

/// The smallest part of a bar that is drawn, in percent: a few people of a million are seen.
const SLIVER: f64 = 0.4;

/// What was found.
#[derive(Template)]
#[template(path = "ui/preflight_found.html")]
pub(super) struct PreflightView {
    pub(super) line: String,
    pub(super) go: bool,
    pub(super) blockers: Vec<Finding>,
    pub(super) remarks: Vec<Finding>,
    steps: Vec<Step>,
    /// How many are named by more than one source.
    several: Option<String>,
    /// Placeholder, how many lack it, and examples.
    missing: Vec<(String, String, String)>,
    /// Reason, how many it concerns, and examples.
    failures: Vec<(String, String, String)>,
    samples: Vec<SampleView>,
    estimate: String,
    ends: Option<When>,
    at: When,
    pub(super) messages: String,
    /// Empty: it cannot be launched as it is.
    pub(super) fingerprint: String,
}

/// A step of the funnel.
struct Step {
    word: &'static str,
    count: String,
    /// `left` or `lost`.
    kind: &'static str,
    /// Where its bar begins and how long it is, in percent of all who are named.
    x: String,
    width: String,
    is_zero: bool,
}

/// A message to look at.
struct SampleView {
    contact: i64,
    why: &'static str,
    subject: String,
    text: String,
    /// What the message has besides.
    notes: Vec<String>,
}

impl PreflightView {
    pub(super) fn of(report: &Report) -> Self {
        let examples = |ids: &[crate::domain::ids::ContactId]| -> String {
            ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        let missing = report.missing.iter();
        let missing =
            missing.map(|one| (one.placeholder.clone(), grouped(one.people), examples(&one.example_contact_ids)));
        let failures = report.render_errors.iter();
        let failures = failures.map(|one| (one.error.clone(), grouped(one.people), examples(&one.example_contact_ids)));
        let several = Some(report.funnel.in_several_sources).filter(|count| *count > 0);
        Self {
            line: report.verdict.line(),
            go: report.verdict.go,
            blockers: report.verdict.blockers.clone(),
            remarks: report.verdict.remarks.clone(),
            steps: steps(&report.funnel),
            several: several.map(|count| counted(count, "person is", "people are")),
            missing: missing.collect(),
            failures: failures.collect(),
            samples: report.samples.iter().map(SampleView::of).collect(),
            estimate: estimate(&report.estimate),
            ends: report.estimate.ends_at.map(When::of),
            at: When::of(report.finished_at),
            messages: counted(report.funnel.messages, "message", "messages"),
            fingerprint: report.fingerprint.clone().unwrap_or_default(),
        }
    }
}

impl SampleView {
    fn of(sample: &Sample) -> Self {
        let mut notes = Vec::new();
        if !sample.missing.is_empty() {
            notes.push(format!("no value for {}", sample.missing.join(", ")));
        }
        if sample.shortened {
            notes.push("cut off here".to_owned());
        }
        let (text, has_html) = match (&sample.html, sample.text.trim().is_empty()) {
            (Some(html), true) => (html.clone(), false),
            (html, _) => (sample.text.clone(), html.is_some()),
        };
        if has_html {
            notes.push("also has HTML".to_owned());
        }
        Self {
            contact: sample.contact_id.0,
            why: match sample.chosen {
                Chosen::Longest => "among the longest",
                Chosen::MostMissing => "lacks the most",
                Chosen::Even => "drawn evenly",
            },
            subject: sample.subject.clone(),
            text,
            notes,
        }
    }
}

/// The steps from those who are named to the messages: who is lost at each lies behind those who are left.
fn steps(funnel: &Funnel) -> Vec<Step> {
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

fn step(word: &'static str, count: i64, kind: &'static str, from: i64, whole: i64) -> Step {
    let percent = |part: i64| share(part, whole);
    let width = if count == 0 { 0.0 } else { percent(count).max(SLIVER) };
    let x = percent(from).min(100.0 - width);
    Step { word, count: grouped(count), kind, x: format!("{x:.2}"), width: format!("{width:.2}"), is_zero: count == 0 }
}

#[expect(clippy::as_conversions, reason = "counts of people are far below 2^53")]
fn share(part: i64, whole: i64) -> f64 {
    (part as f64 / whole.max(1) as f64 * 100.0).clamp(0.0, 100.0)
}

fn estimate(estimate: &Estimate) -> String {
    let (Some(rate), Some(limit), Some(seconds)) = (estimate.rate_per_second, estimate.bound_by, estimate.seconds)
    else {
        return "No limit is set: how fast the provider answers decides.".to_owned();
    };
    let limit = match limit {
        Limit::Campaign => "the campaign’s own limit",
        Limit::Pool => "the limit of its pool",
        Limit::Provider => "what the pool has found its provider to take",
    };
    let time = match seconds {
        ..120 => counted(seconds, "second", "seconds"),
        120..7_200 => format!("{} min", seconds.saturating_add(59) / 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    };
    format!("Takes about {time} at {}: {limit} binds.", per_second(rate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dispatch::delivery::SkipReason;

    #[test]
    fn who_is_lost_lies_behind_who_is_left_and_a_few_of_many_are_seen() {
        let mut funnel = Funnel::default();
        funnel.name(1_000, 0, 100);
        (0..500).for_each(|_| funnel.skip(SkipReason::NoAddress));
        funnel.fail();
        (0..399).for_each(|_| funnel.send());
        let steps = steps(&funnel);
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
    fn how_long_it_takes_is_a_sentence() {
        let bound =
            Estimate { rate_per_second: Some(50.0), bound_by: Some(Limit::Pool), seconds: Some(7_261), ends_at: None };
        assert_eq!(estimate(&bound), "Takes about 2 h 1 min at 50/s: the limit of its pool binds.");
        assert!(estimate(&Estimate::default()).starts_with("No limit is set"));
    }
}
