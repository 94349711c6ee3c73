//! Pause, resume and stop reach every instance, and the receipt says so.

use std::time::Duration;

use serde_json::json;
use volley::verify::plan::LinkTrouble;
use volley::verify::proxy::Proxy;

use super::{LATENCY_MS, ground};
use crate::support::Database;
use crate::support::fleet::{Fleet, number_of, tally};
use crate::support::provider::Provider;
use crate::support::stage::{LONG, Stage};
use crate::support::turns::my_turn;
use crate::support::waiting::{stays, wait_for, wait_until};

#[test]
fn a_pause_is_acknowledged_by_three_instances_and_silences_them_and_a_stop_is_final() {
    let _turn = my_turn();
    let Some((db, broker)) = ground("a_pause_is_acknowledged_by_three_instances") else { return };
    let fleet = Fleet::launched(&db, &broker.url(), (Provider::smtp(LATENCY_MS), 12_000), 3);
    let (stage, path) = (&fleet.stage, format!("/v1/campaigns/{}/receipt", fleet.stage.campaign));
    for round in 1..=3 {
        stage.wait_reached(round * 800);
        let pause = fleet.decide("pause");
        assert_eq!((pause.tally(), &pause.receipt["action"]), ((3, 0), &json!("pause")), "{}", pause.receipt);
        stage.assert_silence(pause.at);
        assert!(pause.receipt["last_hand_over_at"].is_string(), "{}", pause.receipt);
        let in_flight = pause.receipt["acknowledged"].as_array().unwrap().iter().map(|one| one["in_flight"].as_i64());
        assert!(in_flight.flatten().all(|n| (0..=50).contains(&n)), "{}", pause.receipt);
        // Any instance has the same receipt, later too.
        for api in fleet.apis() {
            assert_eq!(api.get(&path), pause.receipt);
            assert_eq!(api.campaign(stage.campaign).status, "paused");
        }
        let resume = fleet.decide("resume");
        assert_eq!((resume.tally(), &resume.receipt["action"]), ((3, 0), &json!("resume")));
    }
    stage.wait_reached(stage.provider.ledger().reached() + 500);
    let stop = fleet.decide("stop");
    assert_eq!((stop.tally(), &stop.receipt["action"]), ((3, 0), &json!("stop")), "{}", stop.receipt);
    stage.assert_silence(stop.at);
    let refused = stage.api.try_post(&format!("/v1/campaigns/{}/resume", stage.campaign), &json!({})).unwrap();
    assert_eq!(refused.status, 409, "{}", refused.body);
    let stopped = stage.api.wait(stage.campaign, "what is left is skipped", LONG, |campaign| {
        campaign.stats.pending == 0 && campaign.stats.sending == 0
    });
    assert_eq!(stopped.stats.sent + stopped.stats.skipped, stopped.stats.total, "{}", stopped.body);
    stage.provider.ledger().assert_nobody_twice();
    stage.api.audit(stage.campaign);
    assert_eq!(stage.api.get(&path)["action"], json!("stop"));
    fleet.stop();
}

