//! Mail that comes back: found by the signed token in the address that it came back to, and by nothing else.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use volley::config::pools::{CallbackConfig, PoolConfig, ServerConfig, SmtpConfig};
use volley::config::secret::Secret;
use volley::domain::callbacks::Format;

use super::providers::{Provider, What, is_well_served};
use super::{LONG, POOL, World};
use crate::support::scripted_smtp::ScriptedSmtp;
use crate::support::server::Raw;
use crate::support::waiting::wait_for;
use crate::support::{Database, both_backends};

const SECRET: &str = "postfix:a-long-password-1";

fn pool(relay: &ScriptedSmtp) -> PoolConfig {
    let server = ServerConfig::at(relay.url());
    let smtp = SmtpConfig { server, return_path: Some("bounces@example.com".to_owned()), ..SmtpConfig::default() };
    let callbacks = CallbackConfig { format: Format::Mail, secret: Some(Secret::new(SECRET)), topics: Vec::new() };
    PoolConfig {
        name: POOL.to_owned(),
        from: Some("Shop <shop@example.com>".to_owned()),
        callbacks: Some(callbacks),
        ..PoolConfig::bare(smtp)
    }
}

/// A world whose messages went through a relay, and where each of them comes back to.
struct Returns {
    world: World,
    relay: ScriptedSmtp,
    /// By recipient.
    paths: HashMap<String, String>,
}

impl Returns {
    fn on(db: &Database) -> Self {
        let relay = ScriptedSmtp::slow((0, 0));
        let world = World::with(db, pool(&relay));
        // `TO:<ann@example.com>`
        let bare = |text: &str| text.split(['<', '>']).nth(1).unwrap().to_owned();
        let paths = relay.taken().iter().map(|taken| (bare(&taken.to), bare(&taken.from))).collect();
        Self { world, relay, paths }
    }

    fn path(&self, to: &str) -> &str {
        &self.paths[to]
    }

    fn post(&self, mail: &[u8]) -> Raw {
        self.world.post(&headers(SECRET), mail)
    }

    fn came_back(&self, mail: &str) {
        assert_eq!(self.post(mail.as_bytes()).status, 200, "{mail}");
        self.world.wait_read();
    }
}

fn headers(secret: &str) -> Vec<(String, String)> {
    let credentials = format!("Basic {}", STANDARD.encode(secret));
    [("Authorization", credentials), ("Content-Type", "message/rfc822".to_owned())]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}

/// A report as a mail server writes it.
fn dsn(id: &str, path: &str, to: &str, action: &str, status: &str) -> String {
    format!(
        "Return-Path: <>\r\nDelivered-To: {path}\r\nFrom: MAILER-DAEMON@mx.example.net\r\nTo: {path}\r\nMessage-Id: <{id}@mx.example.net>\r\n\
         Subject: Undelivered Mail Returned to Sender\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n\
         I'm sorry.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n\r\n\
         Final-Recipient: rfc822; {to}\r\nAction: {action}\r\nStatus: {status}\r\nDiagnostic-Code: smtp; 550 {status} no\r\n\r\n--b--\r\n"
    )
}

/// A report as a mailbox provider writes it.
fn spam_report(id: &str, path: &str, to: &str) -> String {
    format!(
        "From: feedback@mail.example.net\r\nTo: fbl@example.com\r\nMessage-ID: <{id}@mail.example.net>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=feedback-report; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nSpam.\r\n\
         --b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nVersion: 1\r\nUser-Agent: Test/1\r\n\
         Original-Mail-From: <{path}>\r\nOriginal-Rcpt-To: {to}\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: s\r\n\r\nx\r\n--b--\r\n"
    )
}

/// A mail server, as a provider of reports. It knows a message by the address that it comes back to.
struct MailServer(HashMap<String, String>);

impl Provider for MailServer {
    fn format(&self) -> Format {
        Format::Mail
    }

    fn secret(&self) -> String {
        SECRET.to_owned()
    }

