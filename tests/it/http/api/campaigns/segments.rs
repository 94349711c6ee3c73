//! Campaigns to the members of live segments.

use serde_json::{Value, json};

use super::{LONG, ask, assert_refused, draft, fields, people, pools};
use crate::support::api::{Api, id};
use crate::support::server::Server;
use crate::support::waiting::wait_until;
use crate::support::{Database, both_backends};

/// A segment of those who have this tag. Everybody is evaluated.
fn segment(api: &Api, tag: &str) -> i64 {
    let made = api.post("/v1/segments", &json!({ "name": tag, "criteria": { "tag": tag } }));
    wait_until("everybody is evaluated", LONG, || api.get(&format!("/v1/segments/{tag}"))["state"] == "ready");
    id(&made)
}

fn add_tag(api: &Api, contact: i64, tag: &str) {
    api.post(&format!("/v1/contacts/{contact}/tags"), &json!({ "add": [tag] }));
}

fn members(api: &Api, segment: &str) -> usize {
    api.get(&format!("/v1/segments/{segment}/members"))["data"].as_array().unwrap().len()
}

fn recipients(api: &Api, campaign: i64) -> Vec<i64> {
    let all = api.get(&format!("/v1/campaigns/{campaign}/deliveries?page_size=100"));
    let mut ids: Vec<i64> =
        all["data"].as_array().unwrap().iter().map(|row| row["contact"]["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    ids
}

fn count(api: &Api, audience: &Value) -> Value {
    api.post("/v1/audiences/count", &json!({ "audience": audience }))
}

/// Makes it look as if everybody were still being evaluated for a segment, which nobody does.
fn stand_still(db: &Database, segment: i64) {
    db.execute(&format!(
        "UPDATE segments SET state = 'building', kind = 'manual', criteria = NULL, cursor_contact_id = 1, build_max_id = 2 \
         WHERE id = {segment}"
    ));
}

both_backends! {
    fn a_campaign_goes_to_the_members_of_a_segment_and_leaves_out_those_of_another(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let ids = people(&api, 6);
        let (buyers, tired) = (segment(&api, "buyers"), segment(&api, "tired"));
        for id in &ids[..4] {
            add_tag(&api, *id, "buyers");
        }
        add_tag(&api, ids[1], "tired");
        wait_until("they are members", LONG, || members(&api, "buyers") == 4 && members(&api, "tired") == 1);

        let audience = json!({ "segments": ["buyers"], "contact_ids": [ids[5]], "exclude": { "segments": [tired] } });
        assert_eq!(count(&api, &audience), json!({ "count": 4, "exact": true, "error": 0, "contacts": 6 }));
        let campaign = draft(&api, &json!({ "audience": audience }));
        let stored = &api.get(&format!("/v1/campaigns/{campaign}"))["audience"];
        assert_eq!((&stored["segments"], &stored["exclude"]["segments"]), (&json!([buyers]), &json!([tired])));
        let launched = api.post(&format!("/v1/campaigns/{campaign}/send"), &json!({}));
        assert_eq!(launched["messages_queued"], 5, "at most: who is left out is known when they are packed");
        let ended = api.wait_ended(campaign, LONG);
        assert_eq!(recipients(&api, campaign), [ids[0], ids[2], ids[3], ids[5]]);
        assert_eq!((ended.stats.total, &ended.body["packing"]["expected"]), (4, &json!(4)));
    }

    fn who_enters_after_the_launch_or_leaves_before_their_page_gets_nothing(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let ids = people(&api, 3);
        let buyers = segment(&api, "buyers");
        for id in &ids[..2] {
            add_tag(&api, *id, "buyers");
        }
        wait_until("they are members", LONG, || members(&api, "buyers") == 2);
        // As if one had entered after the launch.
        let campaign = draft(&api, &json!({ "audience": { "segments": [buyers] } }));
        db.execute(&format!("UPDATE segment_members SET entered_at = 9000000000000 WHERE contact_id = {}", ids[0]));
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        assert_eq!(recipients(&api, campaign), [ids[1]]);
        api.post(&format!("/v1/contacts/{}/tags", ids[1]), &json!({ "remove": ["buyers"] }));
        wait_until("one has left", LONG, || members(&api, "buyers") == 1);
        let next = draft(&api, &json!({ "audience": { "segments": [buyers] } }));
        api.send(next);
        assert_eq!(api.wait_ended(next, LONG).body["outcome"], "empty_audience");
    }

    fn a_campaign_waits_for_its_segments_and_holds_them(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let ids = people(&api, 2);
        let buyers = segment(&api, "buyers");
        add_tag(&api, ids[0], "buyers");
        wait_until("one is a member", LONG, || members(&api, "buyers") == 1);
        stand_still(db, buyers);

        let audiences = [
            json!({ "segments": [buyers] }),
            json!({ "all": true, "exclude": { "segments": ["buyers"] } }),
            json!({ "filter": { "segment": "buyers" } }),
        ];
        for audience in &audiences {
            let campaign = draft(&api, &json!({ "audience": audience }));
            let refused = ask(&server, "POST", &format!("/v1/campaigns/{campaign}/send"), &json!({}));
            assert_refused(&refused, 409, "segment_building");
            let told = refused.body["detail"].as_str().unwrap();
            assert!(told.ends_with(&format!(": {buyers} (50 % done)")), "{told}");
            assert_eq!((&refused.body["ids"], api.campaign(campaign).status.as_str()), (&json!([buyers]), "draft"));
        }
        let soon = (jiff::Timestamp::now() + jiff::SignedDuration::from_millis(300)).to_string();
        let made = api.post("/v1/campaigns", &fields(&json!({ "audience": audiences[0], "scheduled_at": soon })));
        let due: jiff::Timestamp = made["scheduled_at"].as_str().unwrap().parse().unwrap();
        wait_until("it is past due", LONG, || {
            jiff::Timestamp::now() > due + jiff::SignedDuration::from_secs(2)
        });
        assert_eq!(api.campaign(id(&made)).status, "scheduled");
        let evaluated = r#"state = 'ready', kind = 'live', criteria = '{"tag":"buyers"}'"#;
        db.execute(&format!("UPDATE segments SET {evaluated} WHERE id = {buyers}"));
        assert_eq!(api.wait_ended(id(&made), LONG).stats.sent, 1);
        assert_eq!(recipients(&api, id(&made)), [ids[0]]);

        let slow = draft(&api, &json!({ "audience": { "all": true, "exclude": { "segments": [buyers] } }, "pool": "slow" }));
        api.send(slow);
        api.pause(slow);
        let path = format!("/v1/segments/{buyers}");
        let refused = ask(&server, "DELETE", &path, &json!({}));
        assert_refused(&refused, 409, "segment_in_campaigns");
        assert_eq!(refused.body["ids"], json!([slow]));
        api.post(&format!("/v1/campaigns/{slow}/stop"), &json!({}));
        api.wait_ended(slow, LONG);
        assert_eq!(ask(&server, "DELETE", &path, &json!({})).status, 204);
        let gone = ask(&server, "POST", "/v1/campaigns", &fields(&json!({ "audience": { "segments": [buyers] } })));
        assert_refused(&gone, 404, "segment_not_found");
        assert_eq!(gone.field(), "/audience/segments/0");
    }

    fn a_segment_that_is_never_evaluated_is_no_audience(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        people(&api, 1);
        let asleep = json!({ "name": "asleep", "criteria": { "tag": "a" }, "enabled": false });
        let asleep = id(&api.post("/v1/segments", &asleep));
        let campaign = draft(&api, &json!({ "audience": { "segments": ["asleep"] } }));
        let refused = ask(&server, "POST", &format!("/v1/campaigns/{campaign}/send"), &json!({}));
        assert_refused(&refused, 409, "segment_not_evaluated");
        assert_eq!(refused.body["ids"], json!([asleep]));
        let at = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string();
        let later = ask(&server, "POST", &format!("/v1/campaigns/{campaign}/schedule"), &json!({ "scheduled_at": at }));
        assert_refused(&later, 409, "segment_not_evaluated");
        assert_eq!(api.campaign(campaign).status, "draft", "it is not scheduled for what would fail");
        // Of one that is being evaluated, it is known before long.
        let awake = segment(&api, "awake");
        stand_still(db, awake);
        let fitting = draft(&api, &json!({ "audience": { "segments": ["awake"] } }));
        api.post(&format!("/v1/campaigns/{fitting}/schedule"), &json!({ "scheduled_at": at }));
        assert_eq!(api.campaign(fitting).status, "scheduled");
    }
}
