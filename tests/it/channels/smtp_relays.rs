//! Relays as they are: old, strict, small, broken in one way or another.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use volley::domain::content::message::Envelope;

use super::smtp::{relay, relay_with};
use super::{Turnstile, envelope, kind, trouble};
use crate::support::scripted_smtp::{Act, PIPELINING, ScriptedSmtp, Stage};

/// Says the answers of a list one after another, whenever a conversation comes to `stage`.
fn in_turn(stage: Stage, greeting: &'static str, answers: &[&'static str]) -> ScriptedSmtp {
    let answers = Mutex::new(answers.iter().rev().copied().collect::<Vec<_>>());
    ScriptedSmtp::start(move |moment| {
        if moment.stage == Stage::Ehlo {
            return Some(Act::Say(greeting));
        }
        (moment.stage == stage).then(|| answers.lock().unwrap().pop()).flatten().map(Act::Say)
    })
}

#[tokio::test]
async fn a_relay_that_knows_no_ehlo_is_greeted_with_helo_and_offers_nothing() {
    for unknown in ["500 5.5.1 what?", "502 not implemented", "504 5.5.4 parameter"] {
        let server = ScriptedSmtp::at(Stage::Ehlo, Act::Say(unknown));
        assert_eq!(kind(&relay(&server.url()).deliver(&envelope(), &Turnstile::default()).await), "accepted");
        let commands = server.commands();
        let name = commands[0].strip_prefix("EHLO ").unwrap();
        assert_eq!(commands[1..3], [format!("HELO {name}"), "MAIL FROM:<shop@example.com>".to_owned()]);
    }
    for about_us in ["501 5.5.4 bad name", "550 5.7.1 go away", "421 4.3.2 closing"] {
        let server = ScriptedSmtp::at(Stage::Ehlo, Act::Say(about_us));
        assert_eq!(kind(&relay(&server.url()).deliver(&envelope(), &Turnstile::default()).await), "pool fault");
        assert_eq!(server.commands().len(), 1, "{:?}", server.commands());
    }
}

#[tokio::test]
async fn a_relay_that_knows_helo_alone_is_left_where_encryption_or_a_login_is_asked_for() {
    let login = json!({"username": "u", "password": "p"});
    for (query, more, words) in [
        ("?tls=required", json!({}), "STARTTLS: required, and the relay knows HELO alone"),
        ("", login, "AUTH: the relay knows HELO alone, and no login"),
    ] {
        let server = ScriptedSmtp::at(Stage::Ehlo, Act::Say("502 5.5.1 what?"));
        let channel = relay_with(&format!("{}{query}", server.url()), more);
        let outcome = channel.deliver(&envelope(), &Turnstile::default()).await;
        assert_eq!((kind(&outcome), trouble(&outcome).detail.as_str()), ("pool fault", words));
        assert!(server.commands().iter().all(|line| line.starts_with("EHLO") || line.starts_with("HELO")));
    }
    let deaf = ScriptedSmtp::start(|moment| {
        let is_helo = moment.stage == Stage::Helo;
        let words = if is_helo { "550 5.7.1 go away" } else { "502 5.5.1 what?" };
        (is_helo || moment.stage == Stage::Ehlo).then_some(Act::Say(words))
    });
    let outcome = relay(&deaf.url()).deliver(&envelope(), &Turnstile::default()).await;
    assert!(trouble(&outcome).detail.ends_with("HELO: 550 5.7.1 go away"), "{outcome:?}");
}

#[tokio::test]
async fn the_name_in_ehlo_is_the_settings_or_this_hosts_or_the_address() {
    for (name, said) in [("mail.example.com", "mail.example.com"), ("[192.0.2.1]", "[192.0.2.1]"), ("", "")] {
        let server = ScriptedSmtp::start(|_| None);
        let channel = relay_with(&server.url(), json!({"ehlo_name": name}));
        assert_eq!(kind(&channel.deliver(&envelope(), &Turnstile::default()).await), "accepted");
        let commands = server.commands();
        let introduced = commands[0].strip_prefix("EHLO ").unwrap();
        let by_itself = introduced == "[127.0.0.1]" || introduced.contains('.') && !introduced.starts_with('[');
        assert!(if said.is_empty() { by_itself } else { introduced == said }, "{introduced}");
    }
}

