//! From a rendered message to the bytes between `DATA` and the final dot.

use std::time::{Duration, UNIX_EPOCH};

use lettre::Address;
use lettre::message::header::{Date, From, HeaderName, HeaderValue, Headers, ReplyTo, Subject, To};
use lettre::message::{Mailbox, Mailboxes};

use super::content::{Content, END};
use super::encoded_words::{encode, must_encode};
use super::parts;
use super::wire::Offers;
use crate::channels::Unusable;
use crate::config::pools::SmtpConfig;
use crate::domain::callbacks::{Format, HEADER};
use crate::domain::content::mailbox::parse_mailbox;
use crate::domain::content::message::{Envelope, ListHeaders, Message};
use crate::domain::dispatch::delivery::ErrorCategory;
use crate::domain::dispatch::trouble::Trouble;
use crate::domain::instant::UtcInstant;

/// The longest line of a header, without its end (RFC 5322 2.1.1).
const LONGEST_LINE: usize = 998;

/// Writes letters from one sender. lettre encodes the headers that need it; its message builder, which parses again what
/// it has just written, costs more than all the rest and is not used.
pub(super) struct Composer {
    /// The header of the sender, unless the message says who it is from.
    from_header: String,
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
    /// What is sent after `DATA`.
    pub(super) content: Content,
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
            from_header: headers.to_string(),
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
        let own = message.from.as_deref().map(|address| mailbox_header("From", address)).transpose()?;
        let from = own.as_deref().unwrap_or(&self.from_header);
        let head = format!("Message-ID: {id}\r\n{HEADER}: {key}\r\n{from}MIME-Version: 1.0\r\n{headers}");
        let mut head = head.into_bytes();
        if let Some(line) = self.reports.and_then(|format| format.metadata_header(&key)) {
            head.extend_from_slice(format!("{line}\r\n").as_bytes());
        }
        if let Some(list) = &message.list {
            write_list_headers(&mut head, list)?;
        }
        self.write_own_headers(&mut head, message)?;
        let length = message.text.len() + message.html.as_ref().map_or(0, String::len);
        head.reserve(length + length / 8 + 512);
        let mut content = Content::default();
        *content.own() = head;
        parts::write(&mut content, message, &envelope.attachments);
        content.own().extend_from_slice(END);
        let sender = self.sender(message.returns.as_deref());
        Ok(Letter { sender, rcpt_command, content, needs_utf8 })
    }

    /// The headers that the message, its campaign or the pool have beside what every message has.
    fn write_own_headers(&self, content: &mut Vec<u8>, message: &Message) -> Result<(), Trouble> {
        if let Some(address) = message.reply_to.as_ref().or(self.reply_to.as_ref()) {
            content.extend_from_slice(mailbox_header("Reply-To", address)?.as_bytes());
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

/// A header of one address with its name: who a message is from, or where answers go.
fn mailbox_header(header: &str, address: &str) -> Result<String, Trouble> {
    let Mailbox { name, email } = parse_mailbox(address)
        .map_err(|_reason| Trouble::new(ErrorCategory::Render, format!("the address in {header} is not one")))?;
    let mut headers = Headers::with_capacity(1);
    match name.as_deref().and_then(display_name) {
        Some(name) if must_encode(&name) => {
            return Ok(format!("{header}: {}\r\n <{email}>\r\n", encode(&name, header.len() + ": ".len())));
        }
        name if header == "From" => headers.set(From::from(Mailboxes::from(Mailbox::new(name, email)))),
        name => headers.set(ReplyTo::from(Mailboxes::from(Mailbox::new(name, email)))),
    }
    Ok(headers.to_string())
}

/// A header of a text, encoded where it must be, and folded.
fn header_line(name: &str, value: &str) -> Result<String, Trouble> {
    let no_name = || Trouble::new(ErrorCategory::Render, "a header has a name that it cannot have");
    // Whatever stands there: it is one header, and no line of it is blank.
    let words = value.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty());
    let value = words.collect::<Vec<_>>().join(" ");
    if value.is_empty() {
        return Ok(String::new());
    }
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
    if !is_name {
        return Err(no_name());
    }
    // Addresses, links and JSON are read as they stand, and not where they are in encoded words: a line may be long (RFC 5322 2.1.1).
    let fits = name.len() + ": ".len() + value.len() <= LONGEST_LINE;
    if value.is_ascii() && fits && !value.contains("=?") {
        return Ok(format!("{name}: {value}\r\n"));
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

#[cfg(test)]
mod tests;
