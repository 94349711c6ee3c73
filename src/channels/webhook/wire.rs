//! HTTP/1.1 (RFC 9112) from the client's side, as far as one request at a time and an answer of a few kilobytes need
//! it: over a connection that is known to be open before the request is written, in one write, on the caller's task.
//! Measured against general clients it halves what a request costs. Nothing here waits with a limit; callers do.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::reply::{Content, Head};
use crate::channels::socket::Socket;

/// The longest head of an answer that is read.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The most headers that an answer may have.
const MAX_HEADERS: usize = 100;

/// How many bytes are asked of the socket at once, and how much room is kept for them.
const READ_AT_ONCE: u64 = 4 * 1024;
const READ_BYTES: usize = 4 * 1024;

/// A connection to an HTTP server.
pub(super) struct Wire {
    socket: Socket,
    /// What came and was not yet taken.
    unread: Vec<u8>,
    /// How many bytes are asked of the socket at once.
    at_once: u64,
    /// Whether the next request may be written: the latest answer was read to its end, and nobody means to hang up.
    in_order: bool,
    /// How many answers were read to their end.
    answers: u32,
    /// When the latest of them ended.
    quiet_since: Instant,
    /// How long the server said it would leave the connection open, once quiet.
    left_open: Option<Duration>,
}

/// An answer up to its body, and how the connection goes on behind it.
#[derive(Debug)]
pub(super) struct Framed {
    pub(super) head: Head,
    length: Length,
    /// Whether the connection outlives the answer.
    keep_alive: bool,
    /// How long the server leaves a quiet connection open, where it said so.
    left_open: Option<Duration>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// The connection was over before a byte of the request left this machine.
    Unsent(io::Error),
    /// The connection ended, and not a byte of an answer had come. The request may have been received.
    Silence(io::Error),
    /// What came is no answer, or half of one. The request may have been received.
    Garbled(io::Error),
}

/// How far a request got.
enum Sent {
    Whole,
    /// Not a byte of it was taken.
    Nothing(io::Error),
    /// The server hung up or takes no more; it may have said why.
    InPart,
    /// The server answered before it had been given everything.
    Answered(Framed),
}

/// How long a body is (RFC 9112 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Known(usize),
    Chunked,
    UntilClose,
}

impl Wire {
    /// Over a fresh connection.
    pub(super) fn over(socket: Socket) -> Self {
        Self {
            socket,
            unread: Vec::new(),
            at_once: READ_AT_ONCE,
            in_order: true,
            answers: 0,
            quiet_since: Instant::now(),
            left_open: None,
        }
    }

    /// Over a connection that becomes another conversation's after one answer: nothing behind that answer's head is read.
    pub(super) fn until_one_answer(socket: Socket) -> Self {
        Self { at_once: 1, ..Self::over(socket) }
    }

    /// Whether another request may be written on this connection.
    pub(super) fn is_in_order(&self) -> bool {
        self.in_order
    }

    /// Whether the server, when nothing was asked of it, neither hung up nor spoke.
    pub(super) async fn is_quiet(&mut self) -> bool {
        self.unread.is_empty() && self.socket.is_quiet().await
    }

    /// The connection, for another conversation; nothing where the server has said more than was asked.
    pub(super) fn into_socket(self) -> Option<Socket> {
        self.unread.is_empty().then_some(self.socket)
    }

    /// How many answers were read to their end on this connection; 0 for a fresh one.
    pub(super) fn answers(&self) -> u32 {
        self.answers
    }

    /// How long nothing has been asked on this connection.
    pub(super) fn quiet_for(&self) -> Duration {
        self.quiet_since.elapsed()
    }

    /// How long it had been quiet at that moment.
    pub(super) fn quiet_before(&self, moment: Instant) -> Duration {
        moment.saturating_duration_since(self.quiet_since)
    }

    /// Whether the server may be about to hang up on a connection that was quiet for so long: `longest` is over, or what it
    /// said itself. The last second of what it promises, or the last half where it promises less than two, is left to it.
    pub(super) fn has_expired(&self, quiet_for: Duration, longest: Duration) -> bool {
        let usable = |promised: Duration| promised.saturating_sub(Duration::from_secs(1)).max(promised / 2);
        quiet_for >= self.left_open.map_or(longest, |promised| usable(promised).min(longest))
    }

    /// Sends a request and reads the answer up to its body.
    ///
    /// # Errors
    /// [`NoAnswer`] when none came, or none that is HTTP.
    pub(super) async fn ask(&mut self, request: &[u8]) -> Result<Framed, NoAnswer> {
        self.in_order = false;
        match self.answer_to(request).await {
            Ok(Ok(head)) => Ok(head),
            Ok(Err(unsent)) => Err(NoAnswer::Unsent(unsent)),
            Err(error) if self.unread.is_empty() && error.kind() != io::ErrorKind::InvalidData => {
                Err(NoAnswer::Silence(error))
            }
            Err(error) => Err(NoAnswer::Garbled(error)),
        }
    }

