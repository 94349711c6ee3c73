//! The bytes of a request.

use std::io::Write;

use http::Request;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue,
    USER_AGENT,
};
use url::Url;

use super::route;
use crate::channels::Unusable;
use crate::channels::webhook::credentials::authorization;
use crate::config::pools::WebhookConfig;
use crate::config::pools::webhook::HttpVersion;
use crate::domain::content::message::Envelope;
use crate::domain::dispatch::delivery::ErrorCategory;
use crate::domain::dispatch::trouble::Trouble;

/// Set by Volley or by the protocol; a second one would contradict the first.
const OURS: &[&str] = &[
    "idempotency-key",
    "x-volley-attempt",
    "traceparent",
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "proxy-authorization",
];

/// What requests say that are not made for a delivery.
pub(super) const JSON: &str = "application/json";

const CLOSE: &[u8] = b"connection: close\r\n";

/// Everything that the requests of a pool have in common, written once.
pub(super) struct Prototype {
    /// The request line and the headers, each with its line end.
    head: Vec<u8>,
    /// The same for HTTP/2, where that may be spoken.
    shared: Option<Request<()>>,
}

/// The request line and the headers of every request, each with its line end.
fn head(config: &WebhookConfig, method: &str, target: &Url, headers: &HeaderMap) -> Result<Vec<u8>, Unusable> {
    let query = target.query().map(|query| format!("?{query}")).unwrap_or_default();
    // A proxy is told the whole address (RFC 9112 3.2.2), unless it only passes on what TLS hides from it.
    let proxy = route::proxy(config)?.filter(|_| target.scheme() == "http");
    let server = if proxy.is_some() { format!("http://{}", host(target)) } else { String::new() };
    let mut head = format!("{method} {server}{}{query} HTTP/1.1\r\n", target.path()).into_bytes();
    if let Some(credentials) = proxy.map(|proxy| authorization("proxy", &proxy)).transpose()?.flatten() {
        head.extend_from_slice(format!("proxy-authorization: {credentials}\r\n").as_bytes());
    }
    for (name, value) in headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    Ok(head)
}

/// The same as a request of HTTP/2, which names the host apart from the headers.
fn shared_head(method: &str, target: &Url, headers: &HeaderMap) -> Result<Request<()>, Unusable> {
    let query = target.query().map(|query| format!("?{query}")).unwrap_or_default();
    let address = format!("{}://{}{}{query}", target.scheme(), host(target), target.path());
    let request = Request::builder().method(method).uri(address).body(());
    let mut request = request.map_err(|error| Unusable::new(format!("url: {error}")))?;
    *request.headers_mut() = headers.clone();
    request.headers_mut().remove(HOST);
    Ok(request)
}

/// `host:port`, without the port that goes without saying.
fn host(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", url.host_str().unwrap_or_default())
}

/// A request without a body, with the headers of the others, on a connection that is not used again. `url` is the pool's,
/// `target` what is asked for.
///
/// # Errors
/// [`Unusable`] when `headers` or the user in `url` cannot work.
pub(super) fn bare(config: &WebhookConfig, method: &str, url: &Url, target: &Url) -> Result<Vec<u8>, Unusable> {
    let mut headers = headers(config, url, JSON)?;
    headers.remove(CONTENT_TYPE);
    let mut request = head(config, method, target, &headers)?;
    if method == "POST" {
        request.extend_from_slice(b"content-length: 0\r\n");
    }
    request.extend_from_slice(CLOSE);
    request.extend_from_slice(b"\r\n");
    Ok(request)
}

/// The same for HTTP/2.
///
/// # Errors
/// [`Unusable`] when `headers` or an address cannot work.
pub(super) fn bare_shared(
    config: &WebhookConfig,
    method: &str,
    url: &Url,
    target: &Url,
) -> Result<Option<Request<()>>, Unusable> {
    if config.http_version == HttpVersion::One {
        return Ok(None);
    }
    let mut headers = headers(config, url, JSON)?;
    headers.remove(CONTENT_TYPE);
    shared_head(method, target, &headers).map(Some)
}

