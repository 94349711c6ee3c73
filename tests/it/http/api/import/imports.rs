//! CSV imports, from the upload to the last row.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use volley::domain::ids::ImportId;
use volley::store::import::imports;

use crate::support::api::id;
use crate::support::server::{ROOT_KEY, Raw, Server};
use crate::support::waiting::{wait_for, wait_until};
use crate::support::{Database, both_backends};

const CSV: (&str, &str) = ("Content-Type", "text/csv");

fn upload(server: &Server, path: &str, csv: &str) -> Raw {
    server.send("POST", path, &[CSV], csv.as_bytes())
}

fn finished(server: &Server, import: i64) -> Value {
    let api = server.api();
    wait_for("the import ends", Duration::from_secs(60), || {
        let import = api.get(&format!("/v1/imports/{import}"));
        ["completed", "failed"].contains(&import["status"].as_str().unwrap()).then_some(import)
    })
}

fn counts(import: &Value) -> [i64; 4] {
    ["rows_read", "rows_created", "rows_updated", "rows_rejected"].map(|count| import[count].as_i64().unwrap())
}

fn uploads(db: &Database) -> usize {
    std::fs::read_dir(db.folder().join("data/imports")).map_or(0, Iterator::count)
}

const MESS: &str = "\u{feff}E-Mail;First Name;Phone;Loyalty Tier\r\n\
    Ann@Example.com; Ann ;+44 20 7946 0123;gold\r\n\
    a@;Bad;;\r\n\
    bob@example.com;\"Bo;b\";1.2E+11;\r\n\
    ann@example.com;Anna;;\r\n\
    ;;;;\r\n\
    cleo@example.com;Cleo;;silver\r\n\
    ANN@EXAMPLE.COM;;;platinum\r\n";