#[tokio::test]
async fn logins_are_found_in_the_old_spelling_and_login_is_spoken_whatever_its_questions_are_called() {
    let login = json!({"username": "user", "password": "pass"});
    let server = in_turn(Stage::Auth, "250-scripted\n250 AUTH=LOGIN PLAIN", &[]);
    let outcome = relay_with(&server.url(), login.clone()).deliver(&envelope(), &Turnstile::default()).await;
    assert_eq!(kind(&outcome), "accepted", "{outcome:?}");
    assert_eq!(server.commands()[1], "AUTH PLAIN AHVzZXIAcGFzcw==");
    for questions in [["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"], ["334 VXNlcjo=", "334 "]] {
        let answers = [questions[0], questions[1], "235 2.7.0 welcome"];
        let server = in_turn(Stage::Auth, "250-scripted\n250 AUTH LOGIN", &answers);
        let outcome = relay_with(&server.url(), login.clone()).deliver(&envelope(), &Turnstile::default()).await;
        assert_eq!(kind(&outcome), "accepted", "{outcome:?}");
        assert_eq!(server.commands()[1..4], ["AUTH LOGIN", "dXNlcg==", "cGFzcw=="]);
    }
}

#[tokio::test]
async fn a_relay_without_a_login_that_fits_is_told_with_what_it_offers() {
    let password = json!({"username": "u", "password": "p"});
    let token = json!({"username": "u", "oauth_token_file": "Cargo.toml"});
    for (more, offers, words) in [
        (
            &password,
            "250-x\n250 AUTH XOAUTH2 GSSAPI",
            "neither PLAIN nor LOGIN, but XOAUTH2 GSSAPI; XOAUTH2 takes oauth",
        ),
        (&password, "250-x\n250 AUTH CRAM-MD5", "neither PLAIN nor LOGIN, but CRAM-MD5"),
        (&password, "250-x\n250 SIZE 5", "the relay offers no login"),
        (&password, "250-x\n250 STARTTLS", "the relay offers no login before STARTTLS (?tls=required)"),
        (&token, "250-x\n250 AUTH PLAIN LOGIN", "the relay offers no XOAUTH2, but PLAIN LOGIN"),
    ] {
        let server = ScriptedSmtp::at(Stage::Ehlo, Act::Say(offers));
        let outcome = relay_with(&server.url(), more.clone()).deliver(&envelope(), &Turnstile::default()).await;
        assert_eq!(kind(&outcome), "pool fault", "{outcome:?}");
        assert!(trouble(&outcome).detail.contains(words), "{outcome:?}");
        assert_eq!(server.commands().len(), 1);
    }
}

const OFFERS_XOAUTH2: &str = "250-scripted\n250 AUTH XOAUTH2";

/// `user=user^Aauth=Bearer TOKEN^A^A` in base64, for the tokens of these tests.
const SHOWS_FIRST: &str = "dXNlcj11c2VyAWF1dGg9QmVhcmVyIGZpcnN0AQE=";
const SHOWS_SECOND: &str = "dXNlcj11c2VyAWF1dGg9QmVhcmVyIHNlY29uZAEB";

fn said_in_auth(server: &ScriptedSmtp) -> Vec<String> {
    let commands = server.commands();
    let words = commands.iter().filter_map(|line| line.strip_prefix("AUTH XOAUTH2"));
    words.map(|words| words.trim().to_owned()).collect()
}

