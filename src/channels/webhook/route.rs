//! The way to a server: TCP, through a proxy where one is set, and TLS where the address asks for it.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use super::credentials::authorization;
use super::wire::{NoAnswer, Wire};
use crate::channels::Unusable;
use crate::channels::socket::{Address, Socket};
use crate::channels::tls::Tls;
use crate::config::pools::WebhookConfig;
use crate::config::pools::webhook::HttpVersion;
use crate::domain::dispatch::answer::{AnswerClass, Refusal};
use crate::domain::dispatch::delivery::ErrorCategory;
use crate::domain::dispatch::trouble::Trouble;

/// How connections to a server are opened.
pub(super) struct Route {
    /// The server, or the proxy on the way to it.
    address: Address,
    /// What the proxy is asked first, so that it passes on bytes as they are: for TLS only, in the clear it is given the
    /// requests themselves.
    tunnel: Option<Vec<u8>>,
    /// For HTTP/1.1.
    tls: Option<Tls>,
    /// For what `http_version` says, where it says something else.
    newer: Option<Tls>,
    version: HttpVersion,
}

/// A connection, and what the server chose to speak on it.
pub(super) enum Agreed {
    /// HTTP/1.1.
    One(Socket),
    /// HTTP/2.
    Two(Socket),
}

/// The names of the protocols (RFC 7301 6, RFC 9113 3.1).
const ONE: &str = "http/1.1";
const TWO: &str = "h2";

/// Why there is no connection.
enum Obstacle {
    Broken(io::Error),
    /// The proxy answered so.
    Refused(u16),
}

impl From<io::Error> for Obstacle {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl Route {
    /// # Errors
    /// [`Unusable`] when `proxy` or `tls_ca_file` cannot be used, or no certificate could name the host.
    pub(super) fn new(config: &WebhookConfig, url: &Url) -> Result<Self, Unusable> {
        let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
        let server = Address::new(host, port);
        let tls = (url.scheme() == "https").then(|| Tls::new(&config.server, server.host(), &[ONE])).transpose()?;
        let version = config.http_version;
        let offer: &[&str] = match version {
            HttpVersion::One => &[],
            HttpVersion::Two => &[TWO],
            HttpVersion::Auto => &[TWO, ONE],
        };
        let newer =
            (tls.is_some() && !offer.is_empty()).then(|| Tls::new(&config.server, server.host(), offer)).transpose()?;
        let Some(proxy) = proxy(config)? else {
            return Ok(Self { address: server, tunnel: None, tls, newer, version });
        };
        // Only requests of HTTP/1.1 in the clear are for the proxy to read.
        let passes_on = tls.is_some() || version == HttpVersion::Two;
        let tunnel = if passes_on { Some(connect(&proxy, host, port)?) } else { None };
        let (host, port) = (proxy.host_str().unwrap_or_default(), proxy.port_or_known_default().unwrap_or_default());
        Ok(Self { address: Address::new(host, port), tunnel, tls, newer, version })
    }

    /// A fresh connection for HTTP/1.1, within `patience`.
    ///
    /// # Errors
    /// The server was not reached, or is not who it should be. No request has been sent.
    pub(super) async fn open(&self, patience: Duration) -> Result<Socket, Refusal> {
        self.connect(patience, self.tls.as_ref()).await
    }

    /// A fresh connection for what `http_version` says, within `patience`. In the clear nothing is agreed on: there a server
    /// is known to speak HTTP/2 (RFC 9113 3.3).
    ///
    /// # Errors
    /// The server was not reached, is not who it should be, or does not speak HTTP/2 where nothing else was offered. No
    /// request has been sent.
    pub(super) async fn agree(&self, patience: Duration) -> Result<Agreed, Refusal> {
        let socket = self.connect(patience, self.newer.as_ref()).await?;
        if self.newer.is_none() || socket.protocol() == Some(TWO.as_bytes()) {
            return Ok(Agreed::Two(socket));
        }
        if self.version == HttpVersion::Auto {
            return Ok(Agreed::One(socket));
        }
        let what = "TLS handshake: the server did not choose HTTP/2 (ALPN)";
        Err(Refusal::unreachable(Trouble::new(ErrorCategory::Network, what)))
    }

    async fn connect(&self, patience: Duration, tls: Option<&Tls>) -> Result<Socket, Refusal> {
        let mut step = "connect";
        let opened = timeout(patience, self.steps(&mut step, patience, tls)).await;
        let unreachable =
            |what: String| Refusal::unreachable(Trouble::new(ErrorCategory::Network, format!("{step}: {what}")));
        match opened {
            Ok(Ok(socket)) => Ok(socket),
            Ok(Err(Obstacle::Broken(error))) => Err(unreachable(error.to_string())),
            // It wants other credentials, which no waiting changes.
            Ok(Err(Obstacle::Refused(407))) => {
                let refusal = unreachable("HTTP 407".to_owned());
                Err(Refusal { class: AnswerClass::RelayAuth, permanent: true, ..refusal })
            }
            Ok(Err(Obstacle::Refused(status))) => Err(unreachable(format!("HTTP {status}"))),
            Err(_elapsed) => Err(unreachable(format!("no answer within {} s", patience.as_secs()))),
        }
    }

    async fn steps(&self, step: &mut &'static str, patience: Duration, tls: Option<&Tls>) -> Result<Socket, Obstacle> {
        let mut tcp = self.address.reach(patience).await?;
        if let Some(tunnel) = &self.tunnel {
            *step = "proxy";
            tcp = through(tcp, tunnel).await?;
        }
        let Some(tls) = tls else { return Ok(Socket::Plain(tcp)) };
        *step = "TLS handshake";
        Ok(tls.shake_hands(tcp).await?)
    }
}

/// Has a proxy pass on what comes next (RFC 9110 9.3.6).
async fn through(tcp: TcpStream, tunnel: &[u8]) -> Result<TcpStream, Obstacle> {
    // What comes behind the answer is the server's, which speaks first in HTTP/2.
    let mut wire = Wire::until_one_answer(Socket::Plain(tcp));
    let status = match wire.ask(tunnel).await {
        Ok(answer) => answer.head.status,
        Err(NoAnswer::Unsent(error) | NoAnswer::Silence(error) | NoAnswer::Garbled(error)) => return Err(error.into()),
    };
    if !(200..300).contains(&status) {
        return Err(Obstacle::Refused(status));
    }
    match wire.into_socket() {
        Some(Socket::Plain(tcp)) => Ok(tcp),
        // It answered before it was asked.
        Some(Socket::Encrypted(_)) | None => Err(io::Error::other("it said more than was asked").into()),
    }
}

/// The proxy that the settings name.
///
/// # Errors
/// [`Unusable`] when it is none.
pub(super) fn proxy(config: &WebhookConfig) -> Result<Option<Url>, Unusable> {
    let Some(proxy) = &config.proxy else { return Ok(None) };
    let url = Url::parse(proxy.expose()).ok().filter(|url| url.scheme() == "http" && url.host_str().is_some());
    url.map(Some).ok_or_else(|| Unusable::new("proxy must be an address such as http://proxy.example.com:3128"))
}

fn connect(proxy: &Url, host: &str, port: u16) -> Result<Vec<u8>, Unusable> {
    let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nhost: {host}:{port}\r\n");
    if let Some(credentials) = authorization("proxy", proxy)? {
        request.push_str(&format!("proxy-authorization: {credentials}\r\n"));
    }
    request.push_str("\r\n");
    Ok(request.into_bytes())
}
