//! How often a key, or an address without one, may ask.

use std::time::{Duration, Instant};

use serde_json::json;
use volley::config::Limits;
use volley::domain::access::limit::Limit;
use volley::http::routes::{Door, TABLE};

use crate::support::Database;
use crate::support::server::{ROOT_KEY, Raw, Server};
use crate::support::waiting::wait_until;

const JSON: (&str, &str) = ("Content-Type", "application/json");

fn server(db: &Database, limits: Limits) -> Server {
    Server::with(db, |settings| settings.limits = limits)
}

fn key(server: &Server, scope: &str) -> String {
    let made = server.api().post("/v1/keys", &json!({ "name": "a", "scope": scope }));
    format!("Bearer {}", made["secret"].as_str().unwrap())
}

fn get(server: &Server, path: &str, bearer: &str) -> Raw {
    server.send("GET", path, &[("Authorization", bearer)], b"")
}

/// `r` or `t` of the `RateLimit` header.
fn parameter(answer: &Raw, name: &str) -> u64 {
    let header = answer.header("ratelimit").unwrap_or_else(|| panic!("{answer:?}"));
    let value = header.split(';').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    value.unwrap().parse().unwrap()
}

#[test]
fn a_key_that_asks_too_often_is_told_how_long_to_wait_and_that_is_true() {
    let db = Database::sqlite();
    // One more every two seconds.
    let server = server(&db, Limits { requests_per_minute: 30, ..Limits::none() });
    let bearer = key(&server, "read");
    let first = get(&server, "/v1/lists", &bearer);
    assert_eq!(first.header("ratelimit-policy"), Some("\"requests\";q=30;w=60"), "{first:?}");
    assert_eq!((parameter(&first, "r"), parameter(&first, "t")), (29, 2), "{first:?}");
    let mut refused = first;
    for _ in 0..60 {
        refused = get(&server, "/v1/lists", &bearer);
        if refused.status == 429 {
            break;
        }
    }
    assert_eq!((refused.status, refused.code()), (429, "rate_limited"), "{refused:?}");
    assert_eq!(parameter(&refused, "r"), 0);
    let told = Instant::now();
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&seconds), "{refused:?}");
    // It asks all the time, and still waits no longer than it was told.
    wait_until("it is let through", Duration::from_secs(20), || get(&server, "/v1/lists", &bearer).status == 200);
    assert!(told.elapsed() < Duration::from_secs(seconds + 3), "{:?}", told.elapsed());
    assert_eq!(get(&server, "/v1/lists", &key(&server, "read")).status, 200, "another key has its own limit");
}

#[test]
fn items_are_counted_and_not_requests() {
    let db = Database::sqlite();
    let server = server(&db, Limits { ingest_items_per_minute: 10, ..Limits::none() });
    let bearer = key(&server, "ingest");
    let add = |path: &str, body: serde_json::Value| {
        server.send("POST", path, &[JSON, ("Authorization", &bearer)], body.to_string().as_bytes())
    };
    let list = server.api().create_list("a");
    for n in 0..3 {
        let made = add("/v1/contacts", json!({ "email": format!("person{n}@example.com") }));
        assert_eq!((made.status, parameter(&made, "r")), (201, 9 - n), "{made:?}");
        assert!(made.header("ratelimit-policy").unwrap().ends_with("qu=\"items\""), "{made:?}");
    }
    let members = format!("/v1/lists/{list}/members");
    let added = add(&members, json!({ "contact_ids": [1, 2, 3] }));
    assert_eq!((added.status, parameter(&added, "r")), (200, 4), "{added:?}");
    let ids: Vec<i64> = (1..=8).collect();
    let refused = add(&members, json!({ "contact_ids": ids }));
    assert_eq!((refused.status, refused.code()), (429, "rate_limited"), "{refused:?}");
    assert_eq!(server.api().get(&members)["pagination"]["total_count"], 3);
}

