//! Settings of an HTTP API that contradict themselves.

use http::header::{HeaderName, HeaderValue};
use serde_json::Value;
use url::Url;

use super::{Check, ensure, within};
use crate::config::pools::webhook::{FailureRule, HttpVersion, ProbeRequest};
use crate::config::pools::{Provider, WebhookConfig};
use crate::config::secret::Secret;

/// Written by Volley or by the protocol; a second one would contradict the first.
const RESERVED: &[&str] = &[
    "idempotency-key",
    "x-volley-attempt",
    "traceparent",
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "proxy-authorization",
];

/// About one connection of HTTP/1.1; HTTP/2 has no such headers (RFC 9113 8.2.2).
const OF_CONNECTIONS: &[&str] = &["keep-alive", "proxy-connection", "te", "upgrade"];

impl WebhookConfig {
    pub(super) fn check(&self, at: &dyn Fn(&str) -> String) -> Check {
        const FORM: &str = "give http://HOST/PATH or https://HOST/PATH";
        within(&at("idempotent_for_seconds"), self.idempotent_for_seconds, 1..=90 * 24 * 3_600)?;
        let url = self.server.checked_url(Provider::Webhook, at, &["http", "https"], FORM)?;
        self.server.check_encrypted(at, url.scheme() == "https")?;
        if let Some(proxy) = &self.proxy {
            check_proxy(proxy, at)?;
        }
        let method = self.method.as_deref().unwrap_or("POST");
        ensure(
            matches!(method, "POST" | "PUT" | "PATCH"),
            &at("method"),
            format!("{method:?} is none of POST, PUT, PATCH"),
        )?;
        for (name, value) in &self.headers {
            let key = at(&format!("headers.{name}"));
            ensure(HeaderName::from_bytes(name.as_bytes()).is_ok(), &key, "not a header name")?;
            ensure(HeaderValue::from_str(value.expose()).is_ok(), &key, "must be visible ASCII on one line")?;
            ensure(!RESERVED.contains(&name.to_ascii_lowercase().as_str()), &key, "is written by Volley itself")?;
        }
        if self.http_version != HttpVersion::One {
            self.check_shared(at)?;
        }
        let pointer = self.provider_id_pointer.as_deref().unwrap_or_default();
        ensure(pointer.is_empty() || is_pointer(pointer), &at("provider_id_pointer"), no_pointer(pointer))?;
        for (index, rule) in self.failures.iter().enumerate() {
            check_failure(rule, &|setting: &str| at(&format!("failures[{index}].{setting}")))?;
        }
        self.probe.as_ref().map_or(Ok(()), |probe| check_probe(probe, &url, at))
    }

    /// What cannot be where HTTP/2 may be spoken.
    fn check_shared(&self, at: &dyn Fn(&str) -> String) -> Check {
        ensure(
            self.keep_alive,
            &at("keep_alive"),
            "false needs http_version = \"1.1\": requests of HTTP/2 share connections",
        )?;
        let of_connections = |name: &&String| OF_CONNECTIONS.contains(&name.to_ascii_lowercase().as_str());
        self.headers.keys().find(of_connections).map_or(Ok(()), |name| {
            ensure(false, &at(&format!("headers.{name}")), "needs http_version = \"1.1\": HTTP/2 has no such header")
        })
    }
}

fn check_proxy(proxy: &Secret, at: &dyn Fn(&str) -> String) -> Check {
    let bare = |url: &Url| url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let usable = |url: &Url| url.scheme() == "http" && url.host_str().is_some_and(|host| !host.is_empty());
    // The text is not repeated: it may hold a password.
    ensure(
        Url::parse(proxy.expose()).is_ok_and(|url| usable(&url) && bare(&url)),
        &at("proxy"),
        "must be http://HOST:PORT or http://USER:PASSWORD@HOST:PORT",
    )
}

fn check_failure(rule: &FailureRule, at: &dyn Fn(&str) -> String) -> Check {
    ensure(is_pointer(&rule.pointer), &at("pointer"), no_pointer(&rule.pointer))?;
    let scalar = |value: &Value| !matches!(value, Value::Null | Value::Array(_) | Value::Object(_));
    ensure(rule.values.iter().all(scalar), &at("values"), "must be texts, numbers, true or false")
}

fn check_probe(probe: &ProbeRequest, pool: &Url, at: &dyn Fn(&str) -> String) -> Check {
    let method = probe.method.as_deref().unwrap_or("GET");
    ensure(
        matches!(method, "GET" | "HEAD" | "OPTIONS" | "POST"),
        &at("probe.method"),
        format!("{method:?} is none of GET, HEAD, OPTIONS, POST (which has no body)"),
    )?;
    // The text is not repeated: it may hold a password.
    let path = probe.path.expose();
    let url = pool.join(path).ok().filter(|url| path.starts_with('/') && url.origin() == pool.origin());
    ensure(
        url.is_some_and(|url| url.fragment().is_none()),
        &at("probe.path"),
        "must be a path on the server of the pool's url, such as /v1/account",
    )?;
    probe.expect.iter().try_for_each(|status| within(&at("probe.expect"), *status, 100..=599))
}

/// RFC 6901 3.
fn is_pointer(text: &str) -> bool {
    let escapes_end = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    text.starts_with('/') && escapes_end
}

fn no_pointer(text: &str) -> String {
    format!("{text:?} is not a JSON pointer such as /message/id")
}
