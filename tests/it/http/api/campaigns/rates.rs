//! The rate of a campaign, changed while it goes out.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{LONG, ask, assert_refused, draft, people, pools};
use crate::support::both_backends;
use crate::support::server::Server;
use crate::support::waiting::wait_until;

both_backends! {
    fn life_rate_change_a_campaign_that_is_sending_or_paused_goes_on_at_another_rate(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        people(&api, 200);
        let campaign = draft(&api, &json!({ "audience": { "all": true }, "rate_per_second": 20 }));
        let path = format!("/v1/campaigns/{campaign}");
        let rate = |rate: serde_json::Value| ask(&server, "PATCH", &path, &json!({ "rate_per_second": rate }));
        api.send(campaign);
        api.wait(campaign, "it is under way", LONG, |seen| seen.stats.sent >= 10);
        let slower = rate(json!(0.01));
        assert_eq!((slower.status, &slower.body["rate_per_second"]), (200, &json!(0.01)), "{slower:?}");
        let (mut sent, mut since) = (0, Instant::now());
        wait_until("nothing begins for two seconds", LONG, || {
            let now = api.campaign(campaign).stats.sent;
            if now != sent {
                (sent, since) = (now, Instant::now());
            }
            since.elapsed() > Duration::from_secs(2)
        });
        assert!((10..150).contains(&sent), "the old rate went on: {sent}");
        for (body, code) in [
            (json!({ "rate_per_second": 5, "name": "Other" }), "campaign_not_editable"),
            (json!({ "name": "Other" }), "campaign_not_editable"),
            (json!({ "pool": "slow" }), "campaign_not_editable"),
        ] {
            assert_refused(&ask(&server, "PATCH", &path, &body), 409, code);
        }
        assert_refused(&rate(json!(0)), 422, "out_of_range");
        api.pause(campaign);
        let unlimited = rate(json!(null));
        assert_eq!((unlimited.status, &unlimited.body["status"]), (200, &json!("paused")), "{unlimited:?}");
        api.resume(campaign);
        assert_eq!(api.wait_ended(campaign, LONG).stats.sent, 200, "at the old rate it would take five hours");
        assert_refused(&rate(json!(5)), 409, "campaign_not_editable");
        let log = api.get(&format!("/v1/audit-log?object=campaign&object_id={campaign}&action=updated"));
        let fields: Vec<_> = log["data"].as_array().unwrap().iter().map(|line| &line["after"]["fields"]).collect();
        assert_eq!(fields, [&json!(["rate_per_second"]), &json!(["rate_per_second"])], "{log}");
    }
}
