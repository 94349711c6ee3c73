//! Programs that know nothing of Volley but its description: one that tries everything, and a generated client.

use std::time::Duration;

use crate::support::Database;
use crate::support::python::Python;
use crate::support::scripted_http::{Keys, ScriptedHttp};
use crate::support::volley::{Pool, ROOT_KEY, Volley};

/// Longer than either takes on a slow machine.
const LONG: Duration = Duration::from_secs(600);

/// How schemathesis is run: the same cases each time, all failures in one go, nothing kept. With more than one worker, Python 3.11 fails
/// now and then ("AST constructor recursion depth mismatch").
const HOW: &str = "--seed 1 --phases examples,coverage,fuzzing --max-examples 5 --workers 1 --no-shrink --generation-database none \
    --continue-on-failure --warnings off";

/// `/v1/stream` ends when its reader goes; a report of a provider is signed, and its form is the provider's.
const LEFT_OUT: [&str; 2] = ["/v1/stream", "/v1/callbacks/{pool}"];

/// What schemathesis does not ask. That whatever fits a schema is taken: time zones, addresses, placeholders and references have rules
/// that no schema can say, and a 422 tells them. That a batch with a bad event is refused: each event has an answer of its own.
const UNASKED: &str = "[checks]
positive_data_acceptance.enabled = false

[[operations]]
include-path = \"/v1/events/batch\"
checks.negative_data_rejection.enabled = false
";

/// What the client does: see there.
const CLIENT: &str = include_str!("generated/send_a_campaign.py");

/// How the client is generated: files are sent as they are, whatever type they have.
const GENERATOR: &str = "content_type_overrides:
  application/x-ndjson: application/octet-stream
  message/rfc822: application/octet-stream
  text/csv: application/octet-stream
  text/plain: application/octet-stream
";

#[test]
fn nothing_that_schemathesis_tries_is_answered_otherwise_than_described() {
    let Some(python) = Python::find(module_path!()) else { return };
    let db = Database::sqlite();
    let volley = Volley::on(&db).pool(Pool::sandbox("main", "email")).pool(Pool::sandbox("texts", "sms")).start();
    let key = format!("Authorization: Bearer {ROOT_KEY}");
    let description = format!("http://127.0.0.1:{}/openapi.json", volley.port());
    let mut arguments = vec!["run", &description, "--header", &key];
    arguments.extend(HOW.split_whitespace());
    arguments.extend(LEFT_OUT.iter().flat_map(|path| ["--exclude-path", path]));
    std::fs::write(db.folder().join("schemathesis.toml"), UNASKED).unwrap();
    let said = python.run(db.folder(), "schemathesis", &arguments, LONG);
    assert!(said.is_success, "{}", said.output);
    assert!(said.output.contains(" generated, "), "it did nothing: {}", said.output);
}

#[test]
fn a_client_generated_from_the_description_imports_people_and_sends_them_a_campaign() {
    let Some(python) = Python::find(module_path!()) else { return };
    let db = Database::sqlite();
    let sink = ScriptedHttp::slow((0, 0), Keys::Honoured);
    let volley = Volley::on(&db).pool(Pool::webhook("main", &sink)).start();
    let folder = db.folder();
    let description = serde_json::to_string(&volley.api().get("/openapi.json")).unwrap();
    for (name, text) in
        [("openapi.json", description.as_str()), ("generator.yml", GENERATOR), ("send_a_campaign.py", CLIENT)]
    {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let mut arguments = vec!["generate", "--path", "openapi.json", "--output-path", "volley_client"];
    arguments.extend(["--meta", "none", "--config", "generator.yml", "--fail-on-warning"]);
    let said = python.run(folder, "openapi-python-client", &arguments, LONG);
    assert!(said.is_success, "{}", said.output);
    let origin = format!("http://127.0.0.1:{}", volley.port());
    let arguments = ["send_a_campaign.py", &origin, ROOT_KEY];
    let said = python.run(folder, "python", &arguments, LONG);
    assert!(said.is_success && said.output.trim() == "sent: 3 of 3", "{}", said.output);
    assert_eq!(sink.ledger().reached(), 3);
}
