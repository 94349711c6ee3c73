//! The broker is away, killed, emptied, full: sending goes on, and so do decisions.

use std::time::{Duration, Instant};

use serde_json::json;
use volley::verify::plan::LinkTrouble;
use volley::verify::ports::free_port;
use volley::verify::proxy::Proxy;

use super::{LATENCY_MS, ground, ground_alone};
use crate::support::Database;
use crate::support::database::is_long;
use crate::support::fleet::{Fleet, metric};
use crate::support::provider::{POOL, Provider};
use crate::support::rabbitmq::wait_for_queue;
use crate::support::turns::my_turn;
use crate::support::waiting::wait_until;

/// How long an instance may take to notice that the broker is away, or back.
const NOTICED: Duration = Duration::from_secs(20);

#[track_caller]
fn wait_for_link(fleet: &Fleet, status: &str) {
    for api in fleet.apis() {
        wait_until(&format!("every instance is {status}"), NOTICED, || {
            let ready = api.try_get("/readyz").unwrap();
            assert_eq!(ready.status, 200, "without a broker an instance is ready all the same: {}", ready.body);
            ready.body["status"] == status
        });
    }
}

#[track_caller]
fn pause_and_resume(fleet: &Fleet) {
    let asked = Instant::now();
    let pause = fleet.decide("pause");
    assert!(pause.at - asked < Duration::from_secs(2), "a pause took {:?}", pause.at - asked);
    assert_eq!(pause.tally(), (fleet.all().count(), 0), "{}", pause.receipt);
    fleet.stage.assert_silence(pause.at);
    fleet.decide("resume");
}

#[test]
fn a_campaign_without_a_broker_from_the_beginning_ends_and_can_be_paused() {
    let _turn = my_turn();
    let Some(db) = Database::postgres("a_campaign_without_a_broker") else { return };
    let nobody = format!("amqp://guest:guest@127.0.0.1:{}/%2f", free_port());
    let fleet = Fleet::launched(&db, &nobody, (Provider::webhook(LATENCY_MS), 5_000), 2);
    wait_for_link(&fleet, "degraded");
    fleet.stage.wait_reached(1_000);
    pause_and_resume(&fleet);
    fleet.stage.assert_everyone_once();
    let parts: Vec<f64> =
        fleet.apis().iter().map(|api| metric(api, "volley_attempts_total", &["outcome=\"accepted\""])).collect();
    assert!(parts.iter().all(|part| *part > 500.0), "the work was not shared: {parts:?}");
    let letters = fleet.stage.api.try_get("/v1/dead-letters").unwrap();
    assert_eq!((letters.status, &letters.body["code"]), (503, &json!("broker_unavailable")), "{}", letters.body);
    fleet.stop();
}

#[test]
fn a_broker_that_is_killed_and_comes_back_costs_nobody_anything() {
    let _turn = my_turn();
    let Some((db, broker)) = ground_alone("a_broker_that_is_killed_and_comes_back") else { return };
    let crowd = (Provider::smtp(LATENCY_MS), 10_000);
    let small_pages = "[sending]\npage_size = 200";
    let fleet = Fleet::set(&db, &broker.url(), crowd, 2, |_, builder| builder.settings(small_pages));
    wait_for_link(&fleet, "ready");
    let stage = &fleet.stage;
    stage.api.send(stage.campaign);
    stage.wait_reached(1_500);
    broker.kill();
    wait_for_link(&fleet, "degraded");
    let reached = stage.provider.ledger().reached();
    pause_and_resume(&fleet);
    stage.wait_reached((reached + 500).min(stage.everyone.len()));
    broker.start_again();
    let back = Instant::now();
    wait_for_link(&fleet, "ready");
    println!("connected again {:?} after the broker answered", back.elapsed());
    assert!(back.elapsed() < Duration::from_secs(10), "connected again after {:?}", back.elapsed());
    stage.assert_everyone_once();
    // Pages travel by messages again.
    let published = || -> f64 {
        let labels = ["exchange=\"campaigns.send\"", "result=\"published\""];
        fleet.apis().iter().map(|api| metric(api, "volley_broker_messages_total", &labels)).sum()
    };
    let before = published();
    let list = stage.api.a_list_of(1_000);
    let next = stage.api.create_campaign("email", POOL, list, &json!({}));
    stage.api.send(next);
    stage.api.wait_ended(next, Duration::from_secs(60));
    assert!(published() > before, "no page was announced");
    fleet.stop();
}

