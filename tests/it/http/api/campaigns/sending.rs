//! Sending: the launch, what operators may do when, and how campaigns end.

use serde_json::{Value, json};
use volley::config::pools::PoolConfig;
use volley::domain::channel::ChannelKind;

use super::{LONG, ask, assert_illegal, assert_refused, draft, people, pools};
use crate::support::api::id;
use crate::support::both_backends;
use crate::support::server::{Server, sandbox};

both_backends! {
    fn a_send_names_how_many_distinct_people_it_is_for(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let ids = people(&api, 4);
        let campaign = draft(&api, &json!({ "audience": { "all": true } }));
        let path = format!("/v1/campaigns/{campaign}");
        let body = json!({ "customer_ids": [ids[2], ids[0], ids[2]] });
        let sent = ask(&server, "POST", &format!("{path}/send"), &body);
        assert_eq!(sent.status, 202, "{sent:?}");
        assert_eq!(sent.body, json!({ "campaign_id": campaign, "messages_queued": 2, "status": "sending" }));
        assert_eq!(sent.header("location"), Some(path.as_str()));
        let ended = api.wait_ended(campaign, LONG);
        assert_eq!((ended.status.as_str(), ended.stats.total, ended.stats.sent), ("sent", 2, 2), "{}", ended.body);
        assert_eq!(ended.body["audience"], json!({ "contact_ids": [ids[0], ids[2]] }));
        assert_eq!(ended.body["packing"], json!({ "done": true, "expected": 2 }));
        assert_eq!(ended.body["outcome"], json!(null));
        assert!(ended.body["launched_at"].is_string() && ended.body["ended_at"].is_string(), "{}", ended.body);
        assert_illegal(&ask(&server, "POST", &format!("{path}/send"), &json!({})), "sent");
    }

    fn of_two_sends_at_once_one_launches(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        people(&api, 3);
        for _ in 0..5 {
            let campaign = draft(&api, &json!({ "audience": { "all": true } }));
            let path = format!("/v1/campaigns/{campaign}/send");
            let mut answers: Vec<u16> = std::thread::scope(|scope| {
                let both: Vec<_> = (0..2).map(|_| scope.spawn(|| ask(&server, "POST", &path, &json!({})).status)).collect();
                both.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            answers.sort_unstable();
            assert_eq!(answers, [202, 409]);
            assert_eq!(api.wait_ended(campaign, LONG).stats.sent, 3);
        }
    }

    fn one_idempotency_key_means_one_request(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let ids = people(&api, 3);
        let campaign = draft(&api, &json!({}));
        let path = format!("/v1/campaigns/{campaign}/send");
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "launch-1")];
        let send = |path: &str, body: Value| server.send("POST", path, &headers, body.to_string().as_bytes());
        let first = send(&path, json!({ "contact_ids": ids }));
        let again = send(&path, json!({ "contact_ids": ids }));
        assert_eq!((first.status, again.status), (202, 202), "{first:?} {again:?}");
        assert_eq!((&first.body, first.header("location")), (&again.body, again.header("location")));
        assert_refused(&send(&path, json!({ "contact_ids": [ids[0]] })), 409, "idempotency_key_reused");
        let other = draft(&api, &json!({}));
        let elsewhere = send(&format!("/v1/campaigns/{other}/send"), json!({ "contact_ids": ids }));
        assert_refused(&elsewhere, 409, "idempotency_key_reused");
        assert_eq!(api.wait_ended(campaign, LONG).stats.sent, 3);
        assert_eq!(send(&path, json!({ "contact_ids": ids })).body, first.body, "also when it has ended");
        assert_eq!(api.campaign(other).status, "draft");
    }

    fn each_status_allows_what_it_should_and_a_refusal_names_it(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        people(&api, 20);
        let campaign = draft(&api, &json!({ "pool": "slow", "audience": { "all": true } }));
        let post = |verb: &str| {
            let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
            let body = if verb == "schedule" { json!({ "scheduled_at": later.to_string() }) } else { json!({}) };
            ask(&server, "POST", &format!("/v1/campaigns/{campaign}/{verb}"), &body)
        };
        let refused = |verbs: &[&str], present: &str| {
            for verb in verbs {
                assert_illegal(&post(verb), present);
            }
            assert_eq!(api.campaign(campaign).status, present);
            api.audit(campaign);
        };
        let does = |verb: &str, status: u16, next: &str| {
            let answer = post(verb);
            assert_eq!((answer.status, &answer.body["status"]), (status, &json!(next)), "{verb}: {answer:?}");
        };
        refused(&["pause", "resume", "unschedule", "retry-failed"], "draft");
        does("schedule", 200, "scheduled");
        refused(&["pause", "resume", "retry-failed"], "scheduled");
        does("schedule", 200, "scheduled");
        does("unschedule", 200, "draft");
        does("send", 202, "sending");
        refused(&["send", "resume", "schedule", "unschedule", "retry-failed"], "sending");
        does("pause", 200, "paused");
        let version = api.campaign(campaign).body["status_version"].clone();
        does("pause", 200, "paused");
        assert_eq!(api.campaign(campaign).body["status_version"], version, "a second pause changed something");
        refused(&["send", "schedule", "unschedule"], "paused");
        does("resume", 200, "sending");
        does("pause", 200, "paused");
        does("stop", 200, "stopped");
        refused(&["send", "pause", "resume", "stop", "schedule", "unschedule", "retry-failed"], "stopped");
        let ended = api.wait(campaign, "the rest is skipped", LONG, |seen| {
            seen.stats.pending + seen.stats.sending == 0 && seen.stats.skipped > 0
        });
        assert_eq!(ended.stats.sent + ended.stats.skipped, 20, "{}", ended.body);
        assert!(ended.body["ended_at"].is_string(), "{}", ended.body);
        api.audit(campaign);
        assert!(api.deliveries(campaign, "skipped").iter().all(|skipped| skipped["error"] == "stopped"));
        let again = json!({ "as": "pending" });
        let nothing = ask(&server, "POST", &format!("/v1/campaigns/{campaign}/deliveries/resolve"), &again);
        assert_eq!((nothing.status, &nothing.body["status"]), (200, &json!("stopped")), "{nothing:?}");
    }

    fn a_pause_holds_everyone_and_a_resume_sends_the_rest_once(db: &Database) {
        let rate = PoolConfig { rate_per_second: 50.0, burst: Some(1), ..sandbox("fast", ChannelKind::Email, 0.0) };
        let server = Server::with_pools(db, vec![rate]);
        let api = server.api();
        people(&api, 30);
        let campaign = draft(&api, &json!({ "audience": { "all": true } }));
        api.send(campaign);
        api.wait(campaign, "some are sent", LONG, |seen| seen.stats.sent >= 3);
        api.pause(campaign);
        let still = api.wait(campaign, "nothing is under way", LONG, |seen| seen.stats.sending == 0);
        crate::support::waiting::stays("paused", std::time::Duration::from_millis(700), || {
            api.campaign(campaign).stats == still.stats
        });
        assert!(still.stats.pending > 0, "{}", still.body);
        api.audit(campaign);
        api.resume(campaign);
        let ended = api.wait_ended(campaign, LONG);
        assert_eq!((ended.status.as_str(), ended.stats.sent), ("sent", 30), "{}", ended.body);
        assert!(api.deliveries(campaign, "sent").iter().all(|sent| sent["attempts"] == 1));
    }

    fn an_end_says_how_it_came(db: &Database) {
        let mut failing = sandbox("failing", ChannelKind::Email, 1.0);
        failing.max_attempts = 1;
        let mut all = pools();
        all.push(failing);
        let server = Server::with_pools(db, all);
        let api = server.api();
        let nobody = api.create_list("Nobody");
        let empty = draft(&api, &json!({ "audience": { "lists": [nobody] } }));
        assert_eq!(api.send(empty)["messages_queued"], 0);
        let ended = api.wait_ended(empty, LONG);
        assert_eq!((ended.status.as_str(), &ended.body["outcome"]), ("sent", &json!("empty_audience")));
        people(&api, 3);
        let text = json!({
            "name": "Texts", "channel": "sms", "body_text": "Hi", "audience": { "all": true },
        });
        let unreachable = crate::support::api::id(&api.post("/v1/campaigns", &text));
        api.send(unreachable);
        let ended = api.wait_ended(unreachable, LONG);
        assert_eq!((ended.status.as_str(), &ended.body["outcome"]), ("sent", &json!("none_eligible")), "{}", ended.body);
        assert_eq!((ended.stats.total, ended.stats.skipped), (3, 3));
        assert!(api.deliveries(unreachable, "skipped").iter().all(|skipped| skipped["error"] == "no_address"));
        let failed = draft(&api, &json!({ "pool": "failing", "audience": { "all": true } }));
        api.send(failed);
        let ended = api.wait_ended(failed, LONG);
        assert_eq!((ended.status.as_str(), &ended.body["outcome"]), ("failed", &json!(null)), "{}", ended.body);
        assert_eq!((ended.stats.failed, ended.stats.total), (3, 3));
        for delivery in api.deliveries(failed, "failed") {
            assert!(delivery["error"].as_str().unwrap().contains("sandbox: refused"), "{delivery}");
            assert!(delivery["error_category"].as_str().unwrap().starts_with("dispatch_"), "{delivery}");
            assert!(delivery["settled_at"].is_string() && delivery["due_at"].is_null(), "{delivery}");
        }
    }

    fn a_list_shows_each_campaign_as_it_is(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let ids = people(&api, 3);
        let template = api.create_template("email", "Hi", "Dear {first_name}");
        let body = json!({ "name": "T", "channel": "email", "pool": "fast", "template_id": template });
        let campaigns = [
            draft(&api, &json!({})),
            draft(&api, &json!({ "audience": { "all": true }, "body_text": "Other words" })),
            draft(&api, &json!({ "audience": { "contact_ids": [ids[0]] } })),
            id(&api.post("/v1/campaigns", &body)),
        ];
        for campaign in &campaigns[1..3] {
            api.send(*campaign);
            api.wait_ended(*campaign, LONG);
        }
        let listed = api.get("/v1/campaigns");
        let each: Vec<_> = campaigns.iter().rev().map(|id| api.get(&format!("/v1/campaigns/{id}"))).collect();
        assert_eq!(listed["data"], json!(each));
    }

    fn one_action_on_several_campaigns_says_what_came_of_each(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        people(&api, 10);
        let slow = json!({ "pool": "slow", "audience": { "all": true } });
        let (one, two, empty) = (draft(&api, &slow), draft(&api, &slow), draft(&api, &json!({})));
        let bulk = |action: &str, ids: &[i64]| {
            let body = json!({ "action": action, "campaign_ids": ids });
            api.post("/v1/campaigns/bulk-action", &body)["results"].as_array().unwrap().clone()
        };
        let sent = bulk("send", &[one, two, one, empty, 4711]);
        let ids: Vec<_> = sent.iter().map(|result| result["campaign_id"].as_i64().unwrap()).collect();
        assert_eq!(ids, [one, two, empty, 4711], "each once, in the order asked for");
        assert_eq!((&sent[0]["ok"], &sent[0]["status"]), (&json!(true), &json!("sending")));
        assert_eq!((&sent[2]["ok"], &sent[2]["problem"]["code"]), (&json!(false), &json!("audience_required")));
        assert_eq!((&sent[3]["problem"]["code"], &sent[3]["problem"]["status"]), (&json!("campaign_not_found"), &json!(404)));
        let paused = bulk("pause", &[one, empty]);
        assert_eq!((&paused[0]["status"], &paused[1]["problem"]["code"]), (&json!("paused"), &json!("invalid_transition")));
        assert_eq!(bulk("resume", &[one])[0]["status"], "sending");
        let stopped = bulk("stop", &[one, two]);
        assert!(stopped.iter().all(|result| result["status"] == "stopped"), "{stopped:?}");
        let deleted = bulk("delete", &[one, two, empty]);
        assert!(deleted.iter().all(|result| result["ok"] == true && result.get("status").is_none()), "{deleted:?}");
        assert_eq!(api.get("/v1/campaigns")["pagination"]["total_count"], 0);
        for (body, code) in [
            (json!({ "action": "pause", "campaign_ids": [] }), "out_of_range"),
            (json!({ "action": "explode", "campaign_ids": [1] }), "not_allowed"),
            (json!({ "action": "pause" }), "required"),
        ] {
            assert_refused(&ask(&server, "POST", "/v1/campaigns/bulk-action", &body), 422, code);
        }
    }
}
