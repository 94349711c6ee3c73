//! Recipients who are refused for now: tried again by age, and by nothing else.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::people;
use crate::support::provider::{POOL, Provider};
use crate::support::scripted_smtp::ScriptedSmtp;
use crate::support::stage::{LONG, Stage};
use crate::support::turns::shared_turn;
use crate::support::volley::Volley;
use crate::support::waiting::stays;
use crate::support::{Database, both_backends};

/// A campaign to twenty people through a relay whose pool waits so long between tries, with fields of its own; launched
/// when the relay is as the test wants it.
fn launched(db: &Database, delays: &str, fields: &Value, change: impl FnOnce(&ScriptedSmtp)) -> Stage {
    let provider = Provider::smtp((0, 0));
    let Provider::Smtp(sink) = &provider else { unreachable!() };
    change(sink);
    let volley = Volley::on(db).pool(provider.pool().set("retry_delays", delays)).start();
    let api = volley.api();
    let list = api.a_list_of(20);
    let campaign = api.create_campaign("email", POOL, list, fields);
    api.send(campaign);
    Stage { volley, api, provider, campaign, everyone: people::addresses(20) }
}

fn begun(stage: &Stage) -> usize {
    stage.provider.ledger().begun()
}

/// Person 7's delivery as it ended.
#[track_caller]
fn assert_only_seven_failed(stage: &Stage) {
    let ended = stage.wait_ended();
    assert_eq!((ended.stats.sent, ended.stats.failed), (19, 1), "{}", ended.body);
    assert!(ended.body.get("waiting").is_none(), "{}", ended.body);
    let failed = stage.api.deliveries(stage.campaign, "failed");
    // Five waits of half a second.
    assert_eq!((&failed[0]["attempts"], begun(stage)), (&json!(6), 25), "{}", failed[0]);
    let error = failed[0]["error"].as_str().unwrap();
    assert!(error.starts_with("gave up after 2.5 s: ") && error.contains("450 4.2.1 mailbox busy"), "{error}");
}

/// One who is always refused, in a campaign that gives everyone 2.5 s; held in the middle for longer than that.
fn held_in_the_middle(db: &Database, hold: impl Fn(&Stage), release: impl Fn(&Stage)) {
    let stage = launched(db, "[0.5]", &json!({ "retry_for": 2.5 }), |sink| {
        sink.play("rcpt to=person7@: 450 4.2.1 mailbox busy");
    });
    stage.wait_reached(19);
    hold(&stage);
    let before = begun(&stage);
    stays("nothing begins", Duration::from_secs(3), || begun(&stage) <= before + 1);
    assert!(begun(&stage) < 25, "it was over before it was held");
    release(&stage);
    assert_only_seven_failed(&stage);
    stage.volley.stop();
}

both_backends! {
    fn greylisting_that_outlasts_the_first_waits_costs_nobody_a_message(db: &Database) {
        let _turn = shared_turn();
        let stage = launched(db, "[1, 3]", &json!({}), |sink| sink.play("rcpt grey<3s: 450 4.2.0 on the greylist, come back later"));
        let waiting = stage.api.wait(stage.campaign, "all wait for another try", LONG, |campaign| {
            campaign.body["waiting"]["count"].as_u64() == Some(20)
        });
        assert_eq!((waiting.status.as_str(), waiting.stats.pending), ("sending", 20), "{}", waiting.body);
        assert!(waiting.body["waiting"]["next_at"].as_str().unwrap().ends_with('Z'), "{}", waiting.body);
        stage.assert_everyone_once();
        assert!(stage.api.campaign(stage.campaign).body.get("waiting").is_none());
        stage.volley.stop();
    }

    fn a_mailbox_that_is_busy_for_a_while_gets_its_message(db: &Database) {
        let _turn = shared_turn();
        let stage = launched(db, "[0.05]", &json!({}), |sink| {
            sink.play("rcpt try<=9: 450 4.2.1 mailbox busy");
        });
        stage.assert_everyone_once();
        assert_eq!(begun(&stage), 200, "nine tries in vain each");
        stage.volley.stop();
    }

    fn one_who_is_always_refused_fails_when_the_campaigns_time_is_over_and_the_others_are_sent(db: &Database) {
        let _turn = shared_turn();
        let stage = launched(db, "[0.5]", &json!({ "retry_for": 2.5 }), |sink| {
            sink.play("rcpt to=person7@: 450 4.2.1 mailbox busy");
        });
        assert_only_seven_failed(&stage);
        stage.volley.stop();
    }

    fn a_pause_does_not_make_a_delivery_older(db: &Database) {
        let _turn = shared_turn();
        let pause = |stage: &Stage| { stage.api.pause(stage.campaign); };
        held_in_the_middle(db, pause, |stage| { stage.api.resume(stage.campaign); });
    }

    fn a_suspended_pool_does_not_make_a_delivery_older(db: &Database) {
        let _turn = shared_turn();
        let post = |stage: &Stage, verb: &str, body: Value| { stage.api.post(&format!("/v1/pools/{POOL}/{verb}"), &body); };
        held_in_the_middle(
            db,
            |stage| post(stage, "suspend", json!({ "reason": "a look at the relay" })),
            |stage| post(stage, "resume", json!({})),
        );
    }
}
