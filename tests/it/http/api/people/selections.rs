//! Contacts that a filter takes, in place of being named.

use serde_json::{Value, json};

use crate::support::api::{Api, id};
use crate::support::both_backends;
use crate::support::server::{Raw, Server};

const JSON: (&str, &str) = ("Content-Type", "application/json");

fn post(server: &Server, path: &str, body: &Value) -> Raw {
    server.send("POST", path, &[JSON], body.to_string().as_bytes())
}

/// How many contacts there are with these parameters.
fn count(api: &Api, query: &str) -> i64 {
    api.get(&format!("/v1/contacts?{query}"))["pagination"]["total_count"].as_i64().unwrap()
}

/// Asks until there is no more, and adds up a field of the answers. How often it was asked, too.
fn all(api: &Api, path: &str, body: &Value, field: &str) -> (i64, usize) {
    let (mut body, mut sum, mut parts) = (body.clone(), 0, 0);
    loop {
        let part = api.post(path, &body);
        sum += part[field].as_i64().unwrap_or_else(|| panic!("no {field} in {part}"));
        parts += 1;
        assert!(parts < 100, "it never ends");
        if part["next_cursor"].is_null() {
            assert!(part.as_object().unwrap().contains_key("next_cursor"), "{part}");
            return (sum, parts);
        }
        body["cursor"] = part["next_cursor"].clone();
    }
}

