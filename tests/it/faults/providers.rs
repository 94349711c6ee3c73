//! Providers that refuse, hang, throttle, cut, and say no.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::api::Campaign;
use crate::support::people;
use crate::support::provider::{CONCURRENCY, POOL, Provider};
use crate::support::scripted_http::{Keys, ScriptedHttp};
use crate::support::stage::{LONG, Stage};
use crate::support::turns::shared_turn;
use crate::support::volley::{Pool, Volley};
use crate::support::waiting::wait_until;
use crate::support::{Database, both_backends};

const LATENCY_MS: (u64, u64) = (2, 8);

fn needs_attention(campaign: &Campaign) -> bool {
    campaign.attention.as_deref() == Some("provider_unreachable")
}

/// The provider goes away in mid-campaign and comes back: nobody fails, and nothing is guessed.
fn outage(db: &Database, provider: Provider) {
    let _turn = shared_turn();
    let stage = Stage::launched(db, provider, 3_000);
    let watch = stage.watch();
    stage.wait_reached(500);
    stage.provider.refuse_connections();
    stage.api.wait(stage.campaign, "the outage is reported", LONG, needs_attention);
    let down = stage.api.campaign(stage.campaign);
    assert_eq!((down.status.as_str(), down.stats.failed), ("sending", 0), "{}", down.body);
    assert!(down.stats.pending > 0);
    assert_eq!(stage.api.try_get("/readyz").unwrap().status, 200, "an unreachable provider is no reason to restart");
    stage.provider.recover();
    match stage.provider {
        // Calls that were cut in the middle of a message may have been taken.
        Provider::Smtp(_) => stage.assert_missing_are_uncertain(CONCURRENCY),
        Provider::Webhook(_) => stage.assert_everyone_once(),
    }
    assert_eq!(stage.api.campaign(stage.campaign).attention, None, "the trouble is over");
    watch.finish();
    stage.volley.stop();
}

/// The provider is silent for longer than the timeouts, then speaks again.
fn silence(db: &Database, provider: Provider) -> Stage {
    let pool = match &provider {
        Provider::Smtp(_) => provider.pool().set("timeout_seconds", "1").set("final_reply_timeout_seconds", "1"),
        Provider::Webhook(_) => provider.pool().set("timeout_seconds", "1"),
    };
    let volley = Volley::on(db).settings("[timing]\ncall_margin_ms = 200").pool(pool).start();
    let api = volley.api();
    let list = api.a_list_of(1_000);
    let campaign = api.create_campaign(provider.channel(), POOL, list, &json!({}));
    let stage = Stage { volley, api, provider, campaign, everyone: people::addresses(1_000) };
    stage.api.send(stage.campaign);
    stage.wait_reached(200);
    stage.provider.hang();
    let hung = Instant::now();
    stage.api.wait(stage.campaign, "the silence is noticed", LONG, |campaign| {
        campaign.attention.is_some() || hung.elapsed() > Duration::from_secs(5)
    });
    stage.provider.recover();
    stage
}

