//! Consent by the API: lists as topics, subscriptions, suppressions, tags, and the log.

use serde_json::{Value, json};

use crate::support::api::{Api, id};
use crate::support::both_backends;
use crate::support::server::{Raw, Server};

const JSON: (&str, &str) = ("Content-Type", "application/json");

fn post(server: &Server, path: &str, body: &Value) -> Raw {
    server.send("POST", path, &[JSON], body.to_string().as_bytes())
}

fn contact(api: &Api, email: &str) -> i64 {
    id(&api.post("/v1/contacts", &json!({ "email": email })))
}

fn standing(changed: &Value) -> &Value {
    &changed["contacts"][0]["standing"]
}

fn found(api: &Api, query: &str) -> Vec<i64> {
    let mut ids: Vec<i64> =
        api.get(&format!("/v1/contacts?{query}"))["data"].as_array().unwrap().iter().map(id).collect();
    ids.sort_unstable();
    ids
}

both_backends! {
    fn a_list_goes_by_its_slug_wherever_its_id_may(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let made = api.post("/v1/lists", &json!({ "name": "Weekly News!", "public": true, "public_title": "News" }));
        assert_eq!((&made["slug"], &made["public"], &made["double_opt_in"]), (&json!("weekly-news"), &json!(true), &json!(false)));
        let list = id(&made);
        assert_eq!(id(&api.get("/v1/lists/weekly-news")), list);
        api.post("/v1/lists/weekly-news/subscribe", &json!({ "email": "ann@example.com" }));
        assert_eq!(found(&api, "list=weekly-news"), found(&api, &format!("list={list}")));
        let csv = b"email\nbob@example.com\n";
        let import = server.send("POST", "/v1/contacts/import?list=weekly-news", &[("Content-Type", "text/csv")], csv);
        assert_eq!((import.status, &import.body["list_id"]), (202, &json!(list)));
        let twin = api.post("/v1/lists", &json!({ "name": "Weekly news" }));
        assert_eq!(twin["slug"], format!("weekly-news-{}", id(&twin)));
        let taken = post(&server, "/v1/lists", &json!({ "name": "x", "slug": "weekly-news" }));
        assert_eq!((taken.status, taken.code(), &taken.body["ids"]), (409, "list_slug_taken", &json!([list])));
        let renamed = server.send("PATCH", "/v1/lists/weekly-news", &[JSON], br#"{"slug":"letter"}"#);
        assert_eq!((renamed.status, &renamed.body["slug"]), (200, &json!("letter")));
        assert_eq!(server.send("GET", "/v1/lists/weekly-news", &[], b"").code(), "list_not_found");
        for slug in ["17", "News", "", "a b"] {
            assert_eq!(post(&server, "/v1/lists", &json!({ "name": "y", "slug": slug })).code(), "slug_invalid", "{slug}");
        }
        let both = json!({ "name": "z", "default_opt_in": true, "double_opt_in": true });
        assert_eq!(post(&server, "/v1/lists", &both).code(), "opt_in_conflict");
        let patch = server.send("PATCH", "/v1/lists/letter", &[JSON], br#"{"default_opt_in":true,"double_opt_in":true}"#);
        assert_eq!(patch.code(), "opt_in_conflict");
    }

    fn a_list_that_does_not_exist_subscribes_nobody(db: &Database) {
        let server = Server::on(db);
        for list in ["nwes", "4711"] {
            for verb in ["subscribe", "unsubscribe"] {
                let refused = post(&server, &format!("/v1/lists/{list}/{verb}"), &json!({ "email": "ann@example.com" }));
                assert_eq!((refused.status, refused.code()), (404, "list_not_found"), "{list} {verb}");
            }
        }
        let api = server.api();
        assert_eq!(api.get("/v1/contacts")["pagination"]["total_count"], 0);
        assert_eq!(api.get("/v1/suppressions")["data"], json!([]));
    }

    fn one_or_many_are_subscribed_by_any_key(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let list = api.create_list("News");
        let path = format!("/v1/lists/{list}/subscribe");
        let ann = id(&api.post("/v1/contacts", &json!({ "external_id": "a", "email": "ann@example.com" })));
        let one = api.post(&path, &json!({ "external_id": "a", "source": "shop" }));
        assert_eq!((&one["subscribed"], standing(&one), &one["contacts"][0]["contact_id"]), (&json!(1), &json!("subscribed"), &json!(ann)));
        let again = api.post(&path, &json!({ "contact_id": ann }));
        assert_eq!((&again["subscribed"], &again["unchanged"]), (&json!(0), &json!(1)));
        let many = api.post(&path, &json!({ "members": [
            { "contact_id": ann }, { "email": "BOB@example.com" }, { "phone": "+44 20 7946 0123" }, { "external_id": "z" },
        ] }));
        assert_eq!((&many["subscribed"], &many["unchanged"]), (&json!(3), &json!(1)));
        assert_eq!(api.get(&format!("/v1/lists/{list}"))["counts"], json!({ "subscribed": 4, "unconfirmed": 0, "unsubscribed": 0 }));
        let off = api.post(&format!("/v1/lists/{list}/unsubscribe"), &json!({ "members": [
            { "email": "bob@example.com" }, { "email": "nobody@example.com" },
        ] }));
        assert_eq!((&off["unsubscribed"], &off["addresses"]), (&json!(1), &json!(1)));
        let late = api.post(&path, &json!({ "email": "nobody@example.com" }));
        assert_eq!((standing(&late), &late["stay_refused"]), (&json!("unsubscribed"), &json!(1)), "the address has refused");
        for (body, code, field) in [
            (json!({}), "no_key", ""),
            (json!({ "email": "a@" }), "email_invalid", "/email"),
            (json!({ "members": [] }), "out_of_range", "/members"),
            (json!({ "members": [{ "email": "x@example.com" }, { "phone": "1" }] }), "phone_invalid", "/members/1/phone"),
            (json!({ "email": "x@example.com", "members": [] }), "members_ambiguous", "/members"),
            (json!({ "contact_id": 1, "email": "x@example.com" }), "members_ambiguous", "/contact_id"),
            (json!({ "email": "x@example.com", "resubscribe": true }), "required", "/reason"),
            (json!({ "email": "x@example.com", "source": "x".repeat(101) }), "too_long", "/source"),
        ] {
            let refused = post(&server, &path, &body);
            assert_eq!((refused.status, refused.code(), refused.field()), (422, code, field), "{body}");
        }
        let unknown = post(&server, &path, &json!({ "members": [{ "contact_id": 4711 }, { "email": "new@example.com" }] }));
        assert_eq!((unknown.status, unknown.code(), &unknown.body["ids"]), (404, "contact_not_found", &json!([4711])));
        assert_eq!(found(&api, "search=new@").len(), 0, "nothing was stored by halves");
    }

    fn every_key_of_a_request_to_unsubscribe_counts(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let list = api.create_list("News");
        let ann = id(&api.post("/v1/contacts", &json!({ "external_id": "a", "email": "old@example.com" })));
        api.post(&format!("/v1/lists/{list}/subscribe"), &json!({ "contact_id": ann }));
        let off = api.post(
            &format!("/v1/lists/{list}/unsubscribe"),
            &json!({ "external_id": "a", "email": "new@example.com" }),
        );
        assert_eq!((&off["unsubscribed"], &off["addresses"], standing(&off)), (&json!(1), &json!(1), &json!("unsubscribed")));
        assert_eq!(found(&api, &format!("list={list}&standing=unsubscribed")), [ann], "found by the external id");
        let late = api.post(&format!("/v1/lists/{list}/subscribe"), &json!({ "email": "new@example.com" }));
        assert_eq!((standing(&late), &late["stay_refused"]), (&json!("unsubscribed"), &json!(1)), "nobody had this address");
    }

    fn who_has_refused_is_subscribed_again_only_with_a_reason(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let list = api.create_list("News");
        let ann = contact(&api, "ann@example.com");
        api.post(&format!("/v1/lists/{list}/unsubscribe"), &json!({ "contact_id": ann }));
        for body in [json!({ "contact_id": ann }), json!({ "contact_id": ann, "confirmed": true })] {
            let stays = api.post(&format!("/v1/lists/{list}/subscribe"), &body);
            assert_eq!((&stays["stay_refused"], standing(&stays)), (&json!(1), &json!("unsubscribed")));
        }
        let import = api.import_csv(list, "email\nann@example.com\n");
        assert_eq!(import["rows_updated"], 1);
        assert_eq!(found(&api, &format!("list={list}&standing=unsubscribed")), [ann]);
        let back = json!({ "contact_id": ann, "resubscribe": true, "reason": "asked for it by phone" });
        assert_eq!(standing(&api.post(&format!("/v1/lists/{list}/subscribe"), &back)), "subscribed");
        assert_eq!(found(&api, &format!("list={list}")), [ann]);
    }

    fn a_key_that_puts_people_in_undoes_no_refusal(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let list = api.create_list("News");
        let ann = contact(&api, "ann@example.com");
        api.post(&format!("/v1/lists/{list}/unsubscribe"), &json!({ "contact_id": ann }));
        let back = json!({ "contact_id": ann, "resubscribe": true, "reason": "asked for it by phone" }).to_string();
        let file = format!("/v1/contacts/import?list={list}&resubscribe=true&reason=by%20phone");
        let with = |scope: &str| {
            let made = api.post("/v1/keys", &json!({ "name": scope, "scope": scope }));
            let bearer = format!("Bearer {}", made["secret"].as_str().unwrap());
            let key = ("Authorization", bearer.as_str());
            let csv = [("Content-Type", "text/csv"), key];
            [
                (server.send("POST", &format!("/v1/lists/{list}/subscribe"), &[JSON, key], back.as_bytes()), "/resubscribe"),
                (server.send("POST", &file, &csv, b"email\nann@example.com\n"), "resubscribe"),
            ]
        };
        for (refused, field) in with("ingest") {
            assert_eq!((refused.status, refused.code()), (403, "insufficient_scope"), "{refused:?}");
            let detail = refused.body["detail"].as_str().unwrap();
            assert!(detail.starts_with(&format!("{field} ")) && detail.contains("operate"), "{detail}");
        }
        assert_eq!(found(&api, &format!("list={list}&standing=unsubscribed")), [ann]);
        assert_eq!(with("operate").map(|(done, _)| done.status), [200, 202]);
        assert_eq!(found(&api, &format!("list={list}")), [ann]);
    }

    fn a_list_with_double_opt_in_waits_for_the_confirmation(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let list = id(&api.post("/v1/lists", &json!({ "name": "News", "double_opt_in": true })));
        let path = format!("/v1/lists/{list}/subscribe");
        let asked = api.post(&path, &json!({ "email": "ann@example.com" }));
        assert_eq!((&asked["unconfirmed"], standing(&asked)), (&json!(1), &json!("unconfirmed")));
        assert_eq!(api.get(&format!("/v1/lists/{list}"))["member_count"], 0);
        let confirmed = api.post(&path, &json!({ "email": "ann@example.com", "confirmed": true }));
        assert_eq!(standing(&confirmed), "subscribed");
        let ann = confirmed["contacts"][0]["contact_id"].as_i64().unwrap();
        let change = |body: &Value| server.send("PATCH", &format!("/v1/contacts/{ann}"), &[JSON], body.to_string().as_bytes());
        assert_eq!(change(&json!({ "email": "ann@example.org", "confirmed": true })).status, 200);
        assert_eq!(found(&api, &format!("list={list}")), [ann]);
        assert_eq!(change(&json!({ "email": "ann@example.net" })).status, 200);
        assert_eq!(found(&api, &format!("list={list}&standing=unconfirmed")), [ann]);
    }
}
