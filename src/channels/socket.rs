//! Sockets to providers: a name looked up, TCP without delay, and TLS over it where that is asked for.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

/// Where a provider is.
pub(super) struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// `host` as it stands in a URL: an IPv6 address may have its brackets.
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self { host: host.trim_start_matches('[').trim_end_matches(']').to_owned(), port }
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// A TCP connection to the first of the host's addresses that answers, each within its share of `patience`.
    pub(super) async fn reach(&self, patience: Duration) -> io::Result<TcpStream> {
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host((self.host.as_str(), self.port)).await?.collect();
        let share = patience / u32::try_from(addresses.len().max(1)).unwrap_or(1);
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in addresses {
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => {
                    // Without it, the peer's delayed acknowledgements cost 40 ms a message.
                    tcp.set_nodelay(true)?;
                    return Ok(tcp);
                }
                Ok(Err(error)) => last = error,
                Err(_elapsed) => {
                    last = io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {share:?}"));
                }
            }
        }
        Err(last)
    }
}

/// A connection to a provider, in the clear or not.
#[derive(Debug)]
pub(super) enum Socket {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl Socket {
    /// Whether what is written goes to the system as it is.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// What was agreed to be spoken inside TLS (ALPN, RFC 7301), where anything was.
    pub(super) fn protocol(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(_) => None,
            Self::Encrypted(tls) => tls.get_ref().1.alpn_protocol(),
        }
    }

    /// An eye on the connection, for somebody else than its reader.
    ///
    /// # Errors
    /// The system gives no further descriptor.
    pub(super) fn eye(&self) -> io::Result<Eye> {
        let tcp = match self {
            Self::Plain(tcp) => tcp,
            Self::Encrypted(tls) => tls.get_ref().0,
        };
        tcp.as_fd().try_clone_to_owned().map(Eye)
    }

    /// Whether the peer, when nothing was asked of it, neither hung up nor spoke. The system is asked, not only the
    /// runtime, which hears of what came when the thread next has time: what is written to a peer that has hung up may
    /// have reached it, for all we know.
    pub(super) async fn is_quiet(&mut self) -> bool {
        if self.read(&mut [0]).now_or_never().is_some() {
            return false;
        }
        let (tcp, encrypted) = match self {
            Self::Plain(tcp) => (&*tcp, false),
            Self::Encrypted(tls) => (tls.get_ref().0, true),
        };
        match recv(tcp, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Err(rustix::io::Errno::AGAIN) => true,
            // A record that may be about the encryption only, such as a ticket: the runtime is to see it, then TLS.
            Ok((_, 1..)) if encrypted => tcp.readable().await.is_ok() && self.read(&mut [0]).now_or_never().is_none(),
            Ok(_) | Err(_) => false,
        }
    }
}

/// Looks at a connection that somebody else reads from. While it lives, the connection is not closed by its reader alone.
pub(super) struct Eye(OwnedFd);

/// What the system knows of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// The peer has neither hung up nor said anything that was not read.
    Quiet,
    /// Something came that was not read yet.
    Unread,
    /// The peer has hung up.
    Over,
}

impl Eye {
    pub(super) fn look(&self) -> Sight {
        match recv(&self.0, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Err(rustix::io::Errno::AGAIN) => Sight::Quiet,
            Ok((_, 1..)) => Sight::Unread,
            Ok(_) | Err(_) => Sight::Over,
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Encrypted(tls) => Pin::new(tls.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Encrypted(tls) => Pin::new(tls.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Encrypted(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Encrypted(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
        }
    }
}