    /// The inner error: not a byte of the request left.
    async fn answer_to(&mut self, request: &[u8]) -> io::Result<Result<Framed, io::Error>> {
        let sent_whole = match self.send(request).await? {
            Sent::Answered(answer) => return Ok(Ok(Framed { keep_alive: false, ..answer })),
            Sent::Nothing(error) => return Ok(Err(error)),
            Sent::Whole => true,
            Sent::InPart => false,
        };
        loop {
            if let Some(mut answer) = self.take_head()? {
                answer.head.sent_whole = sent_whole;
                answer.keep_alive &= sent_whole;
                return Ok(Ok(answer));
            }
            self.fill().await?;
        }
    }

    /// Reads the body of an answer, or the first `most` bytes of a longer one.
    pub(super) async fn body(&mut self, answer: &Framed, most: usize) -> Content {
        let content = match answer.length {
            Length::Known(length) => self.counted(length, most).await,
            Length::Chunked => self.chunked(most).await,
            Length::UntilClose => self.until_close(most).await,
        };
        let content = content.unwrap_or(Content::Broken);
        let whole = matches!(content, Content::Whole(_)) && answer.length != Length::UntilClose;
        self.in_order = whole && answer.keep_alive && self.unread.is_empty();
        self.answers = self.answers.saturating_add(1);
        self.quiet_since = Instant::now();
        self.left_open = answer.left_open;
        self.unread.shrink_to(READ_BYTES);
        content
    }

    /// Writes the request, and listens meanwhile: a server may refuse before it has read everything, then hang up or stop
    /// reading. What it only announces (100, 102, 103) ends nothing.
    async fn send(&mut self, request: &[u8]) -> io::Result<Sent> {
        let mut rest = request;
        poll_fn(|cx| {
            loop {
                match self.poll_write_all(cx, &mut rest) {
                    Poll::Ready(Ok(sent)) => return Poll::Ready(Ok(sent)),
                    // Only of a socket in the clear is it known that an error means "none of it": a record may have left.
                    Poll::Ready(Err(error)) if rest.len() == request.len() && self.socket.is_plain() => {
                        return Poll::Ready(Ok(Sent::Nothing(error)));
                    }
                    Poll::Ready(Err(_)) => return Poll::Ready(Ok(Sent::InPart)),
                    Poll::Pending => {}
                }
                if ready!(self.poll_early(cx)) == 0 {
                    return Poll::Ready(Ok(Sent::InPart));
                }
                if let Some(answer) = self.take_head()? {
                    return Poll::Ready(Ok(Sent::Answered(answer)));
                }
            }
        })
        .await
    }

