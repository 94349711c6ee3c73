//! What was decided about a campaign, as clients read it.

use serde_json::{Value, json};

use super::{LONG, ask, draft, people, pools};
use crate::support::both_backends;
use crate::support::server::Server;

fn said(decision: &Value) -> (&Value, &Value, &Value) {
    (&decision["action"], &decision["door"], &decision["actor"])
}

both_backends! {
    fn decisions_say_who_decided_what_from_where_and_which_one_has_a_receipt(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        people(&api, 20);
        let campaign = draft(&api, &json!({ "pool": "slow", "audience": { "all": true } }));
        let path = |act: &str| format!("/v1/campaigns/{campaign}/{act}");
        api.send(campaign);
        let made = api.post("/v1/keys", &json!({ "name": "night shift", "scope": "operate" }));
        let bearer = format!("Bearer {}", made["secret"].as_str().unwrap());
        let json = ("Content-Type", "application/json");
        let paused = server.send("POST", &path("pause"), &[json, ("Authorization", &bearer), ("X-Request-Id", "night-1")], b"{}");
        assert_eq!(paused.status, 200, "{paused:?}");
        let decided = api.get(&path("decisions"));
        let [pause, launch, created] = decided["data"].as_array().unwrap().as_slice() else { panic!("{decided}") };
        assert_eq!(said(pause), (&json!("paused"), &json!("api"), &json!("api_key")), "{pause}");
        assert_eq!((&pause["key"]["name"], &pause["request_id"]), (&json!("night shift"), &json!("night-1")), "{pause}");
        assert_eq!(pause["after"]["status"], "paused", "{pause}");
        assert_eq!((pause["receipt"].as_str(), &launch["receipt"]), (Some(path("receipt").as_str()), &json!(null)), "{decided}");
        assert_eq!(said(launch), (&json!("launched"), &json!("api"), &json!("root_key")), "{launch}");
        assert_eq!(created["action"], "created", "{created}");
        assert_eq!(decided["kept_days"], 400, "{decided}");

        // The next decision takes the place of the receipt. Who looks at the recipients decides nothing.
        api.get(&path("deliveries"));
        api.resume(campaign);
        api.stop(campaign);
        api.wait(campaign, "all are skipped", LONG, |seen| seen.is_ended() && seen.stats.pending == 0);
        let decided = api.get(&path("decisions?page_size=2"));
        let actions: Vec<&Value> = decided["data"].as_array().unwrap().iter().map(|one| &one["action"]).collect();
        assert_eq!(actions, ["stopped", "resumed"], "{decided}");
        assert!(decided["data"][0]["receipt"].is_string() && decided["data"][1]["receipt"].is_null(), "{decided}");
        let rest = api.get(&path(&format!("decisions?cursor={}", decided["next_cursor"].as_str().unwrap())));
        assert_eq!(rest["data"].as_array().unwrap().len(), 3, "{rest}");
        assert!(rest["data"][0]["receipt"].is_null() && rest["next_cursor"].is_null(), "the pause has none any more: {rest}");

        for query in ["cursor=1", "page_size=0", "page_size=101", "action=paused"] {
            assert_eq!(server.send("GET", &path(&format!("decisions?{query}")), &[], b"").status, 400, "{query}");
        }
        assert_eq!(ask(&server, "GET", "/v1/campaigns/999/decisions", &json!({})).status, 404);
    }
}
