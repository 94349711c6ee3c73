//! `[[targets]]`: addresses that segments and campaigns may call. Nobody can name another one.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::pools::{ServerConfig, WebhookConfig};
use super::public::is_loopback;
use super::secret::Secret;
use crate::domain::dispatch::retries;
use crate::domain::reactions::CampaignNews;
use crate::domain::span::Span;

/// The waits between tries of a call, unless its target says otherwise. Receivers are away for longer than senders of messages.
const RETRY_DELAYS: [Span; 7] = [
    Span::seconds(5),
    Span::seconds(30),
    Span::seconds(120),
    Span::seconds(600),
    Span::seconds(1_800),
    Span::seconds(3_600),
    Span::seconds(10_800),
];

/// How much waiting a call is given in all, unless its target says otherwise.
const RETRY_FOR: Span = Span::seconds(86_400);

/// One target.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TargetConfig {
    /// Unique name, by which reactions go. Letters, digits, `-` and `_`, at most 64.
    pub name: String,
    /// Where it is: `https://HOST/PATH`, or `http://`.
    #[serde(default)]
    pub url: Option<Secret>,
    /// What calls are signed with: `whsec_` and 16 to 64 bytes in base64. Several, with a blank between them, while one takes the place of
    /// another.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// The events of campaigns that it hears of. None unless set.
    #[serde(default)]
    pub events: Vec<CampaignNews>,
    /// How many calls may be under way at once, on each instance. 1 to 64.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// How long a call may take, in seconds. 1 to 60.
    #[serde(default = "default_timeout_seconds")]
    pub timeout_seconds: u64,
    /// Waits between tries; the last repeats. Unset: 5 s, 30 s, 2 min, 10 min, 30 min, 1 h, 3 h.
    #[serde(default)]
    pub retry_delays: Option<Vec<Span>>,
    /// How much waiting a call is given in all; 0 is no second try. Unset: a day.
    #[serde(default)]
    pub retry_for: Option<Span>,
    /// A PEM file with certificates to trust beside Mozilla's authorities.
    #[serde(default)]
    pub tls_ca_file: Option<PathBuf>,
    /// The SHA-256 fingerprint of the one certificate that the server must show.
    #[serde(default)]
    pub tls_fingerprint: Option<String>,
    /// The proxy on the way to it, `http://HOST:PORT`; a user and password may stand in it.
    #[serde(default)]
    pub proxy: Option<Secret>,
}

impl TargetConfig {
    /// A target at `url`, whose calls are signed with `secret`, every other setting at its default.
    #[must_use]
    pub fn at(name: &str, url: &str, secret: &str) -> Self {
        Self {
            name: name.to_owned(),
            url: Some(Secret::new(url)),
            secret: Some(Secret::new(secret)),
            events: Vec::new(),
            concurrency: default_concurrency(),
            timeout_seconds: default_timeout_seconds(),
            retry_delays: None,
            retry_for: None,
            tls_ca_file: None,
            tls_fingerprint: None,
            proxy: None,
        }
    }

    /// How it is called: as the API of a pool is, on a connection of its own each time.
    #[must_use]
    pub fn webhook(&self) -> WebhookConfig {
        let server = ServerConfig {
            url: self.url.clone(),
            tls_ca_file: self.tls_ca_file.clone(),
            tls_fingerprint: self.tls_fingerprint.clone(),
            ..ServerConfig::default()
        };
        WebhookConfig { server, proxy: self.proxy.clone(), keep_alive: false, ..WebhookConfig::default() }
    }

    /// What calls are signed with: one, or several while one takes the place of another.
    #[must_use]
    pub fn secrets(&self) -> Vec<&str> {
        self.secret.iter().flat_map(|secret| secret.expose().split_whitespace()).collect()
    }

    /// Whether calls leave this machine without TLS: others on the way can read them.
    #[must_use]
    pub fn is_in_the_clear(&self) -> bool {
        let url = self.url.as_ref().and_then(|url| url::Url::parse(url.expose()).ok());
        url.is_some_and(|url| url.scheme() == "http" && !is_loopback(&url))
    }

    /// How long a call may take.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }

    /// When a call is tried again.
    #[must_use]
    pub fn retries(&self) -> retries::Retries {
        let delays = self.retry_delays.as_deref().unwrap_or(&RETRY_DELAYS);
        let delays = delays.iter().map(|delay| delay.0).collect();
        retries::Retries::new(delays, self.retry_for.unwrap_or(RETRY_FOR).0, 0)
    }
}

fn default_concurrency() -> usize {
    4
}

fn default_timeout_seconds() -> u64 {
    10
}
