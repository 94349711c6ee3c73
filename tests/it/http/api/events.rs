//! Events: stored once under their key, each for itself; the strongest key names the contact.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use diesel::RunQueryDsl;
use serde_json::{Value, json};
use volley::store::StoreError;

use crate::support::api::{Api, id};
use crate::support::server::{Raw, Server};
use crate::support::{Database, both_backends};

const JSON: (&str, &str) = ("Content-Type", "application/json");

fn send(server: &Server, body: &Value) -> Raw {
    server.send("POST", "/v1/events", &[JSON], body.to_string().as_bytes())
}

/// Sends an event that must be taken; the answer.
fn taken(server: &Server, body: &Value) -> Value {
    let answer = send(server, body);
    assert_eq!(answer.status, 202, "{body}: {answer:?}");
    answer.body
}

fn batch(server: &Server, events: &[Value]) -> Vec<Value> {
    let body = json!({ "events": events }).to_string();
    let answer = server.send("POST", "/v1/events/batch", &[JSON], body.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["data"].as_array().unwrap().clone()
}

fn contact(api: &Api, body: &Value) -> i64 {
    id(&api.post("/v1/contacts", body))
}

fn names(api: &Api, query: &str) -> Vec<String> {
    let all = api.get(&format!("/v1/events?{query}"));
    all["data"].as_array().unwrap().iter().map(|event| event["name"].as_str().unwrap().to_owned()).collect()
}

both_backends! {
    fn an_event_is_stored_once_under_its_key_whoever_repeats_it(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let event = json!({ "name": "order_placed", "email": "ann@example.com", "properties": { "total": 12.5 }, "key": "order-7" });
        let first = taken(&server, &event);
        assert_eq!(first["stored"], true);
        let again = taken(&server, &event);
        assert_eq!((&again["id"], &again["stored"]), (&first["id"], &json!(false)));

        let mut without = event.clone();
        without.as_object_mut().unwrap().remove("key");
        let header = ("Idempotency-Key", "order-7");
        let by_header = server.send("POST", "/v1/events", &[JSON, header], without.to_string().as_bytes());
        assert_eq!((by_header.status, &by_header.body["id"], &by_header.body["stored"]), (202, &first["id"], &json!(false)));
        let in_batch = batch(&server, &[event.clone(), without.clone()]);
        assert_eq!((&in_batch[0]["id"], &in_batch[0]["stored"]), (&first["id"], &json!(false)));
        assert_eq!(in_batch[1]["stored"], true, "an event without a key is a new one each time");

        let mut other = event.clone();
        other["properties"]["total"] = json!(99);
        let refused = send(&server, &other);
        assert_eq!((refused.status, refused.code()), (409, "event_key_reused"));
        let results = batch(&server, &[other, event.clone()]);
        assert_eq!((&results[0]["problem"]["status"], &results[0]["problem"]["code"]), (&json!(409), &json!("event_key_reused")));
        assert_eq!(results[1]["id"], first["id"]);
        let both = server.send("POST", "/v1/events", &[JSON, ("Idempotency-Key", "order-8")], event.to_string().as_bytes());
        assert_eq!((both.status, both.code(), both.field()), (422, "event_key_ambiguous", "/key"));

        let twice = |first: Value, second: Value| {
            let results = batch(&server, &[first, second]);
            results.iter().map(|result| result["problem"]["code"].clone()).collect::<Vec<_>>()
        };
        let to_nobody = json!({ "name": "x", "contact_id": 4711, "key": "n" });
        let to_ann = json!({ "name": "x", "email": "ann@example.com", "key": "n" });
        assert_eq!(twice(to_nobody, to_ann.clone()), [json!("contact_not_found"), Value::Null], "nothing was under the key");
        assert_eq!(twice(to_ann.clone(), json!({ "name": "y", "email": "ann@example.com", "key": "n" })), [Value::Null, json!("event_key_reused")]);

        let made = api.post("/v1/keys", &json!({ "name": "Shop", "scope": "ingest", "source": "shop" }));
        let bearer = format!("Bearer {}", made["secret"].as_str().unwrap());
        let of_shop = server.send("POST", "/v1/events", &[JSON, ("Authorization", &bearer)], event.to_string().as_bytes());
        assert_eq!(of_shop.body["stored"], true, "keys of another source mean other events");
        let shown = api.get(&format!("/v1/events/{}", of_shop.body["id"]));
        assert_eq!((&shown["source"], &shown["properties"]), (&json!("shop"), &json!({ "total": 12.5 })));

        let successor = api.post("/v1/keys", &json!({ "name": "Shop, new", "scope": "ingest", "source": "shop" }));
        let bearer = format!("Bearer {}", successor["secret"].as_str().unwrap());
        let rotated = server.send("POST", "/v1/events", &[JSON, ("Authorization", &bearer)], event.to_string().as_bytes());
        assert_eq!((&rotated.body["id"], &rotated.body["stored"]), (&of_shop.body["id"], &json!(false)));
        assert_eq!(names(&api, "name=order_placed").len(), 3);
        assert_eq!(names(&api, "name=x").len(), 1);
        assert_eq!(names(&api, "source=shop").len(), 1);
    }

    fn of_many_at_once_with_one_key_one_is_stored_and_all_hear_of_it(db: &Database) {
        let server = Server::on(db);
        let event = |n: usize, key: &str| json!({ "name": "seen", "external_id": format!("c-{}", n % 5), "key": key });
        let ids: Vec<(i64, bool)> = std::thread::scope(|scope| {
            let server = &server;
            let all = (0..40).map(|n| {
                let event = if n < 20 { event(0, "same") } else { event(n, &format!("k-{n}")) };
                scope.spawn(move || {
                    let answer = taken(server, &event);
                    (id(&answer), answer["stored"].as_bool().unwrap())
                })
            });
            let all: Vec<_> = all.collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let (same, others) = ids.split_at(20);
        assert_eq!(same.iter().map(|(id, _)| id).collect::<BTreeSet<_>>().len(), 1, "{same:?}");
        assert_eq!(same.iter().filter(|(_, stored)| *stored).count(), 1, "{same:?}");
        assert!(others.iter().all(|(_, stored)| *stored));
        assert_eq!(names(&server.api(), "name=seen&page_size=100").len(), 21);
        assert_eq!(server.api().get("/v1/contacts")["pagination"]["total_count"], 5, "each contact was made once");
    }

    fn the_strongest_key_says_whose_event_it_is_and_the_others_are_named(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let ann = contact(&api, &json!({ "external_id": "a", "email": "ann@example.com" }));
        let bob = contact(&api, &json!({ "external_id": "b", "email": "bob@example.com", "phone": "+442079460123" }));
        let whose = |body: &Value| {
            let answer = taken(&server, body);
            (api.get(&format!("/v1/events/{}", answer["id"]))["contact_id"].as_i64().unwrap(), answer["ignored_keys"].clone())
        };
        let event = |keys: Value| {
            let mut event = json!({ "name": "seen" });
            event.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
            event
        };
        assert_eq!(whose(&event(json!({ "external_id": "a", "email": "bob@example.com" }))), (ann, json!(["email"])));
        assert_eq!(whose(&event(json!({ "contact_id": bob, "external_id": "a" }))), (bob, json!(["external_id"])));
        let (made, ignored) = whose(&event(json!({ "email": "new@example.com", "phone": "+44 20 7946 0123" })));
        assert!(made != ann && made != bob, "who shares a telephone is somebody else");
        assert_eq!(ignored, json!(["phone"]));
        let known = api.get(&format!("/v1/contacts/{made}"));
        assert_eq!((&known["email"], &known["phone"], &known["introduced_at"]), (&json!("new@example.com"), &Value::Null, &Value::Null));
        contact(&api, &json!({ "email": "new@example.com" }));
        assert!(api.get(&format!("/v1/contacts/{made}"))["introduced_at"].is_string(), "the contacts API introduces");
        let gone = send(&server, &event(json!({ "contact_id": 4711 })));
        assert_eq!((gone.status, gone.code()), (404, "contact_not_found"));
        let results = batch(&server, &[event(json!({ "contact_id": 4711 })), event(json!({ "contact_id": ann }))]);
        assert_eq!((&results[0]["problem"]["code"], &results[1]["stored"]), (&json!("contact_not_found"), &json!(true)));
    }

    fn who_is_known_by_an_event_is_introduced_by_an_own_act(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let list = id(&api.post("/v1/lists", &json!({ "name": "News", "double_opt_in": true })));
        let event = taken(&server, &json!({ "name": "joined", "email": "ann@example.com", "lists": [list] }));
        let ann = api.get(&format!("/v1/events/{}", event["id"]))["contact_id"].clone();
        let introduced_at = || api.get(&format!("/v1/contacts/{ann}"))["introduced_at"].clone();
        let asked = api.post(&format!("/v1/lists/{list}/subscribe"), &json!({ "contact_id": ann }));
        assert_eq!((&asked["contacts"][0]["standing"], introduced_at()), (&json!("unconfirmed"), Value::Null));
        let url = asked["contacts"][0]["confirm_url"].as_str().unwrap();
        let (_, token) = url.rsplit_once("/confirm/").unwrap();
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let confirmed = server.send("POST", &format!("/confirm/{token}"), &form, b"do=confirm");
        assert_eq!(confirmed.status, 200, "{confirmed:?}");
        assert!(introduced_at().is_string());
    }

    fn a_repeated_event_overwrites_no_newer_attribute_and_a_refusal_of_a_list_stays(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let list = api.create_list("News");
        let ann = contact(&api, &json!({ "email": "ann@example.com", "attributes": { "city": "Bonn" } }));
        let event = |city: &str, key: &str| {
            json!({ "name": "moved", "email": "ann@example.com", "attributes": { "city": city, "note": null }, "lists": [list], "key": key })
        };
        taken(&server, &event("Rome", "1"));
        taken(&server, &event("Oslo", "2"));
        taken(&server, &event("Rome", "1"));
        assert_eq!(api.get(&format!("/v1/contacts/{ann}"))["attributes"], json!({ "city": "Oslo" }));
        let members = |standing: &str| {
            let found = api.get(&format!("/v1/contacts?list={list}&standing={standing}"));
            found["data"].as_array().unwrap().iter().map(id).collect::<Vec<_>>()
        };
        assert_eq!(members("subscribed"), [ann]);
        api.post(&format!("/v1/lists/{list}/unsubscribe"), &json!({ "contact_id": ann }));
        taken(&server, &event("Oslo", "3"));
        assert_eq!(members("unsubscribed"), [ann]);
        let both = [json!({ "name": "joined", "email": "new@example.com", "lists": [list] }),
            json!({ "name": "joined", "email": "new@example.com", "lists": [list, "news"] })];
        assert!(batch(&server, &both).iter().all(|result| result["stored"] == true));
        assert_eq!(members("subscribed").len(), 1);
        let soon_gone = api.create_list("Soon gone");
        let event = json!({ "name": "joined", "email": "ann@example.com", "lists": [soon_gone], "key": "4" });
        taken(&server, &event);
        server.send("DELETE", &format!("/v1/lists/{soon_gone}"), &[], b"");
        assert_eq!(taken(&server, &event)["stored"], false, "what was stored is answered so, whatever became of its list");
        let refused = send(&server, &json!({ "name": "x", "email": "eve@example.com", "lists": [list, "nwes"], "attributes": { "a": 1 } }));
        assert_eq!((refused.status, refused.code(), refused.field()), (404, "list_not_found", "/lists/1"));
        assert_eq!(api.get("/v1/contacts?search=eve")["pagination"]["total_count"], 0, "nothing is stored by halves");
    }

    fn wrong_events_are_named_and_keep_no_others_out(db: &Database) {
        let server = Server::on(db);
        let deep = json!({ "1": { "2": { "3": { "4": { "5": {} } } } } });
        let ahead = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(10);
        let wrong = [
            (json!({ "name": "Order" }), "event_name_invalid", "/name"),
            (json!({ "name": "message.opened" }), "event_name_reserved", "/name"),
            (json!({ "name": "x", "properties": deep }), "properties_too_deep", "/properties"),
            (json!({ "name": "x", "properties": { "a": "x".repeat(33_000) } }), "properties_too_long", "/properties"),
            (json!({ "name": "x", "properties": [] }), "wrong_type", "/properties"),
            (json!({ "name": "x", "key": "a b" }), "event_key_invalid", "/key"),
            (json!({ "name": "x", "occurred_at": ahead.to_string() }), "out_of_range", "/occurred_at"),
            (json!({ "name": "x", "occurred_at": "yesterday" }), "invalid", "/occurred_at"),
            (json!({ "name": "x", "lists": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21] }), "too_many_lists", "/lists"),
            (json!({ "name": "x", "anonymous_id": "a" }), "unknown_field", "/anonymous_id"),
            (json!({ "name": "x", "attributes": { "email": 1 } }), "attribute_reserved", "/attributes/email"),
        ];
        let with_key = |event: &Value| {
            let mut event = event.clone();
            event["email"] = json!("ann@example.com");
            event
        };
        for (event, code, field) in &wrong {
            let refused = send(&server, &with_key(event));
            assert_eq!((refused.status, refused.code(), refused.field()), (422, *code, *field), "{event}");
        }
        for (event, code) in [(json!({ "name": "x" }), "no_key"), (json!({ "name": "x", "email": "ann" }), "email_invalid")] {
            let refused = send(&server, &event);
            assert_eq!((refused.status, refused.code()), (422, code), "{event}");
        }
        let mut events: Vec<Value> = wrong.iter().map(|(event, ..)| with_key(event)).collect();
        events.insert(3, with_key(&json!({ "name": "good" })));
        events.push(json!("text"));
        let results = batch(&server, &events);
        assert_eq!(results[3]["stored"], true);
        let problem = &results[4]["problem"];
        assert_eq!((&problem["code"], &problem["errors"][0]["field"]), (&json!("properties_too_long"), &json!("/events/4/properties")));
        assert_eq!(results.iter().filter(|result| result["problem"].is_object()).count(), wrong.len() + 1);
        assert_eq!(names(&server.api(), ""), ["good"]);
        let too_many: Vec<Value> = (0..1001).map(|_| json!({})).collect();
        for events in [Vec::new(), too_many] {
            let body = json!({ "events": events }).to_string();
            let refused = server.send("POST", "/v1/events/batch", &[JSON], body.as_bytes());
            assert_eq!((refused.status, refused.code(), refused.field()), (422, "out_of_range", "/events"));
        }
        let near = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(2);
        let stored = taken(&server, &with_key(&json!({ "name": "near", "occurred_at": near.to_string() })));
        let shown = server.api().get(&format!("/v1/events/{}", stored["id"]));
        assert_eq!(shown["occurred_at"], shown["received_at"], "a clock that is ahead moves nothing into the future");
    }

    fn events_are_listed_newest_first_and_found_by_whose_what_and_when(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let ann = contact(&api, &json!({ "email": "ann@example.com" }));
        let event = |n: i64| {
            let whose = if n % 2 == 0 { "ann@example.com" } else { "bob@example.com" };
            json!({ "name": format!("n{}", n % 3), "email": whose, "occurred_at": format!("2026-01-0{n}T00:00:00Z") })
        };
        batch(&server, &(1..=9).map(event).collect::<Vec<_>>());
        assert_eq!(names(&api, ""), ["n0", "n2", "n1", "n0", "n2", "n1", "n0", "n2", "n1"]);
        assert_eq!(names(&api, &format!("contact_id={ann}")), ["n2", "n0", "n1", "n2"]);
        assert_eq!(names(&api, &format!("contact_id={ann}&name=n2")), ["n2", "n2"]);
        assert_eq!(names(&api, "name=n1&from=2026-01-02T00:00:00Z&to=2026-01-07T00:00:00Z"), ["n1"]);
        assert_eq!(names(&api, "source=shop"), [""; 0]);
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let part = api.get(&format!("/v1/events?page_size=4{cursor}"));
            all.extend(part["data"].as_array().unwrap().iter().map(id));
            let Some(next) = part["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (9, 9), "{all:?}");
        for (query, code) in [("cursor=7", "cursor_invalid"), ("page_size=101", "out_of_range"), ("from=now", "invalid"), ("page=2", "unknown_parameter")] {
            let refused = server.send("GET", &format!("/v1/events?{query}"), &[], b"");
            assert_eq!((refused.status, refused.code()), (400, code), "{query}");
        }
    }
}

#[test]
fn events_of_locked_contacts_give_up_honestly_and_stop_nobody() {
    let Some(db) = Database::postgres("events_of_locked_contacts_give_up_honestly") else { return };
    let server = Server::on(&db);
    let api = server.api();
    for n in 0..4 {
        contact(&api, &json!({ "external_id": format!("c-{n}") }));
    }
    let change = |n: usize| json!({ "name": "moved", "external_id": format!("c-{n}"), "attributes": { "city": "Rome" }, "key": n.to_string() });
    let mut other = db.connect();
    std::thread::scope(|scope| {
        let server = &server;
        let held: Result<_, StoreError> = other.write(|conn| {
            let hold = "SELECT id FROM contacts FOR UPDATE";
            diesel::sql_query(hold).execute(conn).map_err(StoreError::query("test"))?;
            let waiting: Vec<_> = (0..3).map(|n| scope.spawn(move || send(server, &change(n)))).collect();
            let began = Instant::now();
            for n in 0..20 {
                contact(&api, &json!({ "external_id": format!("new-{n}") }));
            }
            assert!(began.elapsed() < Duration::from_secs(3), "writes of others waited for the locked contacts");
            let results = batch(server, &[change(3), json!({ "name": "seen", "external_id": "c-0" })]);
            assert_eq!((&results[0]["problem"]["code"], &results[1]["stored"]), (&json!("contact_busy"), &json!(true)));
            let answers: Vec<Raw> = waiting.into_iter().map(|one| one.join().unwrap()).collect();
            assert!(
                answers.iter().all(|answer| (answer.status, answer.code()) == (503, "contact_busy")),
                "{answers:?}"
            );
            Ok(())
        });
        held.unwrap();
    });
    for n in 0..4 {
        assert_eq!(taken(&server, &change(n))["stored"], true, "nothing was under its key");
    }
}

#[test]
fn an_event_of_a_contact_that_is_locked_waits_and_the_others_do_not() {
    let Some(db) = Database::postgres("an_event_of_a_contact_that_is_locked_waits") else { return };
    let server = Server::on(&db);
    let ann = contact(&server.api(), &json!({ "email": "ann@example.com" }));
    let mut other = db.connect();
    std::thread::scope(|scope| {
        let server = &server;
        let waits = other.write(|conn| {
            let hold = format!("SELECT id FROM contacts WHERE id = {ann} FOR UPDATE");
            diesel::sql_query(hold).execute(conn).map_err(StoreError::query("test"))?;
            let changes = json!({ "name": "moved", "email": "ann@example.com", "attributes": { "city": "Rome" } });
            let waits = scope.spawn(move || taken(server, &changes));
            // What only tells of her waits for nobody, nor does what is about others.
            let began = Instant::now();
            let results = batch(
                server,
                &[
                    json!({ "name": "seen", "email": "ann@example.com" }),
                    json!({ "name": "moved", "email": "bob@example.com", "attributes": { "city": "Oslo" } }),
                ],
            );
            assert!(results.iter().all(|result| result["stored"] == true), "{results:?}");
            assert!(began.elapsed() < Duration::from_secs(3), "they waited for the lock");
            assert!(!waits.is_finished());
            Ok::<_, StoreError>(waits)
        });
        assert_eq!(waits.unwrap().join().unwrap()["stored"], true);
    });
}
