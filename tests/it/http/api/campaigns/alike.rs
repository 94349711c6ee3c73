//! The same refusal for nearly everybody is not the recipients' fault.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;
use volley::config::pools::{PoolConfig, ServerConfig, SmtpConfig, WebhookConfig};
use volley::domain::channel::ChannelKind;

use super::{LONG, ask};
use crate::support::api::{Api, Campaign};
use crate::support::scripted_http::{Answer, ScriptedHttp};
use crate::support::scripted_smtp::{Act, ScriptedSmtp, Stage};
use crate::support::server::{Raw, Server};
use crate::support::waiting::wait_until;
use crate::support::{both_backends, people};

const PEOPLE: usize = 150;
const PLACES: usize = 5;

/// At most this many fail before a campaign is paused: the window, and two rounds of the pool's places.
const BURNT: u64 = 30 + 2 * 5;

fn relay(name: &str, server: &ScriptedSmtp) -> PoolConfig {
    let smtp = SmtpConfig { server: ServerConfig::at(server.url()), ..SmtpConfig::default() };
    PoolConfig {
        name: name.to_owned(),
        from: Some("Shop <shop@example.com>".to_owned()),
        concurrency: PLACES,
        ..PoolConfig::bare(smtp)
    }
}

fn gateway(name: &str, server: &ScriptedHttp) -> PoolConfig {
    let webhook = WebhookConfig { server: ServerConfig::at(server.url()), ..WebhookConfig::default() };
    PoolConfig { name: name.to_owned(), channel: ChannelKind::Http, concurrency: PLACES, ..PoolConfig::bare(webhook) }
}

/// A relay that answers like this at `stage` for as long as it is `wrong`.
fn refusing(stage: Stage, reply: &'static str, wrong: &Arc<AtomicBool>) -> ScriptedSmtp {
    let wrong = Arc::clone(wrong);
    ScriptedSmtp::start(move |moment| {
        (moment.stage == stage && wrong.load(Ordering::SeqCst)).then_some(Act::Say(reply))
    })
}

fn launched(api: &Api, channel: &str, pool: &str, list: i64) -> i64 {
    let campaign = api.create_campaign(channel, pool, list, &json!({}));
    api.send(campaign);
    campaign
}

/// Waits until the campaign has paused itself, and nothing of it is under way.
#[track_caller]
fn wait_paused(api: &Api, campaign: i64, quote: &str) -> Campaign {
    let quiet = |seen: &Campaign| seen.status == "paused" && seen.stats.sending == 0;
    let paused = api.wait(campaign, "it pauses itself", LONG, quiet);
    assert_eq!(paused.attention.as_deref(), Some("refused_alike"), "{}", paused.body);
    let detail = paused.body["attention"]["detail"].as_str().unwrap();
    assert!(detail.contains(quote), "{detail}");
    assert!(paused.stats.failed <= BURNT, "{}", paused.body);
    assert_eq!(paused.stats.failed + paused.stats.pending, paused.stats.total, "{}", paused.body);
    paused
}

fn retry_failed(server: &Server, campaign: i64, body: &serde_json::Value) -> Raw {
    ask(server, "POST", &format!("/v1/campaigns/{campaign}/retry-failed"), body)
}

