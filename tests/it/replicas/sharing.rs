//! Instances share the work, know of one another, and come and go.

use std::time::Duration;

use serde_json::json;

use super::{LATENCY_MS, ground};
use crate::support::fleet::{Fleet, metric, number_of};
use crate::support::provider::{POOL, Provider};
use crate::support::scripted_http::{Keys, ScriptedHttp};
use crate::support::turns::my_turn;
use crate::support::volley::{Pool, Volley};
use crate::support::waiting::{wait_for, wait_until};

#[test]
fn three_instances_share_a_campaign_and_each_hands_over_a_fair_part() {
    const PEOPLE: usize = 6_000;
    let _turn = my_turn();
    let Some((db, broker)) = ground("three_instances_share_a_campaign") else { return };
    let crowd = (Provider::webhook(LATENCY_MS), PEOPLE);
    let small_pages = "[sending]\npage_size = 100";
    let fleet = Fleet::set(&db, &broker.url(), crowd, 3, |_, builder| builder.settings(small_pages));
    let watch = fleet.stage.watch();
    fleet.stage.api.send(fleet.stage.campaign);
    fleet.stage.assert_everyone_once();
    watch.finish();
    let by_pool = format!("pool=\"{POOL}\"");
    let accepted = ["outcome=\"accepted\"", &by_pool];
    let parts: Vec<f64> = fleet.apis().iter().map(|api| metric(api, "volley_attempts_total", &accepted)).collect();
    println!("handed over by each: {parts:?}");
    let people = f64::from(u32::try_from(PEOPLE).unwrap());
    assert!((parts.iter().sum::<f64>() - people).abs() < 0.5, "{parts:?}");
    assert!(parts.iter().all(|part| *part >= people / 6.0), "an instance did less than half of its part: {parts:?}");
    fleet.stop();
}

#[test]
fn instances_that_start_at_the_same_moment_on_an_empty_database_all_come_up_and_are_listed() {
    let Some((db, broker)) = ground("instances_that_start_at_the_same_moment") else { return };
    let provider = ScriptedHttp::slow((0, 0), Keys::Honoured);
    let mut instances: Vec<Volley> = (0..3)
        .map(|number| {
            let folder = db.folder().join(format!("data-{number}"));
            Volley::on(&db).broker(&broker.url()).data_dir(&folder).pool(Pool::webhook(POOL, &provider)).prepare()
        })
        .collect();
    instances.iter_mut().for_each(Volley::spawn);
    instances.iter_mut().for_each(Volley::wait_ready);
    let numbers: Vec<i64> = instances.iter().map(|instance| number_of(&instance.api())).collect();
    for instance in &instances {
        let listed = instance.api().get("/v1/instances");
        let listed = listed["data"].as_array().unwrap();
        let mut ids: Vec<i64> = listed.iter().map(|one| one["id"].as_i64().unwrap()).collect();
        ids.sort_unstable();
        let mut known = numbers.clone();
        known.sort_unstable();
        assert_eq!(ids, known);
        assert!(listed.iter().all(|one| one["pools"] == json!([POOL])), "{listed:?}");
        assert!(listed.iter().all(|one| one["version"] == env!("CARGO_PKG_VERSION")), "{listed:?}");
    }
    instances.pop().unwrap().stop();
    let left = instances[0].api().get("/v1/instances");
    let left: Vec<_> = left["data"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(!left.contains(&json!(numbers[2])), "one that has stopped is still listed: {left:?}");
    instances.into_iter().for_each(Volley::stop);
}

#[test]
fn a_rolling_restart_costs_nobody_anything() {
    const PEOPLE: usize = 12_000;
    let _turn = my_turn();
    let Some((db, broker)) = ground("a_rolling_restart") else { return };
    // A relay: whoever was cut off in mid-call would be uncertain. The rate makes the campaign outlast the restarts.
    let crowd = (Provider::smtp(LATENCY_MS), PEOPLE);
    let mut fleet = Fleet::set(&db, &broker.url(), crowd, 3, |_, builder| builder);
    let (campaign, paced) = (fleet.stage.campaign, json!({ "rate_per_second": 1_500 }));
    let body = Some(paced.to_string().into_bytes());
    let path = format!("/v1/campaigns/{campaign}");
    let changed = fleet.stage.api.request(reqwest::Method::PATCH, &path, "application/json", body, &[]).unwrap();
    changed.expect_success(&path);
    fleet.stage.api.send(campaign);
    fleet.stage.wait_reached(500);
    let mut restarted = 0;
    for instance in fleet.others.iter_mut().chain([&mut fleet.stage.volley]) {
        let (status, took) = instance.sigterm();
        assert!(status.success(), "{status}");
        assert!(took < Duration::from_secs(10), "a drain took {took:?}");
        instance.start();
        restarted += usize::from(fleet.stage.provider.ledger().reached() < PEOPLE);
    }
    assert!(restarted >= 2, "the campaign ended before the restarts did");
    fleet.stage.assert_everyone_once();
    let mut begun = fleet.stage.provider.ledger().entries().begun.clone();
    begun.sort_unstable();
    let gap = begun.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    println!("{restarted} restarts in mid-campaign; longest silence {gap:?}");
    assert!(gap < Duration::from_secs(3), "nothing went out for {gap:?}");
    fleet.stop();
}

#[test]
fn the_link_comes_up_with_the_process_and_measures_its_queues() {
    let Some((db, broker)) = ground("the_link_comes_up") else { return };
    let fleet = Fleet::set(&db, &broker.url(), (Provider::webhook((0, 0)), 1), 1, |_, builder| builder);
    let link = wait_for("the link stands and has measured", Duration::from_secs(30), || {
        let ready = fleet.stage.api.get("/readyz");
        let queues = ["volley.dead".to_owned(), format!("volley.send.{POOL}")];
        let measured = queues.iter().all(|queue| ready["broker"]["queues"][queue].is_u64());
        (ready["broker"]["connected"] == json!(true) && measured).then_some(ready)
    });
    assert_eq!(
        (&link["status"], &link["broker"]["queues"][format!("volley.send.{POOL}")]),
        (&json!("ready"), &json!(0))
    );
    wait_until("the page of metrics says so too", Duration::from_secs(5), || {
        metric(&fleet.stage.api, "volley_broker_connected", &[]) >= 3.0
    });
    fleet.stop();
}
