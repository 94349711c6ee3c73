//! The figures of the day.

use serde_json::{Value, json};
use volley::config::pools::{PoolConfig, SandboxConfig};
use volley::domain::channel::ChannelKind;

use crate::support::both_backends;
use crate::support::server::{Server, sandbox};
use crate::support::stage::LONG;

fn pool<'s>(stats: &'s Value, name: &str) -> &'s Value {
    let pools = stats["pools"].as_array().unwrap();
    pools.iter().find(|pool| pool["name"] == name).unwrap_or_else(|| panic!("{name} in {stats}"))
}

both_backends! {
    fn the_figures_of_the_day_say_what_was_sent_what_failed_and_what_waits(db: &Database) {
        let slow = SandboxConfig { latency_ms: Some([60_000, 60_000]), failure_rate: None, crash_on: None };
        let slow = PoolConfig { name: "slow".to_owned(), concurrency: 2, timeout_seconds: 90, ..PoolConfig::bare(slow) };
        let server = Server::with_pools(db, vec![
            sandbox("good", ChannelKind::Email, 0.0), sandbox("bad", ChannelKind::Email, 1.0), slow,
        ]);
        let api = server.api();
        let nothing = api.get("/v1/stats");
        assert_eq!((&nothing["sent"], &nothing["failure_rate"], &nothing["pools"]), (&json!(0), &Value::Null, &json!([])));
        let list = api.a_list_of(20);
        let sent_by = |pool: &str| {
            let campaign = api.create_campaign("email", pool, list, &json!({ "retry_for": 0 }));
            api.send(campaign);
            campaign
        };
        for name in ["good", "bad"] {
            api.wait_ended(sent_by(name), LONG);
        }
        let waits = sent_by("slow");
        api.wait(waits, "two are under way", LONG, |campaign| campaign.stats.sending == 2);
        // What happened yesterday counts no more.
        server.execute("INSERT INTO campaign_minutes (campaign_id, minute, instance_id, sent, failed, skipped, uncertain, deferred, \
                        retried, resolved) SELECT campaign_id, minute - 86400000, instance_id, 7, 7, 0, 0, 0, 0, 0 \
                        FROM campaign_minutes WHERE sent > 0".to_owned());
        let stats = api.get("/v1/stats");
        let at = stats["at"].as_str().unwrap();
        assert_eq!(stats["day"].as_str().unwrap(), &at[..10], "{stats}");
        let figures = |of: &Value| ["sent", "failed", "failure_rate", "pending", "sending"].map(|name| of[name].clone());
        assert_eq!(figures(&stats), [json!(20), json!(20), json!(0.5), json!(18), json!(2)], "{stats}");
        assert_eq!(figures(pool(&stats, "good")), [json!(20), json!(0), json!(0.0), json!(0), json!(0)], "{stats}");
        assert_eq!(figures(pool(&stats, "bad")), [json!(0), json!(20), json!(1.0), json!(0), json!(0)], "{stats}");
        assert_eq!(figures(pool(&stats, "slow")), [json!(0), json!(0), Value::Null, json!(18), json!(2)], "{stats}");
    }
}
