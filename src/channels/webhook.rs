//! Any HTTP API: one request per delivery, under the delivery's idempotency key.
//!
//! HTTP/1.1, one request at a time on a connection, and nothing of its own accord: no retries, no redirects, no proxy,
//! no decompression. The connection is ready before the gate is asked, so that an open gate and the request line are a
//! system call apart, however slowly the server accepts.

mod answer;
mod body;
mod request;
mod wire;

use std::io;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use super::idle::{Idle, Lent};
use super::socket::{Address, Socket};
use super::tls::Tls;
use super::{BuildError, Channel, Deliver, Gate, Probe};
use crate::config::pools::PoolConfig;
use crate::domain::delivery::ErrorCategory;
use crate::domain::dispatch::answer::Refusal;
use crate::domain::message::Envelope;
use crate::domain::outcome::{Outcome, Trouble};
use answer::Reader;
use body::Body;
use request::Prototype;
use wire::Wire;

/// The longest address, in bytes.
const MAX_URL_BYTES: usize = 2048;

/// Servers close idle connections, some after 5 s, and a request that meets the closing is ambiguous: be first.
const MAX_IDLE: Duration = Duration::from_secs(4);

/// The longest wait for a connection, handshake included.
const MAX_CONNECT: Duration = Duration::from_secs(10);

/// An HTTP API and the connections to it.
pub struct Webhook {
    address: Address,
    tls: Option<Tls>,
    prototype: Prototype,
    body: Body,
    reader: Reader,
    timeout: Duration,
    idle: Idle<Wire>,
}

impl Webhook {
    /// An API as the pool's settings describe it. Opens no connection.
    ///
    /// # Errors
    /// [`BuildError`] when `url`, `tls_ca_file`, `method`, `headers`, `body` or `provider_id_pointer` cannot work.
    pub fn new(pool: &PoolConfig) -> Result<Self, BuildError> {
        let url = parse_url(pool)?;
        let address = Address::new(url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
        Ok(Self {
            tls: (url.scheme() == "https").then(|| Tls::new(pool, address.host(), Some("http/1.1"))).transpose()?,
            address,
            prototype: Prototype::new(pool, &url)?,
            body: Body::new(pool.body.as_deref()).map_err(|reason| BuildError::new(pool, format!("body: {reason}")))?,
            reader: Reader::new(pool)?,
            timeout: pool.timeout(),
            idle: Idle::new(pool.concurrency, MAX_IDLE),
        })
    }

    async fn call(&self, envelope: &Envelope, gate: &dyn Gate) -> Outcome {
        let request = self.body.render(envelope).and_then(|body| self.prototype.complete(envelope, &body));
        let request = match request {
            Ok(request) => request,
            Err(trouble) => return Outcome::Unsendable(trouble),
        };
        let lent = match self.connection().await {
            Ok(lent) => lent,
            // DNS, refused, TLS: not a byte of the request can have left.
            Err(trouble) => return Outcome::Refused(Refusal::unreachable(trouble)),
        };
        if let Err(reason) = gate.begin() {
            self.idle.put_back(lent);
            return Outcome::NotBegun(reason);
        }
        let mut wire = lent.connection;
        let unknown = |words: String| Outcome::Unknown(Trouble::new(ErrorCategory::Network, words));
        let deadline = Instant::now() + self.timeout;
        let outcome = match timeout_at(deadline, wire.ask(&request)).await {
            Ok(Ok(head)) => self.reader.read(&mut wire, &head, deadline, &envelope.to).await,
            Ok(Err(error)) => unknown(error.to_string()),
            Err(_elapsed) => unknown(format!("no answer within {} s", self.timeout.as_secs())),
        };
        if wire.is_in_order() {
            self.idle.keep(wire);
        }
        outcome
    }

    /// The connection used last that the server has left open, or else a new one.
    async fn connection(&self) -> Result<Lent<Wire>, Trouble> {
        while let Some(mut lent) = self.idle.take() {
            if lent.connection.is_quiet().await {
                return Ok(lent);
            }
        }
        let mut step = "connect";
        let patience = self.timeout.min(MAX_CONNECT);
        let why = match timeout(patience, self.open(&mut step, patience)).await {
            Ok(Ok(socket)) => return Ok(Lent::fresh(Wire::over(socket))),
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => format!("no answer within {} s", patience.as_secs()),
        };
        Err(Trouble::new(ErrorCategory::Network, format!("{step}: {why}")))
    }

    async fn open(&self, step: &mut &'static str, patience: Duration) -> io::Result<Socket> {
        let tcp = self.address.reach(patience).await?;
        let Some(tls) = &self.tls else { return Ok(Socket::Plain(tcp)) };
        *step = "TLS handshake";
        tls.shake_hands(tcp).await
    }
}

impl Channel for Webhook {
    fn deliver<'a>(&'a self, envelope: &'a Envelope, gate: &'a dyn Gate) -> Deliver<'a> {
        Box::pin(self.call(envelope, gate))
    }

    fn probe(&self) -> Probe<'_> {
        Box::pin(async {
            let lent = self.connection().await.map_err(|trouble| trouble.detail)?;
            self.idle.put_back(lent);
            Ok("a connection was made, no more: nothing was asked".to_owned())
        })
    }

    fn call_timeout(&self) -> Duration {
        self.timeout
    }
}

fn parse_url(pool: &PoolConfig) -> Result<Url, BuildError> {
    let fault = |reason: &str| BuildError::new(pool, reason);
    let text = pool.url.as_ref().ok_or_else(|| fault("url is required, such as https://host/path"))?.expose();
    if text.len() > MAX_URL_BYTES {
        return Err(fault("url must not be longer than 2048 bytes"));
    }
    let url = Url::parse(text).map_err(|error| BuildError::new(pool, format!("url: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(fault("url must begin with http:// or https://"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(fault("url must name a host"));
    }
    if url.fragment().is_some() {
        return Err(fault("url must not have a fragment (#…)"));
    }
    Ok(url)
}
