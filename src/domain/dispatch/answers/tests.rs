use super::*;
use AnswerClass::{
    Address, Content, Policy, Recipient, RelayAuth, RelayConnections, RelayOutage, RelayQuota, RelayRate, Sender,
    Unsure,
};

fn smtp(stage: Stage, reply: &str) -> Meaning {
    smtp_of(None, stage, reply)
}

fn smtp_of(provider: Option<&str>, stage: Stage, reply: &str) -> Meaning {
    let (code, text) = reply.split_at(3);
    Book::new(Way::Smtp, provider, []).smtp(stage, code.parse().unwrap(), text.trim_start())
}

fn http(status: u16, body: &str) -> Meaning {
    Book::new(Way::Http, None, []).http(status, body)
}

/// An answer that a row is written for: its codes, and its words with something between them.
fn example(row: &Row) -> (u16, String) {
    let words = match row.words.strip_prefix("code=") {
        Some(number) => format!("{{\"error\": {{\"code\": {number}, \"message\": \"no\"}}}}"),
        None => row.words.replace('*', " of this one "),
    };
    let enhanced = row.enhanced.map(|code| code.to_string().replace('x', "5")).unwrap_or_default();
    let temporary = enhanced.starts_with('4') || enhanced.is_empty() && !row.permanent;
    let code = row.code.unwrap_or(match (row.way, temporary) {
        (Way::Http, _) => 400,
        (Way::Smtp, true) => 450,
        (Way::Smtp, false) => 550,
    });
    (code, format!("{enhanced} Sorry: {words}").trim().to_owned())
}

#[test]
fn every_line_of_the_table_can_be_read() {
    assert_eq!(rows().len(), TABLE.lines().count() - 1);
    for row in rows() {
        assert!(row.source.starts_with("https://"), "{row:?}");
        assert!(row.standing != Standing::Own && (!row.permanent || row.wait.is_none()), "{row:?}");
        assert!(row.code.is_some() || row.enhanced.is_some() || !row.words.is_empty(), "{row:?}");
        assert_eq!(said::normal(&row.words), row.words, "{row:?}");
        // 421 and 432 are the relay's, unless they name the recipient.
        let is_relays = row.way == Way::Smtp && matches!(row.code, Some(421 | 432));
        assert!(!is_relays || row.class.is_relay() || row.class == Recipient, "{row:?}");
    }
}

#[test]
fn every_row_of_the_table_means_what_it_says() {
    for row in rows() {
        let provider = Some(&*row.provider).filter(|provider| *provider != "generic");
        let (code, text) = example(row);
        let book = Book::new(row.way, provider, []);
        let meaning = match row.way {
            Way::Smtp => book.smtp(Stage::Rcpt, code, &text),
            Way::Http => book.http(code, &text),
        };
        assert_eq!((meaning.class, meaning.permanent, meaning.wait), (row.class, row.permanent, row.wait), "{row:?}");
    }
}

#[test]
fn what_is_about_pace_is_retried_although_its_code_is_permanent() {
    for (reply, class) in [
        ("550 5.4.5 Daily user sending limit exceeded.", RelayQuota),
        ("550 5.4.5 see the page", RelayQuota),
        ("550 5.7.1 Daily SMTP relay sending limit exceeded", RelayQuota),
        ("550 5.7.1 Our system has detected an unusual rate; it has been rate limited", RelayRate),
        ("550 5.2.1 The user is receiving mail at a rate that prevents additional messages", Recipient),
        ("550 5.2.121 RESOLVER.RST.RecipientRateLimit", Recipient),
        ("550 5.2.122 The recipient has exceeded their limit", Recipient),
        ("550 5.1.90 Your message can't be sent because you've reached your daily limit", RelayQuota),
        ("550 5.2.2 Submission quota exceeded", RelayQuota),
        ("451 5.7.500 Access denied, please try again later", RelayRate),
        ("550 5.7.500 Access denied", RelayRate),
        ("552 too many recipients", RelayRate),
        ("550 too many messages, try again later", RelayRate),
        ("550 frequency limited", RelayRate),
        ("550 Exceeding outbound thread limit", RelayConnections),
        ("552 5.2.2 The mailbox is full", Recipient),
    ] {
        let meaning = smtp(Stage::Content, reply);
        assert_eq!((meaning.class, meaning.permanent), (class, false), "{reply}");
    }
}

