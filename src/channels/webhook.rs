//! Any HTTP API: one request per delivery, under the delivery's idempotency key.
//!
//! The client does nothing of its own accord: no retries, no redirects, no proxy, no decompression.

mod answer;
mod body;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Request, Url, redirect, retry};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::{BuildError, Channel, Deliver, Gate, tls};
use crate::config::pools::PoolConfig;
use crate::domain::delivery::ErrorCategory;
use crate::domain::message::Envelope;
use crate::domain::outcome::{Outcome, Trouble};
use answer::Reader;
use body::Body;

/// The longest address, in bytes.
const MAX_URL_BYTES: usize = 2048;

/// Servers close idle connections, some after 5 s, and a request that meets the closing is ambiguous: be first.
const MAX_IDLE: Duration = Duration::from_secs(4);

/// The longest wait for a connection: what is not connected by then was certainly not handed over.
const MAX_CONNECT: Duration = Duration::from_secs(10);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const ATTEMPT: HeaderName = HeaderName::from_static("x-volley-attempt");

/// An HTTP API.
pub struct Webhook {
    client: Client,
    /// Every request without what differs between deliveries.
    prototype: Request,
    body: Body,
    reader: Reader,
    timeout: Duration,
    tls: TlsConnector,
}

impl Webhook {
    /// An API as the pool's settings describe it. Opens no connection.
    ///
    /// # Errors
    /// [`BuildError`] when `url`, `method`, `headers`, `body` or `provider_id_pointer` cannot work.
    pub fn new(pool: &PoolConfig) -> Result<Self, BuildError> {
        let fault = |reason: String| BuildError::new(pool, reason);
        let url = parse_url(pool)?;
        let method = pool.method.as_deref().unwrap_or("POST").to_ascii_uppercase();
        if !matches!(method.as_str(), "POST" | "PUT" | "PATCH") {
            return Err(fault("method must be POST, PUT or PATCH".to_owned()));
        }
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| fault(format!("method: {error}")))?;
        let config = tls::client_config().map_err(|error| fault(format!("tls: {error}")))?;
        let client = Client::builder()
            .tls_backend_preconfigured(config.clone())
            .user_agent(concat!("Volley/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .no_proxy()
            .referer(false)
            .http1_only()
            .tcp_nodelay(true)
            .pool_max_idle_per_host(pool.concurrency)
            .pool_idle_timeout(MAX_IDLE)
            .connect_timeout((pool.timeout() / 2).min(MAX_CONNECT))
            .build()
            .map_err(|error| fault(format!("http client: {error}")))?;
        let prototype = client
            .request(method, url)
            .headers(headers(pool)?)
            .build()
            .map_err(|error| fault(format!("request: {}", error.without_url())))?;
        Ok(Self {
            client,
            prototype,
            body: Body::new(pool.body.as_deref()).map_err(|reason| fault(format!("body: {reason}")))?,
            reader: Reader::new(pool)?,
            timeout: pool.timeout(),
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    async fn call(&self, envelope: &Envelope, gate: &dyn Gate) -> Outcome {
        let request = match self.request(envelope) {
            Ok(request) => request,
            Err(trouble) => return Outcome::Rejected(trouble),
        };
        if let Err(reason) = gate.begin() {
            return Outcome::NotBegun(reason);
        }
        let deadline = Instant::now() + self.timeout;
        match timeout_at(deadline, self.client.execute(request)).await {
            Ok(Ok(response)) => self.reader.read(response, deadline, &envelope.to).await,
            Ok(Err(error)) => failed(&error),
            Err(_elapsed) => Outcome::Unknown(Trouble::new(
                ErrorCategory::Network,
                format!("no answer within {} s", self.timeout.as_secs()),
            )),
        }
    }

    fn request(&self, envelope: &Envelope) -> Result<Request, Trouble> {
        let unfit = |what: &str| Trouble::new(ErrorCategory::Unexpected, what);
        let body = self.body.render(envelope)?;
        let key = HeaderValue::from_str(&envelope.key).map_err(|_invalid| unfit("the key does not fit in a header"))?;
        let mut request = self.prototype.try_clone().ok_or_else(|| unfit("the request cannot be copied"))?;
        let headers = request.headers_mut();
        headers.insert(IDEMPOTENCY_KEY, key);
        headers.insert(ATTEMPT, HeaderValue::from(envelope.attempt));
        *request.body_mut() = Some(body.into());
        Ok(request)
    }

    /// Opens a connection to the host and closes it again.
    async fn reach(&self) -> Result<(), String> {
        let url = self.prototype.url();
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port_or_known_default().unwrap_or(80);
        let addresses: Vec<SocketAddr> =
            tokio::net::lookup_host((host.as_str(), port)).await.map_err(|error| error.to_string())?.collect();
        let tcp = TcpStream::connect(addresses.as_slice()).await.map_err(|error| error.to_string())?;
        if url.scheme() == "https" {
            let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
            self.tls.connect(name, tcp).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

impl Channel for Webhook {
    fn deliver<'a>(&'a self, envelope: &'a Envelope, gate: &'a dyn Gate) -> Deliver<'a> {
        Box::pin(self.call(envelope, gate))
    }

    fn probe(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(async {
            let patience = self.timeout.min(MAX_CONNECT);
            match timeout(patience, self.reach()).await {
                Ok(reached) => reached.map_err(|error| format!("connect: {error}")),
                Err(_elapsed) => Err(format!("connect: no answer within {} s", patience.as_secs())),
            }
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

fn headers(pool: &PoolConfig) -> Result<HeaderMap, BuildError> {
    let mut headers = HeaderMap::with_capacity(pool.headers.len() + 4);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in &pool.headers {
        let fault = |what: &str| BuildError::new(pool, format!("headers: {name:?} {what}"));
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_invalid| fault("is not a header name"))?;
        if [IDEMPOTENCY_KEY, ATTEMPT].contains(&header)
            || matches!(header.as_str(), "host" | "content-length" | "transfer-encoding" | "connection")
        {
            return Err(fault("is set by Volley"));
        }
        let mut value =
            HeaderValue::from_str(value.expose()).map_err(|_invalid| fault("has a value that no header can hold"))?;
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    Ok(headers)
}

/// A call that brought no status line.
fn failed(error: &reqwest::Error) -> Outcome {
    let trouble = |category| Trouble::new(category, innermost(error));
    if error.is_connect() {
        // DNS, refused, TLS: not a byte of the request can have left.
        Outcome::PoolFault(trouble(ErrorCategory::Network))
    } else if error.is_builder() {
        Outcome::Rejected(trouble(ErrorCategory::Unexpected))
    } else {
        Outcome::Unknown(trouble(ErrorCategory::Network))
    }
}

/// The last link of the error's chain: the words that say what happened, and the only ones without the URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    if std::ptr::addr_eq(last, error) { "the request failed".to_owned() } else { last.to_string() }
}
