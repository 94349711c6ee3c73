use super::smtp::{relay, relay_with};
use super::{Turnstile, envelope, kind, trouble};
use crate::support::scripted_smtp::{Act, ScriptedSmtp, Stage, Taken};
use volley::domain::callbacks::Format;
use volley::domain::content::message::{Envelope, ListHeaders};
use volley::domain::dispatch::delivery::ErrorCategory;

/// Hands `envelope` over and returns what the server took.
async fn sent(envelope: &Envelope) -> Taken {
    let server = ScriptedSmtp::start(|_| None);
    let outcome = relay(&server.url()).deliver(envelope, &Turnstile::default()).await;
    assert_eq!(kind(&outcome), "accepted", "{outcome:?}");
    let mut taken = server.taken();
    assert_eq!((taken.len(), server.commands().len()), (1, 4), "one conversation: {:?}", server.commands());
    taken.remove(0)
}

/// The head's lines, unfolded.
fn head(content: &str) -> Vec<String> {
    let (head, _) = content.split_once("\r\n\r\n").unwrap();
    head.replace("\r\n ", " ").split("\r\n").map(str::to_owned).collect()
}

fn header(content: &str, name: &str) -> String {
    let prefix = format!("{name}: ");
    let mut found = head(content).into_iter().filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned));
    let value = found.next().unwrap_or_else(|| panic!("no {name} in {content}"));
    assert_eq!(found.next(), None, "a second {name}");
    value
}

fn body(content: &str) -> String {
    unquote(content.split_once("\r\n\r\n").unwrap().1)
}

