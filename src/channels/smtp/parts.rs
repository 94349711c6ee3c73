//! The body of a message: text and HTML, what the HTML shows, and what is attached (RFC 2045, 2046, 2387).

use lettre::message::Body;
use lettre::message::header::ContentTransferEncoding;

use super::content::Content;
use super::quoted_printable;
use crate::channels::percent;
use crate::domain::content::attachment::Attachment;
use crate::domain::content::message::Message;

/// Between a text and its HTML. Neither quoted-printable nor base64 can produce `=_` (RFC 2045 6.7 says so, too), so no part can hold it.
/// Each boundary is fixed, so that every attempt has the same bytes, and none begins with another.
const ALTERNATIVE: &str = "=_volley";

/// Between HTML and what it shows.
const RELATED: &str = "=_related";

/// Between what is said and what is attached.
const MIXED: &str = "=_mixed";

/// Writes the headers of the body, and the body.
pub(super) fn write(content: &mut Content, message: &Message, files: &[Attachment]) {
    let html = message.html.as_deref().filter(|html| !html.trim().is_empty());
    let is_shown = |file: &&Attachment| html.is_some() && file.content_id.is_some();
    let (shown, attached): (Vec<&Attachment>, Vec<&Attachment>) = files.iter().partition(is_shown);
    if attached.is_empty() {
        return write_words(content, &message.text, html, &shown);
    }
    begin(content, "mixed", MIXED, "");
    delimit(content, MIXED);
    write_words(content, &message.text, html, &shown);
    for file in attached {
        delimit(content, MIXED);
        write_file(content, file, "attachment");
    }
    end(content, MIXED);
}

/// Text, HTML or both. No part is ever empty: readers that prefer the text would show nothing.
fn write_words(content: &mut Content, text: &str, html: Option<&str>, shown: &[&Attachment]) {
    match html {
        None => write_text(content, "plain", text),
        Some(html) if text.trim().is_empty() => write_html(content, html, shown),
        Some(html) => {
            begin(content, "alternative", ALTERNATIVE, "");
            delimit(content, ALTERNATIVE);
            write_text(content, "plain", text);
            delimit(content, ALTERNATIVE);
            write_html(content, html, shown);
            end(content, ALTERNATIVE);
        }
    }
}

fn write_html(content: &mut Content, html: &str, shown: &[&Attachment]) {
    if shown.is_empty() {
        return write_text(content, "html", html);
    }
    begin(content, "related", RELATED, "; type=\"text/html\"");
    delimit(content, RELATED);
    write_text(content, "html", &with_whole_ids(html, shown));
    for file in shown {
        delimit(content, RELATED);
        write_file(content, file, "inline");
    }
    end(content, RELATED);
}

/// An id as `Content-ID` has it: with a right side (RFC 2045 7).
fn whole_id(id: &str) -> String {
    if id.contains('@') { id.to_owned() } else { format!("{id}@volley") }
}

/// The HTML with the whole ids of what it shows.
fn with_whole_ids(html: &str, shown: &[&Attachment]) -> String {
    let mut out = String::with_capacity(html.len() + shown.len() * 8);
    let mut pieces = html.split("cid:");
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        out.push_str("cid:");
        let end = piece.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.@".contains(c)).unwrap_or(piece.len());
        let (id, rest) = piece.split_at(end);
        let is_shown = shown.iter().any(|file| file.content_id.as_deref() == Some(id));
        out.push_str(&if is_shown { whole_id(id) } else { id.to_owned() });
        out.push_str(rest);
    }
    out
}

fn begin(content: &mut Content, kind: &str, boundary: &str, more: &str) {
    let head = format!("Content-Type: multipart/{kind}; boundary=\"{boundary}\"{more}\r\n");
    content.own().extend_from_slice(head.as_bytes());
}

fn delimit(content: &mut Content, boundary: &str) {
    content.own().extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
}

fn end(content: &mut Content, boundary: &str) {
    content.own().extend_from_slice(format!("\r\n--{boundary}--").as_bytes());
}

/// Writes a text whose body is quoted-printable, or base64 where that would be shorter.
fn write_text(content: &mut Content, subtype: &str, text: &str) {
    let beyond_ascii = if text.is_ascii() { 0 } else { text.bytes().filter(|byte| !byte.is_ascii()).count() };
    let base64 = if beyond_ascii > text.len() / 6 { base64(text) } else { None };
    let encoding = if base64.is_some() { "base64" } else { "quoted-printable" };
    let own = content.own();
    own.extend_from_slice(
        format!("Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n")
            .as_bytes(),
    );
    match base64 {
        Some(body) => own.extend_from_slice(body.as_ref()),
        None => quoted_printable::encode(text, own),
    }
}

/// `text` in base64; nothing if lettre should ever find a text that base64 cannot hold.
fn base64(text: &str) -> Option<Body> {
    Body::new_with_encoding(text.to_owned(), ContentTransferEncoding::Base64).ok()
}

fn write_file(content: &mut Content, file: &Attachment, disposition: &str) {
    let id = file.content_id.as_ref().map(|id| format!("Content-ID: <{}>\r\n", whole_id(id))).unwrap_or_default();
    let head = format!(
        "Content-Type: {}\r\nContent-Transfer-Encoding: base64\r\n{id}Content-Disposition: {disposition};\r\n {}\r\n\r\n",
        file.content_type,
        file_name(&file.name)
    );
    content.own().extend_from_slice(head.as_bytes());
    content.share(&file.base64);
}

/// The parameter of a file's name: in quotes, or encoded where quotes do not do (RFC 2231 4).
fn file_name(name: &str) -> String {
    let is_plain = name.bytes().all(|byte| (b' '..=b'~').contains(&byte) && !b"\"\\".contains(&byte));
    if is_plain && !name.contains("=?") {
        format!("filename=\"{name}\"")
    } else {
        format!("filename*=utf-8''{}", percent::encoded(name))
    }
}
