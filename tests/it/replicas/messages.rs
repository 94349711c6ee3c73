//! What travels over the broker: every payload keeps to the contract, and whatever comes in changes nothing that it may not.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;
use volley::domain::replicas::messages::{self, Control, Send, Tracked};
use volley::verify::rng::Rng;

use super::{LATENCY_MS, ground};
use crate::support::fleet::Fleet;
use crate::support::provider::{POOL, Provider};
use crate::support::rabbitmq::{Client, Received};
use crate::support::stage::{LONG, QUIET};
use crate::support::turns::my_turn;
use crate::support::waiting::{stays, wait_for, wait_until};

const SOON: Duration = Duration::from_secs(30);

/// Collects what comes into a queue until there is enough of it.
#[track_caller]
fn collect(client: &Client, queue: &str, what: &str, is_enough: impl Fn(&[Received]) -> bool) -> Vec<Received> {
    let mut all = Vec::new();
    wait_until(what, SOON, || {
        all.extend(client.take_all(queue));
        is_enough(&all)
    });
    all
}

fn tracked(all: &[Received]) -> Vec<Tracked> {
    all.iter().map(|message| messages::parse(&message.body).expect("the contract's message")).collect()
}

#[test]
fn listeners_hear_once_of_every_page_and_of_the_end_and_every_payload_passes_the_validator() {
    let _turn = my_turn();
    let Some((db, broker)) = ground("listeners_hear_once_of_every_page") else { return };
    let small_pages = "[sending]\npage_size = 100";
    let crowd = (Provider::webhook(LATENCY_MS), 1_000);
    let fleet = Fleet::set(&db, &broker.url(), crowd, 2, |_, builder| builder.settings(small_pages));
    let (api, campaign) = (&fleet.stage.api, fleet.stage.campaign);
    wait_until("both links stand", SOON, || fleet.apis().iter().all(|api| api.get("/readyz")["status"] == "ready"));
    let client = broker.client();
    let [done, pages, decisions] =
        ["campaigns.tracked", "campaigns.send", "campaigns.control"].map(|exchange| client.listen(&[exchange]));
    // The request's id is not a UUID. It travels beside the message.
    let path = format!("/v1/campaigns/{campaign}/pause");
    api.send(campaign);
    fleet.stage.wait_reached(100);
    let (named, body) = ([("X-Request-Id", "not-a-uuid")], Some(b"{}".to_vec()));
    let paused = api.request(reqwest::Method::POST, &path, "application/json", body, &named).unwrap();
    assert_eq!(paused.status, 200, "{}", paused.body);
    api.resume(campaign);
    fleet.stage.assert_everyone_once();

    let heard = collect(&client, &done, "the end is told", |all| tracked(all).iter().any(|one| one.completed));
    let mut by_page = BTreeMap::new();
    for one in tracked(&heard) {
        assert_eq!((one.campaign_id.0, one.failed_count, one.uncertain_count), (campaign, 0, 0), "{one:?}");
        let told_before = by_page.insert(one.page, one.clone());
        assert!(told_before.is_none(), "page {} was told of twice", one.page);
    }
    assert_eq!(by_page.keys().copied().collect::<Vec<_>>(), (0..=10).collect::<Vec<_>>(), "pages 1 to 10, and the end");
    assert!(by_page.values().all(|one| one.completed == (one.page == 0)), "{by_page:?}");
    assert_eq!((by_page[&0].sent_count, by_page[&7].sent_count), (1_000, 100));

    let announced: Vec<Send> =
        client.take_all(&pages).iter().map(|message| messages::parse(&message.body).expect("a page")).collect();
    assert!(announced.iter().all(|page| page.campaign_id.0 == campaign), "{announced:?}");
    assert!(!announced.is_empty());

    let is_decision = |message: &&Received| message.kind.as_deref() != Some("volley.ping");
    let decided = client.take_all(&decisions);
    let decided: Vec<(&Received, Control)> = decided
        .iter()
        .filter(is_decision)
        .map(|message| (message, messages::parse(&message.body).expect("a decision")))
        .collect();
    let (message, pause) = decided.first().expect("the pause was published");
    assert_eq!((pause.id.clone(), pause.action.as_str()), (campaign.to_string(), "pause"));
    assert_eq!(message.headers.get("x-request-id").map(String::as_str), Some("not-a-uuid"), "{message:?}");
    assert_eq!(pause.correlation_id.get_version(), Some(uuid::Version::Random));
    assert_eq!(decided.get(1).map(|(_, control)| control.action.as_str()), Some("resume"));

    // Nobody in the audience: one message, and no page.
    let nobody = api.create_campaign("http", POOL, api.create_list("nobody"), &json!({}));
    api.send(nobody);
    let heard = collect(&client, &done, "the empty campaign's end is told", |all| !all.is_empty());
    stays("nothing else is told", QUIET, || client.take_all(&done).is_empty());
    let [end] = tracked(&heard).try_into().unwrap();
    assert_eq!((end.campaign_id.0, end.page, end.sent_count, end.completed), (nobody, 0, 0, true));
    let logs: String = fleet.all().map(crate::support::volley::Volley::log).collect();
    assert!(
        logs.lines().filter(|line| line.contains("campaign.tracked.published")).count() > 1,
        "what is told is logged"
    );
    fleet.stop();
}

