//! Dry runs of imports: what they say, that they store nothing, and that the import does what they said.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::api::id;
use crate::support::server::{Raw, Server};
use crate::support::waiting::wait_for;
use crate::support::{Database, both_backends};

const CSV: (&str, &str) = ("Content-Type", "text/csv");

fn post(server: &Server, query: &str, csv: &[u8]) -> Raw {
    server.send("POST", &format!("/v1/contacts/import{query}"), &[CSV], csv)
}

#[track_caller]
fn looked(server: &Server, query: &str, csv: &[u8]) -> Value {
    let answer = post(server, query, csv);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

fn imported(server: &Server, query: &str, csv: &[u8]) -> Value {
    let accepted = post(server, query, csv);
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let api = server.api();
    wait_for("the import ends", Duration::from_secs(60), || {
        let import = api.get(&format!("/v1/imports/{}", id(&accepted.body)));
        ["completed", "failed"].contains(&import["status"].as_str().unwrap()).then_some(import)
    })
}

/// What the columns become: header, field, and what has decided it.
fn columns(dry_run: &Value) -> Vec<[&str; 3]> {
    let columns = dry_run["columns"].as_array().unwrap();
    columns.iter().map(|one| ["header", "field", "decided_by"].map(|name| one[name].as_str().unwrap())).collect()
}

fn rows(dry_run: &Value) -> Vec<(u64, &str)> {
    let rows = dry_run["rows"].as_array().unwrap();
    rows.iter().map(|row| (row["line"].as_u64().unwrap(), row["says"].as_str().unwrap())).collect()
}

both_backends! {
    fn a_dry_run_says_what_the_import_then_does_and_stores_nothing(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let list = api.create_list("News");
        let known = id(&api.post("/v1/contacts", &json!({ "email": "bob@example.com", "phone": "+442079460123" })));
        let refused = id(&api.post("/v1/contacts", &json!({ "email": "no@example.com" })));
        api.post(&format!("/v1/lists/{list}/unsubscribe"), &json!({ "members": [{ "contact_id": refused }] }));
        // As Excel writes it where Windows speaks German: semicolons, and no UTF-8.
        let csv = "E-Mail;Vorname;Kunde;Handy;Status;Ort\r\n\
            ann@example.com;J\u{fc}rgen;7;;subscribed;K\u{f6}ln\r\n\
            bob@example.com;Bob;;;unsubscribed;\r\n\
            no@example.com;No;;;;\r\n\
            a@;Bad;;;;\r\n\
            ann@example.com;Anna;;+442079460123;;\r\n\
            off@example.com;Off;;;blocked;\r\n";
        let csv: Vec<u8> = csv.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        let query = format!("?list={list}&map=Kunde:external_id");
        let before = (api.get("/v1/contacts"), api.get("/v1/lists"), api.get("/v1/audit-log?action=created"));
        let dry_run = looked(&server, &format!("{query}&dry_run=true"), &csv);
        let told = ["dry_run", "encoding", "delimiter", "preset", "list_id", "bytes", "is_whole", "error"].map(|name| &dry_run[name]);
        let expected = [json!(true), json!("windows-1252"), json!(";"), json!(null), json!(list), json!(csv.len()), json!(true), json!(null)];
        assert_eq!(told, expected.each_ref(), "{dry_run}");
        assert_eq!(
            columns(&dry_run),
            [
                ["E-Mail", "email", "name"],
                ["Vorname", "first_name", "name"],
                ["Kunde", "external_id", "mapping"],
                ["Handy", "phone", "name"],
                ["Status", "status", "name"],
                ["Ort", "attributes.ort", "nothing"],
            ]
        );
        assert_eq!(dry_run["columns"][5]["samples"], json!(["K\u{f6}ln"]));
        let updates = |id: i64| format!("updates contact {id}");
        assert_eq!(
            rows(&dry_run),
            [
                (2, "a new contact, subscribed on the list"),
                (3, format!("{}, unsubscribed from the list", updates(known)).as_str()),
                (4, format!("{}, who stays unsubscribed from the list", updates(refused)).as_str()),
                (5, "rejected"),
                (6, "updates the contact of line 2, subscribed on the list"),
                (7, "a new contact, not written to: blocked"),
            ]
        );
        let first = &dry_run["rows"][0];
        assert_eq!(first["fields"], json!({ "email": "ann@example.com", "first_name": "J\u{fc}rgen", "external_id": "7" }));
        assert_eq!((&first["attributes"], &first["result"]), (&json!({ "ort": "K\u{f6}ln" }), &json!("new")));
        assert_eq!((&dry_run["rows"][1]["contact_id"], &dry_run["rows"][4]["earlier_line"]), (&json!(known), &json!(2)));
        assert_eq!((&dry_run["rows"][3]["rejected"][0]["column"], &dry_run["rows"][3]["cells"][0]), (&json!("E-Mail"), &json!("a@")));
        let after = (api.get("/v1/contacts"), api.get("/v1/lists"), api.get("/v1/audit-log?action=created"));
        assert_eq!(after, before, "nothing is stored");
        assert_eq!(api.get("/v1/imports")["pagination"]["total_count"], 0);
        let files = std::fs::read_dir(db.folder().join("data/imports")).map_or(0, Iterator::count);
        assert_eq!(files, 0, "no file is left behind");
        let import = imported(&server, &query, &csv);
        let counts = ["rows_created", "rows_updated", "rows_rejected", "stay_refused", "rows_suppressed"].map(|name| &import[name]);
        assert_eq!(counts, [&json!(2), &json!(3), &json!(1), &json!(1), &json!(1)], "{import}");
        assert_eq!(import["rejected"][0], dry_run["rows"][3]["rejected"][0], "the same reason");
        let [was, foreseen] = [&import["dropped"][0], &dry_run["rows"][4]["dropped"][0]];
        assert_eq!(was, foreseen, "the telephone is Bob's");
    }
}

#[test]
fn a_file_that_an_import_refuses_is_refused_in_the_same_way() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let list = server.api().create_list("News");
    let mailed: &[u8] = b"email\nann@example.com\n";
    for (query, csv) in [
        ("", &b""[..]),
        ("", b"name,city\nAnn,Bonn\n"),
        ("", b"email,Email\na@b.example,c@d.example\n"),
        ("map=Ort:attributes.city", mailed),
        ("map=email:nothing", mailed),
        ("preset=other", mailed),
        ("encoding=klingon", mailed),
        ("list=4711", mailed),
        ("list=no-such-list", mailed),
        ("resubscribe=true", mailed),
    ] {
        let real = post(&server, &format!("?{query}"), csv);
        let dry = post(&server, &format!("?{query}&dry_run=true"), csv);
        let said = |answer: &Raw| (answer.status, answer.body["code"].clone(), answer.body["errors"].clone());
        assert!(real.status >= 400, "{query} {real:?}");
        assert_eq!(said(&dry), said(&real), "{query}");
    }
    for query in ["?new_list=true", &format!("?dry_run=true&new_list=true&list={list}"), "?dry_run=perhaps"] {
        assert_eq!(post(&server, query, mailed).status, 400, "{query}");
    }
    let api = server.api();
    assert_eq!(api.get("/v1/imports")["pagination"]["total_count"], 0);
    assert_eq!(api.get("/v1/contacts")["pagination"]["total_count"], 0);
}

