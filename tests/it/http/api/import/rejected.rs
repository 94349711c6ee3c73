//! The rejected rows of an import, to be corrected and uploaded again.

use std::time::Duration;

use serde_json::{Value, json};
use volley::domain::ids::ImportId;
use volley::domain::instant::UtcInstant;
use volley::store::import::{imports, rejections};

use crate::support::api::id;
use crate::support::server::{Raw, Server};
use crate::support::waiting::wait_for;
use crate::support::{Database, both_backends};

const CSV: (&str, &str) = ("Content-Type", "text/csv");

fn imported(server: &Server, csv: &[u8]) -> Value {
    let accepted = server.send("POST", "/v1/contacts/import", &[CSV], csv);
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let api = server.api();
    wait_for("the import ends", Duration::from_secs(60), || {
        let import = api.get(&format!("/v1/imports/{}", id(&accepted.body)));
        ["completed", "failed"].contains(&import["status"].as_str().unwrap()).then_some(import)
    })
}

fn rejected(server: &Server, import: &Value) -> Raw {
    server.send("GET", &format!("/v1/imports/{}/rejected.csv", import["id"]), &[], b"")
}

#[track_caller]
fn lines(server: &Server, import: &Value) -> Vec<String> {
    let answer = server.api().get(&format!("/v1/imports/{}/rejected.csv", import["id"]));
    // The client may drop the byte order mark.
    answer.as_str().unwrap().trim_start_matches('\u{feff}').split_terminator("\r\n").map(ToOwned::to_owned).collect()
}

