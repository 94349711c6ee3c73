//! Targets that are called: signed, again after a failure, listed, repeated by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use volley::config::Settings;
use volley::config::targets::TargetConfig;
use volley::domain::callbacks::standard_webhooks::sign;
use volley::domain::channel::ChannelKind;
use volley::domain::reactions::CampaignNews;
use volley::domain::span::Span;

use crate::support::api::{Answer as Reply, Api, id};
use crate::support::scripted_http::{Answer, Asked, ScriptedHttp};
use crate::support::server::{Server, sandbox, webhook};
use crate::support::waiting::{stays, wait_until};
use crate::support::{Database, both_backends};

const LONG: Duration = Duration::from_secs(60);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn target(name: &str, server: &ScriptedHttp) -> TargetConfig {
    let soon = Some(vec![Span::from_ms(10)]);
    TargetConfig {
        retry_delays: soon,
        retry_for: Some(Span::from_ms(30)),
        timeout_seconds: 2,
        ..TargetConfig::at(name, &format!("http://127.0.0.1:{}/hooks?v=1", server.port()), SECRET)
    }
}

fn serve(db: &Database, server: &ScriptedHttp) -> Server {
    let targets = vec![target("crm", server)];
    Server::with(db, |settings: &mut Settings| settings.targets = targets)
}

/// A segment that calls, when everybody was evaluated for it.
fn vips(api: &Api) -> i64 {
    let segment = id(&api.post(
        "/v1/segments",
        &json!({
            "name": "VIPs", "criteria": { "tag": "vip" },
            "reactions": [
                { "on": "entered", "do": [{ "add_tag": "seen" }, { "call": "crm" }] },
                { "on": "left", "do": [{ "call": "crm" }] },
            ],
        }),
    ));
    wait_until("everybody is evaluated", LONG, || api.get(&format!("/v1/segments/{segment}"))["state"] == "ready");
    segment
}

fn contact(api: &Api, external_id: &str) -> i64 {
    id(&api.post("/v1/contacts", &json!({ "external_id": external_id })))
}

fn tag(api: &Api, contact: i64) {
    api.post(&format!("/v1/contacts/{contact}/tags"), &json!({ "add": ["vip"] }));
}

fn header<'a>(asked: &'a Asked, name: &str) -> &'a str {
    asked.headers.get(name).map(String::as_str).unwrap_or_default()
}

/// Whether a call is signed with the secret, as its receiver finds out, and was so just now.
fn is_signed(asked: &Asked) -> bool {
    let seconds: i64 = header(asked, "webhook-timestamp").parse().unwrap();
    let now = i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    assert!((now - 300..=now + 5).contains(&seconds), "{seconds} is not now: {now}");
    sign(&[SECRET], header(asked, "webhook-id"), seconds, asked.body.as_bytes()) == header(asked, "webhook-signature")
}

fn reactions(api: &Api, status: &str) -> Vec<Value> {
    api.get(&format!("/v1/reactions?status={status}"))["data"].as_array().unwrap().clone()
}

fn problem(answer: &Reply) -> (u16, String, String) {
    let text = |pointer: &str| answer.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    (answer.status, text("/code"), text("/errors/0/field"))
}

