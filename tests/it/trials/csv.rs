//! Files as spreadsheets and other tools write them: what comes in, and what is said of the rest.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Database;
use crate::support::api::id;
use crate::support::both_backends;
use crate::support::server::Server;
use crate::support::waiting::wait_for;

/// An import that has ended.
#[track_caller]
fn imported(server: &Server, csv: &[u8]) -> Value {
    let accepted = server.send("POST", "/v1/contacts/import", &[("Content-Type", "text/csv")], csv);
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let api = server.api();
    wait_for("the import ends", Duration::from_secs(60), || {
        let import = api.get(&format!("/v1/imports/{}", id(&accepted.body)));
        ["completed", "failed"].contains(&import["status"].as_str().unwrap()).then_some(import)
    })
}

/// Rows that came in as new contacts, and rows that were rejected.
fn rows(import: &Value) -> (i64, i64) {
    (import["rows_created"].as_i64().unwrap(), import["rows_rejected"].as_i64().unwrap())
}

/// Line, column and code of the dropped cells.
fn dropped(import: &Value) -> Vec<Value> {
    let all = import["dropped"].as_array().unwrap();
    assert_eq!(import["dropped_cells"], json!(all.len()));
    all.iter().map(|one| json!([one["line"], one["column"], one["code"]])).collect()
}

fn contact(server: &Server, email: &str) -> Value {
    server.api().get(&format!("/v1/contacts?email={email}"))["data"][0].clone()
}

