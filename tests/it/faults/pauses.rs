//! Pause and stop work at once, whatever the campaign is doing.

use std::time::Duration;

use serde_json::json;
use volley::verify::plan::LinkTrouble;
use volley::verify::proxy::Proxy;

use crate::support::provider::Provider;
use crate::support::scripted_http::{Keys, ScriptedHttp};
use crate::support::scripted_smtp::ScriptedSmtp;
use crate::support::stage::{GRACE, LONG, QUIET, Stage};
use crate::support::tls_front::{Authority, Manner, TlsFront};
use crate::support::turns::{my_turn, shared_turn};
use crate::support::volley::{Builder, Pool};
use crate::support::waiting::{stays, wait_until};
use crate::support::{Database, both_backends};

const LATENCY_MS: (u64, u64) = (5, 20);
const SENDING: &str = "SELECT count(*) AS n FROM deliveries WHERE state = 'sending'";

fn pause_and_resume_in_mid_page(db: &Database, provider: Provider) {
    let _turn = my_turn();
    let stage = Stage::launched(db, provider, 5_000);
    let watch = stage.watch();
    for round in 1..=5 {
        stage.wait_reached(round * 700);
        let answered = stage.api.pause(stage.campaign);
        stage.assert_silence(answered);
        assert_eq!(stage.api.campaign(stage.campaign).status, "paused");
        stage.api.resume(stage.campaign);
    }
    stage.assert_everyone_once();
    watch.finish();
    stage.volley.stop();
}

fn pause_during_packing(db: &Database, provider: Provider) {
    let _turn = my_turn();
    let stage = Stage::set(db, provider, 20_000, |builder| builder.settings("[sending]\npage_size = 50"));
    stage.api.send(stage.campaign);
    stage.api.wait(stage.campaign, "packing begins", LONG, |campaign| campaign.stats.total > 0);
    let answered = stage.api.pause(stage.campaign);
    stage.assert_silence(answered);
    let paused = stage.api.campaign(stage.campaign);
    println!("packed {} when paused", paused.stats.total);
    stays("a paused campaign is not packed further", QUIET, || {
        stage.api.campaign(stage.campaign).stats.total == paused.stats.total
    });
    stage.api.resume(stage.campaign);
    stage.assert_everyone_once();
    stage.volley.stop();
}

fn pause_during_an_outage(db: &Database, provider: Provider) {
    let _turn = shared_turn();
    provider.refuse_connections();
    let stage = Stage::launched(db, provider, 300);
    stage.api.wait(stage.campaign, "the outage is reported", LONG, |campaign| campaign.attention.is_some());
    let answered = stage.api.pause(stage.campaign);
    stage.provider.recover();
    stays("nothing is sent when the provider is back", Duration::from_secs(2), || {
        stage.provider.ledger().latest_after(answered).is_none()
    });
    stage.api.resume(stage.campaign);
    stage.assert_everyone_once();
    stage.volley.stop();
}

