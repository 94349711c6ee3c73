//! What a mail server says of a message that it could not deliver, or did (RFC 3464).

use super::About;
use super::fields::Fields;
use crate::domain::bounce::{Cause, status_in};
use crate::domain::callbacks::{NotUnderstood, Report};
use crate::domain::reports::ReportKind;

/// What is certain: one report of each kind. The message had one recipient, however many there are behind the address.
pub(super) fn read(text: &str, about: &About) -> Result<Vec<Report>, NotUnderstood> {
    let groups = Fields::groups(text);
    let recipients: Vec<&Fields> = groups.iter().filter(|group| group.get("action").is_some()).collect();
    if recipients.is_empty() {
        return Err(NotUnderstood("its delivery status names no action".to_owned()));
    }
    let mut reports: Vec<Report> = Vec::new();
    for report in recipients.into_iter().enumerate().filter_map(|(number, group)| report(group, number, about)) {
        if reports.iter().all(|known| known.kind != report.kind) {
            reports.push(report);
        }
    }
    Ok(reports)
}

/// `None`: the server still tries, or has passed the message on.
fn report(group: &Fields, number: usize, about: &About) -> Option<Report> {
    let diagnostic = group.get("diagnostic-code");
    let own = group.get("status").and_then(status_in);
    // Of 5.0.0, the other server's own words may say more.
    let status = own.filter(|status| !status.ends_with(".0.0")).or_else(|| diagnostic.and_then(status_in)).or(own);
    let kind = match group.word("action").as_deref() {
        Some("delivered") => ReportKind::Delivered,
        // It was tried until it was too old.
        Some("failed") if status.is_some_and(|status| status.starts_with('4')) => ReportKind::SoftBounced,
        Some("failed") => ReportKind::HardBounced,
        _ => return None,
    };
    // A server that passes a message on has another address for it. Its sender knows the first one.
    let (original, last) = (group.address("original-recipient"), group.address("final-recipient"));
    let address = original.or(last);
    let report = Report {
        occurred_at: about.at,
        address: address.map(ToOwned::to_owned),
        ..Report::new(&format!("{}#{number}", about.key), None, kind)
    };
    if kind == ReportKind::Delivered {
        return Some(report);
    }
    // The address that failed may be one of many behind the first one, which the others still read.
    let is_passed_on = original.zip(last).is_some_and(|(original, last)| !original.eq_ignore_ascii_case(last));
    let cause = status.filter(|_| !is_passed_on).map_or(Cause::Other, Cause::of_status);
    Some(report.because(cause).with("status", status).with("reason", diagnostic))
}