#[tokio::test]
async fn a_token_from_a_file_is_read_for_each_connection() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let server = in_turn(Stage::Auth, OFFERS_XOAUTH2, &["235 2.7.0 welcome", "535 5.7.8 expired"]);
    let channel = relay_with(&server.url(), json!({"username": "user", "oauth_token_file": file}));
    let missing = channel.deliver(&envelope(), &Turnstile::default()).await;
    assert_eq!(kind(&missing), "pool fault");
    assert!(trouble(&missing).detail.starts_with("oauth_token_file: cannot read "), "{missing:?}");
    std::fs::write(&file, "first\n").unwrap();
    assert_eq!(kind(&channel.deliver(&envelope(), &Turnstile::default()).await), "accepted");
    server.cut_all();
    let gate = Turnstile::default();
    let expired = channel.deliver(&envelope(), &gate).await;
    assert_eq!((kind(&expired), gate.asked()), ("pool fault", 0));
    assert_eq!(trouble(&expired).detail, "AUTH: 535 5.7.8 expired");
    std::fs::write(&file, " second ").unwrap();
    assert_eq!(kind(&channel.deliver(&envelope(), &gate).await), "accepted");
    assert_eq!(said_in_auth(&server), [SHOWS_FIRST, SHOWS_FIRST, SHOWS_SECOND]);
}

#[tokio::test]
async fn a_challenge_after_a_refused_token_is_answered_so_that_the_refusal_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "first").unwrap();
    // As Google and Microsoft do: the reason as a challenge, and the refusal after an empty answer.
    let answers =
        ["334 eyJzdGF0dXMiOiI0MDAifQ==", "535-5.7.8 Username and Password not accepted.\n535 5.7.8 Learn more"];
    let server = in_turn(Stage::Auth, OFFERS_XOAUTH2, &answers);
    let channel = relay_with(&server.url(), json!({"username": "user", "oauth_token_file": file}));
    let outcome = channel.deliver(&envelope(), &Turnstile::default()).await;
    assert_eq!(kind(&outcome), "pool fault");
    assert!(trouble(&outcome).detail.contains("535 5.7.8 Username and Password not accepted"), "{outcome:?}");
    assert_eq!(server.commands()[2..], [""]);
}

#[tokio::test]
async fn a_token_too_long_for_a_command_line_waits_to_be_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "x".repeat(2000)).unwrap();
    let server = in_turn(Stage::Auth, OFFERS_XOAUTH2, &["334 ", "235 2.7.0 welcome"]);
    let channel = relay_with(&server.url(), json!({"username": "user", "oauth_token_file": file}));
    assert_eq!(kind(&channel.deliver(&envelope(), &Turnstile::default()).await), "accepted");
    let commands = server.commands();
    assert_eq!((commands[1].as_str(), commands[2].len()), ("AUTH XOAUTH2", 2700));
}

#[tokio::test]
async fn a_commands_token_serves_other_connections_until_the_relay_refuses_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "first").unwrap();
    let answers = ["235 2.7.0 welcome", "235 2.7.0 welcome", "535 5.7.8 expired", "235 2.7.0 welcome"];
    let server = in_turn(Stage::Auth, OFFERS_XOAUTH2, &answers);
    let channel = relay_with(&server.url(), json!({"username": "user", "oauth_token_command": ["cat", file]}));
    for token in ["second", "second", "third"] {
        assert_eq!(kind(&channel.deliver(&envelope(), &Turnstile::default()).await), "accepted");
        std::fs::write(&file, token).unwrap();
        server.cut_all();
    }
    assert_eq!(said_in_auth(&server), [SHOWS_FIRST, SHOWS_FIRST, SHOWS_FIRST, SHOWS_SECOND]);
    assert_eq!((server.connections(), server.taken().len()), (3, 3), "refreshed on the same connection");
}

#[tokio::test]
async fn a_token_command_that_fails_hangs_or_chatters_is_the_pools_fault_and_is_not_repeated() {
    for (command, words) in [
        (json!(["false"]), "oauth_token_command: false ended with exit status: 1"),
        (json!(["/nonexistent/token"]), "oauth_token_command: /nonexistent/token: "),
        (json!(["true"]), "oauth_token_command: nothing came; one token"),
        (json!(["echo", "s3cret and more"]), "oauth_token_command: the output is no token"),
        // No shell: nothing is expanded.
        (json!(["echo", "$(echo s3cret)"]), "oauth_token_command: the output is no token"),
        (json!(["yes", "s3cret"]), "oauth_token_command: more than 16 KiB came"),
        (json!(["sleep", "60"]), "oauth_token_command: no answer within 1 s"),
    ] {
        let server = ScriptedSmtp::at(Stage::Ehlo, Act::Say(OFFERS_XOAUTH2));
        let more = json!({"username": "user", "oauth_token_command": command});
        let outcome = relay_with(&server.url(), more).deliver(&envelope(), &Turnstile::default()).await;
        assert_eq!(kind(&outcome), "pool fault", "{outcome:?}");
        let detail = &trouble(&outcome).detail;
        assert!(detail.starts_with(words) && !detail.contains("s3cret"), "{detail}");
    }
}