#[test]
fn unreadable_messages_are_put_aside_with_the_reason_and_can_be_replayed() {
    let Some((db, broker)) = ground("unreadable_messages_are_put_aside") else { return };
    let fleet = Fleet::set(&db, &broker.url(), (Provider::webhook((0, 0)), 1), 1, |_, builder| builder);
    let api = &fleet.stage.api;
    wait_until("the link stands", SOON, || api.get("/readyz")["status"] == "ready");
    let client = broker.client();
    let letters = || api.get("/v1/dead-letters")["data"].as_array().unwrap().clone();
    assert_eq!(letters(), Vec::<Value>::new());
    let good = json!({ "campaignId": 1, "pageId": 1, "page": 1, "correlationId": Uuid::new_v4() });
    let mut surprising = good.clone();
    surprising["totalPages"] = json!(3);
    let mut other_version = good.clone();
    other_version["correlationId"] = json!("018c5f2e-7a6b-7c3d-8e4f-5a6b7c8d9e0f");
    let bad = [
        ("not JSON".to_owned(), "body"),
        (surprising.to_string(), "totalPages"),
        (other_version.to_string(), "correlationId"),
        (json!({ "campaignId": "one" }).to_string(), "campaignId"),
        ("x".repeat(5_000), "bytes"),
    ];
    for (body, _) in &bad {
        client.publish("campaigns.send", POOL, body.as_bytes());
    }
    // One that can be read names nothing, and is nobody's business.
    client.publish("campaigns.send", POOL, good.to_string().as_bytes());
    let found = wait_for("every one is put aside", SOON, || Some(letters()).filter(|found| found.len() >= bad.len()));
    assert_eq!(found.len(), bad.len(), "{found:?}");
    for (body, reason) in &bad {
        let letter = found.iter().find(|letter| body.starts_with(letter["body"].as_str().unwrap())).unwrap();
        assert!(letter["reason"].as_str().unwrap().contains(reason), "{letter}");
        assert_eq!((&letter["exchange"], &letter["routing_key"]), (&json!("campaigns.send"), &json!(POOL)));
    }
    let not_json = found.iter().find(|letter| letter["body"] == "not JSON").unwrap();
    let mut shown = not_json.clone();
    shown["id"] = json!("[id]");
    crate::bodies::see("dead_letter", &shown);
    // Nothing has changed: it comes back, as another letter.
    let first = found[0]["id"].as_str().unwrap();
    let replay = format!("/v1/dead-letters/{first}/replay");
    assert_eq!(api.post(&replay, &json!({}))["id"], json!(first));
    let back = wait_for("it is put aside again", SOON, || Some(letters()).filter(|found| found.len() == bad.len()));
    assert!(!back.iter().any(|letter| letter["id"] == json!(first)), "{back:?}");
    assert!(back.iter().any(|letter| letter["body"] == found[0]["body"]), "{back:?}");
    let gone = api.try_post(&replay, &json!({})).unwrap();
    assert_eq!((gone.status, &gone.body["code"]), (404, &json!("dead_letter_not_found")), "{}", gone.body);
    let audited = api.get(&format!("/v1/audit-log?object=dead_letter&object_id={first}"));
    assert_eq!(audited["data"][0]["action"], "replayed", "{audited}");
    // One is of no use to anybody: it is discarded, and the others stay.
    let second = back[1].clone();
    let discard = format!("/v1/dead-letters/{}", second["id"].as_str().unwrap());
    let removed = api.request(reqwest::Method::DELETE, &discard, "application/json", None, &[]).unwrap();
    assert_eq!(removed.expect_success(&discard), second);
    let left = letters();
    assert_eq!(left.len(), bad.len() - 1, "{left:?}");
    assert!(
        !left.contains(&second) && back.iter().filter(|one| **one != second).all(|one| left.contains(one)),
        "{left:?}"
    );
    let again = api.request(reqwest::Method::DELETE, &discard, "application/json", None, &[]).unwrap();
    assert_eq!((again.status, &again.body["code"]), (404, &json!("dead_letter_not_found")), "{}", again.body);
    let audited = api.get(&format!("/v1/audit-log?object=dead_letter&object_id={}", second["id"].as_str().unwrap()));
    assert_eq!(audited["data"][0]["action"], "deleted", "{audited}");
    fleet.stop();
}