both_backends! {
    fn an_entry_calls_a_target_signed_and_says_who_and_what(db: &Database) {
        let hooks = ScriptedHttp::always(Answer::status(204));
        let server = serve(db, &hooks);
        let api = server.api();
        let (segment, ann) = (vips(&api), contact(&api, "c-1"));
        tag(&api, ann);
        wait_until("the target is called", LONG, || hooks.asked().len() == 1);
        let asked = hooks.asked().remove(0);
        assert_eq!(asked.line, "POST /hooks?v=1 HTTP/1.1");
        assert!(is_signed(&asked), "{asked:?}");
        assert!(header(&asked, "webhook-id").starts_with(&format!("segment-{segment}-{ann}-1-entered-0-")));
        assert_eq!(header(&asked, "content-type"), "application/json");
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        assert_eq!(body["type"], "segment.entered");
        assert!(body["timestamp"].is_string());
        let data = &body["data"];
        assert_eq!((&data["segment_id"], &data["segment"]), (&json!(segment), &json!("vips")));
        assert_eq!((&data["contact_id"], &data["external_id"], &data["epoch"]), (&json!(ann), &json!("c-1"), &json!(1)));
        wait_until("nothing waits", LONG, || reactions(&api, "waiting").is_empty());
        let tags = api.get(&format!("/v1/contacts/{ann}"))["tags"].clone();
        assert_eq!(tags, json!(["seen", "vip"]));
        assert!(reactions(&api, "failed").is_empty());
    }

    fn a_call_is_made_again_under_its_id_after_a_503_and_a_cut(db: &Database) {
        let calls = Arc::new(AtomicUsize::new(0));
        let number = Arc::clone(&calls);
        let hooks = ScriptedHttp::start(move |_| match number.fetch_add(1, Ordering::Relaxed) {
            0 => Answer::status(503),
            1 => Answer::Cut,
            _ => Answer::status(200),
        });
        let server = serve(db, &hooks);
        let api = server.api();
        vips(&api);
        tag(&api, contact(&api, "c-1"));
        wait_until("it is taken at last", LONG, || hooks.asked().len() == 3 && reactions(&api, "waiting").is_empty());
        let asked = hooks.asked();
        assert!(asked.iter().all(is_signed));
        assert!(asked.iter().all(|call| header(call, "webhook-id") == header(&asked[0], "webhook-id")));
        assert!(asked.iter().all(|call| call.body == asked[0].body));
    }

    fn a_call_that_failed_is_listed_and_repeated_by_hand(db: &Database) {
        let hooks = ScriptedHttp::always(Answer::Reply(500, Vec::new(), "no room for c-1".to_owned()));
        let server = serve(db, &hooks);
        let api = server.api();
        let segment = vips(&api);
        let ann = contact(&api, "c-1");
        tag(&api, ann);
        wait_until("it has failed", LONG, || reactions(&api, "failed").len() == 1);
        let failed = reactions(&api, "failed").remove(0);
        assert_eq!((&failed["target"], &failed["event"], &failed["segment_id"]), (&json!("crm"), &json!("segment.entered"), &json!(segment)));
        let error = failed["error"].as_str().unwrap();
        assert_eq!(error, "HTTP 500", "nothing that the target says is kept");
        assert!(failed["attempts"].as_i64().unwrap() >= 2 && failed["due_at"].is_null(), "{failed}");
        assert_eq!(api.get("/v1/reactions?target=other")["data"], json!([]));
        let path = format!("/v1/reactions/{}/retry", failed["id"]);
        // While its segment is switched off, nothing follows.
        api.post(&format!("/v1/segments/{segment}/disable"), &json!({}));
        let refused = api.request(Method::POST, &path, "", None, &[]).unwrap();
        assert_eq!((refused.status, &refused.body["code"]), (409, &json!("segment_disabled")));
        api.post(&format!("/v1/segments/{segment}/enable"), &json!({}));
        hooks.play("request: 200");
        let before = hooks.asked().len();
        assert_eq!(api.request(Method::POST, &path, "", None, &[]).unwrap().status, 202);
        wait_until("it is taken", LONG, || reactions(&api, "failed").is_empty() && reactions(&api, "waiting").is_empty());
        assert_eq!(hooks.asked().len(), before + 1);
        let gone = api.request(Method::POST, &path, "", None, &[]).unwrap();
        assert_eq!((gone.status, &gone.body["code"]), (404, &json!("reaction_not_found")));
        let lines = api.get("/v1/audit-log?object=reaction&action=retried");
        assert_eq!(lines["data"].as_array().unwrap().len(), 1, "{lines}");
    }

    fn what_is_answered_with_a_redirect_or_410_has_failed_and_all_of_a_target_are_repeated(db: &Database) {
        let elsewhere = ScriptedHttp::always(Answer::status(200));
        let number = AtomicUsize::new(0);
        let location = elsewhere.url();
        let hooks = ScriptedHttp::start(move |_| {
            let status = [302, 303, 410][number.fetch_add(1, Ordering::Relaxed) % 3];
            Answer::with_header(status, "Location", &location)
        });
        let server = serve(db, &hooks);
        let api = server.api();
        vips(&api);
        for name in ["c-1", "c-2", "c-3"] {
            tag(&api, contact(&api, name));
        }
        wait_until("they have failed", LONG, || reactions(&api, "failed").len() == 3);
        assert_eq!((hooks.asked().len(), elsewhere.asked().len()), (3, 0), "none is tried twice, and no redirect is followed");
        assert_eq!(api.post("/v1/reactions/retry", &json!({ "target": "other" }))["retried"], 0);
        hooks.play("request: 200");
        assert_eq!(api.post("/v1/reactions/retry", &json!({ "target": "crm" }))["retried"], 3);
        wait_until("they are taken", LONG, || reactions(&api, "failed").is_empty() && reactions(&api, "waiting").is_empty());
        assert_eq!(hooks.asked().len(), 6);
    }

    fn a_segment_that_is_switched_off_calls_nobody_any_more(db: &Database) {
        let hooks = ScriptedHttp::always(Answer::status(503));
        let slow = TargetConfig { retry_delays: Some(vec![Span::from_ms(300)]), retry_for: Some(Span::seconds(600)), ..target("crm", &hooks) };
        let server = Server::with(db, |settings| settings.targets = vec![slow]);
        let api = server.api();
        let segment = vips(&api);
        tag(&api, contact(&api, "c-1"));
        wait_until("it is tried", LONG, || !hooks.asked().is_empty());
        api.post(&format!("/v1/segments/{segment}/disable"), &json!({}));
        wait_until("what waited is gone", LONG, || reactions(&api, "waiting").is_empty());
        let calls = hooks.asked().len();
        api.post(&format!("/v1/segments/{segment}/enable"), &json!({}));
        stays("nobody is called", Duration::from_millis(700), || hooks.asked().len() == calls);
        assert!(reactions(&api, "failed").is_empty());
    }

    fn what_is_wrong_with_a_reaction_is_named(db: &Database) {
        let hooks = ScriptedHttp::always(Answer::status(200));
        let server = serve(db, &hooks);
        let api = server.api();
        for (reaction, field) in [
            (json!({ "on": "entered", "do": [{ "call": "nobody" }] }), "/reactions/0/do/0/call"),
            (json!({ "on": "entered", "do": [{ "call": hooks.url() }] }), "/reactions/0/do/0/call"),
            (json!({ "on": "entered", "do": [{ "add_to_list": 99 }] }), "/reactions/0/do/0/add_to_list"),
            (json!({ "on": "entered", "do": [{ "remove_from_list": "nothing" }] }), "/reactions/0/do/0/remove_from_list"),
            (json!({ "on": "dwelled", "after": "7d", "do": [{ "add_tag": "a" }] }), "/reactions/0/after"),
            (json!({ "on": "entered", "do": [{ "add_tag": "a,b" }] }), "/reactions/0/do/0/add_tag"),
        ] {
            let body = json!({ "name": "x", "criteria": { "tag": "vip" }, "reactions": [reaction] });
            let answer = api.try_post("/v1/segments", &body).unwrap();
            assert_eq!(problem(&answer), (422, "reaction_invalid".to_owned(), field.to_owned()), "{}", answer.body);
        }
        let unknown = json!({ "name": "x", "criteria": { "tag": "vip" }, "reactions": [{ "on": "entered", "do": [{ "send": 1 }] }] });
        assert_eq!(api.try_post("/v1/segments", &unknown).unwrap().status, 422);
        assert_eq!(db.number("SELECT count(*) AS n FROM segments"), 0);
        // Lists stand by their slugs, too, and are stored by their ids.
        let list = api.create_list("News");
        let made = api.post("/v1/segments", &json!({
            "name": "VIPs", "criteria": { "tag": "vip" }, "dwell": [{ "after": "7d" }],
            "reactions": [{ "on": "dwelled", "after": "7d", "do": [{ "add_to_list": "news" }] }],
        }));
        assert_eq!(made["reactions"][0]["do"], json!([{ "add_to_list": list }]));
        let patch = |body: Value| api.request(Method::PATCH, "/v1/segments/vips", "application/json", Some(body.to_string().into_bytes()), &[]).unwrap();
        assert_eq!(problem(&patch(json!({ "dwell": [] }))).2, "/reactions/0/after", "its time is still reacted to");
        let changed = patch(json!({ "dwell": [], "reactions": [] }));
        assert_eq!((changed.status, &changed.body["reactions"]), (200, &json!([])));
    }

    fn a_campaign_tells_those_who_hear_of_it_that_it_began_and_ended(db: &Database) {
        let (hooks, deaf) = (ScriptedHttp::always(Answer::status(200)), ScriptedHttp::always(Answer::status(200)));
        let hearing = TargetConfig { events: CampaignNews::ALL.to_vec(), ..target("chat", &hooks) };
        let targets = vec![hearing, target("crm", &deaf)];
        let server = Server::with(db, |settings| {
            settings.pools = vec![sandbox("main", ChannelKind::Email, 0.0)];
            settings.targets = targets;
        });
        let api = server.api();
        let list = api.a_list_of(3);
        let campaign = api.create_campaign("email", "main", list, &json!({}));
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        wait_until("both are told", LONG, || hooks.asked().len() == 2);
        let told: Vec<Value> = hooks.asked().iter().map(|asked| serde_json::from_str(&asked.body).unwrap()).collect();
        let of = |name: &str| told.iter().find(|body| body["type"] == name).unwrap_or_else(|| panic!("{name}: {told:?}"))["data"].clone();
        assert_eq!((&of("campaign.launched")["campaign_id"], &of("campaign.launched")["status"]), (&json!(campaign), &json!("sending")));
        assert_eq!(of("campaign.ended")["status"], "sent");
        assert!(hooks.asked().iter().all(is_signed));
        let trace = api.get(&format!("/v1/campaigns/{campaign}"))["correlation_id"].as_str().unwrap().replace('-', "");
        assert!(hooks.asked().iter().all(|asked| header(asked, "traceparent").starts_with(&format!("00-{trace}-"))));
        assert!(deaf.asked().is_empty());
        wait_until("nothing waits", LONG, || reactions(&api, "waiting").is_empty());
    }
    fn a_campaign_that_pauses_itself_says_why_and_one_that_is_stopped_has_ended(db: &Database) {
        let (hooks, api_of_pool) = (ScriptedHttp::always(Answer::status(200)), ScriptedHttp::always(Answer::status(418)));
        let hearing = TargetConfig { events: CampaignNews::ALL.to_vec(), ..target("chat", &hooks) };
        let pool = webhook("api", &api_of_pool);
        let server = Server::with(db, |settings| {
            settings.pools = vec![pool];
            settings.targets = vec![hearing];
        });
        let api = server.api();
        let list = api.a_list_of(200);
        let campaign = api.create_campaign("http", "api", list, &json!({}));
        api.send(campaign);
        let told = |kind: &str| {
            let all = hooks.asked().into_iter().map(|asked| serde_json::from_str::<Value>(&asked.body).unwrap());
            all.filter(|body| body["type"] == kind).collect::<Vec<_>>()
        };
        wait_until("it has paused itself", LONG, || told("campaign.paused").len() == 1);
        let paused = told("campaign.paused").remove(0)["data"].clone();
        assert_eq!((&paused["status"], &paused["reason"]), (&json!("paused"), &json!("refusals")), "{paused}");
        api.resume(campaign);
        wait_until("it has paused itself again", LONG, || told("campaign.paused").len() == 2);
        api.stop(campaign);
        wait_until("its end is told", LONG, || told("campaign.ended").len() == 1);
        assert_eq!(told("campaign.launched").len(), 1);
        let ids: std::collections::BTreeSet<String> = hooks.asked().iter().map(|asked| header(asked, "webhook-id").to_owned()).collect();
        assert_eq!(ids.len(), 4, "each has an id of its own");
    }
}
