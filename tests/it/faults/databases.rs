//! The database goes away while a campaign is sent.

use std::time::Duration;

use crate::support::Database;
use crate::support::provider::Provider;
use crate::support::stage::{LONG, Stage};
use crate::support::turns::shared_turn;
use crate::support::volley::Volley;
use crate::support::waiting::wait_until;

const LATENCY_MS: (u64, u64) = (5, 20);

fn readyz(stage: &Stage) -> u16 {
    stage.api.try_get("/readyz").expect("the process itself lives").status
}

/// Kills the database twice in mid-campaign. The process lives on and forgets nothing, so nothing is uncertain.
fn restarts(test: &str, provider: Provider) {
    let _turn = shared_turn();
    let Some(db) = Database::own_postgres(test) else { return };
    let stage = Stage::launched(&db, provider, 10_000);
    for progress in [1_500, 5_000] {
        stage.wait_reached(progress);
        db.server().stop_immediately();
        wait_until("the outage is reported", LONG, || readyz(&stage) == 503);
        // What was claimed before the outage may begin for half a second more (timing.start_deadline_ms).
        std::thread::sleep(Duration::from_millis(600));
        let begun = stage.provider.ledger().begun();
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(stage.provider.ledger().begun(), begun, "something was handed over without a durable intent");
        db.server().start_again();
        wait_until("the process is ready again", LONG, || readyz(&stage) == 200);
    }
    let watch = stage.watch();
    stage.assert_everyone_once();
    watch.finish();
    stage.volley.stop();
}

#[test]
fn an_smtp_campaign_survives_the_death_of_postgres() {
    restarts("an_smtp_campaign_survives_the_death_of_postgres", Provider::smtp(LATENCY_MS));
}

#[test]
fn a_webhook_campaign_survives_the_death_of_postgres() {
    restarts("a_webhook_campaign_survives_the_death_of_postgres", Provider::webhook(LATENCY_MS));
}

#[test]
fn what_was_in_flight_is_recorded_after_an_outage_longer_than_the_leases() {
    let _turn = shared_turn();
    let Some(db) = Database::own_postgres("what_was_in_flight_is_recorded_after_an_outage") else { return };
    let stage = Stage::set(&db, Provider::smtp(LATENCY_MS), 3_000, |builder| {
        builder.settings("[timing]\nlease_ms = 3000\nlease_renew_ms = 600\nlease_trust_ms = 2400")
    });
    stage.api.send(stage.campaign);
    stage.wait_reached(500);
    db.server().stop_immediately();
    std::thread::sleep(Duration::from_secs(5));
    db.server().start_again();
    stage.assert_everyone_once();
    stage.volley.stop();
}

#[test]
fn connections_cut_in_mid_commit_lose_and_double_nothing() {
    let _turn = shared_turn();
    let Some(db) = Database::own_postgres("connections_cut_in_mid_commit_lose_and_double_nothing") else { return };
    let stage = Stage::launched(&db, Provider::smtp(LATENCY_MS), 10_000);
    for cut in 1..=20 {
        stage.wait_reached(cut * 400);
        db.server().cut_connections();
    }
    stage.assert_everyone_once();
    stage.volley.stop();
}

#[test]
fn a_read_behind_a_cut_connection_gets_a_fresh_one() {
    let _turn = shared_turn();
    let Some(db) = Database::own_postgres("a_read_behind_a_cut_connection_gets_a_fresh_one") else { return };
    let volley = Volley::on(&db).start();
    // As many connections as the pool may have, all of them idle when they are cut.
    let all_at_once = || {
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..20)
                .map(|_| {
                    let api = volley.api();
                    scope.spawn(move || {
                        ["/v1/contacts", "/v1/campaigns", "/v1/lists"].map(|path| api.try_get(path).unwrap().status)
                    })
                })
                .collect();
            readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect::<Vec<u16>>()
        })
    };
    assert!(all_at_once().iter().all(|status| *status == 200));
    for _ in 0..3 {
        db.server().cut_connections();
        let statuses = all_at_once();
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    }
    volley.stop();
}
