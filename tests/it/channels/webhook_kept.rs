//! Connections that are used again, and servers that close them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::json;
use volley::channels::Gate;
use volley::domain::dispatch::answer::AnswerClass;
use volley::domain::dispatch::outcome::{NotBegun, Outcome};

use super::webhook::api;
use super::{Turnstile, envelope, kind};
use crate::support::scripted_http::{Answer, ScriptedHttp};

/// A gate that lets the server hang up before it opens.
struct HangsUp {
    hang_up: Sender<()>,
    gone: Mutex<Receiver<()>>,
    turnstile: Turnstile,
}

impl Gate for HangsUp {
    fn begin(&self) -> Result<(), NotBegun> {
        if self.turnstile.asked() == 0 {
            self.hang_up.send(()).unwrap();
            self.gone.lock().unwrap().recv().unwrap();
        }
        self.turnstile.begin()
    }
}

#[tokio::test]
async fn nobody_is_uncertain_when_a_server_closes_each_kept_connection_after_its_answer() {
    const PEOPLE: usize = 60;
    const AT_ONCE: usize = 10;
    let server = ScriptedHttp::always(Answer::LastWords("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    let channel = api(&server.url(), json!({"concurrency": AT_ONCE}));
    let (gate, envelope) = (Turnstile::default(), envelope());
    let mut outcomes = Vec::new();
    let mut calls: FuturesUnordered<_> = (0..AT_ONCE).map(|_| channel.deliver(&envelope, &gate)).collect();
    while let Some(outcome) = calls.next().await {
        outcomes.push(kind(&outcome));
        if outcomes.len() + calls.len() < PEOPLE {
            calls.push(channel.deliver(&envelope, &gate));
        }
    }
    assert_eq!(outcomes, ["accepted"; PEOPLE]);
    let asked = server.asked();
    assert_eq!(asked.len(), PEOPLE);
    let said = asked.iter().filter(|asked| asked.headers.get("connection").is_some_and(|said| said == "close"));
    assert!(said.count() > 0, "the server's habit was noticed");
}

#[tokio::test]
async fn without_keep_alive_each_request_has_a_connection_of_its_own_and_says_so() {
    let server = ScriptedHttp::always(Answer::status(200));
    let channel = api(&server.url(), json!({"keep_alive": false}));
    for _ in 0..3 {
        assert_eq!(kind(&channel.deliver(&envelope(), &Turnstile::default()).await), "accepted");
    }
    let asked = server.asked();
    let connections: Vec<usize> = asked.iter().map(|asked| asked.connection).collect();
    assert_eq!(connections, [0, 1, 2]);
    assert!(asked.iter().all(|asked| asked.headers.get("connection").is_some_and(|said| said == "close")));
}

/// A server that answers `answers` requests on its first connection, then hangs up when told; and then serves others.
async fn hung_up_behind_the_gate(answers: usize) -> (Outcome, usize) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", socket.local_addr().unwrap());
    let (hang_up, told) = channel();
    let (went, gone) = channel();
    let server = std::thread::spawn(move || {
        let answer = |stream: &mut std::net::TcpStream| {
            let _head_and_body = stream.read(&mut [0; 64 * 1024]).unwrap();
            stream.write_all(b"HTTP/1.1 204 x\r\n\r\n").unwrap();
        };
        let (mut stream, _) = socket.accept().unwrap();
        (0..answers).for_each(|_| answer(&mut stream));
        told.recv().unwrap();
        drop(stream);
        went.send(()).unwrap();
        if answers > 0 {
            answer(&mut socket.accept().unwrap().0);
        }
    });
    let provider = api(&url, json!({}));
    for _ in 0..answers {
        assert_eq!(kind(&provider.deliver(&envelope(), &Turnstile::default()).await), "accepted");
    }
    let gate = HangsUp { hang_up, gone: Mutex::new(gone), turnstile: Turnstile::default() };
    let outcome = provider.deliver(&envelope(), &gate).await;
    server.join().unwrap();
    (outcome, gate.turnstile.asked())
}

#[tokio::test]
async fn a_hanging_up_behind_the_gate_is_noticed_before_the_request_is_written() {
    let (kept, asked) = hung_up_behind_the_gate(1).await;
    assert_eq!((kind(&kept), asked), ("accepted", 2), "a fresh connection is asked for, and the gate: {kept:?}");
    let (fresh, asked) = hung_up_behind_the_gate(0).await;
    let Outcome::Refused(refusal) = &fresh else { panic!("{fresh:?}") };
    assert_eq!((refusal.class, asked), (AnswerClass::RelayOutage, 1), "{fresh:?}");
}
