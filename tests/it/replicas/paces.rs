//! A pace is that of all instances together.

use std::time::{Duration, Instant};

use super::{LATENCY_MS, ground};
use crate::support::fleet::{Fleet, metric};
use crate::support::provider::{POOL, Provider};
use crate::support::scripted_smtp::ScriptedSmtp;
use crate::support::turns::my_turn;
use crate::support::waiting::wait_until;

/// Calls at once that the provider takes.
const LIMIT: f64 = 9.0;

#[test]
fn three_instances_share_the_calls_that_a_provider_takes_at_once_and_none_starves() {
    const PEOPLE: usize = 4_000;
    let _turn = my_turn();
    let Some((db, broker)) = ground("three_instances_share_a_pace") else { return };
    let relay = ScriptedSmtp::slow(LATENCY_MS);
    relay.play("mail busy>9: 432 4.3.2 Concurrent connections limit exceeded");
    let crowd = (Provider::Smtp(relay), PEOPLE);
    let small_pages = "[sending]\npage_size = 100";
    let fleet = Fleet::set(&db, &broker.url(), crowd, 3, |_, builder| builder.settings(small_pages));
    fleet.stage.api.send(fleet.stage.campaign);
    let apis = fleet.apis();
    let by_pool = format!("pool=\"{POOL}\"");
    let places = || apis.iter().map(|api| metric(api, "volley_places", &[&by_pool])).collect::<Vec<f64>>();
    let shown = |api: &crate::support::api::Api| {
        let pools = api.get("/v1/pools");
        let pool = pools["data"].as_array().into_iter().flatten().find(|pool| pool["name"] == POOL).cloned();
        pool.and_then(|pool| pool["pace"]["places"].as_f64())
    };
    wait_until("the limit is found", Duration::from_secs(30), || places().iter().sum::<f64>() <= 1.5 * LIMIT);
    let found = Instant::now();
    let before = fleet.stage.provider.ledger().reached();
    let (mut most, mut looks) = (0.0_f64, 0);
    wait_until("three thousand are sent", Duration::from_secs(120), || {
        most = most.max(places().iter().sum());
        looks += 1;
        fleet.stage.provider.ledger().reached() >= 3_000
    });
    let took = found.elapsed().as_secs_f64();
    let reached = u32::try_from(fleet.stage.provider.ledger().reached() - before).unwrap();
    println!("{:.0} a second, at most {most} places in {looks} looks", f64::from(reached) / took);
    // Each instance follows the row within a second, and a cut and a raise may meet.
    assert!(most <= 2.0 * LIMIT, "{most} places at once, {LIMIT} are taken");
    let known: Vec<Option<f64>> = apis.iter().map(shown).collect();
    assert!(known.iter().all(Option::is_some), "an instance does not show the pace: {known:?}");
    fleet.stage.assert_everyone_once();
    let outcomes = |outcome: &str| -> Vec<f64> {
        apis.iter().map(|api| metric(api, "volley_attempts_total", &[outcome, &by_pool])).collect()
    };
    let parts = outcomes("outcome=\"accepted\"");
    let refused: f64 = outcomes("outcome=\"pool_fault\"").iter().sum();
    println!("handed over by each: {parts:?}; refused: {refused}");
    let people = f64::from(u32::try_from(PEOPLE).unwrap());
    assert!(parts.iter().all(|part| *part >= people / 6.0), "an instance did less than half of its part: {parts:?}");
    assert!(refused <= people / 3.0, "{refused} refused of {people}");
    fleet.stop();
}
