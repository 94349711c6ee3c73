//! An SMTP relay that remembers every recipient and misbehaves on request.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use volley::verify::dice::Dice;

use super::ledger::Ledger;
use super::listener::Listener;

/// How the relay treats what it is given from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Takes everything.
    Accept,
    /// Says nothing more, at whatever stage.
    Hang,
    /// Takes every n-th message and cuts the connection instead of saying so.
    CutAfterAccepting(u64),
    /// Answers every recipient with 451: come back later.
    TryLater,
    /// Answers `MAIL` with 421 and hangs up: the whole relay is shutting down.
    ShuttingDown,
}

/// When each envelope sender first tried each recipient.
type FirstTries = HashMap<(String, String), Instant>;

/// The relay. Dropping it closes it.
pub(crate) struct SmtpSink {
    listener: Listener,
    state: Arc<State>,
}

struct State {
    ledger: Ledger,
    mode: Mutex<Mode>,
    changed: Condvar,
    released: Condvar,
    rejected: Mutex<HashSet<String>>,
    held: Mutex<HashSet<String>>,
    /// How often a recipient is still answered with 450.
    busy: Mutex<HashMap<String, usize>>,
    /// How long a sender and a recipient that are new to each other are put off, and since when they are known.
    greylisted: Mutex<(Duration, FirstTries)>,
    latency_ms: (u64, u64),
    dice: Dice,
    taken: AtomicU64,
    remembers: bool,
    pipelining: bool,
}

impl SmtpSink {
    /// A relay whose answer to a message takes between `latency_ms.0` and `latency_ms.1` milliseconds.
    pub(crate) fn start(latency_ms: (u64, u64)) -> Self {
        Self::with(latency_ms, true, true)
    }

    /// A relay that takes everything at once and only counts: for measuring. It may not offer PIPELINING.
    pub(crate) fn counting(pipelining: bool) -> Self {
        Self::with((0, 0), false, pipelining)
    }

