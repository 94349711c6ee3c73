//! What cannot be a campaign: refused with the field that is wrong, and nothing stored.

use std::time::Duration;

use serde_json::{Value, json};

use super::{ask, assert_refused, draft, fields, pools};
use crate::support::Database;
use crate::support::server::Server;

fn in_seconds(seconds: i64) -> String {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds)).to_string()
}

#[test]
fn a_campaign_that_makes_no_sense_is_not_stored() {
    let db = Database::sqlite();
    let server = Server::with_pools(&db, pools());
    let api = server.api();
    let list = api.create_list("Customers");
    let for_texts = api.create_template("sms", "", "hi");
    let all = json!({ "all": true });
    let cases: Vec<(&str, Value, &str, &str)> = vec![
        ("an unknown field", json!({ "is_admin": true }), "unknown_field", "/is_admin"),
        ("a status", json!({ "status": "sent" }), "unknown_field", "/status"),
        ("an empty name", json!({ "name": " " }), "required", "/name"),
        ("a long name", json!({ "name": "x".repeat(256) }), "too_long", "/name"),
        ("a name with an override", json!({ "name": "a\u{202e}b" }), "control_character", "/name"),
        ("an unknown channel", json!({ "channel": "fax" }), "not_allowed", "/channel"),
        ("an unknown pool", json!({ "pool": "nowhere" }), "pool_missing", "/pool"),
        ("a pool of another channel", json!({ "pool": "texts" }), "pool_missing", "/pool"),
        ("template and own content", json!({ "template_id": for_texts }), "content_ambiguous", "/template_id"),
        ("no subject", json!({ "subject": "  " }), "subject_required", "/subject"),
        ("a subject of two lines", json!({ "subject": "a\r\nBcc: x@y.example" }), "control_character", "/subject"),
        ("a long subject", json!({ "subject": "x".repeat(2_000) }), "subject_too_long", "/subject"),
        ("no text", json!({ "body_text": "" }), "body_required", "/body_text"),
        ("an unknown placeholder", json!({ "body_text": "{favourite}" }), "unknown_placeholder", "/body_text"),
        ("an unknown name in HTML", json!({ "body_html": "{{ favourite }}" }), "unknown_placeholder", "/body_html"),
        ("an open placeholder", json!({ "body_text": "{{ first_name" }), "placeholder_malformed", "/body_text"),
        ("a rate of 0", json!({ "rate_per_second": 0 }), "out_of_range", "/rate_per_second"),
        ("eight days of tries", json!({ "retry_for": "8d" }), "out_of_range", "/retry_for"),
        ("a negative time of tries", json!({ "retry_for": -1 }), "invalid", "/retry_for"),
        ("tries for a while", json!({ "retry_for": "a while" }), "invalid", "/retry_for"),
        ("tries, yes", json!({ "retry_for": true }), "wrong_type", "/retry_for"),
        ("a negative rate", json!({ "rate_per_second": -1 }), "out_of_range", "/rate_per_second"),
        ("an absurd rate", json!({ "rate_per_second": 1e12 }), "out_of_range", "/rate_per_second"),
        ("a rate in words", json!({ "rate_per_second": "5 per fortnight" }), "wrong_type", "/rate_per_second"),
        ("another rule", json!({ "on_uncertain": "guess" }), "not_allowed", "/on_uncertain"),
        ("no audience in it", json!({ "audience": {} }), "audience_required", "/audience"),
        (
            "only exclusions",
            json!({ "audience": { "exclude": { "lists": [list] } } }),
            "audience_required",
            "/audience",
        ),
        ("an unknown audience", json!({ "audience": { "segment": 1 } }), "unknown_field", "/audience/segment"),
        ("a query", json!({ "audience": { "query": "SELECT id FROM contacts" } }), "unknown_field", "/audience/query"),
        ("ids as text", json!({ "audience": { "contact_ids": ["1"] } }), "wrong_type", "/audience/contact_ids/0"),
        (
            "a past time",
            json!({ "scheduled_at": in_seconds(-3600), "audience": all }),
            "schedule_out_of_range",
            "/scheduled_at",
        ),
        (
            "ten years on",
            json!({ "scheduled_at": in_seconds(315_360_000), "audience": all }),
            "schedule_out_of_range",
            "/scheduled_at",
        ),
        (
            "a time without offset",
            json!({ "scheduled_at": "2030-01-01T09:00:00", "audience": all }),
            "invalid",
            "/scheduled_at",
        ),
        ("an impossible day", json!({ "scheduled_at": "2030-02-30T09:00:00Z" }), "invalid", "/scheduled_at"),
        ("seconds since 1970", json!({ "scheduled_at": 1_735_689_600 }), "wrong_type", "/scheduled_at"),
        ("a schedule for nobody", json!({ "scheduled_at": in_seconds(3600) }), "audience_required", "/audience"),
        (
            "a schedule without a pool",
            json!({ "scheduled_at": in_seconds(3600), "audience": all, "pool": null }),
            "pool_missing",
            "/pool",
        ),
    ];
    for (what, more, code, field) in cases {
        let answer = ask(&server, "POST", "/v1/campaigns", &fields(&more));
        assert_eq!((answer.status, answer.code(), answer.field()), (422, code, field), "{what}: {answer:?}");
    }
    for (more, code, field) in [
        (json!({ "template_id": 4711 }), "template_not_found", "/template_id"),
        (json!({ "template_id": for_texts }), "channel_mismatch", "/template_id"),
        (json!({ "scheduled_at": in_seconds(3600), "audience": all }), "template_required", "/template_id"),
    ] {
        let mut body = json!({ "name": "Spring", "channel": "email", "pool": "fast" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = ask(&server, "POST", "/v1/campaigns", &body);
        assert_eq!((answer.status, answer.code(), answer.field()), (422, code, field), "{answer:?}");
    }
    for (audience, code, ids) in [
        (json!({ "contact_ids": [8, 7, 8] }), "contact_not_found", json!([7, 8])),
        (json!({ "all": true, "exclude": { "contact_ids": [9] } }), "contact_not_found", json!([9])),
        (json!({ "lists": [list, 4711] }), "list_not_found", json!([4711])),
        (json!({ "lists": ["no-such-list"] }), "list_not_found", Value::Null),
    ] {
        let answer = ask(&server, "POST", "/v1/campaigns", &fields(&json!({ "audience": audience })));
        assert_refused(&answer, 404, code);
        assert_eq!(answer.body["ids"], ids, "{answer:?}");
    }
    let missing = ask(&server, "POST", "/v1/campaigns", &json!({ "channel": "email" }));
    assert_eq!((missing.status, missing.code(), missing.field()), (422, "required", "/name"));
    assert_eq!(api.get("/v1/campaigns")["pagination"]["total_count"], 0, "something was stored by halves");
}

#[test]
fn an_unknown_placeholder_is_answered_with_the_valid_names() {
    let db = Database::sqlite();
    let server = Server::with_pools(&db, pools());
    server.api().post("/v1/contacts", &json!({ "email": "a@b.example", "attributes": { "loyalty_tier": "gold" } }));
    let body = fields(&json!({ "subject": "{frist_name}", "body_text": "{loyalty_tier}" }));
    let answer = ask(&server, "POST", "/v1/campaigns", &body);
    assert_refused(&answer, 422, "unknown_placeholder");
    let reason = answer.body["errors"][0]["reason"].as_str().unwrap();
    for name in ["frist_name", "first_name", "preferred_product", "loyalty_tier"] {
        assert!(reason.contains(name), "{reason}");
    }
}

#[test]
fn ids_that_are_none_and_campaigns_that_are_not_there() {
    let db = Database::sqlite();
    let server = Server::with_pools(&db, pools());
    for id in ["0", "-1", "9223372036854775808", "abc", "1.0"] {
        for path in ["", "/audit", "/deliveries"] {
            let answer = server.send("GET", &format!("/v1/campaigns/{id}{path}"), &[], b"");
            assert_refused(&answer, 400, "id_malformed");
        }
    }
    for (route, body) in [
        ("send", json!({})),
        ("pause", json!({})),
        ("resume", json!({})),
        ("stop", json!({})),
        ("schedule", json!({ "scheduled_at": in_seconds(3600) })),
        ("unschedule", json!({})),
        ("retry-failed", json!({})),
        ("preflight", json!({})),
        ("personalized-preview", json!({ "contact_id": 1 })),
        ("test-send", json!({ "contact_ids": [1] })),
        ("deliveries/resolve", json!({ "as": "sent" })),
    ] {
        let answer = ask(&server, "POST", &format!("/v1/campaigns/4711/{route}"), &body);
        assert_refused(&answer, 404, "campaign_not_found");
        assert_eq!(answer.body["ids"], json!([4711]), "{route}");
    }
}

#[test]
fn a_send_that_cannot_be_leaves_a_draft() {
    let db = Database::sqlite();
    let server = Server::with_pools(&db, pools());
    let api = server.api();
    let campaign = draft(&api, &json!({}));
    let path = format!("/v1/campaigns/{campaign}/send");
    for (body, status, code, field) in [
        (json!({}), 422, "audience_required", "/audience"),
        (json!({ "contact_ids": [] }), 422, "recipients_required", "/contact_ids"),
        (json!({ "contact_ids": ["1"] }), 422, "wrong_type", "/contact_ids/0"),
        (json!({ "contact_ids": [1], "customer_ids": [1] }), 422, "invalid", ""),
        (json!({ "lists": [1] }), 422, "unknown_field", "/lists"),
    ] {
        let answer = ask(&server, "POST", &path, &body);
        assert_refused(&answer, status, code);
        if code != "invalid" {
            assert_eq!(answer.field(), field, "{answer:?}");
        }
    }
    let unknown = ask(&server, "POST", &path, &json!({ "contact_ids": [12, 11, 12] }));
    assert_refused(&unknown, 404, "contact_not_found");
    assert_eq!(unknown.body["ids"], json!([11, 12]));
    for key in ["", "a b", &"x".repeat(300)] {
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key)];
        assert_refused(&server.send("POST", &path, &headers, b"{}"), 400, "idempotency_key_malformed");
    }
    let bare = api.post("/v1/campaigns", &json!({ "name": "Bare", "channel": "email", "audience": { "all": true } }));
    let answer = ask(&server, "POST", &format!("/v1/campaigns/{}/send", bare["id"]), &json!({}));
    assert_eq!((answer.code(), answer.field()), ("template_required", "/template_id"));
    let undecided = fields(&json!({ "pool": null, "audience": { "all": true } }));
    let undecided = api.post("/v1/campaigns", &undecided);
    let answer = ask(&server, "POST", &format!("/v1/campaigns/{}/send", undecided["id"]), &json!({}));
    assert_eq!((answer.status, answer.code(), answer.field()), (422, "pool_missing", "/pool"));
    assert_eq!(api.get("/v1/campaigns?status=draft")["pagination"]["total_count"], 3);
    // A refusal takes no key: the request that was mended may go under the same one.
    let contact = super::people(&api, 1)[0];
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "mended")];
    assert_eq!(server.send("POST", &path, &headers, b"{}").status, 422);
    let mended = json!({ "contact_ids": [contact] }).to_string();
    assert_eq!(server.send("POST", &path, &headers, mended.as_bytes()).status, 202);
    api.wait_ended(campaign, Duration::from_secs(60));
}
