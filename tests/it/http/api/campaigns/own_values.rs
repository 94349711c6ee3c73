//! What a campaign brings itself: what it is about, who it is from, and values for its content.

use serde_json::{Value, json};
use volley::config::pools::{PoolConfig, ServerConfig, SmtpConfig};

use super::{LONG, ask, assert_refused, people};
use crate::support::both_backends;
use crate::support::scripted_smtp::ScriptedSmtp;
use crate::support::server::Server;

/// A pool of emails in front of `sink`, which sends for example.com.
fn relay(name: &str, sink: &ScriptedSmtp) -> PoolConfig {
    let smtp = SmtpConfig { server: ServerConfig::at(sink.url()), ..SmtpConfig::default() };
    let from = Some("Shop <shop@example.com>".to_owned());
    PoolConfig { name: name.to_owned(), from, ..PoolConfig::bare(smtp) }
}

fn spring(more: &Value) -> Value {
    let mut body = json!({
        "name": "Spring", "channel": "email", "pool": "main", "category": "transactional", "audience": { "all": true },
        "subject": "{campaign.props.code} for {first_name}",
        "body_text": "Until {{ campaign.props.sale.until }}{% if campaign.props.off > 10 %}: a lot{% endif %}.",
        "props": { "code": "SPRING20", "sale": { "until": "31 May" }, "off": 20 },
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

both_backends! {
    fn a_mail_is_from_the_campaigns_sender_and_has_its_values(db: &Database) {
        let sink = ScriptedSmtp::slow((0, 0));
        let server = Server::with_pools(db, vec![relay("main", &sink)]);
        let api = server.api();
        people(&api, 1);
        let fields = json!({
            "description": "For those who came last year.\nAsk Ann.", "from": "Frühling <spring@example.com>",
            "reply_to": "Help <help@example.com>", "headers": { "X-Code": "{campaign.props.code}" },
        });
        let made = api.post("/v1/campaigns", &spring(&fields));
        assert_eq!(made["description"], "For those who came last year.\nAsk Ann.");
        assert_eq!((&made["from"], &made["props"]["off"]), (&json!("Frühling <spring@example.com>"), &json!(20)));
        let id = made["id"].as_i64().unwrap();
        let contact = api.get("/v1/contacts")["data"][0]["id"].clone();
        let seen = api.post(&format!("/v1/campaigns/{id}/personalized-preview"), &json!({ "contact_id": contact }));
        assert_eq!(seen["rendered_subject"], "SPRING20 for First1", "{seen}");
        let copy = api.post(&format!("/v1/campaigns/{id}/duplicate"), &json!({}));
        for field in ["description", "from", "reply_to", "props"] {
            assert_eq!(copy[field], made[field], "{field}");
        }
        assert_eq!(seen["from"], made["from"], "{seen}");
        let found = api.post(&format!("/v1/campaigns/{id}/preflight"), &json!({}));
        assert_eq!(found["samples"][0]["from"], made["from"], "{found}");
        assert_eq!(found["samples"][0]["subject"], "SPRING20 for First1", "{found}");
        let tested = api.post(&format!("/v1/campaigns/{id}/test-send"), &json!({ "contact_ids": [contact] }));
        assert_eq!(tested["results"][0]["outcome"], "accepted", "{tested}");
        let listed = api.get("/v1/campaigns");
        let listed = listed["data"].as_array().unwrap().iter().find(|one| one["id"] == made["id"]).unwrap();
        assert_eq!((&listed["description"], &listed["props"]), (&made["description"], &made["props"]));
        for campaign in [id, copy["id"].as_i64().unwrap()] {
            api.send(campaign);
            assert_eq!(api.wait_ended(campaign, LONG).stats.sent, 1);
            let mail = sink.ledger().message_to("person1@example.com");
            for line in [
                "From: =?utf-8?b?RnLDvGhsaW5n?= <spring@example.com>\r\n",
                "Reply-To: Help <help@example.com>\r\n",
                "X-Code: SPRING20\r\n",
                "Subject: SPRING20 for First1\r\n",
                "Until 31 May: a lot.",
            ] {
                assert!(mail.contains(line), "{line} in {mail}");
            }
            assert_eq!(mail.matches("\r\nFrom:").count() + usize::from(mail.starts_with("From:")), 1, "{mail}");
        }
        let commands = sink.commands();
        assert!(commands.iter().any(|line| line.starts_with("MAIL FROM:<shop@example.com>")), "{commands:?}");
        for frozen in [json!({ "props": {} }), json!({ "from": null }), json!({ "description": "x" })] {
            let refused = ask(&server, "PATCH", &format!("/v1/campaigns/{id}"), &frozen);
            assert_refused(&refused, 409, "campaign_not_editable");
        }
    }

    fn a_paused_campaign_keeps_its_sender_and_its_values_and_gets_no_pool_of_another_domain(db: &Database) {
        let (sink, other) = (ScriptedSmtp::slow((0, 0)), ScriptedSmtp::slow((0, 0)));
        let elsewhere = PoolConfig { from: Some("Shop <shop@example.org>".to_owned()), ..relay("elsewhere", &other) };
        let server = Server::with_pools(db, vec![relay("main", &sink), relay("second", &other), elsewhere]);
        let api = server.api();
        people(&api, 20);
        let more = json!({ "from": "spring@EXAMPLE.com", "rate_per_second": 2 });
        let id = api.post("/v1/campaigns", &spring(&more))["id"].as_i64().unwrap();
        let change = |body: Value| ask(&server, "PATCH", &format!("/v1/campaigns/{id}"), &body);
        api.send(id);
        api.wait(id, "somebody has it", LONG, |seen| seen.stats.sent >= 1);
        api.pause(id);
        assert_refused(&change(json!({ "props": { "code": "AUTUMN" } })), 409, "campaign_not_editable");
        let refused = change(json!({ "pool": "elsewhere" }));
        assert_refused(&refused, 422, "from_invalid");
        assert_eq!(refused.field(), "/from", "{refused:?}");
        assert!(refused.body.to_string().contains("sends for example.org alone"), "{refused:?}");
        assert_eq!(change(json!({ "pool": "second" })).status, 200);
        api.resume(id);
        assert_eq!(change(json!({ "rate_per_second": null })).status, 200);
        assert_eq!(api.wait_ended(id, LONG).stats.sent, 20);
        assert_eq!(sink.ledger().reached() + other.ledger().reached(), 20);
        let through_the_second = other.ledger().entries().messages.clone();
        assert!(!through_the_second.is_empty());
        for mail in through_the_second.values() {
            assert!(mail.to_lowercase().contains("from: spring@example.com\r\n") && mail.contains("Until 31 May"), "{mail}");
        }
    }

    fn a_draft_without_a_pool_is_checked_when_it_is_launched(db: &Database) {
        let sink = ScriptedSmtp::slow((0, 0));
        let elsewhere = PoolConfig { from: Some("Shop <shop@example.org>".to_owned()), ..relay("elsewhere", &sink) };
        {
            let server = Server::with_pools(db, vec![relay("main", &sink), elsewhere.clone()]);
            let api = server.api();
            people(&api, 1);
            let draft = spring(&json!({ "pool": null, "from": "Spring <spring@example.com>" }));
            assert_eq!(api.post("/v1/campaigns", &draft)["pool"], json!(null));
        }
        let server = Server::with_pools(db, vec![elsewhere]);
        let api = server.api();
        let id = api.get("/v1/campaigns")["data"][0]["id"].clone();
        let found = api.post(&format!("/v1/campaigns/{id}/preflight"), &json!({}));
        assert_eq!(found["fingerprint"], json!(null), "{found}");
        assert!(found.to_string().contains("sends for example.org alone"), "{found}");
        let refused = ask(&server, "POST", &format!("/v1/campaigns/{id}/send"), &json!({}));
        assert_refused(&refused, 422, "from_invalid");
        assert_eq!(refused.field(), "/from", "{refused:?}");
        let contact = api.get("/v1/contacts")["data"][0]["id"].clone();
        let test = ask(&server, "POST", &format!("/v1/campaigns/{id}/test-send"), &json!({ "contact_ids": [contact] }));
        assert_refused(&test, 422, "from_invalid");
        assert!(sink.ledger().entries().accepted.is_empty());
    }

    fn a_sender_at_another_domain_and_a_value_that_is_not_there_are_refused_with_their_place(db: &Database) {
        let sink = ScriptedSmtp::slow((0, 0));
        let elsewhere = PoolConfig { from: Some("Shop <shop@example.org>".to_owned()), ..relay("elsewhere", &sink) };
        let server = Server::with_pools(db, vec![relay("main", &sink), elsewhere]);
        let api = server.api();
        people(&api, 1);
        let made = |more: Value| ask(&server, "POST", "/v1/campaigns", &spring(&more));
        for (more, code, field) in [
            (json!({ "from": "shop" }), "from_invalid", "/from"),
            (json!({ "props": { "Code": 1 } }), "props_invalid", "/props/Code"),
            (json!({ "props": { "code": 1 } }), "unknown_placeholder", "/body_text"),
            (json!({ "description": "x".repeat(2_001) }), "too_long", "/description"),
            (json!({ "headers": { "X-A": "{campaign.props.none}" } }), "unknown_placeholder", "/headers/X-A"),
        ] {
            let refused = made(more);
            assert_refused(&refused, 422, code);
            assert_eq!(refused.field(), field, "{refused:?}");
        }
        let foreign = made(json!({ "from": "Spring <spring@example.org>" }));
        assert_refused(&foreign, 422, "from_invalid");
        assert_eq!(foreign.field(), "/from", "{foreign:?}");
        let injected = made(json!({ "from": "Spring\r\nBcc: eve@example.org <spring@example.com>" }));
        assert_refused(&injected, 422, "from_invalid");
        let draft = api.post("/v1/campaigns", &spring(&json!({})))["id"].as_i64().unwrap();
        let path = format!("/v1/campaigns/{draft}");
        let send = || ask(&server, "POST", &format!("{path}/send"), &json!({}));
        let change = |body: Value| ask(&server, "PATCH", &path, &body);
        assert_refused(&change(json!({ "from": "Spring <spring@example.org>" })), 422, "from_invalid");
        assert_eq!(change(json!({ "from": "Spring <spring@Example.com>" })).status, 200);
        assert_refused(&change(json!({ "pool": "elsewhere" })), 422, "from_invalid");
        // A value that the content uses is not taken away.
        let refused = change(json!({ "props": { "code": "x", "off": 1 } }));
        assert_refused(&refused, 422, "unknown_placeholder");
        // What a template uses is known at the launch alone.
        let template = json!({
            "name": "t", "channel": "email", "category": "transactional", "subject": "s", "body_text": "a\n{campaign.props.later}",
        });
        let template = api.post("/v1/templates", &template)["id"].clone();
        assert_eq!(change(json!({ "template_id": template })).status, 200);
        let refused = send();
        assert_refused(&refused, 422, "unknown_placeholder");
        let told = refused.body.to_string();
        assert!(told.contains("campaign.props.later") && told.contains("line 2"), "{told}");
        let before = api.post(&format!("{path}/preflight"), &json!({}));
        assert_eq!(change(json!({ "props": { "later": "May", "code": "x" } })).status, 200);
        let after = api.post(&format!("{path}/preflight"), &json!({}));
        assert_ne!(before["fingerprint"], after["fingerprint"], "{before} {after}");
        assert_eq!(change(json!({ "props": { "later": "May", "code": "x" } })).body["updated_at"], api.get(&path)["updated_at"]);
        assert_eq!(send().status, 202);
        assert_eq!(api.wait_ended(draft, LONG).stats.sent, 1);
        let log = api.get(&format!("/v1/audit-log?object=campaign&object_id={draft}&action=updated"));
        let fields: Vec<_> = log["data"].as_array().unwrap().iter().map(|line| line["after"]["fields"].to_string()).collect();
        assert!(fields.contains(&json!(["props"]).to_string()) && fields.contains(&json!(["from"]).to_string()), "{log}");
    }
}
