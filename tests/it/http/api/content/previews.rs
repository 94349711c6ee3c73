//! Content before it is saved, as one reader would get it.

use serde_json::{Value, json};

use crate::support::api::id;
use crate::support::both_backends;
use crate::support::server::{Raw, Server};

const PATH: &str = "/v1/content/preview";

fn ask(server: &Server, body: &Value) -> Raw {
    server.send("POST", PATH, &[("Content-Type", "application/json")], body.to_string().as_bytes())
}

both_backends! {
    fn unsaved_content_is_rendered_for_a_contact_for_an_example_and_for_nobody(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let ann = json!({ "email": "ann@example.com", "first_name": "<Ann>", "attributes": { "city": "Town 7" } });
        let ann = id(&api.post("/v1/contacts", &ann));
        let content = |more: Value| {
            let mut body = json!({
                "channel": "email", "subject": "Hi {first_name|you}", "body_text": "{city}, {last_name|friend} {nobody}",
                "body_html": "<p>{{ first_name }}</p>",
            });
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body
        };
        assert_eq!(
            api.post(PATH, &content(json!({ "contact_id": ann }))),
            json!({
                "subject": "Hi <Ann>", "body_text": "Town 7, friend ", "body_html": "<p>&lt;Ann&gt;</p>",
                "placeholders": ["city", "first_name", "last_name", "nobody"], "missing": ["last_name"], "unknown": ["nobody"],
                "warnings": [],
            })
        );
        let example = api.post(PATH, &content(json!({ "fields": { "first_name": "Eve", "city": "Bern", "last_name": null } })));
        assert_eq!((&example["subject"], &example["body_text"]), (&json!("Hi Eve"), &json!("Bern, friend ")));
        let nobody = api.post(PATH, &content(json!({})));
        assert_eq!((&nobody["subject"], &nobody["missing"]), (&json!("Hi you"), &json!(["city", "first_name", "last_name"])));
        let text = api.post(PATH, &json!({ "channel": "sms", "body_text": "жж{first_name}", "fields": { "first_name": "ж".repeat(80) } }));
        assert_eq!(text["sms"], json!({ "alphabet": "ucs2", "places": 82, "parts": 2 }));
        assert_eq!(api.get("/v1/templates")["pagination"]["total_count"], 0, "nothing is stored");
    }

    fn what_cannot_be_rendered_is_said_of_its_part(db: &Database) {
        let server = Server::on(db);
        for (body, status, code, field) in [
            (json!({ "channel": "email", "body_text": "x" }), 422, "subject_required", "/subject"),
            (json!({ "channel": "email", "subject": "s", "body_text": "{% if %}" }), 422, "template_syntax", "/body_text"),
            (json!({ "channel": "sms", "body_text": "x", "body_html": "<p>" }), 422, "html_not_allowed", "/body_html"),
            (json!({ "channel": "email", "subject": "s", "body_text": "x", "fields": { "email": 5 } }), 422, "wrong_type", "/fields/email"),
            (json!({ "channel": "email", "subject": "s", "body_text": "x", "fields": { "email": "ann" } }), 422, "email_invalid", "/fields/email"),
            (json!({ "channel": "email", "subject": "s", "body_text": "x", "fields": {}, "contact_id": 1 }), 422, "not_allowed", "/fields"),
            (json!({ "channel": "fax", "body_text": "x" }), 422, "not_allowed", "/channel"),
        ] {
            let answer = ask(&server, &body);
            assert_eq!((answer.status, answer.code(), answer.field()), (status, code, field), "{body}: {answer:?}");
        }
        let missing = ask(&server, &json!({ "channel": "sms", "body_text": "x", "contact_id": 4711 }));
        assert_eq!((missing.status, missing.code()), (404, "contact_not_found"));
    }
}
