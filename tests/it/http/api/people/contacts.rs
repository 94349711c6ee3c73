//! Contacts: created, found by their keys, changed, searched, deleted.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::api::id;
use crate::support::both_backends;
use crate::support::server::Server;

const JSON: (&str, &str) = ("Content-Type", "application/json");

fn patch(server: &Server, contact: i64, body: &Value) -> crate::support::server::Raw {
    server.send("PATCH", &format!("/v1/contacts/{contact}"), &[JSON], body.to_string().as_bytes())
}

both_backends! {
    fn a_contact_is_created_once_and_then_updated_by_its_keys(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let body = json!({
            "external_id": "c-1", "email": " Ann@Example.COM ", "phone": "+44 20 7946 0123", "first_name": "Ann",
            "attributes": { "Loyalty Tier": "gold", "tags": ["a", 1] },
        });
        let created = server.send("POST", "/v1/contacts", &[JSON], body.to_string().as_bytes());
        assert_eq!(created.status, 201);
        let contact = id(&created.body);
        assert_eq!(created.header("location"), Some(format!("/v1/contacts/{contact}").as_str()));
        assert_eq!(created.body["email"], "ann@example.com");
        assert_eq!(created.body["phone"], "+442079460123");
        assert_eq!(created.body["attributes"], json!({ "loyalty_tier": "gold", "tags": ["a", 1] }));
        let updated = json!({ "email": "ANN@example.com", "last_name": "Lee", "attributes": { "tags": null, "vip": true } });
        let updated = server.send("POST", "/v1/contacts", &[JSON], updated.to_string().as_bytes());
        assert_eq!((updated.status, id(&updated.body)), (200, contact));
        assert_eq!(updated.body["first_name"], "Ann", "what is not given stays");
        assert_eq!(updated.body["attributes"], json!({ "loyalty_tier": "gold", "vip": true }));
        assert_eq!(updated.body["version"], 2);
        let same = server.send("POST", "/v1/contacts", &[JSON], br#"{"external_id":"c-1","last_name":"Lee"}"#);
        assert_eq!((same.status, &same.body["version"]), (200, &json!(2)), "no change, no new version");
        assert_eq!(api.get(&format!("/v1/contacts/{contact}")), same.body);
    }

    fn names_that_only_unicode_spells_differently_are_the_same(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let (composed, decomposed) = ("Zo\u{eb}", "Zoe\u{308}");
        let first = api.post("/v1/contacts", &json!({
            "external_id": composed, "first_name": decomposed, "attributes": { "Gr\u{f6}\u{df}e": "M" },
        }));
        assert_eq!(first["first_name"], composed);
        let again = api.post("/v1/contacts", &json!({
            "external_id": decomposed, "attributes": { "Gro\u{308}\u{df}e": "L" },
        }));
        assert_eq!((id(&again), &again["attributes"]), (id(&first), &json!({ "groesse": "L" })));
        assert_eq!(api.get("/v1/contacts?search=Zoe%CC%88")["pagination"]["total_count"], 1);
        let list = api.create_list(decomposed);
        let twin = server.send("POST", "/v1/lists", &[JSON], json!({ "name": composed }).to_string().as_bytes());
        assert_eq!((twin.status, twin.code(), &twin.body["ids"]), (409, "list_name_taken", &json!([list])));
        let csv = format!("external_id,Gro\u{308}\u{df}e\n{decomposed},XL\n");
        assert_eq!(api.import_csv(list, &csv)["rows_updated"], 1);
        assert_eq!(api.get(&format!("/v1/contacts/{}", id(&first)))["attributes"], json!({ "groesse": "XL" }));
    }

    fn keys_of_two_people_are_a_409_that_names_both(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let ann = id(&api.post("/v1/contacts", &json!({ "external_id": "a", "email": "ann@example.com" })));
        let bob = id(&api.post("/v1/contacts", &json!({ "external_id": "b", "email": "bob@example.com" })));
        let both = server.send("POST", "/v1/contacts", &[JSON], br#"{"external_id":"a","email":"bob@example.com"}"#);
        assert_eq!((both.status, both.code()), (409, "contact_conflict"));
        assert_eq!(both.body["ids"], json!([ann, bob]));
        let taken = patch(&server, ann, &json!({ "email": "bob@example.com" }));
        assert_eq!((taken.status, taken.code()), (409, "contact_conflict"));
        assert_eq!(taken.body["ids"], json!([bob]));
        assert_eq!(api.get(&format!("/v1/contacts/{ann}"))["email"], "ann@example.com");
    }

    fn who_is_found_by_a_weaker_key_and_has_another_stronger_one_is_not_meant(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let ann = api.post("/v1/contacts", &json!({ "external_id": "a", "email": "ann@example.com", "phone": "+442079460123" }));
        assert_eq!(ann["ignored_keys"], Value::Null);
        let bob = api.post("/v1/contacts", &json!({ "email": "bob@example.com", "phone": "+442079460123" }));
        assert_ne!(id(&bob), id(&ann));
        assert_eq!((&bob["ignored_keys"], &bob["phone"], &bob["email"]), (&json!(["phone"]), &Value::Null, &json!("bob@example.com")));
        let both = json!({ "email": "zoe@example.com", "phone": "+442079460123", "external_id": "a" });
        assert_eq!(id(&api.post("/v1/contacts", &both)), id(&ann), "the strongest key is its own");
        assert_eq!(api.get(&format!("/v1/contacts/{}", id(&bob)))["ignored_keys"], Value::Null);
    }

    fn null_clears_a_field_but_never_the_last_key(db: &Database) {
        let server = Server::on(db);
        let contact = id(&server.api().post("/v1/contacts", &json!({
            "email": "ann@example.com", "first_name": "Ann", "timezone": "Europe/Berlin", "attributes": { "a": 1, "b": 2 },
        })));
        let changed = patch(&server, contact, &json!({ "first_name": null, "phone": "+4930123456", "attributes": { "a": null } }));
        assert_eq!(changed.status, 200);
        assert_eq!((&changed.body["first_name"], &changed.body["timezone"]), (&json!(null), &json!("Europe/Berlin")));
        assert_eq!(changed.body["attributes"], json!({ "b": 2 }));
        let cleared = patch(&server, contact, &json!({ "email": null, "attributes": null }));
        assert_eq!((&cleared.body["email"], &cleared.body["attributes"]), (&json!(null), &json!({})));
        let refused = patch(&server, contact, &json!({ "phone": null }));
        assert_eq!((refused.status, refused.code()), (422, "no_key"));
        assert_eq!(patch(&server, contact, &json!({})).body["version"], 3);
        assert_eq!(patch(&server, 4711, &json!({ "first_name": "X" })).code(), "contact_not_found");
    }

    fn a_deleted_contact_is_gone_and_its_keys_are_free(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let first = id(&api.post("/v1/contacts", &json!({ "email": "ann@example.com" })));
        assert_eq!(server.send("DELETE", &format!("/v1/contacts/{first}"), &[], b"").status, 204);
        for method in ["GET", "DELETE"] {
            let gone = server.send(method, &format!("/v1/contacts/{first}"), &[], b"");
            assert_eq!((gone.status, gone.code()), (404, "contact_not_found"));
            assert_eq!(gone.body["ids"], json!([first]));
        }
        let second = id(&api.post("/v1/contacts", &json!({ "email": "ann@example.com" })));
        assert_ne!(first, second);
        assert_eq!(api.get("/v1/contacts")["pagination"]["total_count"], 1);
    }

    fn search_finds_text_in_keys_and_names(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        api.post("/v1/contacts", &json!({ "email": "ann_lee@example.com", "first_name": "Ann", "external_id": "X-1" }));
        api.post("/v1/contacts", &json!({ "email": "annxlee@example.com", "phone": "+442079460123" }));
        for (search, count) in
            [("ann", 2), ("ANN", 2), ("ann_", 1), ("x-1", 1), ("%2B4420", 1), ("example.org", 0), ("", 2), ("%20ann%20", 2)]
        {
            let found = api.get(&format!("/v1/contacts?search={search}"));
            assert_eq!(found["pagination"]["total_count"], count, "{search}");
        }
    }

    fn a_key_finds_the_one_contact_that_has_exactly_this_one(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let ann = id(&api.post("/v1/contacts", &json!({ "email": "ann@example.com", "external_id": "X-1" })));
        let more = json!({ "email": "joann@example.com", "phone": "+442079460123", "external_id": "X-10" });
        let joann = id(&api.post("/v1/contacts", &more));
        for (query, found) in [
            ("email=ann@example.com", vec![ann]),
            ("email=%20ann@EXAMPLE.com%20", vec![ann]),
            ("phone=%2B44%2020%207946%200123", vec![joann]),
            ("external_id=X-1", vec![ann]),
            ("external_id=x-1", vec![]),
            ("email=an@example.com", vec![]),
            ("email=joann@example.com&external_id=X-1", vec![]),
            ("email=joann@example.com&external_id=X-10&search=jo", vec![joann]),
        ] {
            let listed = api.get(&format!("/v1/contacts?{query}"));
            let ids: Vec<i64> = listed["data"].as_array().unwrap().iter().map(id).collect();
            assert_eq!(ids, found, "{query}");
        }
        for (query, code) in [("email=ann", "invalid"), ("phone=12", "invalid"), ("email=%20", "required")] {
            let refused = server.send("GET", &format!("/v1/contacts?{query}"), &[], b"");
            assert_eq!((refused.status, refused.code()), (400, code), "{query}");
            let field = query.split('=').next().unwrap();
            assert_eq!(refused.body["errors"][0]["field"], field, "{refused:?}");
        }
        assert_eq!(server.send("DELETE", &format!("/v1/contacts/{ann}"), &[], b"").status, 204);
        assert_eq!(api.get("/v1/contacts?email=ann@example.com")["data"], json!([]), "a deleted one has no keys");
    }

    fn a_walk_sees_everybody_once_while_others_arrive(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let add = |n: usize| id(&api.post("/v1/contacts", &json!({ "external_id": format!("c-{n}") })));
        let there: BTreeSet<i64> = (0..25).map(add).collect();
        // By cursor.
        let (mut seen, mut path, mut next) = (Vec::new(), "/v1/contacts?page_size=4".to_owned(), 100);
        loop {
            let page = api.get(&path);
            assert_eq!(page["pagination"]["total_count"], 25);
            assert_eq!(page["pagination"]["total_pages"], 7);
            seen.extend(page["data"].as_array().unwrap().iter().map(id));
            add(next);
            next += 1;
            match page["next_cursor"].as_str() {
                Some(cursor) => path = format!("/v1/contacts?page_size=4&cursor={cursor}"),
                None => break,
            }
        }
        assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "newest first: {seen:?}");
        assert_eq!(seen.iter().copied().collect::<BTreeSet<_>>(), there);
        // By page, with the anchor of the first one.
        let first = api.get("/v1/contacts?page_size=10");
        let anchor = &first["pagination"]["anchor"];
        let mut seen: Vec<i64> = first["data"].as_array().unwrap().iter().map(id).collect();
        for page in 2..=first["pagination"]["total_pages"].as_i64().unwrap() {
            add(next);
            next += 1;
            let page = api.get(&format!("/v1/contacts?page_size=10&page={page}&anchor={anchor}"));
            seen.extend(page["data"].as_array().unwrap().iter().map(id));
        }
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len());
        assert_eq!(seen.len(), usize::try_from(first["pagination"]["total_count"].as_i64().unwrap()).unwrap());
        assert_eq!(api.get("/v1/contacts?page=1000")["data"], json!([]));
    }

    fn a_cursor_belongs_to_its_list_and_its_filters(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        for n in 0..5 {
            api.post("/v1/contacts", &json!({ "external_id": format!("c-{n}") }));
        }
        let page = api.get("/v1/contacts?page_size=2&search=c-");
        let cursor = page["next_cursor"].as_str().unwrap();
        assert_eq!(api.get(&format!("/v1/contacts?search=c-&cursor={cursor}"))["data"].as_array().unwrap().len(), 2);
        for path in [
            format!("/v1/contacts?cursor={cursor}"),
            format!("/v1/contacts?search=c&cursor={cursor}"),
            format!("/v1/lists?cursor={cursor}"),
            format!("/v1/contacts?search=c-&cursor={}", &cursor[..cursor.len() - 2]),
            format!("/v1/contacts?search=c-&cursor={}", cursor.replacen('.', ".1", 1)),
            format!("/v1/contacts?search=c-&page=2&cursor={cursor}"),
            format!("/v1/contacts?search=c-&page_size=3&cursor={cursor}"),
        ] {
            let refused = server.send("GET", &path, &[], b"");
            assert_eq!((refused.status, refused.code()), (400, "cursor_invalid"), "{path}");
        }
    }
}
