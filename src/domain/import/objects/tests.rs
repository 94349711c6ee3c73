use std::io::Cursor;

use proptest::prelude::*;
use serde_json::json;

use super::super::rejected;
use super::*;
use crate::domain::export::Format;
use crate::domain::import::reading::Mapped;
use crate::domain::people::consent::Reason;
use crate::domain::people::standing::Standing;

fn reading(mapping: &[&str]) -> Reading {
    let mapping = Mapped::parse_all(mapping.iter().copied()).unwrap();
    Reading { format: Format::Jsonl, on_list: true, list: Some("news".to_owned()), mapping, ..Reading::default() }
}

fn open(source: &str, mapping: &[&str]) -> Result<ImportReader<Cursor<Vec<u8>>>, ImportError> {
    ImportReader::open(Cursor::new(source.as_bytes().to_vec()), None, &reading(mapping))
}

fn rows(source: &str) -> Vec<Row> {
    let mut reader = open(source, &[]).unwrap();
    std::iter::from_fn(|| reader.next_row().unwrap()).collect()
}

/// The file of the rejected rows of a file.
fn rejected_of(source: &str) -> String {
    let wrong = rows(source).into_iter().filter_map(|row| Some((row.line, row.result.err()?, row.cells)));
    wrong.map(|(line, errors, cells)| rejected::line(line, &errors, &cells)).collect()
}

fn code(row: &Row) -> String {
    row.result.as_ref().map_or_else(|errors| format!("{}:{}", errors[0].field, errors[0].code), |_| "good".to_owned())
}

#[test]
fn an_object_becomes_a_contact_and_values_stay_what_they_are() {
    let rows = rows(concat!(
        "\u{feff}{\"E-Mail\":\" Ann@Example.com \",\"firstName\":\"Ann\",\"phone\":null,\"orders\":3,\"colours\":[\"red\",7],\"tags\":[\"VIP\",\"a|b\"]}\r\n",
        "\n",
        "{\"customer_id\":4711,\"attributes\":{\"city\":\"Leeds\",\"vip\":true,\"phone\":\"+442079460123\"},\"status\":\"unsubscribed\"}",
    ));
    let ann = rows[0].result.as_ref().unwrap();
    assert_eq!((ann.fields.email.as_deref(), ann.fields.first_name.as_deref()), (Some("ann@example.com"), Some("Ann")));
    assert_eq!((&ann.attributes["orders"], &ann.attributes["colours"]), (&json!(3), &json!(["red", 7])));
    assert_eq!((rows[0].said.tags.as_slice(), ann.attributes.len()), (&["vip".to_owned(), "a|b".to_owned()][..], 2));
    let second = rows[1].result.as_ref().unwrap();
    assert_eq!(
        (second.fields.external_id.as_deref(), second.fields.phone.as_deref()),
        (Some("4711"), Some("+442079460123"))
    );
    assert_eq!((&second.attributes["city"], &second.attributes["vip"]), (&json!("Leeds"), &json!(true)));
    assert_eq!((rows[1].line, rows[1].said.standing), (3, Some(Standing::Unsubscribed)));
}

