//! `[[pools]]`: one configured provider with its concurrency and rate.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};

use super::secret::Secret;
use crate::domain::campaign::ChannelKind;
use crate::domain::text_enum::text_enum;

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
    /// The sender: `Shop <shop@example.com>`.
    #[serde(default)]
    pub from: Option<String>,
    /// SMTP and webhook: a PEM file with the certificates of authorities that are trusted beside Mozilla's.
    #[serde(default)]
    pub tls_ca_file: Option<PathBuf>,
    /// How many hand-overs may be under way at once. 1 to 10,000.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// Hand-overs per second; 0 is no limit.
    #[serde(default)]
    pub rate_per_second: f64,
    /// How many may begin at once after a quiet time, where a rate is set. At least 1.
    #[serde(default = "default_burst")]
    pub burst: u32,
    /// Attempts per delivery: 4 is one and three retries. 1 to 20.
    #[serde(default = "default_max_attempts")]
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
            from: None,
            tls_ca_file: None,
            concurrency: default_concurrency(),
            rate_per_second: 0.0,
            burst: default_burst(),
            max_attempts: default_max_attempts(),
            timeout_seconds: default_timeout_seconds(),
            final_reply_timeout_seconds: default_final_reply_timeout_seconds(),
            method: None,
            headers: BTreeMap::new(),
            idempotent: false,
            idempotent_for_seconds: default_idempotent_for_seconds(),
            body: None,
            provider_id_pointer: None,
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

fn default_concurrency() -> usize {
    50
}

fn default_burst() -> u32 {
    100
}

fn default_max_attempts() -> u32 {
    4
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
