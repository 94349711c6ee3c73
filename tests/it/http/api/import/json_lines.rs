//! Contacts from JSON lines.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::api::{Api, id};
use crate::support::server::{Raw, Server};
use crate::support::waiting::wait_for;
use crate::support::{Database, both_backends};

const LINES: (&str, &str) = ("Content-Type", "application/x-ndjson");

fn post(server: &Server, query: &str, file: &str) -> Raw {
    server.send("POST", &format!("/v1/contacts/import{query}"), &[LINES], file.as_bytes())
}

#[track_caller]
fn imported(server: &Server, query: &str, file: &str) -> Value {
    let accepted = post(server, query, file);
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let api = server.api();
    wait_for("the import ends", Duration::from_secs(60), || {
        let import = api.get(&format!("/v1/imports/{}", id(&accepted.body)));
        ["completed", "failed"].contains(&import["status"].as_str().unwrap()).then_some(import)
    })
}

fn counts(import: &Value) -> [i64; 3] {
    ["rows_created", "rows_updated", "rows_rejected"].map(|name| import[name].as_i64().unwrap())
}

fn contact(api: &Api, email: &str) -> Value {
    api.get(&format!("/v1/contacts?email={email}"))["data"][0].clone()
}

/// What is wrong: the line, the field and the code.
fn wrong(import: &Value) -> Vec<Value> {
    import["rejected"].as_array().unwrap().iter().map(|one| json!([one["line"], one["column"], one["code"]])).collect()
}

