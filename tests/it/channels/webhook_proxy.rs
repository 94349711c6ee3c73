//! Servers behind a proxy.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::json;
use volley::domain::dispatch::answer::AnswerClass;
use volley::domain::dispatch::outcome::Outcome;

use super::webhook::api;
use super::{Turnstile, envelope, kind, trouble};
use crate::support::http2::{Habits, Http2};
use crate::support::scripted_http::{Answer, ScriptedHttp};
use crate::support::tls_front::{Authority, Manner, TlsFront};

/// A proxy that passes on to any server, and remembers the heads it was shown. Its threads end with its connections.
struct Tunnels {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Tunnels {
    /// Answers each CONNECT with `answer`, and where that is a 200, connects to what was asked for.
    fn start(answer: &'static str) -> Self {
        Self::opening(answer, false)
    }

    /// The same; `with_first_words`: the answer and the first words of a server that speaks first come together.
    fn opening(answer: &'static str, with_first_words: bool) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&heads);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = socket.accept() {
                let heard = Arc::clone(&heard);
                std::thread::spawn(move || tunnel(&stream, answer, with_first_words, &heard));
            }
        });
        Self { port, heads }
    }

    fn url(&self) -> String {
        format!("http://shop:p%40ss@127.0.0.1:{}", self.port)
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn tunnel(mut client: &TcpStream, answer: &str, with_first_words: bool, heard: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(client);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or_default() == 0 {
            return;
        }
    }
    heard.lock().unwrap().push(head.clone());
    if !answer.starts_with("HTTP/1.1 200") {
        client.write_all(answer.as_bytes()).unwrap();
        return;
    }
    let mut server = TcpStream::connect(head.split(' ').nth(1).unwrap()).unwrap();
    let mut first = [0; 1024];
    let words = if with_first_words { server.read(&mut first).unwrap() } else { 0 };
    client.write_all(&[answer.as_bytes(), &first[..words]].concat()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| std::io::copy(&mut &server, &mut &*client).map(|_| client.shutdown(Shutdown::Both)));
        let _ended = std::io::copy(&mut reader, &mut &server);
        let _ended = server.shutdown(Shutdown::Both);
    });
}

const OPEN: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

#[tokio::test]
async fn an_encrypted_server_is_reached_through_a_tunnel_and_the_proxy_sees_no_request() {
    let (server, authority) = (ScriptedHttp::always(Answer::status(200)), Authority::new());
    let front = TlsFront::start(server.port(), &authority, "127.0.0.1", Manner::AtOnce);
    let proxy = Tunnels::start(OPEN);
    let url = format!("https://127.0.0.1:{}/send", front.port());
    let channel = api(&url, json!({"proxy": proxy.url(), "tls_ca_file": authority.file()}));
    assert!(channel.probe().await.is_ok());
    for _ in 0..2 {
        let outcome = channel.deliver(&envelope(), &Turnstile::default()).await;
        assert_eq!(kind(&outcome), "accepted", "{outcome:?}");
    }
    let at = format!("127.0.0.1:{}", front.port());
    let connect = format!("CONNECT {at} HTTP/1.1\r\nhost: {at}\r\nproxy-authorization: Basic c2hvcDpwQHNz\r\n\r\n");
    assert_eq!(proxy.heads(), [connect], "one connection, and nothing else in the clear");
    let asked = server.asked();
    assert_eq!((asked.len(), asked[0].line.as_str()), (2, "POST /send HTTP/1.1"));
    assert!(!asked[0].headers.contains_key("proxy-authorization"), "that is for the proxy alone");
}

#[tokio::test]
async fn http2_goes_through_a_tunnel_in_the_clear_too() {
    let (server, proxy) = (Http2::good(Habits::default()), Tunnels::opening(OPEN, true));
    let channel = api(&server.url(), json!({"proxy": proxy.url(), "http_version": "2"}));
    for _ in 0..2 {
        let outcome = channel.deliver(&envelope(), &Turnstile::default()).await;
        assert_eq!(kind(&outcome), "accepted", "{outcome:?}");
    }
    assert_eq!((server.asked().len(), server.connections(), proxy.heads().len()), (2, 1, 1));
    assert!(proxy.heads()[0].starts_with(&format!("CONNECT 127.0.0.1:{} HTTP/1.1\r\n", server.port())));
    assert!(!server.asked()[0].headers.contains_key("proxy-authorization"), "that is for the proxy alone");
}

#[tokio::test]
async fn a_server_in_the_clear_is_named_to_the_proxy_in_every_request() {
    let proxy = ScriptedHttp::always(Answer::status(202));
    let settings = json!({
        "proxy": format!("http://shop:p%40ss@127.0.0.1:{}", proxy.port()), "probe": {"path": "/v1/account"},
    });
    let channel = api("http://api.example.com:8080/send?list=1", settings);
    for _ in 0..2 {
        assert_eq!(kind(&channel.deliver(&envelope(), &Turnstile::default()).await), "accepted");
    }
    assert!(channel.probe().await.is_ok());
    let asked = proxy.asked();
    let lines: Vec<&str> = asked.iter().map(|asked| asked.line.as_str()).collect();
    let post = "POST http://api.example.com:8080/send?list=1 HTTP/1.1";
    assert_eq!(lines, [post, post, "GET http://api.example.com:8080/v1/account HTTP/1.1"]);
    for asked in asked {
        assert_eq!(asked.headers.get("host").map(String::as_str), Some("api.example.com:8080"));
        assert_eq!(asked.headers.get("proxy-authorization").map(String::as_str), Some("Basic c2hvcDpwQHNz"));
    }
}

#[tokio::test]
async fn a_proxy_that_does_not_lead_there_is_no_doubt_about_the_message() {
    for (answer, class, said) in [
        ("HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n", AnswerClass::RelayAuth, "proxy: HTTP 407"),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", AnswerClass::RelayOutage, "proxy: HTTP 502"),
        ("HTTP/1.1 301 x\r\nLocation: /x\r\n\r\n", AnswerClass::RelayOutage, "proxy: HTTP 301"),
        ("220 relay ESMTP\r\n", AnswerClass::RelayOutage, "proxy: the answer is not HTTP/1.1"),
        ("", AnswerClass::RelayOutage, "proxy: connection closed"),
    ] {
        let proxy = Tunnels::start(answer);
        let channel = api("https://api.example.com/send", json!({"proxy": proxy.url()}));
        let gate = Turnstile::default();
        let outcome = channel.deliver(&envelope(), &gate).await;
        let Outcome::Refused(refusal) = &outcome else { panic!("{answer:?}: {outcome:?}") };
        assert_eq!((refusal.class, gate.asked()), (class, 0), "{answer:?}");
        assert!(trouble(&outcome).detail.starts_with(said), "{outcome:?}");
        assert!(channel.probe().await.unwrap_err().starts_with(said));
        assert!(proxy.heads().iter().all(|head| head.starts_with("CONNECT api.example.com:443 HTTP/1.1\r\n")));
    }
}
