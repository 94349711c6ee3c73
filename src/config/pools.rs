//! `[[pools]]`: one configured provider with its concurrency and rate.

mod sender;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

use super::answers::AnswerConfig;
use super::secret::Secret;
use super::webhook::{FailureRule, HttpVersion, ProbeRequest};
use crate::domain::certificate::CertificateFingerprint;
use crate::domain::channel::ChannelKind;
use crate::domain::dispatch::answers::{Book, Way, provider_of};
use crate::domain::dispatch::fingerprint::ProviderFingerprint;
use crate::domain::span::Span;
use crate::domain::text_enum::text_enum;
pub use sender::parse_sender;

text_enum! {
    /// The kinds of provider.
    Provider {
        /// An SMTP relay.
        Smtp = "smtp",
        /// Any HTTP API.
        Webhook = "webhook",
        /// No network: latency and failures by dice. For trying Volley out.
        Sandbox = "sandbox",
    }
}

/// One sender pool. Settings of another provider than the pool's are refused by [`super::Settings::check`].
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PoolConfig {
    /// Unique name; campaigns and metrics refer to it. Letters, digits, `-` and `_`, at most 64.
    pub name: String,
    /// The channel this pool serves.
    pub channel: ChannelKind,
    /// What is behind it.
    pub provider: Provider,
    /// `smtp://host:port` (STARTTLS required except on loopback; `?tls=required|opportunistic|none`), `smtps://…`, or the
    /// HTTP address. User and password may stand in the URL or in `username` and `password`.
    #[serde(default)]
    pub url: Option<Secret>,
    /// SMTP user.
    #[serde(default)]
    pub username: Option<String>,
    /// SMTP password.
    #[serde(default)]
    pub password: Option<Secret>,
    /// SMTP only: a file that holds an OAuth token, for XOAUTH2 in place of a password. Read for each new connection, so
    /// that whoever refreshes it has only to write it.
    #[serde(default)]
    pub oauth_token_file: Option<PathBuf>,
    /// SMTP only: a program and its arguments that print an OAuth token, run without a shell and ended after
    /// `timeout_seconds`. Its token is used for other connections for a minute, or until the relay refuses it.
    #[serde(default)]
    pub oauth_token_command: Vec<String>,
    /// SMTP only: the name or address literal that Volley introduces itself with (RFC 5321 4.1.1.1). Unset, the host's
    /// name if it has a dot, or else the connection's own address.
    #[serde(default)]
    pub ehlo_name: Option<String>,
    /// SMTP only: whether `MAIL`, `RCPT` and `DATA` are sent in one piece to a relay that offers PIPELINING (RFC 2920).
    #[serde(default = "default_pipelining")]
    pub pipelining: bool,
    /// The sender: `Shop <shop@example.com>`.
    #[serde(default)]
    pub from: Option<String>,
    /// SMTP and webhook: a PEM file with the certificates of authorities that are trusted beside Mozilla's. A server may
    /// also show one of these certificates as its own.
    #[serde(default)]
    pub tls_ca_file: Option<PathBuf>,
    /// SMTP and webhook: the SHA-256 fingerprint of the one certificate that the provider must show, whoever signed it and
    /// whatever names stand in it. 64 hexadecimal digits, with or without colons.
    #[serde(default)]
    pub tls_fingerprint: Option<String>,
    /// How many hand-overs may be under way at once. 1 to 10,000.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// Hand-overs per second; 0 is no limit.
    #[serde(default)]
    pub rate_per_second: f64,
    /// How many may begin at once after a quiet time, where a rate is set. At least 1; one second's worth of the rate unless
    /// set.
    #[serde(default)]
    pub burst: Option<u32>,
    /// Waits between the tries of a recipient who was refused for now; the last repeats. 1 to 20, each from 10 ms to a
    /// day. Unset: those of `[retries]` for the channel.
    #[serde(default)]
    pub retry_delays: Option<Vec<Span>>,
    /// How much waiting such a recipient is given in all; 0 is no second try, at most 7 days. Unset: that of `[retries]`.
    #[serde(default)]
    pub retry_for: Option<Span>,
    /// Attempts per delivery; 0 is no limit but `retry_for`. At most 1,000.
    #[serde(default)]
    pub max_attempts: u32,
    /// How long a provider's answer is waited for, in seconds. SMTP waits up to `final_reply_timeout_seconds` for the
    /// reply to the final dot.
    #[serde(default = "default_timeout_seconds")]
    pub timeout_seconds: u64,
    /// SMTP only: how long the reply to the final dot is waited for, in seconds. RFC 5321 4.5.3.2.6 asks for long waits:
    /// a short one manufactures uncertainty.
    #[serde(default = "default_final_reply_timeout_seconds")]
    pub final_reply_timeout_seconds: u64,
    /// Webhook only: method, `POST` unless set.
    #[serde(default)]
    pub method: Option<String>,
    /// Webhook only: headers sent with every request.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Webhook only: whether the receiver honours `Idempotency-Key`, so that an unanswered request may be repeated.
    #[serde(default)]
    pub idempotent: bool,
    /// Webhook only: how long the receiver remembers a key, in seconds. 24 h unless set.
    #[serde(default = "default_idempotent_for_seconds")]
    pub idempotent_for_seconds: u64,
    /// Webhook only: JSON template of the body.
    #[serde(default)]
    pub body: Option<String>,
    /// Webhook only: where the provider's message id stands in its answer, as a JSON pointer (RFC 6901).
    #[serde(default)]
    pub provider_id_pointer: Option<String>,
    /// Webhook only: which 2xx answers mean that the message was not accepted.
    #[serde(default)]
    pub failures: Vec<FailureRule>,
    /// Webhook only: the proxy that requests go through, `http://HOST:PORT`; a user and password may stand in it.
    #[serde(default)]
    pub proxy: Option<Secret>,
    /// Webhook only: which HTTP is spoken. Over HTTP/2 requests share connections.
    #[serde(default = "super::webhook::oldest", deserialize_with = "super::webhook::version")]
    pub http_version: HttpVersion,
    /// Webhook only: whether a connection is used again. Without it each request has a connection of its own.
    #[serde(default = "super::webhook::yes")]
    pub keep_alive: bool,
    /// Webhook only: what `volley doctor` asks the provider.
    #[serde(default)]
    pub probe: Option<ProbeRequest>,
    /// SMTP and webhook: whose answers these are, as docs/provider-answers.md names providers. Unset: as the host name says.
    #[serde(default)]
    pub answers_of: Option<String>,
    /// SMTP and webhook: rows before those of the table of answers.
    #[serde(default)]
    pub answers: Vec<AnswerConfig>,
    /// Sandbox only: shortest and longest call, in milliseconds.
    #[serde(default)]
    pub latency_ms: Option<[u64; 2]>,
    /// Sandbox only: share of calls that are refused, 0.0 to 1.0.
    #[serde(default)]
    pub failure_rate: Option<f64>,
    /// Sandbox only: ends the process when this address is handed over. For testing how poison is found.
    #[serde(default)]
    pub crash_on: Option<String>,
}

