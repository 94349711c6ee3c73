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

/// Ends the process at every place of the delivery protocol, a few passes after its start. Returns how often it died.
fn end_everywhere(stage: &mut Stage) -> u64 {
    let mut deaths = 0;
    // Those of requests and of archives have tests of their own.
    let others = [FailPoint::Answer, FailPoint::Answered, FailPoint::Filed, FailPoint::Sealed, FailPoint::Removed];
    for at in FailPoint::ALL.into_iter().filter(|at| !others.contains(at)) {
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

    fn a_launch_that_was_cut_off_around_its_commit_is_repeated_under_its_key_and_happens_once(db: &Database) {
        let _turn = shared_turn();
        let provider = Provider::webhook((0, 2));
        let mut volley = crate::support::volley::Volley::on(db).pool(provider.pool()).start();
        let api = volley.api();
        let list = api.a_list_of(50);
        let body = serde_json::json!({
            "name": "At once", "channel": provider.channel(), "pool": POOL, "body_text": "Hello",
            "audience": { "lists": [list] }, "launch": true,
        });
        let post = |path: &str, key: &str, body: &serde_json::Value| {
            let body = Some(body.to_string().into_bytes());
            api.request(reqwest::Method::POST, path, "application/json", body, &[("Idempotency-Key", key)])
        };
        let mut cut_off_at = |at: &str, path: &str, body: &serde_json::Value| {
            volley.kill_9();
            volley.spawn_with(&[("VOLLEY_FAIL_POINT", at)]);
            volley.wait_ready();
            let cut = post(path, at, body);
            assert!(cut.is_err(), "{path} was answered, though the process ends at {at}: {cut:?}");
            wait_until(&format!("the process ends at {at}"), LONG, || volley.exited().is_some());
            volley.kill_and_restart();
            let answer = post(path, at, body).unwrap();
            let again = post(path, at, body).unwrap();
            assert_eq!((again.status, &again.body), (answer.status, &answer.body), "{at}");
            answer
        };
        let ends = |campaign: i64| {
            assert_eq!(api.wait_ended(campaign, LONG).stats.sent, 50);
        };
        for at in ["answer", "answered"] {
            let made = cut_off_at(at, "/v1/campaigns", &body);
            assert_eq!((made.status, &made.body["status"]), (201, &serde_json::json!("sending")), "{}", made.body);
            ends(crate::support::api::id(&made.body));
        }
        let draft = api.create_campaign(provider.channel(), POOL, list, &serde_json::json!({}));
        let sent = cut_off_at("answered", &format!("/v1/campaigns/{draft}/send"), &serde_json::json!({}));
        assert_eq!(sent.status, 202, "{}", sent.body);
        ends(draft);
        assert_eq!(api.get("/v1/campaigns")["pagination"]["total_count"], 3);
        assert_eq!(provider.ledger().begun(), 3 * 50, "somebody got a message twice");
        volley.stop();
    }
}
