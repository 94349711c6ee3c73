//! The result of a preflight, as its page shows it.

use askama::Template;

use super::email_form::extras;
use super::funnel_view::{Step, foreseen};
use super::words::{When, counted, grouped, per_second, sized};
use crate::domain::content::attachment::AttachedFile;
use crate::domain::preflight::Report;
use crate::domain::preflight::estimate::{Estimate, Limit};
use crate::domain::preflight::samples::{Chosen, Sample};
use crate::domain::preflight::sms_parts::SmsParts;
use crate::domain::preflight::verdict::Finding;

/// What was found.
#[derive(Template)]
#[template(path = "ui/preflight_found.html")]
pub(super) struct PreflightView {
    pub(super) line: String,
    pub(super) go: bool,
    pub(super) blockers: Vec<Finding>,
    pub(super) remarks: Vec<Finding>,
    campaign: i64,
    steps: Vec<Step>,
    /// How many are named by more than one source.
    several: Option<String>,
    /// Placeholder, how many lack it, and examples.
    missing: Vec<(String, String, String)>,
    /// Reason, how many it concerns, and examples.
    failures: Vec<(String, String, String)>,
    samples: Vec<SampleView>,
    /// What text messages take in parts.
    parts: Option<String>,
    estimate: String,
    ends: Option<When>,
    at: When,
    pub(super) messages: String,
    /// Empty: it cannot be launched as it is.
    pub(super) fingerprint: String,
}

/// A message to look at.
struct SampleView {
    contact: i64,
    why: &'static str,
    subject: String,
    text: String,
    has_html: bool,
    /// What is to be known of it.
    notes: Vec<String>,
    /// What it has beside the words.
    extras: Vec<(String, String)>,
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
            campaign: report.campaign_id.0,
            steps: foreseen(&report.funnel),
            several: several.map(|count| counted(count, "person is", "people are")),
            missing: missing.collect(),
            failures: failures.collect(),
            samples: report.samples.iter().map(|sample| SampleView::of(sample, &report.attachments)).collect(),
            parts: report.sms_parts.map(parts),
            estimate: estimate(&report.estimate),
            ends: report.estimate.ends_at.map(When::of),
            at: When::of(report.finished_at),
            messages: counted(report.funnel.messages, "message", "messages"),
            fingerprint: report.fingerprint.clone().unwrap_or_default(),
        }
    }
}

impl PreflightView {
    /// Whether messages of real people are shown.
    pub(super) fn shows_somebody(&self) -> bool {
        !self.samples.is_empty()
    }
}

impl SampleView {
    fn of(sample: &Sample, files: &[AttachedFile]) -> Self {
        let mut notes = Vec::new();
        if !files.is_empty() {
            let count = counted(i64::try_from(files.len()).unwrap_or(i64::MAX), "file", "files");
            notes.push(format!("{count}, {}", sized(files.iter().map(|file| file.size).sum())));
        }
        if !sample.missing.is_empty() {
            notes.push(format!("no value for {}", sample.missing.join(", ")));
        }
        if sample.shortened {
            notes.push("cut off here".to_owned());
        }
        Self {
            contact: sample.contact_id.0,
            why: match sample.chosen {
                Chosen::Longest => "among the longest",
                Chosen::MostMissing => "lacks the most",
                Chosen::Even => "drawn evenly",
            },
            subject: sample.subject.clone(),
            text: sample.text.clone(),
            has_html: sample.html.is_some(),
            notes,
            extras: extras(sample.from.as_deref(), sample.reply_to.as_deref(), &sample.headers, files),
        }
    }
}

fn parts(parts: SmsParts) -> String {
    let SmsParts { total, longest, in_several, in_unicode } = parts;
    let mut said = format!("The messages take {} together", counted(total, "part", "parts"));
    if in_several > 0 {
        said += &format!(": {} more than one, the longest {}", counted(in_several, "takes", "take"), grouped(longest));
    }
    if in_unicode > 0 {
        let people = counted(in_unicode, "has a character", "have characters");
        said += &format!("; {people} outside of the GSM alphabet, so that a part holds fewer");
    }
    said + "."
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

    #[test]
    fn what_text_messages_take_is_a_sentence() {
        let plain = SmsParts { total: 1_200, longest: 1, in_several: 0, in_unicode: 0 };
        assert_eq!(parts(plain), "The messages take 1,200 parts together.");
        let mixed = SmsParts { total: 1_203, longest: 3, in_several: 2, in_unicode: 1 };
        assert_eq!(
            parts(mixed),
            "The messages take 1,203 parts together: 2 take more than one, the longest 3; 1 has a character outside of the GSM \
             alphabet, so that a part holds fewer."
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