fn pack(campaign: i64) -> Vec<u8> {
    let at = "2026-03-01T09:00:00Z";
    json!({ "campaignId": campaign, "triggeredAt": at, "triggeredBy": "crm", "correlationId": Uuid::new_v4() })
        .to_string()
        .into_bytes()
}

#[test]
fn a_launch_from_outside_is_followed_once_where_it_is_allowed() {
    let _turn = my_turn();
    let Some((db, broker)) = ground("a_launch_from_outside") else { return };
    let accept = "[broker]\naccept_pack = true\n[consent]\ntransactional_campaign_limit = 100";
    let crowd = (Provider::webhook((1, 5)), 500);
    let fleet = Fleet::set(&db, &broker.url(), crowd, 2, |_, builder| builder.settings(accept));
    wait_until("both links stand", SOON, || fleet.apis().iter().all(|api| api.get("/readyz")["status"] == "ready"));
    let client = broker.client();
    // Nobody has shown a key: it is followed as one of an operator.
    let own = &fleet.stage.api.campaign(fleet.stage.campaign).body;
    let mut beyond = json!({ "name": "Beyond", "subject": "s", "body_text": "b", "category": "transactional" });
    for field in ["channel", "pool", "audience"] {
        beyond[field] = own[field].clone();
    }
    let beyond = fleet.stage.api.post("/v1/campaigns", &beyond)["id"].as_i64().unwrap();
    client.publish("campaigns.pack", "any", &pack(beyond));
    for body in [b"{}".to_vec(), pack(fleet.stage.campaign), pack(fleet.stage.campaign), pack(987_654_321)] {
        client.publish("campaigns.pack", "any", &body);
    }
    fleet.stage.assert_everyone_once();
    // Once more, when it has ended.
    client.publish("campaigns.pack", "any", &pack(fleet.stage.campaign));
    let letters = wait_for("the unreadable one is put aside", SOON, || {
        let letters = fleet.stage.api.get("/v1/dead-letters")["data"].as_array().unwrap().clone();
        (!letters.is_empty()).then_some(letters)
    });
    assert_eq!((letters.len(), &letters[0]["exchange"]), (1, &json!("campaigns.pack")), "{letters:?}");
    assert_eq!(fleet.stage.api.campaign(beyond).status, "draft");
    stays("the ended campaign stays ended", QUIET, || fleet.stage.api.campaign(fleet.stage.campaign).status == "sent");
    fleet.stage.provider.ledger().assert_each_once(&fleet.stage.everyone);
    fleet.stop();
}

