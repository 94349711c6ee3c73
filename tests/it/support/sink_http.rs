//! An HTTP provider that remembers every recipient, may honour idempotency keys, and misbehaves on request.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use volley::verify::dice::Dice;

use super::ledger::Ledger;
use super::listener::Listener;

/// How the provider treats what it is given from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Takes everything.
    Accept,
    /// Says nothing more.
    Hang,
    /// Takes every n-th message and cuts the connection instead of saying so.
    CutAfterAccepting(u64),
    /// Takes every n-th message and answers it with 500.
    ErrorAfterAccepting(u64),
    /// Answers 429 with a `Retry-After` of so many seconds.
    Throttle(u64),
    /// Answers 401: the credentials are wrong.
    Unauthorized,
}

/// Whether a repeated `Idempotency-Key` is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    /// A repeated key is answered as before and counts as no other acceptance.
    Honoured,
    /// Every request counts.
    Ignored,
}

/// The provider. Dropping it closes it.
pub(crate) struct HttpSink {
    listener: Listener,
    state: Arc<State>,
}

struct State {
    ledger: Ledger,
    mode: Mutex<Mode>,
    changed: Condvar,
    rejected: Mutex<HashSet<String>>,
    keys: Keys,
    latency_ms: (u64, u64),
    dice: Dice,
    taken: AtomicU64,
    remembers: bool,
}

impl HttpSink {
    /// A provider whose answer takes between `latency_ms.0` and `latency_ms.1` milliseconds.
    pub(crate) fn start(latency_ms: (u64, u64), keys: Keys) -> Self {
        Self::with(latency_ms, keys, true)
    }

    /// A provider that takes everything at once and only counts: for measuring.
    pub(crate) fn counting() -> Self {
        Self::with((0, 0), Keys::Ignored, false)
    }

    fn with(latency_ms: (u64, u64), keys: Keys, remembers: bool) -> Self {
        let state = Arc::new(State {
            ledger: Ledger::default(),
            mode: Mutex::new(Mode::Accept),
            changed: Condvar::new(),
            rejected: Mutex::default(),
            keys,
            latency_ms,
            dice: Dice::new(11),
            taken: AtomicU64::new(0),
            remembers,
        });
        let serving = Arc::clone(&state);
        let listener = Listener::start(move |stream| {
            let _gone = Session { state: &serving, stream }.talk();
        });
        Self { listener, state }
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.listener.port()
    }

    /// What it saw.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.state.ledger
    }

    /// How many messages it took.
    pub(crate) fn taken(&self) -> u64 {
        self.state.taken.load(Ordering::Relaxed)
    }

    /// Behaves like `mode` from now on. What hung is cut, unanswered and not taken.
    pub(crate) fn set(&self, mode: Mode) {
        *self.state.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode;
        self.state.changed.notify_all();
    }

    /// Refuses this recipient for good.
    pub(crate) fn reject(&self, recipient: &str) {
        self.state.rejected.lock().unwrap_or_else(PoisonError::into_inner).insert(recipient.to_owned());
    }

    /// Cuts every connection and refuses new ones.
    pub(crate) fn refuse_connections(&self) {
        self.listener.close();
    }

    /// Takes connections again.
    pub(crate) fn accept_connections(&self) {
        self.listener.open();
    }
}

impl Drop for HttpSink {
    fn drop(&mut self) {
        self.set(Mode::Accept);
    }
}

struct Session<'a> {
    state: &'a State,
    stream: TcpStream,
}

#[derive(Default)]
struct Request {
    key: Option<String>,
    body: Vec<u8>,
}

/// The connection is over, by either side.
struct Gone;

impl From<std::io::Error> for Gone {
    fn from(_error: std::io::Error) -> Self {
        Self
    }
}

