use std::future::poll_fn;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::task::Poll;

use volley::channels::{Channel, build};
use volley::domain::dispatch::answer::AnswerClass;
use volley::domain::dispatch::delivery::ErrorCategory;
use volley::domain::dispatch::outcome::{NotBegun, Outcome};
use volley::domain::dispatch::trouble::Trouble;

use super::{Turnstile, envelope, kind, pool, trouble};
use crate::support::scripted_smtp::{Act, Moment, PIPELINING, ScriptedSmtp, Stage};

pub(crate) fn relay(url: &str) -> Box<dyn Channel> {
    relay_with(url, serde_json::json!({}))
}

pub(crate) fn relay_with(url: &str, more: serde_json::Value) -> Box<dyn Channel> {
    let mut settings = serde_json::json!({"url": url, "from": "Shop <shop@example.com>"});
    for (name, value) in more.as_object().unwrap() {
        settings[name] = value.clone();
    }
    build(&pool("smtp", settings)).unwrap()
}

#[tokio::test]
async fn an_accepted_message_brings_the_relays_queue_id() {
    let server = ScriptedSmtp::start(|_| None);
    let outcome = relay(&server.url()).deliver(&envelope(), &Turnstile::default()).await;
    assert_eq!(outcome, Outcome::Accepted { provider_id: Some("4XyZ".to_owned()) });
    assert_eq!(server.taken().len(), 1);
}

#[tokio::test]
async fn every_refusal_means_what_its_stage_and_code_say() {
    use Stage::{Auth, Data, Ehlo, Final, Greeting, Mail, Rcpt};
    for (stage, reply, meaning) in [
        (Greeting, "421 4.3.2 too busy", "pool fault"),
        (Greeting, "554 5.7.1 go away", "pool fault"),
        (Ehlo, "421 4.3.2 too busy", "pool fault"),
        (Ehlo, "550 5.7.1 go away", "pool fault"),
        (Auth, "454 4.7.0 not now", "pool fault"),
        (Auth, "535 5.7.8 wrong password", "pool fault"),
        (Mail, "421 4.3.2 closing", "pool fault"),
        (Mail, "451 4.3.0 not now", "pool fault"),
        (Mail, "550 5.7.1 sender refused", "pool fault"),
        (Mail, "354 what?", "pool fault"),
        (Rcpt, "421 4.3.2 closing", "pool fault"),
        (Rcpt, "450 4.2.1 greylisted", "deferred"),
        (Rcpt, "452 4.5.3 too many", "pool fault"),
        (Rcpt, "552 too many", "deferred"),
        (Rcpt, "552 5.2.2 full", "deferred"),
        (Rcpt, "550 5.2.2 full", "deferred"),
        (Rcpt, "550 4.2.2 full", "deferred"),
        (Rcpt, "550-no\n550-such\n550 user", "rejected"),
        (Rcpt, "550 5.4.5 daily user sending limit exceeded", "pool fault"),
        (Mail, "552 5.3.4 too big", "rejected"),
        (Mail, "550 5.7.60 not as this sender", "rejected"),
        (Rcpt, "550 5.2.1 disabled", "rejected"),
        (Rcpt, "450 4.7.1 too fast", "deferred"),
        (Rcpt, "550 5.7.1 not from you", "rejected"),
        (Rcpt, "550-5.1.1 nobody\n550 5.1.1 by that name", "rejected"),
        (Rcpt, "354 what?", "deferred"),
        (Data, "421 4.3.2 closing", "pool fault"),
        (Data, "451 4.3.0 not now", "deferred"),
        (Data, "554 5.2.2 full", "deferred"),
        (Data, "554 5.5.1 no valid recipients", "rejected"),
        (Data, "250 out of turn", "deferred"),
        (Final, "421 4.3.2 closing", "pool fault"),
        (Final, "451 4.7.1 try later", "deferred"),
        (Final, "552 5.2.2 full", "deferred"),
        (Final, "552 5.3.4 too big", "rejected"),
        (Final, "552 too big", "rejected"),
        (Final, "554 5.7.1 spam", "rejected"),
        (Final, "354 what?", "unknown"),
        (Final, "999 what?", "unknown"),
    ] {
        for server in [ScriptedSmtp::at, ScriptedSmtp::pipelining_at].map(|start| start(stage, Act::Say(reply))) {
            let login = serde_json::json!({"username": "u", "password": "p"});
            let outcome = relay_with(&server.url(), login).deliver(&envelope(), &Turnstile::default()).await;
            assert_eq!(kind(&outcome), meaning, "{stage:?} {reply}: {outcome:?}");
            assert!(server.taken().len() <= usize::from(stage == Final), "{stage:?} {reply}");
            let said = reply.split_once(' ').unwrap().0.get(..3).unwrap();
            if said != "999" {
                assert!(trouble(&outcome).detail.contains(said), "{outcome:?}");
            }
        }
    }
}

