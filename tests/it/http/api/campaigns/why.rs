//! Why one person got a campaign's message, or did not.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use volley::config::pools::PoolConfig;
use volley::domain::channel::ChannelKind;
use volley::domain::span::Span;
use volley::http::routes::{Door, TABLE};

use super::{LONG, ask, assert_refused, draft, people, pools};
use crate::support::api::{Api, id};
use crate::support::both_backends;
use crate::support::scripted_http::{Keys, ScriptedHttp};
use crate::support::server::{Server, sandbox, webhook};

/// The answer for one person. What it offers to do is a route of the table, with the scope of that.
#[track_caller]
fn why(api: &Api, campaign: i64, contact: i64) -> Value {
    let why = api.get(&format!("/v1/campaigns/{campaign}/why/{contact}"));
    for way in why["can"].as_array().unwrap() {
        let parts: Vec<&str> = way["path"].as_str().unwrap().split('/').collect();
        let is_it = |path: &str| {
            let pattern: Vec<&str> = path.split('/').collect();
            pattern.len() == parts.len() && pattern.iter().zip(&parts).all(|(a, b)| a.starts_with('{') || a == b)
        };
        let entry = TABLE.iter().find(|entry| way["method"] == entry.method.as_str() && is_it(entry.path));
        let Some(Door::Api(scope)) = entry.map(|entry| entry.door) else { panic!("no such route: {way}") };
        let is_lifted = way["act"] == "lift";
        assert!(way["scope"] == scope.as_str() || is_lifted, "{way}: the route asks for {scope}");
    }
    why
}

#[track_caller]
fn assert_says(why: &Value, state: &str, verdict: &str) {
    assert_eq!((&why["state"], &why["verdict"]), (&json!(state), &json!(verdict)), "{why:#}");
}

/// The sources of the facts that a verdict rests on.
fn sources(why: &Value) -> BTreeSet<String> {
    let steps = why["steps"].as_array().unwrap().iter().filter(|step| step["decides"] == true);
    steps.map(|step| step["source"].as_str().unwrap().to_owned()).collect()
}

fn acts(why: &Value) -> Vec<&str> {
    why["can"].as_array().unwrap().iter().map(|way| way["act"].as_str().unwrap()).collect()
}

fn only(source: &str) -> BTreeSet<String> {
    BTreeSet::from([source.to_owned()])
}

/// Does what an answer offers.
#[track_caller]
fn take(server: &Server, why: &Value, act: &str) {
    let way = why["can"].as_array().unwrap().iter().find(|way| way["act"] == act).unwrap_or_else(|| panic!("{why:#}"));
    let body = if way["body"].is_null() { json!({}) } else { way["body"].clone() };
    let answer = ask(server, way["method"].as_str().unwrap(), way["path"].as_str().unwrap(), &body);
    assert!((200..300).contains(&answer.status), "{way}: {answer:?}");
}