    fn poll_write_all(&mut self, cx: &mut Context<'_>, rest: &mut &[u8]) -> Poll<io::Result<Sent>> {
        while !rest.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_write(cx, rest))? {
                0 => return Poll::Ready(Ok(Sent::InPart)),
                written => *rest = rest.get(written..).unwrap_or_default(),
            }
        }
        let flushed = ready!(Pin::new(&mut self.socket).poll_flush(cx));
        Poll::Ready(Ok(if flushed.is_ok() { Sent::Whole } else { Sent::InPart }))
    }

    /// Takes in what the server says before it was given everything; how many bytes, 0 for the connection's end.
    fn poll_early(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        let mut bytes = [0; 256];
        let mut early = ReadBuf::new(&mut bytes);
        // What cannot be read now, the next read will report.
        let _ = ready!(Pin::new(&mut self.socket).poll_read(cx, &mut early));
        self.unread.extend_from_slice(early.filled());
        Poll::Ready(early.filled().len())
    }

    /// Waits for more bytes; how many came, 0 for the connection's end.
    async fn read(&mut self) -> io::Result<usize> {
        self.unread.reserve(READ_BYTES);
        (&mut self.socket).take(self.at_once).read_buf(&mut self.unread).await
    }

    /// Waits for more bytes, and takes the connection's end for a cut.
    async fn fill(&mut self) -> io::Result<()> {
        match self.read().await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "connection closed before the answer's end")),
            _ => Ok(()),
        }
    }

    /// Waits until that many bytes are there.
    async fn need(&mut self, bytes: usize) -> io::Result<()> {
        while self.unread.len() < bytes {
            self.fill().await?;
        }
        Ok(())
    }

    /// Takes the first `bytes`, or as many as there are.
    fn take(&mut self, bytes: usize) -> Vec<u8> {
        self.unread.drain(..bytes.min(self.unread.len())).collect()
    }

    /// The head, once it is whole. Those that only announce another (100, 103) are skipped.
    fn take_head(&mut self) -> io::Result<Option<Framed>> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut answer = httparse::Response::new(&mut headers);
            let httparse::Status::Complete(length) = answer.parse(&self.unread).map_err(nonsense)? else {
                let too_long = self.unread.len() > MAX_HEAD_BYTES;
                return if too_long { Err(nonsense("the answer's head is too long")) } else { Ok(None) };
            };
            let answer = Framed::of(&answer)?;
            self.take(length);
            if answer.head.status >= 200 || answer.head.status == 101 {
                return Ok(Some(answer));
            }
        }
    }

    async fn counted(&mut self, length: usize, most: usize) -> io::Result<Content> {
        self.need(length.min(most)).await?;
        let bytes = self.take(length.min(most));
        Ok(if length > most { Content::Capped(bytes) } else { Content::Whole(bytes) })
    }

    async fn until_close(&mut self, most: usize) -> io::Result<Content> {
        while self.unread.len() <= most {
            if self.read().await? == 0 {
                return Ok(Content::Whole(self.take(most)));
            }
        }
        Ok(Content::Capped(self.take(most)))
    }

    async fn chunked(&mut self, most: usize) -> io::Result<Content> {
        let mut bytes = Vec::new();
        loop {
            let (line, size) = loop {
                match httparse::parse_chunk_size(&self.unread).map_err(|_bad| nonsense("a chunk without a size"))? {
                    httparse::Status::Complete(found) => break found,
                    httparse::Status::Partial if self.unread.len() > MAX_HEAD_BYTES => {
                        return Err(nonsense("a chunk's size is too long"));
                    }
                    httparse::Status::Partial => self.fill().await?,
                }
            };
            self.take(line);
            if size == 0 {
                return self.trailers().await.map(|()| Content::Whole(bytes));
            }
            let room = most - bytes.len();
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            if size > room {
                self.need(room).await?;
                bytes.append(&mut self.take(room));
                return Ok(Content::Capped(bytes));
            }
            self.need(size + 2).await?;
            bytes.append(&mut self.take(size));
            if self.take(2) != b"\r\n" {
                return Err(nonsense("a chunk of another size than it says"));
            }
        }
    }

    /// Skips what may follow the last chunk: headers that nobody needs, up to an empty line.
    async fn trailers(&mut self) -> io::Result<()> {
        let mut seen = 0;
        loop {
            while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line = self.take(end + 1);
                if matches!(line.as_slice(), b"\r\n" | b"\n") {
                    return Ok(());
                }
                seen += line.len();
            }
            if seen + self.unread.len() > MAX_HEAD_BYTES {
                return Err(nonsense("trailers without end"));
            }
            self.fill().await?;
        }
    }
}

impl Framed {
    fn of(answer: &httparse::Response<'_, '_>) -> io::Result<Self> {
        let status = answer.code.unwrap_or_default();
        let mut framed = Self {
            head: Head::new(status),
            length: Length::UntilClose,
            keep_alive: answer.version == Some(1),
            left_open: None,
        };
        let (mut length, mut coding) = (None, None);
        for header in answer.headers.iter() {
            let value = || String::from_utf8_lossy(header.value).trim().to_owned();
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            if is("content-length") {
                let said: usize = value().parse().map_err(|_bad| nonsense("Content-Length is no length"))?;
                if length.replace(said).is_some_and(|before| before != said) {
                    return Err(nonsense("two lengths of one answer"));
                }
            } else if is("transfer-encoding") {
                coding = Some(value().to_ascii_lowercase());
            } else if is("connection") {
                framed.keep_alive &= !value().split(',').any(|option| option.trim().eq_ignore_ascii_case("close"));
            } else if is("keep-alive") {
                framed.left_open = left_open(&value());
            } else {
                framed.head.note(header.name, header.value);
            }
        }
        // Both lengths at once may be somebody's trick (RFC 9112 6.3): the answer counts, the connection does not stay.
        framed.keep_alive &= length.is_none() || coding.is_none();
        framed.length = match (status, coding, length) {
            (..200 | 204 | 304, _, _) => Length::Known(0),
            (_, Some(coding), _) if coding.ends_with("chunked") => Length::Chunked,
            (_, Some(_), _) | (_, None, None) => Length::UntilClose,
            (_, None, Some(length)) => Length::Known(length),
        };
        Ok(framed)
    }
}

/// The seconds in `Keep-Alive: timeout=5, max=100`, as Apache, nginx and Node write it (RFC 2068 19.7.1.1).
fn left_open(text: &str) -> Option<Duration> {
    let (_, seconds) = text
        .split(',')
        .filter_map(|part| part.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("timeout"))?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

fn nonsense(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the answer is not HTTP/1.1: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_its_patience_is_read() {
        for (text, seconds) in [
            ("timeout=5, max=100", Some(5)),
            ("max=100, Timeout = 15", Some(15)),
            ("timeout=0", Some(0)),
            ("max=100", None),
            ("timeout=soon", None),
            ("", None),
        ] {
            assert_eq!(left_open(text), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