#[test]
fn a_launch_has_a_limit_of_its_own_and_a_pause_is_never_held_up_by_it() {
    let db = Database::sqlite();
    let server = server(&db, Limits { launches_per_minute: 1, ..Limits::none() });
    let bearer = key(&server, "operate");
    let ask = |action: &str| {
        let path = format!("/v1/campaigns/4711/{action}");
        server.send("POST", &path, &[JSON, ("Authorization", &bearer)], b"{}")
    };
    assert_eq!(ask("send").status, 404);
    assert_eq!(ask("send").status, 429);
    assert_eq!(ask("retry-failed").status, 429);
    for action in ["pause", "stop", "pause", "stop"] {
        assert_eq!(ask(action).status, 404, "{action}");
    }
    let bulk = json!({ "action": "send", "campaign_ids": [4711, 4712] }).to_string();
    let bulk = server.send("POST", "/v1/campaigns/bulk-action", &[JSON, ("Authorization", &bearer)], bulk.as_bytes());
    assert_eq!(bulk.status, 429, "{bulk:?}");
    let make = |launch: bool| {
        let campaign =
            json!({ "name": "Spring", "channel": "email", "subject": "s", "body_text": "b", "launch": launch });
        server
            .send("POST", "/v1/campaigns", &[JSON, ("Authorization", &bearer)], campaign.to_string().as_bytes())
            .status
    };
    assert_eq!((make(true), make(false)), (429, 201), "to make a draft is no launch");
}

#[test]
fn an_address_without_a_valid_key_is_limited_and_known_keys_from_there_are_not() {
    let db = Database::sqlite();
    let server = server(&db, Limits { without_key_per_minute: 5, ..Limits::none() });
    let bearer = key(&server, "read");
    assert_eq!(get(&server, "/v1/lists", &bearer).status, 200);
    let last = if bearer.ends_with('0') { '1' } else { '0' };
    let unknown = format!("{}{last}", &bearer[..bearer.len() - 1]);
    let mut refused = 0;
    for header in ["Basic x", "Bearer x", &unknown, "Bearer", "Bearer x", &unknown, "Basic x", "Bearer x"] {
        let answer = get(&server, "/v1/lists", header);
        assert!([401, 429].contains(&answer.status), "{answer:?}");
        if answer.status == 429 {
            assert!(answer.header("retry-after").is_some() && answer.code() == "rate_limited", "{answer:?}");
            refused += 1;
        }
    }
    assert!(refused >= 3, "{refused}");
    let root = format!("Bearer {ROOT_KEY}");
    for _ in 0..10 {
        assert_eq!(get(&server, "/v1/lists", &bearer).status, 200, "a key that was valid before");
        assert_eq!(get(&server, "/v1/lists", &root).status, 200, "the root key");
        assert_eq!(server.raw(b"GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").status, 200);
    }
    // A revocation of another key makes this instance ask the database again, and that is not a new key.
    let other = server.api().post("/v1/keys", &json!({ "name": "b", "scope": "read" }));
    assert_eq!(server.send("DELETE", &format!("/v1/keys/{}", other["id"]), &[], b"").status, 200);
    assert_eq!(get(&server, "/v1/lists", &bearer).status, 200);
}

#[test]
fn a_key_that_is_refused_for_its_scope_counts_too() {
    let db = Database::sqlite();
    let server = server(&db, Limits { requests_per_minute: 3, ..Limits::none() });
    let bearer = key(&server, "read");
    let statuses: Vec<u16> = (0..5).map(|_| get(&server, "/v1/keys", &bearer).status).collect();
    assert_eq!(statuses, [403, 403, 403, 429, 429]);
}

#[test]
fn every_route_with_a_key_counts_towards_a_limit_that_fits() {
    let with_key = || TABLE.iter().filter(|entry| matches!(entry.door, Door::Api(_)));
    assert!(with_key().all(|entry| entry.limit != Limit::WithoutKey));
    let of = |limit: Limit| with_key().filter(move |entry| entry.limit == limit).count();
    assert_eq!((of(Limit::Launches), of(Limit::Messages)), (2, 1));
    assert!(of(Limit::Ingest) >= 7, "{}", of(Limit::Ingest));
}
