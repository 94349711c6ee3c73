//! The pace of a pool, simulated: instances, providers and seeds; no clock, no network.

#![allow(clippy::as_conversions, reason = "counts of a simulation are small")]

mod provider;
mod world;

use volley::domain::dispatch::answer::AnswerClass;
use volley::domain::dispatch::pace::{Limits, State};

use self::provider::{Provider, Rule};
use self::world::World;

const SEED: u64 = 7;

/// A provider, instances with so many places each, and a minute in which they find their pace, and one or two more.
fn run(name: &str, provider: Provider, (instances, places): (usize, usize), end: f64) -> World {
    let limits = Limits { places, ..Limits::default() };
    let latency = provider.latency;
    let mut world = World::new(provider, instances, limits, SEED);
    world.run_until(end);
    println!(
        "{name:8} {:<22} n={instances} {latency:4} s: {:6.1} refused of 1000, {} counted, {} failed",
        format!("{:?}", world.provider.rule),
        world.refused_per_thousand(),
        world.tally.counted.len(),
        world.tally.failed
    );
    assert_eq!(world.tally.failed, 0, "{name}: nobody fails for the provider's trouble");
    world
}

/// Asserts that `least` of what is allowed is reached after a minute, and that nobody gets less than three quarters.
fn assert_share(name: &str, world: &World, least: f64, from: f64) {
    let fair = assert_shared_out(name, world, least, from);
    assert!(fair >= 0.75, "{name}: one instance got {fair:.2} of the mean");
}

/// Asserts that `least` of what is allowed is reached. Returns what the least instance got, as a part of the mean.
fn assert_shared_out(name: &str, world: &World, least: f64, from: f64) -> f64 {
    let places = world.limits.places * world.instances();
    let share = world.speed(from, world.now) / world.provider.allowed(places, world.now - 1.0);
    let fair = world.fairness(from, world.now);
    println!("         share {share:.2}, least instance {fair:.2} of the mean, {:?}", world.state());
    assert!(share >= least, "{name}: {share:.2} of what is allowed");
    fair
}

/// Asserts that no attempt was charged to anybody.
fn assert_uncharged(name: &str, world: &World) {
    assert_eq!(world.tally.counted.len(), 0, "{name}: attempts were charged");
}

fn found(name: &str, rule: Rule, class: AnswerClass, latency: f64, instances: usize, least: f64) {
    let world = run(name, Provider::new(rule, class, latency), (instances, 50), 150.0);
    assert_share(name, &world, least, 60.0);
    assert_uncharged(name, &world);
}

const INSTANCES: [usize; 2] = [1, 3];
const LATENCIES: [f64; 3] = [0.02, 0.2, 2.0];

#[test]
fn a_limit_of_calls_a_second_is_found() {
    for (instances, latency) in all() {
        for rate in [5.0, 14.0, 100.0].into_iter().filter(|rate| rate * latency <= 25.0) {
            found("P1", Rule::Rate(rate), AnswerClass::RelayRate, latency, instances, 0.6);
            found("P1 u", Rule::Rate(rate), AnswerClass::Unsure, latency, instances, 0.6);
        }
    }
}

#[test]
fn a_limit_of_calls_at_once_is_found() {
    for (instances, latency) in all() {
        for most in [3, 10] {
            found("P2", Rule::AtOnce(most), AnswerClass::RelayConnections, latency, instances, 0.7);
        }
    }
}

#[test]
fn a_limit_of_calls_at_once_is_found_without_a_word_about_it() {
    for (instances, latency) in all() {
        for most in [3, 10] {
            found("P2 u", Rule::AtOnce(most), AnswerClass::Unsure, latency, instances, 0.5);
        }
    }
}

#[test]
fn a_limit_of_connections_is_found_although_kept_ones_count() {
    for (instances, latency) in all() {
        for most in [3, 10] {
            found("P3", Rule::Connections(most), AnswerClass::RelayConnections, latency, instances, 0.7);
        }
    }
}