#[tokio::test]
async fn enhanced_codes_are_kept_and_addresses_are_not() {
    let server =
        ScriptedSmtp::at(Stage::Rcpt, Act::Say("550 5.1.1 <Bob@Example.COM>: bob is no user, ask root@relay.test"));
    let outcome = relay(&server.url()).deliver(&envelope(), &Turnstile::default()).await;
    let expected = "RCPT: 550 5.1.1 <[redacted]>: [redacted] is no user, ask [redacted]";
    assert_eq!(trouble(&outcome).detail, expected);
    assert_eq!(trouble(&outcome).category, ErrorCategory::Refused);
}

#[tokio::test]
async fn a_reply_of_many_lines_is_kept_whole_and_shown_in_part() {
    let reply =
        "550-5.1.1 The account that you tried to reach\n550-5.1.1 does not exist.\n550 5.1.1 Try bob@example.com";
    let server = ScriptedSmtp::at(Stage::Rcpt, Act::Say(reply));
    let outcome = relay(&server.url()).deliver(&envelope(), &Turnstile::default()).await;
    let expected = "RCPT: 550 5.1.1 The account that you tried to reach does not exist. Try [redacted]";
    assert_eq!(trouble(&outcome).detail, expected);
    // What it says in its last line decides, however much is said before.
    let long = format!("550-{}\n550 relaying denied", "no ".repeat(200));
    let server = ScriptedSmtp::at(Stage::Rcpt, Act::Say(Box::leak(long.into_boxed_str())));
    let outcome = relay(&server.url()).deliver(&envelope(), &Turnstile::default()).await;
    let Outcome::Refused(refusal) = &outcome else { panic!("{outcome:?}") };
    assert_eq!((refusal.class, refusal.permanent), (AnswerClass::Policy, true));
    assert_eq!(refusal.trouble.detail.chars().count(), Trouble::MAX_DETAIL);
}

#[tokio::test]
async fn a_policys_no_is_told_from_a_bad_address_and_from_a_pace_that_is_too_fast() {
    use Stage::{Final, Mail, Rcpt};
    for (stage, reply, category, detail) in [
        (Rcpt, "550 5.1.1 nobody", ErrorCategory::Refused, "RCPT: 550 5.1.1 nobody"),
        (Rcpt, "550 5.7.1 spam", ErrorCategory::Policy, "refused by policy: RCPT: 550 5.7.1 spam"),
        (Final, "554 5.7.1 spam", ErrorCategory::Policy, "refused by policy: final dot: 554 5.7.1 spam"),
        (Mail, "550 5.7.1 not you", ErrorCategory::Policy, "refused by policy: MAIL: 550 5.7.1 not you"),
        (Rcpt, "450 4.2.1 greylisted", ErrorCategory::ProviderError, "RCPT: 450 4.2.1 greylisted"),
        (Rcpt, "450 4.7.1 slower", ErrorCategory::Throttled, "RCPT: 450 4.7.1 slower"),
        (Final, "451 4.7.500 busy", ErrorCategory::Throttled, "final dot: 451 4.7.500 busy"),
    ] {
        let server = ScriptedSmtp::at(stage, Act::Say(reply));
        let outcome = relay(&server.url()).deliver(&envelope(), &Turnstile::default()).await;
        let trouble = trouble(&outcome);
        assert_eq!((trouble.category, trouble.detail.as_str()), (category, detail), "{stage:?} {reply}");
    }
}

#[tokio::test]
async fn a_cut_is_ambiguous_only_once_the_content_may_have_left() {
    use Stage::{Auth, Content, Data, Ehlo, Final, Greeting, Mail, Rcpt};
    for (stage, meaning) in [
        (Greeting, "pool fault"),
        (Ehlo, "pool fault"),
        (Auth, "pool fault"),
        (Mail, "pool fault"),
        (Rcpt, "deferred"),
        (Data, "deferred"),
        (Content, "unknown"),
        (Final, "unknown"),
    ] {
        for server in [ScriptedSmtp::at, ScriptedSmtp::pipelining_at].map(|start| start(stage, Act::Cut)) {
            let login = serde_json::json!({"username": "u", "password": "p"});
            let outcome = relay_with(&server.url(), login).deliver(&envelope(), &Turnstile::default()).await;
            assert_eq!(kind(&outcome), meaning, "{stage:?}: {outcome:?}");
            assert_eq!(trouble(&outcome).category, ErrorCategory::Network, "{stage:?}");
        }
    }
}

