//! Campaigns that launch by themselves.

use serde_json::json;

use super::{LONG, ask, assert_illegal, assert_refused, draft, fields, people, pools};
use crate::support::api::id;
use crate::support::both_backends;
use crate::support::server::Server;

fn in_millis(millis: i64) -> String {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_millis(millis)).to_string()
}

both_backends! {
    fn a_scheduled_campaign_launches_by_itself_at_its_time(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        people(&api, 3);
        let at = in_millis(1_500);
        let body = fields(&json!({ "audience": { "all": true }, "scheduled_at": at }));
        let made = api.post("/v1/campaigns", &body);
        assert_eq!(made["status"], "scheduled");
        let ended = api.wait_ended(id(&made), LONG);
        assert_eq!((ended.status.as_str(), ended.stats.sent), ("sent", 3), "{}", ended.body);
        let launched: jiff::Timestamp = ended.body["launched_at"].as_str().unwrap().parse().unwrap();
        let due: jiff::Timestamp = made["scheduled_at"].as_str().unwrap().parse().unwrap();
        assert!(launched >= due, "it went out too early: {launched} {due}");
    }

    fn a_time_may_be_that_of_clocks_somewhere(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        people(&api, 1);
        let campaign = draft(&api, &json!({ "audience": { "all": true } }));
        let path = format!("/v1/campaigns/{campaign}/schedule");
        let noon = jiff::Zoned::now().in_tz("America/New_York").unwrap().tomorrow().unwrap().date().at(12, 0, 0, 0);
        let scheduled = api.post(&path, &json!({ "scheduled_at": noon.to_string(), "timezone": "america/new_york" }));
        let moment = noon.in_tz("America/New_York").unwrap().timestamp();
        assert_eq!(scheduled["scheduled_at"], format!("{moment:.3}"));
        let refused = ask(&server, "POST", &path, &json!({ "scheduled_at": noon.to_string(), "timezone": "Mars/Olympus" }));
        assert_refused(&refused, 422, "timezone_invalid");
        assert_eq!(refused.field(), "/timezone");
    }

    fn a_campaign_that_was_not_launched_is_stopped_and_never_is(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        people(&api, 2);
        let drafted = draft(&api, &json!({ "audience": { "all": true } }));
        let scheduled = id(&api.post("/v1/campaigns", &fields(&json!({ "audience": { "all": true }, "scheduled_at": in_millis(2_000) }))));
        for campaign in [drafted, scheduled] {
            api.stop(campaign);
            let stopped = api.campaign(campaign);
            assert_eq!((stopped.status.as_str(), stopped.stats.total), ("stopped", 0), "{}", stopped.body);
            assert!(stopped.body["ended_at"].is_string() && stopped.body["launched_at"].is_null(), "{}", stopped.body);
            let path = format!("/v1/campaigns/{campaign}");
            for verb in ["send", "schedule", "unschedule", "pause", "resume", "retry-failed"] {
                let body = if verb == "schedule" { json!({ "scheduled_at": in_millis(60_000) }) } else { json!({}) };
                assert_illegal(&ask(&server, "POST", &format!("{path}/{verb}"), &body), "stopped");
            }
            assert_eq!(api.audit(campaign)["consistent"], true, "{}", api.audit(campaign));
            assert_eq!(ask(&server, "POST", &format!("{path}/duplicate"), &json!({})).body["status"], "draft");
        }
        let soon = id(&api.post("/v1/campaigns", &fields(&json!({ "audience": { "all": true }, "scheduled_at": in_millis(2_500) }))));
        assert_eq!(api.wait_ended(soon, LONG).stats.sent, 2);
        assert_eq!(api.campaign(scheduled).status, "stopped", "its time has come before that one's");
    }

    fn a_time_is_moved_and_taken_away(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        people(&api, 2);
        let campaign = draft(&api, &json!({ "audience": { "all": true } }));
        let path = format!("/v1/campaigns/{campaign}");
        let tomorrow = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() + 86_400).unwrap();
        let an_hour_east = tomorrow.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(1)));
        let given = an_hour_east.strftime("%Y-%m-%dT%H:%M:%S+01:00").to_string();
        let far = api.post(&format!("{path}/schedule"), &json!({ "scheduled_at": given }));
        assert_eq!((&far["status"], &far["scheduled_at"]), (&json!("scheduled"), &json!(format!("{tomorrow:.3}"))));
        let edited = ask(&server, "PATCH", &path, &json!({ "name": "Later" }));
        assert_eq!((edited.status, &edited.body["status"]), (200, &json!("scheduled")));
        let drafted = api.post(&format!("{path}/unschedule"), &json!({}));
        assert_eq!((&drafted["status"], &drafted["scheduled_at"]), (&json!("draft"), &json!(null)));
        for (body, code) in [
            (json!({ "scheduled_at": in_millis(-600_000) }), "schedule_out_of_range"),
            (json!({ "scheduled_at": "9999-01-01T00:00:00Z" }), "schedule_out_of_range"),
            (json!({ "scheduled_at": "2030-01-01T00:00:00" }), "invalid"),
            (json!({ "scheduled_at": "2030-01-01T00:00:00Z", "timezone": "Europe/Zurich" }), "invalid"),
            (json!({ "scheduled_at": "2027-03-28T02:30", "timezone": "Europe/Zurich" }), "invalid"),
            (json!({}), "required"),
        ] {
            let refused = ask(&server, "POST", &format!("{path}/schedule"), &body);
            assert_refused(&refused, 422, code);
            assert_eq!(refused.field(), "/scheduled_at");
        }
        let unready = draft(&api, &json!({}));
        let refused = ask(&server, "POST", &format!("/v1/campaigns/{unready}/schedule"), &json!({ "scheduled_at": in_millis(9_000) }));
        assert_refused(&refused, 422, "audience_required");
        assert_eq!(api.campaign(unready).status, "draft");
        api.post(&format!("{path}/schedule"), &json!({ "scheduled_at": in_millis(60_000) }));
        assert_eq!(ask(&server, "POST", &format!("{path}/send"), &json!({})).status, 202, "an operator may be earlier");
        assert_eq!(api.wait_ended(campaign, LONG).stats.sent, 2);
    }

    fn a_launch_that_became_impossible_ends_as_failed_and_keeps_no_other_waiting(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        people(&api, 2);
        let audience = json!({ "all": true });
        let doomed = fields(&json!({ "pool": "slow", "audience": audience, "scheduled_at": in_millis(1_000) }));
        let doomed = id(&api.post("/v1/campaigns", &doomed));
        let fine = fields(&json!({ "audience": audience, "scheduled_at": in_millis(1_000) }));
        let fine = id(&api.post("/v1/campaigns", &fine));
        drop(server);
        let without_slow = pools().into_iter().filter(|pool| pool.name != "slow").collect();
        let server = Server::with_pools(db, without_slow);
        let api = server.api();
        let ended = api.wait_ended(doomed, LONG);
        assert_eq!((ended.status.as_str(), &ended.body["outcome"]), ("failed", &json!("launch_failed")), "{}", ended.body);
        let why = &ended.body["launch_error"];
        assert_eq!((&why["code"], &why["at"]), (&json!("pool_missing"), &ended.body["ended_at"]), "{}", ended.body);
        assert!(why["detail"].as_str().unwrap().contains("no pool named slow"), "{why}");
        assert_eq!(ended.stats.total, 0);
        assert_eq!(api.wait_ended(fine, LONG).stats.sent, 2);
        let again = ask(&server, "POST", &format!("/v1/campaigns/{doomed}/retry-failed"), &json!({}));
        assert_illegal(&again, "failed");
        assert_eq!(api.campaign(doomed).status, "failed", "what never was launched has nothing to retry");
    }

    fn an_edit_leaves_a_scheduled_campaign_ready_to_be_sent(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        people(&api, 1);
        let scheduled = json!({ "audience": { "all": true }, "scheduled_at": in_millis(60_000) });
        let made = api.post("/v1/campaigns", &fields(&scheduled));
        let path = format!("/v1/campaigns/{}", id(&made));
        let before = api.get(&path);
        for (change, code, field) in [
            (json!({ "audience": null, "name": "Nobody" }), "audience_required", "/audience"),
            (json!({ "audience": {}, "name": "Nobody" }), "audience_required", "/audience"),
            (json!({ "pool": null }), "pool_missing", "/pool"),
        ] {
            let refused = ask(&server, "PATCH", &path, &change);
            assert_refused(&refused, 422, code);
            assert_eq!(refused.field(), field, "{refused:?}");
            assert_eq!(api.get(&path), before, "something of {change} was stored");
        }
        assert_eq!(ask(&server, "PATCH", &path, &json!({ "audience": { "contact_ids": [1] } })).status, 200);
        api.post(&format!("{path}/unschedule"), &json!({}));
        assert_eq!(ask(&server, "PATCH", &path, &json!({ "audience": null })).status, 200, "a draft may be unready");
    }

    fn a_template_that_a_schedule_needs_stays(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        people(&api, 1);
        let template = api.create_template("email", "T", "t");
        let body = json!({
            "name": "T", "channel": "email", "pool": "fast", "template_id": template, "audience": { "all": true },
            "scheduled_at": in_millis(60_000),
        });
        let campaign = id(&api.post("/v1/campaigns", &body));
        let refused = server.send("DELETE", &format!("/v1/templates/{template}"), &[], b"");
        assert_eq!((refused.status, &refused.body["ids"]), (409, &json!([campaign])), "{refused:?}");
    }
}
