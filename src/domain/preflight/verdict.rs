//! Whether a campaign can be sent, and what should be looked at first.

use serde::Serialize;
use utoipa::ToSchema;

use super::RecentlyMailed;
use super::failures::Failure;
use super::funnel::Funnel;
use super::missing::MissingValue;
use crate::domain::shown::grouped;

/// Something that forbids a launch, or that should be looked at before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PreflightFinding)]
pub struct Finding {
    /// Stable, for programs. A blocker that a launch would be refused for has the code of that refusal.
    pub code: String,
    /// One line for people.
    pub detail: String,
}

impl Finding {
    /// A finding.
    #[must_use]
    pub fn new(code: &str, detail: String) -> Self {
        Self { code: code.to_owned(), detail }
    }
}

/// Whether a campaign can be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PreflightVerdict)]
pub struct Verdict {
    /// Whether nothing forbids it.
    pub go: bool,
    /// What forbids it.
    pub blockers: Vec<Finding>,
    /// What should be looked at before.
    pub remarks: Vec<Finding>,
}

impl Verdict {
    /// What was found: `blockers` and `remarks` by the campaign's settings, and what the people of its audience add to them.
    #[must_use]
    pub fn of(
        mut blockers: Vec<Finding>,
        mut remarks: Vec<Finding>,
        funnel: &Funnel,
        people: (&[MissingValue], &[Failure], RecentlyMailed),
    ) -> Self {
        let (missing, failures, recently) = people;
        if funnel.recipients == 0 {
            blockers.push(Finding::new("empty_audience", empty(funnel)));
        } else if funnel.messages == 0 {
            let detail = format!("none of the {} recipients would get a message", grouped(funnel.recipients));
            blockers.push(Finding::new("none_eligible", detail));
        }
        remarks.extend(missing.iter().map(|value| {
            let (people, share) = (people_who(value.people), share(value.people, funnel.messages));
            let have = if value.people == 1 { "has" } else { "have" };
            Finding::new("missing_values", format!("{people} ({share}) {have} no value for {}", value.placeholder))
        }));
        let unrenderable: i64 = failures.iter().map(|failure| failure.people).sum();
        if unrenderable > 0 {
            let messages = if unrenderable == 1 { "message" } else { "messages" };
            let detail = format!("the {messages} of {} cannot be made", people_who(unrenderable));
            remarks.push(Finding::new("render_errors", detail));
        }
        if recently.people > 0 {
            let people = people_who(recently.people);
            let detail = format!("{people} got a message of another campaign in the last 24 hours");
            remarks.push(Finding::new("recently_mailed", detail));
        }
        Self { go: blockers.is_empty(), blockers, remarks }
    }

    /// In a few words: `go with 3 remarks`.
    #[must_use]
    pub fn line(&self) -> String {
        let counted = |count: usize, one: &str, many: &str| match count {
            1 => format!("1 {one}"),
            count => format!("{count} {many}"),
        };
        match (self.go, self.remarks.len()) {
            (false, _) => format!("no: {}", counted(self.blockers.len(), "blocker", "blockers")),
            (true, 0) => "go".to_owned(),
            (true, remarks) => format!("go with {}", counted(remarks, "remark", "remarks")),
        }
    }
}

fn empty(funnel: &Funnel) -> String {
    match funnel.named {
        0 => "the audience names nobody".to_owned(),
        named => format!("all {} people that the audience names are left out", grouped(named)),
    }
}

/// `1 person`, `2 people`.
fn people_who(count: i64) -> String {
    format!("{} {}", grouped(count), if count == 1 { "person" } else { "people" })
}

/// A part of a whole as a percentage, with a digit behind the point where it is small.
fn share(part: i64, whole: i64) -> String {
    let thousandths = part.saturating_mul(1_000) / whole.max(1);
    match thousandths {
        0 => "less than 0.1 %".to_owned(),
        1..100 => format!("{}.{} %", thousandths / 10, thousandths % 10),
        _ => format!("{} %", thousandths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dispatch::delivery::SkipReason;
    use crate::domain::ids::ContactId;

    fn found(funnel: &Funnel, missing: &[MissingValue], failures: &[Failure], recently: i64) -> Verdict {
        let recently = RecentlyMailed { people: recently, campaigns: 1, complete: true };
        Verdict::of(Vec::new(), Vec::new(), funnel, (missing, failures, recently))
    }

    #[test]
    fn nothing_forbids_it_and_some_things_should_be_looked_at() {
        let mut funnel = Funnel::default();
        funnel.name(1_000, 0, 0);
        (0..986).for_each(|_| funnel.send());
        (0..14).for_each(|_| funnel.fail());
        let missing =
            MissingValue { placeholder: "first_name".to_owned(), people: 20, example_contact_ids: vec![ContactId(1)] };
        let failure = Failure { error: "subject is empty".to_owned(), people: 14, example_contact_ids: Vec::new() };
        let verdict = found(&funnel, &[missing], &[failure], 12_100);
        assert_eq!((verdict.go, verdict.line().as_str()), (true, "go with 3 remarks"));
        let details: Vec<&str> = verdict.remarks.iter().map(|remark| remark.detail.as_str()).collect();
        assert_eq!(
            details,
            [
                "20 people (2.0 %) have no value for first_name",
                "the messages of 14 people cannot be made",
                "12,100 people got a message of another campaign in the last 24 hours",
            ]
        );
        assert_eq!(found(&funnel, &[], &[], 0).line(), "go");
    }

    #[test]
    fn nobody_named_and_nobody_eligible_forbid_it() {
        let codes = |funnel: &Funnel| {
            let verdict = found(funnel, &[], &[], 0);
            (verdict.line(), verdict.blockers.into_iter().map(|one| one.code).collect::<Vec<_>>())
        };
        let mut funnel = Funnel::default();
        assert_eq!(codes(&funnel), ("no: 1 blocker".to_owned(), vec!["empty_audience".to_owned()]));
        funnel.name(3, 0, 2);
        funnel.skip(SkipReason::Suppressed);
        assert_eq!(codes(&funnel).1, ["none_eligible"]);
    }

    #[test]
    fn shares_have_the_digits_that_matter() {
        assert_eq!(
            [share(1, 10_000), share(23, 1_000), share(1, 2), share(1, 0)],
            ["less than 0.1 %", "2.3 %", "50 %", "100 %"]
        );
    }
}
