//! A rate is the total of all instances, also while they come and go.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use super::{LATENCY_MS, ground};
use crate::support::fleet::Fleet;
use crate::support::ledger::Ledger;
use crate::support::provider::Provider;
use crate::support::scripted_http::{Keys, ScriptedHttp};
use crate::support::turns::my_turn;
use crate::support::volley::Pool;
use crate::support::waiting::wait_until;

const POOL_RATE: f64 = 240.0;
const CAMPAIGN_RATE: f64 = 160.0;
const WINDOW: Duration = Duration::from_secs(5);

/// How many hand-overs began in each window of five seconds between two instants, a tenth of a second apart.
fn windows(ledger: &Ledger, from: Instant, to: Instant) -> Vec<f64> {
    let begun = ledger.entries().begun.clone();
    let mut counts = Vec::new();
    let mut at = from;
    while at + WINDOW <= to {
        let within = begun.iter().filter(|&&begun| (at..at + WINDOW).contains(&begun)).count();
        counts.push(f64::from(u32::try_from(within).unwrap()));
        at += Duration::from_millis(100);
    }
    assert!(!counts.is_empty(), "not a whole window was measured");
    counts
}

fn bounds(counts: &[f64]) -> (f64, f64) {
    counts.iter().fold((f64::MAX, 0.0), |(low, high), n| (low.min(*n), n.max(high)))
}

/// Whether so many a second began all along in five seconds: nine tenths in all, and half in each single second.
fn is_steady(begun: &[Instant], from: Instant, rate: f64) -> bool {
    let within = |from: Instant, to: Instant| {
        let count = begun.iter().filter(|&&begun| (from..to).contains(&begun)).count();
        f64::from(u32::try_from(count).unwrap())
    };
    let second = Duration::from_secs(1);
    within(from, from + WINDOW) >= rate * WINDOW.as_secs_f64() * 0.9
        && (0..5_u32).map(|n| from + second * n).all(|from| within(from, from + second) >= rate * 0.5)
}

/// Whether the rate was held for five seconds on end, somewhere between two instants.
fn held(ledger: &Ledger, from: Instant, to: Instant, rate: f64) -> bool {
    let begun = ledger.entries().begun.clone();
    let starts = (0_u32..).map(|n| from + Duration::from_millis(100) * n);
    starts.take_while(|from| *from + WINDOW <= to).any(|from| is_steady(&begun, from, rate))
}

/// Waits until at each of these rates as much more has begun as so many seconds allow.
fn wait_for_more(measured: &[(f64, &Ledger)], seconds: f64) {
    let begun = |ledger: &Ledger| f64::from(u32::try_from(ledger.begun()).unwrap());
    let before: Vec<f64> = measured.iter().map(|(_, ledger)| begun(ledger)).collect();
    wait_until("sending goes on", Duration::from_secs(30), || {
        measured.iter().zip(&before).all(|((rate, ledger), before)| begun(ledger) >= before + rate * seconds)
    });
}

#[test]
fn a_rate_that_stalls_half_the_time_is_not_held() {
    let from = Instant::now();
    let every = |ms: u64, keep: fn(u64) -> bool| -> Vec<Instant> {
        (0..5_000)
            .step_by(usize::try_from(ms).unwrap())
            .filter(|at| keep(*at))
            .map(|at| from + Duration::from_millis(at))
            .collect()
    };
    assert!(is_steady(&every(10, |_| true), from, 100.0));
    // Every other second; every other tenth of a second; and twice as fast in every other second.
    assert!(!is_steady(&every(10, |at| (at / 1_000).is_multiple_of(2)), from, 100.0));
    assert!(!is_steady(&every(10, |at| (at / 100).is_multiple_of(2)), from, 100.0));
    assert!(!is_steady(&every(5, |at| (at / 1_000).is_multiple_of(2)), from, 100.0));
}

