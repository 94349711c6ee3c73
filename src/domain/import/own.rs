//! Volley's own exports of contacts, so that what is exported comes back as it was.
//!
//! They are recognised by their header. A cell that a spreadsheet would take for a formula has a `'` before it there, `attributes` is a JSON object,
//! `suppressed` says why addresses are not written to, and `lists` how the contact stands on all lists.

use crate::domain::people::consent::{MAX_SOURCE, Said};
use crate::domain::people::contact::FieldError;
use crate::domain::people::held;
use crate::domain::people::spelling::trim;
use crate::domain::people::tag;

/// Columns of which an export has one, and others of which it has at least one: people delete columns before they upload a file, and what is left
/// must still be read as what it is.
const SIGNS: [&str; 2] = ["lists", "status_list"];
const OTHERS: [&str; 4] = ["contact_id", "suppressed", "untracked", "introduced_at"];

/// Whether a file with these headers is an export of contacts. They must be spelled as Volley does: ActiveCampaign has `Contact ID` and `Lists`.
pub(super) fn is_export(headers: &[String]) -> bool {
    let has_any = |wanted: &[&str]| wanted.iter().any(|name| headers.iter().any(|header| header == name));
    has_any(&SIGNS) && has_any(&OTHERS)
}

/// What stands between the words of a cell.
pub const BETWEEN: &str = ", ";

/// The words of a cell.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(trim).filter(|word| !word.is_empty())
}

/// Takes the reasons why addresses are not written to.
pub(super) fn hear_reasons(said: &mut Said, text: &str) -> Result<(), FieldError> {
    for word in words(text) {
        let one = held::read(word).ok_or_else(|| {
            let reason = "has a word that is no reason such as unsubscribed, email:bounced or sms:stopped, so that it cannot be told whether the \
                          person may be written to";
            FieldError::new("suppressed", "not_allowed", reason)
        })?;
        if !said.suppressed.contains(&one) {
            said.suppressed.push(one);
        }
    }
    Ok(())
}

/// Tags as an export has them: any number.
pub(super) fn tags(text: &str) -> Result<Vec<String>, FieldError> {
    words(text).map(tag::parse).collect()
}