both_backends! {
    fn a_messy_file_is_imported_and_every_bad_row_is_named(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let list = api.create_list("News");
        let accepted = upload(&server, &format!("/v1/contacts/import?list={list}"), MESS);
        assert_eq!(accepted.status, 202, "{accepted:?}");
        let import = id(&accepted.body);
        assert_eq!(accepted.header("location"), Some(format!("/v1/imports/{import}").as_str()));
        let import = finished(&server, import);
        assert_eq!(import["status"], "completed", "{import}");
        assert_eq!(counts(&import), [6, 3, 2, 1]);
        let named = |what: &str| -> Vec<Value> {
            import[what].as_array().unwrap().iter().map(|r| json!([r["line"], r["column"], r["code"]])).collect()
        };
        assert_eq!(named("rejected"), [json!([3, "E-Mail", "email_invalid"])]);
        assert_eq!((named("dropped"), &import["dropped_cells"]), (vec![json!([4, "Phone", "phone_scientific"])], &json!(1)));
        assert_eq!(api.get(&format!("/v1/lists/{list}"))["member_count"], 3);
        let ann = &api.get("/v1/contacts?search=ann@")["data"][0];
        assert_eq!((&ann["first_name"], &ann["phone"]), (&json!("Anna"), &json!("+442079460123")));
        assert_eq!(ann["attributes"], json!({ "loyalty_tier": "platinum" }), "later rows win");
        // What the file brought may be used at once.
        api.create_template("sms", "", "You are {loyalty_tier}");
        wait_until("the upload is removed", Duration::from_secs(10), || uploads(db) == 0);
        assert_eq!(id(&api.get("/v1/imports")["data"][0]), id(&import));
    }

    fn importing_a_file_again_creates_nobody_twice(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let first = finished(&server, id(&upload(&server, "/v1/contacts/import", MESS).body));
        let second = finished(&server, id(&upload(&server, "/v1/contacts/import", MESS).body));
        assert_eq!(counts(&first), [6, 3, 2, 1]);
        assert_eq!(counts(&second), [6, 0, 5, 1]);
        assert_eq!(api.get("/v1/contacts")["pagination"]["total_count"], 3);
    }

    fn one_idempotency_key_makes_one_import(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let list = api.create_list("News");
        let headers = [CSV, ("Idempotency-Key", "monday")];
        let first = server.send("POST", "/v1/contacts/import", &headers, MESS.as_bytes());
        let again = server.send("POST", "/v1/contacts/import", &headers, MESS.as_bytes());
        assert_eq!((first.status, again.status), (202, 202));
        assert_eq!((&first.body, first.header("location")), (&again.body, again.header("location")));
        let other_body = server.send("POST", "/v1/contacts/import", &headers, b"email\nzoe@example.com\n");
        assert_eq!((other_body.status, other_body.code()), (409, "idempotency_key_reused"));
        let other_list = server.send("POST", &format!("/v1/contacts/import?list={list}"), &headers, MESS.as_bytes());
        assert_eq!(other_list.code(), "idempotency_key_reused");
        for key in ["", &"k".repeat(256), "two words"] {
            let bad = server.send("POST", "/v1/contacts/import", &[CSV, ("Idempotency-Key", key)], MESS.as_bytes());
            assert_eq!((bad.status, bad.code()), (400, "idempotency_key_malformed"), "{key:?}");
        }
        finished(&server, id(&first.body));
        assert_eq!(api.get("/v1/imports")["pagination"]["total_count"], 1);
        wait_until("no upload is left", Duration::from_secs(10), || uploads(db) == 0);
    }

    fn an_interrupted_import_goes_on_where_it_stopped(db: &Database) {
        let rows = 60_000;
        let mut csv = "email,first_name,external_id\n".to_owned();
        for n in 0..rows {
            csv.push_str(&format!("p{n}@example.com,P{n},x-{n}\n"));
        }
        let (import, at_stop) = {
            let server = Server::on(db);
            let import = id(&upload(&server, "/v1/contacts/import", &csv).body);
            let at_stop = wait_for("some rows are in", Duration::from_secs(60), || {
                let row = server.ask(move |conn| imports::find(conn, ImportId(import))).unwrap();
                (row.rows_read > 0).then_some(row.rows_read)
            });
            (import, at_stop)
        };
        assert!(at_stop < rows, "it was over before it could be stopped");
        let server = Server::on(db);
        let done = finished(&server, import);
        assert_eq!((&done["status"], counts(&done)), (&json!("completed"), [rows, rows, 0, 0]));
        assert_eq!(server.api().get("/v1/contacts")["pagination"]["total_count"], rows);
    }

    fn somebody_three_times_in_a_file_is_one_contact_created_once_and_updated_twice(db: &Database) {
        let server = Server::on(db);
        let csv = "email,first_name\nann@example.com,Ann\nANN@example.com,Anna\n ann@Example.com ,\n";
        let import = finished(&server, id(&upload(&server, "/v1/contacts/import", csv).body));
        assert_eq!((counts(&import), &import["warning"]), ([3, 1, 2, 0], &json!(null)));
        let people = server.api().get("/v1/contacts");
        assert_eq!((&people["pagination"]["total_count"], &people["data"][0]["first_name"]), (&json!(1), &json!("Anna")));
    }

    fn the_strongest_key_of_a_row_decides_and_a_weaker_one_of_another_contact_is_left_out(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let ann = id(&api.post("/v1/contacts", &json!({ "external_id": "a", "email": "ann@example.com" })));
        let bob = id(&api.post("/v1/contacts", &json!({ "external_id": "b", "email": "bob@example.com" })));
        let csv = "external_id,E-Mail,city\na,bob@example.com,Bonn\nc,cleo@example.com,\nz,ann@example.com,Rome\n";
        let import = finished(&server, id(&upload(&server, "/v1/contacts/import", csv).body));
        assert_eq!((counts(&import), &import["dropped_cells"]), ([3, 2, 1, 0], &json!(2)));
        let dropped: Vec<_> = import["dropped"].as_array().unwrap().iter().map(|r| json!([r["line"], r["column"], r["code"]])).collect();
        assert_eq!(dropped, [json!([2, "E-Mail", "key_taken"]), json!([4, "E-Mail", "key_taken"])]);
        let reason = |place: usize| import["dropped"][place]["reason"].as_str().unwrap().to_owned();
        assert!(reason(0).contains(&format!("another contact, {bob}:")) && reason(1).contains(&format!("another contact, {ann}:")), "{import}");
        let email = |key: &str| api.get(&format!("/v1/contacts?external_id={key}"))["data"][0]["email"].clone();
        assert_eq!([email("a"), email("b"), email("z")], [json!("ann@example.com"), json!("bob@example.com"), Value::Null]);
        let cities = |key: &str| api.get(&format!("/v1/contacts?external_id={key}"))["data"][0]["attributes"]["city"].clone();
        assert_eq!([cities("a"), cities("z")], ["Bonn", "Rome"]);
    }

    fn a_row_that_says_no_says_it_for_nobody_who_shares_its_telephone(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let list = api.create_list("News");
        let csv = "email,phone,status\nann@example.com,+442079460123,subscribed\nbob@example.com,+442079460123,unsubscribed\n";
        let import = finished(&server, id(&upload(&server, &format!("/v1/contacts/import?list={list}"), csv).body));
        assert_eq!((counts(&import), &import["dropped_cells"]), ([2, 2, 0, 0], &json!(1)));
        let counts = &api.get(&format!("/v1/lists/{list}"))["counts"];
        assert_eq!(counts, &json!({ "subscribed": 1, "unconfirmed": 0, "unsubscribed": 1 }), "ann has said yes");
        // Also where the row is rejected, and without a list.
        let csv = format!("email,phone,unsubscribed,tags\ncleo@example.com,+442079460123,yes,{}\n", "x".repeat(500));
        let import = finished(&server, id(&upload(&server, "/v1/contacts/import", &csv).body));
        assert_eq!(import["rows_rejected"], 1, "{import}");
        let refused: Vec<String> = api.get("/v1/suppressions")["data"].as_array().unwrap().iter().map(|row| row["address"].as_str().unwrap().to_owned()).collect();
        assert!(!refused.is_empty() && refused.iter().all(|address| address == "cleo@example.com"), "{refused:?}");
    }

    fn keys_that_move_between_contacts_within_a_file_are_followed(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        api.post("/v1/contacts", &json!({ "external_id": "a", "email": "old@example.com" }));
        api.post("/v1/contacts", &json!({ "external_id": "b", "email": "bob@example.com" }));
        let csv = "external_id,email\na,new@example.com\nb,old@example.com\nc,bob@example.com\n";
        let import = finished(&server, id(&upload(&server, "/v1/contacts/import", csv).body));
        assert_eq!((&import["error"], counts(&import)), (&json!(null), [3, 1, 2, 0]));
    }
}

