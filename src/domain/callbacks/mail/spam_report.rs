//! What a mailbox provider says of a message that its user called spam (RFC 5965).

use super::About;
use super::fields::Fields;
use crate::domain::callbacks::{NotUnderstood, Report};
use crate::domain::reports::ReportKind;

/// `None`: it says that a message is no spam, or that its signature is wrong.
pub(super) fn read(text: &str, about: &About) -> Result<Option<Report>, NotUnderstood> {
    let groups = Fields::groups(text);
    let kind = groups.iter().find_map(|group| group.word("feedback-type"));
    let kind = kind.ok_or_else(|| NotUnderstood("its report of spam has no type".to_owned()))?;
    let report_kind = match kind.as_str() {
        "abuse" | "fraud" | "virus" | "other" => ReportKind::Complained,
        "opt-out" | "opt-out-list" => ReportKind::Unsubscribed,
        _ => return Ok(None),
    };
    // The message's token names the recipient. An address in the report may be made unreadable (RFC 6590), or belong to somebody
    // who got the message from the recipient. The time is what the report's writer says.
    let report = Report::new(&about.key, None, report_kind);
    Ok(Some(report.with("reason", Some(kind.as_str()))))
}