/// A source as it was stored: an import says again that it is one.
pub(super) fn source(text: &str) -> String {
    text.strip_prefix("import: ").unwrap_or(text).chars().take(MAX_SOURCE).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use crate::domain::channel::ChannelKind;
    use crate::domain::import::reading::Reading;
    use crate::domain::import::{ImportReader, Row, rejected};
    use crate::domain::people::consent::{Reason, SaidSuppression};
    use crate::domain::people::standing::Standing;

    const HEADER: &str = "contact_id,external_id,email,phone,first_name,tags,attributes,suppressed,lists,updated_at";
    const MEMBERS: &str = "contact_id,email,attributes,status,status_at,source,suppressed,lists";

    fn rows(header: &str, lines: &[&str], on_list: bool) -> Vec<Row> {
        rows_onto(header, lines, on_list.then_some("offers-2"))
    }

    fn rows_onto(header: &str, lines: &[&str], list: Option<&str>) -> Vec<Row> {
        let file = format!("\u{feff}{header}\r\n{}\r\n", lines.join("\r\n"));
        let reading = Reading { on_list: list.is_some(), list: list.map(ToOwned::to_owned), ..Reading::default() };
        let mut reader = ImportReader::open(Cursor::new(file.into_bytes()), None, &reading).unwrap();
        std::iter::from_fn(|| reader.next_row().unwrap()).collect()
    }

    #[test]
    fn cells_are_taken_as_they_were_exported() {
        let line = "7,''c-1,ann@example.com,'+442079460123,'=Ann,\"a|b, vip\",\"{\"\"n\"\":1}\",,news:subscribed,2026-01-02T03:04:05Z";
        let row = &rows(HEADER, &[line, &line.replace("''c-1", "'c-1")], true)[0];
        let draft = row.result.clone().unwrap();
        let fields = &draft.fields;
        assert_eq!(fields.external_id.as_deref(), Some("'c-1"));
        assert_eq!(fields.phone.as_deref(), Some("+442079460123"));
        assert_eq!(fields.first_name.as_deref(), Some("=Ann"));
        assert_eq!(row.said.tags, ["a|b", "vip"]);
        assert_eq!(draft.attributes, [("n".to_owned(), 1.into())].into(), "and nothing else is an attribute");
        let unprotected = &rows(HEADER, &[&line.replace("''c-1", "'c-1")], true)[0];
        assert_eq!(unprotected.result.clone().unwrap().fields.external_id.as_deref(), Some("'c-1"), "as with raw=true");
    }

    #[test]
    fn reasons_are_heard_and_an_unknown_one_keeps_the_row_out() {
        let row =
            |suppressed: &str| rows(HEADER, &[&format!("7,,a@example.com,,,,,\"{suppressed}\",,x")], false).remove(0);
        let said = row("unsubscribed, sms:stopped").said.suppressed;
        let stopped = SaidSuppression { reason: Reason::Stopped, channel: Some(ChannelKind::Sms) };
        assert_eq!(said, [SaidSuppression { reason: Reason::Unsubscribed, channel: None }, stopped]);
        let wrong = row("unsubscribed, gone");
        assert_eq!(wrong.result.unwrap_err()[0].code, "not_allowed");
        assert_eq!(wrong.refused.len(), 1, "what was understood counts");
        let short = &rows(HEADER, &["7,,a@example.com"], false)[0];
        assert_eq!(short.result.clone().unwrap_err()[0].code, "too_few_cells", "a reason may be lost");
    }

    #[test]
    fn who_has_refused_a_list_is_not_subscribed_to_another_by_an_export_of_contacts() {
        let code = |lists: &str, on_list| {
            let row = rows(HEADER, &[&format!("7,,a@example.com,,,,,,\"{lists}\",x")], on_list).remove(0);
            row.result.map_err(|errors| errors[0].code.to_string()).map(|_| ())
        };
        assert_eq!(code("news:subscribed, offers:unsubscribed", true), Err("not_subscribed".to_owned()));
        assert_eq!(code("news:unconfirmed", true), Err("not_subscribed".to_owned()));
        assert_eq!(code("news:subscribed", true), Ok(()));
        assert_eq!(code("news:unsubscribed", false), Ok(()));
        let line = "7,,a@example.com,,,,,,\"news:subscribed, offers-2:unsubscribed\",x";
        assert_eq!(
            rows(HEADER, &[line], true)[0].said.standing,
            Some(Standing::Unsubscribed),
            "its own list is another matter"
        );
    }

    #[test]
    fn members_stand_as_they_stood() {
        let at = "2026-01-02T03:04:05.000Z";
        let source = format!("import: {}", "x".repeat(100));
        let lines = [
            format!("7,a@example.com,,unsubscribed,{at},page,,news:unsubscribed"),
            format!("8,b@example.com,,subscribed,{at},{source},email:bounced,\"news:subscribed, offers:unsubscribed\""),
        ];
        let read = rows_onto(MEMBERS, &[&lines[0], &lines[1]], Some("news"));
        assert_eq!(read[0].said.standing, Some(Standing::Unsubscribed));
        assert_eq!(read[0].said.at.unwrap().to_string(), at);
        assert_eq!(read[1].result.as_ref().map(|_| ()), Ok(()));
        assert_eq!((read[1].said.standing, read[1].said.suppressed.len()), (Some(Standing::Subscribed), 1));
        assert_eq!(read[1].said.source.as_deref(), Some("x".repeat(100).as_str()));
        assert_eq!(read[1].said.at, None, "since when the address bounces is another matter");
        let without = rows(MEMBERS, &[&lines[1]], false).remove(0);
        assert!(without.result.unwrap().attributes.is_empty() && without.said.source.is_none());
    }

    #[test]
    fn what_is_left_of_an_export_still_says_who_has_refused_the_list() {
        for (header, line) in [
            ("email,lists", "a@example.com,offers-2:unsubscribed"),
            ("email,first_name,lists", "a@example.com,Ann,\"news:subscribed, offers-2:unsubscribed\""),
            ("email,status,lists", "a@example.com,subscribed,offers-2:unsubscribed"),
            (
                "email,status,status_list,lists",
                "a@example.com,subscribed,news,\"news:subscribed, offers-2:unsubscribed\"",
            ),
        ] {
            let row = rows(header, &[line], true).remove(0);
            assert_eq!(row.said.standing, Some(Standing::Unsubscribed), "{header}");
        }
        let other =
            rows("email,lists", &["a@example.com,\"Newsletter, VIP: gold, offers-2:subscribed\""], true).remove(0);
        assert_eq!((other.said.standing, other.result.is_ok()), (None, true), "another tool's words");
    }

    #[test]
    fn a_word_about_the_list_that_is_no_standing_is_no_yes() {
        for word in ["offers-2:gone", "offers-2: unsubscribed", "offers-2:Subscribed"] {
            let line = format!("7,a@example.com,,subscribed,,,,\"{word}\"");
            let row = rows(MEMBERS, &[&line], true).remove(0);
            assert_eq!(row.result.unwrap_err()[0].code, "not_subscribed", "{word}");
        }
    }

    #[test]
    fn rejected_rows_of_an_export_are_an_export() {
        let bad = "7,''c-1,ann@,'+442079460123,,,nonsense,,,x";
        let file = Cursor::new(format!("{HEADER}\r\n{bad}\r\n").into_bytes());
        let mut reader = ImportReader::open(file, None, &Reading::default()).unwrap();
        let header = reader.rejected_header();
        let row = reader.next_row().unwrap().unwrap();
        let line = rejected::line(row.line, &row.result.unwrap_err(), &row.cells);
        assert!(line.ends_with(",7,''c-1,ann@,'+442079460123,,,nonsense,,,x\r\n"), "{line}");
        let corrected = line.replace("ann@,", "ann@example.com,").replace("nonsense", "{}");
        let again = rows(&header, &[corrected.trim_end()], false).remove(0).result.unwrap();
        assert_eq!(again.fields.external_id.as_deref(), Some("'c-1"));
        assert_eq!(again.fields.phone.as_deref(), Some("+442079460123"));
    }
}
