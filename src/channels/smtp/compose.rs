//! From a rendered message to the bytes between `DATA` and the final dot.

use std::time::{Duration, UNIX_EPOCH};

use lettre::Address;
use lettre::message::header::{
    ContentTransferEncoding, Date, From, HeaderName, HeaderValue, Headers, ReplyTo, Subject, To,
};
use lettre::message::{Body, Mailbox, Mailboxes};

use super::encoded_words::{encode, must_encode};
use super::quoted_printable;
use super::wire::{END, Offers};
use crate::channels::Unusable;
use crate::config::pools::SmtpConfig;
use crate::domain::callbacks::{Format, HEADER};
use crate::domain::content::mailbox::parse_mailbox;
use crate::domain::content::message::{Envelope, ListHeaders, Message};
use crate::domain::dispatch::delivery::ErrorCategory;
use crate::domain::dispatch::trouble::Trouble;
use crate::domain::instant::UtcInstant;

/// Between the parts of a message. Neither quoted-printable nor base64 can produce `=_` (RFC 2045 6.7 says so, too), so
/// no part can hold it.
const BOUNDARY: &str = "=_volley";

/// Writes letters from one sender. lettre encodes the headers that need it; its message builder, which parses again what
/// it has just written, costs more than all the rest and is not used.
pub(super) struct Composer {
    /// What every head has in common.
    head: String,
    domain: String,
    /// The sender's address.
    from: String,
    /// How the relay's provider reports what became of messages.
    reports: Option<Format>,
    /// Where mail comes back to; unset: to the sender.
    return_path: Option<String>,
    /// Where answers go unless the message says so.
    reply_to: Option<String>,
    /// Headers of every message that has none of that name.
    headers: Vec<(String, String)>,
}

/// A message ready to be spoken.
pub(super) struct Letter {
    /// The address that the message comes back to.
    sender: String,
    /// The whole command line.
    pub(super) rcpt_command: String,
    /// Headers, body and the final dot, CRLF throughout. No line begins with another dot: a header's begins with its
    /// name or a blank, a body's encodings have none there. So nothing has to be stuffed, and one write sends it.
    pub(super) content: Vec<u8>,
    /// Whether the sender's or the recipient's address goes beyond ASCII (RFC 6531).
    pub(super) needs_utf8: bool,
}

impl Letter {
    /// The message's size as RFC 1870 3 counts it: all bytes and line ends, without the line of the final dot.
    pub(super) fn size(&self) -> u64 {
        let lines = self.content.len().saturating_sub(END.len() - "\r\n".len());
        u64::try_from(lines).unwrap_or(u64::MAX)
    }
}

impl Composer {
    pub(super) fn new(from: Option<&str>, reports: Option<Format>, config: &SmtpConfig) -> Result<Self, Unusable> {
        let from = from.ok_or_else(|| Unusable::new("from is required, such as Shop <shop@example.com>"))?;
        let from = parse_mailbox(from).map_err(|reason| Unusable(format!("from: {reason}")))?;
        let mut headers = Headers::with_capacity(1);
        headers.set(From::from(Mailboxes::from(from.clone())));
        Ok(Self {
            head: format!("{headers}MIME-Version: 1.0\r\n"),
            domain: from.email.domain().to_owned(),
            from: from.email.to_string(),
            reports,
            return_path: config.return_path().map(ToOwned::to_owned),
            reply_to: config.reply_to().map(ToOwned::to_owned),
            headers: config.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        })
    }

    /// The whole command line for `letter` at a relay with these `offers`. The size is said where it is asked for
    /// (RFC 1870 6): who has a quota then refuses before the message has travelled.
    pub(super) fn mail_command(&self, letter: &Letter, offers: &Offers) -> String {
        let utf8 = if letter.needs_utf8 { " SMTPUTF8" } else { "" };
        let size = if offers.size.is_some() { format!(" SIZE={}", letter.size()) } else { String::new() };
        format!("MAIL FROM:<{}>{utf8}{size}\r\n", letter.sender)
    }

