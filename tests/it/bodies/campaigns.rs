//! A campaign in each of its statuses, its recipients, and what is decided about it.

use std::time::Duration;

use serde_json::{Value, json};
use volley::config::pools::PoolConfig;
use volley::domain::channel::ChannelKind;

use super::{done, see};
use crate::support::Database;
use crate::support::api::{Api, id};
use crate::support::scripted_http::{Keys, ScriptedHttp};
use crate::support::server::{Server, sandbox, webhook};

const LONG: Duration = Duration::from_secs(60);

fn pools() -> Vec<PoolConfig> {
    vec![sandbox("main", ChannelKind::Email, 0.0)]
}

/// A list of one contact with an email address, and one without.
fn two_contacts(server: &Server) -> i64 {
    let api = server.api();
    let list = api.create_list("Customers");
    let ann = id(&api.post("/v1/contacts", &json!({ "email": "ann@example.com", "first_name": "Ann" })));
    let bob = id(&api.post("/v1/contacts", &json!({ "phone": "+442079460123", "first_name": "Bob" })));
    api.post(&format!("/v1/lists/{list}/members"), &json!({ "contact_ids": [ann, bob] }));
    list
}

fn campaign(api: &Api, list: i64) -> i64 {
    let fields = json!({
        "name": "Spring", "body_text": "Dear {first_name|friend}, {last_name}", "retry_for": "2h", "rate_per_second": 100,
    });
    api.create_campaign("email", "main", list, &fields)
}

fn body(api: &Api, campaign: i64) -> Value {
    api.get(&format!("/v1/campaigns/{campaign}"))
}

#[test]
fn a_campaign_that_waits_is_held_and_is_stopped() {
    let db = Database::sqlite();
    let server = Server::with_pools(&db, pools());
    let api = server.api();
    let list = two_contacts(&server);
    let campaign = campaign(&api, list);
    let path = format!("/v1/campaigns/{campaign}");
    see("campaign_draft", &body(&api, campaign));
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    see(
        "campaign_scheduled",
        &done(&server, "POST", &format!("{path}/schedule"), &json!({ "scheduled_at": at.to_string() })),
    );
    done(&server, "POST", &format!("{path}/unschedule"), &json!({}));
    let suspended = json!({ "reason": "the provider moves" });
    see("pool_suspended", &done(&server, "POST", "/v1/pools/main/suspend?wait_ms=30000", &suspended));
    see("pool_receipt", &api.get("/v1/pools/main/receipt"));
    see("launch", &api.send(campaign));
    let held = api.wait(campaign, "the pool holds it", LONG, |seen| {
        seen.stats.total == 2 && seen.attention.is_some() && seen.body["packing"]["done"] == true
    });
    see("campaign_sending_and_held", &held.body);
    let listed = api.get("/v1/campaigns?status=sending");
    see("campaign_list", &listed);
    see("campaign_paused", &done(&server, "POST", &format!("{path}/pause?wait_ms=30000"), &json!({})));
    see("campaign_receipt", &api.get(&format!("{path}/receipt")));
    done(&server, "POST", &format!("{path}/stop"), &json!({}));
    let stopped = api.wait(campaign, "what is left is skipped", LONG, |seen| {
        seen.stats.pending == 0 && !seen.body["ended_at"].is_null()
    });
    see("campaign_stopped", &stopped.body);
}

#[test]
fn a_campaign_that_is_sent() {
    let db = Database::sqlite();
    let server = Server::with_pools(&db, pools());
    let api = server.api();
    let list = two_contacts(&server);
    let campaign = campaign(&api, list);
    api.send(campaign);
    see("campaign_sent", &api.wait_ended(campaign, LONG).body);
    see("deliveries_of_a_sent_campaign", &api.get(&format!("/v1/campaigns/{campaign}/deliveries")));
    see("audit", &api.audit(campaign));
    see("delivery", &api.get(&format!("/v1/campaigns/{campaign}/deliveries/1")));
    see("why_sent", &api.get(&format!("/v1/campaigns/{campaign}/why/1")));
    see("why_skipped", &api.get(&format!("/v1/campaigns/{campaign}/why/2")));
    api.post("/v1/contacts", &json!({ "email": "eve@example.com" }));
    see("why_never_meant", &api.get(&format!("/v1/campaigns/{campaign}/why/3")));
    let mut links = api.get(&format!("/v1/campaigns/{campaign}/deliveries/1/links"));
    for link in ["unsubscribe_url", "preferences_url"] {
        let (path, _) = links[link].as_str().unwrap().rsplit_once('/').unwrap();
        links[link] = json!(format!("{path}/[token]"));
    }
    let (_, contact) = links["delivery_key"].as_str().unwrap().split_once(':').unwrap();
    links["delivery_key"] = json!(format!("[key]:{contact}"));
    let header = links["headers"]["List-Unsubscribe"].as_str().unwrap();
    links["headers"]["List-Unsubscribe"] = json!(format!("{}/[token]>", header.rsplit_once('/').unwrap().0));
    see("links_of_a_recipient", &links);
    let bulk = json!({ "action": "pause", "campaign_ids": [campaign, 4711] });
    see("bulk_action", &api.post("/v1/campaigns/bulk-action", &bulk));
}

