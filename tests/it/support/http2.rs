//! Servers of HTTP/2: one made of `h2`'s other half, which does what a function says and remembers what it was asked; and
//! frames written by hand, for what no proper server does on purpose.

use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::io::{Cursor, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use h2::server::SendResponse;
use h2::{Reason, RecvStream, server};
use http::{Request, Response};
use tokio::sync::oneshot;

use super::ledger::Ledger;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// `POST http://127.0.0.1:1234/send`
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    /// The connection's number, from 0.
    pub(crate) connection: usize,
}

/// What the server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Status, headers, body.
    Answer(u16, Vec<(&'static str, &'static str)>, Vec<u8>),
    /// Resets the stream.
    Reset(Reason),
    /// Says nothing until the client takes its request back.
    Silence,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), Vec::new())
    }
}

/// What a server is like.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Habits {
    /// How many requests it takes at once on a connection; `None` names no limit.
    pub(crate) at_once: Option<u32>,
    /// How many requests it takes on a connection in all before it closes it in order; `None` is any number.
    pub(crate) in_all: Option<usize>,
    /// How long an answer takes.
    pub(crate) latency: Duration,
}

struct Shared {
    habits: Habits,
    script: Box<dyn Fn(&Asked) -> Reply + Send + Sync>,
    seen: Mutex<Seen>,
    ledger: Ledger,
}

#[derive(Default)]
struct Seen {
    asked: Vec<Asked>,
    connections: usize,
    /// Requests under way, by connection.
    busy: HashMap<usize, usize>,
    /// The most that were under way at once on one connection.
    busiest: usize,
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A proper server. Ends with the value.
pub(crate) struct Http2 {
    port: u16,
    shared: Arc<Shared>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Http2 {
    /// A server that answers as `script` says.
    pub(crate) fn start(habits: Habits, script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let (script, seen, ledger) = (Box::new(script), Mutex::default(), Ledger::default());
        let shared = Arc::new(Shared { habits, script, seen, ledger });
        let (end, ended) = oneshot::channel::<()>();
        let (started, port) = mpsc::channel();
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                    started.send(listener.local_addr().unwrap().port()).unwrap();
                    let accept = async {
                        loop {
                            let (tcp, _) = listener.accept().await.unwrap();
                            tcp.set_nodelay(true).unwrap();
                            tokio::spawn(serve(tcp, Arc::clone(&shared)));
                        }
                    };
                    tokio::select! {
                        () = accept => {}
                        _ = ended => {}
                    }
                });
            }
        });
        Self { port: port.recv().unwrap(), shared, end: Some(end), thread: Some(thread) }
    }

    /// A server that takes everything.
    pub(crate) fn good(habits: Habits) -> Self {
        Self::start(habits, |_| Reply::status(200))
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/send", self.port)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.seen().asked.clone()
    }

    /// Connections that were accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.seen().connections
    }

    /// The most requests that were under way at once on one connection.
    pub(crate) fn busiest(&self) -> usize {
        self.shared.seen().busiest
    }

    /// Who was answered with 2xx.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(tcp: tokio::net::TcpStream, shared: Arc<Shared>) {
    let number = {
        let mut seen = shared.seen();
        seen.connections += 1;
        seen.connections - 1
    };
    let mut builder = server::Builder::new();
    if let Some(at_once) = shared.habits.at_once {
        builder.max_concurrent_streams(at_once);
    }
    let Ok(mut connection) = builder.handshake::<_, Cursor<Vec<u8>>>(tcp).await else { return };
    let mut taken = 0;
    while let Some(Ok((request, respond))) = connection.accept().await {
        taken += 1;
        if Some(taken) == shared.habits.in_all {
            connection.graceful_shutdown();
        }
        let shared = Arc::clone(&shared);
        // An error is the client's hanging up, or taking its request back.
        tokio::spawn(async move { answer(request, respond, &shared, number).await.map_or_else(drop, drop) });
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Cursor<Vec<u8>>>,
    shared: &Shared,
    connection: usize,
) -> Result<(), h2::Error> {
    shared.ledger.begin(Instant::now());
    {
        let mut seen = shared.seen();
        let busy = seen.busy.entry(connection).or_default();
        *busy += 1;
        seen.busiest = seen.busiest.max(seen.busy[&connection]);
    }
    let (parts, mut body) = request.into_parts();
    let mut bytes = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        bytes.extend_from_slice(&chunk);
    }
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
    let asked = Asked {
        line: format!("{} {}", parts.method, parts.uri),
        headers: headers.collect(),
        body: String::from_utf8_lossy(&bytes).into_owned(),
        connection,
    };
    let reply = (shared.script)(&asked);
    let recipient = recipient(&asked.body);
    shared.seen().asked.push(asked);
    tokio::time::sleep(shared.habits.latency).await;
    // Before the client can hear of it.
    *shared.seen().busy.entry(connection).or_default() -= 1;
    match reply {
        Reply::Answer(status, headers, body) => {
            if (200..300).contains(&status) {
                shared.ledger.accept(&recipient, "");
            }
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            let mut stream = respond.send_response(response.body(()).unwrap(), body.is_empty())?;
            if !body.is_empty() {
                stream.send_data(Cursor::new(body), true)?;
            }
        }
        Reply::Reset(reason) => respond.send_reset(reason),
        Reply::Silence => drop(poll_fn(|cx| respond.poll_reset(cx)).await?),
    }
    Ok(())
}