/// Undoes quoted-printable.
fn unquote(text: &str) -> String {
    let text = text.strip_suffix("\r\n").unwrap_or(text).replace("=\r\n", "");
    let mut pieces = text.split('=');
    let mut bytes = pieces.next().unwrap().as_bytes().to_vec();
    for piece in pieces {
        bytes.push(u8::from_str_radix(&piece[..2], 16).unwrap());
        bytes.extend_from_slice(&piece.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_plain_message_has_its_headers_once_and_its_key_as_message_id() {
    let taken = sent(&envelope()).await;
    assert_eq!((taken.from.as_str(), taken.to.as_str()), ("FROM:<shop@example.com>", "TO:<bob@example.com>"));
    assert_eq!(header(&taken.content, "Message-ID"), "<c0ffee-42@example.com>");
    assert_eq!(header(&taken.content, "X-Volley-Delivery"), "c0ffee:42");
    assert_eq!(header(&taken.content, "From"), "Shop <shop@example.com>");
    assert_eq!(header(&taken.content, "To"), "Bob <bob@example.com>");
    assert_eq!(header(&taken.content, "Subject"), "Hello");
    assert_eq!(header(&taken.content, "Content-Type"), "text/plain; charset=utf-8");
    assert!(header(&taken.content, "Date").ends_with("+0000"));
    assert_eq!(body(&taken.content), "Hello Bob");
}

#[tokio::test]
async fn a_message_of_marketing_offers_a_button_to_unsubscribe() {
    let mut envelope = envelope();
    let unsubscribe = "https://mail.example.com/u/Ab-_dQFmYWtlLXRva2VuLWZvci1hLXRlc3Q";
    let id = Some("news.mail.example.com".to_owned());
    envelope.message.list = Some(ListHeaders { unsubscribe: unsubscribe.to_owned(), id });
    let taken = sent(&envelope).await;
    assert_eq!(header(&taken.content, "List-Unsubscribe"), format!("<{unsubscribe}>"));
    assert_eq!(header(&taken.content, "List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
    assert_eq!(header(&taken.content, "List-Id"), "<news.mail.example.com>");
    envelope.message.list = None;
    let taken = sent(&envelope).await;
    assert!(!taken.content.contains("List-"), "{}", taken.content);
}

#[tokio::test]
async fn a_link_that_could_end_its_header_is_not_sent() {
    for unsubscribe in
        ["https://mail.example.com/u/a\r\nBcc: x@example.com", "https://mail.example.com/u/a>", "a b", "ü"]
    {
        let mut envelope = envelope();
        envelope.message.list = Some(ListHeaders { unsubscribe: unsubscribe.to_owned(), id: None });
        let server = ScriptedSmtp::start(|_| None);
        let outcome = relay(&server.url()).deliver(&envelope, &Turnstile::default()).await;
        assert_eq!(trouble(&outcome).category, ErrorCategory::Render, "{unsubscribe}");
        assert!(server.taken().is_empty());
    }
}

#[tokio::test]
async fn html_travels_beside_the_text() {
    let mut envelope = envelope();
    envelope.message.html = Some("<p class=\"x\">Hello</p>\n.\n".to_owned());
    let content = sent(&envelope).await.content;
    let kind = header(&content, "Content-Type");
    let boundary = kind.strip_prefix("multipart/alternative;").unwrap().split('"').nth(1).unwrap();
    let parts: Vec<&str> = content.split(&format!("--{boundary}")).collect();
    assert_eq!(parts.len(), 4, "{content}");
    assert_eq!(parts[3], "--\r\n");
    assert!(parts[1].contains("text/plain; charset=utf-8") && body(parts[1]) == "Hello Bob", "{content}");
    assert!(parts[2].contains("text/html; charset=utf-8"), "{content}");
    assert_eq!(body(parts[2]), "<p class=\"x\">Hello</p>\r\n.\r\n");
}

#[tokio::test]
async fn no_body_can_end_the_message_or_speak_smtp() {
    for text in [
        "a\n.\nb",
        "a\r.\rb",
        "a\r\n.\r\nMAIL FROM:<x@example.com>\r\nRCPT TO:<y@example.com>\r\nDATA\r\n",
        "a\n.\r\nMAIL FROM:<x>",
        "a\r\n.\nMAIL FROM:<x>",
        ".",
        "..",
        ".leading",
        "\r\n.\r\n",
        "",
        "trailing blank \nnul \u{0} and = and ü",
    ] {
        let mut envelope = envelope();
        envelope.message.text = text.to_owned();
        let content = sent(&envelope).await.content;
        let lines = text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
        assert_eq!(body(&content), lines, "{text:?}");
        assert!(content.bytes().all(|b| b == b'\r' || b == b'\n' || b == b'\t' || (b' '..=b'~').contains(&b)));
    }
}

#[tokio::test]
async fn text_that_is_mostly_beyond_ascii_travels_as_base64() {
    let mut envelope = envelope();
    envelope.message.text = "Привет, Боб!".to_owned();
    let content = sent(&envelope).await.content;
    assert_eq!(header(&content, "Content-Transfer-Encoding"), "base64");
    assert!(content.contains("0J/RgNC40LLQtdGCLCDQkdC+0LEh"), "{content}");
}

#[tokio::test]
async fn umlauts_in_names_and_subjects_become_encoded_words() {
    let mut envelope = envelope();
    envelope.to_name = Some("Jürgen Groß, \"Chef\"".to_owned());
    envelope.message.subject = "Grüße aus Köln".to_owned();
    let content = sent(&envelope).await.content;
    assert!(content.is_ascii());
    assert!(header(&content, "Subject").contains("=?utf-8?"), "{content}");
    let to = header(&content, "To");
    assert!(to.contains("=?utf-8?") && to.ends_with("<bob@example.com>"), "{content}");
}

#[tokio::test]
async fn a_senders_name_is_quoted_or_encoded_on_the_wire_where_it_has_to_be() {
    for (from, plain) in [
        ("Smith, Sons <shop@example.com>", false),
        ("\"Smith, Sons\" <shop@example.com>", false),
        ("Müller, Söhne <shop@example.com>", false),
        ("Shop <shop@example.com>", true),
        ("shop@example.com", true),
    ] {
        let server = ScriptedSmtp::start(|_| None);
        let channel = relay_with(&server.url(), serde_json::json!({"from": from}));
        assert_eq!(kind(&channel.deliver(&envelope(), &Turnstile::default()).await), "accepted");
        let taken = server.taken().remove(0);
        let written = header(&taken.content, "From");
        let wrapped = written.starts_with('"') || written.starts_with("=?utf-8?");
        assert!(if plain { written == from } else { wrapped }, "{from}: {written}");
        assert!(written.is_ascii() && written.trim_end_matches('>').ends_with("shop@example.com"), "{written}");
        assert_eq!(taken.from, "FROM:<shop@example.com>");
    }
}

#[tokio::test]
async fn a_relay_whose_provider_reports_is_told_what_to_give_back() {
    for (format, line) in [
        (Format::StandardWebhooks, None),
        (Format::Postmark, Some(("X-PM-Metadata-volley_delivery", "c0ffee:42"))),
        (Format::Mailgun, Some(("X-Mailgun-Variables", "{\"volley_delivery\": \"c0ffee:42\"}"))),
        (Format::SendGrid, Some(("X-SMTPAPI", "{\"unique_args\": {\"volley_delivery\": \"c0ffee:42\"}}"))),
    ] {
        let server = ScriptedSmtp::start(|_| None);
        let channel = relay_with(&server.url(), serde_json::json!({ "callbacks": { "format": format } }));
        let outcome = channel.deliver(&envelope(), &Turnstile::default()).await;
        assert_eq!(kind(&outcome), "accepted", "{format}");
        let taken = server.taken().remove(0);
        match line {
            Some((name, value)) => assert_eq!(header(&taken.content, name), value, "{format}"),
            None => assert_eq!(head(&taken.content).len(), 9, "{format}"),
        }
    }
}

#[tokio::test]
async fn nothing_in_a_name_can_add_a_header() {
    for name in
        ["Bob\r\nBcc: eve@example.com", "Bob\nBcc: eve@example.com", "Bob\u{0}", "Bob\" <eve@example.com>, \"x", "\r\n"]
    {
        let mut envelope = envelope();
        envelope.to_name = Some(name.to_owned());
        let taken = sent(&envelope).await;
        assert_eq!(taken.to, "TO:<bob@example.com>");
        let names: Vec<String> =
            head(&taken.content).iter().map(|line| line.split(':').next().unwrap().to_owned()).collect();
        let expected = [
            "Message-ID",
            "X-Volley-Delivery",
            "From",
            "To",
            "Subject",
            "MIME-Version",
            "Date",
            "Content-Type",
            "Content-Transfer-Encoding",
        ];
        assert_eq!(names.len(), expected.len(), "{names:?}");
        assert!(expected.iter().all(|name| names.iter().any(|found| found == name)), "{names:?}");
        let to = header(&taken.content, "To");
        assert!(to == "bob@example.com" || to.ends_with(" <bob@example.com>"), "{to}");
    }
}

#[tokio::test]
async fn a_subject_with_control_characters_and_an_address_that_is_none_are_rejected_before_anything_is_said() {
    let server = ScriptedSmtp::start(|_| None);
    let (channel, gate) = (relay(&server.url()), Turnstile::default());
    for subject in ["Hello\r\nBcc: eve@example.com", "Hello\nX: y", "Hello\r", "Hello\u{0}", "Hello\u{85}"] {
        let mut envelope = envelope();
        envelope.message.subject = subject.to_owned();
        let outcome = channel.deliver(&envelope, &gate).await;
        assert_eq!((kind(&outcome), trouble(&outcome).category), ("rejected", ErrorCategory::Render), "{subject:?}");
    }
    for to in [
        "bob",
        "bob@example.com>\r\nRCPT TO:<eve@example.com",
        "bob@example.com\r\nDATA",
        "",
        "<bob@example.com>",
        "a b@example.com",
    ] {
        let mut envelope = envelope();
        envelope.to = to.to_owned();
        let outcome = channel.deliver(&envelope, &gate).await;
        assert_eq!((kind(&outcome), trouble(&outcome).category), ("rejected", ErrorCategory::Refused), "{to:?}");
    }
    let mut beyond_ascii = envelope();
    beyond_ascii.to = "jürgen@example.com".to_owned();
    assert_eq!(kind(&channel.deliver(&beyond_ascii, &gate).await), "rejected");
    assert_eq!(gate.asked(), 0);
    assert!(server.commands().iter().all(|line| line.starts_with("EHLO")), "{:?}", server.commands());
}

#[tokio::test]
async fn an_address_beyond_ascii_is_sent_where_the_relay_takes_it() {
    let server = ScriptedSmtp::at(Stage::Ehlo, Act::Say("250-scripted\n250 SMTPUTF8"));
    let mut beyond_ascii = envelope();
    beyond_ascii.to = "jürgen@example.com".to_owned();
    let outcome = relay(&server.url()).deliver(&beyond_ascii, &Turnstile::default()).await;
    assert_eq!(kind(&outcome), "accepted");
    let taken = &server.taken()[0];
    assert_eq!(
        (taken.from.as_str(), taken.to.as_str()),
        ("FROM:<shop@example.com> SMTPUTF8", "TO:<jürgen@example.com>")
    );
    assert_eq!(header(&taken.content, "To"), "Bob <jürgen@example.com>");
}
