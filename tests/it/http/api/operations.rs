//! What operators and their machines look at.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use volley::domain::access::Scope;
use volley::domain::channel::ChannelKind;
use volley::http::routes::{API, Door, Entry, Repeats, TABLE, Verb};
use volley::http::ui::UI;

use crate::support::Database;
use crate::support::api::id;
use crate::support::scripted_http::{Keys, ScriptedHttp};
use crate::support::server::{Raw, Server, sandbox, webhook};
use crate::support::waiting::wait_for;

const LONG: Duration = Duration::from_secs(60);

fn without_a_key(server: &Server, path: &str) -> Raw {
    server.raw(format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").as_bytes())
}

#[test]
fn a_healthy_instance_says_so_to_anybody() {
    let db = Database::sqlite();
    let server = Server::with_pools(&db, vec![sandbox("fast", ChannelKind::Email, 0.0)]);
    assert_eq!(without_a_key(&server, "/healthz").body, json!({ "status": "ok" }));
    let ready = without_a_key(&server, "/readyz");
    assert_eq!((ready.status, &ready.body), (200, &json!({ "status": "ready", "pools": { "fast": null } })));
    assert_eq!(without_a_key(&server, "/v1/admin/state").status, 401);
}

#[test]
fn a_provider_that_is_away_degrades_readiness_and_calls_for_attention() {
    let db = Database::sqlite();
    let sink = ScriptedHttp::slow((0, 0), Keys::Ignored);
    let server = Server::with_pools(&db, vec![webhook("api", &sink)]);
    let api = server.api();
    api.post("/v1/contacts", &json!({ "email": "ann@example.com" }));
    sink.refuse_connections();
    let body = json!({ "name": "A", "channel": "http", "body_text": "x", "audience": { "all": true } });
    let campaign = id(&api.post("/v1/campaigns", &body));
    api.send(campaign);
    let stuck = api.wait(campaign, "it calls for attention", LONG, |seen| seen.attention.is_some());
    assert_eq!(stuck.attention.as_deref(), Some("provider_unreachable"), "{}", stuck.body);
    assert_eq!((stuck.status.as_str(), stuck.stats.failed), ("sending", 0));
    let attention = &stuck.body["attention"];
    assert!(attention["detail"].is_string() && attention["since"].is_string(), "{attention}");
    let ready = without_a_key(&server, "/readyz");
    assert_eq!((ready.status, &ready.body["status"]), (200, &json!("degraded")), "{ready:?}");
    assert_eq!(ready.body["pools"]["api"]["code"], "provider_unreachable", "{ready:?}");
    sink.accept_connections();
    let ended = api.wait_ended(campaign, LONG);
    assert_eq!((ended.status.as_str(), ended.stats.sent), ("sent", 1), "{}", ended.body);
    assert!(ended.attention.is_none(), "{}", ended.body);
    assert_eq!(without_a_key(&server, "/readyz").body["status"], "ready");
}

#[test]
fn a_database_that_is_away_makes_an_instance_unready() {
    let Some(db) = Database::own_postgres(module_path!()) else { return };
    let server = Server::on(&db);
    assert_eq!(without_a_key(&server, "/readyz").status, 200);
    db.server().stop_immediately();
    // What was found out less than a second ago is believed.
    let away = wait_for("it says so", Duration::from_secs(10), || {
        Some(without_a_key(&server, "/readyz")).filter(|answer| answer.status == 503)
    });
    assert_eq!(away.body["status"], "unavailable", "{away:?}");
    assert_eq!(away.body["code"], "database_unavailable", "{away:?}");
    assert!(away.body["detail"].is_string(), "{away:?}");
    assert_eq!(without_a_key(&server, "/healthz").status, 200, "the process itself is well");
}

#[test]
fn a_campaign_shows_in_the_metrics_and_in_the_actors_state() {
    let db = Database::sqlite();
    let server = Server::with_pools(&db, vec![sandbox("seen-in-metrics", ChannelKind::Email, 0.0)]);
    let api = server.api();
    for n in 0..3 {
        api.post("/v1/contacts", &json!({ "email": format!("person{n}@example.com") }));
    }
    let body = json!({
        "name": "M", "channel": "email", "subject": "s", "body_text": "x", "audience": { "all": true },
    });
    let campaign = id(&api.post("/v1/campaigns", &body));
    api.send(campaign);
    api.wait_ended(campaign, LONG);
    let metrics = without_a_key(&server, "/metrics");
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain"), "{}", metrics.head);
    let text = metrics.body.as_str().unwrap();
    let sent = r#"volley_deliveries_total{channel="email",pool="seen-in-metrics",outcome="sent"} 3"#;
    for name in [
        sent,
        "volley_attempts_total{",
        "volley_provider_call_seconds_bucket{",
        "volley_provider_call_summary_seconds{",
        "quantile=\"0.95\"",
        "volley_recorder_batch_size",
        "volley_recorder_lag_seconds",
        "volley_status_cache_total{",
        "volley_due_recipients{pool=\"seen-in-metrics\"}",
        "volley_throughput_per_second{pool=\"seen-in-metrics\"}",
        "volley_pages{state=\"ready\"}",
        "volley_pages{state=\"done\"}",
        concat!("volley_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\",database=\"sqlite\"} 1"),
        "volley_http_request_seconds_count{route=\"/v1/campaigns/{id}/send\",method=\"POST\",status=\"2xx\"} ",
        "volley_http_request_seconds_bucket{route=\"/v1/campaigns\",method=\"POST\",status=\"2xx\",le=\"0.001\"} ",
        "\nprocess_resident_memory_bytes ",
        "\nprocess_cpu_seconds_total ",
        "\nprocess_open_fds ",
        "\nprocess_start_time_seconds ",
    ] {
        assert!(text.contains(name), "{name} is missing in:\n{text}");
    }
    let declared = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    for name in declared {
        let help = format!("# HELP {name} ");
        assert!(text.lines().any(|line| line.starts_with(&help) && line.len() > help.len()), "{name} has no help");
    }
    let state = api.get("/v1/admin/state");
    for name in [
        "actors",
        "campaign_driver",
        "recorder",
        "importer",
        "reaper",
        "scheduler",
        "decision_follower",
        "pools",
        "status_cache",
    ] {
        assert!(!state[name].is_null(), "{name} is missing in {state}");
    }
    let actors: BTreeSet<&str> =
        state["actors"].as_array().unwrap().iter().filter_map(|actor| actor["actor"].as_str()).collect();
    assert_eq!(
        actors,
        ["pool seen-in-metrics", "reaper", "scheduler", "decision_follower", "callback_reader"].into(),
        "{state}"
    );
    let pool = &state["pools"][0];
    assert_eq!((&pool["pool"], &pool["in_flight"]), (&json!("seen-in-metrics"), &json!(0)), "{state}");
    assert_eq!(pool["circuit_open"], false, "{state}");
    let journal = &state["journal"];
    assert!(journal["file"].as_str().unwrap().ends_with(".log"), "{state}");
    assert!(journal["bytes"].as_u64().unwrap() > 0, "{state}");
    assert_eq!((&journal["open"], &journal["error"]), (&json!(0), &json!(null)), "{state}");
    assert_eq!(state["paginators"], json!([]), "nobody packs any more: {state}");
}

/// Whether a route is one of the pages for recipients or operators, which are no part of the API.
fn is_of_pages(entry: &Entry) -> bool {
    matches!(entry.door, Door::Public | Door::SignIn | Door::Page(_))
}

/// Path and method of every route of the API.
fn table() -> BTreeSet<(String, String)> {
    let described = TABLE.iter().filter(|entry| !is_of_pages(entry));
    described.map(|entry| (entry.path.to_owned(), entry.method.as_str().to_lowercase())).collect()
}

#[test]
fn the_description_has_every_route_of_the_table_and_no_other() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let description = without_a_key(&server, "/openapi.json").body;
    let methods = |paths: &Value| -> BTreeSet<(String, String)> {
        let paths = paths.as_object().unwrap();
        paths
            .iter()
            .flat_map(|(path, methods)| {
                methods.as_object().unwrap().keys().map(|method| (path.clone(), method.clone()))
            })
            .collect()
    };
    let mut table = table();
    assert!(table.len() > 40, "the table was not read: {table:?}");
    assert!(table.remove(&("/openapi.json".to_owned(), "get".to_owned())));
    assert_eq!(methods(&description["paths"]), table);
}

