//! What is done under an `Idempotency-Key` is done once.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use volley::config::pools::PoolConfig;
use volley::domain::channel::ChannelKind;

use crate::support::api::id;
use crate::support::scripted_http::{Keys, ScriptedHttp};
use crate::support::server::{Raw, Server, sandbox, webhook};
use crate::support::waiting::{wait_for, wait_until};
use crate::support::{Database, both_backends};

const LONG: Duration = Duration::from_secs(60);

fn post(server: &Server, path: &str, key: &str, body: &Value) -> Raw {
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key)];
    server.send("POST", path, &headers, body.to_string().as_bytes())
}

fn total(server: &Server, path: &str) -> i64 {
    server.api().get(path)["pagination"]["total_count"].as_i64().unwrap()
}

/// The same request twice, which must come to the same; then another one under its key, which must be refused.
#[track_caller]
fn twice(server: &Server, path: &str, body: &Value) -> Raw {
    let first = post(server, path, "k", body);
    assert!((200..300).contains(&first.status), "{path}: {first:?}");
    let second = post(server, path, "k", body);
    assert_eq!((second.status, &second.body), (first.status, &first.body), "{path}");
    assert_eq!(second.header("location"), first.header("location"), "{path}");
    let mut other = body.clone();
    match other.get_mut("name") {
        Some(name) => *name = json!("Another"),
        None => other["something"] = json!("else"),
    }
    let refused = post(server, path, "k", &other);
    assert_eq!((refused.status, refused.code()), (409, "idempotency_key_reused"), "{path}");
    first
}

both_backends! {
    fn whatever_is_made_under_a_key_is_made_once(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
        let contact = twice(&server, "/v1/contacts", &json!({ "email": "ann@example.com" }));
        assert_eq!(contact.status, 201);
        let list = twice(&server, "/v1/lists", &json!({ "name": "News" }));
        let members = format!("/v1/lists/{}/members", id(&list.body));
        twice(&server, &members, &json!({ "contact_ids": [id(&contact.body)] }));
        let template = json!({ "name": "T", "channel": "email", "subject": "s", "body_text": "x" });
        twice(&server, "/v1/templates", &template);
        let campaign = json!({
            "name": "C", "channel": "email", "subject": "s", "body_text": "x", "audience": { "all": true },
        });
        assert!(twice(&server, "/v1/campaigns", &campaign).header("location").is_some());
        for path in ["/v1/contacts", "/v1/lists", "/v1/templates", "/v1/campaigns"] {
            assert_eq!(total(&server, path), 1, "{path}");
        }
    }

    fn whatever_is_done_to_a_campaign_under_a_key_is_done_once(db: &Database) {
        let sink = ScriptedHttp::slow((0, 0), Keys::Ignored);
        let server = Server::with_pools(db, vec![webhook("api", &sink)]);
        let api = server.api();
        let ann = id(&api.post("/v1/contacts", &json!({ "email": "ann@example.com" })));
        let body = json!({ "name": "C", "channel": "http", "body_text": "x", "audience": { "contact_ids": [ann] } });
        let path = |what: &str| format!("/v1/campaigns/{}/{what}", 1);
        assert_eq!(id(&api.post("/v1/campaigns", &body)), 1);
        let at = volley::domain::instant::UtcInstant(4_000_000_000_000);
        let too_far = post(&server, &path("schedule"), "k", &json!({ "scheduled_at": at }));
        assert_eq!(too_far.status, 422, "{too_far:?}");
        let tested = twice(&server, &path("test-send"), &json!({ "contact_ids": [ann] }));
        assert_eq!((&tested.body["results"][0]["outcome"], sink.ledger().begun()), (&json!("accepted"), 1));
        // What is sent waits, so that the campaign stays open.
        sink.play("request: 429 {Retry-After: 600}");
        let sent = post(&server, &path("send"), "k", &json!({}));
        assert_eq!(post(&server, &path("send"), "k", &json!({})).body, sent.body);
        assert_eq!((sent.status, sent.header("location")), (202, Some("/v1/campaigns/1")));
        let paused = twice(&server, &path("pause"), &json!({}));
        assert_eq!(paused.body["status"], "paused");
        twice(&server, &path("resume"), &json!({}));
        // The same answer again, though it is sending by now: the first was served, and this is not another one.
        assert_eq!(post(&server, &path("pause"), "k", &json!({})).body["status"], "paused");
        assert_eq!(api.campaign(1).status, "sending");
        twice(&server, "/v1/campaigns/bulk-action", &json!({ "action": "stop", "campaign_ids": [1] }));
        twice(&server, &path("deliveries/resolve"), &json!({ "as": "sent" }));
    }

    fn of_many_requests_under_one_key_one_is_served_and_all_get_its_answer(db: &Database) {
        let server = Server::on(db);
        let body = json!({ "name": "C", "channel": "email", "subject": "s", "body_text": "x" });
        let ids: Vec<i64> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..6).map(|_| scope.spawn(|| post(&server, "/v1/campaigns", "k", &body))).collect();
            all.into_iter().map(|one| one.join().unwrap()).map(|answer| id(&answer.body)).collect()
        });
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 1, "{ids:?}");
        assert_eq!(total(&server, "/v1/campaigns"), 1);
    }

    fn a_request_that_was_refused_leaves_its_key_free(db: &Database) {
        let server = Server::on(db);
        let refused = post(&server, "/v1/lists", "k", &json!({ "name": "" }));
        assert_eq!(refused.status, 422);
        assert_eq!(post(&server, "/v1/lists", "k", &json!({ "name": "News" })).status, 201);
    }

    fn an_idempotency_key_belongs_to_the_api_key_that_sent_it(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
        let clients: Vec<String> = ["one", "two"].map(|name| {
            let made = server.api().post("/v1/keys", &json!({ "name": name, "scope": "admin" }));
            format!("Bearer {}", made["secret"].as_str().expect("a new key is shown"))
        }).into();
        let with = |client: &str, path: &str, body: &Value| {
            let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "k"), ("Authorization", client)];
            server.send("POST", path, &headers, body.to_string().as_bytes())
        };
        let body = json!({ "name": "C", "channel": "email", "subject": "s", "body_text": "x", "audience": { "all": true } });
        let made: Vec<Raw> = clients.iter().map(|client| with(client, "/v1/campaigns", &body)).collect();
        assert!(made.iter().all(|answer| answer.status == 201), "{made:?}");
        assert_ne!(id(&made[0].body), id(&made[1].body), "two clients share an answer");
        assert_eq!(with(&clients[0], "/v1/campaigns", &body).body, made[0].body);
        // A launch keeps its key by itself. To the second client it is one that was launched by somebody else.
        let path = format!("/v1/campaigns/{}/send", id(&made[0].body));
        let sent = with(&clients[0], &path, &json!({}));
        assert_eq!((sent.status, with(&clients[0], &path, &json!({})).status), (202, 202), "{sent:?}");
        assert_eq!(with(&clients[1], &path, &json!({})).status, 409);
    }

    fn a_request_that_failed_after_its_effect_is_not_served_again_under_its_key(db: &Database) {
        let sink = ScriptedHttp::slow((0, 0), Keys::Ignored);
        let server = Server::with_pools(db, vec![webhook("api", &sink)]);
        let api = server.api();
        let ann = id(&api.post("/v1/contacts", &json!({ "email": "ann@example.com" })));
        let body = json!({ "name": "C", "channel": "http", "body_text": "x", "audience": { "contact_ids": [ann] } });
        let campaign = id(&api.post("/v1/campaigns", &body));
        sink.play("request: 429 {Retry-After: 600}");
        api.send(campaign);
        // Whoever is answered with the campaign reads this table; who decides does not.
        server.execute("ALTER TABLE packings RENAME TO hidden".to_owned());
        let path = format!("/v1/campaigns/{campaign}/pause");
        let first = post(&server, &path, "k", &json!({}));
        let again = post(&server, &path, "k", &json!({}));
        server.execute("ALTER TABLE hidden RENAME TO packings".to_owned());
        assert_eq!(first.status, 503, "{first:?}");
        assert_eq!((again.status, again.code()), (409, "idempotency_outcome_unknown"), "{again:?}");
        assert_eq!(api.campaign(campaign).status, "paused");
        assert_eq!(post(&server, &path, "k", &json!({})).code(), "idempotency_outcome_unknown");
    }

    fn a_request_that_was_cut_off_is_never_served_again_under_its_key(db: &Database) {
        let server = Server::on(db);
        let body = json!({ "name": "News" });
        assert_eq!(post(&server, "/v1/lists", "k", &body).status, 201);
        // As if the process had died before it could store the answer.
        server.execute("UPDATE idempotency_keys SET status = 0, body = ''".to_owned());
        let again = post(&server, "/v1/lists", "k", &body);
        assert_eq!((again.status, again.code()), (409, "idempotency_key_in_progress"));
        assert_eq!(total(&server, "/v1/lists"), 1);
    }
}