both_backends! {
    fn a_paused_smtp_campaign_is_silent_and_goes_on_when_resumed(db: &Database) {
        pause_and_resume_in_mid_page(db, Provider::smtp(LATENCY_MS));
    }

    fn a_paused_webhook_campaign_is_silent_and_goes_on_when_resumed(db: &Database) {
        pause_and_resume_in_mid_page(db, Provider::webhook(LATENCY_MS));
    }

    fn a_stopped_campaign_is_silent_for_good(db: &Database) {
        let _turn = my_turn();
        let mut stage = Stage::launched(db, Provider::smtp(LATENCY_MS), 5_000);
        stage.wait_reached(1_000);
        let answered = stage.api.stop(stage.campaign);
        stage.assert_silence(answered);
        let path = format!("/v1/campaigns/{}/resume", stage.campaign);
        let refused = stage.api.try_post(&path, &json!({})).unwrap();
        assert_eq!((refused.status, refused.body.to_string().contains("stopped")), (409, true), "{}", refused.body);
        let stopped = stage.api.wait(stage.campaign, "what is left is skipped", LONG, |campaign| {
            campaign.stats.pending == 0 && campaign.stats.sending == 0
        });
        assert_eq!(stopped.status, "stopped");
        assert_eq!(stopped.stats.sent + stopped.stats.skipped, stopped.stats.total, "{}", stopped.body);
        let reached = stage.provider.ledger().reached();
        stage.volley.kill_and_restart();
        stays("a stop survives a restart", QUIET, || stage.provider.ledger().reached() == reached);
        stage.provider.ledger().assert_nobody_twice();
        stage.api.audit(stage.campaign);
        stage.volley.stop();
    }

    fn a_pause_during_packing_holds_the_packing_of_requests_too(db: &Database) {
        pause_during_packing(db, Provider::webhook((1, 2)));
    }

    fn a_pause_during_packing_holds_the_packing_of_mails_too(db: &Database) {
        pause_during_packing(db, Provider::smtp((1, 2)));
    }

    fn a_pause_while_retries_wait_holds_them(db: &Database) {
        let _turn = my_turn();
        let relay = ScriptedSmtp::playing("rcpt try<=1: 451 4.7.1 Greylisting in action");
        let stage = Stage::launched(db, Provider::Smtp(relay), 200);
        wait_until("everyone was tried once", LONG, || stage.provider.ledger().begun() >= 200);
        let answered = stage.api.pause(stage.campaign);
        stage.provider.recover();
        // Longer than the first retry waits.
        stays("no retry begins", Duration::from_millis(2_500), || {
            stage.provider.ledger().latest_after(answered + GRACE).is_none()
        });
        assert_eq!(stage.api.campaign(stage.campaign).stats.pending, 200);
        stage.api.resume(stage.campaign);
        stage.assert_everyone_once();
        stage.volley.stop();
    }

    fn a_pause_holds_what_waits_for_a_slow_handshake(db: &Database) {
        let _turn = shared_turn();
        let authority = Authority::new();
        let sink = ScriptedHttp::slow((0, 0), Keys::Honoured);
        let front = TlsFront::start(sink.port(), &authority, "127.0.0.1", Manner::AtOnce);
        front.hold(true);
        let slow = Pool::webhook_at("slow", front.port())
            .set("url", &format!("\"https://127.0.0.1:{}/messages\"", front.port()))
            .set("tls_ca_file", &format!("{:?}", authority.file()))
            .set("idempotent", "true");
        let provider = Provider::Webhook(sink);
        let stage = Stage::with(db, provider, 200, |builder| builder.pool(slow), &json!({"pool": "slow"}));
        stage.api.send(stage.campaign);
        wait_until("handshakes wait", LONG, || front.arrived() > 0);
        stage.api.pause(stage.campaign);
        front.hold(false);
        stays("no request follows the handshakes", Duration::from_secs(1), || stage.provider.ledger().begun() == 0);
        stage.api.resume(stage.campaign);
        stage.assert_everyone_once();
        stage.volley.stop();
    }

    fn a_pause_holds_what_waits_for_a_slow_greeting(db: &Database) {
        let _turn = shared_turn();
        let sink = ScriptedSmtp::slow((150, 150));
        let proxy = Proxy::start().unwrap();
        let link = proxy.link(&format!("127.0.0.1:{}", sink.port())).unwrap();
        link.begin(LinkTrouble::BlackHole);
        // The start deadline must not be what holds them.
        let patient = "[timing]\nstart_deadline_ms = 6000";
        let slow = Pool::smtp_at("slow", link.addr().port()).set("timeout_seconds", "30");
        let provider = Provider::Smtp(sink);
        let set = |builder: Builder| builder.settings(patient).pool(slow);
        let stage = Stage::with(db, provider, 200, set, &json!({"pool": "slow"}));
        stage.api.send(stage.campaign);
        wait_until("connections wait for a greeting", LONG, || db.number(SENDING) > 0);
        stage.api.pause(stage.campaign);
        link.mend();
        stays("no mail follows the greetings", Duration::from_secs(1), || stage.provider.ledger().begun() == 0);
        stage.api.resume(stage.campaign);
        stage.assert_everyone_once();
        stage.volley.stop();
    }

    fn a_pause_during_a_relays_outage_is_answered_and_holds(db: &Database) {
        pause_during_an_outage(db, Provider::smtp(LATENCY_MS));
    }

    fn a_pause_during_an_http_providers_outage_is_answered_and_holds(db: &Database) {
        pause_during_an_outage(db, Provider::webhook(LATENCY_MS));
    }
}