#[tokio::test]
async fn silence_means_the_same_as_a_cut_and_ends_within_the_timeout() {
    use Stage::{Auth, Data, Ehlo, Final, Greeting, Mail, Rcpt};
    let stages = [
        (Greeting, "pool fault"),
        (Ehlo, "pool fault"),
        (Auth, "pool fault"),
        (Mail, "pool fault"),
        (Rcpt, "deferred"),
        (Data, "deferred"),
        (Final, "unknown"),
    ];
    let starts = [ScriptedSmtp::at, ScriptedSmtp::pipelining_at];
    let cases = starts.iter().flat_map(|start| stages.map(|(stage, meaning)| (start, stage, meaning)));
    let waits = cases.map(|(start, stage, meaning)| async move {
        let server = start(stage, Act::Silence);
        let login = serde_json::json!({"username": "u", "password": "p"});
        let channel = relay_with(&server.url(), login);
        let began = std::time::Instant::now();
        let outcome = channel.deliver(&envelope(), &Turnstile::default()).await;
        assert_eq!(kind(&outcome), meaning, "{stage:?}: {outcome:?}");
        assert!(trouble(&outcome).detail.contains("no answer within 1 s"), "{outcome:?}");
        assert!(began.elapsed() < channel.call_timeout(), "{stage:?}");
    });
    futures_util::future::join_all(waits).await;
}

#[tokio::test]
async fn a_refused_port_and_an_unknown_host_are_the_pools_fault() {
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for url in [format!("smtp://{refused}"), "smtp://nowhere.invalid:25?tls=none".to_owned()] {
        let gate = Turnstile::default();
        let outcome = relay(&url).deliver(&envelope(), &gate).await;
        assert_eq!(kind(&outcome), "pool fault", "{outcome:?}");
        assert_eq!(gate.asked(), 0, "nothing was begun");
        assert!(relay(&url).probe().await.is_err());
    }
}

#[tokio::test]
async fn without_starttls_nothing_is_said_to_a_relay_that_must_offer_it() {
    let server = ScriptedSmtp::start(|_| None);
    let login = serde_json::json!({"username": "u", "password": "p"});
    let outcome =
        relay_with(&format!("{}?tls=required", server.url()), login).deliver(&envelope(), &Turnstile::default()).await;
    assert_eq!(kind(&outcome), "pool fault");
    assert!(trouble(&outcome).detail.contains("STARTTLS"), "{outcome:?}");
    assert!(server.commands().iter().all(|line| line.starts_with("EHLO")), "{:?}", server.commands());
}

