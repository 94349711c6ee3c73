//! HTTP/1.1 as servers speak it, well and badly.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use serde_json::json;
use volley::domain::dispatch::outcome::Outcome;

use super::webhook::api;
use super::{Turnstile, envelope, kind, trouble};
use crate::support::scripted_http::{Answer, ScriptedHttp};

#[tokio::test]
async fn an_answer_is_read_whatever_shape_it_has_and_its_connection_kept_where_that_is_safe() {
    const KEPT: usize = 1;
    const CLOSED: usize = 2;
    for (answer, meaning, connections) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "accepted", KEPT),
        ("HTTP/1.1 204 No Content\r\n\r\n", "accepted", KEPT),
        ("HTTP/1.1 200\r\ncontent-length:0\r\n\r\n", "accepted", KEPT),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 x\r\n\r\n",
            "accepted",
            KEPT,
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "accepted", KEPT),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\nA;x=y\r\n0123456789\r\n1\r\n!\r\n0\r\nTrailer: x\r\n\r\n",
            "accepted",
            KEPT,
        ),
        ("HTTP/1.1 422 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", "rejected", KEPT),
        ("HTTP/1.1 429 x\r\nContent-Length: 0\r\n\r\n", "pool fault", KEPT),
        ("HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n", "unknown", KEPT),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", "accepted", CLOSED),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x, Close\r\n\r\nok", "accepted", CLOSED),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "accepted", CLOSED),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "accepted", CLOSED),
        ("HTTP/1.1 204 x\r\n\r\nHTTP/1.1 204 nobody asked\r\n\r\n", "accepted", CLOSED),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "unknown", KEPT),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk", "unknown", CLOSED),
        ("HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok", "unknown", CLOSED),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "unknown", CLOSED),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n", "unknown", CLOSED),
        ("HTTP/2 200\r\n\r\n", "unknown", CLOSED),
        ("220 relay ESMTP\r\n", "unknown", CLOSED),
    ] {
        let server = ScriptedHttp::always(Answer::Words(answer));
        let channel = api(&server.url(), json!({}));
        for _ in 0..2 {
            let outcome = channel.deliver(&envelope(), &Turnstile::default()).await;
            assert_eq!(kind(&outcome), meaning, "{answer:?}: {outcome:?}");
        }
        let used = server.asked().last().unwrap().connection + 1;
        assert_eq!((server.asked().len(), used), (2, connections), "{answer:?}");
    }
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_whole_and_one_that_breaks_off_is_not() {
    for (answer, meaning) in [
        ("HTTP/1.1 200 OK\r\n\r\n{\"id\": \"m-1\"}", "accepted"),
        ("HTTP/1.0 200 OK\r\n\r\n{\"id\": \"m-1\"}", "accepted"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{\"id\": \"m-1\"}", "accepted"),
        ("HTTP/1.1 200 OK\r\nContent-Le", "unknown"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"id\": \"m-1\"}", "unknown"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nd\r\n{\"id\": \"m-1\"}\r\n", "unknown"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nd\r\n{\"id\": \"m-1\"}\r\n0\r\n", "unknown"),
        ("HTTP/1.1 429 x\r\nContent-Length: 20\r\n\r\nwait", "pool fault"),
    ] {
        let server = ScriptedHttp::always(Answer::LastWords(answer));
        let channel = api(&server.url(), json!({"provider_id_pointer": "/id"}));
        let outcome = channel.deliver(&envelope(), &Turnstile::default()).await;
        assert_eq!(kind(&outcome), meaning, "{answer:?}: {outcome:?}");
        if let Outcome::Accepted { provider_id } = outcome {
            assert_eq!(provider_id.as_deref(), Some("m-1"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_is_noticed_before_anything_is_written() {
    let server = ScriptedHttp::always(Answer::LastWords("HTTP/1.1 204 x\r\n\r\n"));
    let channel = api(&server.url(), json!({}));
    for asked in 1..=3 {
        let gate = Turnstile::default();
        let outcome = channel.deliver(&envelope(), &gate).await;
        assert_eq!((kind(&outcome), gate.asked()), ("accepted", 1), "{outcome:?}");
        assert_eq!(server.asked().len(), asked);
        // Time for the hanging up to arrive.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_hanging_up_is_noticed_that_came_a_moment_ago() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", socket.local_addr().unwrap());
    let (hang_up, told) = std::sync::mpsc::channel();
    let (gone, hung_up) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = socket.accept().unwrap();
            let _head_and_body = stream.read(&mut [0; 64 * 1024]).unwrap();
            stream.write_all(b"HTTP/1.1 204 x\r\n\r\n").unwrap();
            told.recv().unwrap();
            drop(stream);
            gone.send(()).unwrap();
        }
    });
    let channel = api(&url, json!({}));
    for _ in 0..2 {
        let gate = Turnstile::default();
        let outcome = channel.deliver(&envelope(), &gate).await;
        assert_eq!((kind(&outcome), gate.asked()), ("accepted", 1), "{outcome:?}");
        hang_up.send(()).unwrap();
        // Blocks this thread: the runtime has no time to hear of it.
        hung_up.recv().unwrap();
    }
    server.join().unwrap();
}

#[tokio::test]
async fn what_a_server_only_announces_does_not_end_the_writing_of_a_large_request() {
    const BODY: usize = 32 << 20;
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", socket.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = socket.accept().unwrap();
        let mut read = 100;
        stream.read_exact(&mut [0; 100]).unwrap();
        for words in ["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 x\r\n", "\r\nHTTP/1.1 1", "03 x\r\nLink: x\r\n\r\n"] {
            stream.write_all(words.as_bytes()).unwrap();
            stream.read_exact(&mut vec![0; 1 << 20]).unwrap();
            read += 1 << 20;
        }
        while read < BODY {
            read += stream.read(&mut [0; 64 * 1024]).unwrap();
        }
        stream.write_all(b"HTTP/1.1 204 x\r\n\r\n").unwrap();
        stream
    });
    let channel = api(&url, json!({"timeout_seconds": 20}));
    let mut envelope = envelope();
    envelope.message.text = "x".repeat(BODY);
    let outcome = channel.deliver(&envelope, &Turnstile::default()).await;
    assert_eq!(kind(&outcome), "accepted", "{outcome:?}");
    drop(server.join().unwrap());
}

#[tokio::test]
async fn a_server_that_refuses_before_it_has_read_everything_is_understood() {
    for hangs_up in [false, true] {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", socket.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = socket.accept().unwrap();
            stream.read_exact(&mut [0; 100]).unwrap();
            stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n").unwrap();
            if hangs_up { None } else { Some(stream) }
        });
        let channel = api(&url, json!({}));
        let mut envelope = envelope();
        envelope.message.text = "x".repeat(32 << 20);
        let outcome = channel.deliver(&envelope, &Turnstile::default()).await;
        drop(server.join().unwrap());
        // A system may throw away what was said when the connection is reset; then nobody knows.
        let meanings: &[&str] = if hangs_up { &["rejected", "unknown"] } else { &["rejected"] };
        assert!(meanings.contains(&kind(&outcome)), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_head_without_end_is_not_read_without_end() {
    let server = ScriptedHttp::always(Answer::Words(Box::leak(
        format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(1 << 20)).into_boxed_str(),
    )));
    let outcome = api(&server.url(), json!({})).deliver(&envelope(), &Turnstile::default()).await;
    assert_eq!(kind(&outcome), "unknown");
    assert!(trouble(&outcome).detail.contains("too long"), "{outcome:?}");
}

#[tokio::test]
async fn user_and_password_in_the_address_become_a_header_unless_there_is_one_already() {
    let server = ScriptedHttp::always(Answer::status(200));
    let url = server.url().replace("http://", "http://shop:p%40ss@") + "?list=1&to=a%20b";
    for (headers, expected) in [(json!({}), "Basic c2hvcDpwQHNz"), (json!({"authorization": "Bearer x"}), "Bearer x")] {
        let channel = api(&url, json!({"headers": headers}));
        assert_eq!(kind(&channel.deliver(&envelope(), &Turnstile::default()).await), "accepted");
        let asked = server.asked().pop().unwrap();
        assert_eq!(asked.headers.get("authorization").map(String::as_str), Some(expected));
        assert_eq!(asked.line, "POST /send?list=1&to=a%20b HTTP/1.1");
        assert_eq!(asked.headers.get("host"), Some(&format!("127.0.0.1:{}", server.port())));
    }
}
