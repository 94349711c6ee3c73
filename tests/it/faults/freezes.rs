//! The process is frozen for longer than its leases, and wakes up.

use std::time::{Duration, Instant};

use crate::support::api::Api;
use crate::support::provider::{CONCURRENCY, Provider};
use crate::support::stage::{LONG, Stage};
use crate::support::turns::my_turn;
use crate::support::volley::{Builder, Volley};
use crate::support::waiting::wait_until;
use crate::support::{Database, both_backends};

const LATENCY_MS: (u64, u64) = (5, 20);
const PEOPLE: usize = 8_000;
const LEASE: Duration = Duration::from_secs(2);

/// Leases that end soon, so that a short sleep outlasts them.
fn sleeper(builder: Builder) -> Builder {
    builder.settings("[timing]\nlease_ms = 2000\nlease_renew_ms = 400\nlease_trust_ms = 1500")
}

fn launched(db: &Database, provider: Provider) -> Stage {
    let stage = Stage::set(db, provider, PEOPLE, sleeper);
    stage.api.send(stage.campaign);
    stage.wait_reached(PEOPLE / 8);
    stage
}

/// Waits until nothing of the program is in flight any more: whatever it still had to say of a page is said.
fn wait_idle(api: &Api) {
    wait_until("nothing is in flight", LONG, || {
        let state = api.get("/v1/admin/state");
        let busy = |pool: &serde_json::Value| pool["in_flight"] != 0 || pool["pages"] != serde_json::json!([]);
        let pools = state["pools"].as_array().expect("the state shows the pools");
        assert!(!pools.is_empty(), "{state}");
        !pools.iter().any(busy) && state["recorder"]["waiting"] == 0 && state["recorder"]["flushing"] == false
    });
}

/// Nobody twice; whoever was not reached is reported, as uncertain or as certainly not taken; nobody is left over.
fn assert_nobody_twice_and_all_told(stage: &Stage) {
    let ended = stage.wait_ended();
    let ledger = stage.provider.ledger();
    ledger.assert_nobody_twice();
    let mut told = stage.uncertain();
    for failed in stage.api.deliveries(stage.campaign, "failed") {
        assert!(failed.to_string().contains("not_accepted"), "{failed}");
        told.insert(Api::address_of(&failed));
    }
    let missing = ledger.missing(&stage.everyone);
    let untold: Vec<&String> = missing.difference(&told).take(5).collect();
    assert!(untold.is_empty(), "lost without a word: {untold:?} of {} missing", missing.len());
    assert_eq!(ended.stats.pending + ended.stats.sending, 0, "{}", ended.body);
    // What waited for a place when the process froze is claimed as well: at most as many again, and a chunk.
    assert!(ended.stats.uncertain <= 2 * CONCURRENCY + 64, "{}", ended.body);
}

/// Freezes the one process for longer than its leases, and lets it go on.
fn sleeps(db: &Database, provider: Provider) -> Stage {
    let stage = launched(db, provider);
    for progress in [PEOPLE / 4, PEOPLE / 2] {
        stage.wait_reached(progress);
        stage.volley.freeze();
        // Time itself is the fault here.
        std::thread::sleep(LEASE + Duration::from_millis(700));
        stage.volley.thaw();
    }
    stage
}

/// Freezes a process, lets another one on the same database take its pages, and wakes the first one up in the middle.
fn is_replaced(db: &Database, provider: Provider) -> (Stage, Volley) {
    let stage = launched(db, provider);
    let held = "SELECT count(*) AS n FROM pages WHERE state = 'leased' AND lease_instance_id = 1";
    stage.volley.freeze();
    assert!(db.number(held) > 0, "the campaign was over before the process froze");
    let frozen = Instant::now();
    let other = sleeper(Volley::on(db).pool(stage.provider.pool())).start();
    wait_until("the pages of the frozen process are taken over", LONG, || db.number(held) == 0);
    println!("taken over {:?} after the freeze", frozen.elapsed());
    let reached = stage.provider.ledger().reached();
    wait_until("the other process sends", LONG, || stage.provider.ledger().reached() > reached);
    stage.volley.thaw();
    // The second one ends the campaign; the first one may help, with leases of its own.
    stage.wait_ended();
    wait_idle(&stage.api);
    wait_idle(&other.api());
    (stage, other)
}

#[test]
fn a_frozen_process_whose_pages_were_taken_over_sends_nobody_a_second_request() {
    let _turn = my_turn();
    let test = "a_frozen_process_whose_pages_were_taken_over_sends_nobody_a_second_request";
    let Some(db) = Database::postgres(test) else { return };
    let (stage, other) = is_replaced(&db, Provider::webhook(LATENCY_MS));
    stage.assert_everyone_once();
    other.stop();
    stage.volley.stop();
}

#[test]
fn a_frozen_process_whose_pages_were_taken_over_sends_nobody_a_second_mail() {
    let _turn = my_turn();
    let test = "a_frozen_process_whose_pages_were_taken_over_sends_nobody_a_second_mail";
    let Some(db) = Database::postgres(test) else { return };
    let (stage, other) = is_replaced(&db, Provider::smtp(LATENCY_MS));
    assert_nobody_twice_and_all_told(&stage);
    other.stop();
    stage.volley.stop();
}

both_backends! {
    fn a_process_that_slept_longer_than_its_leases_sends_nobody_a_second_request(db: &Database) {
        let _turn = my_turn();
        let stage = sleeps(db, Provider::webhook(LATENCY_MS));
        stage.assert_everyone_once();
        stage.volley.stop();
    }

    fn a_process_that_slept_longer_than_its_leases_sends_nobody_a_second_mail(db: &Database) {
        let _turn = my_turn();
        let stage = sleeps(db, Provider::smtp(LATENCY_MS));
        assert_nobody_twice_and_all_told(&stage);
        stage.volley.stop();
    }
}