/// A campaign to one contact through a provider that follows `script`, when it has ended.
fn ended_by(script: &str, look: impl FnOnce(&Server, i64, &Value)) {
    let db = Database::sqlite();
    let sink = ScriptedHttp::slow((0, 0), Keys::Ignored);
    let server = Server::with_pools(&db, vec![webhook("api", &sink)]);
    let api = server.api();
    api.post("/v1/contacts", &json!({ "email": "ann@example.com" }));
    sink.play(script);
    let fields =
        json!({ "name": "U", "channel": "http", "pool": "api", "body_text": "x", "audience": { "all": true } });
    let campaign = id(&api.post("/v1/campaigns", &fields));
    api.send(campaign);
    look(&server, campaign, &api.wait_ended(campaign, LONG).body);
}

#[test]
fn a_campaign_that_is_refused() {
    ended_by("request every=1: 422 no such recipient", |server, campaign, body| {
        see("campaign_failed", body);
        let deliveries = server.api().get(&format!("/v1/campaigns/{campaign}/deliveries?status=failed"));
        see("deliveries_that_have_failed", &deliveries);
        see("why_failed", &server.api().get(&format!("/v1/campaigns/{campaign}/why/1")));
    });
}

#[test]
fn a_campaign_with_uncertain_deliveries_before_and_after_they_are_resolved() {
    ended_by("request every=1: {take} 500", |server, campaign, body| {
        see("campaign_uncertain", body);
        let path = format!("/v1/campaigns/{campaign}/deliveries");
        see("deliveries_that_are_uncertain", &server.api().get(&format!("{path}?status=uncertain")));
        let mut incidents = server.api().get("/v1/uncertain");
        let id = incidents["data"][0]["id"].as_str().unwrap().to_owned();
        let mut incident = server.api().get(&format!("/v1/uncertain/{id}"));
        for one in [&mut incidents["data"][0], &mut incident] {
            one["id"] = json!("[incident]");
            one["message_key"] = json!("[key]");
            one["examples"][0]["key"] = json!("[key]:1");
        }
        incident["recipients"][0]["key"] = json!("[key]:1");
        let log = json!({ "log": "nothing of ours\n" });
        let mut found = done(server, "POST", &format!("/v1/uncertain/{id}/match"), &log);
        found["incident"] = json!("[incident]");
        see("log_match", &found);
        see(
            "resolution_dry",
            &done(server, "POST", &format!("{path}/resolve"), &json!({ "as": "pending", "dry_run": true })),
        );
        see("incidents", &incidents);
        see("incident", &incident);
        see("why_uncertain", &server.api().get(&format!("/v1/campaigns/{campaign}/why/1")));
        see("resolution", &done(server, "POST", &format!("{path}/resolve"), &json!({ "as": "sent" })));
    });
}

#[test]
fn a_scheduled_campaign_that_cannot_be_launched() {
    let db = Database::sqlite();
    let server = Server::with_pools(&db, pools());
    let list = two_contacts(&server);
    let campaign = campaign(&server.api(), list);
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(1);
    done(&server, "POST", &format!("/v1/campaigns/{campaign}/schedule"), &json!({ "scheduled_at": at.to_string() }));
    drop(server);
    let server = Server::with_pools(&db, vec![sandbox("other", ChannelKind::Email, 0.0)]);
    see("campaign_launch_failed", &server.api().wait_ended(campaign, LONG).body);
}

#[test]
fn previews_and_test_messages() {
    let db = Database::sqlite();
    let server = Server::with_pools(&db, pools());
    let api = server.api();
    let list = two_contacts(&server);
    let campaign = campaign(&api, list);
    let path = format!("/v1/campaigns/{campaign}");
    see("campaign_preview", &api.post(&format!("{path}/personalized-preview"), &json!({ "contact_id": 1 })));
    let mut preflight = api.post(&format!("{path}/preflight"), &json!({}));
    // It tells when members came.
    preflight["fingerprint"] = json!("[fingerprint]");
    see("campaign_preflight", &preflight);
    see("test_messages", &api.post(&format!("{path}/test-send"), &json!({ "contact_ids": [1, 2] })));
}