#[test]
fn a_hundred_bad_rows_are_kept_and_all_are_counted() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let csv = format!("email\n{}", "nonsense\n".repeat(2_500));
    let import = finished(&server, id(&upload(&server, "/v1/contacts/import", &csv).body));
    assert_eq!(counts(&import), [2_500, 0, 0, 2_500]);
    let rejected = import["rejected"].as_array().unwrap();
    assert_eq!((rejected.len(), &rejected[0]["line"], &rejected[99]["line"]), (100, &json!(2), &json!(101)));
}

#[test]
fn a_file_of_which_nothing_can_be_imported_is_refused_at_once() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    for (csv, code) in [
        (&b""[..], "csv_empty"),
        (b"name,city\nAnn,Bonn\n", "no_key_column"),
        (b"email,Email\na@b.example,c@d.example\n", "duplicate_column"),
        (b"\xff\xfen\0a\0m\0e\0", "no_key_column"),
        (b"email,J\xc3\xbcrgen,caf\xe9\n", "encoding"),
        (b"PK\x03\x04\x14\0\x06\0", "not_text"),
    ] {
        let refused = server.send("POST", "/v1/contacts/import", &[CSV], csv);
        assert_eq!((refused.status, refused.code()), (422, code), "{}", csv.escape_ascii());
    }
    let header_only = upload(&server, "/v1/contacts/import", "email,first_name\n");
    assert_eq!(header_only.status, 202);
    let done = finished(&server, id(&header_only.body));
    assert_eq!((&done["status"], counts(&done)), (&json!("completed"), [0, 0, 0, 0]));
    assert!(done["warning"].as_str().unwrap().contains("no row below"), "{done}");
    let missing = upload(&server, "/v1/contacts/import?list=77", "email\na@b.example\n");
    assert_eq!((missing.status, missing.code(), &missing.body["ids"]), (404, "list_not_found", &json!([77])));
    for headers in [&[][..], &[("Content-Type", "application/json")], &[CSV, ("Content-Encoding", "gzip")]] {
        let refused = server.send("POST", "/v1/contacts/import", headers, b"email\na@b.example\n");
        assert_eq!((refused.status, refused.code()), (415, "unsupported_media_type"));
    }
    wait_until("no upload is left", Duration::from_secs(10), || uploads(&db) == 0);
    assert_eq!(server.api().get("/v1/contacts")["pagination"]["total_count"], 0);
}