both_backends! {
    fn csv_semicolon_sep_line(db: &Database) {
        let server = Server::on(db);
        let import = imported(&server, "\u{feff}sep=;\r\nE-Mail;City\r\nann@example.com;\"Bonn, Beuel\"\r\nbad;x\r\n".as_bytes());
        assert_eq!(rows(&import), (1, 1), "{import}");
        assert_eq!(import["rejected"][0]["line"], 4, "lines are counted as an editor does");
        assert_eq!(contact(&server, "ann@example.com")["attributes"]["city"], "Bonn, Beuel");
    }

    fn csv_cp1252(db: &Database) {
        let server = Server::on(db);
        let import = imported(&server, b"E-Mail;First Name;Stadt\r\njuergen@example.com;J\xfcrgen;K\xf6ln\r\nzoe@example.com;Zo\xeb;N\xeemes \x96 5 \x80\r\n");
        assert_eq!((rows(&import), &import["encoding"]), ((2, 0), &json!("windows-1252")), "{import}");
        assert_eq!(contact(&server, "juergen@example.com")["first_name"], "J\u{fc}rgen");
        assert_eq!(contact(&server, "zoe@example.com")["attributes"]["stadt"], "N\u{ee}mes \u{2013} 5 \u{20ac}");
        let utf_16: Vec<u8> = "\u{feff}email\tcity\r\nann@example.com\t\u{141}\u{f3}d\u{17a}\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let import = imported(&server, &utf_16);
        assert_eq!((rows(&import), &import["encoding"]), ((1, 0), &json!("utf-16le")), "{import}");
        assert_eq!(contact(&server, "ann@example.com")["attributes"]["city"], "\u{141}\u{f3}d\u{17a}");
        // A stray byte costs its row, and the others are read as what they are.
        let import = imported(&server, b"email,city\nbob@example.com,Z\xc3\xbcrich\ncleo@example.com,caf\xe9\n");
        assert_eq!((rows(&import), &import["encoding"], &import["rejected"][0]["code"]), ((1, 1), &json!("utf-8"), &json!("encoding")));
        assert_eq!(contact(&server, "bob@example.com")["attributes"]["city"], "Z\u{fc}rich");
    }

    fn an_encoding_that_is_named_is_taken(db: &Database) {
        let server = Server::on(db);
        let upload = |query: &str| {
            let path = format!("/v1/contacts/import{query}");
            server.send("POST", &path, &[("Content-Type", "text/csv")], b"email,city\nann@example.com,\xb3\xf3d\xbc\n")
        };
        let accepted = upload("?encoding=ISO-8859-2");
        assert_eq!((accepted.status, &accepted.body["encoding"]), (202, &json!("iso-8859-2")), "{accepted:?}");
        wait_for("the row is in", Duration::from_secs(60), || {
            (contact(&server, "ann@example.com")["attributes"]["city"] == "\u{142}\u{f3}d\u{17a}").then_some(())
        });
        let refused = upload("?encoding=ebcdic");
        assert_eq!((refused.status, refused.code(), refused.field()), (400, "not_allowed", "encoding"), "{refused:?}");
        assert!(refused.body.to_string().contains("windows-1252"), "{refused:?}");
    }

    fn csv_trailing_commas(db: &Database) {
        let server = Server::on(db);
        let csv = "email,first_name,last_name,city,tier\nann@example.com,Ann\nbob@example.com,Bob,B,Bonn,gold,,\n\
                   cleo@example.com,Cleo,C,Rome, Italy,gold\n";
        let import = imported(&server, csv.as_bytes());
        assert_eq!((rows(&import), &import["rejected"][0]["code"]), ((2, 1), &json!("too_many_cells")), "{import}");
        assert_eq!(contact(&server, "ann@example.com")["first_name"], "Ann");
        assert_eq!(contact(&server, "bob@example.com")["attributes"], json!({ "city": "Bonn", "tier": "gold" }));
    }

    fn csv_empty_header(db: &Database) {
        let server = Server::on(db);
        let import = imported(&server, b"email,,city\nann@example.com,secret,Bonn\nbob@example.com,,Rome\n");
        assert_eq!((rows(&import), dropped(&import)), ((2, 0), vec![json!([2, "column 2", "column_without_name"])]), "{import}");
        assert_eq!(contact(&server, "ann@example.com")["attributes"], json!({ "city": "Bonn" }));
    }

    fn csv_shared_phone(db: &Database) {
        let server = Server::on(db);
        let csv = "email,Mobile\nann@example.com,+44 20 7946 0123\nbob@example.com,+44 20 7946 0123\n";
        let import = imported(&server, csv.as_bytes());
        assert_eq!((rows(&import), dropped(&import)), ((2, 0), vec![json!([3, "Mobile", "key_taken"])]), "{import}");
        let (ann, bob) = (contact(&server, "ann@example.com"), contact(&server, "bob@example.com"));
        assert_eq!((&ann["phone"], &bob["phone"]), (&json!("+442079460123"), &Value::Null));
        let reason = import["dropped"][0]["reason"].as_str().unwrap();
        assert!(reason.contains(&format!("another contact, {}, of line 2", ann["id"])), "{reason}");
        let again = imported(&server, csv.as_bytes());
        let reason = again["dropped"][0]["reason"].as_str().unwrap();
        assert!(reason.contains(&format!("another contact, {}:", ann["id"])), "{reason}");
    }

    fn csv_junk_phone(db: &Database) {
        let server = Server::on(db);
        let junk = ["n/a", "0", "-", "+44 20 7946 0123 ext. 4", "+44 20 7946 0123 / +44 20 7946 0124", "1.2E+11"];
        let mut csv = "email,phone\n".to_owned();
        for (number, phone) in junk.iter().enumerate() {
            csv.push_str(&format!("p{number}@example.com,{phone}\n"));
        }
        csv.push_str(",n/a\n");
        let import = imported(&server, csv.as_bytes());
        assert_eq!(rows(&import), (6, 1), "{import}");
        let lines: Vec<_> = dropped(&import).iter().map(|one| (one[0].clone(), one[1].clone())).collect();
        assert_eq!(lines, (2..8).map(|line| (json!(line), json!("phone"))).collect::<Vec<_>>());
        assert_eq!(contact(&server, "p0@example.com")["phone"], Value::Null);
    }
}

#[test]
fn a_workbook_is_refused_with_what_to_do_and_so_is_its_dry_run() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let csv = ("Content-Type", "text/csv");
    for (start, words) in [(&b"PK\x03\x04\x14\0\x06\0xl/workbook.xml"[..], "CSV UTF-8"), (b"\x1f\x8b\x08\0", "gzip")] {
        for path in ["/v1/contacts/import", "/v1/suppressions/import"] {
            let refused = server.send("POST", path, &[csv], start);
            assert_eq!((refused.status, refused.code()), (422, "not_text"), "{path}");
            assert!(refused.body["detail"].as_str().unwrap().contains(words), "{}", refused.body);
        }
        let look = server.send("POST", "/v1/contacts/import?dry_run=true", &[csv], start);
        assert!(look.body.to_string().contains("not_text"), "{}", look.body);
    }
    assert_eq!(server.api().get("/v1/imports")["pagination"]["total_count"], 0);
}
