//! Templates: versions, placeholders, previews.

use serde_json::json;

use crate::support::api::id;
use crate::support::both_backends;
use crate::support::server::Server;

const JSON: (&str, &str) = ("Content-Type", "application/json");

both_backends! {
    fn an_edit_is_a_new_version_and_the_old_ones_stay(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let body = json!({
            "name": "Spring", "channel": "email", "subject": "Hi {first_name|you}", "body_text": "one",
            "body_html": "<p>one</p>",
        });
        let made = server.send("POST", "/v1/templates", &[JSON], body.to_string().as_bytes());
        assert_eq!((made.status, &made.body["version"]), (201, &json!(1)));
        let path = format!("/v1/templates/{}", id(&made.body));
        let edited = server.send("PATCH", &path, &[JSON], br#"{"body_text":"two","body_html":null}"#);
        assert_eq!((edited.status, &edited.body["version"]), (200, &json!(2)));
        assert_eq!((&edited.body["subject"], &edited.body["body_html"]), (&json!("Hi {first_name|you}"), &json!(null)));
        let renamed = server.send("PATCH", &path, &[JSON], br#"{"name":"Summer"}"#);
        assert_eq!((&renamed.body["name"], &renamed.body["version"]), (&json!("Summer"), &json!(2)));
        let replaced = json!({ "name": "Autumn", "channel": "email", "subject": "S", "body_text": "three" });
        let replaced = server.send("PUT", &path, &[JSON], replaced.to_string().as_bytes());
        assert_eq!((replaced.status, &replaced.body["version"]), (200, &json!(3)));
        let other_channel = json!({ "name": "Autumn", "channel": "sms", "body_text": "three" }).to_string();
        assert_eq!(server.send("PUT", &path, &[JSON], other_channel.as_bytes()).code(), "channel_fixed");
        assert_eq!(api.get(&format!("{path}?version=1"))["body_html"], "<p>one</p>");
        assert_eq!(server.send("GET", &format!("{path}?version=9"), &[], b"").code(), "template_version_not_found");
        let versions = api.get(&format!("{path}/versions"));
        let versions: Vec<_> = versions["data"].as_array().unwrap().iter().map(|v| v["version"].clone()).collect();
        assert_eq!(versions, [3, 2, 1]);
        assert_eq!(api.get("/v1/templates?channel=email")["pagination"]["total_count"], 1);
        assert_eq!(api.get("/v1/templates?channel=sms")["pagination"]["total_count"], 0);
        assert_eq!(server.send("DELETE", &path, &[], b"").status, 204);
        assert_eq!(server.send("GET", &path, &[], b"").code(), "template_not_found");
    }

    fn answers_and_headers_belong_to_a_version_and_what_is_wrong_is_named(db: &Database) {
        let server = Server::on(db);
        let body = json!({
            "name": "t", "channel": "email", "subject": "s", "body_text": "b", "reply_to": "Help <help@example.com>",
            "headers": { "X-Campaign": "spring" },
        });
        let made = server.send("POST", "/v1/templates", &[JSON], body.to_string().as_bytes());
        assert_eq!((made.status, &made.body["reply_to"]), (201, &json!("Help <help@example.com>")), "{made:?}");
        let path = format!("/v1/templates/{}", id(&made.body));
        for (change, version, reply_to, headers) in [
            (json!({ "headers": { "X-Campaign": "summer" } }), 2, json!("Help <help@example.com>"), json!({ "X-Campaign": "summer" })),
            (json!({ "headers": { "X-Campaign": "summer" } }), 2, json!("Help <help@example.com>"), json!({ "X-Campaign": "summer" })),
            (json!({ "reply_to": null }), 3, json!(null), json!({ "X-Campaign": "summer" })),
            (json!({ "headers": {} }), 4, json!(null), json!(null)),
        ] {
            let changed = server.send("PATCH", &path, &[JSON], change.to_string().as_bytes());
            let found = (&changed.body["version"], &changed.body["reply_to"], &changed.body["headers"]);
            assert_eq!(found, (&json!(version), &reply_to, &headers), "{change}");
        }
        for (wrong, field, code) in [
            (json!({ "reply_to": "help" }), "/reply_to", "reply_to_invalid"),
            (json!({ "reply_to": "a@example.com, b@example.com" }), "/reply_to", "reply_to_invalid"),
            (json!({ "headers": { "Bcc": "a@example.com" } }), "/headers/Bcc", "header_reserved"),
            (json!({ "headers": { "X A": "1" } }), "/headers/X A", "header_name"),
            (json!({ "headers": { "X-A": "1\r\nBcc: a@example.com" } }), "/headers/X-A", "header_value"),
            (json!({ "headers": { "X-A": "{nobody}" } }), "/headers/X-A", "unknown_placeholder"),
        ] {
            let refused = server.send("PATCH", &path, &[JSON], wrong.to_string().as_bytes());
            let error = &refused.body["errors"][0];
            assert_eq!((refused.status, &error["field"], &error["code"]), (422, &json!(field), &json!(code)), "{refused:?}");
        }
        assert_eq!(server.api().get(&path)["version"], 4, "nothing of it was stored");
        let sms = json!({ "name": "t", "channel": "sms", "body_text": "b", "headers": { "X-A": "1" } }).to_string();
        assert_eq!(server.send("POST", "/v1/templates", &[JSON], sms.as_bytes()).code(), "not_of_channel");
    }

    fn a_template_may_have_a_megabyte_and_not_more(db: &Database) {
        let server = Server::with(db, |settings| settings.http.max_body_bytes = 4 * 1024 * 1024);
        let html = |bytes: usize| format!("<p>{}{{first_name|you}}</p>", "x".repeat(bytes - 23));
        let body = |bytes: usize| {
            json!({ "name": "t", "channel": "email", "subject": "s", "body_text": "b", "body_html": html(bytes) }).to_string()
        };
        let made = server.send("POST", "/v1/templates", &[JSON], body(1024 * 1024).as_bytes());
        assert_eq!(made.status, 201, "{:?}", made.body["detail"]);
        let contact = id(&server.api().post("/v1/contacts", &json!({ "email": "ann@example.com" })));
        let path = format!("/v1/templates/{}/preview", id(&made.body));
        let shown = server.api().post(&path, &json!({ "contact_id": contact }));
        assert!(shown["body_html"].as_str().unwrap().ends_with("xyou</p>"));
        let refused = server.send("POST", "/v1/templates", &[JSON], body(1024 * 1024 + 1).as_bytes());
        assert_eq!((refused.status, refused.code()), (422, "template_too_long"));
    }

    fn a_preview_says_what_is_missing(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let contact = id(&api.post("/v1/contacts", &json!({
            "email": "ann@example.com", "first_name": "<Ann>", "attributes": { "loyalty_tier": "gold" },
        })));
        let template = api.post("/v1/templates", &json!({
            "name": "t", "channel": "email", "subject": "Hi {first_name}", "body_text": "{loyalty_tier}, {last_name|friend}",
            "body_html": "<p>{{ first_name }}</p>",
        }));
        let path = format!("/v1/templates/{}/preview", id(&template));
        let preview = api.post(&path, &json!({ "contact_id": contact }));
        assert_eq!(preview, json!({
            "subject": "Hi <Ann>", "body_text": "gold, friend", "body_html": "<p>&lt;Ann&gt;</p>",
            "placeholders": ["first_name", "last_name", "loyalty_tier"], "missing": ["last_name"], "unknown": [], "warnings": [],
        }));
        // As a database would be that lost the name: what the template asks for is known no more.
        server.execute("DELETE FROM attribute_keys".to_owned());
        let preview = api.post(&path, &json!({ "contact_id": contact }));
        assert_eq!((&preview["missing"], &preview["unknown"]), (&json!(["last_name"]), &json!(["loyalty_tier"])));
        let missing = server.send("POST", &path, &[JSON], br#"{"contact_id":4711}"#);
        assert_eq!((missing.status, missing.code(), &missing.body["ids"]), (404, "contact_not_found", &json!([4711])));
        let second = id(&api.post("/v1/contacts", &json!({ "external_id": "x" })));
        let blank = json!({ "name": "t", "channel": "email", "subject": "{first_name}", "body_text": "b" });
        let blank = id(&api.post("/v1/templates", &blank));
        let body = json!({ "contact_id": second }).to_string();
        let refused = server.send("POST", &format!("/v1/templates/{blank}/preview"), &[JSON], body.as_bytes());
        assert_eq!((refused.status, refused.code()), (422, "render_failed"));
    }

    fn a_template_stays_while_a_campaign_is_going_to_send_it(db: &Database) {
        let server = Server::on(db);
        let template = server.api().create_template("sms", "", "Hi {first_name}");
        let path = format!("/v1/templates/{template}");
        server.execute(format!(
            "INSERT INTO campaigns (id, name, channel, status, template_id, created_at, updated_at)
             VALUES (7, 'c', 'sms', 'scheduled', {template}, 0, 0)"
        ));
        for status in ["scheduled", "sending", "paused"] {
            server.execute(format!("UPDATE campaigns SET status = '{status}'"));
            let refused = server.send("DELETE", &path, &[], b"");
            assert_eq!((refused.status, refused.code(), &refused.body["ids"]), (409, "template_in_use", &json!([7])));
        }
        server.execute("UPDATE campaigns SET status = 'sent'".to_owned());
        assert_eq!(server.send("DELETE", &path, &[], b"").status, 204);
    }
}
