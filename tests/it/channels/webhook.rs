use std::time::{Duration, Instant};

use volley::channels::{Channel, build};
use volley::domain::dispatch::delivery::ErrorCategory;
use volley::domain::dispatch::outcome::{NotBegun, Outcome};

use super::{Turnstile, envelope, kind, pool, trouble};
use crate::support::scripted_http::{Answer, ScriptedHttp};

pub(crate) fn api(url: &str, more: serde_json::Value) -> Box<dyn Channel> {
    let mut settings = serde_json::json!({"url": url, "channel": "http"});
    for (name, value) in more.as_object().unwrap() {
        settings[name] = value.clone();
    }
    build(&pool("webhook", settings)).unwrap()
}

pub(crate) async fn outcome_of(answer: Answer, more: serde_json::Value) -> Outcome {
    let server = ScriptedHttp::always(answer);
    let outcome = api(&server.url(), more).deliver(&envelope(), &Turnstile::default()).await;
    assert_eq!(server.asked().len(), 1, "exactly one request");
    outcome
}

#[tokio::test]
async fn every_status_means_what_the_table_says() {
    for (status, meaning, category) in [
        (300, "rejected", ErrorCategory::Unexpected),
        (303, "unknown", ErrorCategory::Unexpected),
        (304, "unknown", ErrorCategory::Unexpected),
        (400, "rejected", ErrorCategory::Refused),
        (401, "pool fault", ErrorCategory::Refused),
        (403, "pool fault", ErrorCategory::Refused),
        (404, "rejected", ErrorCategory::Refused),
        (407, "pool fault", ErrorCategory::Refused),
        (408, "unknown", ErrorCategory::Refused),
        (409, "rejected", ErrorCategory::Refused),
        (410, "rejected", ErrorCategory::Refused),
        (413, "rejected", ErrorCategory::Refused),
        (415, "rejected", ErrorCategory::Refused),
        (422, "rejected", ErrorCategory::Refused),
        (425, "deferred", ErrorCategory::Refused),
        (402, "pool fault", ErrorCategory::Refused),
        (429, "pool fault", ErrorCategory::Refused),
        (451, "rejected", ErrorCategory::Refused),
        (500, "unknown", ErrorCategory::ProviderError),
        (501, "unknown", ErrorCategory::ProviderError),
        (502, "unknown", ErrorCategory::ProviderError),
        (503, "pool fault", ErrorCategory::ProviderError),
        (504, "unknown", ErrorCategory::ProviderError),
        (599, "unknown", ErrorCategory::ProviderError),
    ] {
        let outcome = outcome_of(Answer::status(status), serde_json::json!({})).await;
        assert_eq!((kind(&outcome), trouble(&outcome).category), (meaning, category), "{status}: {outcome:?}");
        assert_eq!(trouble(&outcome).detail, format!("HTTP {status}"));
    }
    for status in [200, 201, 202, 204] {
        let outcome = outcome_of(Answer::status(status), serde_json::json!({})).await;
        assert_eq!(outcome, Outcome::Accepted { provider_id: None }, "{status}");
    }
}

#[tokio::test]
async fn a_key_still_at_work_is_no_refusal_where_keys_are_honoured() {
    let idempotent = serde_json::json!({"idempotent": true});
    let outcome = outcome_of(Answer::status(409), idempotent.clone()).await;
    assert!(matches!(outcome, Outcome::KeySeen { retry_after: None, .. }), "{outcome:?}");
    let outcome = outcome_of(Answer::with_header(409, "Retry-After", "7"), idempotent).await;
    let asked = Some(Duration::from_secs(7));
    assert!(matches!(outcome, Outcome::KeySeen { retry_after, .. } if retry_after == asked), "{outcome:?}");
}

