//! What a key allows.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use volley::domain::access::Scope;
use volley::http::routes::{Door, TABLE};

use crate::support::server::{Raw, Server};
use crate::support::waiting::wait_until;
use crate::support::{Database, both_backends};

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// The header of a new key with this scope, and the key's id.
fn key(server: &Server, scope: Scope) -> (String, Value) {
    let made = server.api().post("/v1/keys", &json!({ "name": scope.as_str(), "scope": scope }));
    assert_eq!(made["scope"], scope.as_str());
    (bearer(&made), made["id"].clone())
}

fn bearer(made: &Value) -> String {
    format!("Bearer {}", made["secret"].as_str().unwrap())
}

fn create(server: &Server, header: &str, body: &Value) -> Raw {
    server.send("POST", "/v1/keys", &[JSON, ("Authorization", header)], body.to_string().as_bytes())
}

both_backends! {
    fn every_route_is_closed_to_a_key_without_its_scope_and_open_with_it(db: &Database) {
        let server = Server::on(db);
        for scope in Scope::ALL {
            let (header, _) = key(&server, *scope);
            for entry in TABLE {
                let Door::Api(asked) = entry.door else { continue };
                let path = entry.path.replace("{id}", "4711").replace("{contact_id}", "4711").replace("{name}", "none");
                // A stream that is opened goes on: of a campaign that is not there it is refused.
                let path = if path == "/v1/stream" { format!("{path}?campaign=4711") } else { path };
                let answer = server.send(entry.method.as_str(), &path, &[("Authorization", &header)], b"");
                if scope.includes(asked) {
                    assert!(![401, 403].contains(&answer.status), "{scope} at {entry:?}: {answer:?}");
                    continue;
                }
                assert_eq!((answer.status, answer.code()), (403, "insufficient_scope"), "{scope} at {entry:?}");
                let detail = answer.body["detail"].as_str().unwrap();
                assert!(detail.contains(asked.as_str()) && detail.contains(scope.as_str()), "{detail}");
                let challenge = answer.header("www-authenticate").unwrap();
                assert!(challenge.contains(&format!("scope=\"{asked}\"")), "{challenge}");
            }
        }
    }

    fn a_key_without_the_scope_changes_nothing_and_spends_no_idempotency_key(db: &Database) {
        let server = Server::on(db);
        let (header, _) = key(&server, Scope::Read);
        let once = ("Idempotency-Key", "k");
        let refused = server.send("POST", "/v1/lists", &[JSON, once, ("Authorization", &header)], br#"{"name":"a"}"#);
        assert_eq!(refused.code(), "insufficient_scope");
        assert_eq!(server.api().get("/v1/lists")["pagination"]["total_count"], 0);
        let (header, _) = key(&server, Scope::Operate);
        let made = server.send("POST", "/v1/lists", &[JSON, once, ("Authorization", &header)], br#"{"name":"a"}"#);
        assert_eq!(made.status, 201, "{made:?}");
    }

    fn a_key_that_puts_people_in_is_told_nothing_else_of_them(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let ann = json!({ "email": "ann@example.com", "phone": "+442079460123", "attributes": { "plan": "gold" } });
        let ann = api.post("/v1/contacts", &ann);
        api.post("/v1/suppressions", &json!({ "address": "ann@example.com", "reason": "complained" }));
        let one = format!("/v1/contacts/{}", ann["id"]);
        let email = json!({ "email": "ann@example.com" });
        let asked = [("PATCH", one.as_str(), json!({})), ("POST", "/v1/contacts", email), ("POST", "/v1/suppressions", json!({ "address": "ann@example.com" }))];
        let told = |scope: Scope| {
            let (header, _) = key(&server, scope);
            asked.clone().map(|(method, path, body)| {
                let answer = server.send(method, path, &[JSON, ("Authorization", &header)], body.to_string().as_bytes());
                assert_eq!(answer.status, 200, "{answer:?}");
                answer.body
            })
        };
        let stored = json!({ "id": ann["id"], "version": ann["version"] });
        assert_eq!(told(Scope::Ingest), [stored.clone(), stored, json!({ "suppressed": true })]);
        let [changed, upserted, suppressed] = told(Scope::Operate);
        assert_eq!((&changed["phone"], &upserted["attributes"]["plan"]), (&ann["phone"], &json!("gold")));
        assert_eq!(suppressed["data"][0]["reasons"], json!(["unsubscribed", "complained"]), "{suppressed}");
        let (header, _) = key(&server, Scope::Ingest);
        let made = server.send("POST", "/v1/contacts", &[JSON, ("Authorization", &header)], br#"{"email":"bob@example.com"}"#);
        assert_eq!((made.status, &made.body), (201, &json!({ "id": made.body["id"], "version": 1 })));
        assert_eq!(made.header("location").unwrap(), format!("/v1/contacts/{}", made.body["id"]));
    }

    fn a_key_that_was_revoked_elsewhere_stops_within_a_second(db: &Database) {
        let server = Server::on(db);
        let (header, id) = key(&server, Scope::Read);
        let status = || server.send("GET", "/v1/lists", &[("Authorization", &header)], b"").status;
        assert_eq!(status(), 200);
        // What another instance, or the command line, does.
        server.execute(format!("UPDATE api_keys SET revoked_at = 1 WHERE id = {id}"));
        let revoked = Instant::now();
        wait_until("it is refused", Duration::from_secs(10), || status() == 401);
        // A second, and what a request takes on a busy machine.
        assert!(revoked.elapsed() < Duration::from_secs(2), "{:?}", revoked.elapsed());
    }

    fn a_key_stops_when_it_expires(db: &Database) {
        let server = Server::on(db);
        let end = jiff::Timestamp::now() + Duration::from_secs(2);
        let made = server.api().post("/v1/keys", &json!({ "name": "short", "scope": "read", "expires_at": end }));
        let header = bearer(&made);
        let status = || server.send("GET", "/v1/lists", &[("Authorization", &header)], b"").status;
        assert_eq!(status(), 200);
        wait_until("it is refused", Duration::from_secs(10), || status() == 401);
        let late = jiff::Timestamp::now().as_millisecond() - end.as_millisecond();
        assert!((0..1_000).contains(&late), "refused {late} ms after its end");
        let listed = server.api().get("/v1/keys");
        assert!(listed["data"][0]["expires_at"].is_string() && listed["data"][0]["revoked_at"].is_null(), "{listed}");
    }

    fn a_key_that_an_older_instance_made_allows_everything(db: &Database) {
        let server = Server::on(db);
        let (header, id) = key(&server, Scope::Read);
        // An older instance names neither of the new columns.
        server.execute(format!(
            "INSERT INTO api_keys (name, prefix, hash, created_at) SELECT name, prefix, 'other', 1 FROM api_keys WHERE id = {id}"
        ));
        let listed = server.api().get("/v1/keys");
        assert_eq!((&listed["data"][0]["scope"], &listed["data"][0]["expires_at"]), (&json!("admin"), &Value::Null));
        assert_eq!(server.send("GET", "/v1/keys", &[("Authorization", &header)], b"").status, 403);
    }
}

#[test]
fn a_key_makes_no_key_that_may_more_or_lasts_longer_than_itself() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let end = "2100-01-01T00:00:00.000Z";
    let made = server.api().post("/v1/keys", &json!({ "name": "a", "scope": "admin", "expires_at": end }));
    let header = bearer(&made);
    for (scope, expires) in [("read", json!(null)), ("admin", json!("2100-01-01T00:00:01Z"))] {
        let refused = create(&server, &header, &json!({ "name": "b", "scope": scope, "expires_at": expires }));
        assert_eq!((refused.status, refused.code()), (403, "key_exceeds_maker"), "{scope}");
    }
    let same = create(&server, &header, &json!({ "name": "b", "scope": "admin", "expires_at": end }));
    assert_eq!((same.status, &same.body["expires_at"]), (201, &json!(end)), "{same:?}");
    // Only a key with the scope `admin` comes as far as that.
    let (operator, _) = key(&server, Scope::Operate);
    let refused = create(&server, &operator, &json!({ "name": "b", "scope": "read" }));
    assert_eq!(refused.code(), "insufficient_scope");
    assert_eq!(server.api().get("/v1/keys")["data"].as_array().unwrap().len(), 3);
}

#[test]
fn a_key_names_its_scope_and_an_end_that_lies_ahead() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let header = format!("Bearer {}", crate::support::server::ROOT_KEY);
    for (body, code, field) in [
        (json!({ "name": "a" }), "required", "/scope"),
        (json!({ "name": "a", "scope": "write" }), "not_allowed", "/scope"),
        (json!({ "name": "a", "scope": "read", "expires_at": "2020-01-01T00:00:00Z" }), "out_of_range", "/expires_at"),
        (json!({ "name": "a", "scope": "read", "expires_at": "tomorrow" }), "invalid", "/expires_at"),
    ] {
        let refused = create(&server, &header, &body);
        assert_eq!((refused.status, refused.code(), refused.field()), (422, code, field), "{body}: {refused:?}");
    }
    assert_eq!(server.api().get("/v1/keys")["data"], json!([]));
}
