//! The course of a campaign, as clients and operators read it.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::{LONG, fields};
use crate::support::api::{Api, id};
use crate::support::both_backends;
use crate::support::scripted_http::{Answer, ScriptedHttp};
use crate::support::server::{Server, webhook};

fn sum(minutes: &Value, name: &str) -> i64 {
    minutes["data"].as_array().unwrap().iter().filter_map(|step| step[name].as_i64()).sum()
}

/// The minutes of a campaign, whose sums are what stands in its report.
#[track_caller]
fn agreeing(api: &Api, campaign: i64, query: &str) -> Value {
    let minutes = api.get(&format!("/v1/campaigns/{campaign}/minutes{query}"));
    let stats = api.get(&format!("/v1/campaigns/{campaign}"))["stats"].clone();
    let stands =
        |name: &str, left: i64| assert_eq!(json!(sum(&minutes, name) - left), stats[name], "{name}: {minutes}");
    stands("sent", 0);
    stands("failed", sum(&minutes, "retried"));
    stands("skipped", 0);
    stands("uncertain", sum(&minutes, "resolved"));
    assert_eq!(minutes["complete"], true, "{minutes}");
    assert_eq!(minutes["total"]["sent"], stats["sent"], "{minutes}");
    minutes
}

both_backends! {
    fn the_minutes_of_a_campaign_sum_up_to_its_report(db: &Database) {
        let count = AtomicUsize::new(0);
        let sink = ScriptedHttp::start(move |_| match count.fetch_add(1, Ordering::Relaxed) {
            0..20 => Answer::status(200),
            20..25 => Answer::status(404),
            25..28 => Answer::Cut,
            _ => Answer::status(200),
        });
        let server = Server::with_pools(db, vec![webhook("gateway", &sink)]);
        let api = server.api();
        let list = api.a_list_of(40);
        let campaign = api.create_campaign("http", "gateway", list, &json!({ "name": "Spring" }));
        let nothing = api.get(&format!("/v1/campaigns/{campaign}/minutes"));
        assert_eq!((&nothing["data"], &nothing["first"], &nothing["complete"]), (&json!([]), &json!(null), &json!(true)));
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        let minutes = agreeing(&api, campaign, "");
        assert!(sum(&minutes, "failed") > 0 && sum(&minutes, "uncertain") > 0, "{minutes}");
        assert!(minutes["data"][0].get("instance_id").is_none(), "summed up: {minutes}");
        let apart = agreeing(&api, campaign, "?by=instance&step=60");
        assert!(apart["data"][0]["instance_id"].is_i64() && apart["step"] == 60, "{apart}");

        let of_campaign = |act: &str| format!("/v1/campaigns/{campaign}/{act}");
        api.post(&of_campaign("deliveries/resolve"), &json!({ "as": "sent" }));
        let resolved = agreeing(&api, campaign, "");
        assert_eq!(sum(&resolved, "resolved"), sum(&minutes, "uncertain"), "{resolved}");
        api.post(&of_campaign("retry-failed"), &json!({}));
        api.wait(campaign, "all are sent", LONG, |seen| seen.is_ended() && seen.stats.sent == 40);
        let retried = agreeing(&api, campaign, "");
        assert_eq!(sum(&retried, "retried"), sum(&minutes, "failed"), "{retried}");

        // As it is with a campaign that went out before minutes were counted.
        server.execute(format!("DELETE FROM campaign_minutes WHERE campaign_id = {campaign}"));
        let older = api.get(&of_campaign("minutes"));
        assert_eq!((&older["complete"], &older["total"]["sent"]), (&json!(false), &json!(0)), "{older}");
    }

    fn minutes_are_walked_by_their_cursor_and_bad_questions_are_refused(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let campaign = id(&api.post("/v1/campaigns", &fields(&json!({ "pool": null }))));
        for (minute, instance) in [(60_000, 1), (60_000, 2), (120_000, 1), (3_600_000, 0)] {
            server.execute(format!(
                "INSERT INTO campaign_minutes (campaign_id, minute, instance_id, sent, failed, skipped, uncertain, deferred, retried, \
                 resolved) VALUES ({campaign}, {minute}, {instance}, 1, 0, 0, 0, 0, 0, 0)"
            ));
        }
        let path = format!("/v1/campaigns/{campaign}/minutes");
        for (query, steps) in [("", 3), ("&by=instance", 4), ("&step=60", 2), ("&by=instance&step=60", 3), ("&from=1970-01-01T00:02:00Z", 2), ("&to=1970-01-01T00:02:00Z", 1)] {
            let whole = api.get(&format!("{path}?page_size=100{query}"));
            assert_eq!(whole["data"].as_array().unwrap().len(), steps, "{query}: {whole}");
            let (mut walked, mut cursor) = (Vec::new(), String::new());
            loop {
                let mut part = api.get(&format!("{path}?page_size=1{query}{cursor}"));
                walked.append(part["data"].as_array_mut().unwrap());
                let Some(next) = part["next_cursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            assert_eq!(json!(walked), whole["data"], "{query}");
        }
        for query in ["step=0", "step=1441", "by=pool", "from=yesterday", "cursor=after-1", "cursor=after--1-0", "page_size=2001", "minute=1"] {
            let refused = server.send("GET", &format!("{path}?{query}"), &[], b"");
            assert_eq!(refused.status, 400, "{query}: {refused:?}");
        }
        assert_eq!(server.send("GET", "/v1/campaigns/999/minutes", &[], b"").status, 404);
    }
}
