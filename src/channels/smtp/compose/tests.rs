//! What another parser of mail reads in a letter.

use mail_parser::{HeaderForm, Message as Parsed, MessageParser, MimeHeaders};
use proptest::prelude::*;

use super::*;
use crate::domain::content::attachment::Attachment;
use crate::domain::content::message::Message;
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::instant::UtcInstant;

fn letter(subject: &str, name: &str, text: &str, html: Option<&str>) -> Vec<u8> {
    let message =
        Message { subject: subject.into(), text: text.into(), html: html.map(Into::into), ..Message::default() };
    letter_of(name, message, &SmtpConfig::default())
}

fn letter_of(name: &str, message: Message, config: &SmtpConfig) -> Vec<u8> {
    letter_with(name, message, config, Vec::new())
}

fn letter_with(name: &str, message: Message, config: &SmtpConfig, files: Vec<Attachment>) -> Vec<u8> {
    let envelope = Envelope {
        campaign_id: CampaignId(1),
        contact_id: ContactId(2),
        to: "ann@example.com".into(),
        to_name: Some(name.to_owned()),
        message,
        key: "c0ffee:2".into(),
        attempt: 1,
        trace: None,
        details: None,
        attachments: files.into(),
    };
    let composer = Composer::new(Some("Shop <shop@example.com>"), None, config).unwrap();
    let content = composer.compose(&envelope).map(|letter| letter.content.whole());
    content.unwrap_or_else(|trouble| panic!("{}", trouble.detail))
}

fn parsed(content: &[u8]) -> Parsed<'_> {
    MessageParser::default().parse(content).unwrap()
}

/// Blanks at the ends, and how many stand beside one another, may be lost where lines are folded.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn no_line_is_too_long(content: &[u8]) -> bool {
    content.split(|byte| *byte == b'\n').all(|line| line.len() <= 998 + 1)
}

#[test]
fn what_looks_like_an_encoded_word_is_read_as_it_stands() {
    for text in ["=?utf-8?Q?Hi?= there", "=?utf-8?B?PGI+?=", "ü =?utf-8?Q?x?=", &"x".repeat(998), "a =?"] {
        let content = letter(text, text, "b", None);
        let message = parsed(&content);
        assert_eq!(message.subject(), Some(text));
        let to = message.to().unwrap().first().unwrap();
        assert_eq!((to.name(), to.address()), (Some(text), Some("ann@example.com")));
        assert!(no_line_is_too_long(&content));
    }
}

#[test]
fn a_letter_has_the_parts_that_say_something() {
    for (text, html, kinds) in [
        ("a", None, vec!["plain"]),
        ("a", Some(" "), vec!["plain"]),
        (" ", Some("<p>b</p>"), vec!["html"]),
        ("a", Some("<p>b</p>"), vec!["plain", "html"]),
    ] {
        let content = letter("s", "Ann", text, html);
        let message = parsed(&content);
        let leaves = message.parts.iter().filter(|part| part.sub_parts().is_none());
        let found: Vec<&str> = leaves.filter_map(|part| part.content_type()?.subtype()).collect();
        assert_eq!(found, kinds, "{text:?} {html:?}");
    }
}

#[test]
fn a_message_is_the_same_at_every_attempt() {
    let written_at = Some(UtcInstant::parse("2026-03-01T09:30:00Z").unwrap());
    let message = Message {
        subject: "s".into(),
        text: "b".into(),
        html: Some("<p>b</p>".into()),
        written_at,
        ..Message::default()
    };
    let first = letter_of("Ann", message.clone(), &SmtpConfig::default());
    assert_eq!(parsed(&first).date().unwrap().to_rfc3339(), "2026-03-01T09:30:00Z");
    assert_eq!(first, letter_of("Ann", message, &SmtpConfig::default()));
}

#[test]
fn files_are_read_back_by_name_type_and_bytes() {
    let pdf: Vec<u8> = (0..=255).cycle().take(5000).collect();
    let file = |name: &str, kind: &str, id: Option<&str>| {
        Attachment::new(name.to_owned(), kind.to_owned(), id.map(str::to_owned), &pdf)
    };
    let files = vec![
        file("Preise für \"März\" 5%.pdf", "application/pdf", None),
        file("logo.png", "image/png", Some("logo")),
        file("a list.zip", "application/zip", None),
    ];
    let said = |text: &str, html: Option<&str>| {
        let message = Message { text: text.into(), html: html.map(Into::into), ..Message::default() };
        letter_with("Ann", message, &SmtpConfig::default(), files.clone())
    };
    let content = said("Hello", Some("<img src=\"cid:logo\">"));
    assert!(content.split(|byte| *byte == b'\n').all(|line| !line.starts_with(b".") || line == b".\r"));
    let message = parsed(&content);
    let kinds: Vec<String> = message
        .parts
        .iter()
        .map(|part| {
            let kind = part.content_type().unwrap();
            format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default())
        })
        .collect();
    let wanted = [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "application/pdf",
        "application/zip",
    ];
    assert_eq!(kinds, wanted);
    assert_eq!(message.body_text(0).unwrap().trim(), "Hello");
    assert_eq!(message.body_html(0).unwrap().trim(), "<img src=\"cid:logo@volley\">");
    let names: Vec<_> = message.attachments().map(|part| part.attachment_name().unwrap()).collect();
    assert_eq!(names, ["logo.png", "Preise für \"März\" 5%.pdf", "a list.zip"]);
    for part in message.attachments() {
        let name = part.attachment_name().unwrap();
        assert!(
            part.contents() == pdf,
            "{name}: {} bytes, {:?}",
            part.contents().len(),
            part.text_contents().map(str::len)
        );
    }
    let shown = message.attachments().next().unwrap();
    assert_eq!(shown.content_id(), Some("logo@volley"));
    // Without HTML there is nothing that could show it.
    let plain = said("Hello", None);
    assert_eq!(
        parsed(&plain).attachments().filter(|part| part.content_disposition().unwrap().is_attachment()).count(),
        3
    );
}

