//! What clients see, as snapshots: one for each kind of body, the problem documents, and the API's description. Whatever
//! changes in them is a visible difference in `snapshots/`.

mod campaigns;
mod operations;
mod people;
mod problems;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::support::Database;
use crate::support::server::{Raw, Server};

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Compares a body with its snapshot. What differs from run to run is replaced first. Ids stay: a new database counts them
/// from 1.
#[track_caller]
pub(crate) fn see(name: &str, body: &Value) {
    let mut body = body.clone();
    replace(&mut body, "");
    insta::assert_json_snapshot!(name, body);
}

/// A request with a JSON body.
fn ask(server: &Server, method: &str, path: &str, body: &Value) -> Raw {
    server.send(method, path, &[JSON], body.to_string().as_bytes())
}

/// The body of a request that must succeed.
#[track_caller]
fn done(server: &Server, method: &str, path: &str, body: &Value) -> Value {
    let answer = ask(server, method, path, body);
    assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
    answer.body
}

fn replace(value: &mut Value, field: &str) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| replace(value, name)),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, field)),
        Value::String(text) => {
            if let Some(kind) = passing(field, text) {
                *text = format!("[{kind}]");
            } else if let Some((before, after)) = text.split_once("127.0.0.1:") {
                *text = format!("{before}127.0.0.1:[port]{}", after.trim_start_matches(|c: char| c.is_ascii_digit()));
            } else {
                *text = text.split(' ').map(without_time).collect::<Vec<_>>().join(" ");
            }
        }
        Value::Number(_) | Value::Bool(_) | Value::Null => {}
    }
}

/// A word of a text; a time, which may stand in brackets, becomes `[time]`, and a sandbox's id of a message `[provider-id]`.
fn without_time(word: &str) -> String {
    let bare = word.trim_matches(['(', ')', '.']);
    if bare.starts_with("sandbox-") {
        return word.replace(bare, "[provider-id]");
    }
    if bare.parse::<jiff::Timestamp>().is_ok() { word.replace(bare, "[time]") } else { word.to_owned() }
}

/// What a text is that no other run has.
fn passing(field: &str, text: &str) -> Option<&'static str> {
    match field {
        "request_id" => Some("request id"),
        "next_cursor" => Some("cursor"),
        "secret" | "prefix" => Some("secret"),
        "host" => Some("host"),
        "version" => Some("version"),
        _ if text.starts_with("sandbox-") => Some("provider id"),
        _ if uuid::Uuid::try_parse(text).is_ok() => Some("uuid"),
        _ => None,
    }
}

#[test]
fn the_description_of_the_api() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let description = server.raw(b"GET /openapi.json HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    insta::assert_json_snapshot!("openapi", description.body);
}

#[test]
fn no_snapshot_is_left_over() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/snapshots");
    let kept: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|file| {
            let name = file.unwrap().file_name().into_string().unwrap();
            Some(name.strip_prefix("it__bodies__")?.strip_suffix(".snap")?.to_owned())
        })
        .collect();
    assert!(kept.len() > 20, "the snapshots were not found: {kept:?}");
    let sources = crate::docs::texts("tests/it");
    for name in kept {
        assert!(
            sources.iter().any(|text| text.contains(&format!("\"{name}\""))),
            "no test asks for the snapshot {name}"
        );
    }
}