/// The answers of which the code alone says nothing: the words tell.
#[test]
fn where_the_code_is_ambiguous_the_words_decide() {
    for (provider, reply, class, permanent) in [
        (None, "450 4.7.1 Greylisting in action", Recipient, false),
        (Some("apple"), "421 4.7.1 Messages to x deferred due to excessive volume", Recipient, false),
        (Some("apple"), "451 4.7.1 Service unavailable - try again later", RelayOutage, false),
        (None, "451 4.7.1 Service unavailable - try again later", Unsure, false),
        (None, "421 4.7.0 Try again later, closing connection.", RelayRate, false),
        (None, "421 4.7.0 due to the very low reputation of the sending domain", RelayRate, false),
        (None, "454 4.7.0 Temporary authentication failure", RelayAuth, false),
        (None, "454 4.7.0 TLS not available due to local problem", Unsure, false),
        (Some("google"), "450 4.2.1 The user is receiving mail too quickly", Recipient, false),
        (Some("google"), "450 4.2.1 Peak SMTP relay limit exceeded for customer", RelayRate, false),
        (None, "432 4.3.2 STOREDRV; recipient thread limit exceeded", Recipient, false),
        (None, "432 4.3.2 Concurrent connections limit exceeded (3)", RelayConnections, false),
        (None, "550 5.7.1 message content rejected due to spam", Content, true),
        (None, "550 5.7.1 go away", Policy, true),
        (None, "550 5.7.1 Relaying denied", Policy, true),
        (None, "554 5.7.1 <x>: Relay access denied", Policy, true),
        (None, "550 5.7.1 daily smtp relay sending limit exceeded", RelayQuota, false),
        (None, "550 5.7.1 recipient marked as invalid", Recipient, true),
        (None, "550 5.4.1 Recipient address rejected: Access denied", Recipient, true),
        (None, "550 5.4.1 Relay access denied", Recipient, true),
        (None, "550 5.2.1 The account is disabled", Recipient, true),
        (None, "550 5.2.1 receives mail at a rate that prevents more", Recipient, false),
        (None, "550 no", Unsure, true),
        (None, "554 no", Unsure, true),
        (None, "450 mailbox unavailable", Unsure, false),
        (None, "451 Temporary local problem - please try later", Unsure, false),
        (None, "451 4.3.0 Temporary lookup failure", Unsure, false),
        (Some("ses"), "454 Throttling failure: Maximum sending rate exceeded.", RelayRate, false),
        (Some("ses"), "454 Throttling failure: Daily message quota exceeded.", RelayQuota, false),
        (Some("ses"), "454 Temporary authentication failure", RelayAuth, false),
        (Some("ses"), "454 something else", Unsure, false),
        (Some("mimecast"), "503 User unknown", Address, true),
        (Some("microsoft"), "554 5.2.252 SendAsDenied; shop@x not allowed to send as", Sender, true),
        (Some("microsoft"), "550 5.7.60 SMTP; Client does not have permissions to send as this sender", Sender, true),
        (Some("microsoft"), "554 5.2.2 mailbox full; STOREDRV.Submission", RelayQuota, false),
        (None, "452 4.2.2 The recipient's inbox is out of storage space and over quota", Recipient, false),
        (None, "552 exceeded storage allocation Quota exceeded", Recipient, false),
        (None, "450 user unknown", Recipient, false),
        (None, "550 user unknown", Address, true),
        (None, "550 5.1.1 user unknown", Address, true),
        (None, "550 5.7.1 user unknown to our policy: blocked", Recipient, true),
        (None, "550 5.2.1 user unknown here", Recipient, true),
    ] {
        let meaning = smtp_of(provider, Stage::Rcpt, reply);
        assert_eq!((meaning.class, meaning.permanent), (class, permanent), "{provider:?} {reply}");
    }
    let mailgun = Book::new(Way::Http, Some("mailgun"), []);
    assert_eq!((mailgun.http(404, "").class, http(404, "").class), (Unsure, Policy));
    assert_eq!((http(403, "").class, http(403, "{\"reason\": \"rate limit\"}").class), (RelayAuth, RelayRate));
}

#[test]
fn what_is_not_in_the_table_is_told_by_its_enhanced_code() {
    for (reply, class) in [
        ("553 5.1.7 x", Sender),
        ("450 4.1.8 x", Sender),
        ("553 5.1.4 x", Recipient),
        ("450 4.2.0 x", Recipient),
        ("554 5.3.4 x", Content),
        ("450 4.4.1 x", Recipient),
        ("550 5.4.4 x", Recipient),
        ("550 5.4.6 x", Recipient),
        ("550 5.3.2 x", RelayOutage),
        ("450 4.4.2 x", RelayOutage),
        ("554 5.4.7 x", RelayOutage),
        ("450 4.7.0 x", Unsure),
        ("450 4.3.0 x", Unsure),
        ("450 x", Unsure),
        ("550 x", Unsure),
        ("554 5.6.3 x", Content),
        ("554 5.7.4 x", Policy),
        ("554 5.5.1 x", Unsure),
    ] {
        let meaning = smtp(Stage::Rcpt, reply);
        assert_eq!((meaning.class, meaning.permanent), (class, reply.starts_with('5')), "{reply}");
    }
    assert!(!smtp(Stage::Rcpt, "552 x").permanent, "RFC 5321 4.5.3.1.10: too many recipients");
}