#[tokio::test]
async fn a_tls_handshake_that_fails_or_hangs_is_the_pools_fault() {
    let talks_in_the_clear = ScriptedSmtp::start(|_| None);
    let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
    let hangs_url = format!("smtps://{}", hangs.local_addr().unwrap());
    for url in [talks_in_the_clear.url().replace("smtp://", "smtps://"), hangs_url] {
        let gate = Turnstile::default();
        let outcome = relay(&url).deliver(&envelope(), &gate).await;
        assert_eq!((kind(&outcome), gate.asked()), ("pool fault", 0), "{outcome:?}");
        assert!(trouble(&outcome).detail.starts_with("TLS handshake: "), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_shut_gate_lets_no_byte_out_and_costs_no_connection() {
    let server = ScriptedSmtp::start(|_| None);
    let channel = relay(&server.url());
    let shut = Turnstile::shut(NotBegun::Late);
    assert_eq!(channel.deliver(&envelope(), &shut).await, Outcome::NotBegun(NotBegun::Late));
    assert_eq!(kind(&channel.deliver(&envelope(), &Turnstile::default()).await), "accepted");
    assert_eq!(server.connections(), 1);
    let mails = server.commands().iter().filter(|line| line.starts_with("MAIL")).count();
    assert_eq!((shut.asked(), mails), (1, 1));
}

#[tokio::test]
async fn one_connection_carries_one_message_after_another() {
    let server = ScriptedSmtp::start(|_| None);
    let channel = relay(&server.url());
    for _ in 0..5 {
        assert_eq!(kind(&channel.deliver(&envelope(), &Turnstile::default()).await), "accepted");
    }
    assert_eq!((server.connections(), server.taken().len()), (1, 5));
}

#[tokio::test]
async fn after_a_refused_recipient_the_transaction_is_reset_and_the_connection_kept() {
    let refuse_first =
        |moment: Moment| (moment.stage == Stage::Rcpt && moment.accepted == 1).then_some(Act::Say("550 5.1.1 no"));
    let server = ScriptedSmtp::start(refuse_first);
    let channel = relay(&server.url());
    for meaning in ["accepted", "rejected", "rejected"] {
        assert_eq!(kind(&channel.deliver(&envelope(), &Turnstile::default()).await), meaning);
    }
    assert_eq!(server.connections(), 1);
    assert_eq!(server.commands().iter().filter(|line| *line == "RSET").count(), 1);
}

#[tokio::test]
async fn a_relay_that_offers_pipelining_hears_mail_rcpt_and_data_at_once() {
    let relay_socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}", relay_socket.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = relay_socket.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
        stream.write_all(b"220 relay\r\n").unwrap();
        assert!(lines.next().unwrap().starts_with("EHLO "));
        stream.write_all(b"250-relay\r\n250 PIPELINING\r\n").unwrap();
        // Not one answer before all three are there.
        let said: Vec<String> = lines.by_ref().take(3).collect();
        stream.write_all(b"250 ok\r\n250 ok\r\n354 go on\r\n").unwrap();
        assert!(lines.any(|line| line == "."));
        stream.write_all(b"250 ok\r\n").unwrap();
        said
    });
    assert_eq!(kind(&relay(&url).deliver(&envelope(), &Turnstile::default()).await), "accepted");
    assert_eq!(server.join().unwrap(), ["MAIL FROM:<shop@example.com>", "RCPT TO:<bob@example.com>", "DATA"]);
}

#[tokio::test]
async fn after_a_recipient_refused_in_one_piece_with_data_the_connection_is_kept_unless_content_is_wanted() {
    for (data, connections) in [("503 5.5.1 no recipients", 1), ("354 go on", 2)] {
        let server = ScriptedSmtp::start(move |moment| match (moment.stage, moment.connection, moment.accepted) {
            (Stage::Ehlo, _, _) => Some(Act::Say(PIPELINING)),
            (Stage::Rcpt, 0, 1) => Some(Act::Say("550 5.1.1 no")),
            (Stage::Data, 0, 1) => Some(Act::Say(data)),
            _ => None,
        });
        let channel = relay(&server.url());
        assert_eq!(kind(&channel.deliver(&envelope(), &Turnstile::default()).await), "accepted");
        assert_eq!(kind(&channel.deliver(&envelope(), &Turnstile::default()).await), "rejected");
        let third = channel.deliver(&envelope(), &Turnstile::default()).await;
        assert_eq!(kind(&third), if connections == 1 { "rejected" } else { "accepted" }, "{data}");
        assert_eq!((server.connections(), server.taken().len()), (connections, connections), "{data}");
    }
}

#[tokio::test]
async fn a_pooled_connection_found_dead_is_replaced_once_without_an_attempt() {
    let server = ScriptedSmtp::start(|_| None);
    let channel = relay(&server.url());
    assert_eq!(kind(&channel.deliver(&envelope(), &Turnstile::default()).await), "accepted");
    server.cut_all();
    let gate = Turnstile::default();
    assert_eq!(kind(&channel.deliver(&envelope(), &gate).await), "accepted");
    assert_eq!((server.connections(), server.taken().len(), gate.asked()), (2, 2, 1));
}

#[tokio::test]
async fn a_pooled_connection_that_dies_at_mail_is_replaced_once_without_an_attempt() {
    let server = ScriptedSmtp::start(|moment| {
        (moment.stage == Stage::Mail && moment.connection == 0 && moment.accepted == 1).then_some(Act::Cut)
    });
    let channel = relay(&server.url());
    assert_eq!(kind(&channel.deliver(&envelope(), &Turnstile::default()).await), "accepted");
    let gate = Turnstile::default();
    assert_eq!(kind(&channel.deliver(&envelope(), &gate).await), "accepted");
    assert_eq!((server.connections(), server.taken().len(), gate.asked()), (2, 2, 2));
}

