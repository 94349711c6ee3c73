//! What was reported of a message afterwards, in words.

use super::answer::Step;
use super::facts::{Facts, Heard};
use crate::domain::reports::{Reader, ReportKind};

/// Reports in the order in which they are told: what weighs most first.
pub const ORDER: [ReportKind; 11] = [
    ReportKind::Complained,
    ReportKind::HardBounced,
    ReportKind::RejectedLater,
    ReportKind::SoftBounced,
    ReportKind::Unsubscribed,
    ReportKind::Replied,
    ReportKind::Clicked(Reader::Person),
    ReportKind::Opened(Reader::Person),
    ReportKind::Delivered,
    ReportKind::Clicked(Reader::Machine),
    ReportKind::Opened(Reader::Machine),
];

const fn fact(kind: ReportKind) -> &'static str {
    match kind {
        ReportKind::Delivered => "It was reported as delivered to the mailbox or the telephone",
        ReportKind::SoftBounced => "It came back for a reason that may pass (a soft bounce)",
        ReportKind::HardBounced => "It came back for a reason that will not pass (a hard bounce)",
        ReportKind::Complained => "The recipient called it spam (a complaint)",
        ReportKind::Opened(Reader::Person) => "It was opened",
        ReportKind::Opened(Reader::Machine) => "A machine loaded it: a scanner, or a program that loads all mail",
        ReportKind::Clicked(Reader::Person) => "A link of it was followed",
        ReportKind::Clicked(Reader::Machine) => "A machine followed a link of it",
        ReportKind::Replied => "The recipient answered it",
        ReportKind::Unsubscribed => "The recipient unsubscribed by it",
        ReportKind::RejectedLater => "The provider said later that it had not taken it",
    }
}

/// What the newest of the weightiest reports adds to a verdict.
pub(super) fn after(facts: &Facts) -> Option<&'static str> {
    facts.reports.first().map(|heard| match heard.kind {
        ReportKind::Complained => "the recipient called it spam",
        ReportKind::HardBounced => "it came back as a hard bounce",
        ReportKind::RejectedLater => "the provider said later that it had not taken it",
        ReportKind::SoftBounced => "it came back as a soft bounce",
        ReportKind::Unsubscribed => "the recipient unsubscribed by it",
        ReportKind::Replied => "the recipient answered it",
        ReportKind::Clicked(Reader::Person) => "a link of it was followed",
        ReportKind::Opened(Reader::Person) => "it was opened",
        ReportKind::Delivered => "it was reported as delivered",
        ReportKind::Clicked(Reader::Machine) => "a machine followed a link of it",
        ReportKind::Opened(Reader::Machine) => "a machine loaded it",
    })
}

/// Whether something came back, which the verdict rests on.
const fn weighs(kind: ReportKind) -> bool {
    matches!(
        kind,
        ReportKind::Complained | ReportKind::HardBounced | ReportKind::SoftBounced | ReportKind::RejectedLater
    )
}

pub(super) fn steps(facts: &Facts) -> impl Iterator<Item = Step> + '_ {
    facts.reports.iter().map(|Heard { kind, event, link }| {
        let link = link.map(|number| format!(": link {number}")).unwrap_or_default();
        let source = event.map_or_else(|| "delivery".to_owned(), |(id, _)| format!("event {id}"));
        Step::new(format!("{}{link}.", fact(*kind)), source).at(event.map(|(_, at)| at)).decisive(weighs(*kind))
    })
}