impl PoolConfig {
    /// A pool of `provider` with every setting at its default and no name, for code that makes pools of its own.
    #[must_use]
    pub fn bare(provider: Provider) -> Self {
        Self {
            name: String::new(),
            channel: ChannelKind::Email,
            provider,
            url: None,
            username: None,
            password: None,
            oauth_token_file: None,
            oauth_token_command: Vec::new(),
            ehlo_name: None,
            pipelining: default_pipelining(),
            from: None,
            tls_ca_file: None,
            tls_fingerprint: None,
            concurrency: default_concurrency(),
            rate_per_second: 0.0,
            burst: None,
            retry_delays: None,
            retry_for: None,
            max_attempts: 0,
            timeout_seconds: default_timeout_seconds(),
            final_reply_timeout_seconds: default_final_reply_timeout_seconds(),
            method: None,
            headers: BTreeMap::new(),
            idempotent: false,
            idempotent_for_seconds: default_idempotent_for_seconds(),
            body: None,
            provider_id_pointer: None,
            failures: Vec::new(),
            proxy: None,
            http_version: HttpVersion::One,
            keep_alive: true,
            probe: None,
            answers_of: None,
            answers: Vec::new(),
            latency_ms: None,
            failure_rate: None,
            crash_on: None,
        }
    }

