//! HTTP/2: many requests on one connection, and what is known of each when the server refuses it, goes away or is cut off.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use h2::Reason;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use volley::channels::Channel;
use volley::domain::content::message::Envelope;
use volley::domain::dispatch::answer::AnswerClass;
use volley::domain::dispatch::outcome::{NotBegun, Outcome};

use super::webhook::api;
use super::{Turnstile, envelope, kind, trouble};
use crate::support::http2::{Frames, Habits, Http2, Reply};
use crate::support::scripted_http::{Answer, ScriptedHttp};
use crate::support::tls_front::{Authority, Manner, TlsFront};

fn over_two(url: &str, more: Value) -> Box<dyn Channel> {
    let mut settings = json!({"http_version": "2"});
    for (name, value) in more.as_object().unwrap() {
        settings[name] = value.clone();
    }
    api(url, settings)
}

fn to(recipient: &str) -> Envelope {
    Envelope { to: recipient.to_owned(), key: format!("c0ffee:{recipient}"), ..envelope() }
}

async fn outcome_of(reply: Reply, more: Value) -> Outcome {
    let server = Http2::start(Habits::default(), move |_| reply.clone());
    let outcome = over_two(&server.url(), more).deliver(&envelope(), &Turnstile::default()).await;
    assert_eq!(server.asked().len(), 1, "exactly one request");
    outcome
}

/// Serves clients one after the other, frame by frame, on a thread of its own; and the address.
fn by_hand(serve: impl FnOnce(&TcpListener) + Send + 'static) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/send", listener.local_addr().unwrap());
    (url, tokio::task::spawn_blocking(move || serve(&listener)))
}

