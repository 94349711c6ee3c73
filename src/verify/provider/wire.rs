//! A connection of a scripted server: it does what the script says at each moment, and a witness hears of everything before
//! the client does.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;

use super::act::{Act, Message, Moment, Request, Stage, Step, Words};
use crate::verify::runtime::reset;

/// Decides what a server does at a moment; `None` is what one in good health does.
pub type Conduct = dyn Fn(&Moment<'_>) -> Option<Act> + Send + Sync;

/// Hears what a server sees. The server goes on when the call comes back.
pub trait Witness: Send + Sync + 'static {
    /// A connection was accepted.
    fn connected(&self, _connection: usize) {}
    /// A line of SMTP came, outside of a message's content.
    fn heard(&self, _connection: usize, _line: &str) {}
    /// A whole request of HTTP came.
    fn asked(&self, _request: &Request) {}
    /// A hand-over began, with `MAIL` or a request's head. `by` is the sender's address, or what follows `instance=` in the
    /// request's address.
    fn begun(&self, _at: Instant, _by: &str) {}
    /// The server answers.
    fn answered(&self, _words: &Words) {}
    /// A message, of which at least the content's beginning was asked for, got no answer: either side hung up before.
    fn unanswered(&self) {}
    /// A message is taken now.
    fn taken(&self, _message: &Message) {}
}

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// SMTP (RFC 5321).
    Smtp,
    /// HTTP/1.1 (RFC 9112).
    Http,
}

/// What all connections of a server share.
pub(super) struct Shared {
    pub(super) protocol: Protocol,
    pub(super) conduct: watch::Sender<Arc<Conduct>>,
    pub(super) witness: Arc<dyn Witness>,
    pub(super) connections: AtomicUsize,
    pub(super) open: Open,
    pub(super) busy: AtomicUsize,
    pub(super) flooded: AtomicU64,
    /// Each change hangs up on everybody.
    pub(super) cuts: watch::Sender<u64>,
}

/// The numbers of the open connections.
#[derive(Default)]
pub(super) struct Open {
    numbers: Mutex<BTreeSet<usize>>,
    ended: Condvar,
}

impl Open {
    pub(super) fn count(&self) -> usize {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(super) fn wait_for_those_before(&self, connection: usize) {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        while numbers.first().is_some_and(|first| *first < connection) {
            numbers = self.ended.wait(numbers).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// One open connection.
pub(super) struct OpenOne<'a>(&'a Open, usize);

impl<'a> OpenOne<'a> {
    pub(super) fn enter(open: &'a Open, connection: usize) -> Self {
        open.numbers.lock().unwrap_or_else(PoisonError::into_inner).insert(connection);
        Self(open, connection)
    }
}

impl Drop for OpenOne<'_> {
    fn drop(&mut self) {
        self.0.numbers.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
        self.0.ended.notify_all();
    }
}

/// A message that waits for its answer.
pub(super) struct Unanswered<'a>(Option<&'a dyn Witness>);

impl Unanswered<'_> {
    /// It was answered.
    pub(super) fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(witness) = self.0 {
            witness.unanswered();
        }
    }
}

/// Counts one more for as long as it lives.
pub(super) struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn one_more(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::SeqCst);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One end of a connection. Whatever returns an [`Option`] has hung up, or was hung up on, when it returns `None`.
pub(super) struct Wire<'a> {
    pub(super) reader: BufReader<OwnedReadHalf>,
    pub(super) writer: OwnedWriteHalf,
    pub(super) conduct: watch::Receiver<Arc<Conduct>>,
    pub(super) out: Vec<u8>,
    pub(super) connection: usize,
    pub(super) accepted: usize,
    pub(super) shared: &'a Shared,
}

/// What a turn of the server came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    /// The answer was a yes.
    pub(super) yes: bool,
    /// The answer was 334: another line of the client's belongs to it.
    pub(super) more: bool,
}

/// What a moment is about.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct About<'a> {
    pub(super) line: &'a str,
    pub(super) sender: &'a str,
    pub(super) recipient: &'a str,
    pub(super) request: Option<&'a Request>,
    pub(super) message: Option<&'a Message>,
}

