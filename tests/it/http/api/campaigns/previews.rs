//! What a campaign would say, before anybody gets it.

use serde_json::json;

use super::{ask, assert_refused, draft, pools};
use crate::support::Database;
use crate::support::api::id;
use crate::support::scripted_http::{Keys, ScriptedHttp};
use crate::support::server::{Server, webhook};

#[test]
fn a_preview_renders_for_one_contact_and_a_text_instead_changes_nothing() {
    let db = Database::sqlite();
    let server = Server::with_pools(&db, pools());
    let api = server.api();
    let ann = id(&api.post("/v1/contacts", &json!({ "email": "ann@example.com", "first_name": "Ann" })));
    let campaign =
        draft(&api, &json!({ "body_text": "Dear {first_name}, {last_name}", "body_html": "<b>{first_name}</b>" }));
    let path = format!("/v1/campaigns/{campaign}/personalized-preview");
    assert_eq!(
        api.post(&path, &json!({ "contact_id": ann })),
        json!({
            "rendered_message": "Dear Ann, ", "rendered_subject": "Hi Ann", "rendered_html": "<b>Ann</b>",
            "used_template": "Dear {first_name}, {last_name}", "missing": ["last_name"], "unknown": [],
            "contact": { "id": ann, "first_name": "Ann" }, "skip_reason": null,
        })
    );
    let body = json!({ "customer_id": ann, "override_template": "Bye {first_name|you}" });
    let other = api.post(&path, &body);
    assert_eq!(
        (&other["rendered_message"], &other["used_template"]),
        (&json!("Bye Ann"), &json!("Bye {first_name|you}"))
    );
    assert_eq!(api.get(&format!("/v1/campaigns/{campaign}"))["body_text"], "Dear {first_name}, {last_name}");
    let text = "{contact.nickname|You}, {nickname}{shoes.size}{last_name}{% if nickname %}!{% endif %}";
    let unknown = api.post(&path, &json!({ "contact_id": ann, "override_template": text }));
    assert_eq!(unknown["rendered_message"], "You, ");
    assert_eq!((&unknown["missing"], &unknown["unknown"]), (&json!(["last_name"]), &json!(["nickname", "shoes.size"])));
    let wrong = ask(&server, "POST", &path, &json!({ "contact_id": ann, "override_template": "{nickname}{email.x}" }));
    assert_eq!((wrong.status, wrong.code(), wrong.field()), (422, "unknown_placeholder", "/override_template"));
    let missing = ask(&server, "POST", &path, &json!({ "contact_id": 4711 }));
    assert_refused(&missing, 404, "contact_not_found");
    assert_eq!(missing.body["ids"], json!([4711]));
    assert_refused(&ask(&server, "POST", &path, &json!({})), 422, "required");
}

#[test]
fn a_test_reaches_only_those_whom_the_settings_allow() {
    let db = Database::sqlite();
    let sink = ScriptedHttp::slow((0, 0), Keys::Ignored);
    let pool = webhook("api", &sink);
    let server = Server::with(&db, |settings| {
        settings.pools.push(pool);
        settings.sending.test_recipients = vec!["@test.example".to_owned()].into();
    });
    let api = server.api();
    let contact = |email: &str| id(&api.post("/v1/contacts", &json!({ "email": email })));
    let (ours, other) = (contact("ann@Test.example"), contact("ben@example.com"));
    let campaign =
        id(&api.post("/v1/campaigns", &json!({ "name": "T", "channel": "http", "pool": "api", "body_text": "Hi" })));
    let path = format!("/v1/campaigns/{campaign}/test-send");
    let refused = ask(&server, "POST", &path, &json!({ "contact_ids": [ours, other] }));
    assert_refused(&refused, 422, "test_recipient_not_allowed");
    assert!(
        refused.body["errors"][0]["reason"].as_str().unwrap().ends_with(&format!("contacts {other}")),
        "{}",
        refused.body
    );
    assert_eq!(sink.ledger().begun(), 0, "nobody gets half a test");
    assert_eq!(api.post(&path, &json!({ "contact_ids": [ours] }))["results"][0]["outcome"], "accepted");
}

#[test]
fn a_test_reaches_a_few_people_and_leaves_the_campaign_a_draft() {
    let db = Database::sqlite();
    let sink = ScriptedHttp::slow((0, 0), Keys::Ignored);
    let mut all = pools();
    all.push(webhook("api", &sink));
    let server = Server::with_pools(&db, all);
    let api = server.api();
    let ann = id(&api.post("/v1/contacts", &json!({ "email": "ann@example.com", "first_name": "Ann" })));
    let body = json!({ "name": "T", "channel": "http", "body_text": "Dear {first_name|friend}" });
    let campaign = id(&api.post("/v1/campaigns", &body));
    let path = format!("/v1/campaigns/{campaign}/test-send");
    let sent = api.post(&path, &json!({ "contact_ids": [ann, ann] }));
    assert_eq!(sent["results"].as_array().unwrap().len(), 1, "{sent}");
    assert_eq!((&sent["results"][0]["contact_id"], &sent["results"][0]["outcome"]), (&json!(ann), &json!("accepted")));
    assert!(sink.ledger().message_to("ann@example.com").contains("Dear Ann"));
    assert_eq!(sink.ledger().begun(), 1);
    let unknown = ask(&server, "POST", &path, &json!({ "contact_ids": [ann, 4711] }));
    assert_refused(&unknown, 404, "contact_not_found");
    assert_eq!((&unknown.body["ids"], sink.ledger().begun()), (&json!([4711]), 1), "nobody gets half a test");
    sink.refuse_connections();
    assert_eq!(api.post(&path, &json!({ "contact_ids": [ann] }))["results"][0]["outcome"], "pool_fault");
    for ids in [json!([]), json!([1, 2, 3, 4, 5, 6])] {
        assert_refused(&ask(&server, "POST", &path, &json!({ "contact_ids": ids })), 422, "out_of_range");
    }
    let text = json!({ "name": "T", "channel": "sms", "body_text": "Hi" });
    let text = id(&api.post("/v1/campaigns", &text));
    let nowhere = api.post(&format!("/v1/campaigns/{text}/test-send"), &json!({ "contact_ids": [ann] }));
    assert_eq!(nowhere["results"][0]["outcome"], "no_address");
    let seen = api.campaign(campaign);
    assert_eq!((seen.status.as_str(), seen.stats.total), ("draft", 0));
}