#[tokio::test]
async fn a_request_says_what_one_of_the_older_version_says_and_the_connection_is_kept() {
    let answer = Reply::Answer(201, vec![("content-type", "application/json")], br#"{"id": "m-1"}"#.to_vec());
    let server = Http2::start(Habits::default(), move |_| answer.clone());
    let url = server.url().replace("http://", "http://shop:p%40ss@") + "?list=1";
    let settings = json!({"headers": {"X-Service-Token": "s3cret"}, "provider_id_pointer": "/id", "probe": {"path": "/v1/account"}});
    let channel = over_two(&url, settings);
    for _ in 0..2 {
        let outcome = channel.deliver(&envelope(), &Turnstile::default()).await;
        assert_eq!(outcome, Outcome::Accepted { provider_id: Some("m-1".to_owned()) });
    }
    assert!(channel.probe().await.unwrap().contains("HTTP/2"));
    let asked = server.asked();
    assert_eq!((asked.len(), server.connections()), (3, 1));
    assert_eq!(asked[0].line, format!("POST {}?list=1", server.url()));
    assert_eq!(asked[2].line, format!("GET {}", server.url().replace("/send", "/v1/account")));
    for (name, value) in [
        ("idempotency-key", "c0ffee:42"),
        ("x-volley-attempt", "1"),
        ("x-service-token", "s3cret"),
        ("content-type", "application/json"),
        ("authorization", "Basic c2hvcDpwQHNz"),
    ] {
        assert_eq!(asked[0].headers.get(name).map(String::as_str), Some(value));
    }
    assert!(!asked[0].headers.contains_key("host") && !asked[0].headers.contains_key("connection"));
    assert_eq!(asked[0].headers["content-length"], asked[0].body.len().to_string());
    assert_eq!(serde_json::from_str::<Value>(&asked[0].body).unwrap()["to"], "bob@example.com");
}

#[tokio::test]
async fn answers_mean_the_same_in_both_versions() {
    for (status, meaning) in [
        (200, "accepted"),
        (303, "unknown"),
        (401, "pool fault"),
        (404, "rejected"),
        (422, "rejected"),
        (500, "unknown"),
    ] {
        let outcome = outcome_of(Reply::status(status), json!({})).await;
        assert_eq!(kind(&outcome), meaning, "{status}: {outcome:?}");
    }
    let slow_down = Reply::Answer(429, vec![("retry-after", "7")], b"slow down".to_vec());
    let Outcome::Refused(refusal) = outcome_of(slow_down, json!({})).await else { panic!("refused") };
    assert_eq!((refusal.class, refusal.wait), (AnswerClass::RelayRate, Some(Duration::from_secs(7))));
    assert_eq!(refusal.trouble.detail, "HTTP 429 slow down");
    let failed = Reply::Answer(200, Vec::new(), br#"{"status": "error"}"#.to_vec());
    let rule = json!({"failures": [{"pointer": "/status", "values": ["error"]}]});
    assert_eq!(kind(&outcome_of(failed, rule).await), "rejected");
    let seen = outcome_of(Reply::status(409), json!({"idempotent": true})).await;
    assert_eq!(kind(&seen), "key seen");
    let endless = Reply::Answer(200, Vec::new(), vec![b'x'; 8 << 20]);
    let outcome = outcome_of(endless, json!({"provider_id_pointer": "/id"})).await;
    assert_eq!(outcome, Outcome::Accepted { provider_id: None });
}

#[tokio::test]
async fn a_large_body_passes_through_the_servers_window() {
    let server = Http2::good(Habits::default());
    let mut envelope = envelope();
    envelope.message.text = "x".repeat(4 << 20);
    let outcome =
        over_two(&server.url(), json!({"timeout_seconds": 30})).deliver(&envelope, &Turnstile::default()).await;
    assert_eq!(kind(&outcome), "accepted");
    assert!(server.asked()[0].body.len() > 4 << 20);
}

#[tokio::test]
async fn as_many_share_a_connection_as_the_server_takes_at_once() {
    for (at_once, most_connections) in [(Some(1), 20), (Some(8), 4), (None, 1)] {
        let habits = Habits { at_once, latency: Duration::from_millis(50), ..Habits::default() };
        let server = Http2::good(habits);
        let channel = over_two(&server.url(), json!({"timeout_seconds": 30}));
        let gate = Turnstile::default();
        let people: Vec<Envelope> = (0..20).map(|n| to(&format!("p{n}@example.com"))).collect();
        for _ in 0..2 {
            let outcomes = join_all(people.iter().map(|envelope| channel.deliver(envelope, &gate))).await;
            assert!(outcomes.iter().all(|outcome| kind(outcome) == "accepted"), "{outcomes:?}");
        }
        assert_eq!((server.asked().len(), gate.asked()), (40, 40), "nobody was refused for being one too many");
        let limit = at_once.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap());
        assert!(server.busiest() <= limit, "{} at once of {limit}", server.busiest());
        assert!(server.connections() <= most_connections, "{} connections of {most_connections}", server.connections());
    }
}

#[tokio::test]
async fn idle_connections_beyond_the_places_are_closed() {
    let habits = Habits { at_once: Some(1), latency: Duration::from_millis(50), ..Habits::default() };
    let server = Http2::good(habits);
    let (channel, gate) = (over_two(&server.url(), json!({"timeout_seconds": 30})), Turnstile::default());
    let people: Vec<Envelope> = (0..4).map(|n| to(&format!("p{n}@example.com"))).collect();
    let outcomes = join_all(people.iter().map(|envelope| channel.deliver(envelope, &gate))).await;
    assert!(outcomes.iter().all(|outcome| kind(outcome) == "accepted"), "{outcomes:?}");
    assert!(channel.kept() > 2, "{} are kept", channel.kept());
    channel.limit(2);
    assert_eq!(channel.kept(), 2);
    let before = server.connections();
    assert_eq!(kind(&channel.deliver(&people[0], &gate).await), "accepted");
    assert_eq!((server.connections(), channel.kept()), (before, 2), "those that are left are used");
}

#[tokio::test]
async fn when_the_server_goes_away_who_is_above_its_last_number_goes_again_and_who_is_below_is_in_doubt() {
    let (url, server) = by_hand(|listener| {
        let mut first = Frames::accept(listener);
        let streams: Vec<u32> = first.requests(4).into_iter().map(|(stream, _)| stream).collect();
        assert_eq!(streams, [1, 3, 5, 7]);
        first.go_away(3, Reason::NO_ERROR);
        first.accept_request(1);
        let mut second = Frames::accept(listener);
        for (stream, _) in second.requests(2) {
            second.accept_request(stream);
        }
        // The first connection ends without a word about the other one below the last number.
        drop(first);
        while second.read() {}
    });
    let channel = over_two(&url, json!({}));
    let gates: Vec<Turnstile> = (0..4).map(|_| Turnstile::default()).collect();
    let people: Vec<Envelope> = (0..4).map(|n| to(&format!("p{n}@example.com"))).collect();
    let outcomes = join_all(people.iter().zip(&gates).map(|(envelope, gate)| channel.deliver(envelope, gate))).await;
    let kinds: Vec<&str> = outcomes.iter().map(kind).collect();
    assert_eq!(kinds, ["accepted", "unknown", "accepted", "accepted"], "{outcomes:?}");
    assert_eq!(gates.iter().map(Turnstile::asked).collect::<Vec<_>>(), [1, 1, 2, 2], "the gate is asked again");
    drop(channel);
    server.await.unwrap();
}

#[tokio::test]
async fn who_would_go_again_when_the_gate_was_shut_meanwhile_was_not_begun() {
    let (url, server) = by_hand(|listener| {
        let mut first = Frames::accept(listener);
        first.requests(1);
        first.go_away(0, Reason::NO_ERROR);
        let mut second = Frames::accept(listener);
        while second.read() {}
        assert!(second.requests(0).is_empty(), "nothing was asked of the second");
    });
    let channel = over_two(&url, json!({}));
    let gate = Turnstile::shut_after(1, NotBegun::Paused);
    assert_eq!(channel.deliver(&envelope(), &gate).await, Outcome::NotBegun(NotBegun::Paused));
    drop(channel);
    server.await.unwrap();
}

#[tokio::test]
async fn a_server_that_sends_everybody_away_is_out_of_order() {
    let (url, server) = by_hand(|listener| {
        for _ in 0..2 {
            let mut client = Frames::accept(listener);
            client.requests(1);
            client.go_away(0, Reason::INTERNAL_ERROR);
        }
    });
    let outcome = over_two(&url, json!({})).deliver(&envelope(), &Turnstile::default()).await;
    let Outcome::Refused(refusal) = &outcome else { panic!("{outcome:?}") };
    assert_eq!((refusal.class, refusal.permanent), (AnswerClass::RelayOutage, false));
    server.await.unwrap();
}

#[tokio::test]
async fn a_refused_stream_is_a_clear_no_for_now_and_any_other_reset_leaves_a_doubt() {
    let outcome = outcome_of(Reply::Reset(Reason::REFUSED_STREAM), json!({})).await;
    let Outcome::Refused(refusal) = &outcome else { panic!("{outcome:?}") };
    assert_eq!((refusal.class, refusal.permanent), (AnswerClass::RelayConnections, false));
    for reason in [Reason::CANCEL, Reason::INTERNAL_ERROR, Reason::ENHANCE_YOUR_CALM, Reason::NO_ERROR] {
        let outcome = outcome_of(Reply::Reset(reason), json!({})).await;
        assert_eq!(kind(&outcome), "unknown", "{reason:?}: {outcome:?}");
    }
    let (url, server) = by_hand(|listener| {
        let mut client = Frames::accept(listener);
        client.requests(1);
        client.go_away(0, Reason::ENHANCE_YOUR_CALM);
        while client.read() {}
    });
    let outcome = over_two(&url, json!({})).deliver(&envelope(), &Turnstile::default()).await;
    let Outcome::Refused(refusal) = &outcome else { panic!("{outcome:?}") };
    assert_eq!(refusal.class, AnswerClass::RelayRate);
    server.await.unwrap();
}

#[tokio::test]
async fn a_reset_that_calls_the_stream_refused_behind_an_answers_head_leaves_a_doubt() {
    let (url, server) = by_hand(|listener| {
        let mut client = Frames::accept(listener);
        client.requests(1);
        client.begin_answer(1);
        client.reset(1, Reason::REFUSED_STREAM);
        while client.read() {}
    });
    let channel = over_two(&url, json!({}));
    assert_eq!(kind(&channel.deliver(&envelope(), &Turnstile::default()).await), "unknown");
    drop(channel);
    server.await.unwrap();
}

#[tokio::test]
async fn a_cut_connection_leaves_everybody_on_it_in_doubt() {
    for begins in [false, true] {
        let (url, server) = by_hand(move |listener| {
            let mut client = Frames::accept(listener);
            for (stream, _) in client.requests(3) {
                if begins {
                    client.begin_answer(stream);
                }
            }
        });
        let (channel, gate) = (over_two(&url, json!({})), Turnstile::default());
        let people: Vec<Envelope> = (0..3).map(|n| to(&format!("p{n}@example.com"))).collect();
        let outcomes = join_all(people.iter().map(|envelope| channel.deliver(envelope, &gate))).await;
        assert!(outcomes.iter().all(|outcome| kind(outcome) == "unknown"), "{outcomes:?}");
        assert_eq!(gate.asked(), 3, "nobody went again");
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_hung_up_between_two_requests_leaves_nobody_in_doubt() {
    let (hung_up, wait) = std::sync::mpsc::channel();
    let (url, server) = by_hand(move |listener| {
        let mut first = Frames::accept(listener);
        first.requests(1);
        first.accept_request(1);
        hung_up.send(first).unwrap();
        let mut second = Frames::accept(listener);
        second.requests(1);
        second.accept_request(1);
        while second.read() {}
    });
    let (channel, gate) = (over_two(&url, json!({})), Turnstile::default());
    assert_eq!(kind(&channel.deliver(&envelope(), &gate).await), "accepted");
    // No other task of this thread runs between the hanging up and the next request.
    drop(wait.recv().unwrap());
    assert_eq!(kind(&channel.deliver(&envelope(), &gate).await), "accepted");
    assert!(gate.asked() <= 3);
    drop(channel);
    server.await.unwrap();
}

#[tokio::test]
async fn after_an_answer_that_did_not_come_the_next_goes_over_another_connection() {
    let server =
        Http2::start(
            Habits::default(),
            |asked| {
                if asked.connection == 0 { Reply::Silence } else { Reply::status(200) }
            },
        );
    let channel = over_two(&server.url(), json!({}));
    let outcome = channel.deliver(&envelope(), &Turnstile::default()).await;
    assert_eq!((kind(&outcome), trouble(&outcome).detail.as_str()), ("unknown", "no answer within 1 s"));
    assert_eq!(kind(&channel.deliver(&envelope(), &Turnstile::default()).await), "accepted");
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_shut_gate_lets_no_request_out_and_keeps_the_connection() {
    let server = Http2::good(Habits::default());
    let channel = over_two(&server.url(), json!({}));
    let shut = Turnstile::shut(NotBegun::Paused);
    assert_eq!(channel.deliver(&envelope(), &shut).await, Outcome::NotBegun(NotBegun::Paused));
    assert!(channel.probe().await.unwrap().contains("HTTP/2"));
    assert_eq!((server.asked().len(), server.connections()), (0, 1));
}

#[tokio::test]
async fn a_call_that_is_given_up_takes_only_its_own_request_with_it() {
    let server =
        Http2::start(
            Habits::default(),
            |asked| {
                if asked.body.contains("slow@") { Reply::Silence } else { Reply::status(200) }
            },
        );
    let channel: Arc<dyn Channel> = Arc::from(over_two(&server.url(), json!({"timeout_seconds": 30})));
    let given_up = tokio::spawn({
        let channel = Arc::clone(&channel);
        async move { channel.deliver(&to("slow@example.com"), &Turnstile::default()).await }
    });
    while server.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    given_up.abort();
    assert!(given_up.await.is_err());
    assert_eq!(kind(&channel.deliver(&envelope(), &Turnstile::default()).await), "accepted");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn what_does_not_speak_it_is_the_pools_fault_and_nobody_is_asked_for() {
    let older = ScriptedHttp::always(Answer::status(200));
    let authority = Authority::new();
    let front = TlsFront::start(older.port(), &authority, "127.0.0.1", Manner::AtOnce);
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, said) in [
        (older.url(), "HTTP/2: "),
        (format!("https://127.0.0.1:{}/", front.port()), "did not choose HTTP/2"),
        (format!("http://{refused}/"), "connect: "),
    ] {
        let encrypted = url.starts_with("https");
        let channel = over_two(&url, if encrypted { json!({"tls_ca_file": authority.file()}) } else { json!({}) });
        let gate = Turnstile::default();
        let people: Vec<Envelope> = (0..5).map(|n| to(&format!("p{n}@example.com"))).collect();
        let outcomes = join_all(people.iter().map(|envelope| channel.deliver(envelope, &gate))).await;
        for outcome in outcomes {
            assert_eq!(kind(&outcome), "pool fault", "{outcome:?}");
            assert!(trouble(&outcome).detail.contains(said), "{outcome:?}");
        }
        assert_eq!(gate.asked(), 0);
        assert!(channel.probe().await.unwrap_err().contains(said));
    }
}

#[tokio::test]
async fn the_server_chooses_the_version_in_the_handshake() {
    let auto = |port: u16, authority: &Authority| {
        let settings = json!({"http_version": "auto", "tls_ca_file": authority.file(), "timeout_seconds": 30});
        api(&format!("https://127.0.0.1:{port}/send"), settings)
    };
    let newer = Http2::good(Habits::default());
    let authority = Authority::of_servers_that_speak(&["h2", "http/1.1"]);
    let front = TlsFront::start(newer.port(), &authority, "127.0.0.1", Manner::AtOnce);
    let channel = auto(front.port(), &authority);
    let gate = Turnstile::default();
    let people: Vec<Envelope> = (0..10).map(|n| to(&format!("p{n}@example.com"))).collect();
    for outcome in join_all(people.iter().map(|envelope| channel.deliver(envelope, &gate))).await {
        assert_eq!(kind(&outcome), "accepted", "{outcome:?}");
    }
    assert_eq!((newer.asked().len(), newer.connections()), (10, 1));
    let older = ScriptedHttp::always(Answer::status(200));
    for protocols in [&["http/1.1"][..], &[]] {
        let authority = Authority::of_servers_that_speak(protocols);
        let front = TlsFront::start(older.port(), &authority, "127.0.0.1", Manner::AtOnce);
        let channel = auto(front.port(), &authority);
        for outcome in join_all(people.iter().map(|envelope| channel.deliver(envelope, &gate))).await {
            assert_eq!(kind(&outcome), "accepted", "{outcome:?}");
        }
        assert!(!channel.probe().await.unwrap().contains("HTTP/2"));
    }
    assert_eq!(older.asked().len(), 20);
    // In the clear nothing is agreed on.
    let channel = api(&older.url(), json!({"http_version": "auto"}));
    assert_eq!(kind(&channel.deliver(&envelope(), &gate).await), "accepted");
}