#[test]
fn queues_that_are_purged_deleted_and_wiped_come_back_and_lose_nobody() {
    let _turn = my_turn();
    let Some((db, broker)) = ground("queues_that_are_purged_deleted_and_wiped") else { return };
    let queue = format!("volley.send.{POOL}");
    let crowd = (Provider::webhook(LATENCY_MS), 10_000);
    let small_pages = "[sending]\npage_size = 100";
    let fleet = Fleet::set(&db, &broker.url(), crowd, 2, |_, builder| builder.settings(small_pages));
    wait_for_link(&fleet, "ready");
    let stage = &fleet.stage;
    stage.api.send(stage.campaign);
    stage.wait_reached(500);
    let client = broker.client();
    client.purge(&queue);
    client.delete(&queue);
    drop(client);
    wait_for_queue(&broker, &queue);
    pause_and_resume(&fleet);
    broker.wipe();
    wait_for_queue(&broker, &queue);
    wait_for_link(&fleet, "ready");
    stage.assert_everyone_once();
    fleet.stop();
}

#[test]
fn a_broker_with_a_memory_alarm_hangs_nothing() {
    let _turn = my_turn();
    let Some((db, broker)) = ground_alone("a_broker_with_a_memory_alarm") else { return };
    let crowd = (Provider::webhook(LATENCY_MS), 8_000);
    let small_pages = "[sending]\npage_size = 200";
    let fleet = Fleet::set(&db, &broker.url(), crowd, 2, |_, builder| builder.settings(small_pages));
    wait_for_link(&fleet, "ready");
    let stage = &fleet.stage;
    broker.alarm(true);
    stage.api.send(stage.campaign);
    stage.wait_reached(1_000);
    pause_and_resume(&fleet);
    wait_for_link(&fleet, "degraded");
    stage.assert_everyone_once();
    broker.alarm(false);
    wait_for_link(&fleet, "ready");
    fleet.stop();
}

/// Open files and threads of a process.
fn open_files_and_threads(pid: u32) -> (usize, usize) {
    let count = |what: &str| std::fs::read_dir(format!("/proc/{pid}/{what}")).unwrap().count();
    (count("fd"), count("task"))
}

#[test]
fn a_blocked_broker_that_is_lost_again_and_again_costs_no_file_and_no_thread() {
    // Three connections come back every second or two.
    let reconnects = if is_long() { 200 } else { 25 };
    let _turn = my_turn();
    let Some((db, broker)) = ground_alone("a_blocked_broker_that_is_lost_again_and_again") else { return };
    let proxy = Proxy::start().unwrap();
    let link = proxy.link(&broker.addr()).unwrap();
    let crowd = (Provider::webhook(LATENCY_MS), 10);
    let fleet = Fleet::set(&db, &broker.url_by(link.addr().port()), crowd, 1, |_, builder| builder);
    wait_for_link(&fleet, "ready");
    broker.alarm(true);
    let volley = &fleet.stage.volley;
    let made = || volley.log().matches("broker.connected").count();
    let lose_until = |count: usize| {
        wait_until("connections come and go", Duration::from_secs(600), || {
            let before = made();
            wait_until("one comes back", NOTICED, || made() > before);
            link.begin(LinkTrouble::Cut);
            made() >= count
        });
    };
    lose_until(10);
    let at_first = open_files_and_threads(volley.pid());
    lose_until(10 + reconnects);
    let (files, threads) = open_files_and_threads(volley.pid());
    println!("after {} connections: {files} files, {threads} threads; at first {at_first:?}", made());
    // What stands at the moment of counting differs by the three connections and a few requests.
    assert!(files <= at_first.0 + 8, "{files} files are open; at first {}", at_first.0);
    assert!(threads <= at_first.1 + 4, "{threads} threads; at first {}", at_first.1);
    broker.alarm(false);
    fleet.stage.api.send(fleet.stage.campaign);
    fleet.stage.assert_everyone_once();
    fleet.stop();
}