#[test]
fn every_route_names_its_door_and_what_a_key_must_allow() {
    let each: BTreeSet<_> = TABLE.iter().map(|entry| (entry.path, entry.method)).collect();
    assert_eq!(each.len(), TABLE.len(), "a route is in the table twice");
    for entry in TABLE {
        let is_below = entry.path.strip_prefix(API).is_some_and(|rest| rest.starts_with('/'));
        let scope = match entry.door {
            Door::Open | Door::Public | Door::Provider | Door::AnyKey | Door::SignIn => None,
            Door::Api(scope) | Door::Page(scope) => Some(scope.as_str()),
        };
        let is_api = matches!(entry.door, Door::Api(_) | Door::AnyKey | Door::Provider);
        assert_eq!(is_api, is_below, "{entry:?}");
        let is_page = matches!(entry.door, Door::SignIn | Door::Page(_));
        assert_eq!(is_page, entry.path == UI || entry.path.starts_with("/ui/"), "{entry:?}");
        let changes = super::changes(entry);
        // Keys, settings and what was done with keys are shown to those who make them, and the progress of an import to those who upload. A
        // link lets its holder refuse in a person's name.
        let links = "/v1/campaigns/{id}/deliveries/{contact_id}/links";
        let other =
            ["/v1/keys", "/v1/audit-log", "/v1/settings", "/v1/imports/{id}", links].contains(&entry.path) && !changes;
        if let Some(scope) = scope.filter(|_| !other && !is_page) {
            assert_eq!(scope != Scope::Read.as_str(), changes, "{entry:?}");
        }
        // A key's answer has a secret that is stored nowhere. Each event of a batch has a key of its own.
        let takes_none = ["/v1/keys", "/v1/events/batch"].contains(&entry.path)
            || matches!(entry.door, Door::Public | Door::Provider | Door::SignIn);
        let takes_key = entry.method == Verb::Post && changes && !takes_none;
        assert_eq!(entry.repeats != Repeats::NoKey, takes_key, "{entry:?}");
    }
    let unused: Vec<_> =
        Scope::ALL.iter().filter(|scope| !TABLE.iter().any(|e| e.door == Door::Api(**scope))).collect();
    assert!(unused.is_empty(), "no route asks for {unused:?}");
}

