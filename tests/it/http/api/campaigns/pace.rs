//! How fast a campaign goes out, and which limit binds.

use std::time::Duration;

use serde_json::{Value, json};
use volley::config::pools::PoolConfig;
use volley::domain::channel::ChannelKind;

use crate::support::both_backends;
use crate::support::server::{Server, sandbox};
use crate::support::waiting::wait_for;

const LONG: Duration = Duration::from_secs(60);

/// The limit of a kind.
fn limit(pace: &Value, kind: &str) -> Value {
    let all = pace["limits"].as_array().unwrap();
    all.iter().find(|limit| limit["kind"] == kind).unwrap_or_else(|| panic!("no {kind}: {pace}")).clone()
}

both_backends! {
    fn a_campaigns_pace_names_the_limit_that_binds_and_the_expected_end(db: &Database) {
        let main = PoolConfig { rate_per_second: 500.0, concurrency: 7, ..sandbox("main", ChannelKind::Email, 0.0) };
        let server = Server::with_pools(db, vec![main]);
        let api = server.api();
        let list = api.a_list_of(600);
        let slow = json!({ "name": "Slow", "rate_per_second": 10.0 });
        let campaign = api.create_campaign("email", "main", list, &slow);
        let path = format!("/v1/campaigns/{campaign}/pace");
        let draft = api.get(&path);
        assert_eq!((&draft["end_unknown"], &draft["bound_by"]), (&json!("not_sending"), &Value::Null), "{draft}");
        assert_eq!(draft["why"], "Nothing goes out before it is launched.");
        api.send(campaign);
        let early = api.get(&path);
        assert_eq!((&early["measured_per_second"], &early["end_unknown"]), (&Value::Null, &json!("not_measured")), "{early}");
        let pace = wait_for("it is measured", LONG, || {
            Some(api.get(&path)).filter(|pace| pace["measured_per_second"].as_f64().is_some_and(|rate| rate > 8.5))
        });
        assert!(pace["measured_per_second"].as_f64().unwrap() < 15.0, "{pace}");
        assert_eq!((&pace["bound_by"], &pace["pool"], &pace["others"]), (&json!("campaign"), &json!("main"), &json!([])));
        let rate = |kind: &str| limit(&pace, kind)["per_second"].clone();
        assert_eq!((rate("campaign"), rate("pool"), rate("provider")), (json!(10.0), json!(500.0), Value::Null), "{pace}");
        assert_eq!((&limit(&pace, "places")["at_once"], &limit(&pace, "places")["state"]), (&json!(7.0), &json!("unknown")));
        assert!(limit(&pace, "campaign")["binds"].as_bool().unwrap() && !limit(&pace, "pool")["binds"].as_bool().unwrap());
        assert_eq!(pace["why"], "Bound by the campaign's own rate, 10/s. Without it, the rate of its pool would bind at 500/s.");
        let ends = pace["ends_at"].as_str().unwrap();
        assert!(ends > pace["at"].as_str().unwrap() && pace["end_unknown"].is_null(), "{pace}");
        let other = api.create_campaign("email", "main", list, &json!({ "name": "Other", "rate_per_second": 1.0 }));
        api.send(other);
        let shared = wait_for("the other is seen", LONG, || {
            Some(api.get(&path)).filter(|pace| pace["others"] == json!([other]))
        });
        assert_eq!(shared["bound_by"], "campaign");
        api.post("/v1/pools/main/suspend", &json!({ "reason": "works on the relay" }));
        let held = wait_for("it is held", LONG, || Some(api.get(&path)).filter(|pace| pace["bound_by"] == "provider"));
        assert_eq!((&limit(&held, "provider")["state"], &held["end_unknown"]), (&json!("holds"), &json!("held")), "{held}");
        assert!(held["why"].as_str().unwrap().contains("works on the relay"), "{held}");
        api.post(&format!("/v1/campaigns/{campaign}/pause"), &json!({}));
        let paused = wait_for("it is paused", LONG, || Some(api.get(&path)).filter(|pace| pace["status"] == "paused"));
        assert_eq!((&paused["bound_by"], &paused["end_unknown"]), (&Value::Null, &json!("not_sending")), "{paused}");
        let missing = server.send("GET", "/v1/campaigns/4711/pace", &[], b"");
        assert_eq!((missing.status, missing.code()), (404, "campaign_not_found"));
        let refused = server.send("GET", &format!("{path}?x=1"), &[], b"");
        assert_eq!((refused.status, refused.code()), (400, "unknown_parameter"));
    }
}