    /// The command line that asks whether the sender is taken, without a message.
    pub(super) fn bare_mail_command(&self) -> String {
        let sender = self.sender(None);
        let utf8 = if sender.is_ascii() { "" } else { " SMTPUTF8" };
        format!("MAIL FROM:<{sender}>{utf8}\r\n")
    }

    /// Composes the letter, or says why this delivery can never be one.
    pub(super) fn compose(&self, envelope: &Envelope) -> Result<Letter, Trouble> {
        let message = &envelope.message;
        if message.subject.chars().any(char::is_control) {
            return Err(Trouble::new(ErrorCategory::Render, "the subject contains a line break or control character"));
        }
        let to = address(&envelope.to)?;
        let rcpt_command = format!("RCPT TO:<{to}>\r\n");
        let needs_utf8 = !rcpt_command.is_ascii() || !self.from.is_ascii();
        let name = envelope.to_name.as_deref().and_then(display_name);
        let headers = headers(message.written_at, to, name, &message.subject);
        let (id, key) = (self.message_id(&envelope.key), in_header(&envelope.key));
        let mut content = format!("Message-ID: {id}\r\n{HEADER}: {key}\r\n{}{headers}", self.head).into_bytes();
        if let Some(line) = self.reports.and_then(|format| format.metadata_header(&key)) {
            content.extend_from_slice(format!("{line}\r\n").as_bytes());
        }
        if let Some(list) = &message.list {
            write_list_headers(&mut content, list)?;
        }
        self.write_own_headers(&mut content, message)?;
        let length = message.text.len() + message.html.as_ref().map_or(0, String::len);
        content.reserve(length + length / 8 + 512);
        // No part is ever empty: readers that prefer the text would show nothing.
        match message.html.as_ref().filter(|html| !html.trim().is_empty()) {
            None => write_part(&mut content, "plain", &message.text),
            Some(html) if message.text.trim().is_empty() => write_part(&mut content, "html", html),
            Some(html) => {
                let head = format!("Content-Type: multipart/alternative; boundary=\"{BOUNDARY}\"\r\n");
                content.extend_from_slice(head.as_bytes());
                for (subtype, text) in [("plain", &message.text), ("html", html)] {
                    content.extend_from_slice(format!("\r\n--{BOUNDARY}\r\n").as_bytes());
                    write_part(&mut content, subtype, text);
                }
                content.extend_from_slice(format!("\r\n--{BOUNDARY}--").as_bytes());
            }
        }
        content.extend_from_slice(END);
        let sender = self.sender(message.returns.as_deref());
        Ok(Letter { sender, rcpt_command, content, needs_utf8 })
    }

    /// The headers that the message, its campaign or the pool have beside what every message has.
    fn write_own_headers(&self, content: &mut Vec<u8>, message: &Message) -> Result<(), Trouble> {
        if let Some(address) = message.reply_to.as_ref().or(self.reply_to.as_ref()) {
            content.extend_from_slice(reply_to(address)?.as_bytes());
        }
        let is_own = |name: &str| message.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        let of_pool = self.headers.iter().filter(|(name, _)| !is_own(name));
        for (name, value) in message.headers.iter().chain(of_pool) {
            content.extend_from_slice(header_line(name, value)?.as_bytes());
        }
        Ok(())
    }

    /// The address that a message comes back to. Its token says which message that was.
    fn sender(&self, token: Option<&str>) -> String {
        let path = self.return_path.as_deref();
        match (path.and_then(|path| path.split_once('@')), token) {
            (Some((local, domain)), Some(token)) => format!("{local}+{token}@{domain}"),
            (Some(_), None) => path.unwrap_or(&self.from).to_owned(),
            (None, _) => self.from.clone(),
        }
    }

    /// One `Message-ID` for the delivery's whole life (RFC 5322 3.6.4): its key before the sender's domain.
    fn message_id(&self, key: &str) -> String {
        let safe: String = key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
        format!("<{safe}@{}>", self.domain)
    }
}