#[tokio::test]
async fn a_relay_that_said_goodbye_on_an_idle_connection_is_not_spoken_to_on_it() {
    let server = ScriptedSmtp::start(|moment| {
        // The answer to the first message, and the goodbye of a relay that has waited long enough.
        (moment.stage == Stage::Final && moment.connection == 0)
            .then_some(Act::Say("250 2.0.0 ok\n421 4.4.2 idle for too long"))
    });
    let channel = relay(&server.url());
    for _ in 0..2 {
        assert_eq!(kind(&channel.deliver(&envelope(), &Turnstile::default()).await), "accepted");
    }
    let mails = server.commands().iter().filter(|line| line.starts_with("MAIL")).count();
    assert_eq!((server.connections(), mails), (2, 2));
}

#[tokio::test]
async fn a_relay_that_hangs_up_on_fresh_connections_too_is_the_pools_fault() {
    let server = ScriptedSmtp::start(|moment| {
        let first = moment.connection == 0 && moment.accepted == 0;
        (moment.stage == Stage::Mail && !first).then_some(Act::SayAndCut("421 4.7.0 enough"))
    });
    let channel = relay(&server.url());
    assert_eq!(kind(&channel.deliver(&envelope(), &Turnstile::default()).await), "accepted");
    assert_eq!(kind(&channel.deliver(&envelope(), &Turnstile::default()).await), "pool fault");
    assert_eq!((server.connections(), server.taken().len()), (2, 1));
}

#[tokio::test]
async fn a_connection_that_timed_out_or_was_dropped_midway_is_never_used_again() {
    let server =
        ScriptedSmtp::start(|moment| (moment.stage == Stage::Rcpt && moment.connection == 0).then_some(Act::Silence));
    let channel = relay(&server.url());
    assert_eq!(kind(&channel.deliver(&envelope(), &Turnstile::default()).await), "deferred");
    let (envelope, gate) = (envelope(), Turnstile::default());
    {
        let mut dropped = channel.deliver(&envelope, &gate);
        // Polled until the hand-over has begun, then dropped.
        poll_fn(|cx| match dropped.as_mut().poll(cx) {
            Poll::Ready(outcome) => panic!("{outcome:?}"),
            Poll::Pending if gate.asked() == 1 => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        })
        .await;
    }
    assert_eq!(kind(&channel.deliver(&envelope, &gate).await), "accepted");
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_probe_asks_for_the_sender_and_sends_nothing() {
    let server = ScriptedSmtp::start(|_| None);
    let login = serde_json::json!({"username": "u", "password": "p"});
    assert!(relay_with(&server.url(), login).probe().await.is_ok());
    let verbs: Vec<String> = server.commands().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(verbs, ["EHLO", "AUTH", "MAIL", "RSET", "QUIT"]);
    let strict = ScriptedSmtp::at(Stage::Mail, Act::Say("553 5.7.1 <shop@example.com> is not yours"));
    let refused = relay(&strict.url()).probe().await.unwrap_err();
    assert!(refused.contains("MAIL: 553 5.7.1") && refused.contains("is not yours"), "{refused}");
}

#[test]
fn settings_that_cannot_work_are_refused_naming_the_setting() {
    for (more, named) in [
        (serde_json::json!({"from": "a@example.com"}), "url is required"),
        (serde_json::json!({"url": "smtp://relay.test"}), "from is required"),
        (serde_json::json!({"url": "http://relay.test", "from": "a@example.com"}), "http://"),
        (serde_json::json!({"url": "smtp://relay.test/path", "from": "a@example.com"}), "path"),
        (serde_json::json!({"url": "smtp://relay.test?tls=maybe", "from": "a@example.com"}), "tls"),
        (serde_json::json!({"url": "smtp://relay.test?tsl=none", "from": "a@example.com"}), "tsl"),
        (serde_json::json!({"url": "smtps://relay.test?tls=none", "from": "a@example.com"}), "smtps"),
        (serde_json::json!({"url": "smtp://u@relay.test", "from": "a@example.com"}), "password"),
        (serde_json::json!({"url": "smtp://u:p@relay.test?tls=none", "from": "a@example.com"}), "unencrypted"),
        (serde_json::json!({"url": "smtp://relay.test", "from": "Shop"}), "from"),
        (serde_json::json!({"url": "smtp://relay.test", "from": "Shop\r\nBcc: x <a@example.com>"}), "from"),
    ] {
        let refused = build(&pool("smtp", more.clone())).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains(named), "{more}: {refused}");
        assert!(!refused.contains(":p@"), "{refused}");
    }
    for url in ["smtps://u:p@relay.test", "smtp://[::1]:2525", "smtp://relay.test:2525?tls=opportunistic"] {
        relay(url);
    }
}
