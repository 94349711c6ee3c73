//! An instance dies in mid-campaign: the others take over, soon.

use std::time::{Duration, Instant};

use super::{LATENCY_MS, ground};
use crate::support::Database;
use crate::support::fleet::{Fleet, number_of};
use crate::support::provider::{CONCURRENCY, Provider};
use crate::support::rabbitmq::Broker;
use crate::support::turns::my_turn;
use crate::support::waiting::wait_until;

/// The most that the takeover of a dead instance's pages may take.
/// Two claims may be out at once, of 64 each: who was claimed and had no place yet when the process died.
const CLAIMED_AHEAD: usize = 128;

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
    let left = fleet.stage.api.get("/v1/instances");
    assert_eq!(left["data"].as_array().map_or(0, Vec::len), 2 - usize::from(left["data"][1].is_null()), "{left}");
    fleet.stage.volley.stop();
}

#[test]
fn a_killed_instances_pages_are_taken_over_and_nobody_gets_a_mail_twice() {
    let _turn = my_turn();
    let Some((db, broker)) = ground("a_killed_instances_pages_smtp") else { return };
    let fleet = killed_one_of_two(&db, &broker, Provider::smtp(LATENCY_MS));
    // Nobody reads the dead one's journal while it is down: whoever it had claimed is in doubt, in a place or waiting for one.
    fleet.stage.assert_missing_are_uncertain(CONCURRENCY + CLAIMED_AHEAD);
    fleet.stage.volley.stop();
}
