use std::time::Duration;

use serde_json::json;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;
use volley::channels::{Channel, build};
use volley::domain::dispatch::outcome::{NotBegun, Outcome};

use super::{Turnstile, envelope, kind, pool, trouble};
use crate::support::scripted_http::{Answer, ScriptedHttp};
use crate::support::scripted_smtp::{Act, ScriptedSmtp, Stage};
use crate::support::tls_front::{Authority, Manner, TlsFront};
use crate::support::waiting::wait_until;

const GO_ON: Manner = Manner::AfterStartTls("220 2.0.0 go on\r\n");

/// A provider behind TLS, and how a pool reaches it.
struct Encrypted {
    front: TlsFront,
    provider: &'static str,
    scheme: &'static str,
    query: &'static str,
}

impl Encrypted {
    /// Each way to a provider that calls itself `name` on the authority's word.
    fn all(smtp: &ScriptedSmtp, http: &ScriptedHttp, authority: &Authority, name: &str) -> [Self; 4] {
        let ways = [
            ("smtp", "smtp", "?tls=required", smtp.port(), GO_ON),
            ("smtp", "smtp", "?tls=opportunistic", smtp.port(), GO_ON),
            ("smtp", "smtps", "", smtp.port(), Manner::AtOnce),
            ("webhook", "https", "/send", http.port(), Manner::AtOnce),
        ];
        ways.map(|(provider, scheme, query, port, manner)| {
            let front = TlsFront::start(port, authority, name, manner);
            Self { front, provider, scheme, query }
        })
    }

    fn channel(&self, trusted: Option<&Authority>) -> Box<dyn Channel> {
        self.channel_with(json!({"tls_ca_file": trusted.map(Authority::file)}))
    }

    fn channel_with(&self, mut settings: serde_json::Value) -> Box<dyn Channel> {
        settings["url"] = json!(format!("{}://127.0.0.1:{}{}", self.scheme, self.front.port(), self.query));
        if self.provider == "smtp" {
            settings["from"] = json!("Shop <shop@example.com>");
        }
        build(&pool(self.provider, settings)).unwrap()
    }
}

#[tokio::test]
async fn deliveries_are_taken_over_starttls_smtps_and_https_where_the_authority_is_trusted() {
    let (smtp, http) = (ScriptedSmtp::start(|_| None), ScriptedHttp::always(Answer::status(200)));
    let authority = Authority::new();
    for way in Encrypted::all(&smtp, &http, &authority, "127.0.0.1") {
        let channel = way.channel(Some(&authority));
        assert!(channel.probe().await.is_ok(), "{}{}", way.scheme, way.query);
        for _ in 0..2 {
            let outcome = channel.deliver(&envelope(), &Turnstile::default()).await;
            assert_eq!(kind(&outcome), "accepted", "{}{}: {outcome:?}", way.scheme, way.query);
        }
        assert!(way.front.arrived() <= 2, "one connection for the deliveries, at most one for the probe");
        let in_the_clear = way.front.overheard();
        assert!(in_the_clear.iter().all(|line| line.starts_with("EHLO ") || line == "STARTTLS"), "{in_the_clear:?}");
    }
    assert_eq!((smtp.taken().len(), http.asked().len()), (6, 2));
}

#[tokio::test]
async fn a_provider_that_cannot_prove_who_it_is_gets_nothing() {
    let (smtp, http) = (ScriptedSmtp::start(|_| None), ScriptedHttp::always(Answer::status(200)));
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (name, trusted) in [("127.0.0.1", None), ("127.0.0.1", Some(&stranger)), ("other.test", Some(&authority))] {
        for way in Encrypted::all(&smtp, &http, &authority, name) {
            let (channel, gate) = (way.channel(trusted), Turnstile::default());
            let outcome = channel.deliver(&envelope(), &gate).await;
            assert_eq!((kind(&outcome), gate.asked()), ("pool fault", 0), "{}{}: {outcome:?}", way.scheme, way.query);
            let detail = &trouble(&outcome).detail;
            assert!(detail.contains("invalid peer certificate"), "{detail}");
            assert!(channel.probe().await.is_err());
            let in_the_clear = way.front.overheard();
            let harmless = in_the_clear.iter().all(|line| line.starts_with("EHLO ") || line == "STARTTLS");
            assert!(harmless, "{in_the_clear:?}");
        }
    }
    assert!(smtp.commands().is_empty() && http.asked().is_empty());
}

