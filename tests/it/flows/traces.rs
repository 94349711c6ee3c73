//! W3C Trace Context: from the request that launches a campaign to each call of its provider.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::api::{Answer, Api, id};
use crate::support::both_backends;
use crate::support::provider::POOL;
use crate::support::scripted_http::{Answer as Reply, ScriptedHttp};
use crate::support::stage::LONG;
use crate::support::volley::{Pool, Volley};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PEOPLE: usize = 5;

fn post(api: &Api, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    api.request(Method::POST, path, "application/json", Some(body.to_string().into_bytes()), headers).unwrap()
}

/// The parts of the header of each call since the last look, and the bodies by key.
fn calls(provider: &ScriptedHttp, seen: &mut usize) -> Vec<(Vec<String>, String, String)> {
    let asked = provider.asked();
    let calls = asked[*seen..].iter().map(|call| {
        let parts = call.headers["traceparent"].split('-').map(str::to_owned).collect();
        (parts, call.headers["idempotency-key"].clone(), call.body.clone())
    });
    let calls = calls.collect();
    *seen = asked.len();
    calls
}

both_backends! {
    fn the_trace_of_a_launch_goes_on_to_each_call_of_a_webhook(db: &Database) {
        let asked = AtomicUsize::new(0);
        let provider = ScriptedHttp::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
            // The first one is tried again.
            0 => Reply::with_header(429, "Retry-After", "1"),
            _ => Reply::status(202),
        });
        let pool = Pool::webhook(POOL, &provider).set("retry_delays", "[1]");
        let volley = Volley::on(db).pool(pool).settings("[log]\nformat = \"json\"").start();
        let (api, mut seen) = (volley.api(), 0);
        let list = api.a_list_of(PEOPLE);
        let make = || api.create_campaign("http", POOL, list, &json!({}));
        let wanted = format!("00-{TRACE}-00f067aa0ba902b7-01");

        let first = make();
        let path = format!("/v1/campaigns/{first}/send");
        let sent = post(&api, &path, &[("traceparent", &wanted), ("Idempotency-Key", "k")], &json!({}));
        assert_eq!(sent.status, 202, "{}", sent.body);
        // Another trace is no other request.
        let other = wanted.replace("4bf9", "aaaa");
        let again = post(&api, &path, &[("traceparent", &other), ("Idempotency-Key", "k")], &json!({}));
        assert_eq!((again.status, &again.body), (202, &sent.body));
        let ended = api.wait_ended(first, LONG);
        assert_eq!(ended.body["correlation_id"], TRACE, "{}", ended.body);
        let tries = calls(&provider, &mut seen);
        assert_eq!(tries.len(), PEOPLE + 1);
        let spans: BTreeSet<_> = tries.iter().map(|(parts, ..)| parts[2].clone()).collect();
        assert_eq!(spans.len(), tries.len(), "each call has a span of its own: {tries:?}");
        assert!(spans.iter().all(|span| span.len() == 16 && span != "00f067aa0ba902b7"), "{spans:?}");
        for (parts, ..) in &tries {
            assert_eq!((parts[0].as_str(), parts[1].as_str(), parts[3].as_str()), ("00", TRACE, "01"));
        }
        let bodies: BTreeSet<_> = tries.iter().map(|(_, key, body)| (key, body)).collect();
        assert_eq!(bodies.len(), PEOPLE, "a try under the same key has another body: {tries:?}");
        let launched: Vec<Value> = volley.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let line = launched.iter().find(|line| line["event"] == "campaign.launched").unwrap();
        assert!(line.to_string().contains(&format!("\"trace.id\":\"{TRACE}\"")), "{line}");

        // Nobody records it: the calls say so.
        let made = post(
            &api,
            "/v1/campaigns",
            &[("traceparent", &wanted.replace("-01", "-00"))],
            &json!({
                "name": "At once", "channel": "http", "pool": POOL, "body_text": "x", "audience": { "lists": [list] },
                "launch": true,
            }),
        );
        api.wait_ended(id(&made.body), LONG);
        let tries = calls(&provider, &mut seen);
        assert!(tries.iter().all(|(parts, ..)| parts[1] == TRACE && parts[3] == "00"), "{tries:?}");

        // Without one, and with one that is malformed, a campaign has a trace of its own.
        for headers in [&[][..], &[("traceparent", "00-nonsense-01")]] {
            let campaign = make();
            assert_eq!(post(&api, &format!("/v1/campaigns/{campaign}/send"), headers, &json!({})).status, 202);
            let ended = api.wait_ended(campaign, LONG);
            let own = ended.body["correlation_id"].as_str().unwrap().replace('-', "");
            let tries = calls(&provider, &mut seen);
            assert_eq!(tries.len(), PEOPLE);
            assert!(own != TRACE && tries.iter().all(|(parts, ..)| parts[1] == own && parts[3] == "00"), "{tries:?}");
        }
        volley.stop();
    }
}