#[tokio::test]
async fn retry_after_is_passed_on_and_tells_a_promised_503_from_a_broken_one() {
    for (status, retry_after, expected) in [
        (429, "7", ("pool fault", Some(Duration::from_secs(7)))),
        (408, "0", ("unknown", None)),
        (503, "120", ("pool fault", Some(Duration::from_secs(120)))),
        (503, "Sun, 06 Nov 1994 08:49:37 GMT", ("pool fault", Some(Duration::ZERO))),
        (429, "soon", ("pool fault", None)),
        (503, "soon", ("pool fault", None)),
        (502, "5", ("unknown", None)),
    ] {
        let outcome = outcome_of(Answer::with_header(status, "Retry-After", retry_after), serde_json::json!({})).await;
        let waits = if let Outcome::Refused(refusal) = &outcome { refusal.wait } else { None };
        assert_eq!((kind(&outcome), waits), expected, "{status} {retry_after}");
    }
    let dates = vec![
        ("Date", "Sun, 06 Nov 1994 08:49:37 GMT".to_owned()),
        ("Retry-After", "Sun, 06 Nov 1994 08:50:07 GMT".to_owned()),
    ];
    let outcome = outcome_of(Answer::Reply(503, dates, String::new()), serde_json::json!({})).await;
    let wait = if let Outcome::Refused(refusal) = &outcome { refusal.wait } else { None };
    assert_eq!(wait, Some(Duration::from_secs(30)));
}

#[tokio::test]
async fn what_breaks_off_after_the_request_left_is_unknown() {
    for (answer, said) in [
        (Answer::Cut, "connection closed"),
        (Answer::CutInBody, "200 with an answer that broke off"),
        (Answer::Silence, "no answer within 1 s"),
    ] {
        let began = Instant::now();
        let outcome = outcome_of(answer.clone(), serde_json::json!({})).await;
        assert_eq!((kind(&outcome), trouble(&outcome).category), ("unknown", ErrorCategory::Network), "{answer:?}");
        assert!(trouble(&outcome).detail.contains(said), "{outcome:?}");
        assert!(began.elapsed() < Duration::from_secs(3));
    }
}

#[tokio::test]
async fn what_fails_before_the_request_left_is_the_pools_fault() {
    let refused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let not_tls = ScriptedHttp::always(Answer::status(200));
    let not_tls = not_tls.url().replace("http://", "https://");
    let hangs = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hanging_tls = format!("https://{}/", hangs.local_addr().unwrap());
    for url in [format!("http://{refused}/"), "http://nowhere.invalid/".to_owned(), not_tls, hanging_tls] {
        let channel = api(&url, serde_json::json!({}));
        let outcome = channel.deliver(&envelope(), &Turnstile::default()).await;
        assert_eq!((kind(&outcome), trouble(&outcome).category), ("pool fault", ErrorCategory::Network), "{outcome:?}");
        assert!(!trouble(&outcome).detail.is_empty());
        assert!(channel.probe().await.is_err(), "{url}");
    }
}

#[tokio::test]
async fn no_more_than_a_little_of_an_endless_answer_is_read() {
    let server = ScriptedHttp::always(Answer::Flood(1 << 30));
    let outcome = api(&server.url(), serde_json::json!({})).deliver(&envelope(), &Turnstile::default()).await;
    assert_eq!(outcome, Outcome::Accepted { provider_id: None });
    // What the sockets buffer comes on top of the 64 KiB.
    assert!(server.flooded_bytes() < 64 << 20, "{}", server.flooded_bytes());
    let pointer = serde_json::json!({"provider_id_pointer": "/id"});
    assert_eq!(outcome_of(Answer::Flood(1 << 30), pointer).await, Outcome::Accepted { provider_id: None });
}

