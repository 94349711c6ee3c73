//! Two people press the same button at the same moment.

use std::sync::Barrier;

use serde_json::{Value, json};

use super::{LONG, draft, people, pools};
use crate::support::api::{Answer, Api, id};
use crate::support::both_backends;
use crate::support::scripted_http::{Keys, ScriptedHttp};
use crate::support::server::{Server, webhook};

/// Posts every body to one path, all at the same moment. Answers in the order of the bodies.
fn at_once(api: &Api, path: &str, bodies: &[Value]) -> Vec<Answer> {
    let start = Barrier::new(bodies.len());
    std::thread::scope(|scope| {
        let posts = bodies.iter().map(|body| {
            let (api, start) = (api.another(), &start);
            scope.spawn(move || {
                start.wait();
                api.try_post(path, body).unwrap()
            })
        });
        let posts: Vec<_> = posts.collect();
        posts.into_iter().map(|post| post.join().unwrap()).collect()
    })
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    statuses
}

/// A campaign to sixty people of whom every second one is uncertain.
fn half_uncertain(api: &Api, sink: &ScriptedHttp) -> i64 {
    people(api, 60);
    sink.play("request every=2: {take} 500");
    let body = json!({ "name": "U", "channel": "http", "pool": "api", "body_text": "x", "audience": { "all": true } });
    let campaign = id(&api.post("/v1/campaigns", &body));
    api.send(campaign);
    let ended = api.wait_ended(campaign, LONG);
    assert_eq!((ended.stats.sent, ended.stats.uncertain), (30, 30), "{}", ended.body);
    sink.play("");
    campaign
}

fn resolved(answers: &[Answer]) -> i64 {
    answers.iter().map(|answer| answer.body["resolved"].as_i64().unwrap_or_default()).sum()
}

both_backends! {
    fn of_two_resumes_at_once_one_is_done_and_the_other_refused(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        people(&api, 30);
        let campaign = draft(&api, &json!({ "pool": "slow", "audience": { "all": true } }));
        api.send(campaign);
        let path = format!("/v1/campaigns/{campaign}/resume");
        for _ in 0..5 {
            api.pause(campaign);
            let version = api.campaign(campaign).body["status_version"].as_i64().unwrap();
            let answers = at_once(&api, &path, &[json!({}), json!({})]);
            assert_eq!(statuses(&answers), [200, 409]);
            let refused = answers.iter().find(|answer| answer.status == 409).unwrap();
            assert_eq!(refused.body["code"], "invalid_transition", "{}", refused.body);
            let resumed = api.campaign(campaign);
            assert_eq!(resumed.status, "sending");
            assert_eq!(resumed.body["status_version"], version + 1, "{}", resumed.body);
        }
    }

    fn of_two_resolutions_at_once_each_delivery_follows_one(db: &Database) {
        let sink = ScriptedHttp::slow((0, 0), Keys::Ignored);
        let server = Server::with_pools(db, vec![webhook("api", &sink)]);
        let api = server.api();
        let campaign = half_uncertain(&api, &sink);
        let path = format!("/v1/campaigns/{campaign}/deliveries/resolve");
        let answers = at_once(&api, &path, &[json!({ "as": "sent" }), json!({ "as": "failed" })]);
        assert_eq!(statuses(&answers), [200, 200]);
        assert_eq!(resolved(&answers), 30, "counted once");
        let stats = api.campaign(campaign).stats;
        let told = answers.iter().map(|answer| answer.body["resolved"].as_u64().unwrap());
        let [sent, failed] = told.collect::<Vec<u64>>()[..] else { panic!("two answers") };
        assert_eq!((stats.sent, stats.failed, stats.uncertain), (30 + sent, failed, 0));
        api.audit(campaign);
    }

    fn what_two_people_send_again_at_once_is_sent_again_once(db: &Database) {
        let sink = ScriptedHttp::slow((0, 0), Keys::Ignored);
        let server = Server::with_pools(db, vec![webhook("api", &sink)]);
        let api = server.api();
        let campaign = half_uncertain(&api, &sink);
        let doubtful: Vec<i64> = api
            .deliveries(campaign, "uncertain")
            .iter()
            .map(|delivery| delivery["contact"]["id"].as_i64().unwrap())
            .collect();
        let begun = sink.ledger().begun();
        let path = format!("/v1/campaigns/{campaign}/deliveries/resolve");
        let again = json!({ "as": "pending", "contact_ids": doubtful });
        let answers = at_once(&api, &path, &[again.clone(), again]);
        assert_eq!((statuses(&answers), resolved(&answers)), (vec![200, 200], 30));
        let ended = api.wait(campaign, "all are sent", LONG, |seen| seen.is_ended() && seen.stats.sent == 60);
        assert_eq!(sink.ledger().begun(), begun + 30, "{}", ended.body);
        api.audit(campaign);
    }
}