both_backends! {
    fn each_of_those_who_are_in_a_campaign_and_those_who_are_not_is_told_why(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let (list, left_out) = (api.create_list("Customers"), api.create_list("Competitors"));
        let ids = people(&api, 5);
        let bob = id(&api.post("/v1/contacts", &json!({ "phone": "+14155552671" })));
        let members = [ids[0], ids[1], ids[2], bob];
        api.post(&format!("/v1/lists/{list}/members"), &json!({ "contact_ids": members }));
        api.post(&format!("/v1/lists/{left_out}/members"), &json!({ "contact_ids": [ids[1], ids[4]] }));
        api.post("/v1/suppressions", &json!({ "address": "person3@example.com", "reason": "blocked" }));
        let audience = json!({ "lists": [list], "exclude": { "lists": [left_out] } });
        let campaign = draft(&api, &json!({ "audience": audience }));
        let before = why(&api, campaign, ids[0]);
        assert_says(&before, "not_launched", "Not sent yet: the campaign is a draft.");
        assert_eq!((acts(&before), sources(&before)), (vec!["launch"], only(&format!("campaign {campaign}"))));
        assert_eq!(why(&api, campaign, ids[1])["state"], "left_out", "also before the launch");
        api.send(campaign);
        api.wait_ended(campaign, LONG);

        let sent = why(&api, campaign, ids[0]);
        assert_says(&sent, "sent", "Sent: the provider took the message.");
        assert_eq!((acts(&sent), sources(&sent)), (vec![], only("delivery")));
        assert_eq!(sent["contact"]["email"], "person1@example.com");
        let told: Vec<&str> = sent["steps"].as_array().unwrap().iter().map(|s| s["source"].as_str().unwrap()).collect();
        let list_source = format!("list {list}");
        let page = format!("page {}", api.get(&format!("/v1/campaigns/{campaign}/deliveries"))["data"][0]["page_id"]);
        for source in [list_source.as_str(), &format!("contact {}", ids[0]), &page, "delivery"] {
            assert!(told.contains(&source), "{source}: {told:?}");
        }

        let excluded = why(&api, campaign, ids[1]);
        assert_says(&excluded, "left_out", &format!("Left out by list {left_out} (Competitors): on the list."));
        assert_eq!((acts(&excluded), sources(&excluded)), (vec![], only(&format!("list {left_out}"))));

        let suppressed = why(&api, campaign, ids[2]);
        let verdict = "Not sent: nothing is sent to the address: it bounced, complained, or is blocked.";
        assert_says(&suppressed, "skipped", verdict);
        assert_eq!(sources(&suppressed), BTreeSet::from(["delivery".to_owned(), "suppression".to_owned()]));
        take(&server, &suppressed, "lift");
        assert_eq!(acts(&why(&api, campaign, ids[2])), Vec::<&str>::new(), "nothing is held against it any more");

        let unreachable = why(&api, campaign, bob);
        assert_says(&unreachable, "skipped", "Not sent: the contact has no address for the channel.");
        assert_eq!(acts(&unreachable), ["change_contact"]);

        let stranger = why(&api, campaign, ids[3]);
        assert_says(&stranger, "not_named", &format!("Never meant: not named by list {list} (Customers): not on it."));
        let excluded_stranger = why(&api, campaign, ids[4]);
        assert_eq!(excluded_stranger["state"], "not_named", "an exclusion of somebody who is not meant decides nothing");

        api.post(&format!("/v1/lists/{list}/members"), &json!({ "contact_ids": [ids[3]] }));
        let late = why(&api, campaign, ids[3]);
        let verdict = format!("Never meant: not named by list {list} (Customers): subscribed only after the launch.");
        assert_says(&late, "not_named", &verdict);

        assert_eq!(server.send("DELETE", &format!("/v1/contacts/{}", ids[0]), &[], b"").status, 204);
        let gone = why(&api, campaign, ids[0]);
        assert_says(&gone, "sent", "Sent: the provider took the message.");
        let unknown = |step: &Value| step["source"] == "none" && step["fact"].as_str().unwrap().contains("which one is not recorded");
        assert!(gone["steps"].as_array().unwrap().iter().any(unknown), "{gone:#}");

        for (path, status, code) in [
            (format!("/v1/campaigns/{campaign}/why/4711"), 404, "contact_not_found"),
            (format!("/v1/campaigns/4711/why/{}", ids[1]), 404, "campaign_not_found"),
            (format!("/v1/campaigns/{campaign}/why/x"), 400, "id_malformed"),
            (format!("/v1/campaigns/{campaign}/why/1?verbose=1"), 400, "unknown_parameter"),
            (format!("/v1/campaigns/{campaign}/deliveries/{}", ids[3]), 404, "delivery_not_found"),
            (format!("/v1/campaigns/4711/deliveries/{}", ids[0]), 404, "campaign_not_found"),
            (format!("/v1/campaigns/{campaign}/deliveries/x"), 400, "id_malformed"),
        ] {
            assert_refused(&server.send("GET", &path, &[], b""), status, code);
        }
    }

    fn a_delivery_is_shown_as_the_list_shows_it(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        people(&api, 3);
        let campaign = draft(&api, &json!({ "audience": { "all": true } }));
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        let path = format!("/v1/campaigns/{campaign}/deliveries");
        for row in api.get(&path)["data"].as_array().unwrap() {
            let mut one = api.get(&format!("{path}/{}", row["contact"]["id"]));
            // Only the one has it; who was accepted at once has nothing in it.
            assert_eq!(one.as_object_mut().unwrap().remove("attempt_log"), Some(json!([])));
            assert_eq!(&one, row);
        }
    }

    fn who_waits_is_told_what_for_and_what_lets_it_go_on(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let ids = people(&api, 30);
        let campaign = draft(&api, &json!({ "pool": "slow", "audience": { "all": true } }));
        api.send(campaign);
        api.wait(campaign, "everybody is packed", LONG, |seen| seen.body["packing"]["done"] == true);
        let last = ids[29];
        let waits = why(&api, campaign, last);
        assert_says(&waits, "pending", "Not sent yet: it waits for its turn.");
        let suspended = json!({ "reason": "the provider moves" });
        api.post("/v1/pools/slow/suspend?wait_ms=0", &suspended);
        let held = why(&api, campaign, last);
        assert_says(&held, "pending", "Not sent yet: the pool slow is suspended.");
        assert_eq!((acts(&held), sources(&held)), (vec!["resume_pool"], only("pool slow")));
        api.pause(campaign);
        let paused = why(&api, campaign, last);
        assert_says(&paused, "pending", "Not sent yet: the campaign is paused.");
        assert!(sources(&paused).contains("campaign decision"), "{paused:#}");
        assert_eq!(acts(&paused), ["resume"]);
        take(&server, &paused, "resume");
        take(&server, &held, "resume_pool");
        let address = format!("person{}@example.com", 30);
        api.post("/v1/suppressions", &json!({ "address": address, "reason": "blocked" }));
        let kept_back = why(&api, campaign, last);
        let verdict = "Not sent yet, and it will not be, as things are: nothing is sent to the address: it bounced, complained, or is \
                       blocked.";
        assert_says(&kept_back, "pending", verdict);
        assert_eq!(acts(&kept_back), ["lift"]);
        api.stop(campaign);
        api.wait_ended(campaign, LONG);
        let stopped = why(&api, campaign, last);
        assert_says(&stopped, "skipped", "Not sent: the campaign was stopped first.");
        assert!(sources(&stopped).contains("campaign decision"), "{stopped:#}");
    }

    fn who_is_not_packed_yet_is_told_so(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let ids = people(&api, 9);
        let campaign = draft(&api, &json!({ "audience": { "all": true } }));
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        // As if the process had died while it packed.
        db.execute(&format!("DELETE FROM deliveries WHERE campaign_id = {campaign} AND contact_id > {}", ids[3]));
        db.execute(&format!("UPDATE packings SET done = FALSE, cursor_contact_id = {} WHERE campaign_id = {campaign}", ids[3]));
        db.execute(&format!("UPDATE campaigns SET status = 'paused' WHERE id = {campaign}"));
        let coming = why(&api, campaign, ids[8]);
        let verdict = "Not reached yet: the campaign is paused, and this part of its audience is not packed.";
        assert_says(&coming, "not_packed", verdict);
        assert!(sources(&coming).contains(&format!("packing of campaign {campaign}")), "{coming:#}");
        assert_eq!(acts(&coming), ["resume"]);
        let newer = id(&api.post("/v1/contacts", &json!({ "email": "new@example.com" })));
        let verdict = "Never meant: the contact was created after the launch.";
        assert_says(&why(&api, campaign, newer), "missed", verdict);
        db.execute(&format!("UPDATE campaigns SET status = 'stopped' WHERE id = {campaign}"));
        let verdict = "Never reached: the campaign was stopped before this part of its audience was packed.";
        assert_says(&why(&api, campaign, ids[8]), "not_packed", verdict);
    }

    fn what_failed_quotes_the_provider_and_can_be_tried_again(db: &Database) {
        let retry_delays = Some(vec![Span::from_ms(10)]);
        let failing = PoolConfig { max_attempts: 3, retry_delays, ..sandbox("fast", ChannelKind::Email, 1.0) };
        let server = Server::with_pools(db, vec![failing]);
        let api = server.api();
        let ids = people(&api, 2);
        let campaign = draft(&api, &json!({ "audience": { "all": true } }));
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        let delivery = api.get(&format!("/v1/campaigns/{campaign}/deliveries/{}", ids[0]));
        let failed = why(&api, campaign, ids[0]);
        assert_eq!(failed["state"], "failed");
        let quoted = format!("(“{}”).", delivery["error"].as_str().unwrap());
        assert!(failed["verdict"].as_str().unwrap().ends_with(&quoted), "{failed:#}");
        assert!(acts(&failed).contains(&"retry"), "{failed:#}");
        for contact in &ids {
            let delivery = api.get(&format!("/v1/campaigns/{campaign}/deliveries/{contact}"));
            let tried = delivery["attempt_log"].as_array().unwrap();
            assert_eq!(json!(tried.len()), delivery["attempts"], "{delivery:#}");
            let (last, before) = tried.split_last().unwrap();
            assert!(before.iter().all(|attempt| attempt["status"] == "pending"), "{delivery:#}");
            for (shown, of) in [("status", "status"), ("error", "error"), ("answer_class", "answer_class")] {
                assert_eq!(last[shown], delivery[of], "{delivery:#}");
            }
            let told = why(&api, campaign, *contact)["steps"].as_array().unwrap().clone();
            assert_eq!(told.iter().filter(|step| step["source"] == "attempt").count(), tried.len(), "{told:#?}");
        }
        take(&server, &failed, "retry");
        api.wait_ended(campaign, LONG);
    }

    fn what_nobody_knows_can_be_resolved_and_then_says_who_decided(db: &Database) {
        let sink = ScriptedHttp::slow((0, 0), Keys::Ignored);
        let server = Server::with_pools(db, vec![webhook("api", &sink)]);
        let api = server.api();
        let ids = people(&api, 2);
        sink.play("request every=1: {take} 500");
        let body =
            json!({ "name": "U", "channel": "http", "pool": "api", "body_text": "x", "audience": { "all": true } });
        let campaign = id(&api.post("/v1/campaigns", &body));
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        let doubtful = why(&api, campaign, ids[0]);
        assert_eq!(doubtful["state"], "uncertain");
        assert!(doubtful["verdict"].as_str().unwrap().ends_with("Asking again could send it twice."), "{doubtful:#}");
        assert_eq!(acts(&doubtful), ["resolve_sent", "resolve_failed", "resolve_pending"]);
        take(&server, &doubtful, "resolve_failed");
        let resolved = why(&api, campaign, ids[0]);
        assert_says(&resolved, "failed", "Not sent, as an operator has noted: it had been uncertain.");
        assert_eq!(why(&api, campaign, ids[1])["state"], "uncertain", "only this one was resolved");
        take(&server, &why(&api, campaign, ids[1]), "resolve_sent");
        let verdict = "Sent, as an operator has noted: it had been uncertain.";
        assert_says(&why(&api, campaign, ids[1]), "sent", verdict);
    }

    fn what_was_reported_afterwards_is_told_with_its_event(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let ids = people(&api, 1);
        let campaign = draft(&api, &json!({ "audience": { "all": true } }));
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        // A hard bounce, and an open by a person of which no event is kept any more.
        db.execute(&format!("UPDATE deliveries SET reported = 20 WHERE campaign_id = {campaign}"));
        for (event, of) in [(7, campaign), (8, campaign + 1)] {
            db.execute(&format!(
                "INSERT INTO events (id, contact_id, name, properties, occurred_at, received_at, source) VALUES ({event}, {}, \
                 'message.hard_bounced', '{{\"campaign_id\":{of}}}', 1600000000000, 1600000000000, 'pool: fast')",
                ids[0]
            ));
        }
        let bounced = why(&api, campaign, ids[0]);
        assert_says(&bounced, "sent", "Sent: the provider took the message; it came back as a hard bounce.");
        let steps = bounced["steps"].as_array().unwrap();
        let bounce = steps.iter().find(|step| step["source"] == "event 7").unwrap_or_else(|| panic!("{bounced:#}"));
        assert_eq!((&bounce["at"], &bounce["decides"]), (&json!("2020-09-13T12:26:40.000Z"), &json!(true)));
        assert!(!steps.iter().any(|step| step["source"] == "event 8"), "that is another campaign's: {bounced:#}");
        assert!(steps.iter().any(|step| step["fact"] == "It was opened." && step["at"].is_null()), "{bounced:#}");
    }
}
