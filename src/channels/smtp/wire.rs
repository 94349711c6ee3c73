//! The line to a relay: commands go out whole, replies come in whole. Nothing here waits with a limit; callers do.

mod offers;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::content::{Content, END};
use super::reply::{Failure, Reply};
use crate::channels::socket::Socket;
use crate::channels::tls::Tls;
pub(super) use offers::Offers;

/// The longest reply that is read, over all its lines.
const MAX_REPLY_BYTES: usize = 64 * 1024;

/// How much is asked of the socket at once: more than any reply but that to `EHLO` ever needs.
const READ_BYTES: usize = 1024;

/// Up to this many bytes a message is written together with its end, which saves a packet.
const ONE_PIECE: usize = 16 * 1024;

/// A connection to a relay.
pub(super) struct Wire {
    socket: Socket,
    /// What came and was not yet heard.
    unheard: Vec<u8>,
    /// No message was broken off on it.
    in_step: bool,
    /// What the relay said it can do.
    pub(super) offers: Offers,
}

impl Wire {
    /// Over a fresh connection. The relay speaks first.
    pub(super) fn over(socket: Socket) -> Self {
        Self { socket, unheard: Vec::new(), in_step: true, offers: Offers::default() }
    }

    /// Whether the relay, when nothing was asked of it, neither hung up nor spoke (an unasked word is a 421), and waits for
    /// a command.
    pub(super) async fn is_quiet(&mut self) -> bool {
        self.in_step && self.unheard.is_empty() && self.socket.is_quiet().await
    }

    /// Sends `words` in one piece.
    pub(super) async fn say(&mut self, words: &[u8]) -> Result<(), Failure> {
        self.socket.write_all(words).await?;
        Ok(self.socket.flush().await?)
    }

    /// The next reply, whatever its code.
    pub(super) async fn hear(&mut self) -> Result<Reply, Failure> {
        loop {
            if let Some((reply, length)) = Reply::parse(&self.unheard)? {
                self.unheard.drain(..length);
                return Ok(reply);
            }
            if self.unheard.len() > MAX_REPLY_BYTES {
                return Err(Failure::Cut("a reply without end".to_owned()));
            }
            self.unheard.reserve(READ_BYTES);
            if self.socket.read_buf(&mut self.unheard).await? == 0 {
                return Err(Failure::Cut("the relay hung up".to_owned()));
            }
        }
    }