fn recipient(body: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    body["to"].as_str().unwrap_or_default().to_owned()
}

/// A connection to a client, frame by frame (RFC 9113 4.1).
pub(crate) struct Frames {
    stream: std::net::TcpStream,
    bodies: BTreeMap<u32, String>,
    /// The streams whose request is whole, in the order in which they came to it.
    whole: Vec<u32>,
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

impl Frames {
    /// The next client, greeted.
    pub(crate) fn accept(listener: &TcpListener) -> Self {
        let (mut stream, _) = listener.accept().unwrap();
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).unwrap();
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut frames = Self { stream, bodies: BTreeMap::new(), whole: Vec::new() };
        frames.write(SETTINGS, 0, 0, &[]);
        frames
    }

    fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        // The client may have gone.
        let _ = self.stream.write_all(&frame);
    }

    /// Reads a frame. Whether there was one: the client may have gone.
    pub(crate) fn read(&mut self) -> bool {
        let mut head = [0; 9];
        if self.stream.read_exact(&mut head).is_err() {
            return false;
        }
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length];
        if self.stream.read_exact(&mut payload).is_err() {
            return false;
        }
        match kind {
            SETTINGS if flags & ACK == 0 => self.write(SETTINGS, ACK, 0, &[]),
            PING if flags & ACK == 0 => self.write(PING, ACK, 0, &payload),
            DATA => self.bodies.entry(stream).or_default().push_str(&String::from_utf8_lossy(&payload)),
            _ => {}
        }
        if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
            self.whole.push(stream);
        }
        true
    }

    /// Reads until so many requests are whole. Returns their streams and their recipients.
    pub(crate) fn requests(&mut self, count: usize) -> Vec<(u32, String)> {
        while self.whole.len() < count {
            assert!(self.read(), "the client has gone");
        }
        self.whole.iter().map(|stream| (*stream, recipient(&self.bodies[stream]))).collect()
    }

    /// `200` without a body.
    pub(crate) fn accept_request(&mut self, stream: u32) {
        self.write(HEADERS, END_HEADERS | END_STREAM, stream, &[0x88]);
    }

    /// `200`, and a piece of its body.
    pub(crate) fn begin_answer(&mut self, stream: u32) {
        self.write(HEADERS, END_HEADERS, stream, &[0x88]);
        self.write(DATA, 0, stream, b"{\"id\": \"1");
    }

    pub(crate) fn reset(&mut self, stream: u32, reason: Reason) {
        self.write(RST_STREAM, 0, stream, &u32::from(reason).to_be_bytes());
    }

    /// Says that nothing above `last` is processed.
    pub(crate) fn go_away(&mut self, last: u32, reason: Reason) {
        let payload = [last.to_be_bytes(), u32::from(reason).to_be_bytes()].concat();
        self.write(GOAWAY, 0, 0, &payload);
    }
}
