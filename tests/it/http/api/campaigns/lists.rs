//! Campaigns found by their names and states, in the order that somebody wants, and drafts like others.

use serde_json::{Value, json};

use super::{LONG, ask, assert_refused, draft, fields, people, pools};
use crate::support::api::{Api, id};
use crate::support::both_backends;
use crate::support::server::Server;

/// The names of the campaigns that a query finds, in their order, over all pages.
fn names(api: &Api, query: &str) -> Vec<String> {
    let mut page = api.get(&format!("/v1/campaigns?page_size=2&{query}"));
    let mut found = Vec::new();
    loop {
        found.extend(page["data"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { return found };
        page = api.get(&format!("/v1/campaigns?cursor={cursor}&{query}"));
    }
}

both_backends! {
    fn campaigns_are_found_by_name_status_and_channel_and_sorted(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        people(&api, 1);
        for name in ["Winter sale", "summer SALE", "Spring 100%", "Autumn"] {
            draft(&api, &json!({ "name": name, "audience": { "all": true } }));
        }
        let texts = json!({ "name": "Text sale", "channel": "sms", "pool": "texts", "body_text": "t", "audience": { "all": true } });
        api.post("/v1/campaigns", &texts);
        api.stop(1);
        let tomorrow = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() + 86_400).unwrap().to_string();
        api.post("/v1/campaigns/4/schedule", &json!({ "scheduled_at": tomorrow }));
        for (query, expected) in [
            ("search=sale", vec!["Text sale", "summer SALE", "Winter sale"]),
            ("search=100%25", vec!["Spring 100%"]),
            ("search=%25", vec!["Spring 100%"]),
            ("search=nothing", vec![]),
            ("search=", vec!["Text sale", "Autumn", "Spring 100%", "summer SALE", "Winter sale"]),
            ("status=stopped&status=scheduled", vec!["Autumn", "Winter sale"]),
            ("status%5B%5D=stopped&status%5B%5D=draft", vec!["Text sale", "Spring 100%", "summer SALE", "Winter sale"]),
            ("channel=sms&channel%5B%5D=whatsapp", vec!["Text sale"]),
            ("sort=name", vec!["Autumn", "Spring 100%", "summer SALE", "Text sale", "Winter sale"]),
            ("sort=name&order=desc&channel=email", vec!["Winter sale", "summer SALE", "Spring 100%", "Autumn"]),
            ("sort=scheduled_at&status=draft&status=scheduled&search=u", vec!["Autumn", "summer SALE"]),
            ("sort=ended_at&order=desc", vec!["Winter sale", "Text sale", "Autumn", "Spring 100%", "summer SALE"]),
            ("sort=created_at&search=sale", vec!["Winter sale", "summer SALE", "Text sale"]),
        ] {
            assert_eq!(names(&api, query), expected, "{query}");
        }
        let cursor = api.get("/v1/campaigns?page_size=2&sort=name")["next_cursor"].as_str().unwrap().to_owned();
        for query in [
            format!("cursor={cursor}"),
            format!("sort=name&order=desc&cursor={cursor}"),
            format!("search={}", "x".repeat(101)),
        ] {
            assert_eq!(server.send("GET", &format!("/v1/campaigns?{query}"), &[], b"").status, 400, "{query}");
        }
    }

    fn a_duplicate_says_the_same_to_the_same_people_under_a_free_name(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let ids = people(&api, 3);
        let more = json!({
            "audience": { "contact_ids": ids, "exclude": { "contact_ids": [ids[0]] } }, "body_html": "<p>Hi {first_name}</p>",
            "reply_to": "help@example.com", "headers": { "X-Season": "spring" }, "rate_per_second": 50.0, "retry_for": 60,
            "on_uncertain": "resend", "tracking": { "clicks": true, "opens": false },
        });
        let first = draft(&api, &more);
        api.send(first);
        api.wait_ended(first, LONG);
        let copy = ask(&server, "POST", &format!("/v1/campaigns/{first}/duplicate"), &json!({}));
        assert_eq!(copy.status, 201, "{copy:?}");
        assert_eq!(copy.header("location"), Some(format!("/v1/campaigns/{}", copy.body["id"]).as_str()));
        let (was, is) = (api.get(&format!("/v1/campaigns/{first}")), &copy.body);
        for field in [
            "channel", "pool", "subject", "body_text", "body_html", "reply_to", "headers", "category", "topic_id", "tracking", "audience",
            "on_uncertain", "rate_per_second", "retry_for",
        ] {
            assert_eq!(is[field], was[field], "{field}");
        }
        assert_eq!((&is["name"], &is["status"], &is["stats"]["total"]), (&json!("Spring (copy)"), &json!("draft"), &json!(0)));
        let name = |from: &Value, body: &Value| ask(&server, "POST", &format!("/v1/campaigns/{from}/duplicate"), body).body["name"].clone();
        assert_eq!(name(&is["id"], &json!({})), "Spring (copy 2)", "of a copy");
        assert_eq!(name(&json!(first), &json!({ "name": " Summer " })), "Summer");
        api.send(id(is));
        let sent = api.wait_ended(id(is), LONG);
        assert_eq!(sent.stats.sent, 2, "{}", sent.body);
        ask(&server, "DELETE", &format!("/v1/contacts/{}", ids[1]), &json!({}));
        let copy = ask(&server, "POST", &format!("/v1/campaigns/{first}/duplicate"), &json!({}));
        assert_eq!((copy.status, &copy.body["audience"]["contact_ids"]), (201, &json!([ids[0], ids[2]])), "{copy:?}");
        assert_refused(&ask(&server, "POST", "/v1/campaigns/999/duplicate", &json!({})), 404, "campaign_not_found");
        assert_refused(&ask(&server, "POST", &format!("/v1/campaigns/{first}/duplicate"), &json!({ "name": " " })), 422, "required");
    }

    fn a_campaign_is_launched_with_its_creation_or_not_made_at_all(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        people(&api, 3);
        let body = fields(&json!({ "audience": { "all": true }, "launch": true }));
        let made = ask(&server, "POST", "/v1/campaigns", &body);
        assert_eq!((made.status, &made.body["status"]), (201, &json!("sending")), "{made:?}");
        assert_eq!(api.wait_ended(id(&made.body), LONG).stats.sent, 3);
        for (more, code) in [
            (json!({ "launch": true }), "audience_required"),
            (json!({ "launch": true, "audience": { "all": true }, "body_text": null, "subject": null }), "template_required"),
            (json!({ "launch": true, "audience": { "all": true }, "scheduled_at": "2030-01-01T00:00:00Z" }), "not_allowed"),
        ] {
            assert_refused(&ask(&server, "POST", "/v1/campaigns", &fields(&more)), 422, code);
        }
        assert_eq!(api.get("/v1/campaigns")["pagination"]["total_count"], 1, "nothing was stored of the others");
    }

    fn a_send_may_name_an_audience_and_leave_out_ids_that_nobody_has(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let ids = people(&api, 4);
        let path = |campaign: i64| format!("/v1/campaigns/{campaign}/send");
        let campaign = draft(&api, &json!({ "audience": { "contact_ids": [ids[0]] } }));
        let audience = json!({ "all": true, "exclude": { "contact_ids": [ids[3]] } });
        let sent = ask(&server, "POST", &path(campaign), &json!({ "audience": audience }));
        assert_eq!((sent.status, &sent.body["messages_queued"]), (202, &json!(3)), "{sent:?}");
        assert_eq!(api.wait_ended(campaign, LONG).stats.sent, 3);

        let campaign = draft(&api, &json!({}));
        let both = json!({ "contact_ids": ids, "audience": { "all": true } });
        assert_refused(&ask(&server, "POST", &path(campaign), &both), 422, "not_allowed");
        let unknown = json!({ "contact_ids": [ids[0], 900_001, ids[1], 900_002, 900_001] });
        assert_refused(&ask(&server, "POST", &path(campaign), &unknown), 404, "contact_not_found");
        let nobody = json!({ "contact_ids": [900_001], "on_missing": "skip" });
        assert_refused(&ask(&server, "POST", &path(campaign), &nobody), 422, "audience_required");
        let excluded = json!({ "audience": { "contact_ids": [900_001], "exclude": { "contact_ids": [900_002] } }, "on_missing": "skip" });
        assert_refused(&ask(&server, "POST", &path(campaign), &excluded), 422, "audience_required");
        let mut skipping = unknown;
        skipping["on_missing"] = "skip".into();
        let sent = ask(&server, "POST", &path(campaign), &skipping);
        assert_eq!(sent.body, json!({ "campaign_id": campaign, "messages_queued": 2, "messages_skipped": 2, "status": "sending" }));
        assert_eq!(api.wait_ended(campaign, LONG).stats.sent, 2);
    }
}
