//! Instances that only take requests, and instances that only send.

use std::time::Duration;

use serde_json::json;

use super::ground;
use crate::support::fleet::{metric, number_of};
use crate::support::provider::{POOL, Provider};
use crate::support::stage::{LONG, Stage};
use crate::support::turns::{my_turn, shared_turn};
use crate::support::volley::Volley;
use crate::support::waiting::{stays, wait_until};
use crate::support::{Database, both_backends};

const API: &str = "[instance]\nrole = \"api\"";
const SENDER: &str = "[instance]\nrole = \"sender\"";

/// Waits until the campaign is packed and says this of why it does not go on.
#[track_caller]
fn wait_held(stage: &Stage, code: &str, people: u64) {
    stage.api.wait(stage.campaign, &format!("{code} is shown"), LONG, |campaign| {
        campaign.attention.as_deref() == Some(code) && campaign.stats.total == people
    });
}

#[test]
fn an_instance_for_requests_sends_nothing_and_one_that_sends_takes_no_requests() {
    let _turn = my_turn();
    let Some((db, broker)) = ground("an_instance_for_requests_sends_nothing") else { return };
    let on_broker = |role: &'static str| move |builder: crate::support::volley::Builder| builder.settings(role);
    let url = broker.url();
    let stage = Stage::set(&db, Provider::webhook((1, 5)), 600, |builder| on_broker(API)(builder.broker(&url)));
    stage.api.send(stage.campaign);
    // Nobody sends: the campaign, the first page and the probe say so.
    wait_held(&stage, "no_sender", 600);
    let ready = stage.api.get("/readyz");
    assert_eq!((&ready["status"], &ready["code"]), (&json!("degraded"), &json!("no_sender")), "{ready}");
    let needs = stage.api.get("/v1/overview")["needs"].clone();
    let kinds: Vec<_> = needs.as_array().unwrap().iter().map(|need| (&need["kind"], &need["code"])).collect();
    assert!(kinds.contains(&(&json!("instance"), &json!("no_sender"))), "{needs}");
    assert_eq!(stage.provider.ledger().begun(), 0);
    let doctor = std::process::Command::new(env!("CARGO_BIN_EXE_volley"))
        .args(["doctor", "--json"])
        .env_clear()
        .env("VOLLEY_DATABASE__URL", db.url())
        .env("VOLLEY_SENDING__DATA_DIR", db.folder().join("data-of-the-doctor"))
        .output()
        .unwrap();
    let told: serde_json::Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let findings = told["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["subject"] == "instances").unwrap_or_else(|| panic!("{told}"));
    assert_eq!(found["ok"], json!(false), "{found}");
    assert!(found["detail"].as_str().unwrap().starts_with("no instance sends: 1 api"), "{found}");

    let folder = db.folder().join("data-of-the-sender");
    stage.provider.refuse_connections();
    let sender = on_broker(SENDER)(Volley::on(&db).pool(stage.provider.pool()).broker(&url)).data_dir(&folder).start();
    // What keeps the sender from going on is seen where requests are taken.
    wait_held(&stage, "provider_unreachable", 600);
    stage.provider.recover();
    stage.assert_everyone_once();
    let answered = number_of(&stage.api);
    let listed = stage.api.get("/v1/instances");
    let roles: Vec<_> = listed["data"].as_array().unwrap().iter().map(|one| (&one["role"], &one["pools"])).collect();
    assert_eq!(roles, [(&json!("api"), &json!([])), (&json!("sender"), &json!([POOL]))], "{listed} ({answered})");
    assert!(metric(&stage.api, "volley_attempts_total", &[]) < 0.5, "the instance for requests has sent something");
    assert!(metric(&sender.api(), "volley_attempts_total", &["outcome=\"accepted\""]) > 599.5);

    for path in ["/v1/campaigns", "/ui", "/openapi.json", "/unsubscribe/x", "/nothing"] {
        let answer = sender.api().try_get(path).unwrap();
        assert_eq!((answer.status, &answer.body["code"]), (404, &json!("sender_only")), "{path}: {}", answer.body);
    }
    assert_eq!(sender.api().try_get("/healthz").unwrap().status, 200);
    sender.stop();
    stage.volley.stop();
}

#[test]
fn a_sender_that_knows_no_address_for_links_writes_none_or_does_not_start() {
    let _turn = shared_turn();
    let Some(db) = Database::postgres("a_sender_that_knows_no_address") else { return };
    // The harness names an address unless the settings speak of it.
    let without = |role: &str, links: &str| format!("{role}\n[links]\n# public_url is not set\n{links}\n");
    let unasked = "require_unsubscribe = false";
    let provider = Provider::smtp((0, 2));
    // This one listens on loopback, where its links would lead to itself.
    let serving = Volley::on(&db).settings(&without(API, unasked)).pool(provider.pool()).start();
    let builder = || Volley::on(&db).pool(provider.pool()).data_dir(&db.folder().join("data-of-the-sender"));
    let mut refused = builder().settings(&without(SENDER, "")).prepare();
    refused.spawn();
    wait_until("the sender ends", LONG, || refused.exited().is_some());
    assert!(!refused.exited().unwrap().success());
    let reason = "links.public_url: must be set where instance.role is sender";
    assert!(refused.log().contains(reason), "{}", refused.log());

    let sender = builder().settings(&without(SENDER, unasked)).start();
    assert!(sender.log().contains("links.absent"), "{}", sender.log());
    let api = serving.api();
    let list = api.a_list_of(20);
    let body = json!({ "body_text": "Hello.{{ unsubscribe_url }}{{ preferences_url }} Read https://example.com/news" });
    let campaign = api.create_campaign("email", POOL, list, &body);
    api.send(campaign);
    assert_eq!(api.wait_ended(campaign, LONG).stats.sent, 20);
    for n in 1..=20 {
        let message = provider.ledger().message_to(&crate::support::people::address(n));
        let dead = ["127.0.0.1", "List-Unsubscribe", "/u/", "/t/"];
        assert!(dead.iter().all(|dead| !message.contains(dead)), "a link that nobody serves: {message}");
        assert!(message.contains("Hello. Read https://example.com/news"), "{message}");
    }
    sender.stop();
    serving.stop();
}

both_backends! {
    fn a_campaign_launched_where_nothing_is_sent_waits_and_says_why(db: &Database) {
        let _turn = shared_turn();
        let mut stage = Stage::set(db, Provider::webhook((0, 2)), 50, |builder| builder.settings(API));
        stage.api.send(stage.campaign);
        wait_held(&stage, "no_sender", 50);
        stays("nothing is sent", Duration::from_millis(700), || stage.provider.ledger().begun() == 0);
        stage.volley.kill_9();
        stage.volley.spawn_with(&[("VOLLEY_INSTANCE__ROLE", "all")]);
        stage.volley.wait_ready();
        stage.assert_everyone_once();
        wait_until("nothing is degraded", LONG, || {
            stage.api.try_get("/readyz").is_ok_and(|ready| ready.body["status"] == json!("ready"))
        });
        stage.volley.stop();
    }
}
