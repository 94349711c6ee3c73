//! From a rendered message to the bytes between `DATA` and the final dot.

use lettre::Address;
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Body, Mailbox, Message, MultiPart, SinglePart};

use super::quoted_printable;
use crate::channels::BuildError;
use crate::config::pools::PoolConfig;
use crate::domain::delivery::ErrorCategory;
use crate::domain::message::Envelope;
use crate::domain::outcome::Trouble;

/// Writes letters from one sender.
pub(super) struct Composer {
    from: Mailbox,
    mail_command: String,
    mail_command_utf8: String,
}

/// A message ready to be spoken.
pub(super) struct Letter {
    /// The whole command line.
    pub(super) rcpt_command: String,
    /// Headers and body, CRLF throughout, without the final line end.
    pub(super) content: Vec<u8>,
    /// Whether the sender's or the recipient's address goes beyond ASCII (RFC 6531).
    pub(super) needs_utf8: bool,
}

impl Composer {
    pub(super) fn new(pool: &PoolConfig) -> Result<Self, BuildError> {
        let from = pool
            .from
            .as_deref()
            .ok_or_else(|| BuildError::new(pool, "from is required, such as Shop <shop@example.com>"))?;
        if from.chars().any(char::is_control) {
            return Err(BuildError::new(pool, "from must not contain control characters"));
        }
        let from: Mailbox =
            from.parse().map_err(|error| BuildError::new(pool, format!("from is not a mailbox: {error}")))?;
        let mail_command = format!("MAIL FROM:<{}>\r\n", from.email);
        let mail_command_utf8 = format!("MAIL FROM:<{}> SMTPUTF8\r\n", from.email);
        Ok(Self { from, mail_command, mail_command_utf8 })
    }

    pub(super) fn mail_command(&self, letter: &Letter) -> &str {
        if letter.needs_utf8 { &self.mail_command_utf8 } else { &self.mail_command }
    }

    /// Composes the letter, or says why this delivery can never be one.
    pub(super) fn compose(&self, envelope: &Envelope) -> Result<Letter, Trouble> {
        let message = &envelope.message;
        if message.subject.chars().any(char::is_control) {
            return Err(Trouble::new(ErrorCategory::Render, "the subject contains a line break or control character"));
        }
        let to = address(&envelope.to)?;
        let rcpt_command = format!("RCPT TO:<{to}>\r\n");
        let needs_utf8 = !rcpt_command.is_ascii() || !self.mail_command.is_ascii();
        let builder = Message::builder()
            .message_id(Some(self.message_id(&envelope.key)))
            .from(self.from.clone())
            .to(Mailbox::new(envelope.to_name.as_deref().and_then(display_name), to))
            .subject(message.subject.as_str());
        let text = part(ContentType::TEXT_PLAIN, &message.text);
        let letter = match &message.html {
            Some(html) => builder
                .multipart(MultiPart::alternative().singlepart(text).singlepart(part(ContentType::TEXT_HTML, html))),
            None => builder.singlepart(text),
        };
        let mut content = letter
            .map_err(|error| Trouble::new(ErrorCategory::Render, format!("cannot be composed: {error}")))?
            .formatted();
        // lettre writes CRLF before the final dot in any case; a second one would add an empty line.
        if content.ends_with(b"\r\n") {
            content.truncate(content.len() - 2);
        }
        Ok(Letter { rcpt_command, content, needs_utf8 })
    }

    /// One `Message-ID` for the delivery's whole life (RFC 5322 3.6.4): its key before the sender's domain.
    fn message_id(&self, key: &str) -> String {
        let safe: String = key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
        format!("<{safe}@{}>", self.from.email.domain())
    }
}

fn address(to: &str) -> Result<Address, Trouble> {
    let refused = || Trouble::new(ErrorCategory::Refused, "the address is not one that SMTP can carry");
    if to.chars().any(|c| c.is_control() || "<> ".contains(c)) {
        return Err(refused());
    }
    to.parse().map_err(|_invalid: lettre::address::AddressError| refused())
}

/// The name without what could end a header; nothing if nothing is left.
fn display_name(name: &str) -> Option<String> {
    let clean: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let clean = clean.trim();
    (!clean.is_empty()).then(|| clean.to_owned())
}

/// A part whose body is quoted-printable, or base64 where that would be shorter.
fn part(content_type: ContentType, text: &str) -> SinglePart {
    let beyond_ascii = text.bytes().filter(|byte| !byte.is_ascii()).count();
    let body = if beyond_ascii > text.len() / 6 {
        base64(text)
    } else {
        Body::dangerous_pre_encoded(quoted_printable::encode(text), ContentTransferEncoding::QuotedPrintable)
    };
    SinglePart::builder().header(content_type).body(body)
}

fn base64(text: &str) -> Body {
    // Base64 is valid for any text; the bytes that come back in the impossible case are sent quoted-printable.
    Body::new_with_encoding(text.to_owned(), ContentTransferEncoding::Base64).unwrap_or_else(|_bytes| {
        Body::dangerous_pre_encoded(quoted_printable::encode(text), ContentTransferEncoding::QuotedPrintable)
    })
}