both_backends! {
    fn lines_become_contacts_and_a_bad_one_costs_itself(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let news = api.create_list("News");
        let file = concat!(
            "{\"email\":\"ann@example.com\",\"Stadt\":\"Bonn\",\"orders\":3,\"attributes\":{\"colours\":[\"red\",7]},\"tags\":[\"VIP\"]}\n",
            "{\"email\":\"bob@example.com\",\"status\":\"unsubscribed\"}\n",
            "{\"email\":\"cleo@\",\"note\":\"kept as it was\"}\n",
            "not JSON\n",
            "\n",
            "{\"email\":\"ann@example.com\",\"orders\":4}\n",
        );
        let query = format!("?list={news}&map=Stadt:attributes.city");
        let look = post(&server, &format!("{query}&dry_run=true"), file);
        assert_eq!((look.status, &look.body["format"], &look.body["delimiter"]), (200, &json!("jsonl"), &json!(null)), "{look:?}");
        let results: Vec<&str> = look.body["rows"].as_array().unwrap().iter().map(|row| row["result"].as_str().unwrap()).collect();
        assert_eq!(results, ["new", "new", "rejected", "rejected", "updates_earlier_row"]);
        assert_eq!(look.body["columns"][1], json!({
            "header": "Stadt", "field": "attributes.city", "decided_by": "mapping", "note": null, "samples": ["Bonn"],
        }));
        let import = imported(&server, &query, file);
        assert_eq!((&import["status"], &import["format"], counts(&import)), (&json!("completed"), &json!("jsonl"), [2, 1, 2]), "{import}");
        assert_eq!(wrong(&import), [json!([3, "email", "email_invalid"]), json!([4, "row", "json_invalid"])]);
        let ann = contact(&api, "ann@example.com");
        assert_eq!((&ann["attributes"], &ann["tags"]), (&json!({ "city": "Bonn", "colours": ["red", 7], "orders": 4 }), &json!(["vip"])));
        let members = api.get(&format!("/v1/contacts?list={news}&standing=subscribed"))["pagination"]["total_count"].clone();
        assert_eq!(members, 1, "bob has said no");
        // What was rejected is corrected and uploaded again.
        let rejected = server.send("GET", &format!("/v1/imports/{}/rejected.csv", import["id"]), &[], b"");
        let name = format!("attachment; filename=\"import-{}-rejected.jsonl\"", import["id"]);
        assert_eq!(["content-type", "content-disposition"].map(|name| rejected.header(name)), [Some("application/x-ndjson"), Some(name.as_str())]);
        let text = api.get(&format!("/v1/imports/{}/rejected.csv", import["id"]));
        let text = text.as_str().unwrap();
        // What other lines have is there, too: lines have no header.
        let parts = [",\"email\":\"cleo@\",\"note\":\"kept as it was\",\"Stadt\":null,", ",\"rejected_text\":\"not JSON\"}"];
        for (line, part) in text.lines().zip(parts) {
            assert!(line.starts_with("{\"rejected_line\":") && line.contains(part), "{text}");
        }
        let corrected = text.replace("cleo@", "cleo@example.com").replace("not JSON", "{\\\"email\\\":\\\"dora@example.com\\\"}");
        let again = imported(&server, &format!("?list={news}"), &corrected);
        assert_eq!(counts(&again), [2, 0, 0], "{again}");
        assert_eq!(contact(&api, "cleo@example.com")["attributes"], json!({ "note": "kept as it was" }));
    }

    fn exports_in_json_lines_come_back_as_they_were(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let (news, offers) = (api.create_list("News"), api.create_list("Offers"));
        let ann = json!({
            "external_id": "'c-1", "email": "ann@example.com", "phone": "+442079460123", "first_name": "=Ann",
            "attributes": { "orders": 3, "colours": ["red", 7], "note": "two\nlines" },
        });
        api.post("/v1/contacts", &ann);
        api.post("/v1/contacts", &json!({ "email": "bob@example.com" }));
        api.post("/v1/suppressions", &json!({ "address": "bob@example.com", "reason": "complained" }));
        for (list, act, email) in [(news, "subscribe", "ann"), (news, "subscribe", "bob"), (offers, "unsubscribe", "ann")] {
            api.post(&format!("/v1/lists/{list}/{act}"), &json!({ "email": format!("{email}@example.com") }));
        }
        let text = |path: &str| {
            let found = api.get(path);
            found.as_str().map_or_else(|| format!("{found}\n"), ToOwned::to_owned)
        };
        let members = text(&format!("/v1/lists/{news}/members/export?format=jsonl"));
        let other = Database::sqlite();
        let elsewhere = Server::on(&other);
        let there = elsewhere.api();
        let (made, second) = (there.create_list("News"), there.create_list("Offers"));
        for (list, rows) in [(made, [2, 0, 0]), (second, [0, 2, 0])] {
            assert_eq!(counts(&imported(&elsewhere, &format!("?list={list}"), &members)), rows);
        }
        let back = contact(&there, "ann@example.com");
        for field in ["external_id", "phone", "first_name", "attributes"] {
            assert_eq!(back[field], ann[field], "{field}");
        }
        let on = |list: i64, standing: &str| there.get(&format!("/v1/contacts?list={list}&standing={standing}"))["pagination"]["total_count"].clone();
        assert_eq!((on(made, "subscribed"), on(second, "subscribed"), on(second, "unsubscribed")), (json!(2), json!(0), json!(1)));
        assert_eq!(there.get("/v1/contacts?suppressed=true")["data"][0]["email"], "bob@example.com");
    }

    fn an_interrupted_import_of_lines_goes_on_as_what_it_is(db: &Database) {
        let line = |number: usize| format!("{{\"email\":\"many{number}@example.com\",\"n\":{number}}}\n");
        let file: String = (0..40_000).map(line).collect();
        let import = {
            let server = Server::on(db);
            let import = id(&post(&server, "", &file).body);
            let api = server.api();
            wait_for("some rows are in", Duration::from_secs(60), || {
                (api.get(&format!("/v1/imports/{import}"))["rows_read"] != 0).then_some(())
            });
            import
        };
        let server = Server::on(db);
        let api = server.api();
        let import = wait_for("the import ends", Duration::from_secs(60), || {
            let import = api.get(&format!("/v1/imports/{import}"));
            (import["status"] == "completed").then_some(import)
        });
        assert_eq!(counts(&import), [40_000, 0, 0], "{import}");
        assert_eq!(contact(&api, "many39999@example.com")["attributes"]["n"], 39_999);
    }
}

#[test]
fn the_format_is_said_by_the_type_or_the_query_and_a_wrong_file_is_refused() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let send = |query: &str, kind: &str, file: &str| {
        server.send("POST", &format!("/v1/contacts/import{query}"), &[("Content-Type", kind)], file.as_bytes())
    };
    let line = "{\"email\":\"ann@example.com\"}\n";
    assert_eq!(send("?format=jsonl", "text/csv", line).body["format"], "jsonl");
    assert_eq!(send("", "application/jsonl; charset=utf-8", line).body["format"], "jsonl");
    assert_eq!(send("?format=csv", "application/x-ndjson", "email\nann@example.com\n").body["format"], "csv");
    let refused = send("", "application/json", line);
    assert_eq!((refused.status, refused.code()), (415, "unsupported_media_type"));
    assert_eq!(send("?format=xml", "text/csv", line).code(), "not_allowed");
    for (file, code) in [
        ("", "jsonl_no_object"),
        ("email\nann@example.com\n", "jsonl_no_object"),
        ("{\"name\":\"Ann\"}\n", "no_key_column"),
    ] {
        let refused = post(&server, "", file);
        assert_eq!((refused.status, refused.code()), (422, code), "{refused:?}");
    }
}