#[tokio::test]
async fn a_messages_size_is_declared_and_a_relays_limit_is_kept_before_anything_is_said() {
    for offer in ["250-scripted\n250 SIZE 100000", "250-scripted\n250 SIZE 0", "250-scripted\n250 SIZE"] {
        let server = ScriptedSmtp::at(Stage::Ehlo, Act::Say(offer));
        assert_eq!(kind(&relay(&server.url()).deliver(&envelope(), &Turnstile::default()).await), "accepted");
        let taken = &server.taken()[0];
        assert_eq!(taken.from, format!("FROM:<shop@example.com> SIZE={}", taken.content.len()));
    }
    let small = ScriptedSmtp::at(Stage::Ehlo, Act::Say("250-scripted\n250 SIZE 1000"));
    let (channel, gate) = (relay(&small.url()), Turnstile::default());
    let mut long = envelope();
    long.message.text = "long ".repeat(300);
    for _ in 0..2 {
        let outcome = channel.deliver(&long, &gate).await;
        assert_eq!((kind(&outcome), gate.asked()), ("rejected", 0), "{outcome:?}");
        let detail = &trouble(&outcome).detail;
        assert!(detail.starts_with("the message has ") && detail.contains("at most 1000"), "{detail}");
    }
    assert_eq!((small.connections(), small.commands().len()), (1, 1));
    assert_eq!(kind(&channel.deliver(&envelope(), &gate).await), "accepted");
}

/// What a relay does with commands that came ahead of its answers.
#[derive(Clone, Copy, PartialEq)]
enum Ahead {
    Forgets,
    HangsUp,
    SaysNothing,
}

/// Relays, one conversation after another, that offer PIPELINING and cannot do it. Counts the commands `MAIL`.
fn cannot_hear_ahead(what: Ahead) -> (String, std::sync::Arc<AtomicUsize>) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}", socket.local_addr().unwrap());
    let mails = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&mails);
    std::thread::spawn(move || {
        for stream in socket.incoming() {
            let counted = std::sync::Arc::clone(&counted);
            std::thread::spawn(move || hold(&stream.unwrap(), what, &counted));
        }
    });
    (url, mails)
}

fn hold(mut stream: &TcpStream, what: Ahead, mails: &AtomicUsize) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let _ = stream.write_all(b"220 relay\r\n");
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|length| length > 0) {
        let command = line.trim_end();
        let answer = match command.get(..4).unwrap_or(command) {
            "EHLO" => "250-relay\r\n250 PIPELINING\r\n",
            "DATA" => "354 go on\r\n",
            "MAIL" => {
                mails.fetch_add(1, Ordering::SeqCst);
                let ahead = reader.buffer().len();
                match what {
                    _ if ahead == 0 => {}
                    Ahead::Forgets => reader.consume(ahead),
                    Ahead::HangsUp => return,
                    Ahead::SaysNothing => {
                        let _ = reader.read_to_end(&mut Vec::new());
                        return;
                    }
                }
                "250 ok\r\n"
            }
            "RCPT" | "." => "250 ok\r\n",
            _ => "",
        };
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
        line.clear();
    }
}

#[tokio::test]
async fn a_relay_that_cannot_hear_ahead_is_spoken_to_step_by_step_from_then_on() {
    for what in [Ahead::Forgets, Ahead::HangsUp, Ahead::SaysNothing] {
        let (url, mails) = cannot_hear_ahead(what);
        let (channel, gate) = (relay(&url), Turnstile::default());
        let began = Instant::now();
        assert_eq!(kind(&channel.deliver(&envelope(), &gate).await), "accepted");
        assert!(began.elapsed() < Duration::from_secs(4), "bounded by a command's timeout, 1 s");
        assert_eq!((gate.asked(), mails.load(Ordering::SeqCst)), (2, 2));
        for known in 3..=5 {
            assert_eq!(kind(&channel.deliver(&envelope(), &gate).await), "accepted");
            assert_eq!((gate.asked(), mails.load(Ordering::SeqCst)), (known, known), "asked once each");
        }
    }
}