both_backends! {
    fn a_relay_that_goes_away_costs_nobody_a_message(db: &Database) {
        outage(db, Provider::smtp(LATENCY_MS));
    }

    fn an_http_provider_that_goes_away_costs_nobody_a_message(db: &Database) {
        outage(db, Provider::webhook(LATENCY_MS));
    }

    fn a_relay_that_was_never_there_fails_nobody(db: &Database) {
        let _turn = shared_turn();
        let provider = Provider::smtp(LATENCY_MS);
        provider.refuse_connections();
        let stage = Stage::launched(db, provider, 500);
        stage.api.wait(stage.campaign, "the outage is reported", LONG, needs_attention);
        stage.provider.recover();
        stage.assert_everyone_once();
        stage.volley.stop();
    }

    fn a_relay_that_falls_silent_leaves_only_what_it_may_have_taken_uncertain(db: &Database) {
        let _turn = shared_turn();
        let stage = silence(db, Provider::smtp(LATENCY_MS));
        stage.assert_missing_are_uncertain(CONCURRENCY);
        stage.volley.stop();
    }

    fn an_http_provider_that_falls_silent_is_asked_again_under_the_same_key(db: &Database) {
        let _turn = shared_turn();
        let stage = silence(db, Provider::webhook(LATENCY_MS));
        stage.assert_everyone_once();
        stage.volley.stop();
    }

    fn retry_after_is_honoured(db: &Database) {
        let _turn = shared_turn();
        let sink = ScriptedHttp::slow((0, 0), Keys::Honoured);
        sink.play("request: 429 {Retry-After: 3}");
        let stage = Stage::set(db, Provider::Webhook(sink), 20, |builder| builder);
        let ledger = stage.provider.ledger();
        // Nobody was told before; when the last one was is seen late on a busy machine.
        let launched = Instant::now();
        stage.api.send(stage.campaign);
        wait_until("everyone was told to wait", LONG, || ledger.entries().throttled >= 20);
        stage.provider.recover();
        stage.assert_everyone_once();
        let first_answer = *ledger.entries().accepted.values().flatten().min().unwrap();
        let waited = first_answer - launched;
        assert!(waited > Duration::from_secs(3), "asked again {waited:?} after the launch");
        stage.volley.stop();
    }

    fn an_http_provider_that_cuts_after_accepting_is_asked_again_under_the_same_key(db: &Database) {
        let _turn = shared_turn();
        let stage = Stage::set(db, Provider::webhook(LATENCY_MS), 1_000, |builder| builder);
        stage.provider.cut_after_accepting(7);
        stage.api.send(stage.campaign);
        stage.assert_everyone_once();
        assert!(stage.provider.ledger().entries().repeats > 100);
        stage.volley.stop();
    }

    fn a_relay_that_cuts_after_accepting_leaves_the_cut_ones_uncertain(db: &Database) {
        let _turn = shared_turn();
        let stage = Stage::set(db, Provider::smtp(LATENCY_MS), 700, |builder| builder);
        stage.provider.cut_after_accepting(7);
        stage.api.send(stage.campaign);
        let ended = stage.wait_ended();
        stage.provider.ledger().assert_each_once(&stage.everyone);
        assert_eq!((ended.stats.uncertain, ended.stats.sent), (100, 600), "{}", ended.body);
        let path = format!("/v1/campaigns/{}/deliveries/resolve", stage.campaign);
        stage.api.post(&path, &json!({ "as": "sent" }));
        let resolved = stage.api.campaign(stage.campaign);
        assert_eq!((resolved.stats.uncertain, resolved.stats.sent), (0, 700), "{}", resolved.body);
        stage.api.audit(stage.campaign);
        stage.volley.stop();
    }

    fn a_500_from_a_provider_without_keys_is_uncertain(db: &Database) {
        let _turn = shared_turn();
        let sink = ScriptedHttp::slow(LATENCY_MS, Keys::Ignored);
        sink.play("request every=10: {take} 500");
        let volley = Volley::on(db).pool(Pool::webhook(POOL, &sink)).start();
        let api = volley.api();
        let list = api.a_list_of(500);
        let campaign = api.create_campaign("http", POOL, list, &json!({}));
        api.send(campaign);
        let ended = api.wait_ended(campaign, LONG);
        sink.ledger().assert_each_once(&people::addresses(500));
        assert_eq!((ended.stats.uncertain, ended.stats.sent), (50, 450), "{}", ended.body);
        volley.stop();
    }

    fn wrong_credentials_fail_nobody(db: &Database) {
        let _turn = shared_turn();
        let sink = ScriptedHttp::slow(LATENCY_MS, Keys::Honoured);
        sink.play("request: 401");
        let stage = Stage::launched(db, Provider::Webhook(sink), 500);
        stage.api.wait(stage.campaign, "the trouble is reported", LONG, |campaign| campaign.attention.is_some());
        assert_eq!(stage.api.campaign(stage.campaign).stats.failed, 0);
        stage.provider.recover();
        stage.assert_everyone_once();
        stage.volley.stop();
    }

    fn a_relay_that_is_shutting_down_fails_nobody(db: &Database) {
        let _turn = shared_turn();
        let stage = Stage::launched(db, Provider::smtp(LATENCY_MS), 2_000);
        stage.wait_reached(300);
        let Provider::Smtp(sink) = &stage.provider else { unreachable!() };
        sink.play("mail: 421 4.3.2 shutting down {cut}");
        stage.api.wait(stage.campaign, "the trouble is reported", LONG, |campaign| campaign.attention.is_some());
        stage.provider.recover();
        stage.assert_everyone_once();
        stage.volley.stop();
    }

    fn refused_recipients_fail_alone(db: &Database) {
        let _turn = shared_turn();
        let stage = Stage::set(db, Provider::smtp(LATENCY_MS), 300, |builder| builder);
        stage.provider.reject(&people::address(7));
        stage.provider.reject(&people::address(100));
        stage.api.send(stage.campaign);
        let ended = stage.wait_ended();
        assert_eq!((ended.stats.failed, ended.stats.sent), (2, 298), "{}", ended.body);
        assert_eq!(stage.api.deliveries(stage.campaign, "failed").len(), 2);
        stage.volley.stop();
    }

    fn a_relay_that_stays_busy_exhausts_the_attempts(db: &Database) {
        let _turn = shared_turn();
        let provider = Provider::smtp((0, 0));
        let Provider::Smtp(sink) = &provider else { unreachable!() };
        sink.play("rcpt try<=4: 450 4.2.1 mailbox busy");
        let volley = Volley::on(db).pool(provider.pool().set("max_attempts", "4")).start();
        let api = volley.api();
        let list = api.a_list_of(20);
        let campaign = api.create_campaign("email", POOL, list, &json!({}));
        api.send(campaign);
        let stage = Stage { volley, api, provider, campaign, everyone: people::addresses(20) };
        let ended = stage.wait_ended();
        assert_eq!((ended.status.as_str(), ended.stats.failed), ("failed", 20), "{}", ended.body);
        assert_eq!(stage.provider.ledger().begun(), 80, "one attempt and three retries each");
        let failed = stage.api.deliveries(stage.campaign, "failed");
        assert!(failed[0].to_string().contains("gave up after 4 attempts: "), "{}", failed[0]);
        stage.api.post(&format!("/v1/campaigns/{}/retry-failed", stage.campaign), &json!({}));
        stage.api.wait(stage.campaign, "the failed are sent", LONG, |campaign| campaign.stats.sent == 20);
        stage.assert_everyone_once();
        stage.volley.stop();
    }

    fn a_relay_that_is_busy_for_everybody_fails_nobody(db: &Database) {
        let _turn = shared_turn();
        let provider = Provider::smtp((0, 0));
        provider.be_busy();
        let stage = Stage::launched(db, provider, 20);
        wait_until("everyone was put off several times", LONG, || stage.provider.ledger().begun() >= 45);
        let busy = stage.api.campaign(stage.campaign);
        assert_eq!((busy.status.as_str(), busy.stats.failed), ("sending", 0), "{}", busy.body);
        stage.provider.recover();
        stage.assert_everyone_once();
        stage.volley.stop();
    }
}