#[test]
fn an_answer_that_the_database_could_not_take_is_stored_when_it_is_back() {
    let Some(db) = Database::own_postgres(module_path!()) else { return };
    let sink = ScriptedHttp::slow((1_500, 1_500), Keys::Ignored);
    let pool = PoolConfig { timeout_seconds: 30, ..webhook("api", &sink) };
    let server = Server::with_pools(&db, vec![pool]);
    let api = server.api();
    let ann = id(&api.post("/v1/contacts", &json!({ "email": "ann@example.com" })));
    let campaign = id(&api.post("/v1/campaigns", &json!({ "name": "C", "channel": "http", "body_text": "x" })));
    let path = format!("/v1/campaigns/{campaign}/test-send");
    let body = json!({ "contact_ids": [ann] });
    let first = std::thread::scope(|scope| {
        let first = scope.spawn(|| post(&server, &path, "k", &body));
        wait_until("the provider has the message", LONG, || sink.ledger().begun() == 1);
        db.server().stop_immediately();
        first.join().unwrap()
    });
    assert_eq!((first.status, &first.body["results"][0]["outcome"]), (200, &json!("accepted")), "{first:?}");
    db.server().start_again();
    let again = wait_for("the database answers again", LONG, || {
        Some(post(&server, &path, "k", &body)).filter(|answer| answer.status != 503)
    });
    assert_eq!((again.status, &again.body), (200, &first.body), "{again:?}");
    assert_eq!(sink.ledger().begun(), 1, "it was sent again");
}

#[test]
fn every_route_that_says_so_reads_the_key_and_no_other_does() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let description = server.api().get("/openapi.json");
    let mut readers = 0;
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let says_so = parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key");
            assert!(!says_so || method == "post", "{method} {path}");
            if method != "post" {
                continue;
            }
            let content_type = if path.ends_with("/import") { "text/csv" } else { "application/json" };
            let headers = [("Content-Type", content_type), ("Idempotency-Key", "not a key")];
            let answer = server.send("POST", &path.replace("{id}", "1"), &headers, b"{}");
            assert_eq!(answer.body["code"] == "idempotency_key_malformed", says_so, "{path}: {answer:?}");
            readers += usize::from(says_so);
        }
    }
    assert_eq!(readers, 41);
}