#[tokio::test]
async fn nothing_is_sent_ahead_where_the_settings_forbid_it() {
    let (url, mails) = cannot_hear_ahead(Ahead::Forgets);
    let gate = Turnstile::default();
    let channel = relay_with(&url, json!({"pipelining": false}));
    assert_eq!(kind(&channel.deliver(&envelope(), &gate).await), "accepted");
    assert_eq!((gate.asked(), mails.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test]
async fn a_pooled_connection_that_died_says_nothing_about_sending_ahead() {
    let server = ScriptedSmtp::start(|moment| match (moment.stage, moment.connection) {
        (Stage::Ehlo, _) => Some(Act::Say(PIPELINING)),
        (Stage::Mail, 0) => (moment.accepted == 1).then_some(Act::Cut),
        // Refused in one piece with `DATA`, which only one that was sent ahead can be.
        (Stage::Rcpt, 1) => Some(Act::Say("550 5.1.1 no")),
        (_, _) => None,
    });
    let channel = relay(&server.url());
    for meaning in ["accepted", "rejected"] {
        assert_eq!(kind(&channel.deliver(&envelope(), &Turnstile::default()).await), meaning);
    }
    assert_eq!(server.commands().iter().filter(|line| *line == "DATA").count(), 2);
}

/// A message that no buffer between us and a relay that has stopped to read can hold.
fn huge() -> Envelope {
    let mut envelope = envelope();
    envelope.message.text = "more than a relay wants to read\n".repeat(500_000);
    envelope
}

/// A relay that reads a little of the content, says `words` and resets the connection.
fn resets_in_mid_content(words: &'static str) -> (String, std::thread::JoinHandle<()>) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}", socket.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = socket.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        stream.write_all(b"220 relay\r\n").unwrap();
        for answer in ["250 relay\r\n", "250 ok\r\n", "250 ok\r\n", "354 go on\r\n"] {
            reader.read_line(&mut String::new()).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
        reader.read_exact(&mut [0; 4096]).unwrap();
        stream.write_all(words.as_bytes()).unwrap();
        // Closed with the rest unread: the other side is reset.
    });
    (url, thread)
}

#[tokio::test]
async fn content_cut_while_it_is_written_was_not_accepted_and_an_early_answer_counts() {
    for (words, meaning, detail) in [
        ("552 5.3.4 too big\r\n", "rejected", "content: 552 5.3.4 too big"),
        ("452-4.3.1 no room\r\n452 4.3.1 now\r\n", "deferred", "content: 452 4.3.1 no room"),
        ("421 4.3.2 closing\r\n", "pool fault", "content: 421 4.3.2 closing"),
        ("", "deferred", "content: "),
        ("250 2.0.0 out of turn\r\n", "deferred", "content: "),
    ] {
        let (url, thread) = resets_in_mid_content(words);
        let outcome = relay(&url).deliver(&huge(), &Turnstile::default()).await;
        assert_eq!(kind(&outcome), meaning, "{words:?}: {outcome:?}");
        assert!(trouble(&outcome).detail.starts_with(detail), "{words:?}: {outcome:?}");
        thread.join().unwrap();
    }
}

#[tokio::test]
async fn a_relay_that_stops_to_read_in_mid_content_has_not_accepted_either() {
    for (act, meaning) in [(Act::Say("552 5.3.4 too big"), "rejected"), (Act::Cut, "deferred")] {
        let server = ScriptedSmtp::at(Stage::Content, act);
        let outcome = relay(&server.url()).deliver(&huge(), &Turnstile::default()).await;
        // One that goes on reading after its refusal has given its answer all the same.
        assert_eq!(kind(&outcome), meaning, "{outcome:?}");
    }
}
