//! A "no" that a file says in a way of its own, files that are no CSV at all, and what is left of a file that was refused.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::api::{Api, id};
use crate::support::scripted_smtp::ScriptedSmtp;
use crate::support::server::{Raw, Server};
use crate::support::turns::shared_turn;
use crate::support::volley::{Pool, ROOT_KEY, Volley};
use crate::support::waiting::wait_for;
use crate::support::{Database, both_backends};

const CSV: (&str, &str) = ("Content-Type", "text/csv");

fn finished(api: &Api, import: i64) -> Value {
    wait_for("the import ends", Duration::from_secs(60), || {
        let import = api.get(&format!("/v1/imports/{import}"));
        (import["status"] == "completed").then_some(import)
    })
}

fn upload(server: &Server, query: &str, kind: &str, file: &[u8]) -> Raw {
    server.send("POST", &format!("/v1/contacts/import?{query}"), &[("Content-Type", kind)], file)
}

/// The line, column and code of what was rejected.
fn rejected(import: &Value) -> Vec<(u64, &str, &str)> {
    let rows = import["rejected"].as_array().unwrap().iter();
    rows.map(|row| (row["line"].as_u64().unwrap(), row["column"].as_str().unwrap(), row["code"].as_str().unwrap()))
        .collect()
}

const CONSENTS: &str = "email,Newsletter,State,status,subscription_status\n\
    yes@example.com,yes,CA,,\n\
    second@example.com,WAHR,NY,active,subscribed\n\
    no@example.com,no,CA,,\n\
    state@example.com,yes,Unsubscribed,,\n\
    status@example.com,yes,CA,active,unsubscribed\n";

both_backends! {
    fn a_no_in_a_column_of_another_name_is_not_mailed(db: &Database) {
        let _turn = shared_turn();
        let relay = ScriptedSmtp::playing("");
        let volley = Volley::on(db).pool(Pool::smtp_at("relay", relay.port())).start();
        let api = volley.api();
        let list = api.create_list("Offers");
        let import = api.import_csv(list, CONSENTS);
        assert_eq!(rejected(&import), [(5, "State", "status_unclear")], "{import}");
        let column = |name: &str| {
            let all = import["columns"].as_array().unwrap();
            all.iter().find(|column| column["header"] == name).unwrap().clone()
        };
        assert_eq!((&column("Newsletter")["field"], &column("State")["field"]), (&json!("opt_in"), &json!("attributes.state")));
        assert_eq!(column("Newsletter")["note"], "yes: the person agrees; no: the person has unsubscribed");
        assert_eq!(api.get("/v1/imports")["data"][0]["columns"], Value::Null, "a list of imports leaves it out");
        let campaign = api.create_campaign("email", "relay", list, &json!({ "body_text": "hello" }));
        api.send(campaign);
        wait_for("the campaign ends", Duration::from_secs(60), || api.campaign(campaign).is_ended().then_some(()));
        let mut reached: Vec<String> = relay.ledger().entries().accepted.keys().cloned().collect();
        reached.sort();
        assert_eq!(reached, ["second@example.com", "yes@example.com"]);
    }

    fn suppressions_of_another_language_and_encoding_are_taken(db: &Database) {
        let server = Server::on(db);
        let file = b"E-Mail-Adresse;Grund\nann@example.com;\nm\xfcller@example.com;\n";
        let file = [&file[..], b"ben@example.com;\n"].concat();
        let done = server.send("POST", "/v1/suppressions/import?encoding=windows-1252", &[CSV], &file);
        assert_eq!((done.status, &done.body["encoding"]), (200, &json!("windows-1252")), "{done:?}");
        let reasons = |who: &str| server.api().get(&format!("/v1/suppressions?search={who}&channel=email"))["data"][0]["reasons"].clone();
        assert_eq!((reasons("ann@"), reasons("ben@")), (json!(["unsubscribed"]), json!(["unsubscribed"])));
        let wrong = server.send("POST", "/v1/suppressions/import?encoding=latin-17", &[CSV], &file);
        assert_eq!((wrong.status, wrong.code()), (400, "not_allowed"), "{wrong:?}");
    }
}

#[test]
fn json_that_is_no_lines_and_headers_without_a_key_are_refused_with_what_to_do() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    for (kind, file, code, hint) in [
        ("text/csv", "[{\"email\": \"a@example.com\"}]", "not_lines", "jq -c '.[]'"),
        ("application/x-ndjson", "[\n  {\"email\": \"a@example.com\"}\n]\n", "not_lines", "jq -c '.[]'"),
        ("text/csv", "{\"email\": \"a@example.com\"}\n", "not_lines", "format=jsonl"),
        ("text/csv", "Почта,Имя\na@example.com,Анна\n", "column_name", "--map 'HEADER=attributes.NAME'"),
        ("text/csv", "Adresse,Ort\na@example.com,Bonn\n", "no_key_column", "--map 'HEADER=email'"),
    ] {
        for query in ["", "dry_run=true"] {
            let refused = upload(&server, query, kind, file.as_bytes());
            assert_eq!((refused.status, refused.code()), (422, code), "{file} {query}");
            assert!(refused.body.to_string().contains(hint), "{}", refused.body);
        }
    }
    let mapped = upload(
        &server,
        "map=%D0%9F%D0%BE%D1%87%D1%82%D0%B0:email&map=%D0%98%D0%BC%D1%8F:first_name",
        "text/csv",
        "Почта,Имя\na@example.com,Анна\n".as_bytes(),
    );
    assert_eq!(finished(&server.api(), id(&mapped.body))["rows_created"], 1);
}

#[test]
fn a_file_of_rejected_rows_leaves_no_other_file_behind() {
    let _turn = shared_turn();
    let db = Database::sqlite();
    let volley = Volley::on(&db).start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.csv");
    let import = |text: &str, more: &[&str]| {
        std::fs::write(&file, text).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_volley"));
        command.args(["import", file.to_str().unwrap()]).args(more).env_clear();
        command
            .env("VOLLEY_CLI__KEY", ROOT_KEY)
            .env("VOLLEY_CLI__SERVER", format!("http://127.0.0.1:{}", volley.port()));
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        (output.status.success(), said)
    };
    let (is_well, said) = import("Adresse,Ort\na@example.com,Bonn\n", &[]);
    assert!(!is_well && said.contains("--map 'HEADER=email'"), "{said}");
    let rejected = folder.path().join("rejected.csv");
    let (_, said) = import("email\nnobody\n", &["--rejected", rejected.to_str().unwrap()]);
    assert!(std::fs::read_to_string(&rejected).unwrap().contains("nobody"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "no rest of a download");
}