#[tokio::test]
async fn the_standard_request_carries_the_message_its_key_and_the_attempt() {
    let server = ScriptedHttp::always(Answer::status(200));
    let channel = api(&server.url(), serde_json::json!({"headers": {"X-Service-Token": "s3cret"}}));
    let mut envelope = envelope();
    envelope.attempt = 3;
    envelope.message.html = Some("<b>\"Hello\"</b>".to_owned());
    for _ in 0..2 {
        assert_eq!(kind(&channel.deliver(&envelope, &Turnstile::default()).await), "accepted");
    }
    let asked = server.asked();
    assert_eq!(asked[1].connection, 0, "the connection is kept");
    let asked = &asked[0];
    assert_eq!(asked.line, "POST /send HTTP/1.1");
    for (name, value) in [
        ("idempotency-key", "c0ffee:42"),
        ("x-volley-attempt", "3"),
        ("x-service-token", "s3cret"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(asked.headers.get(name).map(String::as_str), Some(value));
    }
    assert!(!asked.headers.contains_key("accept-encoding"), "nothing is to be unpacked");
    let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    let expected = serde_json::json!({
        "campaign_id": 7, "contact_id": 42, "key": "c0ffee:42", "to": "bob@example.com", "subject": "Hello", "text": "Hello Bob",
        "html": "<b>\"Hello\"</b>",
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_template_makes_the_body_whatever_the_values_hold() {
    let server = ScriptedHttp::always(Answer::status(200));
    let template = r#"{"source_id": {{ to }}, "message": {"content": {{ text }}, "title": {{ subject }}
        {%- if html %}, "rich": {{ html }}{% endif %}}, "ids": [{{ campaign_id }}, {{ contact_id }}]}"#;
    let channel = api(&server.url(), serde_json::json!({"body": template, "method": "put"}));
    let mut envelope = envelope();
    envelope.message.subject = "\"}], \\ {{ to }}".to_owned();
    envelope.message.text = "line\none\u{2028}ü </script>".to_owned();
    assert_eq!(kind(&channel.deliver(&envelope, &Turnstile::default()).await), "accepted");
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "PUT /send HTTP/1.1");
    let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    let expected = serde_json::json!({
        "source_id": "bob@example.com", "ids": [7, 42],
        "message": {"content": "line\none\u{2028}ü </script>", "title": "\"}], \\ {{ to }}"},
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn the_providers_id_is_read_where_the_pointer_says() {
    let pointer = serde_json::json!({"provider_id_pointer": "/data/ids/0"});
    for (body, expected) in [
        (r#"{"data": {"ids": ["m-1"]}}"#, Some("m-1")),
        (r#"{"data": {"ids": [17]}}"#, Some("17")),
        (r#"{"data": {"ids": [null]}}"#, None),
        (r#"{"data": 1}"#, None),
    ] {
        let outcome = outcome_of(Answer::json(201, body), pointer.clone()).await;
        assert_eq!(outcome, Outcome::Accepted { provider_id: expected.map(str::to_owned) }, "{body}");
    }
}

#[tokio::test]
async fn a_refusals_words_are_kept_without_addresses_and_numbers() {
    let answer = Answer::json(422, "{\"error\": \"bob@example.com and +4930123456 are unknown\"}");
    let outcome = outcome_of(answer, serde_json::json!({})).await;
    assert_eq!(trouble(&outcome).detail, "HTTP 422 {\"error\": \"[redacted] and [redacted] are unknown\"}");
}

#[tokio::test]
async fn a_shut_gate_lets_no_request_out() {
    let server = ScriptedHttp::always(Answer::status(200));
    let channel = api(&server.url(), serde_json::json!({}));
    let shut = Turnstile::shut(NotBegun::Paused);
    assert_eq!(channel.deliver(&envelope(), &shut).await, Outcome::NotBegun(NotBegun::Paused));
    assert!(channel.probe().await.unwrap().contains("a connection"));
    assert!(server.asked().is_empty());
}

#[test]
fn settings_that_cannot_work_are_refused_naming_the_setting() {
    let long = format!("http://host.test/{}", "x".repeat(2048));
    for (more, named) in [
        (serde_json::json!({}), "url is required"),
        (serde_json::json!({"url": "ftp://host.test/"}), "http://"),
        (serde_json::json!({"url": "host.test"}), "url"),
        (serde_json::json!({"url": "http://"}), "url"),
        (serde_json::json!({"url": "http://host.test/#here"}), "fragment"),
        (serde_json::json!({"url": long}), "2048"),
        (serde_json::json!({"url": "http://host.test/", "method": "GET"}), "method"),
        (serde_json::json!({"url": "http://host.test/", "headers": {"X\nY": "z"}}), "headers"),
        (serde_json::json!({"url": "http://host.test/", "headers": {"X": "secret\r\nY: z"}}), "headers"),
        (serde_json::json!({"url": "http://host.test/", "headers": {"Idempotency-Key": "z"}}), "set by Volley"),
        (serde_json::json!({"url": "http://host.test/", "body": "{{ to"}), "body"),
        (serde_json::json!({"url": "http://host.test/", "body": "{\"to\": \"{{ to }}\"}"}), "body"),
        (serde_json::json!({"url": "http://host.test/", "provider_id_pointer": "id"}), "provider_id_pointer"),
    ] {
        let refused = build(&pool("webhook", more.clone())).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains(named), "{more}: {refused}");
        assert!(!refused.contains("secret"), "{refused}");
    }
}