#[test]
fn a_frozen_instance_is_missing_in_the_receipt_and_begins_nothing_when_it_wakes_up() {
    let _turn = my_turn();
    let Some((db, broker)) = ground("a_frozen_instance_is_missing") else { return };
    // A relay knows no keys: who begins a second time gets a second mail.
    let fleet = Fleet::launched(&db, &broker.url(), (Provider::smtp(LATENCY_MS), 8_000), 3);
    let stage = &fleet.stage;
    stage.wait_reached(1_000);
    let frozen = number_of(&fleet.others[1].api());
    fleet.others[1].freeze();
    let pause = fleet.decide("pause?wait_ms=700");
    assert_eq!(pause.tally(), (2, 1), "{}", pause.receipt);
    assert_eq!(pause.receipt["missing"][0]["instance_id"], json!(frozen));
    assert_eq!(pause.receipt["start_deadline_ms"], json!(500));
    // Past the start deadline: what it had claimed may not begin any more.
    stays("two are silent, and one is frozen", Duration::from_millis(600), || true);
    let begun = stage.provider.ledger().begun();
    fleet.others[1].thaw();
    let path = format!("/v1/campaigns/{}/receipt", stage.campaign);
    let receipt = wait_for("it acknowledges when it wakes up", Duration::from_secs(15), || {
        let receipt = stage.api.get(&path);
        (tally(&receipt) == (3, 0)).then_some(receipt)
    });
    assert_eq!(receipt["version"], pause.receipt["version"]);
    stays("nothing begins", Duration::from_millis(600), || {
        // A thread that was frozen between the gate and the first byte has begun: one for each core at most.
        stage.provider.ledger().begun() <= begun + std::thread::available_parallelism().map_or(2, usize::from)
    });
    fleet.decide("resume");
    stage.assert_everyone_once();
    fleet.stop();
}

#[test]
fn a_stop_holds_within_the_start_deadline_where_no_control_message_arrives() {
    let _turn = my_turn();
    let Some((db, broker)) = ground("a_stop_holds_within_the_start_deadline") else { return };
    let proxy = Proxy::start().unwrap();
    let link = proxy.link(&broker.addr()).unwrap();
    let deaf = broker.url_by(link.addr().port());
    let crowd = (Provider::webhook(LATENCY_MS), 8_000);
    let fleet = Fleet::set(
        &db,
        &broker.url(),
        crowd,
        3,
        |number, builder| {
            if number == 2 { builder.broker(&deaf) } else { builder }
        },
    );
    let stage = &fleet.stage;
    stage.api.send(stage.campaign);
    stage.wait_reached(1_000);
    link.begin(LinkTrouble::BlackHole);
    stage.wait_reached(2_000);
    let stop = fleet.decide("stop?wait_ms=0");
    // From the answer on: the start deadline bounds whoever has not heard.
    stage.assert_silence(stop.at + Duration::from_millis(500));
    let path = format!("/v1/campaigns/{}/receipt", stage.campaign);
    wait_until("the rows tell the deaf one", Duration::from_secs(5), || tally(&stage.api.get(&path)) == (3, 0));
    let api = fleet.others[1].api();
    wait_until("the deaf one finds out", Duration::from_secs(20), || api.get("/readyz")["status"] == "degraded");
    link.mend();
    wait_until("it hears again", Duration::from_secs(20), || api.get("/readyz")["status"] == "ready");
    stage.provider.ledger().assert_nobody_twice();
    stage.api.audit(stage.campaign);
    fleet.stop();
}

#[test]
fn the_one_instance_of_an_embedded_database_gives_a_whole_receipt_at_once() {
    let _turn = my_turn();
    let stage = Stage::launched(&Database::sqlite(), Provider::webhook((5, 20)), 3_000);
    stage.wait_reached(300);
    let path = format!("/v1/campaigns/{}/pause", stage.campaign);
    let asked = std::time::Instant::now();
    let answer = stage.api.try_post(&path, &json!({})).unwrap();
    let took = answer.at - asked;
    stage.assert_silence(answer.at);
    let receipt = &answer.body["receipt"];
    assert_eq!(tally(receipt), (1, 0), "{receipt}");
    assert!(took < Duration::from_millis(900), "the answer took {took:?}");
    let instances = stage.api.get("/v1/instances");
    assert_eq!(instances["data"].as_array().map(Vec::len), Some(1), "{instances}");
    assert_eq!(instances["data"][0]["id"], receipt["acknowledged"][0]["instance_id"]);
    // Pausing again changes nothing, and says the same.
    assert_eq!(stage.api.post(&path, &json!({}))["receipt"], *receipt);
    stage.api.resume(stage.campaign);
    stage.assert_everyone_once();
    stage.volley.stop();
}
