//! Why recipients of a campaign failed, were skipped or are uncertain, as clients and operators read it.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::LONG;
use crate::support::api::Api;
use crate::support::both_backends;
use crate::support::scripted_http::{Answer, ScriptedHttp};
use crate::support::server::{Server, webhook};

/// The reasons of a campaign, which stand for everybody whom its statistics count.
#[track_caller]
fn agreeing(api: &Api, campaign: i64) -> Value {
    let reasons = api.get(&format!("/v1/campaigns/{campaign}/reasons"));
    let stats = api.get(&format!("/v1/campaigns/{campaign}"))["stats"].clone();
    for status in ["failed", "skipped", "uncertain"] {
        let of_status = reasons["data"].as_array().unwrap().iter().filter(|reason| reason["status"] == status);
        let sum: i64 = of_status.map(|reason| reason["count"].as_i64().unwrap()).sum();
        assert_eq!(json!(sum), stats[status], "{status}: {reasons}");
        for reason in reasons["data"].as_array().unwrap().iter().filter(|reason| reason["status"] == status) {
            let part = |name: &str| reason[name].as_str().map(|value| format!("&{name}={value}")).unwrap_or_default();
            let query = ["error_category", "answer_class", "skip_reason"].map(part).concat();
            let rows = api.get(&format!("/v1/campaigns/{campaign}/deliveries?page_size=100&status={status}{query}"));
            assert_eq!(json!(rows["data"].as_array().unwrap().len()), reason["count"], "{query}: {reason}");
        }
    }
    assert_eq!(reasons["complete"], true, "{reasons}");
    reasons
}

both_backends! {
    fn reasons_are_counted_with_the_outcomes_and_move_with_retries_and_resolutions(db: &Database) {
        let count = AtomicUsize::new(0);
        let sink = ScriptedHttp::start(move |_| match count.fetch_add(1, Ordering::Relaxed) {
            0..5 => Answer::status(404),
            5..9 => Answer::Cut,
            9..12 => Answer::status(422),
            _ => Answer::status(200),
        });
        let server = Server::with_pools(db, vec![webhook("gateway", &sink)]);
        let api = server.api();
        let campaign = api.create_campaign("http", "gateway", api.a_list_of(30), &json!({ "name": "Spring" }));
        let of_campaign = |act: &str| format!("/v1/campaigns/{campaign}/{act}");
        assert_eq!(api.get(&of_campaign("reasons")), json!({ "data": [], "other": { "failed": 0, "skipped": 0, "uncertain": 0 }, "complete": true }));
        api.send(campaign);
        let ended = api.wait_ended(campaign, LONG);
        assert!(ended.stats.failed > 0 && ended.stats.uncertain == 4, "{}", ended.body);
        let reasons = agreeing(&api, campaign);
        assert_eq!(reasons["data"][0]["count"].as_u64().unwrap(), reasons["data"].as_array().unwrap().iter().map(|one| one["count"].as_u64().unwrap()).max().unwrap(), "most frequent first: {reasons}");

        let one = api.deliveries(campaign, "uncertain")[0]["contact"]["id"].clone();
        api.post(&of_campaign("deliveries/resolve"), &json!({ "as": "failed", "contact_ids": [one] }));
        let resolved = agreeing(&api, campaign);
        let is_resolved = |reason: &&Value| reason["status"] == "failed" && reason["error_category"] == "resolved";
        assert_eq!(resolved["data"].as_array().unwrap().iter().filter(is_resolved).count(), 1, "{resolved}");
        api.post(&of_campaign("deliveries/resolve"), &json!({ "as": "sent" }));
        agreeing(&api, campaign);
        api.post(&of_campaign("retry-failed"), &json!({}));
        api.wait(campaign, "all are sent", LONG, |seen| seen.is_ended() && seen.stats.sent == 30);
        assert_eq!(agreeing(&api, campaign)["data"], json!([]));

        // As it is with a campaign whose people failed before reasons were counted.
        server.execute(format!("UPDATE pages SET failed = 2, sent = sent - 2 WHERE campaign_id = {campaign}"));
        assert_eq!(api.get(&of_campaign("reasons"))["complete"], false);
    }

    fn people_are_found_by_their_kind_of_trouble_together_with_their_status(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let campaign = api.create_campaign("email", "main", api.a_list_of(1), &json!({ "name": "Spring", "pool": null }));
        let path = format!("/v1/campaigns/{campaign}/deliveries");
        for (query, field) in [
            ("error_category=render", "status"), ("answer_class=address", "status"), ("skip_reason=stopped", "status"),
            ("status=failed&error_category=bad_luck", "error_category"), ("status=failed&answer_class=x", "answer_class"),
            ("status=skipped&skip_reason=x", "skip_reason"),
        ] {
            let refused = server.send("GET", &format!("{path}?{query}"), &[], b"");
            assert_eq!((refused.status, refused.field()), (400, field), "{query}: {refused:?}");
        }
        assert_eq!(api.get(&format!("{path}?status=failed&error_category=render"))["data"], json!([]));
        assert_eq!(server.send("GET", "/v1/campaigns/999/reasons", &[], b"").status, 404);
    }
}