#[test]
fn a_bad_line_costs_that_line_and_says_what_is_wrong() {
    let long = format!("{{\"email\":\"{}\"}}", "x".repeat(MAX_LINE_BYTES));
    let source = [
        "{\"email\":\"a@b.cd\"}",
        "{\"email\":",
        &long,
        "{\"email\":\"bad\"}",
        "{\"email\":[\"a@b.cd\"]}",
        "{\"email\":\"b@b.cd\",\"E-Mail\":\"c@b.cd\"}",
        "{\"city\":\"x\"}",
        "[]",
        "{\"email\":\"d@b.cd\",\"status\":7}",
        "{\"email\":\"e@b.cd\"}",
    ];
    let found: Vec<String> = rows(&source.join("\n")).iter().map(code).collect();
    let expected = [
        "good",
        "row:json_invalid",
        "row:line_too_long",
        "email:email_invalid",
        "email:wrong_type",
        "row:duplicate_column",
        "row:no_key",
        "row:json_invalid",
        "status:not_allowed",
        "good",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_file_of_which_nothing_can_be_imported_is_refused() {
    for (source, mapping, code) in [
        ("", vec![], "jsonl_no_object"),
        ("email,city\na@b.cd,x\n", vec![], "jsonl_no_object"),
        ("[\n{\"email\":\"a@b.cd\"},\n", vec![], "jsonl_no_object"),
        ("{\"name\":\"Ann\"}\n", vec![], "no_key_column"),
        ("{\"email\":\"a@b.cd\",\"E-Mail\":\"a@b.cd\"}\n", vec![], "duplicate_column"),
        ("{\"email\":\"a@b.cd\"}\n", vec!["Kunde:external_id"], "map_no_column"),
    ] {
        assert_eq!(open(source, &mapping).unwrap_err().code(), code, "{source}");
    }
    assert!(open("{\"Kunde\":7}\n", &["kunde:external_id"]).is_ok());
}

#[test]
fn an_export_comes_back_as_it_was() {
    let line = json!({
        "id": 7, "external_id": "'c-1", "email": "ann@example.com", "phone": "+442079460123", "first_name": "=Ann", "last_name": null,
        "timezone": null, "locale": null, "attributes": { "n": 1 }, "tags": ["a|b", "vip"], "introduced_at": null, "version": 3,
        "created_at": "2026-01-02T03:04:05.000Z", "updated_at": "2026-01-02T03:04:05.000Z", "suppressed": ["email:bounced"],
        "lists": ["news:unsubscribed", "offers:subscribed"], "untracked": false, "status": "subscribed",
        "status_at": "2026-01-02T03:04:05.000Z", "source": "import: shop", "status_list": "offers",
    });
    let row = rows(&line.to_string()).remove(0);
    let draft = row.result.unwrap();
    assert_eq!((draft.fields.external_id.as_deref(), draft.fields.first_name.as_deref()), (Some("'c-1"), Some("=Ann")));
    assert_eq!(draft.attributes, [("n".to_owned(), 1.into())].into(), "and nothing else is an attribute");
    assert_eq!((row.said.standing, row.said.suppressed[0].reason), (Some(Standing::Unsubscribed), Reason::Bounced));
    assert_eq!(row.said.tags, ["a|b", "vip"]);
}

#[test]
fn rejected_lines_come_as_they_were_and_are_taken_when_they_are_corrected() {
    let source =
        "{\"email\":\"bad\", \"note\":\"caf\u{e9}\",\"n\":1.50}\n{\"email\":\"a@b.cd\",\n{\"email\":\"c@b.cd\"}\n";
    let file = rejected_of(source);
    let lines: Vec<&str> = file.lines().collect();
    assert!(
        lines[0].starts_with("{\"rejected_line\":1,\"rejected_column\":\"email\",\"rejected_code\":\"email_invalid\","),
        "{file}"
    );
    assert!(lines[0].ends_with(",\"email\":\"bad\", \"note\":\"caf\u{e9}\",\"n\":1.50}"), "{file}");
    assert!(lines[1].ends_with(",\"rejected_text\":\"{\\\"email\\\":\\\"a@b.cd\\\",\"}") && lines.len() == 2, "{file}");
    let again = rejected_of(&file);
    assert!(again.lines().count() == 2 && again.matches("rejected_line").count() == 2, "said once: {again}");
    let corrected = file.replace("bad", "d@b.cd").replace("a@b.cd\\\",", "a@b.cd\\\"}");
    let found = rows(&corrected);
    assert_eq!(found.iter().map(code).collect::<Vec<_>>(), ["good", "good"], "{corrected}");
    assert_eq!(found[0].result.as_ref().unwrap().attributes.len(), 2);
}

#[test]
fn rejected_lines_are_known_for_what_their_file_was() {
    for source in [
        "{\"email\":\"a@b.cd\",\"opt_in\":true}\n{\"email\":\"b@b.cd\"}\n",
        "{\"contact_id\":1,\"email\":\"a@b.cd\",\"lists\":[\"x:subscribed\"],\"status\":\"subscribed\"}\n\
         {\"email\":\"b@b.cd\",\"lists\":[\"x:unsubscribed\"],\"status\":\"subscribed\"}\n",
        "{\"Email Address\":\"a@b.cd\",\"MEMBER_RATING\":2,\"OPTIN_TIME\":\"2023-05-01 10:00:00\",\"CONFIRM_TIME\":\"2023-05-01 10:00:00\"}\n\
         {\"Email Address\":\"b@b.cd\",\"MEMBER_RATING\":2,\"OPTIN_TIME\":\"2023-05-01 10:00:00\"}\n",
    ] {
        let file = rejected_of(source);
        assert_eq!(file.lines().count(), 1, "{source}: {file}");
        assert_eq!(rejected_of(&file).lines().count(), 1, "uploaded again as it is: {file}");
    }
}

#[test]
fn a_refusal_counts_where_the_names_of_its_line_cannot_be_used() {
    let many = "{\"email\":\"a@b.cd\",\"status\":\"subscribed\"}\n".repeat(HEAD_LINES);
    for more in ["\"mail\":\"x@b.cd\"", "\"***\":1"] {
        let line = format!("{{\"email\":\"b@b.cd\",\"status\":\"unsubscribed\",{more}}}\n");
        let last = rows(&format!("{many}{line}")).pop().unwrap();
        assert!(last.result.is_err() && last.refused.len() == 1, "{more}: {:?}", last.result);
    }
}

proptest! {
    #[test]
    fn a_file_resumed_at_any_line_yields_the_rest(
        body in "(\\{\"email\":\"[a-z]{1,3}@b\\.cd\"(,\"[a-d]\":[0-9])?\\}|\\{\"city\":\"x\"\\}|x|\"|\n|\r\n|\u{e9}){0,40}"
    ) {
        let source = format!("{{\"email\":\"a@b.cd\"}}\n{body}");
        let mut reader = open(&source, &[]).unwrap();
        let all: Vec<Row> = std::iter::from_fn(|| reader.next_row().unwrap()).collect();
        for (index, row) in all.iter().enumerate() {
            let file = Cursor::new(source.as_bytes().to_vec());
            let mut resumed = ImportReader::open(file, Some(row.end), &reading(&[])).unwrap();
            let rest: Vec<Row> = std::iter::from_fn(|| resumed.next_row().unwrap()).collect();
            prop_assert_eq!(&rest[..], &all[index + 1..]);
        }
    }
}