both_backends! {
    fn rejected_rows_come_as_they_were_and_are_taken_when_they_are_corrected(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        api.post("/v1/contacts", &json!({ "external_id": "b", "email": "bob@example.com" }));
        let csv = "external_id;E-Mail;Phone;Loyalty Tier\n;ann@;+44 20 7946 0123;=gold\nb;bob@example.com;;'x\n\
                   ;nobody@;;\"1;2\"\nd;dora@example.com;;;more\n;;nonsense;\n";
        let import = imported(&server, csv.as_bytes());
        assert_eq!((&import["rows_rejected"], &import["rows_updated"], &import["warning"]), (&json!(4), &json!(1), &json!(null)), "{import}");
        let until = UtcInstant::parse(import["rejected_until"].as_str().unwrap()).unwrap();
        assert_eq!(until, UtcInstant::parse(import["updated_at"].as_str().unwrap()).unwrap().plus_ms(7 * 86_400_000));
        let answer = rejected(&server, &import);
        let file = format!("attachment; filename=\"import-{}-rejected.csv\"", import["id"]);
        let headers = ["content-type", "content-disposition"].map(|name| answer.header(name));
        assert_eq!((answer.status, headers), (200, [Some("text/csv; charset=utf-8"), Some(file.as_str())]), "{answer:?}");
        assert!(answer.body.as_str().unwrap().contains("\u{feff}rejected_line,"), "spreadsheets read UTF-8: {answer:?}");
        let found = lines(&server, &import);
        assert_eq!(found[0], "rejected_line,rejected_column,rejected_code,rejected_reason,external_id,E-Mail,Phone,Loyalty Tier");
        let ends = [",ann@,'+44 20 7946 0123,'=gold", ",nobody@,,1;2", "d,dora@example.com,,,more", ",,nonsense,"];
        let begins = ["2,E-Mail,email_invalid,", "4,E-Mail,email_invalid,", "5,row,too_many_cells,", "6,Phone,phone_"];
        assert_eq!(found.len(), 5, "{found:#?}");
        for ((line, begin), end) in found[1..].iter().zip(begins).zip(ends) {
            assert!(line.starts_with(begin) && line.ends_with(&format!(",{end}")), "{line}");
        }
        // A person corrects two of them, and leaves the others.
        let corrected = format!("\u{feff}{}", found.join("\r\n")).replace(",ann@,", ",ann@example.com,").replace(",nonsense,", ",'+442079460124,");
        let again = imported(&server, corrected.as_bytes());
        assert_eq!((&again["rows_created"], &again["rows_rejected"]), (&json!(2), &json!(2)), "{again}");
        let ann = &api.get("/v1/contacts?email=ann@example.com")["data"][0];
        assert_eq!((&ann["phone"], &ann["attributes"]), (&json!("+442079460123"), &json!({ "loyalty_tier": "=gold" })), "no cell has more or less");
        let left = lines(&server, &again);
        assert_eq!(left[0], found[0], "what was said before is said once");
        assert!(left[1].starts_with("3,E-Mail,email_invalid,") && left[2].ends_with(",d,dora@example.com,,,more"), "{left:#?}");
    }

    fn what_is_not_kept_is_said(db: &Database) {
        let server = Server::on(db);
        let import = imported(&server, b"email\nbad\nworse\n");
        let path = format!("/v1/imports/{}", import["id"]);
        let number = ImportId(import["id"].as_i64().unwrap());
        let updated = UtcInstant::parse(import["updated_at"].as_str().unwrap()).unwrap();
        server.change(move |conn| rejections::prune(conn, updated.plus_ms(1), 100));
        assert_eq!(server.api().get(&path)["rejected_until"], Value::Null, "they are not there");
        assert_eq!(rejected(&server, &import).code(), "rejected_rows_removed");
        // As an import that an earlier version began and this one goes on with.
        server.change(move |conn| imports::begin(conn, number, &[], "rejected_line"));
        server.change(move |conn| imports::begin(conn, number, &[], "another"));
        assert_eq!(lines(&server, &import), ["rejected_line", ",row,not_kept,rows that were rejected and are not kept: 2"]);
        assert!(server.api().get(&path)["rejected_until"].is_string());
    }

    fn rejected_rows_are_all_there_in_order_and_go_after_seven_days(db: &Database) {
        let server = Server::on(db);
        let mut csv = "email,caf\u{e9}\n".as_bytes().to_vec();
        for number in 0..5_000 {
            csv.extend(format!("nonsense,{number}\n").into_bytes());
        }
        csv.extend(b"b@example.com,caf\xe9\0\n");
        let import = imported(&server, &csv);
        assert_eq!(import["warning"], "every row was rejected: no contact was imported", "{import}");
        let found = lines(&server, &import);
        let ends: Vec<_> = found[1..5_001].iter().map(|line| line.rsplit(',').next().unwrap().parse::<i32>().unwrap()).collect();
        assert_eq!(ends, (0..5_000).collect::<Vec<_>>());
        assert!(found[5_001].ends_with(",b@example.com,caf\u{fffd}\u{fffd}"), "{}", found[5_001]);
        let updated = UtcInstant::parse(import["updated_at"].as_str().unwrap()).unwrap();
        let prune = move |before| server_prune(&server, before, &import);
        assert_eq!(prune(updated).0, 0, "it is not older");
        let (removed, answer) = prune(updated.plus_ms(1));
        assert!(removed > 1, "{removed}");
        assert_eq!((answer.status, answer.code()), (409, "rejected_rows_removed"), "{answer:?}");
    }
}

fn server_prune(server: &Server, before: UtcInstant, import: &Value) -> (usize, Raw) {
    let removed = server.change(move |conn| rejections::prune(conn, before, 100));
    (removed, rejected(server, import))
}

#[test]
fn a_file_without_rejected_rows_has_a_header_alone_and_strangers_get_none() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let import = imported(&server, b"email,city\nann@example.com,Bonn\n");
    assert_eq!((&import["rejected_until"], &import["warning"]), (&Value::Null, &Value::Null));
    assert_eq!(lines(&server, &import), ["rejected_line,rejected_column,rejected_code,rejected_reason,email,city"]);
    let missing = server.send("GET", "/v1/imports/4711/rejected.csv", &[], b"");
    assert_eq!((missing.status, missing.code()), (404, "import_not_found"));
}
