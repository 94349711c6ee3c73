//! An instance dies in mid-campaign: the others take over, soon.

use std::time::{Duration, Instant};

use super::{LATENCY_MS, ground};
use crate::support::Database;
use crate::support::api::Api;
use crate::support::fleet::{Fleet, number_of};
use crate::support::provider::{CONCURRENCY, Provider};
use crate::support::rabbitmq::Broker;
use crate::support::turns::my_turn;
use crate::support::waiting::wait_until;

/// The most that the takeover of a dead instance's pages may take.
const TAKEN_OVER: Duration = Duration::from_secs(15);

/// Kills one of two instances in mid-campaign, and waits until none of its pages is left with it.
fn killed_one_of_two(db: &Database, broker: &Broker, provider: Provider) -> Fleet {
    let mut fleet = Fleet::launched(db, &broker.url(), (provider, 8_000), 2);
    fleet.stage.wait_reached(2_000);
    let victim = number_of(&fleet.others[0].api());
    fleet.others[0].kill_9();
    let killed = Instant::now();
    let held = || db.number(&format!("SELECT count(*) AS n FROM pages WHERE lease_instance_id = {victim}"));
    assert!(held() > 0, "it held no page when it died");
    wait_until("its pages are taken over", TAKEN_OVER, || held() == 0);
    println!("its pages were taken over after {:?}", killed.elapsed());
    fleet
}

#[test]
fn a_killed_instances_pages_are_taken_over_and_everyone_gets_a_webhook_once() {
    let _turn = my_turn();
    let Some((db, broker)) = ground("a_killed_instances_pages_webhook") else { return };
    let fleet = killed_one_of_two(&db, &broker, Provider::webhook(LATENCY_MS));
    fleet.stage.assert_everyone_once();
    wait_until("the dead one is listed no more", TAKEN_OVER, || {
        fleet.stage.api.get("/v1/instances")["data"].as_array().is_some_and(|listed| listed.len() == 1)
    });
    fleet.stage.volley.stop();
}

#[test]
fn a_killed_instances_pages_are_taken_over_and_nobody_gets_a_mail_twice() {
    let _turn = my_turn();
    let Some((db, broker)) = ground("a_killed_instances_pages_smtp") else { return };
    let mut fleet = killed_one_of_two(&db, &broker, Provider::smtp(LATENCY_MS));
    // Nobody reads the dead one's journal while it is down: whoever it had claimed, in a place or waiting for one, or whose
    // outcome was not recorded, is in doubt.
    fleet.stage.wait_ended();
    let in_doubt = fleet.stage.uncertain().len();
    assert!(in_doubt <= usize::try_from(5 * CONCURRENCY).unwrap(), "{in_doubt} are uncertain");
    // When it is back its journal tells the most of them apart: sent, or certainly not begun.
    fleet.others[0].start();
    let most = usize::try_from(CONCURRENCY).unwrap();
    wait_until("its journal is believed", TAKEN_OVER, || fleet.stage.uncertain().len() <= most);
    fleet.stage.wait_ended();
    let ledger = fleet.stage.provider.ledger();
    ledger.assert_nobody_twice();
    let mut told = fleet.stage.uncertain();
    println!("{in_doubt} were uncertain while it was down, {} when it was back", told.len());
    for failed in fleet.stage.api.deliveries(fleet.stage.campaign, "failed") {
        assert!(failed.to_string().contains("not_accepted"), "{failed}");
        told.insert(Api::address_of(&failed));
    }
    let missing = ledger.missing(&fleet.stage.everyone);
    let untold: Vec<_> = missing.difference(&told).take(5).collect();
    assert!(untold.is_empty(), "lost without a word: {untold:?} of {} missing", missing.len());
    fleet.stop();
}
