//! Who may call.

use serde_json::json;

use crate::support::server::{ROOT_KEY, Server};
use crate::support::{Database, both_backends};

#[test]
fn without_one_valid_bearer_header_every_answer_is_the_same_401() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let api = server.api();
    let revoked = api.post("/v1/keys", &json!({ "name": "soon gone", "scope": "admin" }));
    let revoked_secret = revoked["secret"].as_str().unwrap().to_owned();
    server.send("DELETE", &format!("/v1/keys/{}", revoked["id"]), &[], b"");
    let unknown = format!("{}{}", &revoked_secret[..revoked_secret.len() - 1], "x");
    let expired =
        api.post("/v1/keys", &json!({ "name": "over", "scope": "admin", "expires_at": "2100-01-01T00:00:00Z" }));
    server.execute(format!("UPDATE api_keys SET expires_at = 1 WHERE id = {}", expired["id"]));
    let bearer_expired = format!("Bearer {}", expired["secret"].as_str().unwrap());
    let bearer_revoked = format!("Bearer {revoked_secret}");
    let bearer_unknown = format!("Bearer {unknown}");
    let bearer_root = format!("Bearer {ROOT_KEY}");
    let mut bodies = Vec::new();
    let none = server.raw(b"GET /v1/lists HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    for (what, headers) in [
        ("empty", vec!["Bearer"]),
        ("blank", vec!["Bearer "]),
        ("another scheme", vec!["Basic cm9vdA=="]),
        ("wrong prefix", vec!["Bearer xxx_1234"]),
        ("unknown", vec![bearer_unknown.as_str()]),
        ("revoked", vec![bearer_revoked.as_str()]),
        ("expired", vec![bearer_expired.as_str()]),
        ("two headers", vec![bearer_root.as_str(), bearer_root.as_str()]),
    ] {
        let headers: Vec<_> = headers.into_iter().map(|value| ("Authorization", value)).collect();
        let answer = server.send("GET", "/v1/lists", &headers, b"");
        assert_eq!((answer.status, answer.code()), (401, "unauthorized"), "{what}");
        assert!(answer.header("www-authenticate").is_some(), "{what}");
        bodies.push(answer.body);
    }
    assert_eq!(none.status, 401);
    bodies.push(none.body);
    for body in &mut bodies {
        body["request_id"] = json!(null);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:#?}");
}

both_backends! {
    fn a_key_works_until_it_is_revoked_and_not_an_instant_longer(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let made = api.post("/v1/keys", &json!({ "name": "  nightly import ", "scope": "read" }));
        assert_eq!(made["name"], "nightly import");
        let secret = made["secret"].as_str().unwrap().to_owned();
        assert!(secret.starts_with(made["prefix"].as_str().unwrap()));
        let header = format!("Bearer {secret}");
        let headers = [("Authorization", header.as_str())];
        for _ in 0..3 {
            assert_eq!(server.send("GET", "/v1/lists", &headers, b"").status, 200);
        }
        let listed = api.get("/v1/keys");
        assert_eq!(listed["data"][0]["id"], made["id"]);
        assert!(!listed.to_string().contains(&secret), "a secret is shown once");
        let revoked = server.send("DELETE", &format!("/v1/keys/{}", made["id"]), &[], b"");
        assert_eq!(revoked.status, 200);
        assert!(revoked.body["revoked_at"].is_string());
        assert_eq!(server.send("GET", "/v1/lists", &headers, b"").status, 401);
        assert_eq!(server.send("DELETE", "/v1/keys/4711", &[], b"").code(), "key_not_found");
    }

    fn the_use_of_a_key_is_recorded(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let made = api.post("/v1/keys", &json!({ "name": "k", "scope": "read" }));
        assert!(made["last_used_at"].is_null());
        let header = format!("Bearer {}", made["secret"].as_str().unwrap());
        server.send("GET", "/v1/lists", &[("Authorization", header.as_str())], b"");
        crate::support::waiting::wait_until("the use is recorded", std::time::Duration::from_secs(10), || {
            api.get("/v1/keys")["data"][0]["last_used_at"].is_string()
        });
    }
}

#[test]
fn a_key_in_the_address_is_refused_even_beside_a_good_header() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    for path in ["/v1/lists?api_key=abc", "/v1/lists?access_token=abc", "/v1/contacts?search=vly_00"] {
        let answer = server.send("GET", path, &[], b"");
        assert_eq!((answer.status, answer.code()), (400, "key_in_query"), "{path}");
    }
}
