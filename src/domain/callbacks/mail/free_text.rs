//! Texts of mail servers that write no report for machines. Only what begins as such a server writes it is read.

use mail_parser::Message;

use super::About;
use crate::domain::bounce::{Cause, status_in};
use crate::domain::callbacks::Report;
use crate::domain::reports::ReportKind;

/// How qmail begins (<https://cr.yp.to/proto/qsbmf.txt>): then come paragraphs, each with an address and what was said of it.
const QMAIL: &str = "Hi. This is the";

/// How Exim begins. The address is in a header of its own. Its warnings that a message is late begin in the same way.
const EXIM: &str = "This message was created automatically by mail delivery software.";

/// What Exim says of a message that it has given up.
const GIVEN_UP: &str = "could not be delivered";

/// The most of a text that is looked at, in characters.
const LONGEST: usize = 4_000;

/// `None`: it is no text that is known, or is about several recipients.
pub(super) fn read(message: &Message<'_>, about: &About) -> Option<Report> {
    let text: String = message.body_text(0)?.chars().take(LONGEST).collect();
    let text = text.replace("\r\n", "\n");
    let text = text.trim_start();
    let (address, said) = if text.starts_with(QMAIL) {
        qmail(text)?
    } else if text.starts_with(EXIM) && text.contains(GIVEN_UP) {
        let address = message.header_raw("X-Failed-Recipients")?.trim().to_owned();
        // Behind this line is the message itself, which may say anything.
        (address, text.split("\n------").next()?.to_owned())
    } else {
        return None;
    };
    if address.contains([',', ' ', '\n']) {
        return None;
    }
    let status = status_in(&said);
    let is_for_now = status.is_some_and(|status| status.starts_with('4'));
    let kind = if is_for_now { ReportKind::SoftBounced } else { ReportKind::HardBounced };
    let report = Report { occurred_at: about.at, address: Some(address), ..Report::new(&about.key, None, kind) };
    let cause = status.map_or(Cause::Other, Cause::of_status);
    Some(report.because(cause).with("status", status).with("reason", Some(said.as_str())))
}

/// The only paragraph `<address>:` and what follows in it.
fn qmail(text: &str) -> Option<(String, String)> {
    let mut found = text.split("\n\n").filter_map(|paragraph| {
        let (first, said) = paragraph.trim_start().split_once('\n')?;
        let address = first.trim().strip_prefix('<')?.strip_suffix(">:")?;
        Some((address.to_owned(), said.to_owned()))
    });
    let only = found.next()?;
    found.next().is_none().then_some(only)
}
