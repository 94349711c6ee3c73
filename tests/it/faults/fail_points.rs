//! The process ends at each place between the lines of the protocol, one after the other.

use volley::store::engine::fail_point::FailPoint;

use crate::support::api::Api;
use crate::support::both_backends;
use crate::support::database::Database;
use crate::support::provider::{POOL, Provider};
use crate::support::stage::{LONG, Stage};
use crate::support::turns::shared_turn;
use crate::support::waiting::wait_until;

/// Enough that the campaign is under way still when the process has died at the last place.
const PEOPLE: usize = 3_000;
const PLACES: u64 = 4;

/// How many deliveries of one death may be in doubt: those in a place, and what the recorder held.
const IN_DOUBT: u64 = 2 * PLACES;

/// Ends the process at every place, a few passes after its start. Returns how often it died.
fn end_everywhere(stage: &mut Stage) -> u64 {
    let mut deaths = 0;
    for at in FailPoint::ALL {
        // The first lease that lost its owner is found at the start, after the death at the place before.
        let nth = if matches!(at, FailPoint::EndLease | FailPoint::LeaseEnded) { 1 } else { 3 };
        let armed = format!("{}:{nth}", at.name());
        stage.volley.kill_9();
        stage.volley.spawn_with(&[("VOLLEY_FAIL_POINT", &armed)]);
        wait_until(&format!("the process ends at {armed}"), LONG, || stage.volley.exited().is_some());
        deaths += 1;
    }
    deaths
}

fn staged(db: &Database, provider: Provider) -> Stage {
    // Pages that are done within a moment, so that leases end, too.
    let pool = provider.pool().set("concurrency", &PLACES.to_string());
    let volley = crate::support::volley::Volley::on(db).settings("[sending]\npage_size = 20").pool(pool).start();
    let api = volley.api();
    let list = api.a_list_of(PEOPLE);
    let campaign = api.create_campaign(provider.channel(), POOL, list, &serde_json::json!({}));
    let everyone = crate::support::people::addresses(PEOPLE);
    let stage = Stage { volley, api, provider, campaign, everyone };
    stage.api.send(stage.campaign);
    stage.wait_reached(1);
    stage
}

/// Nobody twice, and whoever was not reached is told of: in doubt, or taken for what kills every process.
fn assert_nobody_twice_and_all_told(stage: &Stage, at_most: u64) {
    let ended = stage.wait_ended();
    let ledger = stage.provider.ledger();
    ledger.assert_nobody_twice();
    let missing = ledger.missing(&stage.everyone);
    let mut told = stage.uncertain();
    for failed in stage.api.deliveries(stage.campaign, "failed") {
        assert!(failed.to_string().contains("poison"), "{failed}");
        assert!(missing.contains(&Api::address_of(&failed)), "reached, and said to have failed: {failed}");
        told.insert(Api::address_of(&failed));
    }
    let untold: Vec<&String> = missing.difference(&told).take(5).collect();
    assert!(untold.is_empty(), "lost without a word: {untold:?} of {} missing", missing.len());
    println!("{} are in doubt, {} were not reached", ended.stats.uncertain, missing.len());
    assert!(ended.stats.uncertain <= at_most, "more than {at_most} are in doubt: {}", ended.body);
}

both_backends! {
    fn a_process_that_ends_at_any_place_gives_nobody_a_second_mail(db: &Database) {
        let _turn = shared_turn();
        let mut stage = staged(db, Provider::smtp((2, 4)));
        let deaths = end_everywhere(&mut stage);
        let reached = stage.provider.ledger().reached();
        assert!(reached < PEOPLE, "the campaign was over before the last death");
        println!("{reached} were reached in {deaths} lives");
        stage.volley.start();
        assert_nobody_twice_and_all_told(&stage, IN_DOUBT * deaths);
        assert_eq!(stage.volley.late_acceptances(), 0);
        stage.volley.stop();
    }
}
