//! Which attributes contacts have.

use serde_json::{Value, json};
use volley::services::people::prune_attributes::prune_attributes;

use crate::support::both_backends;
use crate::support::server::Server;

fn contacts_with(found: &Value, name: &str) -> i64 {
    let all = found["data"].as_array().unwrap();
    let one = all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name}: {found}"));
    one["contacts"].as_i64().unwrap()
}

both_backends! {
    fn attributes_are_listed_with_how_many_contacts_have_them(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        assert_eq!(api.get("/v1/attributes"), json!({ "data": [], "looked_at": 0, "complete": true, "more": false }));
        api.post("/v1/contacts", &json!({ "email": "a@example.com", "attributes": { "city": "Leeds", "tier": "gold" } }));
        api.post("/v1/contacts", &json!({ "email": "b@example.com", "attributes": { "city": "York", "size": 4 } }));
        api.post("/v1/contacts", &json!({ "email": "c@example.com" }));
        api.post("/v1/contacts", &json!({ "email": "b@example.com", "attributes": { "size": null } }));
        let found = api.get("/v1/attributes");
        assert_eq!((&found["looked_at"], &found["complete"]), (&json!(3), &json!(true)), "{found}");
        assert_eq!(found["data"], json!([
            { "name": "city", "contacts": 2, "share": 0.667 },
            { "name": "tier", "contacts": 1, "share": 0.333 },
            { "name": "size", "contacts": 0, "share": 0.0 },
        ]));
        let refused = server.send("GET", "/v1/attributes?page=1", &[], b"");
        assert_eq!((refused.status, refused.code()), (400, "unknown_parameter"));
    }

    fn as_many_contacts_as_are_looked_at_are_all_of_them(db: &Database) {
        let server = Server::on(db);
        server.execute(
            "INSERT INTO contacts (email, attributes, version, created_at, updated_at) \
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) \
             SELECT 'p' || i || '@example.com', '{\"city\":\"x\"}', 1, 0, 0 FROM n"
                .to_owned(),
        );
        let found = server.api().get("/v1/attributes");
        assert_eq!((&found["looked_at"], &found["complete"]), (&json!(10_000), &json!(true)), "{found}");
        assert_eq!(contacts_with(&found, "city"), 10_000, "{found}");
    }

    fn of_many_contacts_a_sample_is_looked_at(db: &Database) {
        let server = Server::on(db);
        server.execute(
            "INSERT INTO contacts (email, attributes, version, created_at, updated_at) \
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 24000) \
             SELECT 'p' || i || '@example.com', CASE WHEN i % 2 = 0 THEN '{\"city\":\"x\"}' ELSE '{}' END, 1, 0, 0 FROM n"
                .to_owned(),
        );
        let found = server.api().get("/v1/attributes");
        assert_eq!((&found["looked_at"], &found["complete"]), (&json!(10_000), &json!(false)), "{found}");
        assert_eq!(contacts_with(&found, "city"), 5_000, "{found}");
    }

    fn a_name_that_no_contact_has_goes_after_a_day_and_one_that_content_or_a_contact_has_stays(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let with = |attributes: &Value| {
            api.post("/v1/contacts", &json!({ "email": "a@example.com", "attributes": attributes }));
        };
        with(&json!({ "city": "Leeds", "colour": "red", "shoe": 41, "hat": 7, "tier": "gold" }));
        api.post("/v1/campaigns", &json!({ "name": "Tier", "channel": "email", "headers": { "X-Tier": "{{ tier }}" } }));
        api.post("/v1/templates", &json!({ "name": "Shoes", "channel": "email", "subject": "Size {{ shoe }}", "body_text": "Hello" }));
        with(&json!({ "colour": null, "shoe": null, "hat": null, "tier": null }));
        let names = || -> Vec<String> {
            let found = api.get("/v1/attributes");
            let mut names: Vec<String> =
                found["data"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
            names.sort();
            names
        };
        let prune = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(prune_attributes(&server.store)).unwrap()
        };
        assert_eq!(prune(), 0, "a day has to pass");
        assert_eq!(names(), ["city", "colour", "hat", "shoe", "tier"]);
        // As if that had been two days ago.
        server.execute("UPDATE attribute_keys SET unused_since = unused_since - 172800000".to_owned());
        // Written again before the next look: not unused any more.
        with(&json!({ "hat": 8 }));
        with(&json!({ "hat": null }));
        assert_eq!(prune(), 1);
        let why = "a contact has city, hat was just written, content asks for shoe, and a header of a campaign for tier";
        assert_eq!(names(), ["city", "hat", "shoe", "tier"], "{why}");
        with(&json!({ "colour": "blue" }));
        assert_eq!(names(), ["city", "colour", "hat", "shoe", "tier"], "a name that comes back is known again");
    }

    fn a_name_with_an_underscore_is_not_kept_by_content_that_says_something_else(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let with = |attributes: &Value| {
            api.post("/v1/contacts", &json!({ "email": "a@example.com", "attributes": attributes }));
        };
        with(&json!({ "shoe_size": 41, "hat_size": 7 }));
        let content = json!({ "name": "Sizes", "channel": "email", "subject": "{{ hat_size }}", "body_text": "About shoe-sizes" });
        api.post("/v1/templates", &content);
        with(&json!({ "shoe_size": null, "hat_size": null }));
        let prune = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(prune_attributes(&server.store)).unwrap()
        };
        assert_eq!(prune(), 0, "a day has to pass");
        server.execute("UPDATE attribute_keys SET unused_since = unused_since - 172800000".to_owned());
        assert_eq!(prune(), 1);
        let found = api.get("/v1/attributes");
        let names: Vec<&Value> = found["data"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
        assert_eq!(names, ["hat_size"], "content asks for it");
    }
}