#[test]
fn before_a_recipient_is_named_the_relay_refuses() {
    for (stage, reply, class) in [
        (Stage::Connect, "421 too many concurrent SMTP connections", RelayConnections),
        (Stage::Connect, "421 4.3.2 busy", RelayOutage),
        (Stage::Connect, "554 5.7.1 go away", RelayAuth),
        (Stage::Connect, "550 user unknown", RelayOutage),
        (Stage::Auth, "535 5.7.8 no", RelayAuth),
        (Stage::Auth, "454 4.7.0 later", RelayAuth),
        (Stage::Auth, "451 Maximum credits exceeded", RelayQuota),
        (Stage::Auth, "550 too many messages", RelayRate),
        (Stage::Mail, "451 4.3.0 later", RelayOutage),
        (Stage::Mail, "451 4.7.1 later", RelayRate),
        (Stage::Mail, "550 5.7.1 sender refused", RelayAuth),
        (Stage::Mail, "550 5.7.0 Mail relay denied", RelayAuth),
        (Stage::Mail, "550 no", RelayOutage),
        (Stage::Mail, "450 4.1.8 Sender address rejected: Domain not found", RelayOutage),
        (Stage::Mail, "550 5.1.0 no", Sender),
        (Stage::Mail, "550 5.7.60 no", Sender),
        (Stage::Mail, "554 SendAsDenied", Sender),
        (Stage::Mail, "550 user unknown", Recipient),
        (Stage::Mail, "552 5.3.4 Message size exceeds fixed limit", Content),
        (Stage::Rcpt, "421 4.4.2 timeout exceeded", RelayOutage),
        (Stage::Content, "421 4.7.0 x", RelayRate),
        (Stage::Content, "421 x", RelayOutage),
        (Stage::Rcpt, "432 x", RelayConnections),
        (Stage::Rcpt, "421 4.2.1 mailbox busy", Recipient),
    ] {
        assert_eq!(smtp(stage, reply).class, class, "{stage:?} {reply}");
    }
    assert_eq!((http(429, "").class, http(503, "").class), (RelayRate, RelayOutage));
}

#[test]
fn an_http_status_means_what_the_table_says_and_its_words_more() {
    for (status, body, class, permanent) in [
        (301, "", Policy, true),
        (400, "", Content, true),
        (401, "", RelayAuth, true),
        (402, "", RelayQuota, true),
        (403, "", RelayAuth, true),
        (404, "", Policy, true),
        (405, "", Policy, true),
        (407, "", RelayAuth, true),
        (413, "", Content, true),
        (415, "", Policy, true),
        (418, "", Policy, true),
        (422, "", Content, true),
        (400, "{\"error\": \"Invalid phone number\"}", Address, true),
        (429, "{\"name\": \"daily quota\"}", RelayQuota, false),
        (400, "{\"message\": \"Throttling\"}", RelayRate, false),
    ] {
        let meaning = http(status, body);
        assert_eq!((meaning.class, meaning.permanent), (class, permanent), "{status} {body}");
    }
    let twilio = Book::new(Way::Http, Some("twilio"), []);
    assert_eq!(twilio.http(400, "{\"code\": 21211, \"message\": \"no\"}").class, Address);
    assert_eq!(twilio.http(400, "{\"code\":\"14107\"}").wait, Some(Duration::from_secs(30)));
    for other in ["{\"code\": 212110}", "{\"to\": 21211}", "{\"message\": \"21211\"}"] {
        assert_eq!(twilio.http(400, other).class, Content, "{other}");
    }
    assert_eq!(http(400, "{\"code\": 21211}").class, Content, "a number means something from its own provider only");
}

#[test]
fn a_multi_line_reply_is_read_whole() {
    let reply = "550-5.7.1 [192.0.2.1] Our system has detected something\n5.7.1 that is\n5.7.1 likely unsolicited mail";
    let meaning = smtp(Stage::Content, reply);
    assert_eq!((meaning.class, meaning.enhanced), (Content, Some([5, 7, 1])));
    assert_eq!(smtp(Stage::Rcpt, "550 no\n5.1.1 such\nuser").enhanced, Some([5, 1, 1]));
    for (reply, enhanced) in [
        ("451 4.7.500 Server busy", Some([4, 7, 500])),
        ("421 5.7.32 not aligned", Some([5, 7, 32])),
        ("550 #5.1.0 Address rejected", Some([5, 1, 0])),
        ("550 no 5.7.1", None),
        ("550 5.7 no", None),
        ("550 5.7.1.2 no", None),
        ("550 10.0.0.1 no", None),
        ("550 ", None),
    ] {
        assert_eq!(smtp(Stage::Rcpt, reply).enhanced, enhanced, "{reply}");
    }
    // However long it is.
    assert_eq!(smtp(Stage::Rcpt, &format!("550 {}", "é".repeat(20_000))).class, Unsure);
}

