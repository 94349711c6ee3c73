//! Answers that are easily misread.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use serde_json::json;
use volley::domain::dispatch::answer::AnswerClass;
use volley::domain::dispatch::outcome::Outcome;

use super::webhook::{api, outcome_of};
use super::{Turnstile, envelope, kind, trouble};
use crate::support::scripted_http::{Answer, ScriptedHttp};

#[tokio::test]
async fn a_redirect_is_not_followed_and_its_place_is_told() {
    let elsewhere = ScriptedHttp::always(Answer::status(200));
    for (status, meaning) in
        [(301, "rejected"), (302, "rejected"), (303, "unknown"), (307, "rejected"), (308, "rejected")]
    {
        let location = format!("{}?token=s3cret", elsewhere.url());
        let outcome = outcome_of(Answer::with_header(status, "Location", &location), json!({})).await;
        assert_eq!(kind(&outcome), meaning, "{status}");
        assert_eq!(trouble(&outcome).detail, format!("HTTP {status} to {}", elsewhere.url()));
    }
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn a_408_is_a_refusal_only_when_the_request_had_not_been_sent_whole() {
    let whole = outcome_of(Answer::with_header(408, "Retry-After", "1"), json!({"idempotent": true})).await;
    assert_eq!(kind(&whole), "unknown", "{whole:?}");
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", socket.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = socket.accept().unwrap();
        stream.read_exact(&mut [0; 100]).unwrap();
        stream.write_all(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n").unwrap();
        stream
    });
    let mut envelope = envelope();
    envelope.message.text = "x".repeat(32 << 20);
    let in_part = api(&url, json!({})).deliver(&envelope, &Turnstile::default()).await;
    drop(server.join().unwrap());
    assert_eq!(kind(&in_part), "deferred", "{in_part:?}");
}

#[tokio::test]
async fn an_acceptance_that_cannot_be_read_is_one_without_an_id() {
    let pointer = json!({"provider_id_pointer": "/id"});
    let gzip = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\u{1f}x{}";
    let said_to_be_packed = "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 12\r\n\r\n{\"id\":\"m-1\"}";
    for (answer, id) in [
        (Answer::json(200, "\u{feff}{\"id\": \"m-1\"}"), Some("m-1")),
        (Answer::Words(gzip), None),
        (Answer::Words(said_to_be_packed), None),
        (Answer::json(200, "<html>OK</html>"), None),
        (Answer::json(202, "OK"), None),
        (Answer::json(200, "{\"id\": "), None),
        (Answer::status(204), None),
    ] {
        let outcome = outcome_of(answer.clone(), pointer.clone()).await;
        assert_eq!(outcome, Outcome::Accepted { provider_id: id.map(str::to_owned) }, "{answer:?}");
    }
    assert_eq!(kind(&outcome_of(Answer::CutInBody, pointer).await), "unknown", "one that broke off says nothing");
}

#[tokio::test]
async fn a_gateway_that_says_200_and_error_is_understood_where_a_rule_says_how() {
    let rules = json!({"provider_id_pointer": "/id", "failures": [
        {"pointer": "/status", "values": ["error", "failed"]},
        {"pointer": "/code", "values": [402], "class": "relay_quota", "permanent": false},
    ]});
    let refused = outcome_of(Answer::json(200, r#"{"status":"Error","to":"bob@example.com"}"#), rules.clone()).await;
    let Outcome::Refused(refusal) = &refused else { panic!("{refused:?}") };
    assert_eq!((refusal.class, refusal.permanent), (AnswerClass::Policy, true));
    let detail = &refusal.trouble.detail;
    assert!(detail.starts_with("HTTP 200 /status Error in ") && !detail.contains("bob"), "{detail}");
    assert!(refusal.signature.starts_with("200 status error"), "{}", refusal.signature);
    let answer = Answer::Reply(200, vec![("Retry-After", "60".to_owned())], r#"{"code": 402}"#.to_owned());
    let Outcome::Refused(quota) = outcome_of(answer, rules.clone()).await else { panic!("no refusal") };
    assert_eq!((quota.class, quota.permanent), (AnswerClass::RelayQuota, false));
    assert_eq!(quota.wait, Some(Duration::from_secs(60)));
    for (answer, meaning) in [
        (Answer::json(200, r#"{"status": "queued", "id": "m-1"}"#), "accepted"),
        (Answer::json(200, r#"{}"#), "accepted"),
        (Answer::status(204), "accepted"),
        (Answer::json(200, "<html>Sign in</html>"), "unknown"),
        (Answer::json(422, r#"{"status": "queued"}"#), "rejected"),
    ] {
        let outcome = outcome_of(answer.clone(), rules.clone()).await;
        assert_eq!(kind(&outcome), meaning, "{answer:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_probe_asks_what_the_settings_name() {
    let server = ScriptedHttp::start(|asked| match asked.line.split(' ').nth(1) {
        Some("/v1/account?full=1") => Answer::json(200, "{}"),
        Some("/v1/ping") => Answer::status(204),
        _ => Answer::json(404, "no such path"),
    });
    let headers = json!({"X-Service-Token": "s3cret"});
    let tried = async |probe: serde_json::Value| {
        let url = server.url().replace("http://", "http://shop:pw@");
        api(&url, json!({"headers": headers, "probe": probe})).probe().await
    };
    let well = tried(json!({"path": "/v1/account?full=1", "expect": [200]})).await;
    assert_eq!(well, Ok("GET /v1/account was answered 200".to_owned()));
    assert_eq!(tried(json!({"path": "/v1/ping", "method": "HEAD"})).await.unwrap(), "HEAD /v1/ping was answered 204");
    assert!(tried(json!({"path": "/v1/other", "method": "POST", "expect": [404]})).await.is_ok());
    let wrong = tried(json!({"path": "/v1/other"})).await.unwrap_err();
    assert_eq!(wrong, "GET /v1/other was answered 404 (no such path) instead of 200 to 299");
    assert!(tried(json!({"path": "/v1/ping", "expect": [200, 201]})).await.unwrap_err().ends_with("of 200, 201"));
    for asked in server.asked() {
        assert_eq!(asked.headers.get("x-service-token").map(String::as_str), Some("s3cret"));
        assert!(asked.headers.contains_key("authorization") && asked.body.is_empty(), "{asked:?}");
    }
}