impl Prototype {
    /// # Errors
    /// [`Unusable`] when `method`, `headers` or the user in `url` cannot work.
    pub(super) fn new(config: &WebhookConfig, url: &Url, media_type: &'static str) -> Result<Self, Unusable> {
        let method = config.method.as_deref().unwrap_or("POST").to_ascii_uppercase();
        if !matches!(method.as_str(), "POST" | "PUT" | "PATCH") {
            return Err(Unusable::new("method must be POST, PUT or PATCH"));
        }
        let headers = headers(config, url, media_type)?;
        let may_share = config.http_version != HttpVersion::One;
        let shared = may_share.then(|| shared_head(&method, url, &headers)).transpose()?;
        Ok(Self { head: head(config, &method, url, &headers)?, shared })
    }

    /// The whole request for one delivery. Unless `keep`, the server is to hang up after its answer.
    pub(super) fn complete(&self, envelope: &Envelope, body: &[u8], keep: bool) -> Result<Vec<u8>, Trouble> {
        if !envelope.key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(unfit_key());
        }
        let mut request = Vec::with_capacity(self.head.len() + 160 + body.len());
        request.extend_from_slice(&self.head);
        if !keep {
            request.extend_from_slice(CLOSE);
        }
        let traced = traceparent(envelope).map(|trace| format!("traceparent: {trace}\r\n")).unwrap_or_default();
        let own = write!(
            request,
            "idempotency-key: {}\r\nx-volley-attempt: {}\r\n{traced}content-length: {}\r\n\r\n",
            envelope.key,
            envelope.attempt,
            body.len()
        );
        own.map_err(|error| Trouble::new(ErrorCategory::Unexpected, error.to_string()))?;
        request.extend_from_slice(body);
        Ok(request)
    }

    /// A whole request that is about no delivery, with further headers, after whose answer the server is to hang up.
    pub(super) fn with(&self, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let mut request = Vec::with_capacity(self.head.len() + 400 + body.len());
        request.extend_from_slice(&self.head);
        request.extend_from_slice(CLOSE);
        for (name, value) in headers {
            request.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        request.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        request.extend_from_slice(body);
        request
    }

    /// The request of one delivery for HTTP/2, up to a body of so many bytes. `None`: HTTP/2 is not spoken.
    pub(super) fn complete_shared(&self, envelope: &Envelope, bytes: usize) -> Result<Option<Request<()>>, Trouble> {
        let Some(mut request) = self.shared.clone() else { return Ok(None) };
        let headers = request.headers_mut();
        headers.insert("idempotency-key", HeaderValue::from_str(&envelope.key).map_err(|_invalid| unfit_key())?);
        headers.insert("x-volley-attempt", HeaderValue::from(envelope.attempt));
        if let Some(trace) = traceparent(envelope).and_then(|trace| HeaderValue::from_str(&trace).ok()) {
            headers.insert("traceparent", trace);
        }
        headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
        Ok(Some(request))
    }
}

/// What the call is a part of, with a name of its own that each try changes. The body, which has to stay the same, says nothing of it.
fn traceparent(envelope: &Envelope) -> Option<String> {
    let (_, span) = uuid::Uuid::new_v4().as_u64_pair();
    envelope.trace.map(|trace| trace.header(span))
}

fn unfit_key() -> Trouble {
    Trouble::new(ErrorCategory::Unexpected, "the key does not fit in a header")
}

/// The headers that every request has; those of the settings replace our own.
fn headers(config: &WebhookConfig, url: &Url, media_type: &'static str) -> Result<HeaderMap, Unusable> {
    let mut headers = HeaderMap::with_capacity(config.headers.len() + 5);
    let unfit = |_: InvalidHeaderValue| Unusable::new("url: host, user or password fits in no header");
    headers.insert(HOST, HeaderValue::from_str(&host(url)).map_err(unfit)?);
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("Volley/", env!("CARGO_PKG_VERSION"))));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    if let Some(credentials) = authorization("url", url)? {
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&credentials).map_err(unfit)?);
    }
    for (name, value) in &config.headers {
        let fault = |what: &str| Unusable::new(format!("headers: {name:?} {what}"));
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_invalid| fault("is not a header name"))?;
        if OURS.contains(&header.as_str()) {
            return Err(fault("is set by Volley"));
        }
        let value =
            HeaderValue::from_str(value.expose()).map_err(|_invalid| fault("has a value that no header can hold"))?;
        headers.insert(header, value);
    }
    Ok(headers)
}