#[test]
fn a_wait_that_the_words_name_is_read_and_is_an_hour_at_most() {
    for (words, seconds) in [
        ("greylisted, please try again in 300 seconds", Some(300)),
        ("Please retry in 5 minutes.", Some(300)),
        ("try again in 30s", Some(30)),
        ("wait 1 hour", Some(3600)),
        ("come back in 2 hours", Some(3600)),
        ("Greylisted for 60 secs", Some(60)),
        ("retry after 0 seconds", Some(1)),
        ("try again later", None),
        ("10 messages in 60 seconds are allowed", None),
        ("try again in a minute", None),
        ("try again in 5 apples", None),
        ("try again in 99999999999999999999999 s", None),
    ] {
        assert_eq!(named_wait(words), seconds.map(Duration::from_secs), "{words}");
    }
    assert_eq!(smtp(Stage::Rcpt, "450 4.2.0 Greylisted").wait, Some(Duration::from_secs(300)));
    assert_eq!(smtp(Stage::Rcpt, "450 4.2.0 Greylisted for 60 seconds").wait, Some(Duration::from_secs(60)));
    assert_eq!(smtp(Stage::Rcpt, "550 5.1.1 blocked for 60 seconds").wait, None, "what is permanent is not waited for");
}

#[test]
fn a_pools_own_rows_come_first() {
    let own = |code, enhanced, words, class, permanent, wait| {
        Row::own(Way::Smtp, (code, enhanced, words), class, permanent, wait).unwrap()
    };
    let book = Book::new(
        Way::Smtp,
        None,
        [
            own(Some(550), Some("5.7.1"), Some("Not  Today"), RelayRate, false, Some(60)),
            own(None, Some("x.1.1"), None, Policy, true, None),
        ],
    );
    let meaning = book.smtp(Stage::Rcpt, 550, "5.7.1 sorry, not today: user unknown");
    assert_eq!((meaning.class, meaning.permanent, meaning.wait), (RelayRate, false, Some(Duration::from_secs(60))));
    assert_eq!(book.smtp(Stage::Rcpt, 450, "4.1.1 no").class, Policy);
    assert_eq!(book.smtp(Stage::Rcpt, 550, "5.1.2 no").class, Address);
    let sick = Row::own(Way::Http, (Some(500), None, Some("no such number")), Recipient, true, None).unwrap();
    let book = Book::new(Way::Http, None, [sick]);
    assert_eq!(book.own(500, "{\"error\": \"No such number\"}").map(|meaning| meaning.class), Some(Recipient));
    assert_eq!(book.own(500, ""), None);
}

#[test]
fn rows_that_cannot_work_are_refused() {
    let own = |way, what, permanent, wait| Row::own(way, what, Policy, permanent, wait).unwrap_err().to_string();
    for (refused, said) in [
        (own(Way::Smtp, (None, None, None), false, None), "at least one"),
        (own(Way::Smtp, (None, None, Some("  ")), false, None), "at least one"),
        (own(Way::Smtp, (Some(250), None, None), false, None), "code: 250"),
        (own(Way::Http, (Some(600), None, None), false, None), "code: 600"),
        (own(Way::Smtp, (None, Some("5.7"), None), false, None), "enhanced: \"5.7\""),
        (own(Way::Smtp, (None, Some("2.1.5"), None), false, None), "enhanced"),
        (own(Way::Http, (None, Some("5.7.1"), None), false, None), "enhanced"),
        (own(Way::Smtp, (None, None, Some("*a*")), false, None), "words"),
        (own(Way::Smtp, (Some(450), None, None), false, Some(3601)), "wait_seconds: 3601"),
        (own(Way::Smtp, (Some(450), None, None), true, Some(60)), "permanent"),
    ] {
        assert!(refused.contains(said), "{refused}");
    }
}

#[test]
fn a_host_gives_its_provider_away() {
    for (host, provider) in [
        ("smtp-relay.gmail.com", Some("google")),
        ("smtp.office365.com", Some("microsoft")),
        ("email-smtp.eu-west-1.AMAZONAWS.com", Some("ses")),
        ("api.twilio.com", Some("twilio")),
        ("nottwilio.com", None),
        ("127.0.0.1", None),
    ] {
        assert_eq!(provider_of(host), provider, "{host}");
    }
    assert!(HOSTS.iter().all(|(name, _)| is_provider(name)) && !is_provider("nobody"));
}
