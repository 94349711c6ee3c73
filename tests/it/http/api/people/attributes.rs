//! Which attributes contacts have.

use serde_json::{Value, json};

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
}