both_backends! {
    fn who_matches_a_filter_is_tagged_subscribed_and_unsubscribed_whatever_their_number(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let news = api.a_list_of(2_300);
        let other = api.create_list("Other");
        api.import_csv(other, "email\nelse@example.com\n");
        let of_news = json!({ "list": news });
        let tag = json!({ "filter": of_news, "add": ["reader"], "limit": 1_500 });
        assert_eq!(all(&api, "/v1/contacts/tags", &tag, "added"), (2_300, 2));
        assert_eq!(count(&api, "tag=reader"), 2_300);
        assert_eq!(all(&api, "/v1/contacts/tags", &tag, "added"), (0, 2), "again, it changes nothing");
        let some = json!({ "filter": { "list": news, "search": "person22" }, "remove": ["reader"] });
        assert_eq!(all(&api, "/v1/contacts/tags", &some, "removed"), (111, 1));
        let subscribe = json!({ "filter": { "tag": "reader" }, "source": "readers" });
        assert_eq!(all(&api, "/v1/lists/other/subscribe", &subscribe, "subscribed"), (2_189, 1));
        assert_eq!(count(&api, "list=other"), 2_190);
        // Those that it takes out of the filter are not counted again, and nobody behind them is passed over.
        let unsubscribe = json!({ "filter": { "list": "other", "tag": "reader" }, "limit": 1_000 });
        assert_eq!(all(&api, "/v1/lists/other/unsubscribe", &unsubscribe, "unsubscribed"), (2_189, 3));
        assert_eq!((count(&api, "list=other"), count(&api, "list=other&standing=unsubscribed")), (1, 2_189));
        let back = json!({ "filter": { "list": "other", "standing": "unsubscribed", "search": "person1@" } });
        let stays = api.post("/v1/lists/other/subscribe", &back);
        assert_eq!((&stays["stay_refused"], &stays["contacts"]), (&json!(1), &json!([])));
        let nobody = api.post("/v1/lists/other/subscribe", &json!({ "filter": { "tag": "nobody" } }));
        assert_eq!((&nobody["subscribed"], &nobody["next_cursor"]), (&json!(0), &json!(null)));
    }

    fn a_selection_that_is_cut_off_is_finished_by_the_same_request_and_means_no_later_contact(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let news = api.a_list_of(7);
        let other = api.create_list("Other");
        let path = format!("/v1/lists/{other}/subscribe");
        let body = json!({ "filter": { "list": news }, "limit": 3 });
        let first = api.post(&path, &body);
        assert_eq!(first["subscribed"], 3);
        // The answer was lost: the same request begins again, and what is done is done.
        let again = api.post(&path, &body);
        assert_eq!((&again["subscribed"], &again["unchanged"], &again["next_cursor"]), (&json!(0), &json!(3), &first["next_cursor"]));
        api.import_csv(news, "email\nlate@example.com\n");
        let mut rest = body.clone();
        rest["cursor"] = first["next_cursor"].clone();
        assert_eq!(all(&api, &path, &rest, "subscribed"), (4, 2));
        assert_eq!((count(&api, &format!("list={other}")), count(&api, &format!("list={news}"))), (7, 8));
        let log = db.number("SELECT count(*) AS n FROM consent_log WHERE list_id = (SELECT max(id) FROM lists)");
        assert_eq!(log, 7, "each change is noted once");
    }

    fn those_who_have_to_confirm_are_named_with_their_links_and_others_are_not(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let news = api.a_list_of(3);
        let strict = id(&api.post("/v1/lists", &json!({ "name": "Strict", "double_opt_in": true })));
        let ann = api.get("/v1/contacts?search=person1@")["data"][0]["id"].as_i64().unwrap();
        let path = format!("/v1/lists/{strict}/subscribe");
        api.post(&path, &json!({ "contact_id": ann, "confirmed": true }));
        let asked = api.post(&path, &json!({ "filter": { "list": news, "suppressed": false } }));
        assert_eq!((&asked["unconfirmed"], &asked["unchanged"]), (&json!(2), &json!(1)));
        let named = asked["contacts"].as_array().unwrap();
        assert_eq!(named.len(), 2, "{asked}");
        assert!(named.iter().all(|one| one["contact_id"] != ann && one["confirm_url"].as_str().unwrap().contains("/confirm/")), "{asked}");
        let confirmed = json!({ "filter": { "list": strict, "standing": "unconfirmed" }, "confirmed": true });
        let confirmed = api.post(&path, &confirmed);
        assert_eq!((&confirmed["subscribed"], &confirmed["contacts"]), (&json!(2), &json!([])));
    }

    fn a_filter_says_something_and_needs_a_key_that_may_look(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let list = api.a_list_of(2);
        let path = format!("/v1/lists/{list}/unsubscribe");
        let filter = json!({ "list": list });
        for (body, status, code, field) in [
            (json!({ "filter": {} }), 422, "required", "/filter"),
            (json!({ "filter": { "standing": "subscribed" } }), 422, "required", "/filter"),
            (json!({ "filter": { "tag": "a", "standing": "subscribed" } }), 422, "required", "/filter/list"),
            (json!({ "filter": { "list": list, "standing": "moved" } }), 422, "not_allowed", "/filter/standing"),
            (json!({ "filter": { "list": "newz" } }), 404, "list_not_found", "/filter/list"),
            (json!({ "filter": { "list": 4711 } }), 404, "list_not_found", "/filter/list"),
            (json!({ "filter": { "tag": "a,b" } }), 422, "tag_invalid", "/filter/tag"),
            (json!({ "filter": { "search": " " } }), 422, "required", "/filter/search"),
            (json!({ "filter": { "search": "x".repeat(256) } }), 422, "too_long", "/filter/search"),
            (json!({ "filter": { "email": "a@example.com" } }), 422, "unknown_field", "/filter/email"),
            (json!({ "filter": filter, "email": "a@example.com" }), 422, "members_ambiguous", "/filter"),
            (json!({ "filter": filter, "members": [] }), 422, "members_ambiguous", "/filter"),
            (json!({ "filter": filter, "limit": 0 }), 422, "out_of_range", "/limit"),
            (json!({ "filter": filter, "limit": 10_001 }), 422, "out_of_range", "/limit"),
            (json!({ "filter": filter, "cursor": "after-x" }), 422, "invalid", "/cursor"),
            (json!({ "email": "a@example.com", "cursor": "after-0-until-1" }), 422, "required", "/filter"),
        ] {
            let refused = post(&server, &path, &body);
            assert_eq!((refused.status, refused.code(), refused.field()), (status, code, field), "{body}: {refused:?}");
        }
        let missing = post(&server, "/v1/contacts/tags", &json!({ "add": ["a"] }));
        assert_eq!((missing.status, missing.code(), missing.field()), (422, "required", "/contact_ids"));
        let both = post(&server, "/v1/contacts/tags", &json!({ "filter": filter, "contact_ids": [1], "add": ["a"] }));
        assert_eq!((both.status, both.code()), (422, "members_ambiguous"));
        let unknown = post(&server, "/v1/lists/4711/subscribe", &json!({ "filter": { "tag": "nobody" } }));
        assert_eq!((unknown.status, unknown.code()), (404, "list_not_found"), "also where nobody is meant");
        for (scope, allowed) in [("ingest", false), ("operate", true)] {
            let made = api.post("/v1/keys", &json!({ "name": scope, "scope": scope }));
            let bearer = format!("Bearer {}", made["secret"].as_str().unwrap());
            for (path, body) in [(path.as_str(), json!({ "filter": filter })), ("/v1/contacts/tags", json!({ "filter": filter, "add": ["a"] }))] {
                let answer = server.send("POST", path, &[JSON, ("Authorization", &bearer)], body.to_string().as_bytes());
                let expected = if allowed { (200, "") } else { (403, "insufficient_scope") };
                assert_eq!((answer.status, answer.body["code"].as_str().unwrap_or_default()), expected, "{scope} {path}");
            }
            let left = if allowed { 0 } else { 2 };
            assert_eq!(count(&api, &format!("list={list}")), left, "{scope}");
        }
        let lines = api.get("/v1/audit-log?action=members_removed&object=list");
        assert_eq!(lines["data"][0]["after"]["unsubscribed"], 2, "{lines}");
    }
}
