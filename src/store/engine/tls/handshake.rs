//! The way to a server: TCP with the limits that libpq would set, PostgreSQL's question for TLS, and the handshake.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::asked::{Asked, Mode};
use super::client;
use super::limits::Limits;
use super::refusal::{NO_TLS, Refusal};
use super::trust::in_words;

/// The question whether the server speaks TLS: its length, and a code in place of a protocol's version.
/// <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// One host of the URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The name that its certificate has to have.
    pub(super) host: String,
    /// `hostaddr`, where the URL has one: no name is looked up then.
    pub(super) address: Option<String>,
    pub(super) port: u16,
}

/// A connection that is as safe as it was asked to be.
///
/// # Errors
/// The server cannot be reached, or the connection would be less safe.
pub(super) async fn reach(place: &Place, asked: &Asked, limits: &Limits) -> Result<TlsStream<TcpStream>, Refusal> {
    match limits.patience {
        None => connect(place, asked, limits).await,
        Some(patience) => timeout(patience, connect(place, asked, limits)).await.unwrap_or_else(|_elapsed| {
            Err(Refusal::unreachable(format!("timeout expired: the server has not answered for {patience:?}")))
        }),
    }
}

async fn connect(place: &Place, asked: &Asked, limits: &Limits) -> Result<TlsStream<TcpStream>, Refusal> {
    let mut tcp = dial(place, limits).await?;
    if !asked.direct {
        ask(&mut tcp, asked.mode).await?;
    }
    // Files may stand on a disk that does not answer, and others want to go on.
    let (files, host) = (asked.clone(), place.host.clone());
    let config = spawn_blocking(move || client::config(&files, &host)).await.map_err(io::Error::from);
    let config = config.map_err(|error| broken(&error))?.map_err(|error| Refusal::insecure(error.to_string()))?;
    let name = match ServerName::try_from(place.host.clone()) {
        Ok(name) => name,
        Err(_) if asked.mode == Mode::VerifyFull => {
            let words = "no certificate can name this host: sslmode=verify-full needs the server's name in the URL";
            return Err(Refusal::insecure(words.to_owned()));
        }
        // Neither told to the server nor compared.
        Err(_) => ServerName::from(tcp.peer_addr().map_err(|error| broken(&error))?.ip()),
    };
    let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.map_err(|error| {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        inner.map_or_else(|| broken(&error), |inner| Refusal::insecure(in_words(inner)))
    })?;
    if asked.direct && tls.get_ref().1.alpn_protocol() != Some(client::PROTOCOL) {
        let words = "the server did not agree to speak PostgreSQL (ALPN), which sslnegotiation=direct needs";
        return Err(Refusal::insecure(words.to_owned()));
    }
    Ok(tls)
}

fn broken(error: &io::Error) -> Refusal {
    Refusal::broken(&error.to_string())
}

/// The first of the host's addresses that answers, each within its share of the time.
async fn dial(place: &Place, limits: &Limits) -> Result<TcpStream, Refusal> {
    let host = place.address.as_ref().unwrap_or(&place.host);
    let found = tokio::net::lookup_host((host.as_str(), place.port)).await;
    let found: Vec<SocketAddr> =
        found.map_err(|error| Refusal::unreachable(format!("the name cannot be resolved: {error}")))?.collect();
    let share = limits.patience.map(|patience| patience / u32::try_from(found.len().max(1)).unwrap_or(1));
    let mut last = "the name has no address".to_owned();
    for address in found {
        let connecting = TcpStream::connect(address);
        let connected = match share {
            None => connecting.await,
            Some(share) => timeout(share, connecting).await.unwrap_or_else(|_elapsed| Err(timed_out(share))),
        };
        match connected.and_then(|tcp| limits.put_on(&tcp).map(|()| tcp)) {
            Ok(tcp) => return Ok(tcp),
            Err(error) => last = format!("{address}: {error}"),
        }
    }
    Err(Refusal::unreachable(last))
}

fn timed_out(share: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("timeout expired: no answer within {share:?}"))
}

/// Asks whether the server speaks TLS. Not a byte more than the answer is read: what somebody put behind it, in the clear,
/// comes into the handshake and breaks it (CVE-2021-23222).
async fn ask(tcp: &mut TcpStream, mode: Mode) -> Result<(), Refusal> {
    tcp.write_all(&SSL_REQUEST).await.map_err(|error| broken(&error))?;
    match tcp.read_u8().await.map_err(|error| broken(&error))? {
        b'S' => Ok(()),
        b'N' => {
            let words = format!("{NO_TLS}, which sslmode={} asks for", mode.name());
            Err(Refusal::insecure(words))
        }
        // Words of an error may be anybody's before there is TLS (CVE-2024-10977).
        b'E' => Err(Refusal::broken("the server answered the question for TLS with an error")),
        _ => Err(Refusal::broken("the server answered the question for TLS with something else")),
    }
}

impl Limits {
    /// As libpq sets them on a connection of its own.
    fn put_on(&self, tcp: &TcpStream) -> io::Result<()> {
        tcp.set_nodelay(true)?;
        if self.keepalives {
            sockopt::set_socket_keepalive(tcp, true)?;
            self.idle.map(|idle| sockopt::set_tcp_keepidle(tcp, idle)).transpose()?;
            self.interval.map(|interval| sockopt::set_tcp_keepintvl(tcp, interval)).transpose()?;
            self.count.map(|count| sockopt::set_tcp_keepcnt(tcp, count)).transpose()?;
        }
        self.unacknowledged.map(|limit| sockopt::set_tcp_user_timeout(tcp, limit)).transpose()?;
        Ok(())
    }
}