#[test]
fn the_door_for_programs_is_closed_without_a_key() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    for entry in TABLE {
        let path = entry.path.replace("{id}", "1").replace("{contact_id}", "1").replace("{name}", "a");
        let head = format!(
            "{} {path} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            entry.method.as_str()
        );
        let refused = server.raw(head.as_bytes()).status == 401;
        assert_eq!(refused, matches!(entry.door, Door::Api(_) | Door::AnyKey), "{entry:?}");
    }
}

#[test]
fn the_description_offers_an_idempotency_key_where_a_route_takes_one() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let description = without_a_key(&server, "/openapi.json").body;
    for entry in TABLE.iter().filter(|entry| entry.path != "/openapi.json" && !is_of_pages(entry)) {
        let operation = &description["paths"][entry.path][entry.method.as_str().to_lowercase()];
        let offered = operation["parameters"].as_array().into_iter().flatten();
        let offered = offered.filter(|parameter| parameter["name"] == "Idempotency-Key").count();
        assert_eq!(offered, usize::from(entry.repeats != Repeats::NoKey), "{entry:?}");
    }
}

/// Every list of allowed values in a document.
fn allowed_values<'a>(document: &'a Value, found: &mut Vec<&'a Value>) {
    match document {
        Value::Object(fields) => {
            found.extend(fields.get("enum").and_then(Value::as_array).into_iter().flatten());
            fields.values().for_each(|field| allowed_values(field, found));
        }
        Value::Array(all) => all.iter().for_each(|one| allowed_values(one, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_document_spells_values_as_the_api_does() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let description = without_a_key(&server, "/openapi.json").body;
    let mut values = Vec::new();
    allowed_values(&description, &mut values);
    let is_ours = |value: &Value| {
        let text = value.as_str().unwrap();
        text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let others: Vec<_> = values.iter().filter(|value| !is_ours(value)).collect();
    assert!(others.is_empty(), "{others:?}");
    let has = |text: &str| values.iter().any(|value| *value == text);
    assert!(has("draft") && has("email") && has("marketing"), "{values:?}");
}

/// Every schema that a document refers to.
fn references<'a>(document: &'a Value, found: &mut BTreeSet<&'a str>) {
    match document {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(all) => all.iter().for_each(|one| references(one, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_description_has_every_schema_that_it_names_and_the_words_of_the_audit_log() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let description = without_a_key(&server, "/openapi.json").body;
    let mut named = BTreeSet::new();
    references(&description, &mut named);
    assert!(named.len() > 40, "{named:?}");
    let missing: Vec<_> = named.iter().filter(|at| description.pointer(at.trim_start_matches('#')).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let parameters = &description["paths"]["/v1/audit-log"]["get"]["parameters"];
    for (name, word) in [("actor", "scheduler"), ("action", "launched"), ("object", "campaign")] {
        let parameter = parameters.as_array().unwrap().iter().find(|parameter| parameter["name"] == name).unwrap();
        let mut words = Vec::new();
        allowed_values(&parameter["schema"], &mut words);
        assert!(words.iter().any(|one| *one == word), "{parameter}");
    }
}

/// All operations of a description: method, path, and what is said of it.
fn operations(description: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    let paths = description["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, all)| all.as_object().unwrap().iter().map(move |(method, one)| (method, path, one)))
}

#[test]
fn openapi_401_every_operation_has_an_id_of_its_own_and_says_that_refusals_are_problems() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let description = without_a_key(&server, "/openapi.json").body;
    let mut ids = BTreeSet::new();
    let tags: BTreeSet<_> =
        description["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).map(Value::to_string).collect();
    for (method, path, operation) in operations(&description) {
        assert!(ids.insert(operation["operationId"].to_string()), "{method} {path}: {}", operation["operationId"]);
        assert!(tags.contains(&operation["tags"][0].to_string()), "{method} {path}: {}", operation["tags"]);
        let answers = operation["responses"].as_object().unwrap();
        let asked = ["401", "4XX", "5XX"].iter().filter(|_| path.starts_with("/v1"));
        assert!(asked.clone().all(|status| answers.contains_key(*status)), "{method} {path}: {answers:?}");
        for (status, answer) in answers {
            assert!(answer["description"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path} {status}");
            let problem = json!("#/components/schemas/Problem");
            for (kind, content) in answer["content"].as_object().into_iter().flatten() {
                let is_problem = content["schema"]["$ref"] == problem;
                assert_eq!(kind == "application/problem+json", is_problem, "{method} {path} {status}");
            }
        }
    }
}

#[test]
fn openapi_bounds_the_description_allows_the_numbers_that_the_api_takes() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let description = without_a_key(&server, "/openapi.json").body;
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for (method, path, operation) in operations(&description).filter(|(method, ..)| *method == "get") {
        let filled = |id: &str| {
            path.split('/').map(|part| if part.starts_with('{') { id } else { part }).collect::<Vec<_>>().join("/")
        };
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let (name, schema) = (parameter["name"].as_str().unwrap(), &parameter["schema"]);
            if schema["type"] != "integer" {
                continue;
            }
            seen += 1;
            let bounds =
                [schema["minimum"].as_i64().map(|least| least - 1), schema["maximum"].as_i64().map(|most| most + 1)];
            for outside in bounds.into_iter().flatten() {
                let answer = match parameter["in"].as_str().unwrap() {
                    "path" => server.send("GET", &filled(&outside.to_string()), &[], b""),
                    _ => server.send("GET", &format!("{}?{name}={outside}", filled("1")), &[], b""),
                };
                if !["out_of_range", "id_malformed"].contains(&answer.body["code"].as_str().unwrap_or_default()) {
                    wrong.push(format!("{method} {path} {name}={outside}: {} {}", answer.status, answer.body));
                }
            }
        }
    }
    assert!(wrong.is_empty() && seen > 60, "{seen}: {wrong:#?}");
}

/// The names under which the types of a source file stand in the description.
fn described_types(source: &str) -> Vec<&str> {
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    let derived = (0..lines.len()).filter(|at| lines[*at].starts_with("#[derive(") && lines[*at].contains("ToSchema"));
    let name = |at: usize| {
        lines[at..].iter().filter(|line| !line.starts_with("//")).find_map(|line| {
            let renamed = line.strip_prefix("#[schema(as = ").and_then(|rest| rest.split(')').next());
            let declared = line.split_once("struct ").or_else(|| line.split_once("enum "));
            renamed.or_else(|| declared?.1.split(|c: char| !c.is_alphanumeric()).next())
        })
    };
    derived.filter_map(name).collect()
}

/// Of two types with one name, the description would have only one, and tell of the other what is not true.
#[test]
fn no_two_types_stand_in_the_description_under_one_name() {
    let sources = crate::docs::texts("src");
    let names: Vec<_> = sources.iter().flat_map(|source| described_types(source)).collect();
    assert!(names.len() > 200 && names.contains(&"PreflightVerdict"), "{names:?}");
    let mut seen = BTreeSet::new();
    let twice: Vec<_> = names.iter().filter(|name| !seen.insert(**name)).collect();
    assert!(twice.is_empty(), "give one of them another name with #[schema(as = …)]: {twice:?}");
}