#[test]
fn an_outage_costs_nobody_an_attempt_and_is_over_within_two_minutes() {
    for (instances, latency) in all() {
        for class in [AnswerClass::RelayOutage, AnswerClass::Unsure] {
            for long in [10.0, 60.0] {
                let places = if latency < 0.1 { 4 } else { 20 };
                let rule = Rule::Outage(30.0, 30.0 + long);
                let provider = Provider::new(rule, class, latency);
                let world = run("P4", provider, (instances, places), 30.0 + long + 150.0);
                assert_share("P4", &world, 0.7, 30.0 + long + 120.0);
                assert_uncharged("P4", &world);
                let back = world.first_after(30.0 + long);
                println!("         back after {back:.1} s");
                assert!(long > 10.0 || back <= 3.0 + latency, "the first message comes {back:.1} s after the return");
            }
        }
    }
}

#[test]
fn a_provider_that_names_a_time_is_followed() {
    for (instances, latency) in all() {
        for wait in [2.0, 10.0] {
            let mut provider = Provider::new(Rule::Rate(14.0), AnswerClass::RelayRate, latency);
            provider.wait = Some(wait);
            let world = run("P5", provider, (instances, 50), 240.0);
            assert_share("P5", &world, 0.5, 120.0);
        }
    }
}

#[test]
fn a_quota_that_is_used_up_is_no_bodys_trouble() {
    for (instances, latency) in all() {
        for (class, permanent) in [(AnswerClass::RelayQuota, false), (AnswerClass::Unsure, true)] {
            let mut provider = Provider::new(Rule::Quota(300), class, latency);
            provider.permanent = permanent;
            let world = run("P6", provider, (instances, 50), 180.0);
            assert_uncharged("P6", &world);
            assert_eq!(world.state(), State::CircuitOpen);
        }
    }
}

#[test]
fn a_provider_that_only_slows_down_is_not_slowed_further() {
    for (instances, latency) in all() {
        let world = run("P7", Provider::new(Rule::Slows(20), AnswerClass::Unsure, latency), (instances, 50), 120.0);
        assert_share("P7", &world, 0.5, 60.0);
    }
}

#[test]
fn greylisting_of_some_slows_nobody_else_down() {
    for (instances, latency) in all() {
        for share in [0.01, 0.1, 0.3, 0.6] {
            let places = if latency < 0.1 { 2 } else { 8 };
            let provider = Provider::new(Rule::Greylist(share), AnswerClass::Unsure, latency);
            let world = run("P8", provider, (instances, places), 600.0);
            // Who gets the few places at a recipient's return is chance.
            // From three in ten on it is touch and go whether this is told from a limit in time.
            let least = if share < 0.3 { 0.5 } else { 0.0 };
            let fair = assert_shared_out("P8", &world, least, 420.0);
            assert!(share >= 0.3 || fair >= 0.4, "one instance got {fair:.2} of the mean");
        }
    }
}

#[test]
fn greylisting_of_everybody_without_a_word_about_it_fails_nobody() {
    for instances in INSTANCES {
        let provider = Provider::new(Rule::Greylist(1.0), AnswerClass::Unsure, 0.2);
        // Not to be told from an outage: it goes on slowly.
        let world = run("P8 all", provider, (instances, 4), 900.0);
        assert_uncharged("P8 all", &world);
        assert!(world.speed(600.0, 900.0) > 0.0, "nothing goes on");
    }
}

#[test]
fn a_domain_that_is_throttled_alone_waits_alone() {
    for (instances, latency) in all() {
        let places = if latency < 0.1 { 3 } else { 10 };
        let world = run("P9", Provider::new(Rule::Domain, AnswerClass::Unsure, latency), (instances, places), 180.0);
        assert_share("P9", &world, 0.7, 60.0);
    }
}

#[test]
fn a_limit_that_rises_is_followed_within_two_minutes() {
    for (instances, latency) in all() {
        for class in [AnswerClass::RelayRate, AnswerClass::Unsure] {
            let provider = Provider::new(Rule::Moving(5.0, 50.0), class, latency);
            let world = run("P10", provider, (instances, 50), 240.0);
            // Half a minute at a limit that has just been found: shares even out later.
            let fair = assert_shared_out("P10", &world, 0.6, 210.0);
            assert!(fair >= 0.6, "one instance got {fair:.2} of the mean");
            assert_uncharged("P10", &world);
        }
    }
}

fn all() -> impl Iterator<Item = (usize, f64)> {
    INSTANCES.into_iter().flat_map(|instances| LATENCIES.into_iter().map(move |latency| (instances, latency)))
}
