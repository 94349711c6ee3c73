//! The pool of a campaign, changed while it is paused.

use std::collections::BTreeSet;

use serde_json::json;
use volley::config::pools::{PoolConfig, WebhookConfig};
use volley::domain::channel::ChannelKind;

use super::{LONG, ask, assert_refused, draft, people, pools};
use crate::support::both_backends;
use crate::support::people::addresses;
use crate::support::scripted_http::{Keys, ScriptedHttp};
use crate::support::server::{Server, webhook};

/// A pool of emails in front of `sink`, which honours keys.
fn keyed(name: &str, sink: &ScriptedHttp) -> PoolConfig {
    let plain = webhook(name, sink);
    let server = plain.provider.server().unwrap().clone();
    let provider = WebhookConfig { server, idempotent: true, ..WebhookConfig::default() };
    PoolConfig {
        name: name.to_owned(),
        channel: ChannelKind::Email,
        timeout_seconds: plain.timeout_seconds,
        ..PoolConfig::bare(provider)
    }
}

fn reached(sink: &ScriptedHttp) -> BTreeSet<String> {
    sink.ledger().entries().accepted.keys().cloned().collect()
}

both_backends! {
    fn life_a_paused_campaign_goes_on_through_another_pool_and_who_is_in_doubt_is_uncertain(db: &Database) {
        let (first, second) = (ScriptedHttp::slow((0, 2), Keys::Honoured), ScriptedHttp::slow((0, 2), Keys::Honoured));
        first.play("request to=person7@: {take} 500");
        let pools = vec![keyed("first", &first), keyed("second", &second)];
        let server = Server::with(db, |settings| {
            settings.pools = pools;
            settings.sending.page_size = 20;
        });
        let api = server.api();
        people(&api, 200);
        let campaign = draft(&api, &json!({ "pool": "first", "audience": { "all": true }, "rate_per_second": 100 }));
        let path = format!("/v1/campaigns/{campaign}");
        let pool = |pool: serde_json::Value| ask(&server, "PATCH", &path, &json!({ "pool": pool }));
        api.send(campaign);
        api.wait(campaign, "half of it is sent", LONG, |seen| seen.stats.sent >= 80);
        let early = pool(json!("second"));
        assert_refused(&early, 409, "campaign_not_editable");
        assert_eq!(early.body["detail"], "the campaign is sending: pause it, change its pool, and resume it");
        api.pause(campaign);
        let unknown = pool(json!("third"));
        assert_refused(&unknown, 422, "pool_missing");
        assert_eq!(unknown.field(), "/pool");
        assert_refused(&ask(&server, "PATCH", &path, &json!({ "pool": "second", "name": "Other" })), 409, "campaign_not_editable");
        let changed = pool(json!("second"));
        assert_eq!((changed.status, &changed.body["pool"], &changed.body["status"]), (200, &json!("second"), &json!("paused")));
        let held = api.wait(campaign, "who is in doubt is uncertain", LONG, |seen| (seen.stats.uncertain, seen.stats.sending) == (1, 0));
        assert_eq!((held.status.as_str(), held.stats.failed), ("paused", 0), "{}", held.body);
        api.audit(campaign);
        let doubted = api.deliveries(campaign, "uncertain");
        assert_eq!(doubted[0]["contact"]["email"], "person7@example.com");
        assert_eq!(doubted[0]["error"], "the campaign got another pool after an attempt that went unanswered");
        let by_first = reached(&first);
        assert_eq!(u64::try_from(by_first.len()).unwrap(), held.stats.sent + 1, "and the one in doubt");
        api.resume(campaign);
        ask(&server, "PATCH", &path, &json!({ "rate_per_second": null }));
        let ended = api.wait_ended(campaign, LONG);
        assert_eq!((ended.stats.sent, ended.stats.uncertain, ended.stats.failed), (199, 1, 0), "{}", ended.body);
        let by_second = reached(&second);
        assert_eq!(reached(&first), by_first, "the first pool went on");
        assert!(by_first.is_disjoint(&by_second), "{:?} got it twice", by_first.intersection(&by_second).collect::<Vec<_>>());
        assert_eq!(&by_first | &by_second, addresses(200).into_iter().collect());
        for sink in [&first, &second] {
            sink.ledger().assert_nobody_twice();
        }
        assert_refused(&pool(json!("first")), 409, "campaign_not_editable");
        let log = api.get(&format!("/v1/audit-log?object=campaign&object_id={campaign}&action=updated"));
        let lines = log["data"].as_array().unwrap();
        let line = lines.iter().find(|line| line["after"]["fields"] == json!(["pool"])).unwrap_or_else(|| panic!("{log}"));
        assert_eq!((&line["before"]["pool"], &line["after"]["pool"]), (&json!("first"), &json!("second")), "{log}");
    }

    fn life_a_pool_that_does_not_fit_is_no_pool_for_a_paused_campaign(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        people(&api, 60);
        let campaign = draft(&api, &json!({ "pool": "slow", "audience": { "all": true } }));
        let path = format!("/v1/campaigns/{campaign}");
        api.send(campaign);
        api.pause(campaign);
        let pool = |pool: serde_json::Value| ask(&server, "PATCH", &path, &json!({ "pool": pool }));
        for named in [json!("texts"), json!(null)] {
            let refused = pool(named);
            assert_refused(&refused, 422, "pool_missing");
            assert_eq!(refused.field(), "/pool", "{refused:?}");
        }
        let before = api.campaign(campaign).body["updated_at"].clone();
        let same = pool(json!("slow"));
        assert_eq!((same.status, &same.body["updated_at"]), (200, &before), "nothing has changed");
        // There and back again, and on: the last word counts.
        for name in ["fast", "slow", "fast"] {
            assert_eq!(pool(json!(name)).body["pool"], name);
        }
        api.resume(campaign);
        assert_eq!(api.wait_ended(campaign, LONG).stats.sent, 60);
        let pages = format!("pages WHERE campaign_id = {campaign} AND pool <> 'fast'");
        let strangers = server.ask(move |conn| {
            Ok(crate::support::database::number(conn, &format!("SELECT count(*) AS n FROM {pages}")))
        });
        assert_eq!(strangers, 0);
    }
}
