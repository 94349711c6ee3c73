//! The HTTP provider.

use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::ledger::{Seen, number_in};
use super::{Fate, State};
use crate::verify::plan::Weather;

/// More than any message of the made-up campaign has.
const MAX_BODY: usize = 1 << 20;

/// The header by which instances tell who they are.
pub(in crate::verify) const INSTANCE_HEADER: &str = "x-verify-instance";

#[derive(Default)]
struct Request {
    instance: usize,
    key: Option<String>,
    body: Vec<u8>,
}

/// Answers requests until either side has had enough.
pub(super) async fn serve(stream: TcpStream, state: Arc<State>) {
    let (reader, writer) = stream.into_split();
    tokio::select! {
        _gone = talk(BufReader::new(reader), writer, &state) => {}
        () = state.until_becomes(Weather::Refusing) => {}
    }
}

async fn talk(mut reader: BufReader<OwnedReadHalf>, mut writer: OwnedWriteHalf, state: &State) -> Option<()> {
    loop {
        let request = read(&mut reader, state).await?;
        let answer = answer(&request, state).await?;
        writer.write_all(answer.as_bytes()).await.ok()?;
    }
}

async fn read(reader: &mut BufReader<OwnedReadHalf>, state: &State) -> Option<Request> {
    let mut line = String::new();
    read_line(reader, &mut line).await?;
    let began = Instant::now();
    let mut request = Request { instance: usize::MAX, ..Request::default() };
    let mut length = 0;
    loop {
        read_line(reader, &mut line).await?;
        let Some((name, value)) = line.split_once(':') else { break };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "idempotency-key" => request.key = Some(value.to_owned()),
            INSTANCE_HEADER => request.instance = value.parse().ok()?,
            _ => {}
        }
    }
    state.ledger.begin(began, request.instance);
    if length > MAX_BODY {
        return None;
    }
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body).await.ok()?;
    Some(request)
}

async fn read_line(reader: &mut BufReader<OwnedReadHalf>, line: &mut String) -> Option<()> {
    line.clear();
    (reader.read_line(line).await.ok()? > 0).then_some(())
}

/// Writes the message down and says what to answer; nothing where the connection is to be cut.
async fn answer(request: &Request, state: &State) -> Option<String> {
    match state.weather() {
        Weather::Fair | Weather::Refusing => {}
        Weather::Silent => {
            state.until_not(Weather::Silent).await;
            return None;
        }
        Weather::Busy => return Some(say("429 Too Many Requests", "Retry-After: 1\r\n")),
        Weather::Failing => return Some(say("503 Service Unavailable", "")),
    }
    let body: serde_json::Value = serde_json::from_slice(&request.body).ok()?;
    let to = body.get("to").and_then(serde_json::Value::as_str).and_then(number_in).unwrap_or(usize::MAX);
    let fate = state.fate(to);
    state.half_latency().await;
    match fate {
        Fate::Rejected => {
            state.ledger.refuse(to);
            return Some(say("400 Bad Request", ""));
        }
        Fate::Later => return Some(say("429 Too Many Requests", "Retry-After: 1\r\n")),
        Fate::CutBefore => return None,
        Fate::Taken | Fate::ReplyLost | Fate::ErrorAfter => {}
    }
    let seen = Seen { key: request.key.as_deref().map(|key| hash(key.as_bytes())), body: hash(&request.body) };
    state.ledger.take(to, seen);
    state.half_latency().await;
    match fate {
        Fate::ReplyLost => None,
        Fate::ErrorAfter => Some(say("500 Internal Server Error", "")),
        Fate::Taken | Fate::Rejected | Fate::Later | Fate::CutBefore => Some(say("200 OK", "")),
    }
}

fn say(status: &str, headers: &str) -> String {
    let body = r#"{"id":"message-1"}"#;
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}