#[test]
fn a_message_goes_before_its_pool() {
    let config = SmtpConfig {
        reply_to: Some("Pool <pool@example.com>".into()),
        headers: [("X-One", "pool"), ("X-Two", "pool")].map(|(name, value)| (name.into(), value.into())).into(),
        ..SmtpConfig::default()
    };
    let of_pool = letter_of("Ann", Message { text: "b".into(), ..Message::default() }, &config);
    let of_pool = parsed(&of_pool);
    assert_eq!(of_pool.reply_to().unwrap().first().unwrap().address(), Some("pool@example.com"));
    assert_eq!(of_pool.header("X-One").unwrap().as_text(), Some("pool"));
    let headers = vec![("x-one".to_owned(), "campaign".to_owned())];
    let message = Message {
        text: "b".into(),
        reply_to: Some("Hülfe, =?utf-8?Q?x?= <help@example.com>".into()),
        headers,
        ..Message::default()
    };
    let own = letter_of("Ann", message, &config);
    let own = parsed(&own);
    let reply_to = own.reply_to().unwrap().first().unwrap();
    assert_eq!((reply_to.name(), reply_to.address()), (Some("Hülfe, =?utf-8?Q?x?="), Some("help@example.com")));
    let ones: Vec<_> = own.headers().iter().filter(|header| header.name().eq_ignore_ascii_case("x-one")).collect();
    assert_eq!(ones.len(), 1);
    assert_eq!(
        (own.header("X-One").unwrap().as_text(), own.header("X-Two").unwrap().as_text()),
        (Some("campaign"), Some("pool"))
    );
}

#[test]
fn a_letter_is_from_its_campaigns_sender_alone() {
    for (from, name) in [
        ("spring@example.com", None),
        ("Spring Team <spring@example.com>", Some("Spring Team")),
        ("Frühling, =?utf-8?Q?x?= <spring@example.com>", Some("Frühling, =?utf-8?Q?x?=")),
    ] {
        let message = Message { text: "b".into(), from: Some(from.into()), ..Message::default() };
        let own = letter_of("Ann", message, &SmtpConfig::default());
        let own = parsed(&own);
        let senders: Vec<_> =
            own.headers().iter().filter(|header| header.name().eq_ignore_ascii_case("from")).collect();
        assert_eq!(senders.len(), 1, "{from}");
        let sender = own.from().unwrap().first().unwrap();
        assert_eq!((sender.name(), sender.address()), (name, Some("spring@example.com")));
        assert!(own.message_id().unwrap().ends_with("@example.com"));
    }
}

proptest! {
    #[test]
    fn any_value_of_a_header_is_read_back_and_adds_nothing(
        value in "(\\PC|=\\?|\\?=|[ ,;:<>@\"\\\\()]|[a-z]{60,90}|\r\n|\u{0}){1,40}",
        name in "X-[A-Za-z0-9]{1,38}",
    ) {
        let message = Message { text: "b".into(), headers: vec![(name.clone(), value.clone())], ..Message::default() };
        let content = letter_of("Ann", message, &SmtpConfig::default());
        prop_assert!(no_line_is_too_long(&content));
        let message = parsed(&content);
        let plain: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let read = message.header_as(name.as_str(), HeaderForm::Text);
        prop_assert_eq!(words(read.first().and_then(|value| value.as_text()).unwrap_or_default()), words(&plain));
        prop_assert_eq!(message.headers().len(), 9 + usize::from(!words(&plain).is_empty()));
    }

    #[test]
    fn any_subject_and_name_are_read_back_and_add_nothing(
        subject in "(\\PC|=\\?|\\?=|[ ,;:<>@\"\\\\()]|utf-8\\?[BQ]\\?|[a-z]{60,90}){1,40}",
        name in "(\\PC|=\\?|\\?=|[ ,;:<>@\"\\\\()]|[a-z]{60,90}|\r\n|\u{0}){1,20}",
    ) {
        let content = letter(&subject, &name, "b", Some("<p>b</p>"));
        prop_assert!(no_line_is_too_long(&content));
        let message = parsed(&content);
        prop_assert_eq!(words(message.subject().unwrap_or_default()), words(&subject));
        let to: Vec<_> = message.to().unwrap().iter().collect();
        prop_assert_eq!(to.len(), 1);
        prop_assert_eq!(to[0].address(), Some("ann@example.com"));
        let plain: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        prop_assert_eq!(words(to[0].name().unwrap_or_default()), words(&plain));
        prop_assert_eq!(message.headers().len(), 8);
    }
}