#[test]
fn a_list_that_is_yet_to_be_made_is_taken_into_account_and_not_made() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let csv = b"email,status,source\nann@example.com,pending,shop\n";
    let without = looked(&server, "?dry_run=true", csv);
    assert_eq!(without["rows"][0]["rejected"][0]["code"], "status_needs_list");
    assert_eq!(columns(&without)[2], ["source", "attributes.source", "nothing"]);
    let with = looked(&server, "?dry_run=true&new_list=true", csv);
    assert_eq!(rows(&with), [(2, "a new contact, unconfirmed on the list")]);
    assert_eq!(columns(&with)[2], ["source", "source", "name"]);
    assert_eq!(server.api().get("/v1/lists")["pagination"]["total_count"], 0);
}

#[test]
fn of_a_large_file_the_first_rows_are_told_and_all_of_it_decides_the_encoding() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let mut csv = b"email,city\n".to_vec();
    for row in 0..100_000 {
        csv.extend(format!("person{row}@example.com,Bonn\n").bytes());
    }
    // Far behind what is kept.
    csv.extend(b"last@example.com,K\xf6ln und D\xfcsseldorf\n");
    let dry_run = looked(&server, "?dry_run=true", &csv);
    assert_eq!((&dry_run["encoding"], &dry_run["bytes"]), (&json!("windows-1252"), &json!(csv.len())), "{dry_run}");
    assert_eq!((rows(&dry_run).len(), &dry_run["is_whole"]), (20, &json!(false)));
    assert!(dry_run["unknown"].to_string().contains("the rows behind these were not looked at"), "{dry_run}");
    let long = format!("email,text\nann@example.com,x\nben@example.com,\"{}\"\n", "long ".repeat(400_000));
    let dry_run = looked(&server, "?dry_run=true", long.as_bytes());
    assert_eq!((rows(&dry_run).len(), &dry_run["is_whole"], &dry_run["error"]), (1, &json!(false), &json!(null)));
    let open = looked(&server, "?dry_run=true", b"email,text\nann@example.com,x\nben@example.com,\"y\n");
    let why = "unclosed_quote: the quote that opens on line 3 is not closed";
    assert_eq!((rows(&open).len(), &open["is_whole"], &open["error"]), (1, &json!(false), &json!(why)));
}

#[test]
fn an_ingest_key_may_look_and_a_reader_may_not() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let api = server.api();
    for (scope, status) in [("ingest", 200), ("read", 403)] {
        let key = api.post("/v1/keys", &json!({ "name": scope, "scope": scope }));
        let bearer = format!("Bearer {}", key["secret"].as_str().unwrap());
        let csv = b"email\nann@example.com\n";
        let answer = server.send("POST", "/v1/contacts/import?dry_run=true", &[CSV, ("Authorization", &bearer)], csv);
        assert_eq!(answer.status, status, "{scope}: {answer:?}");
    }
}