#[test]
fn an_open_quote_stops_the_import_and_says_where() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let csv = "email,note\na@example.com,\nb@example.com,\"never closed\nc@example.com,\n";
    let import = finished(&server, id(&upload(&server, "/v1/contacts/import", csv).body));
    assert_eq!((&import["status"], counts(&import)), (&json!("failed"), [1, 1, 0, 0]));
    let error = import["error"].as_str().unwrap();
    assert!(error.contains("unclosed_quote") && error.contains("line 3"), "{error}");
}

#[test]
fn an_upload_that_is_too_large_is_refused_and_leaves_nothing() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let announced = format!(
        "POST /v1/contacts/import HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {ROOT_KEY}\r\nContent-Type: \
         text/csv\r\nContent-Length: 10000000000\r\nConnection: close\r\n\r\nemail\n"
    );
    let refused = server.raw(announced.as_bytes());
    assert_eq!((refused.status, refused.code()), (413, "body_too_large"));
    assert_eq!(uploads(&db), 0);
}

#[test]
fn an_upload_that_is_cut_half_way_stores_nothing() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    for framing in ["Content-Length: 100000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n1000\r\n"] {
        let mut socket = TcpStream::connect(server.addr).unwrap();
        let head = format!(
            "POST /v1/contacts/import HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {ROOT_KEY}\r\nContent-Type: \
             text/csv\r\n{framing}email\nann@example.com\n"
        );
        socket.write_all(head.as_bytes()).unwrap();
        wait_until("the upload has begun", Duration::from_secs(10), || uploads(&db) == 1);
        drop(socket);
        wait_until("the upload is gone", Duration::from_secs(30), || uploads(&db) == 0);
    }
    let api = server.api();
    assert_eq!(api.get("/v1/imports")["pagination"]["total_count"], 0);
    assert_eq!(api.get("/v1/contacts")["pagination"]["total_count"], 0);
}

#[test]
fn an_upload_whose_file_was_lost_ends_as_failed() {
    let db = Database::sqlite();
    {
        let server = Server::on(&db);
        let import = id(&upload(&server, "/v1/contacts/import", MESS).body);
        finished(&server, import);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let settings = crate::support::server::settings(&db);
    let store = volley::store::Store::open(&settings.database).unwrap();
    let submit = store.run(volley::store::Lane::Write, "submit", |conn| {
        imports::submit(
            conn,
            &imports::NewFile {
                name: "gone.csv",
                encoding: "utf-8",
                bytes: 1,
                format: volley::domain::export::Format::Csv,
                columns: &[],
            },
            &imports::Target::NoList,
            &imports::ImportConsent::default(),
            (None, &[]),
            None,
            |row| {
                Ok(volley::store::engine::idempotency::Answer { status: 202, body: row.id.to_string(), location: None })
            },
        )
    });
    let imports::Submitted::Stored(answer) = runtime.block_on(submit).unwrap() else { panic!("not stored") };
    drop(store);
    let server = Server::on(&db);
    let import = finished(&server, answer.body.parse().unwrap());
    assert_eq!((&import["status"], &import["error"]), (&json!("failed"), &json!("the uploaded file is gone")));
}
