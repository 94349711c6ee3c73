//! What servers write, and what only looks like it.

use proptest::prelude::*;

use super::*;
use crate::domain::bounce::Cause;
use crate::domain::reports::ReportKind;

const TOKEN_TEXT: &str = "AAAAdQcIsEJbTZ2M8bWl0Y9yq3kVnA";

fn callback<R>(message: &[u8], then: impl FnOnce(&Received<'_>) -> R) -> R {
    let body = stored(message);
    then(&Received { content_type: MEDIA_TYPE, body: &body, key: "hash" })
}

fn reports(message: &str) -> Result<Vec<Report>, NotUnderstood> {
    callback(message.replace('\n', "\r\n").as_bytes(), read)
}

fn found(message: &str) -> Vec<(ReportKind, Cause, Option<String>)> {
    let reports = reports(message).unwrap_or_else(|why| panic!("{why}: {message}"));
    reports.into_iter().map(|report| (report.kind, report.cause, report.address)).collect()
}

/// A report as Postfix writes it, with this block for its recipient.
fn dsn(recipient: &str) -> String {
    format!(
        "Return-Path: <>\nDelivered-To: bounces+{TOKEN_TEXT}@example.com\nFrom: MAILER-DAEMON@mx.example.net (Mail Delivery System)\n\
         Subject: Undelivered Mail Returned to Sender\nTo: bounces+{TOKEN_TEXT}@example.com\nAuto-Submitted: auto-replied\n\
         Date: Sun, 1 Mar 2026 09:00:00 +0000\nMessage-Id: <20260301090000.4B2A1@mx.example.net>\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\n\n\
         This is a MIME-encapsulated message.\n\n--b\nContent-Description: Notification\nContent-Type: text/plain; charset=us-ascii\n\n\
         This is the mail system at host mx.example.net.\n\n--b\nContent-Description: Delivery report\n\
         Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\nX-Postfix-Queue-ID: 4B2A1\n\
         Arrival-Date: Sun,  1 Mar 2026 08:59:59 +0000 (UTC)\n\n{recipient}\n\n--b\nContent-Description: Undelivered Message\n\
         Content-Type: message/rfc822\n\nFrom: Shop <shop@example.com>\nTo: ann@example.com\nSubject: Spring\n\nHello\n\n--b--\n"
    )
}

fn recipient(action: &str, status: &str, diagnostic: &str) -> String {
    format!(
        "Final-Recipient: rfc822; ann@example.com\nOriginal-Recipient: rfc822;ann@example.com\nAction: {action}\nStatus: {status}\n\
         Remote-MTA: dns; mail.example.com\nDiagnostic-Code: smtp; {diagnostic}"
    )
}

#[test]
fn a_report_of_delivery_says_whether_the_address_is_the_reason() {
    let (hard, soft) = (ReportKind::HardBounced, ReportKind::SoftBounced);
    for (action, status, diagnostic, expected) in [
        (
            "failed",
            "5.1.1",
            "550 5.1.1 <ann@example.com>: Recipient address\n    rejected",
            Some((hard, Cause::Address)),
        ),
        ("failed", "5.0.0", "550 5.1.1 no such user", Some((hard, Cause::Address))),
        ("failed", "5.7.1", "550 5.7.1 your IP is on a list", Some((hard, Cause::Blocked))),
        ("failed", "5.2.2", "552 5.2.2 full", Some((hard, Cause::Other))),
        ("failed", "4.4.1", "connect to mail.example.com: timed out", Some((soft, Cause::Other))),
        ("Failed (given up)", "5.1.1", "550 no", Some((hard, Cause::Address))),
        ("delayed", "4.4.1", "timed out", None),
        ("relayed", "2.0.0", "250 ok", None),
        ("expanded", "2.0.0", "250 ok", None),
        ("delivered", "2.0.0", "250 ok", Some((ReportKind::Delivered, Cause::Other))),
    ] {
        let found = found(&dsn(&recipient(action, status, diagnostic)));
        let expected = expected.map(|(kind, cause)| (kind, cause, Some("ann@example.com".to_owned())));
        assert_eq!(found.first(), expected.as_ref(), "{action} {status} {diagnostic}");
    }
    let report = reports(&dsn(&recipient("failed", "5.1.1", "550 no"))).unwrap().remove(0);
    assert_eq!(report.occurred_at, UtcInstant::parse("2026-03-01T09:00:00Z").ok());
    assert_eq!(report.key, format!("{}#0", hash(b"20260301090000.4B2A1@mx.example.net")));
    assert_eq!(report.details["status"], "5.1.1");
}

#[test]
fn a_report_that_is_encoded_is_read_too() {
    let plain = recipient("failed", "5.1.1", "550 5.1.1 no such user");
    let status = format!("Reporting-MTA: dns; mx.example.net\n\n{plain}\n");
    let printable = status.replace('=', "=3D").replace("no such", "no =\nsuch");
    let lines: Vec<String> =
        STANDARD.encode(&status).as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    for (encoding, text) in [("base64", lines.join("\n")), ("Quoted-Printable", printable), ("7bit", status.clone())] {
        let mail = dsn(&plain);
        let (head, rest) = mail.split_once("Content-Type: message/delivery-status\n\n").unwrap();
        let (_, tail) = rest.split_once("\n\n--b\n").unwrap();
        let mail = format!(
            "{head}Content-Type: message/delivery-status\nContent-Transfer-Encoding: {encoding}\n\n{text}\n\n--b\n{tail}"
        );
        let expected = (ReportKind::HardBounced, Cause::Address, Some("ann@example.com".to_owned()));
        assert_eq!(found(&mail), [expected], "{encoding}");
    }
}

#[test]
fn the_address_is_the_one_that_the_message_was_sent_to() {
    let forwarded = recipient("failed", "5.1.1", "550 no").replacen("ann@example.com", "ann@elsewhere.example", 1);
    // Others may read what goes to the first address.
    assert_eq!(found(&dsn(&forwarded))[0], (ReportKind::HardBounced, Cause::Other, Some("ann@example.com".to_owned())));
    let three = [recipient("failed", "4.4.1", "timed out").as_str(); 3].join("\n\n");
    assert_eq!(found(&dsn(&three)).len(), 1, "the message had one recipient");
    let other = "Final-Recipient: x400; c=us\nAction: failed\nStatus: 5.1.1";
    assert_eq!(found(&dsn(other))[0].2, None);
    let two = format!("{}\n\n{}", recipient("failed", "5.1.1", "550 no"), recipient("delivered", "2.0.0", "250"));
    assert_eq!(found(&dsn(&two)).len(), 2);
    // Without the message that it is about, nothing is missing.
    let alone = dsn(&recipient("failed", "5.1.1", "550 no"));
    let alone = format!("{}--b--\n", alone.split("--b\nContent-Description: Undelivered").next().unwrap());
    assert_eq!(found(&alone)[0].1, Cause::Address);
}

#[test]
fn a_report_of_spam_is_a_complaint_unless_it_says_something_else() {
    let report = |kind: &str, more: &str| {
        format!(
            "From: <feedback@mail.example.net>\nDate: Sun, 1 Mar 2026 09:00:00 +0000\nSubject: complaint\nTo: <fbl@example.com>\n\
             Message-ID: <1@mail.example.net>\nMIME-Version: 1.0\n\
             Content-Type: multipart/report; report-type=feedback-report; boundary=\"b\"\n\n--b\nContent-Type: text/plain\n\n\
             This is an email abuse report.\n--b\nContent-Type: message/feedback-report\n\nFeedback-Type: {kind}\n\
             User-Agent: SomeGenerator/1.0\nVersion: 1\nOriginal-Mail-From: <bounces+{TOKEN_TEXT}@example.com>\n{more}\n\
             --b\nContent-Type: message/rfc822\n\nFrom: <shop@example.com>\nTo: <hidden@example.com>\n\nSpam\n--b--\n"
        )
    };
    let named = report("abuse", "Original-Rcpt-To: <ann@example.com>\n");
    assert_eq!(found(&named), [(ReportKind::Complained, Cause::Other, None)], "the token names the recipient");
    assert_eq!(callback(named.as_bytes(), tokens), [TOKEN_TEXT]);
    for hidden in
        ["", "Original-Rcpt-To: hidden\n", "Original-Rcpt-To: a@example.com\nOriginal-Rcpt-To: b@example.com\n"]
    {
        let found = found(&report("fraud", hidden));
        assert_eq!((found[0].0, found[0].2.as_deref()), (ReportKind::Complained, None), "{hidden}");
    }
    assert_eq!(found(&report("opt-out", ""))[0].0, ReportKind::Unsubscribed);
    for kind in ["not-spam", "auth-failure", "dmarc", "x-new"] {
        assert!(found(&report(kind, "")).is_empty(), "{kind}");
    }
}

#[test]
fn the_texts_of_known_servers_are_read_and_no_others() {
    let mail = |more: &str, text: &str| {
        format!(
            "From: MAILER-DAEMON@example.net\nTo: bounces+{TOKEN_TEXT}@example.com\nMessage-ID: <2@example.net>\n{more}\n{text}"
        )
    };
    let qmail = "Hi. This is the qmail-send program at example.net.\nI'm afraid I wasn't able to deliver your message to the following \
                 addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\n<ann@example.com>:\n\
                 192.0.2.1 does not like recipient.\nRemote host said: 550 5.1.1 no such user\nGiving up on 192.0.2.1.\n\n\
                 --- Below this line is a copy of the message.\n\nReturn-Path: <x>\n";
    let ann = Some("ann@example.com".to_owned());
    assert_eq!(found(&mail("", qmail)), [(ReportKind::HardBounced, Cause::Address, ann.clone())]);
    let unsaid = qmail.replace("5.1.1 ", "");
    assert_eq!(found(&mail("", &unsaid)), [(ReportKind::HardBounced, Cause::Other, ann.clone())]);
    let exim = "This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to one \
                or more of its\nrecipients. This is a permanent error. The following address(es) failed:\n\n  ann@example.com\n    \
                host mail.example.com [192.0.2.1]\n    SMTP error from remote mail server after RCPT TO:<ann@example.com>:\n    \
                550-5.1.1 The email account does not exist\n";
    assert_eq!(
        found(&mail("X-Failed-Recipients: ann@example.com\n", exim)),
        [(ReportKind::HardBounced, Cause::Address, ann.clone())]
    );
    // What the message itself says is no word of a server.
    let blocked = exim.replace("550-5.1.1 The email account does not exist", "550 spam");
    let blocked = format!(
        "{blocked}\n------ This is a copy of the message, including all the headers. ------\n\nVersion 5.1.1\n"
    );
    assert_eq!(
        found(&mail("X-Failed-Recipients: ann@example.com\n", &blocked)),
        [(ReportKind::HardBounced, Cause::Other, ann)]
    );
    for text in [
        "The mail system could not find ann@example.com. 550 5.1.1\n",
        &qmail.replace("Hi.", "Hello."),
        &format!("{qmail}\n\n<bob@example.com>:\nno\n"),
        exim,
    ] {
        assert!(found(&mail("", text)).is_empty(), "{text}");
    }
    let late = exim.replace("could not be delivered", "has not yet been delivered");
    assert!(found(&mail("X-Failed-Recipients: ann@example.com\n", &late)).is_empty());
}

#[test]
fn who_answers_or_is_away_has_not_bounced() {
    for header in ["Auto-Submitted: auto-replied (vacation)", "Subject: Re: Spring", "Precedence: auto_reply"] {
        let answer = format!("From: ann@example.com\n{header}\n\nThank you. 550 5.1.1\n");
        assert!(found(&answer).is_empty(), "{header}");
    }
}

#[test]
fn a_token_is_found_in_any_address_and_told_from_other_text() {
    let of = |text: &str| callback(text.as_bytes(), tokens);
    assert_eq!(of(&format!("To: <bounces+{TOKEN_TEXT}@example.com>\n\nx")), [TOKEN_TEXT]);
    assert_eq!(of(&format!("From x@y Mon\nX-Original-To: b+{TOKEN_TEXT}@a.b\nTo: b+{TOKEN_TEXT}@a.b\n")), [TOKEN_TEXT]);
    for text in [
        "",
        "To: ann@example.com",
        "To: ann+news@example.com",
        "+@",
        &format!("bounces+{TOKEN_TEXT}"),
        &format!("+{TOKEN_TEXT} @a"),
    ] {
        assert!(of(text).is_empty(), "{text}");
    }
    let many: String = (100..200).map(|n| format!("<b+{}{n}@a.b>", &TOKEN_TEXT[3..])).collect();
    assert_eq!(of(&many).len(), MOST_TOKENS);
    assert!(of(&"@".repeat(1 << 16)).is_empty());
}

#[test]
fn a_message_keeps_its_bytes_and_its_beginning() {
    let latin = b"To: bounces+AAAAdQcIsEJbTZ2M8bWl0Y9yq3kVnA@example.com\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n\xe4\xf6\xfc\0";
    assert_eq!(callback(latin, |callback| bytes(callback).unwrap()), latin);
    let mut long = dsn(&recipient("failed", "5.1.1", "550 no")).into_bytes();
    long.resize(MOST_OF_A_MAIL, b'x');
    assert_eq!(callback(&long, |callback| bytes(callback).unwrap().len()), KEPT);
    assert_eq!(callback(&long, read).unwrap()[0].cause, Cause::Address);
    let with_envelope =
        format!("From MAILER-DAEMON Sun Mar  1 09:00:00 2026\n{}", dsn(&recipient("failed", "5.1.1", "550 no")));
    assert_eq!(found(&with_envelope).len(), 1);
}

#[test]
fn a_message_that_was_made_to_keep_readers_busy_is_refused_at_once() {
    let nested = |kind: &str| {
        let mut text = "From: a@example.com\nMIME-Version: 1.0\n".to_owned();
        for level in 0..5_000 {
            text.push_str(&format!("Content-Type: {kind}; boundary=\"b{level}\"\n\n--b{level}\n"));
        }
        text
    };
    for bomb in
        [nested("multipart/mixed"), nested("MESSAGE/RFC822"), "Content-Type: text/plain\n\n--b\n".repeat(10_000)]
    {
        let NotUnderstood(why) = reports(&bomb).err().unwrap();
        assert_eq!(why, "it has too many parts");
    }
    let folded = nested("multipart/mixed").replace("Content-Type: ", "Content-Type:\n ");
    assert!(reports(&folded).is_err());
    let blank = nested("multipart/mixed").replace("Content-Type: ", "Content-Type:\n \n ");
    assert!(reports(&blank).is_err());
    // A text that speaks of such parts has none.
    let talk =
        format!("{}\nmessage/ multipart/mixed\n", "It is of type message/rfc822, or multipart/report.\n".repeat(1_000));
    let told = dsn(&recipient("failed", "5.1.1", "550 no")).replace("Hello\n", &talk);
    assert_eq!(found(&told).len(), 1);
    // One that is hidden is not opened.
    let hidden = STANDARD.encode(nested("message/rfc822"));
    let hidden = format!("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{hidden}\n");
    assert!(found(&hidden).is_empty());
    for nothing in ["\n", "hello"] {
        assert!(reports(nothing).is_ok_and(|reports| reports.is_empty()), "{nothing:?}");
    }
    let not_base64 = Received { content_type: MEDIA_TYPE, body: "%", key: "hash" };
    assert!(read(&not_base64).is_err() && tokens(&not_base64).is_empty());
}

proptest! {
    #[test]
    fn no_message_is_too_odd_to_look_at(text: String, bytes: Vec<u8>) {
        let odd = dsn(&text).into_bytes();
        for message in [text.as_bytes(), &bytes, &odd] {
            let _ = callback(message, read);
            let _ = callback(message, tokens);
        }
    }
}