#[test]
fn rates_of_a_pool_and_of_a_campaign_hold_across_three_instances_that_come_and_go() {
    let _turn = my_turn();
    let Some((db, broker)) = ground("rates_hold_across_three_instances") else { return };
    let limited = ScriptedHttp::slow(LATENCY_MS, Keys::Honoured);
    let pool = || Pool::webhook("limited", &limited).set("rate_per_second", &POOL_RATE.to_string()).set("burst", "1");
    let crowd = (Provider::webhook(LATENCY_MS), 15_000);
    let mut fleet = Fleet::set(&db, &broker.url(), crowd, 3, |_, builder| builder.pool(pool()));
    let api = &fleet.stage.api;
    let list = json!({ "lists": [api.campaign(fleet.stage.campaign).body["audience"]["lists"][0]] });
    let more = |fields| api.create_campaign("http", "limited", list["lists"][0].as_i64().unwrap(), &fields);
    let by_pool = more(json!({}));
    let own_rate = json!({ "pool": crate::support::provider::POOL, "rate_per_second": CAMPAIGN_RATE });
    let by_campaign = more(own_rate);
    api.send(by_pool);
    api.send(by_campaign);
    let measured = [(POOL_RATE, limited.ledger()), (CAMPAIGN_RATE, fleet.stage.provider.ledger())];
    for (_, ledger) in &measured {
        wait_until("both campaigns are under way", Duration::from_secs(20), || ledger.begun() > 0);
    }
    // What was saved up at first is not looked at.
    wait_for_more(&measured, 1.5);
    let steady = Instant::now();
    for (rate, ledger) in &measured {
        let asked = rate * WINDOW.as_secs_f64();
        // A machine that has no time for so many undershoots for a while; none excuses more than was asked for.
        wait_until("five seconds pass at the whole rate, without a stall", Duration::from_secs(60), || {
            if steady.elapsed() < WINDOW {
                return false;
            }
            let (_, high) = bounds(&windows(ledger, steady, Instant::now()));
            assert!(high <= asked * 1.1, "{high} in 5 s instead of {asked}");
            held(ledger, steady, Instant::now(), *rate)
        });
        let (low, high) = bounds(&windows(ledger, steady, Instant::now()));
        println!("{rate} a second: {low} to {high} in 5 s, {asked} are asked for");
    }
    fleet.others[0].kill_9();
    wait_for_more(&measured, 1.5);
    fleet.others[0].start();
    wait_for_more(&measured, 1.5);
    let over = Instant::now();
    for (rate, ledger) in &measured {
        // A block is a tenth of a second's worth.
        let (_, high) = bounds(&windows(ledger, steady, over));
        let most = rate * WINDOW.as_secs_f64() * 1.05 + rate * 0.1;
        println!("{rate} a second, with comings and goings: at most {high} in 5 s");
        assert!(high <= most, "{high} in 5 s; at most {most} were to be");
    }
    // A change is in force on all three within a second.
    let slow = CAMPAIGN_RATE / 10.0;
    let path = format!("/v1/campaigns/{by_campaign}");
    let change = json!({ "rate_per_second": slow }).to_string().into_bytes();
    let changed =
        fleet.stage.api.request(Method::PATCH, &path, "application/json", Some(change), &[]).expect("an answer");
    assert_eq!((changed.status, &changed.body["status"]), (200, &json!("sending")), "{}", changed.body);
    let from = changed.at + Duration::from_secs(1);
    wait_until("five seconds pass after the change", Duration::from_secs(30), || from + WINDOW <= Instant::now());
    let begun = fleet.stage.provider.ledger().entries().begun.clone();
    let within = begun.iter().filter(|&&begun| (from..from + WINDOW).contains(&begun)).count();
    let within = f64::from(u32::try_from(within).unwrap());
    let most = slow * WINDOW.as_secs_f64() * 1.05 + slow * 0.1 + 1.0;
    assert!(within > 0.0 && within <= most, "{within} in 5 s after the change; at most {most} were to be");
    for campaign in [by_pool, by_campaign] {
        fleet.stage.api.audit(campaign);
        fleet.stage.api.stop(campaign);
    }
    limited.ledger().assert_nobody_twice();
    fleet.stage.provider.ledger().assert_nobody_twice();
}