    fn event(&self, id: &str, _: &str, to: &str, what: What) -> Value {
        let forged = "bounces+AAAAdQcIsEJbTZ2M8bWl0Y9yq3kVnA@example.com".to_owned();
        let path = self.0.get(to).unwrap_or(&forged);
        let (action, status) = match what {
            What::Complained => return spam_report(id, path, to).into(),
            What::Delivered => ("delivered", "2.0.0"),
            What::NoSuchUser => ("failed", "5.1.1"),
            What::Blocked => ("failed", "5.7.1"),
            What::NotSent => ("delayed", "4.4.1"),
        };
        dsn(id, path, to, action, status).into()
    }

    fn request(&self, event: &Value, _: i64, secret: &str) -> (Vec<(String, String)>, Vec<u8>) {
        (headers(secret), event.as_str().unwrap().as_bytes().to_vec())
    }

    fn signs_times(&self) -> bool {
        false
    }
}

both_backends! {
    fn what_mail_servers_send_back_is_understood(db: &Database) {
        let returns = Returns::on(db);
        is_well_served(&returns.world, &MailServer(returns.paths.clone()));
    }

    fn each_message_comes_back_to_an_address_of_its_own(db: &Database) {
        let returns = Returns::on(db);
        let [ann, bob] = ["ann@example.com", "bob@example.com"].map(|to| returns.path(to));
        for path in [ann, bob] {
            let (local, domain) = path.split_once('@').unwrap();
            assert!(local.starts_with("bounces+") && local.len() <= 64 && domain == "example.com", "{path}");
        }
        assert_ne!(ann, bob);
        assert!(returns.relay.taken().iter().all(|taken| taken.content.contains("From: Shop <shop@example.com>")));
    }

    fn a_mail_that_comes_twice_or_on_another_way_counts_once(db: &Database) {
        let returns = Returns::on(db);
        let mail = dsn("1", returns.path("ann@example.com"), "ann@example.com", "failed", "5.1.1");
        returns.came_back(&mail);
        returns.came_back(&mail);
        returns.came_back(&format!("Received: from mx2.example.net\r\n{mail}"));
        assert_eq!(returns.world.reported("hard_bounced"), (1, 1));
        // Somebody else's mail of the same name is another one.
        returns.came_back(&dsn("1", returns.path("bob@example.com"), "bob@example.com", "failed", "5.1.1"));
        assert_eq!(returns.world.reported("hard_bounced"), (2, 2));
        assert_eq!(returns.world.suppressed("ann@example.com"), ["bounced"]);
    }

    fn a_mail_server_may_write_the_address_in_upper_or_lower_case(db: &Database) {
        let returns = Returns::on(db);
        for (id, to) in [("1", "ann@example.com"), ("2", "bob@example.com")] {
            let path = returns.path(to);
            let path = if id == "1" { path.to_ascii_uppercase() } else { path.to_ascii_lowercase() };
            returns.came_back(&dsn(id, &path, to, "failed", "5.1.1"));
        }
        assert_eq!(returns.world.reported("hard_bounced"), (2, 2));
    }

    fn without_a_token_of_the_message_nothing_is_believed(db: &Database) {
        let returns = Returns::on(db);
        let (world, path) = (&returns.world, returns.path("ann@example.com"));
        let links = world.api.get(&format!("/v1/campaigns/{}/deliveries/{}/links", world.campaign, world.ann));
        let unsubscribe = links["unsubscribe_url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let (local, domain) = path.split_once('@').unwrap();
        let (kept, last) = local.split_at(local.len() - 4);
        let changed = format!("{kept}{}@{domain}", if last == "AAAA" { "BBBB" } else { "AAAA" });
        for forged in [
            "shop@example.com".to_owned(),
            "bounces@example.com".to_owned(),
            format!("bounces+{}@example.com", world.delivery(world.ann)),
            format!("bounces+{unsubscribe}@example.com"),
            changed,
            path.replacen("bounces+", "bounces+x", 1),
        ] {
            assert_ne!(forged, path);
            let mail = dsn("1", &forged, "ann@example.com", "failed", "5.1.1");
            returns.came_back(&format!("X-Volley-Delivery: {}\r\n{mail}", world.delivery(world.ann)));
        }
        assert_eq!((world.reported("hard_bounced"), world.count("suppressions")), ((0, 0), 0));
        assert_eq!(world.count("callbacks WHERE state = 'failed'"), 0, "what is about no message is not kept");
        // And who holds the token of one message says nothing about another address.
        returns.came_back(&dsn("2", path, "bob@example.com", "failed", "5.1.1"));
        assert_eq!((world.reported("hard_bounced"), world.count("suppressions")), ((1, 1), 0));
    }

    fn only_the_pools_own_mail_server_is_let_in_and_only_with_mail(db: &Database) {
        let returns = Returns::on(db);
        let mail = dsn("1", returns.path("ann@example.com"), "ann@example.com", "failed", "5.1.1");
        for secret in ["postfix:another-password-1", "postfix:", ""] {
            assert_eq!(returns.world.post(&headers(secret), mail.as_bytes()).status, 401, "{secret}");
        }
        // A stranger is told so before anything is read of what it would send.
        let stranger = STANDARD.encode("postfix:another-password-1");
        let head = format!(
            "POST /v1/callbacks/{POOL} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {stranger}\r\n\
             Content-Type: message/rfc822\r\nContent-Length: 5000000\r\n\r\n"
        );
        assert_eq!(returns.world.server.raw(head.as_bytes()).status, 401);
        let mut json = headers(SECRET);
        json[1].1 = "application/json".to_owned();
        assert_eq!(returns.world.post(&json, b"{}").status, 415);
        let mut large = mail.into_bytes();
        large.resize((5 << 20) + 1, b'x');
        assert_eq!(returns.post(&large).status, 413);
        assert_eq!(returns.world.count("callbacks"), 0);
        large.truncate(5 << 20);
        assert_eq!(returns.post(&large).status, 200);
        returns.world.wait_read();
        assert_eq!(returns.world.reported("hard_bounced"), (1, 1));
    }

    fn who_is_away_has_not_bounced_and_what_cannot_be_understood_is_listed(db: &Database) {
        let returns = Returns::on(db);
        let (world, path) = (&returns.world, returns.path("ann@example.com"));
        returns.came_back(&dsn("1", path, "ann@example.com", "delayed", "4.4.1"));
        returns.came_back(&format!("To: {path}\r\nSubject: Away\r\nAuto-Submitted: auto-replied\r\n\r\n550 5.1.1 I am away\r\n"));
        assert_eq!(world.count("callbacks WHERE state = 'done'"), 2);
        returns.came_back(&format!("To: {path}\r\nSubject: Re: Spring\r\n\r\nThank you. 550 5.1.1\r\n"));
        assert_eq!(world.count("callbacks WHERE state = 'done'"), 3, "an answer of a person is no report, and nobody is called");
        let damaged = dsn("3", path, "ann@example.com", "failed", "5.1.1").replace("Action: failed\r\n", "");
        let mut latin = damaged.into_bytes();
        latin.extend(b"\xfcber ann@example.com\0\r\n");
        assert_eq!(returns.post(&latin).status, 200);
        let failed = wait_for("it has failed", LONG, || {
            world.api.get("/v1/callbacks")["data"].as_array().unwrap().first().cloned()
        });
        assert_eq!((&failed["format"], failed.to_string().contains("ann@")), (&json!("mail"), false), "{failed}");
        assert_eq!(world.count("events WHERE name LIKE 'message.%'"), 0);
        let as_it_came = format!("callbacks WHERE state = 'failed' AND body = '{}'", STANDARD.encode(&latin));
        assert_eq!(world.count(&as_it_came), 1, "whatever its character set");
    }
}
