//! One launch, whoever asks how often.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::both_backends;
use crate::support::provider::Provider;
use crate::support::stage::{LONG, Stage};

both_backends! {
    fn of_many_sends_at_once_one_launches(db: &Database) {
        let stage = Stage::set(db, Provider::webhook((1, 3)), 500, |builder| builder);
        let path = format!("/v1/campaigns/{}/send", stage.campaign);
        let mut answers: Vec<u16> = std::thread::scope(|scope| {
            let asked: Vec<_> = (0..20)
                .map(|_| {
                    let api = stage.api.another();
                    let path = &path;
                    scope.spawn(move || api.try_post(path, &json!({})).unwrap().status)
                })
                .collect();
            asked.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        answers.sort_unstable();
        assert_eq!(answers[0], 202);
        assert!(answers[1..].iter().all(|status| *status == 409), "{answers:?}");
        stage.assert_everyone_once();
        stage.volley.stop();
    }

    fn a_repeated_send_under_one_key_gets_the_same_answer(db: &Database) {
        let stage = Stage::set(db, Provider::webhook((1, 3)), 50, |builder| builder);
        let path = format!("/v1/campaigns/{}/send", stage.campaign);
        let send = |body: serde_json::Value| {
            let headers = [("Idempotency-Key", "launch-1")];
            let body = Some(body.to_string().into_bytes());
            stage.api.request(Method::POST, &path, "application/json", body, &headers).unwrap()
        };
        let first = send(json!({}));
        let second = send(json!({}));
        assert_eq!((first.status, second.status), (202, 202), "{} {}", first.body, second.body);
        assert_eq!(first.body, second.body);
        assert_eq!(send(json!({ "contact_ids": [1] })).status, 409);
        stage.assert_everyone_once();
        stage.volley.stop();
    }

    fn a_scheduled_campaign_goes_out_at_its_time(db: &Database) {
        let stage = Stage::set(db, Provider::webhook((1, 3)), 50, |builder| builder);
        let at = jiff::Timestamp::now() + Duration::from_secs(2);
        let path = format!("/v1/campaigns/{}/schedule", stage.campaign);
        stage.api.post(&path, &json!({ "scheduled_at": at.to_string() }));
        assert_eq!(stage.api.campaign(stage.campaign).status, "scheduled");
        stage.api.wait(stage.campaign, "the campaign launches", LONG, |campaign| campaign.status != "scheduled");
        assert!(jiff::Timestamp::now() >= at, "it went out too early");
        stage.assert_everyone_once();
        stage.volley.stop();
    }

    fn a_hint_lost_in_a_crash_costs_only_a_delay(db: &Database) {
        let mut stage = Stage::set(db, Provider::webhook((1, 3)), 500, |builder| builder);
        stage.api.send(stage.campaign);
        stage.volley.kill_and_restart();
        stage.assert_everyone_once();
        stage.volley.stop();
    }
}