#[tokio::test]
async fn a_servers_own_certificate_is_trusted_where_the_settings_name_it() {
    let (smtp, http) = (ScriptedSmtp::start(|_| None), ScriptedHttp::always(Answer::status(200)));
    let (own, other) = (Authority::self_signed_server(), Authority::self_signed_server());
    for way in Encrypted::all(&smtp, &http, &own, "127.0.0.1") {
        let way_name = format!("{}{}", way.scheme, way.query);
        let trusting = way.channel(Some(&own)).deliver(&envelope(), &Turnstile::default()).await;
        assert_eq!(kind(&trusting), "accepted", "{way_name}: {trusting:?}");
        for trusted in [None, Some(&other)] {
            let gate = Turnstile::default();
            let refused = way.channel(trusted).deliver(&envelope(), &gate).await;
            assert_eq!((kind(&refused), gate.asked()), ("pool fault", 0), "{way_name}: {refused:?}");
            let detail = trouble(&refused).detail.clone();
            assert!(detail.contains("invalid peer certificate: self-signed or from an unknown authority"), "{detail}");
            assert!(detail.ends_with("put it into tls_ca_file or set tls_fingerprint"), "{detail}");
            // The text holds what is needed to follow it.
            let fingerprint = detail.split("fingerprint ").nth(1).unwrap().split(';').next().unwrap();
            let pairs: Vec<String> =
                fingerprint.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into()).collect();
            for spelling in [fingerprint.to_owned(), pairs.join(":").to_uppercase()] {
                let channel = way.channel_with(json!({"tls_fingerprint": spelling}));
                let outcome = channel.deliver(&envelope(), &Turnstile::default()).await;
                assert_eq!(kind(&outcome), "accepted", "{way_name}: {outcome:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_fingerprint_is_of_the_only_certificate_that_is_taken() {
    let (smtp, http) = (ScriptedSmtp::start(|_| None), ScriptedHttp::always(Answer::status(200)));
    let authority = Authority::new();
    for way in Encrypted::all(&smtp, &http, &authority, "127.0.0.1") {
        let pinned = way.channel_with(json!({"tls_ca_file": authority.file(), "tls_fingerprint": "ab".repeat(32)}));
        let outcome = pinned.deliver(&envelope(), &Turnstile::default()).await;
        assert_eq!(kind(&outcome), "pool fault", "{outcome:?}");
        let detail = &trouble(&outcome).detail;
        assert!(detail.contains("invalid peer certificate: its SHA-256 fingerprint is "), "{detail}");
    }
    assert!(smtp.commands().is_empty() && http.asked().is_empty());
}

#[tokio::test]
async fn content_cut_behind_encryption_is_known_as_not_accepted_too() {
    let smtp = ScriptedSmtp::at(Stage::Content, Act::SayAndCut("552 5.3.4 too big"));
    let authority = Authority::new();
    let front = TlsFront::start(smtp.port(), &authority, "127.0.0.1", Manner::AtOnce);
    let way = Encrypted { front, provider: "smtp", scheme: "smtps", query: "" };
    let mut huge = envelope();
    huge.message.text = "more than a relay wants to read\n".repeat(500_000);
    let outcome = way.channel(Some(&authority)).deliver(&huge, &Turnstile::default()).await;
    // The front may lose the relay's last words. That it cut the connection is enough.
    assert!(["rejected", "deferred"].contains(&kind(&outcome)), "{outcome:?}");
    assert!(trouble(&outcome).detail.starts_with("content: "), "{outcome:?}");
}

#[tokio::test]
async fn what_was_slipped_in_before_the_handshake_is_not_taken_for_an_answer() {
    let smtp = ScriptedSmtp::start(|_| None);
    let authority = Authority::new();
    let slipped_in = Manner::AfterStartTls("220 2.0.0 go on\r\n250 slipped in\r\n");
    let front = TlsFront::start(smtp.port(), &authority, "127.0.0.1", slipped_in);
    let way = Encrypted { front, provider: "smtp", scheme: "smtp", query: "?tls=required" };
    let outcome = way.channel(Some(&authority)).deliver(&envelope(), &Turnstile::default()).await;
    assert_eq!(kind(&outcome), "pool fault", "{outcome:?}");
    assert!(trouble(&outcome).detail.starts_with("STARTTLS: "), "{outcome:?}");
    assert!(smtp.commands().is_empty());
}

#[tokio::test]
async fn the_gate_is_asked_after_the_handshake_however_long_that_takes() {
    let (smtp, http) = (ScriptedSmtp::start(|_| None), ScriptedHttp::always(Answer::status(200)));
    let authority = Authority::new();
    for way in Encrypted::all(&smtp, &http, &authority, "127.0.0.1") {
        let (channel, envelope) = (way.channel(Some(&authority)), envelope());
        let paused = Turnstile::shut(NotBegun::Paused);
        way.front.hold(true);
        let mut delivery = channel.deliver(&envelope, &paused);
        assert!(timeout(Duration::from_millis(300), &mut delivery).await.is_err(), "{}", way.scheme);
        wait_until("the handshake waits", Duration::from_secs(5), || way.front.arrived() == 1);
        assert_eq!(paused.asked(), 0, "{}", way.scheme);
        way.front.hold(false);
        assert_eq!(delivery.await, Outcome::NotBegun(NotBegun::Paused), "{}", way.scheme);
        assert!(http.asked().is_empty() && !smtp.commands().iter().any(|line| line.starts_with("MAIL")));
        assert_eq!(paused.asked(), 1);
    }
}

#[tokio::test]
async fn the_gate_is_asked_after_the_server_has_accepted_the_connection() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let _waiting = fill(&listener).await;
    let url = format!("http://{address}/send");
    let channel = build(&pool("webhook", json!({"url": url, "timeout_seconds": 20}))).unwrap();
    let (paused, envelope) = (Turnstile::shut(NotBegun::Paused), envelope());
    let mut delivery = channel.deliver(&envelope, &paused);
    assert!(timeout(Duration::from_millis(300), &mut delivery).await.is_err());
    assert_eq!(paused.asked(), 0, "asked although the server has not accepted");
    let mut accepted = Vec::new();
    loop {
        // The system asks a server again that did not take a connection: after a second, then after two.
        tokio::select! {
            connection = listener.accept() => accepted.push(connection.unwrap().0),
            outcome = &mut delivery => {
                assert_eq!(outcome, Outcome::NotBegun(NotBegun::Paused));
                break;
            }
        }
    }
    assert_eq!(paused.asked(), 1);
    for stream in accepted {
        let heard = stream.try_read(&mut [0]);
        assert!(heard.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "a request line came");
    }
}

/// Connects until the listener's backlog is full.
async fn fill(listener: &TcpListener) -> Vec<TcpStream> {
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        waiting.push(stream.unwrap());
    }
    waiting
}