/// The headers that are each recipient's own.
fn headers(written_at: Option<UtcInstant>, to: Address, name: Option<String>, subject: &str) -> String {
    let mut headers = Headers::with_capacity(3);
    let date = written_at.and_then(|at| UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(at.0).ok()?)));
    headers.set(date.map_or_else(Date::now, Date::from));
    let mut own = String::new();
    match name {
        Some(name) if must_encode(&name) => {
            own.push_str(&format!("To: {}\r\n <{to}>\r\n", encode(&name, "To: ".len())))
        }
        name => headers.set(To::from(Mailboxes::from(Mailbox::new(name, to)))),
    }
    if must_encode(subject) {
        own.push_str(&format!("Subject: {}\r\n", encode(subject, "Subject: ".len())));
    } else {
        headers.set(Subject::from(subject.to_owned()));
    }
    format!("{own}{headers}")
}

/// The header of the address that answers go to.
fn reply_to(address: &str) -> Result<String, Trouble> {
    let Mailbox { name, email } = parse_mailbox(address)
        .map_err(|_reason| Trouble::new(ErrorCategory::Render, "the address that answers go to is not one"))?;
    let mut headers = Headers::with_capacity(1);
    match name.as_deref().and_then(display_name) {
        Some(name) if must_encode(&name) => {
            return Ok(format!("Reply-To: {}\r\n <{email}>\r\n", encode(&name, "Reply-To: ".len())));
        }
        name => headers.set(ReplyTo::from(Mailboxes::from(Mailbox::new(name, email)))),
    }
    Ok(headers.to_string())
}

/// A header of a text, encoded where it must be, and folded.
fn header_line(name: &str, value: &str) -> Result<String, Trouble> {
    let no_name = || Trouble::new(ErrorCategory::Render, "a header has a name that it cannot have");
    // Whatever stands there: it is one header.
    let value: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
    if !is_name {
        return Err(no_name());
    }
    if must_encode(&value) {
        return Ok(format!("{name}: {}\r\n", encode(&value, name.len() + ": ".len())));
    }
    let name = HeaderName::new_from_ascii(name.to_owned()).map_err(|_invalid| no_name())?;
    let mut headers = Headers::with_capacity(1);
    headers.insert_raw(HeaderValue::new(name, value));
    Ok(headers.to_string())
}

/// A key as a header holds it. Keys have nothing that a header could not hold; nothing else gets into it.
fn in_header(key: &str) -> String {
    key.chars().filter(|c| c.is_ascii_alphanumeric() || "_:-.".contains(*c)).collect()
}

/// The headers by which mailbox providers offer to unsubscribe (RFC 2369 3.2, RFC 8058 3.1, RFC 2919 3).
fn write_list_headers(content: &mut Vec<u8>, list: &ListHeaders) -> Result<(), Trouble> {
    let ListHeaders { unsubscribe, id } = list;
    let fits = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'<' && byte != b'>');
    if !fits(unsubscribe) || !id.as_deref().is_none_or(fits) {
        return Err(Trouble::new(ErrorCategory::Render, "the link to unsubscribe does not fit in a header"));
    }
    for (name, value) in list.lines() {
        content.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    Ok(())
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

/// Writes a part whose body is quoted-printable, or base64 where that would be shorter.
fn write_part(content: &mut Vec<u8>, subtype: &str, text: &str) {
    let beyond_ascii = if text.is_ascii() { 0 } else { text.bytes().filter(|byte| !byte.is_ascii()).count() };
    let base64 = if beyond_ascii > text.len() / 6 { base64(text) } else { None };
    let encoding = if base64.is_some() { "base64" } else { "quoted-printable" };
    content.extend_from_slice(
        format!("Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n")
            .as_bytes(),
    );
    match base64 {
        Some(body) => content.extend_from_slice(body.as_ref()),
        None => quoted_printable::encode(text, content),
    }
}

/// `text` in base64; nothing if lettre should ever find a text that base64 cannot hold.
fn base64(text: &str) -> Option<Body> {
    Body::new_with_encoding(text.to_owned(), ContentTransferEncoding::Base64).ok()
}

#[cfg(test)]
mod tests;