    /// Whether what is said cannot be read on the way.
    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self.socket, Socket::Encrypted(_))
    }

    /// Sends a message, which ends with its [`END`], and hears the answer. `sent` says at any time, also when this is dropped
    /// halfway, how many bytes may have left.
    ///
    /// The relay may answer before it has everything, and may hang up afterwards: such an answer is a refusal, and it is
    /// heard, not lost in the error of the write that it made fail.
    pub(super) async fn deliver(&mut self, content: &Content, sent: &mut usize) -> Result<Reply, Failure> {
        // How much of one write has left is known in the clear only: encryption has a buffer of its own.
        let may_be_one = content.len() <= ONE_PIECE && !self.is_encrypted();
        self.in_step = false;
        let (pushed, is_whole) = match content.in_one_piece().filter(|_| may_be_one) {
            Some(bytes) => (self.push(bytes, 0, sent).await, true),
            None => (self.push_all(content, sent).await, false),
        };
        match pushed {
            Ok(Pushed::All) if is_whole => {
                self.in_step = true;
                return self.hear().await;
            }
            Ok(Pushed::All) if !self.has_spoken() => {}
            Ok(Pushed::All | Pushed::Interrupted) => {
                let reply = self.hear().await?;
                let out_of_turn = || Failure::Cut(format!("{} before the message had ended", reply.code));
                return if reply.code < 400 { Err(out_of_turn()) } else { Ok(reply) };
            }
            Err(error) => return self.last_words(error).await,
        }
        *sent = content.len();
        match self.push(END, 0, &mut 0).await {
            Ok(Pushed::All) => {
                self.in_step = true;
                self.hear().await
            }
            Ok(Pushed::Interrupted) => self.hear().await,
            Err(error) => self.last_words(error).await,
        }
    }

    /// Writes all pieces of a message without its [`END`].
    async fn push_all(&mut self, content: &Content, sent: &mut usize) -> io::Result<Pushed> {
        let mut before = 0;
        for piece in content.without_end() {
            match self.push(piece, before, sent).await? {
                Pushed::All => before += piece.len(),
                Pushed::Interrupted => return Ok(Pushed::Interrupted),
            }
        }
        Ok(Pushed::All)
    }

    /// Writes `bytes`, of whose message `before` bytes have been written, unless the relay speaks while it takes none of them. `written`
    /// counts those of the message that it may have.
    async fn push(&mut self, bytes: &[u8], before: usize, written: &mut usize) -> io::Result<Pushed> {
        poll_fn(|cx| {
            while let Some(rest) = bytes.get(written.saturating_sub(before)..).filter(|rest| !rest.is_empty()) {
                match Pin::new(&mut self.socket).poll_write(cx, rest) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(count)) => *written += count,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return self.poll_interruption(cx),
                }
            }
            match Pin::new(&mut self.socket).poll_flush(cx) {
                Poll::Ready(flushed) => Poll::Ready(flushed.map(|()| Pushed::All)),
                Poll::Pending => self.poll_interruption(cx),
            }
        })
        .await
    }

    /// Ready when the relay says something, or hangs up.
    fn poll_interruption(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pushed>> {
        let mut space = [0; READ_BYTES];
        let mut heard = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut heard))?;
        if heard.filled().is_empty() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the relay hung up")));
        }
        self.unheard.extend_from_slice(heard.filled());
        Poll::Ready(Ok(Pushed::Interrupted))
    }

    /// Whether the relay has said something that nobody has heard, or has hung up.
    fn has_spoken(&mut self) -> bool {
        !self.unheard.is_empty() || self.socket.read_buf(&mut self.unheard).now_or_never().is_some()
    }

    /// After a write that failed: the refusal that the relay had said before it hung up, if there is one.
    async fn last_words(&mut self, error: io::Error) -> Result<Reply, Failure> {
        match self.hear().await {
            Ok(reply) if reply.code >= 400 => Ok(reply),
            Ok(_) | Err(_) => Err(error.into()),
        }
    }

    /// Introduces ourselves and notes what the relay offers: nothing, where it knows no `EHLO` (RFC 5321 3.2). `step` says
    /// which of the two was said.
    pub(super) async fn hello(&mut self, name: &str, step: &mut &'static str) -> Result<(), Failure> {
        *step = "EHLO";
        self.say(format!("EHLO {name}\r\n").as_bytes()).await?;
        let reply = self.hear().await?;
        // Not known, not implemented, parameter not implemented. A 501 is about our name, a 550 about us.
        if !matches!(reply.code, 500 | 502 | 504) {
            self.offers = Offers::of(&reply.expect(250)?);
            return Ok(());
        }
        *step = "HELO";
        self.say(format!("HELO {name}\r\n").as_bytes()).await?;
        self.hear().await?.expect(250)?;
        self.offers = Offers::default();
        Ok(())
    }

    /// Encrypts the connection (RFC 3207) and introduces ourselves again: what was offered in the clear is forgotten.
    pub(super) async fn start_tls(mut self, tls: &Tls, name: &str, step: &mut &'static str) -> Result<Self, Failure> {
        *step = "STARTTLS";
        self.say(b"STARTTLS\r\n").await?;
        self.hear().await?.expect(220)?;
        let Socket::Plain(tcp) = self.socket else { return Err(Failure::Cut("encrypted already".to_owned())) };
        // Said in the clear before the handshake, perhaps by somebody in between: not to be taken for an answer inside.
        if !self.unheard.is_empty() {
            return Err(Failure::Cut("more was said than the answer".to_owned()));
        }
        let mut encrypted = Self::over(tls.shake_hands(tcp).await?);
        encrypted.hello(name, step).await?;
        Ok(encrypted)
    }
}

/// How a write went.
enum Pushed {
    All,
    /// The relay spoke before it had everything.
    Interrupted,
}