    fn with(latency_ms: (u64, u64), remembers: bool, pipelining: bool) -> Self {
        let state = Arc::new(State {
            ledger: Ledger::default(),
            mode: Mutex::new(Mode::Accept),
            changed: Condvar::new(),
            released: Condvar::new(),
            rejected: Mutex::default(),
            held: Mutex::default(),
            busy: Mutex::default(),
            greylisted: Mutex::default(),
            latency_ms,
            dice: Dice::new(7),
            taken: AtomicU64::new(0),
            remembers,
            pipelining,
        });
        let serving = Arc::clone(&state);
        let listener = Listener::start(move |stream| {
            let _gone = Session { state: &serving, stream, replies: Vec::new() }.talk();
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

    /// Answers this recipient with 450 so many times.
    pub(crate) fn be_busy_for(&self, recipient: &str, times: usize) {
        self.state.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(recipient.to_owned(), times);
    }

    /// Puts off every sender and recipient for so long since they first came together.
    pub(crate) fn greylist(&self, length: Duration) {
        self.state.greylisted.lock().unwrap_or_else(PoisonError::into_inner).0 = length;
    }

    /// Takes its time for these recipients' messages: until [`Self::release`].
    pub(crate) fn hold(&self, recipients: &[String]) {
        self.state.held.lock().unwrap_or_else(PoisonError::into_inner).extend(recipients.iter().cloned());
    }

    /// Takes what it was holding, and holds nothing more.
    pub(crate) fn release(&self) {
        self.state.held.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.state.released.notify_all();
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

impl Drop for SmtpSink {
    fn drop(&mut self) {
        self.release();
        self.set(Mode::Accept);
    }
}

struct Session<'a> {
    state: &'a State,
    stream: TcpStream,
    replies: Vec<u8>,
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
        let mut line = Vec::with_capacity(1024);
        let (mut sender, mut recipients) = (String::new(), Vec::new());
        let mut message = Vec::new();
        self.mode()?;
        self.say("220 sink ESMTP");
        loop {
            self.hear(&mut reader, &mut line)?;
            let verb = String::from_utf8_lossy(line.get(..4).unwrap_or_default()).to_ascii_uppercase();
            if verb == "MAIL" && self.state.remembers {
                self.state.ledger.begin();
            }
            let mode = self.mode()?;
            match verb.as_str() {
                "EHLO" if self.state.pipelining => self.say("250-sink\r\n250-PIPELINING\r\n250 8BITMIME"),
                "EHLO" => self.say("250-sink\r\n250 8BITMIME"),
                "HELO" | "NOOP" => self.say("250 ok"),
                "RSET" => {
                    recipients.clear();
                    self.say("250 ok");
                }
                "MAIL" => {
                    if mode == Mode::ShuttingDown {
                        self.say("421 4.3.2 shutting down");
                        self.flush()?;
                        return Err(Gone);
                    }
                    sender = between_angles(&line);
                    recipients.clear();
                    self.say("250 ok");
                }
                "RCPT" => {
                    let recipient = between_angles(&line);
                    let rejected = self.state.rejected.lock().unwrap_or_else(PoisonError::into_inner);
                    let answer = if rejected.contains(&recipient) {
                        "550 5.1.1 no such mailbox"
                    } else if mode == Mode::TryLater {
                        "451 4.3.0 try later"
                    } else if self.is_busy(&recipient) {
                        "450 4.2.1 mailbox busy"
                    } else if self.is_greylisted(&sender, &recipient) {
                        "450 4.2.0 Recipient address rejected: Greylisted"
                    } else {
                        recipients.push(recipient);
                        "250 ok"
                    };
                    drop(rejected);
                    self.say(answer);
                }
                "DATA" if recipients.is_empty() => self.say("503 5.5.1 no recipients"),
                "DATA" => {
                    self.say("354 go ahead");
                    message.clear();
                    loop {
                        self.hear(&mut reader, &mut line)?;
                        if line == b".\r\n" {
                            break;
                        }
                        if self.state.remembers {
                            message.extend_from_slice(&line);
                        }
                    }
                    self.take(&recipients, &message)?;
                    recipients.clear();
                }
                "QUIT" => {
                    self.say("221 bye");
                    return self.flush();
                }
                _ => self.say("502 not here"),
            }
        }
    }

    fn take(&mut self, recipients: &[String], message: &[u8]) -> Result<(), Gone> {
        self.wait_while_held(recipients);
        let mode = self.mode()?;
        let latency = self.latency();
        // Half the time is spent before the message counts as taken, half before the sender hears of it.
        std::thread::sleep(latency / 2);
        let number = self.state.taken.fetch_add(1, Ordering::Relaxed) + 1;
        if self.state.remembers {
            recipients.iter().for_each(|recipient| self.state.ledger.accept(recipient, message));
        }
        std::thread::sleep(latency / 2);
        if matches!(mode, Mode::CutAfterAccepting(every) if number.is_multiple_of(every)) {
            return Err(Gone);
        }
        self.mode()?;
        self.say("250 2.0.0 queued");
        Ok(())
    }

    fn is_busy(&self, recipient: &str) -> bool {
        let mut busy = self.state.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left) = busy.get_mut(recipient).filter(|left| **left > 0) else { return false };
        *left -= 1;
        true
    }

    fn is_greylisted(&self, sender: &str, recipient: &str) -> bool {
        let mut greylisted = self.state.greylisted.lock().unwrap_or_else(PoisonError::into_inner);
        let (length, known) = &mut *greylisted;
        if length.is_zero() {
            return false;
        }
        let first = known.entry((sender.to_owned(), recipient.to_owned())).or_insert_with(Instant::now);
        first.elapsed() < *length
    }

    fn wait_while_held(&self, recipients: &[String]) {
        let mut held = self.state.held.lock().unwrap_or_else(PoisonError::into_inner);
        while recipients.iter().any(|recipient| held.contains(recipient)) {
            held = self.state.released.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
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

    /// Answers, together with the answers to whatever came in the same packet (RFC 2920).
    fn say(&mut self, reply: &str) {
        self.replies.extend_from_slice(reply.as_bytes());
        self.replies.extend_from_slice(b"\r\n");
    }

    fn flush(&mut self) -> Result<(), Gone> {
        self.stream.write_all(&self.replies)?;
        self.replies.clear();
        Ok(())
    }

    fn hear(&mut self, reader: &mut BufReader<TcpStream>, line: &mut Vec<u8>) -> Result<(), Gone> {
        if reader.buffer().is_empty() && !self.replies.is_empty() {
            self.flush()?;
        }
        read_line(reader, line)
    }
}

fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> Result<(), Gone> {
    line.clear();
    if reader.read_until(b'\n', line)? == 0 { Err(Gone) } else { Ok(()) }
}

fn between_angles(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let inner = text.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(address, _)| address);
    inner.unwrap_or_default().to_owned()
}
