//! `kill -9` at random moments.

use std::time::Duration;

use serde_json::{Value, json};
use volley::verify::rng::Rng;

use crate::support::both_backends;
use crate::support::provider::{CONCURRENCY, POOL, Provider};
use crate::support::stage::Stage;
use crate::support::turns::{my_turn, shared_turn};
use crate::support::waiting::stays;

const PEOPLE: usize = 20_000;
const KILLS: u64 = 10;
const LATENCY_MS: (u64, u64) = (5, 20);

/// Dice seeded by `VOLLEY_TEST_SEED` or by the system; prints the seed.
fn thrown_dice() -> Rng {
    let given = std::env::var_os("VOLLEY_TEST_SEED").and_then(|text| text.to_str()?.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from(uuid::Uuid::new_v4().as_fields().0));
    println!("VOLLEY_TEST_SEED={seed}");
    Rng::new(seed)
}

/// Kills and restarts the process at moments spread by dice over the campaign. Returns how often it was killed.
fn kill_again_and_again(stage: &mut Stage) -> u64 {
    let rng = thrown_dice();
    let watch = stage.watch();
    let mut kills = 0;
    let stretch = u64::try_from(PEOPLE).unwrap() / (KILLS + 2);
    for kill in 0..KILLS {
        let progress = kill * stretch + rng.between(1, stretch);
        stage.wait_reached(usize::try_from(progress).unwrap());
        std::thread::sleep(rng.millis(0, 20));
        stage.volley.kill_9();
        kills += 1;
        if rng.between(0, 2) == 0 {
            // Once more, while it is still starting.
            stage.volley.spawn();
            std::thread::sleep(rng.millis(0, 300));
            stage.volley.kill_9();
            kills += 1;
        }
        stage.volley.start();
        assert!(stage.provider.ledger().reached() < PEOPLE, "the campaign ended before the last kill");
    }
    stage.wait_ended();
    watch.finish();
    kills
}

/// Whether the minutes of the campaign sum up to its report: every outcome was counted once.
#[track_caller]
fn assert_minutes_explain_the_report(stage: &Stage) {
    let minutes = stage.api.get(&format!("/v1/campaigns/{}/minutes", stage.campaign));
    let stats = stage.api.campaign(stage.campaign).stats;
    let sum =
        |name: &str| -> u64 { minutes["data"].as_array().unwrap().iter().filter_map(|step| step[name].as_u64()).sum() };
    let stands = [sum("sent"), sum("failed") - sum("retried"), sum("skipped"), sum("uncertain") - sum("resolved")];
    assert_eq!(stands, [stats.sent, stats.failed, stats.skipped, stats.uncertain], "{minutes}");
    assert_eq!(minutes["complete"], Value::Bool(true), "{minutes}");
}

both_backends! {
    fn killed_again_and_again_a_webhook_campaign_reaches_everyone_exactly_once(db: &Database) {
        let _turn = my_turn();
        let mut stage = Stage::launched(db, Provider::webhook(LATENCY_MS), PEOPLE);
        kill_again_and_again(&mut stage);
        stage.assert_everyone_once();
        assert_minutes_explain_the_report(&stage);
        stage.volley.stop();
    }

    fn killed_again_and_again_an_smtp_campaign_reaches_nobody_twice(db: &Database) {
        let _turn = my_turn();
        let mut stage = Stage::launched(db, Provider::smtp(LATENCY_MS), PEOPLE);
        let kills = kill_again_and_again(&mut stage);
        stage.assert_missing_are_uncertain(CONCURRENCY * kills);
        assert_minutes_explain_the_report(&stage);
        stage.volley.stop();
    }

    fn a_pool_suspended_before_a_restart_hands_nothing_over_after_it(db: &Database) {
        let _turn = shared_turn();
        let mut stage = Stage::set(db, Provider::smtp(LATENCY_MS), 100, |builder| builder);
        stage.api.post(&format!("/v1/pools/{POOL}/suspend"), &json!({ "reason": "the relay moves" }));
        stage.volley.kill_and_restart();
        stage.api.send(stage.campaign);
        stays("nothing begins", Duration::from_secs(2), || stage.provider.ledger().begun() == 0);
        stage.api.post(&format!("/v1/pools/{POOL}/resume"), &json!({}));
        stage.assert_everyone_once();
        stage.volley.stop();
    }
}
