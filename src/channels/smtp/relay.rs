//! Where the relay is, how it is spoken to, and the way to a connection that is ready for `MAIL FROM`.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Url;

use super::reply::Failure;
use crate::channels::{BuildError, tls};
use crate::config::pools::PoolConfig;
use crate::domain::outcome::Trouble;

/// RFC 5321, RFC 6409 and RFC 8314.
const RELAY_PORT: u16 = 25;
const SUBMISSION_PORT: u16 = 587;
const SUBMISSIONS_PORT: u16 = 465;

/// A relay's address and manners.
pub(super) struct Relay {
    host: String,
    port: u16,
    security: Security,
    credentials: Option<Credentials>,
    timeout: Duration,
}

enum Security {
    /// `smtps://`: TLS before the first word.
    Implicit { connector: TlsConnector, name: ServerName<'static> },
    /// `smtp://`, and nothing is said before TLS is up.
    StartTls(TlsParameters),
    /// `smtp://`, and TLS when the relay offers it. Its certificate is verified all the same.
    Opportunistic(TlsParameters),
    /// `smtp://` in the clear.
    Plain,
}

impl Relay {
    pub(super) fn new(pool: &PoolConfig) -> Result<Self, BuildError> {
        let fault = |reason: String| BuildError::new(pool, reason);
        let text = pool.url.as_ref().ok_or_else(|| fault("url is required, such as smtp://host:port".to_owned()))?;
        let url = Url::parse(text.expose()).map_err(|error| fault(format!("url: {error}")))?;
        // The host of a scheme that `url` does not know keeps the brackets of an IPv6 address.
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() || !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(fault("url must be smtp://host:port or smtps://host:port, without a path".to_owned()));
        }
        let mut policy = None;
        for (name, value) in url.query_pairs() {
            match (name.as_ref(), value.as_ref()) {
                ("tls", "required" | "opportunistic" | "none") => policy = Some(value.into_owned()),
                ("tls", _) => return Err(fault("url: tls must be required, opportunistic or none".to_owned())),
                _ => return Err(fault(format!("url: unknown setting {name}"))),
            }
        }
        let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let parameters = || TlsParameters::new_rustls(host.clone()).map_err(|error| fault(format!("tls: {error}")));
        let (security, default_port) = match (url.scheme(), policy.as_deref()) {
            ("smtps", None | Some("required")) => {
                let config = tls::client_config().map_err(|error| fault(format!("tls: {error}")))?;
                let name = ServerName::try_from(host.clone()).map_err(|error| fault(format!("url: {error}")))?;
                (Security::Implicit { connector: TlsConnector::from(Arc::new(config)), name }, SUBMISSIONS_PORT)
            }
            ("smtps", Some(_)) => return Err(fault("url: smtps:// is always encrypted; leave tls out".to_owned())),
            ("smtp", Some("none")) => (Security::Plain, RELAY_PORT),
            ("smtp", Some("opportunistic")) => (Security::Opportunistic(parameters()?), RELAY_PORT),
            ("smtp", None) if loopback => (Security::Plain, RELAY_PORT),
            ("smtp", _) => (Security::StartTls(parameters()?), SUBMISSION_PORT),
            (scheme, _) => return Err(fault(format!("url: {scheme}:// is neither smtp:// nor smtps://"))),
        };
        let credentials = credentials(pool, &url)?;
        if credentials.is_some() && !loopback && matches!(security, Security::Plain | Security::Opportunistic(_)) {
            return Err(fault("a password must not travel in the clear: use smtps:// or tls=required".to_owned()));
        }
        Ok(Self { port: url.port().unwrap_or(default_port), host, security, credentials, timeout: pool.timeout() })
    }