impl<'a> Wire<'a> {
    pub(super) fn witness(&self) -> &'a dyn Witness {
        self.shared.witness.as_ref()
    }

    /// A hand-over is under way for as long as the answer lives.
    pub(super) fn busy(&self) -> Counted<'a> {
        Counted::one_more(&self.shared.busy)
    }

    /// From now on a message waits for its answer.
    pub(super) fn unanswered(&self) -> Unanswered<'a> {
        Unanswered(Some(self.witness()))
    }

    fn decide(&mut self, stage: Stage, about: About<'_>) -> Option<Act> {
        let conduct = Arc::clone(&self.conduct.borrow_and_update());
        let length = |message: &Message| message.content.len();
        conduct(&Moment {
            stage,
            connection: self.connection,
            accepted: self.accepted,
            open: self.shared.open.count(),
            busy: self.shared.busy.load(Ordering::SeqCst),
            line: about.line,
            sender: about.sender,
            recipient: about.recipient,
            size: about.message.map_or(0, length),
            request: about.request,
        })
    }

    /// Does what the script says at this moment, else says `usual`.
    pub(super) async fn turn(&mut self, stage: Stage, about: About<'_>, usual: &Words) -> Option<Said> {
        let act = self.decide(stage, about).unwrap_or_default();
        self.perform(act, about, Some(usual)).await
    }

    /// Does what the script says at this moment, if it says anything. Whether it said so.
    pub(super) async fn maybe(&mut self, stage: Stage, about: About<'_>) -> Option<bool> {
        let Some(act) = self.decide(stage, about) else { return Some(false) };
        let speaks = act.steps.iter().any(|step| matches!(step, Step::Say(_)));
        self.perform(act, about, None).await?;
        Some(speaks)
    }

    async fn perform(&mut self, act: Act, about: About<'_>, usual: Option<&Words>) -> Option<Said> {
        let (mut taken, mut said) = (false, None);
        for step in act.steps {
            match step {
                Step::Wait(time) => {
                    self.flush().await?;
                    tokio::time::sleep(time).await;
                }
                Step::Take => self.take(about.message, &mut taken),
                Step::Lose => taken = true,
                Step::Say(words) => said = Some(self.say(&words, about, &mut taken).await?),
                Step::Flood(bytes) => {
                    self.take(about.message, &mut taken);
                    self.flood(bytes).await?;
                    said = Some(Said { yes: true, more: false });
                }
                Step::Forget => {
                    let ahead = self.reader.buffer().len();
                    self.reader.consume(ahead);
                }
                Step::Hold => {
                    self.flush().await?;
                    self.conduct.changed().await.ok()?;
                    self.conduct.mark_unchanged();
                }
                Step::Silent => {
                    self.flush().await?;
                    self.silence().await;
                    return None;
                }
                Step::Cut => {
                    self.flush().await?;
                    return None;
                }
                Step::Reset => {
                    reset(self.writer.as_ref());
                    return None;
                }
            }
        }
        match (said, usual) {
            (Some(said), _) => Some(said),
            (None, Some(usual)) => self.say(usual, about, &mut taken).await,
            (None, None) => Some(Said { yes: true, more: false }),
        }
    }

    /// Answers, together with the answers to whatever came in the same packet (RFC 2920). A yes to a message takes it.
    async fn say(&mut self, words: &Words, about: About<'_>, taken: &mut bool) -> Option<Said> {
        if about.message.is_some() && self.conduct.has_changed().unwrap_or(false) {
            // An answer that was thought out before the script was replaced may be held back by the new one.
            if let Some(act) = self.decide(Stage::Reply, about) {
                return Box::pin(self.perform(act, About { message: None, ..about }, Some(words))).await;
            }
        }
        let yes = words.is_yes();
        if about.message.is_some() && self.has_hung_up().await {
            return None;
        }
        if yes {
            self.take(about.message, taken);
        }
        self.witness().answered(words);
        words.write(&mut self.out);
        let more = matches!(words, Words::Lines(text) if text.starts_with(b"334"));
        Some(Said { yes, more })
    }

    /// Whether the client has gone, as far as is known.
    async fn has_hung_up(&mut self) -> bool {
        if !self.reader.buffer().is_empty() {
            return false;
        }
        let mut byte = [0];
        let look = self.reader.get_mut().peek(&mut byte);
        matches!(tokio::time::timeout(Duration::ZERO, look).await, Ok(Ok(0) | Err(_)))
    }

    /// What is taken is written down before the client hears of it.
    fn take(&mut self, message: Option<&Message>, taken: &mut bool) {
        if let (Some(message), false) = (message, *taken) {
            self.accepted += 1;
            self.witness().taken(message);
        }
        *taken = true;
    }

    /// Comes back when the script is replaced, or the client hangs up.
    async fn silence(&mut self) {
        let mut ignored = vec![0; 16 * 1024];
        let reader = &mut self.reader;
        let gone = async { while reader.read(&mut ignored).await.is_ok_and(|bytes| bytes > 0) {} };
        tokio::select! {
            () = gone => {}
            _replaced = self.conduct.changed() => {}
        }
    }

    async fn flood(&mut self, bytes: u64) -> Option<()> {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n");
        self.writer.write_all(head.as_bytes()).await.ok()?;
        let chunk = vec![b'x'; 64 * 1024];
        while self.shared.flooded.load(Ordering::SeqCst) < bytes {
            self.writer.write_all(&chunk).await.ok()?;
            self.shared.flooded.fetch_add(64 * 1024, Ordering::SeqCst);
        }
        Some(())
    }

    pub(super) async fn flush(&mut self) -> Option<()> {
        if !self.out.is_empty() {
            self.writer.write_all(&self.out).await.ok()?;
            self.out.clear();
        }
        Some(())
    }

    /// The next line without its end. A line ends with CRLF, and with nothing less: a bare line feed is no line end in SMTP.
    pub(super) async fn line(&mut self, line: &mut Vec<u8>) -> Option<()> {
        line.clear();
        loop {
            if self.reader.buffer().is_empty() {
                self.flush().await?;
            }
            if self.reader.read_until(b'\n', line).await.ok()? == 0 {
                return None;
            }
            if line.ends_with(b"\r\n") {
                line.truncate(line.len().saturating_sub(2));
                return Some(());
            }
        }
    }

    /// The next so many bytes.
    pub(super) async fn bytes(&mut self, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes).await.ok()?;
        Some(bytes)
    }
}
