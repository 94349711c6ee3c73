//! Mail that comes back: reports of mail servers (RFC 3464), complaints (RFC 5965), and the texts of servers that write neither. Anybody can
//! write such a message. What makes it true is a signed token in the address that it came back to, which only somebody has who got the
//! message, or handled it: [`tokens`] finds it, and a key of Volley opens it.

mod dsn;
mod fields;
mod free_text;
mod spam_report;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{HeaderName, Message, MessageParser, MessagePart, MimeHeaders as _};

use super::{NotUnderstood, Received, Report, hash};
use crate::domain::instant::UtcInstant;

/// The media type of a message.
pub const MEDIA_TYPE: &str = "message/rfc822";

/// The largest message that is taken, in bytes.
pub const MOST_OF_A_MAIL: usize = 5 << 20;

/// The bytes of a message that are kept: what comes back has its report at the beginning, and the whole message that it is about at
/// the end.
pub const KEPT: usize = 1 << 20;

/// The most parts of a message, and the most of them that hold others. What has more was made to keep readers busy.
const MOST_PARTS: usize = 500;
const MOST_CONTAINERS: usize = 50;

/// The shortest and the longest token, in characters.
const TOKEN: std::ops::RangeInclusive<usize> = 28..=56;

/// The most tokens that are tried.
const MOST_TOKENS: usize = 8;

/// Between the address that mail comes back to and the token.
const DELIMITER: u8 = b'+';

/// Whether a media type says that a body is a message.
#[must_use]
pub fn is_message(content_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(MEDIA_TYPE))
}

/// A message as it is stored: its first bytes, whatever character sets it has.
#[must_use]
pub fn stored(body: &[u8]) -> String {
    STANDARD.encode(body.get(..KEPT).unwrap_or(body))
}

fn bytes(callback: &Received<'_>) -> Result<Vec<u8>, NotUnderstood> {
    STANDARD.decode(callback.body).map_err(|_no_base64| NotUnderstood("it is not stored as a message".to_owned()))
}

/// What may be signed tokens in the addresses of a message: each once, in their order.
#[must_use]
pub fn tokens(callback: &Received<'_>) -> Vec<String> {
    let Ok(bytes) = bytes(callback) else { return Vec::new() };
    let mut found: Vec<String> = Vec::new();
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'@') {
        let before = bytes.get(at.saturating_sub(TOKEN.end() + 1)..at).unwrap_or_default();
        let Some(start) = before.iter().rposition(|byte| *byte == DELIMITER) else { continue };
        let token = before.get(start + 1..).unwrap_or_default();
        let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
        if !TOKEN.contains(&token.len()) || !token.iter().all(is_token) {
            continue;
        }
        let token = String::from_utf8_lossy(token).into_owned();
        if !found.contains(&token) {
            found.push(token);
        }
        if found.len() == MOST_TOKENS {
            break;
        }
    }
    found
}

/// What a message says; nothing, if it is no report. Its reports name no delivery: the message's [token](tokens) does.
pub(super) fn read(callback: &Received<'_>) -> Result<Vec<Report>, NotUnderstood> {
    let bytes = bytes(callback)?;
    if is_a_bomb(&bytes) {
        return Err(NotUnderstood("it has too many parts".to_owned()));
    }
    let no_message = || NotUnderstood("it is no message".to_owned());
    let message = parser().parse(without_envelope(&bytes)).ok_or_else(no_message)?;
    if message.parts.is_empty() || message.parts.len() > MOST_PARTS {
        return Err(NotUnderstood(format!("it has no part, or more than {MOST_PARTS}")));
    }
    let about = About {
        // The same message, brought twice.
        key: message.message_id().map_or_else(|| callback.key.to_owned(), |id| hash(id.as_bytes())),
        at: message.date().map(|date| UtcInstant(date.to_timestamp().saturating_mul(1_000))),
    };
    if let Some(status) = part(&message, &["delivery-status", "global-delivery-status"]) {
        return dsn::read(&text_of(&message, status), &about);
    }
    if let Some(report) = part(&message, &["feedback-report"]) {
        return spam_report::read(&text_of(&message, report), &about).map(|report| report.into_iter().collect());
    }
    if let Some(report) = free_text::read(&message, &about) {
        return Ok(vec![report]);
    }
    // A person has answered, or a program for one who is away; or a server writes a text that nobody knows.
    Ok(Vec::new())
}

/// Reads what is needed. Transfer encodings are left as they are: a message in base64 inside of this one would be opened, and
/// [`is_a_bomb`] could not look into it. Reports are decoded by [`text_of`].
fn parser() -> MessageParser {
    MessageParser::new()
        .default_header_ignore()
        .header_content_type(HeaderName::ContentType)
        .header_date(HeaderName::Date)
        .header_id(HeaderName::MessageId)
}

/// What all reports of a message have.
struct About {
    key: String,
    at: Option<UtcInstant>,
}

/// Whether a message would keep its reader busy. It is looked at before it is parsed: what is parsed is as deep as the message. Each
/// part has a `Content-Type`, and the lines that go on with it begin with white space.
fn is_a_bomb(bytes: &[u8]) -> bool {
    const NAME: &[u8] = b"content-type";
    let (mut parts, mut containers, mut is_inside) = (0, 0, false);
    for line in bytes.split(|byte| *byte == b'\n') {
        let text = line.trim_ascii_start();
        let is_begun = text.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME));
        is_inside = is_begun || (is_inside && line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')));
        parts += usize::from(is_begun);
        containers += usize::from(is_inside && (has(line, b"message/") || has(line, b"multipart/")));
    }
    parts > MOST_PARTS || containers > MOST_CONTAINERS
}

fn has(line: &[u8], word: &[u8]) -> bool {
    line.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

/// Without the line by which a mailbox says who has sent it (`From ann@example.com Mon Jan …`): Postfix writes it for programs.
fn without_envelope(bytes: &[u8]) -> &[u8] {
    if !bytes.starts_with(b"From ") {
        return bytes;
    }
    let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| end + 1);
    bytes.get(end..).unwrap_or_default()
}

/// The first part that is `message/…` of one of these kinds.
fn part<'m>(message: &'m Message<'_>, kinds: &[&str]) -> Option<&'m MessagePart<'m>> {
    message.parts.iter().find(|part| {
        let Some(kind) = part.content_type() else { return false };
        let subtype = kind.subtype().unwrap_or_default();
        kind.ctype().eq_ignore_ascii_case("message") && kinds.iter().any(|known| subtype.eq_ignore_ascii_case(known))
    })
}

/// A report is not to be encoded (RFC 3464 2.1 d, RFC 5965 2 e), and some servers do it all the same.
fn text_of(message: &Message<'_>, part: &MessagePart<'_>) -> String {
    let encoding = part.headers.iter().find(|header| header.name == HeaderName::ContentTransferEncoding);
    let encoding = encoding.and_then(|header| {
        let place = usize::try_from(header.offset_start).ok()?..usize::try_from(header.offset_end).ok()?;
        std::str::from_utf8(message.raw_message.get(place)?).ok()
    });
    let bytes = part.contents();
    let decoded = match encoding.map(|encoding| encoding.trim().to_ascii_lowercase()).as_deref() {
        Some("base64") => {
            let text: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            STANDARD.decode(text).ok()
        }
        Some("quoted-printable") => quoted_printable_decode(bytes),
        _ => None,
    };
    String::from_utf8_lossy(decoded.as_deref().unwrap_or(bytes)).into_owned()
}

#[cfg(test)]
mod tests;