    /// Opens a connection and brings it to where `MAIL FROM` may be said.
    ///
    /// # Errors
    /// What went wrong at which step. None of it is a recipient's fault.
    pub(super) async fn connect(&self) -> Result<AsyncSmtpConnection, Trouble> {
        let mut step = "connect";
        match timeout(self.timeout, self.open(&mut step)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(failure)) => Err(failure.in_words(step, "")),
            Err(_elapsed) => Err(Failure::Silent(self.timeout).in_words(step, "")),
        }
    }

    async fn open(&self, step: &mut &'static str) -> Result<AsyncSmtpConnection, Failure> {
        let tcp = self.reach().await?;
        let hello = match tcp.local_addr().map_err(cut)?.ip() {
            // RFC 5321 4.1.3: who has no name says its address.
            IpAddr::V4(ip) => ClientId::Ipv4(ip),
            IpAddr::V6(ip) => ClientId::Ipv6(ip),
        };
        let stream: Box<dyn AsyncTokioStream> = match &self.security {
            Security::Implicit { connector, name } => {
                *step = "TLS handshake";
                Box::new(Encrypted(connector.connect(name.clone(), tcp).await.map_err(cut)?))
            }
            Security::StartTls(_) | Security::Opportunistic(_) | Security::Plain => Box::new(tcp),
        };
        *step = "greeting";
        let mut connection = AsyncSmtpConnection::connect_with_transport(stream, &hello).await?;
        *step = "STARTTLS";
        match &self.security {
            Security::StartTls(parameters) if connection.can_starttls() => {
                connection.starttls(parameters.clone(), &hello).await?;
            }
            Security::StartTls(_) => return Err(Failure::Cut("required, and the relay does not offer it".to_owned())),
            Security::Opportunistic(parameters) if connection.can_starttls() => {
                connection.starttls(parameters.clone(), &hello).await?;
            }
            Security::Opportunistic(_) | Security::Implicit { .. } | Security::Plain => {}
        }
        if let Some(credentials) = &self.credentials {
            *step = "AUTH";
            connection.auth(&[Mechanism::Plain, Mechanism::Login], credentials).await?;
        }
        Ok(connection)
    }

    /// A TCP connection to the first of the host's addresses that answers.
    async fn reach(&self) -> Result<TcpStream, Failure> {
        let addresses: Vec<SocketAddr> =
            tokio::net::lookup_host((self.host.as_str(), self.port)).await.map_err(cut)?.collect();
        let share = self.timeout / u32::try_from(addresses.len().max(1)).unwrap_or(1);
        let mut last = Failure::Cut("the host has no address".to_owned());
        for address in addresses {
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => {
                    // Without it, the peer's delayed acknowledgements cost 40 ms a message.
                    tcp.set_nodelay(true).map_err(cut)?;
                    return Ok(tcp);
                }
                Ok(Err(error)) => last = cut(error),
                Err(_elapsed) => last = Failure::Silent(share),
            }
        }
        Err(last)
    }
}

fn cut(error: io::Error) -> Failure {
    Failure::Cut(error.to_string())
}

/// User and password, from the settings or else from the URL.
fn credentials(pool: &PoolConfig, url: &Url) -> Result<Option<Credentials>, BuildError> {
    let decode = |text: &str| {
        percent_decode(text).ok_or_else(|| BuildError::new(pool, "url: user or password is not percent-encoded UTF-8"))
    };
    let user = match &pool.username {
        Some(user) => user.clone(),
        None => decode(url.username())?,
    };
    let password = match &pool.password {
        Some(password) => password.expose().to_owned(),
        None => decode(url.password().unwrap_or_default())?,
    };
    match (user.is_empty(), password.is_empty()) {
        (true, true) => Ok(None),
        (false, false) => Ok(Some(Credentials::new(user, password))),
        _ => Err(BuildError::new(pool, "username and password belong together: one of them is missing")),
    }
}

fn percent_decode(text: &str) -> Option<String> {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (code, rest) = piece.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// TLS over a socket that we opened, in the shape that lettre takes.
#[derive(Debug)]
struct Encrypted(TlsStream<TcpStream>);

impl AsyncTokioStream for Encrypted {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().0.peer_addr()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_percent_decoded() {
        assert_eq!(percent_decode("p%40ss%C3%BC+"), Some("p@ssü+".to_owned()));
        for broken in ["%", "%4", "%zz", "%ff"] {
            assert_eq!(percent_decode(broken), None, "{broken}");
        }
    }
}