#[test]
fn a_launch_from_outside_is_ignored_where_it_is_not_allowed() {
    let Some((db, broker)) = ground("a_launch_from_outside_is_ignored") else { return };
    let fleet = Fleet::set(&db, &broker.url(), (Provider::webhook((0, 0)), 10), 1, |_, builder| builder);
    wait_until("the link stands", SOON, || fleet.stage.api.get("/readyz")["status"] == "ready");
    broker.client().publish("campaigns.pack", "any", &pack(fleet.stage.campaign));
    stays("it stays a draft", Duration::from_secs(1), || {
        fleet.stage.api.campaign(fleet.stage.campaign).status == "draft"
    });
    fleet.stop();
}

/// Every page of a database of one campaign, many times and out of order, and messages that nobody of Volley's sent.
fn confusion(fleet: &Fleet, pages: i64) -> Vec<(String, Vec<u8>)> {
    let campaign = fleet.stage.campaign;
    let message = |campaign: i64, page: i64| json!({ "campaignId": campaign, "pageId": page, "page": 1, "correlationId": Uuid::new_v4() });
    let real = (1..=pages).flat_map(|page| (0..10).map(move |_| message(campaign, page)));
    let forged = (1..=20).map(|n| message(campaign, 1_000_000_000 + n));
    let others = (1..=20).map(|page| message(campaign + 1, page));
    let mut all: Vec<_> =
        real.chain(forged).chain(others).map(|body| (POOL.to_owned(), body.to_string().into_bytes())).collect();
    all.push(("elsewhere".to_owned(), message(campaign, 1).to_string().into_bytes()));
    Rng::new(3).shuffle(&mut all);
    all
}

fn forged_decision(id: &str, action: &str, version: i64) -> Vec<u8> {
    let scope = if id.parse::<i64>().is_ok() { "campaign" } else { "pool" };
    json!({
        "scope": scope, "id": id, "action": action, "statusVersion": version, "correlationId": Uuid::new_v4(),
    })
    .to_string()
    .into_bytes()
}

#[test]
fn repeated_reordered_and_forged_messages_cost_a_delay_at_most() {
    let _turn = my_turn();
    let Some((db, broker)) = ground("repeated_reordered_and_forged_messages") else { return };
    let settings = "[sending]\npage_size = 100\n[timing]\nstatus_ttl_ms = 1000";
    let crowd = (Provider::smtp(LATENCY_MS), 6_000);
    let fleet = Fleet::set(&db, &broker.url(), crowd, 2, |_, builder| builder.settings(settings));
    let (stage, campaign) = (&fleet.stage, fleet.stage.campaign.to_string());
    wait_until("both links stand", SOON, || fleet.apis().iter().all(|api| api.get("/readyz")["status"] == "ready"));
    let client = broker.client();
    stage.api.send(stage.campaign);
    stage.wait_reached(300);
    for (key, body) in confusion(&fleet, 60) {
        client.publish("campaigns.send", &key, &body);
    }
    let decide = |id: &str, action: &str, version: i64| {
        client.publish("campaigns.control", "", &forged_decision(id, action, version));
    };
    // What nobody decided, from the past and from the future.
    decide(&campaign, "pause", 1);
    decide(&campaign, "stop", i64::MAX);
    decide(POOL, "suspend", i64::MAX);
    decide("nowhere", "suspend", 1);
    decide("-1", "pause", 1);
    client.publish("campaigns.control", "", b"no decision at all");
    assert_eq!(stage.api.campaign(stage.campaign).status, "sending");
    stage.wait_reached(2_000);
    let pause = fleet.decide("pause");
    decide(&campaign, "resume", i64::MAX);
    decide(&campaign, "resume", pause.receipt["version"].as_i64().unwrap());
    stage.assert_silence(pause.at);
    assert_eq!((pause.tally(), stage.api.campaign(stage.campaign).status.as_str()), ((2, 0), "paused"));
    fleet.decide("resume");
    stage.assert_everyone_once();
    let ended = stage.api.wait(stage.campaign, "it has ended", LONG, |campaign| campaign.is_ended());
    assert_eq!(ended.stats.uncertain, 0, "{}", ended.body);
    assert_eq!(stage.api.get("/v1/dead-letters")["data"], json!([]), "decisions are not put aside");
    fleet.stop();
}
