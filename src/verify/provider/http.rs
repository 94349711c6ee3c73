//! The scripted server of HTTP/1.1 (RFC 9112): requests with a `Content-Length`, one after the other.

use std::time::Instant;

use super::act::{Message, Request, Stage, Words};
use super::wire::{About, Wire};

/// More than any message has.
const MAX_BODY: usize = 1 << 26;

/// Where an instance sends its requests, so that the provider knows who speaks. Only the query differs from that of the
/// others: to all of them it is the same provider, which knows one another's keys.
pub(in crate::verify) fn path_of(instance: usize) -> String {
    format!("/messages?{INSTANCE}{instance}")
}

const INSTANCE: &str = "instance=";

/// Who speaks, by the first line of a request; empty where that does not say.
fn speaker(line: &str) -> &str {
    line.split_once(INSTANCE).and_then(|(_, rest)| rest.split(' ').next()).unwrap_or_default()
}

/// What a provider says that took a message.
pub(super) fn taken() -> Words {
    Words::Http {
        status: 200,
        headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
        body: br#"{"id":"message-1"}"#.to_vec(),
    }
}

/// Answers requests until either side has had enough.
pub(super) async fn talk(wire: &mut Wire<'_>) -> Option<()> {
    wire.maybe(Stage::Connect, About::default()).await?;
    loop {
        let (mut request, began) = head(wire).await?;
        let _busy = wire.busy();
        wire.witness().begun(began, speaker(&request.line));
        let about = About { line: &request.line, request: Some(&request), ..About::default() };
        if wire.maybe(Stage::Head, about).await? {
            // The answer came without the body, which is then in the way of the next request.
            wire.flush().await?;
        }
        let length = request.header("content-length").map_or(Some(0), |length| length.parse().ok())?;
        if length > MAX_BODY {
            return None;
        }
        request.body = wire.bytes(length).await?;
        wire.witness().asked(&request);
        let waits = wire.unanswered();
        let message = message(&request);
        let about = About {
            line: &request.line,
            sender: "",
            recipient: &message.recipient,
            request: Some(&request),
            message: Some(&message),
        };
        wire.turn(Stage::Request, about, &taken()).await?;
        wire.flush().await?;
        waits.answered();
    }
}

async fn head(wire: &mut Wire<'_>) -> Option<(Request, Instant)> {
    let mut line = Vec::new();
    wire.line(&mut line).await?;
    let began = Instant::now();
    let line_of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut request = Request { line: line_of(&line), connection: wire.connection, ..Request::default() };
    loop {
        wire.line(&mut line).await?;
        let header = line_of(&line);
        let Some((name, value)) = header.split_once(':') else { return Some((request, began)) };
        request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn message(request: &Request) -> Message {
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let recipient = body.get("to").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    Message {
        recipient,
        content: request.body.clone(),
        key: request.header("idempotency-key").map(str::to_owned),
        ..Message::default()
    }
}
