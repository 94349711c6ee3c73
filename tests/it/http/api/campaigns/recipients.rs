//! Deliveries: their list, and what is done about those that failed or that nobody knows about.

use serde_json::{Value, json};
use volley::config::pools::PoolConfig;
use volley::domain::channel::ChannelKind;

use super::{LONG, ask, assert_illegal, assert_refused, draft, people, pools};
use crate::support::api::{Api, id};
use crate::support::both_backends;
use crate::support::scripted_http::{Keys, ScriptedHttp};
use crate::support::server::{Server, sandbox, webhook};

/// A campaign of four people whose provider took everything and confirmed nothing.
pub(super) fn uncertain(api: &Api, sink: &ScriptedHttp) -> (i64, Vec<i64>) {
    let ids = people(api, 4);
    sink.play("request every=1: {take} 500");
    let body = json!({ "name": "U", "channel": "http", "pool": "api", "body_text": "x", "audience": { "all": true } });
    let campaign = id(&api.post("/v1/campaigns", &body));
    api.send(campaign);
    let ended = api.wait_ended(campaign, LONG);
    assert_eq!((ended.status.as_str(), ended.stats.uncertain), ("sent", 4), "{}", ended.body);
    sink.play("");
    (campaign, ids)
}

both_backends! {
    fn deliveries_are_walked_by_cursor_and_filtered_by_status(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let ids = people(&api, 7);
        let phone_only = id(&api.post("/v1/contacts", &json!({ "phone": "+14155552671" })));
        let campaign = draft(&api, &json!({ "audience": { "all": true } }));
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        let path = format!("/v1/campaigns/{campaign}/deliveries");
        let (mut seen, mut cursor, mut parts) = (Vec::new(), String::new(), 0);
        loop {
            let part = api.get(&format!("{path}?page_size=3{cursor}"));
            seen.extend(part["data"].as_array().unwrap().iter().map(|row| row["contact"]["id"].as_i64().unwrap()));
            parts += 1;
            let Some(next) = part["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let everyone: Vec<i64> = ids.iter().copied().chain([phone_only]).collect();
        assert_eq!((seen, parts), (everyone, 3));
        let skipped = api.deliveries(campaign, "skipped");
        assert_eq!(skipped.len(), 1);
        assert_eq!((&skipped[0]["contact"]["id"], &skipped[0]["error"]), (&json!(phone_only), &json!("no_address")));
        let sent = api.deliveries(campaign, "sent");
        assert_eq!(sent.len(), 7);
        let first = &sent[0];
        assert_eq!((&first["contact"]["email"], &first["attempts"]), (&json!("person1@example.com"), &json!(1)));
        assert_eq!((&first["status"], &first["error"]), (&json!("sent"), &json!(null)));
        assert!(first["provider_id"].as_str().unwrap().starts_with("sandbox-"), "{first}");
        assert!(first["settled_at"].is_string(), "{first}");
        for query in ["cursor=after-x", "cursor=3", "status=lost", "page_size=0", "limit=5"] {
            assert_eq!(server.send("GET", &format!("{path}?{query}"), &[], b"").status, 400, "{query}");
        }
        assert_eq!(server.send("DELETE", &format!("/v1/contacts/{}", ids[0]), &[], b"").status, 204);
        assert_eq!(api.deliveries(campaign, "sent").len(), 7, "a deletion hides no delivery");
    }

    fn deliveries_of_one_status_are_walked_over_pages_without_gaps(db: &Database) {
        let half = PoolConfig { max_attempts: 1, ..sandbox("half", ChannelKind::Email, 0.5) };
        let server = Server::with(db, |settings| {
            settings.pools = vec![half];
            settings.sending.page_size = 3;
        });
        let api = server.api();
        people(&api, 40);
        let campaign = draft(&api, &json!({ "pool": "half", "audience": { "all": true } }));
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        let path = format!("/v1/campaigns/{campaign}/deliveries");
        let everybody = api.get(&format!("{path}?page_size=100"));
        let everybody = everybody["data"].as_array().unwrap();
        assert_eq!(everybody.len(), 40);
        for status in ["failed", "sent", "pending"] {
            let expected: Vec<_> = everybody.iter().filter(|row| row["status"] == status).cloned().collect();
            for page_size in [1, 4, 100] {
                let (mut seen, mut cursor) = (Vec::new(), String::new());
                loop {
                    let part = api.get(&format!("{path}?status={status}&page_size={page_size}{cursor}"));
                    seen.extend(part["data"].as_array().unwrap().iter().cloned());
                    let Some(next) = part["next_cursor"].as_str() else { break };
                    cursor = format!("&cursor={next}");
                }
                assert_eq!(seen, expected, "{status}, {page_size} at a time");
            }
        }
    }

    fn what_failed_is_sent_again_and_the_campaign_completes(db: &Database) {
        let mut failing = sandbox("fast", ChannelKind::Email, 1.0);
        failing.max_attempts = 1;
        let server = Server::with_pools(db, vec![failing]);
        let api = server.api();
        people(&api, 5);
        let campaign = draft(&api, &json!({ "audience": { "all": true } }));
        api.send(campaign);
        let ended = api.wait_ended(campaign, LONG);
        assert_eq!((ended.status.as_str(), ended.stats.failed), ("failed", 5), "{}", ended.body);
        drop(server);
        let server = Server::with_pools(db, vec![sandbox("fast", ChannelKind::Email, 0.0)]);
        let api = server.api();
        let again = ask(&server, "POST", &format!("/v1/campaigns/{campaign}/retry-failed"), &json!({}));
        assert_eq!((again.status, &again.body["status"]), (202, &json!("sending")), "{again:?}");
        assert_eq!((&again.body["ended_at"], &again.body["outcome"]), (&json!(null), &json!(null)));
        let ended = api.wait_ended(campaign, LONG);
        assert_eq!((ended.status.as_str(), ended.stats.sent, ended.stats.failed), ("sent", 5, 0), "{}", ended.body);
        for delivery in api.deliveries(campaign, "sent") {
            assert_eq!((&delivery["error"], &delivery["error_category"]), (&json!(null), &json!(null)), "{delivery}");
        }
        let nothing = ask(&server, "POST", &format!("/v1/campaigns/{campaign}/retry-failed"), &json!({}));
        assert_eq!(nothing.status, 202, "{nothing:?}");
        assert_eq!(api.wait_ended(campaign, LONG).stats.sent, 5);
    }

    fn what_nobody_knows_is_resolved_as_an_operator_says(db: &Database) {
        let sink = ScriptedHttp::slow((0, 0), Keys::Ignored);
        let server = Server::with_pools(db, vec![webhook("api", &sink)]);
        let api = server.api();
        let (campaign, ids) = uncertain(&api, &sink);
        let path = format!("/v1/campaigns/{campaign}/deliveries/resolve");
        let resolve = |body: Value| ask(&server, "POST", &path, &body);
        let doubtful = api.deliveries(campaign, "uncertain");
        assert!(doubtful.iter().all(|row| row["error"].as_str().unwrap().contains("500")), "{doubtful:?}");
        for (body, code) in [
            (json!({ "as": "maybe" }), "not_allowed"),
            (json!({}), "required"),
            (json!({ "as": "sent", "contact_ids": [] }), "out_of_range"),
            (json!({ "as": "sent", "contact_ids": ["1"] }), "wrong_type"),
        ] {
            assert_refused(&resolve(body), 422, code);
        }
        let sent = resolve(json!({ "as": "sent", "contact_ids": [ids[0], ids[0], 4711] }));
        assert_eq!(sent.body, json!({ "campaign_id": campaign, "resolved": 1, "status": "sent" }), "{sent:?}");
        let failed = resolve(json!({ "as": "failed", "contact_ids": [ids[1]] }));
        assert_eq!(failed.body["resolved"], 1, "{failed:?}");
        let stats = api.campaign(campaign).stats;
        assert_eq!((stats.sent, stats.failed, stats.uncertain), (1, 1, 2));
        api.audit(campaign);
        let settled = resolve(json!({ "as": "pending", "contact_ids": [ids[0]] }));
        assert_eq!(settled.body, json!({ "campaign_id": campaign, "resolved": 0, "status": "sent" }), "{settled:?}");
        let again = resolve(json!({ "as": "pending", "contact_ids": [ids[2]] }));
        assert_eq!((&again.body["resolved"], &again.body["status"]), (&json!(1), &json!("sending")), "{again:?}");
        let ended = api.wait_ended(campaign, LONG);
        assert_eq!((ended.stats.sent, ended.stats.failed, ended.stats.uncertain), (2, 1, 1), "{}", ended.body);
        let rest = resolve(json!({ "as": "pending" }));
        assert_eq!((rest.status, &rest.body["resolved"]), (200, &json!(1)), "{rest:?}");
        let ended = api.wait(campaign, "the rest is sent", LONG, |seen| seen.is_ended() && seen.stats.uncertain == 0);
        assert_eq!((ended.status.as_str(), ended.stats.sent, ended.stats.failed), ("sent", 3, 1), "{}", ended.body);
        api.audit(campaign);
        let mut taken = sink.ledger().twice();
        taken.sort();
        assert_eq!(taken, ["person3@example.com", "person4@example.com"], "only those were sent again");
    }

    fn what_was_resolved_is_answered_without_another_look(db: &Database) {
        let sink = ScriptedHttp::slow((0, 0), Keys::Ignored);
        let server = Server::with_pools(db, vec![webhook("api", &sink)]);
        let api = server.api();
        let (campaign, _) = uncertain(&api, &sink);
        let path = format!("/v1/campaigns/{campaign}/deliveries/resolve");
        // A look at the whole campaign fails from here on.
        server.execute("ALTER TABLE packings RENAME TO hidden".to_owned());
        let resolved = ask(&server, "POST", &path, &json!({ "as": "sent" }));
        server.execute("ALTER TABLE hidden RENAME TO packings".to_owned());
        assert_eq!(resolved.body, json!({ "campaign_id": campaign, "resolved": 4, "status": "sent" }), "{resolved:?}");
    }

    fn all_that_is_uncertain_is_resolved_at_once(db: &Database) {
        let sink = ScriptedHttp::slow((0, 0), Keys::Ignored);
        let server = Server::with_pools(db, vec![webhook("api", &sink)]);
        let api = server.api();
        let (campaign, _) = uncertain(&api, &sink);
        let path = format!("/v1/campaigns/{campaign}/deliveries/resolve");
        let resolved = ask(&server, "POST", &path, &json!({ "as": "sent" }));
        assert_eq!(resolved.body["resolved"], 4, "{resolved:?}");
        assert_eq!(api.wait_ended(campaign, LONG).stats.sent, 4);
        assert_eq!(ask(&server, "POST", &path, &json!({ "as": "sent" })).body["resolved"], 0);
        assert_eq!(sink.ledger().twice().len(), 0);
        let unlaunched = id(&api.post("/v1/campaigns", &json!({ "name": "D", "channel": "http", "body_text": "x" })));
        let none = ask(&server, "POST", &format!("/v1/campaigns/{unlaunched}/deliveries/resolve"), &json!({ "as": "pending" }));
        assert_eq!((none.status, &none.body["status"]), (200, &json!("draft")), "{none:?}");
        assert_illegal(&ask(&server, "POST", &format!("/v1/campaigns/{unlaunched}/retry-failed"), &json!({})), "draft");
    }
}
