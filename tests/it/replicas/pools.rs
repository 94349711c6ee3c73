//! A pool is suspended on every instance, across campaigns, and goes on.

use std::time::Duration;

use serde_json::{Value, json};

use super::{LATENCY_MS, ground};
use crate::support::fleet::{Fleet, tally};
use crate::support::provider::{POOL, Provider};
use crate::support::stage::LONG;
use crate::support::turns::my_turn;

#[test]
fn a_suspended_pool_is_silent_on_every_instance_and_goes_on_when_resumed() {
    let _turn = my_turn();
    let Some((db, broker)) = ground("a_suspended_pool_is_silent") else { return };
    let fleet = Fleet::launched(&db, &broker.url(), (Provider::webhook(LATENCY_MS), 6_000), 2);
    let (stage, path) = (&fleet.stage, format!("/v1/pools/{POOL}/suspend"));
    stage.wait_reached(800);
    let suspended = stage.api.try_post(&path, &json!({ "reason": "the provider works on its machines" })).unwrap();
    assert_eq!((suspended.status, &suspended.body["suspended"]), (200, &json!(true)), "{}", suspended.body);
    assert_eq!(tally(&suspended.body["receipt"]), (2, 0), "{}", suspended.body);
    stage.assert_silence(suspended.at);
    for api in fleet.apis() {
        assert_eq!(api.get(&format!("/v1/pools/{POOL}/receipt")), suspended.body["receipt"]);
        assert_eq!(api.get("/v1/pools")["data"][0]["reason"], json!("the provider works on its machines"));
        let campaign = api.campaign(stage.campaign);
        assert_eq!((campaign.status.as_str(), campaign.attention.as_deref()), ("sending", Some("pool_suspended")));
        assert_eq!(api.get("/readyz")["pools"][POOL]["code"], json!("pool_suspended"));
    }
    let reached = stage.provider.ledger().reached();
    let resumed = fleet.others[0].api().post(&format!("/v1/pools/{POOL}/resume"), &json!({}));
    assert_eq!((&resumed["suspended"], tally(&resumed["receipt"])), (&json!(false), (2, 0)), "{resumed}");
    stage.wait_reached(reached + 500);

    // One that ends by itself.
    let until = jiff::Timestamp::now() + Duration::from_millis(2_500);
    let again = json!({ "reason": "a moment", "expires_at": until.to_string() });
    let suspended = stage.api.try_post(&path, &again).unwrap();
    assert_eq!(suspended.status, 200, "{}", suspended.body);
    assert_eq!(tally(&suspended.body["receipt"]), (2, 0), "{}", suspended.body);
    stage.assert_silence(suspended.at);
    let reached = stage.provider.ledger().reached();
    stage.wait_reached(reached + 1);
    assert!(jiff::Timestamp::now() >= until, "it went on before its time");
    stage.assert_everyone_once();
    let pool: Value = stage.api.get("/v1/pools")["data"][0].clone();
    assert_eq!((&pool["suspended"], pool["expires_at"].is_null()), (&json!(false), true), "{pool}");
    let ended = stage.api.wait(stage.campaign, "no attention is left", LONG, |campaign| campaign.attention.is_none());
    assert_eq!(ended.status, "sent");
    fleet.stop();
}

#[test]
fn a_suspension_that_makes_no_sense_is_refused_with_the_field() {
    let Some((db, broker)) = ground("a_suspension_that_makes_no_sense") else { return };
    let fleet = Fleet::set(&db, &broker.url(), (Provider::webhook((0, 0)), 1), 1, |_, builder| builder);
    let api = &fleet.stage.api;
    let refused = |pool: &str, body: Value| {
        let answer = api.try_post(&format!("/v1/pools/{pool}/suspend"), &body).unwrap();
        (answer.status, answer.body.to_string())
    };
    let (status, said) = refused("nowhere", json!({ "reason": "it is not there" }));
    assert!(status == 404 && said.contains("pool_not_found"), "{status} {said}");
    for (field, body) in [
        ("expires_at", json!({ "reason": "late", "expires_at": "2020-01-01T00:00:00Z" })),
        ("expires_at", json!({ "reason": "vague", "expires_at": "tomorrow" })),
        ("reason", json!({ "reason": "" })),
        ("reason", json!({})),
        ("until", json!({ "reason": "unknown field", "until": "2030-01-01T00:00:00Z" })),
    ] {
        let (status, said) = refused(POOL, body);
        assert!((status == 422 || status == 400) && said.contains(field), "{status} {said}");
    }
    assert_eq!(api.get("/v1/pools")["data"][0]["suspended"], json!(false));
    assert_eq!(api.try_get(&format!("/v1/pools/{POOL}/receipt")).unwrap().status, 404);
    assert_eq!(api.try_post("/v1/pools/nowhere/resume", &json!({})).unwrap().status, 404);
    fleet.stop();
}