both_backends! {
    fn a_relay_that_refuses_everybody_alike_pauses_the_campaign_and_burns_few(db: &Database) {
        let wrong = Arc::new(AtomicBool::new(true));
        let replies = [
            (Stage::Rcpt, "550 5.7.1 Relaying denied", "policy"),
            (Stage::Final, "554 5.7.1 message content rejected due to spam", "content"),
            (Stage::Final, "554 5.2.252 SendAsDenied; not allowed to send as", "sender"),
            (Stage::Mail, "550 5.7.60 Client does not have permissions to send as this sender", "sender"),
        ];
        let relays = replies.map(|(stage, reply, _)| refusing(stage, reply, &wrong));
        let names = ["denied", "spam", "send-as", "send-as-at-mail"];
        let pools = relays.iter().zip(names).map(|(server, name)| relay(name, server)).collect();
        let server = Server::with_pools(db, pools);
        let api = server.api();
        let list = api.a_list_of(PEOPLE);
        let campaigns = names.map(|name| launched(&api, "email", name, list));
        for (campaign, (_, reply, class)) in campaigns.into_iter().zip(replies) {
            wait_paused(&api, campaign, reply);
            let failed = api.deliveries(campaign, "failed");
            assert!(failed.iter().all(|delivery| delivery["answer_class"] == class), "{:?}", failed.first());
        }

        // What failed is put back while it stays paused: first nobody, then all of them.
        let campaign = campaigns[0];
        let burnt = api.campaign(campaign).stats.failed;
        let retried = retry_failed(&server, campaign, &json!({ "answer_class": "recipient" }));
        assert_eq!((retried.status, &retried.body["status"]), (202, &json!("paused")), "{retried:?}");
        let none = json!({ "answer_class": "policy" });
        wait_until("the first pass has ended", LONG, || {
            let failed = api.campaign(campaign).stats.failed;
            assert!(failed == burnt, "{failed} of {burnt} have failed");
            retry_failed(&server, campaign, &none).status == 202
        });
        api.wait(campaign, "nobody has failed", LONG, |seen| seen.stats.failed == 0);
        assert_eq!(api.campaign(campaign).status, "paused");
        assert_eq!(retry_failed(&server, campaign, &json!({ "answer_class": "nonsense" })).status, 422);

        // Resumed too early, it pauses itself once more; resumed when the relay takes mail, it reaches everybody.
        api.resume(campaign);
        wait_paused(&api, campaign, "Relaying denied");
        wrong.store(false, Ordering::SeqCst);
        wait_until("what failed is put back", LONG, || retry_failed(&server, campaign, &json!({})).status == 202);
        api.resume(campaign);
        let ended = api.wait_ended(campaign, LONG);
        assert_eq!((ended.status.as_str(), ended.stats.sent), ("sent", 150), "{}", ended.body);
        assert_eq!(ended.attention, None, "{}", ended.body);
        api.audit(campaign);
    }

    fn a_gateway_that_is_set_up_wrongly_pauses_the_campaign_and_burns_few(db: &Database) {
        let statuses = [301, 404, 405, 415];
        let gateways = statuses.map(|status| ScriptedHttp::always(Answer::status(status)));
        let names = statuses.map(|status| format!("status-{status}"));
        let pools = gateways.iter().zip(&names).map(|(server, name)| gateway(name, server)).collect();
        let server = Server::with_pools(db, pools);
        let api = server.api();
        let list = api.a_list_of(PEOPLE);
        let campaigns = names.map(|name| launched(&api, "http", &name, list));
        for (campaign, status) in campaigns.into_iter().zip(statuses) {
            wait_paused(&api, campaign, &format!("HTTP {status}"));
        }
    }

    fn recipients_who_are_unknown_pause_no_small_campaign(db: &Database) {
        let asked = AtomicUsize::new(0);
        let unknown = ScriptedSmtp::start(move |moment| {
            let some = |moment| moment == Stage::Rcpt && asked.fetch_add(1, Ordering::SeqCst) % 10 < 3;
            some(moment.stage).then_some(Act::Say("550 5.1.1 no such user"))
        });
        let nobody = ScriptedSmtp::at(Stage::Rcpt, Act::Say("550 5.1.1 no such user"));
        let server = Server::with_pools(db, vec![relay("some", &unknown), relay("none", &nobody)]);
        let api = server.api();
        let some = launched(&api, "email", "some", api.a_list_of(PEOPLE));
        let ended = api.wait_ended(some, LONG);
        assert_eq!((ended.status.as_str(), ended.stats.failed, ended.stats.sent), ("sent", 45, 105), "{}", ended.body);
        assert!(api.deliveries(some, "failed").iter().all(|delivery| delivery["answer_class"] == "address"));
        let others = api.create_list("others");
        api.import_csv(others, &people::csv_at("none.example.com", 1..=50));
        let none = launched(&api, "email", "none", others);
        assert_eq!(api.wait_ended(none, LONG).stats.failed, 50);
    }

    fn a_daily_quota_fails_nobody(db: &Database) {
        let wrong = Arc::new(AtomicBool::new(true));
        let quota = refusing(Stage::Final, "550 5.4.5 Daily user sending quota exceeded", &wrong);
        let server = Server::with_pools(db, vec![relay("main", &quota)]);
        let api = server.api();
        let list = api.a_list_of(30);
        let campaign = launched(&api, "email", "main", list);
        let held = api.wait(campaign, "it says so", LONG, |seen| seen.attention.is_some());
        assert_eq!((held.status.as_str(), held.stats.failed), ("sending", 0), "{}", held.body);
        wrong.store(false, Ordering::SeqCst);
        let ended = api.wait_ended(campaign, LONG);
        assert_eq!((ended.stats.sent, ended.stats.failed), (30, 0), "{}", ended.body);
    }
}