    /// `tls_ca_file`, where it names one.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.tls_ca_file.as_deref().filter(|file| !file.as_os_str().is_empty())
    }

    /// The certificates in `tls_ca_file`; none where it is not set.
    ///
    /// # Errors
    /// One line: the file cannot be read, or does not hold what it should.
    pub fn authorities(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let Some(file) = self.ca_file() else { return Ok(Vec::new()) };
        let shown = file.display();
        let pem = std::fs::read(file).map_err(|error| format!("cannot read {shown}: {error}"))?;
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("{shown} is not PEM: {error}"))?;
        if certificates.is_empty() {
            return Err(format!("{shown} holds no certificate (-----BEGIN CERTIFICATE-----)"));
        }
        for certificate in &certificates {
            RootCertStore::empty()
                .add(certificate.clone())
                .map_err(|error| format!("{shown} holds a certificate that cannot be used: {error}"))?;
        }
        Ok(certificates)
    }

    /// Which provider this is, by scheme, host, port and path of its address and whether it honours keys; and in what form
    /// it is sent to, by method, body, sender and headers. Credentials change neither.
    #[must_use]
    pub fn fingerprint(&self) -> ProviderFingerprint {
        let url = self.url.as_ref().and_then(|url| Url::parse(url.expose()).ok());
        let place = url.map(|url| {
            let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(0));
            format!("{}://{host}:{port}{}", url.scheme(), url.path())
        });
        let keyed = if self.idempotent { "keyed" } else { "" };
        let provider = digest([self.provider.as_str(), place.as_deref().unwrap_or_default(), keyed]);
        let method = self.method.as_deref().unwrap_or("POST").to_ascii_uppercase();
        let texts =
            [method.as_str(), self.body.as_deref().unwrap_or_default(), self.from.as_deref().unwrap_or_default()];
        let headers = self.headers.iter().filter(|(name, _)| !is_credential(name));
        let headers = headers.flat_map(|(name, value)| [name.as_str(), value.expose()]);
        ProviderFingerprint::new(provider, digest(texts.into_iter().chain(headers)))
    }

    /// `tls_fingerprint`, where one is set.
    ///
    /// # Errors
    /// One line: it is no fingerprint.
    pub fn pinned_certificate(&self) -> Result<Option<CertificateFingerprint>, String> {
        let text = self.tls_fingerprint.as_deref().unwrap_or_default();
        if text.is_empty() {
            return Ok(None);
        }
        let refused = || format!("{text:?} is not 64 hexadecimal digits (SHA-256), with or without colons");
        CertificateFingerprint::parse(text).map(Some).ok_or_else(refused)
    }

    /// `oauth_token_file`, where it names one.
    #[must_use]
    pub fn token_file(&self) -> Option<&Path> {
        self.oauth_token_file.as_deref().filter(|file| !file.as_os_str().is_empty())
    }

    /// `ehlo_name`, where one is set.
    #[must_use]
    pub fn introduction(&self) -> Option<&str> {
        self.ehlo_name.as_deref().filter(|name| !name.is_empty())
    }

    /// How many may begin at once after a quiet time, where a rate is set.
    #[must_use]
    pub fn burst(&self) -> f64 {
        self.burst.map_or(self.rate_per_second, f64::from).max(1.0)
    }

    /// What this pool's provider means by its answers: the pool's own rows, and the table as it counts for the provider.
    ///
    /// # Errors
    /// One line: the row that cannot work, by its index, and why.
    pub fn book(&self) -> Result<Book, String> {
        let way = if self.provider == Provider::Smtp { Way::Smtp } else { Way::Http };
        let mut own = Vec::with_capacity(self.answers.len());
        for (index, answer) in self.answers.iter().enumerate() {
            own.push(answer.row(way).map_err(|bad| format!("answers[{index}].{bad}"))?);
        }
        let url = self.url.as_ref().and_then(|url| Url::parse(url.expose()).ok());
        let by_host = url.as_ref().and_then(Url::host_str).and_then(provider_of);
        Ok(Book::new(way, self.answers_of.as_deref().or(by_host), own))
    }

    /// How long a provider's answer is waited for.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }

    /// SMTP: how long the reply to the final dot is waited for.
    #[must_use]
    pub fn final_reply_timeout(&self) -> Duration {
        Duration::from_secs(self.final_reply_timeout_seconds)
    }

    /// How long an unanswered attempt may be repeated under its key, where the provider honours keys.
    #[must_use]
    pub fn idempotent_for(&self) -> Option<Duration> {
        self.idempotent.then(|| Duration::from_secs(self.idempotent_for_seconds))
    }
}