impl Session<'_> {
    fn talk(&mut self) -> Result<(), Gone> {
        let mut reader = BufReader::new(self.stream.try_clone()?);
        let mut line = String::with_capacity(256);
        let mut request = Request::default();
        loop {
            self.read(&mut reader, &mut line, &mut request)?;
            self.answer(&request)?;
        }
    }

    fn read(&self, reader: &mut impl BufRead, line: &mut String, request: &mut Request) -> Result<(), Gone> {
        let mut length = 0;
        request.key = None;
        read_line(reader, line)?;
        if self.state.remembers {
            self.state.ledger.begin();
        }
        loop {
            read_line(reader, line)?;
            let Some((name, value)) = line.split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().expect("a request says how long its body is");
            } else if name.eq_ignore_ascii_case("idempotency-key") {
                request.key = Some(value.trim().to_owned());
            }
        }
        request.body.resize(length, 0);
        Ok(reader.read_exact(&mut request.body)?)
    }

    fn answer(&mut self, request: &Request) -> Result<(), Gone> {
        let mode = self.mode()?;
        match mode {
            Mode::Throttle(seconds) => {
                self.state.ledger.entries().throttled += 1;
                return self.say("429 Too Many Requests", &format!("Retry-After: {seconds}\r\n"));
            }
            Mode::Unauthorized => return self.say("401 Unauthorized", ""),
            Mode::Accept | Mode::Hang | Mode::CutAfterAccepting(_) | Mode::ErrorAfterAccepting(_) => {}
        }
        let latency = self.latency();
        // Half the time is spent before the message counts as taken, half before the sender hears of it.
        std::thread::sleep(latency / 2);
        if self.state.remembers && !self.take(request) {
            return self.say("400 Bad Request", "");
        }
        let number = self.state.taken.fetch_add(1, Ordering::Relaxed) + 1;
        std::thread::sleep(latency / 2);
        match self.mode()? {
            Mode::CutAfterAccepting(every) if number.is_multiple_of(every) => Err(Gone),
            Mode::ErrorAfterAccepting(every) if number.is_multiple_of(every) => {
                self.say("500 Internal Server Error", "")
            }
            Mode::Accept
            | Mode::Hang
            | Mode::CutAfterAccepting(_)
            | Mode::ErrorAfterAccepting(_)
            | Mode::Throttle(_)
            | Mode::Unauthorized => self.say("200 OK", ""),
        }
    }

    /// Writes the recipient down; false when it is one to refuse.
    fn take(&self, request: &Request) -> bool {
        let body: serde_json::Value = serde_json::from_slice(&request.body).expect("the body is JSON");
        let to = body["to"].as_str().expect("the body names its recipient").to_owned();
        if self.state.rejected.lock().unwrap_or_else(PoisonError::into_inner).contains(&to) {
            return false;
        }
        if self.state.keys == Keys::Honoured {
            let key = request.key.clone().expect("the request carries an Idempotency-Key");
            let body = String::from_utf8_lossy(&request.body).into_owned();
            let mut entries = self.state.ledger.entries();
            if let Some(known) = entries.keys.get(&key) {
                let same = *known == body;
                entries.repeats += 1;
                entries.conflicts += usize::from(!same);
                return true;
            }
            entries.keys.insert(key, body);
        }
        self.state.ledger.accept(&to, &request.body);
        true
    }

    fn latency(&self) -> Duration {
        let (low, high) = self.state.latency_ms;
        if high == 0 { Duration::ZERO } else { self.state.dice.millis(low, high) }
    }

    /// The present mode; waits while that is to hang, and is gone afterwards.
    fn mode(&self) -> Result<Mode, Gone> {
        let mut mode = self.state.mode.lock().unwrap_or_else(PoisonError::into_inner);
        if *mode != Mode::Hang {
            return Ok(*mode);
        }
        while *mode == Mode::Hang {
            mode = self.state.changed.wait(mode).unwrap_or_else(PoisonError::into_inner);
        }
        Err(Gone)
    }

    fn say(&mut self, status: &str, headers: &str) -> Result<(), Gone> {
        let body = r#"{"id":"message-1"}"#;
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        );
        Ok(self.stream.write_all(answer.as_bytes())?)
    }
}

fn read_line(reader: &mut impl BufRead, line: &mut String) -> Result<(), Gone> {
    line.clear();
    if reader.read_line(line)? == 0 { Err(Gone) } else { Ok(()) }
}
