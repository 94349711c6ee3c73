//! A paused campaign gets another pool, on every instance.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;

use super::{LATENCY_MS, ground};
use crate::support::api::Api;
use crate::support::fleet::Fleet;
use crate::support::provider::{POOL, Provider};
use crate::support::scripted_http::{Keys, ScriptedHttp};
use crate::support::stage::LONG;
use crate::support::turns::my_turn;
use crate::support::volley::Pool;
use crate::support::waiting::wait_until;

fn change(api: &Api, campaign: i64, pool: &str) -> serde_json::Value {
    let path = format!("/v1/campaigns/{campaign}");
    let body = json!({ "pool": pool }).to_string().into_bytes();
    let answer = api.request(Method::PATCH, &path, "application/json", Some(body), &[]).expect("an answer");
    assert_eq!((answer.status, &answer.body["pool"]), (200, &json!(pool)), "{}", answer.body);
    answer.body
}

#[test]
fn a_campaign_changes_its_pool_on_three_instances_and_nobody_is_reached_by_both() {
    let _turn = my_turn();
    let Some((db, broker)) = ground("a_campaign_changes_its_pool") else { return };
    let second = ScriptedHttp::slow(LATENCY_MS, Keys::Honoured);
    let other = || Pool::webhook("second", &second).set("idempotent", "true").set("concurrency", "50");
    let fleet =
        Fleet::set(&db, &broker.url(), (Provider::webhook(LATENCY_MS), 4_000), 3, |_, builder| builder.pool(other()));
    let (stage, apis) = (&fleet.stage, fleet.apis());
    let reached = |of_second: bool| -> BTreeSet<String> {
        let ledger = if of_second { second.ledger() } else { stage.provider.ledger() };
        ledger.entries().accepted.keys().cloned().collect()
    };
    stage.api.send(stage.campaign);
    stage.wait_reached(1_000);
    let mut silent = BTreeSet::new();
    // There and back, each time asked of another instance.
    for (pool, api, is_second) in [("second", &apis[1], true), (POOL, &apis[2], false)] {
        assert_eq!(fleet.decide("pause").tally(), (3, 0));
        let quiet = |seen: &crate::support::api::Campaign| seen.stats.sending == 0;
        stage.api.wait(stage.campaign, "what was under way is known", LONG, quiet);
        let before = reached(is_second);
        assert_eq!(before, silent, "the pool that was left went on");
        change(api, stage.campaign, pool);
        silent = reached(!is_second);
        assert_eq!(fleet.decide("resume").tally(), (3, 0));
        let enough = before.len() + 800;
        wait_until(&format!("{enough} are reached by {pool}"), LONG, || reached(is_second).len() >= enough);
        for api in &apis {
            assert_eq!(api.get(&format!("/v1/campaigns/{}", stage.campaign))["pool"], json!(pool));
        }
    }
    let ended = stage.wait_ended();
    let (by_first, by_second) = (reached(false), reached(true));
    assert_eq!(by_second, silent, "the pool that was left went on");
    assert!(by_first.is_disjoint(&by_second), "{:?}", by_first.intersection(&by_second).take(5).collect::<Vec<_>>());
    for ledger in [stage.provider.ledger(), second.ledger()] {
        ledger.assert_nobody_twice();
    }
    let missing = stage.everyone.len() - by_first.len() - by_second.len();
    assert_eq!(ended.stats.sent + ended.stats.uncertain, 4_000, "{}", ended.body);
    assert!(u64::try_from(missing).unwrap() <= ended.stats.uncertain, "lost without a word: {}", ended.body);
    stage.api.audit(stage.campaign);
    fleet.stop();
}