/// Whether a header says who asks, and nothing of the message.
fn is_credential(header: &str) -> bool {
    let name = header.to_ascii_lowercase();
    ["authorization", "api-key", "apikey", "token", "cookie"].iter().any(|part| name.contains(part))
}

/// A short hash of texts, each told from its neighbours by its length.
fn digest<'a>(texts: impl IntoIterator<Item = &'a str>) -> u32 {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update(text.len().to_be_bytes());
        hasher.update(text);
    }
    hasher.finalize().iter().take(4).fold(0, |hash, byte| (hash << 8) | u32::from(*byte))
}

fn default_pipelining() -> bool {
    true
}

fn default_concurrency() -> usize {
    50
}

fn default_timeout_seconds() -> u64 {
    30
}

fn default_final_reply_timeout_seconds() -> u64 {
    300
}

fn default_idempotent_for_seconds() -> u64 {
    24 * 3600
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(change: impl FnOnce(&mut PoolConfig)) -> ProviderFingerprint {
        let mut pool = PoolConfig {
            url: Some(Secret::new("https://user:word@api.example.com/v1/send?account=1".to_owned())),
            idempotent: true,
            headers: BTreeMap::from([("X-Api-Key".to_owned(), Secret::new("one".to_owned()))]),
            ..PoolConfig::bare(Provider::Webhook)
        };
        change(&mut pool);
        pool.fingerprint()
    }

    #[test]
    fn a_provider_is_known_by_its_address_and_whether_it_honours_keys() {
        let url = |text: &str| Some(Secret::new(text.to_owned()));
        let same = pool(|_| {});
        for other in
            ["http://api.example.com:443/v1/send", "https://api.example.com/v2/send", "https://b.example.com/v1/send"]
        {
            assert!(!same.is_same_provider(pool(|pool| pool.url = url(other))), "{other}");
        }
        assert!(!same.is_same_provider(pool(|pool| pool.idempotent = false)));
        assert_eq!(same, pool(|pool| pool.url = url("https://api.example.com:443/v1/send")));
    }

    #[test]
    fn what_a_pool_adds_to_messages_changes_the_form_and_credentials_do_not() {
        let header = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), Secret::new(value.to_owned()))]);
        let same = pool(|_| {});
        for other in [
            pool(|pool| pool.body = Some("{}".to_owned())),
            pool(|pool| pool.from = Some("shop@example.com".to_owned())),
            pool(|pool| pool.method = Some("PUT".to_owned())),
            pool(|pool| pool.headers = header("X-Sender", "shop")),
        ] {
            assert!(same != other && same.is_same_provider(other));
        }
        assert_eq!(same, pool(|pool| pool.headers = header("X-Api-Key", "two")));
        assert_eq!(same, pool(|pool| pool.method = Some("post".to_owned())));
    }
}
