//! The harness itself: providers that must be believed before the engine is judged by them.

use std::net::TcpStream;
use std::time::Duration;

use lettre::transport::smtp::client::SmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, address::Envelope};
use serde_json::json;

use crate::support::api::Api;
use crate::support::postgres::PrivatePostgres;
use crate::support::scripted_http::{Keys, ScriptedHttp};
use crate::support::scripted_smtp::ScriptedSmtp;
use crate::support::{Database, both_backends};

const PATIENCE: Option<Duration> = Some(Duration::from_secs(5));

fn client(sink: &ScriptedSmtp) -> Result<SmtpConnection, lettre::transport::smtp::Error> {
    let hello = ClientId::Domain("localhost".to_owned());
    SmtpConnection::connect(("127.0.0.1", sink.port()), PATIENCE, &hello, None, None)
}

fn envelope(to: &str) -> Envelope {
    let from: Address = "shop@example.com".parse().unwrap();
    Envelope::new(Some(from), vec![to.parse().unwrap()]).unwrap()
}

#[test]
fn the_relay_remembers_whom_it_accepted() {
    let relay = ScriptedSmtp::slow((0, 0));
    relay.reject("gone@example.com");
    let mut client = client(&relay).unwrap();
    assert!(client.send(&envelope("ann@example.com"), b"Subject: hi\r\n\r\n.dots\r\n").is_ok());
    assert!(client.send(&envelope("gone@example.com"), b"Subject: hi\r\n\r\nhi\r\n").is_err());
    relay.ledger().assert_each_once(&["ann@example.com".to_owned()]);
    assert_eq!(relay.ledger().begun(), 2);
}

#[test]
fn the_relay_cuts_after_accepting() {
    let relay = ScriptedSmtp::slow((0, 0));
    relay.play("final every=1: {take} {cut}");
    let sent = client(&relay).unwrap().send(&envelope("ann@example.com"), b"Subject: hi\r\n\r\nhi\r\n");
    assert!(sent.is_err());
    assert_eq!(relay.ledger().reached(), 1);
}

#[test]
fn a_closed_relay_refuses_and_comes_back_on_the_same_port() {
    let relay = ScriptedSmtp::slow((0, 0));
    let mut old = client(&relay).unwrap();
    relay.refuse_connections();
    assert!(TcpStream::connect(("127.0.0.1", relay.port())).is_err());
    assert!(!old.test_connected());
    relay.accept_connections();
    assert!(client(&relay).is_ok());
}

#[test]
fn the_http_provider_honours_keys() {
    let provider = ScriptedHttp::slow((1, 2), Keys::Honoured);
    let api = Api::new(&format!("http://127.0.0.1:{}", provider.port()), "key");
    let post = |key: &str, body: &serde_json::Value| {
        let body = Some(body.to_string().into_bytes());
        let headers = [("Idempotency-Key", key)];
        api.request(reqwest::Method::POST, "/messages", "application/json", body, &headers).unwrap().status
    };
    assert_eq!(post("a", &json!({"to": "ann@example.com"})), 200);
    assert_eq!(post("a", &json!({"to": "ann@example.com"})), 200);
    provider.ledger().assert_each_once(&["ann@example.com".to_owned()]);
    assert_eq!(provider.ledger().entries().repeats, 1);
    provider.play("request: 429 {Retry-After: 3}");
    assert_eq!(post("b", &json!({"to": "bob@example.com"})), 429);
    assert_eq!(provider.ledger().reached(), 1);
}

both_backends! {
    fn every_test_has_a_database_of_its_own(db: &Database) {
        let other = if db.url().starts_with("sqlite") {
            Database::sqlite()
        } else {
            Database::postgres("another database").unwrap()
        };
        assert_ne!(db.url(), other.url());
    }
}

#[test]
fn a_private_postgres_comes_back_after_a_crash() {
    let Some(db) = Database::own_postgres("a_private_postgres_comes_back_after_a_crash") else { return };
    let server: &PrivatePostgres = db.server();
    server.stop_immediately();
    server.start_again();
    server.cut_connections();
}
