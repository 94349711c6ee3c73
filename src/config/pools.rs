//! `[[pools]]`: one configured provider with its concurrency and rate.

pub mod answers;
pub mod callbacks;
mod read;
pub mod sandbox;
pub mod server;
pub mod smtp;
pub mod webhook;

use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::domain::channel::ChannelKind;
use crate::domain::dispatch::fingerprint::ProviderFingerprint;
use crate::domain::span::Span;
use crate::domain::text_enum::text_enum;
pub use callbacks::CallbackConfig;
pub use read::{PoolError, owners, settings};
pub use sandbox::SandboxConfig;
pub use server::ServerConfig;
pub use smtp::SmtpConfig;
pub use webhook::WebhookConfig;

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

/// One sender pool: what all pools have, and the settings of its provider. [`PoolConfig::read`] makes one from a block.
///
/// `remote = "Self"` makes serde derive `PoolConfig::deserialize`, which reads the shared settings alone, in place of the trait
/// `Deserialize`, which is written by hand in `read`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(remote = "Self")]
pub struct PoolConfig {
    /// Unique name; campaigns and metrics refer to it. Letters, digits, `-` and `_`, at most 64.
    pub name: String,
    /// The channel this pool serves.
    pub channel: ChannelKind,
    /// What is behind it, with the settings that only such a provider has.
    #[serde(flatten, skip_deserializing, default = "ProviderConfig::unread")]
    pub provider: ProviderConfig,
    /// The sender: `Shop <shop@example.com>`.
    #[serde(default)]
    pub from: Option<String>,
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
    /// Waits between the tries of a recipient after a refusal for now; the last repeats. 1 to 20, each from 10 ms to a day.
    /// Unset: those of `[retries]` for the channel.
    #[serde(default)]
    pub retry_delays: Option<Vec<Span>>,
    /// How much waiting such a recipient is given in all; 0 is no second try, at most 7 days. Unset: that of `[retries]`.
    #[serde(default)]
    pub retry_for: Option<Span>,
    /// Attempts per delivery; 0 is no limit but `retry_for`. At most 1,000.
    #[serde(default)]
    pub max_attempts: u32,
    /// How long a provider's answer is waited for, in seconds. 1 to 3,600. SMTP waits up to `final_reply_timeout_seconds` for
    /// the reply to the final dot.
    #[serde(default = "default_timeout_seconds")]
    pub timeout_seconds: u64,
    /// How its provider reports what became of messages. Unset: it reports nothing.
    #[serde(default)]
    pub callbacks: Option<CallbackConfig>,
    /// What the instance's other settings add to its messages: where links lead, and the postal address. Not a setting of the
    /// pool; set at the start.
    #[serde(skip)]
    pub carries: Vec<String>,
}

/// The settings of a pool that only its kind of provider has.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "provider", rename_all = "lowercase")]
pub enum ProviderConfig {
    /// An SMTP relay.
    Smtp(SmtpConfig),
    /// Any HTTP API.
    Webhook(WebhookConfig),
    /// No network.
    Sandbox(SandboxConfig),
}

impl ProviderConfig {
    /// What stands in a pool until [`PoolConfig::read`] has read the provider.
    fn unread() -> Self {
        Self::from(Provider::Sandbox)
    }

    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> Provider {
        match self {
            Self::Smtp(_) => Provider::Smtp,
            Self::Webhook(_) => Provider::Webhook,
            Self::Sandbox(_) => Provider::Sandbox,
        }
    }

    /// How its server is reached, where it has one.
    #[must_use]
    pub fn server(&self) -> Option<&ServerConfig> {
        match self {
            Self::Smtp(smtp) => Some(&smtp.server),
            Self::Webhook(webhook) => Some(&webhook.server),
            Self::Sandbox(_) => None,
        }
    }

    /// The settings of an SMTP relay, where it is one.
    #[must_use]
    pub fn smtp(&self) -> Option<&SmtpConfig> {
        match self {
            Self::Smtp(smtp) => Some(smtp),
            Self::Webhook(_) | Self::Sandbox(_) => None,
        }
    }

    /// The settings of an HTTP API, where it is one.
    #[must_use]
    pub fn webhook(&self) -> Option<&WebhookConfig> {
        match self {
            Self::Webhook(webhook) => Some(webhook),
            Self::Smtp(_) | Self::Sandbox(_) => None,
        }
    }
}

/// A provider with every setting at its default.
impl From<Provider> for ProviderConfig {
    fn from(kind: Provider) -> Self {
        match kind {
            Provider::Smtp => Self::Smtp(SmtpConfig::default()),
            Provider::Webhook => Self::Webhook(WebhookConfig::default()),
            Provider::Sandbox => Self::Sandbox(SandboxConfig::default()),
        }
    }
}

impl From<SmtpConfig> for ProviderConfig {
    fn from(smtp: SmtpConfig) -> Self {
        Self::Smtp(smtp)
    }
}

impl From<WebhookConfig> for ProviderConfig {
    fn from(webhook: WebhookConfig) -> Self {
        Self::Webhook(webhook)
    }
}

impl From<SandboxConfig> for ProviderConfig {
    fn from(sandbox: SandboxConfig) -> Self {
        Self::Sandbox(sandbox)
    }
}

impl Serialize for PoolConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The derived one: see the struct.
        PoolConfig::serialize(self, serializer)
    }
}

impl PoolConfig {
    /// A pool of `provider` with every shared setting at its default and no name, for code that makes pools of its own.
    #[must_use]
    pub fn bare(provider: impl Into<ProviderConfig>) -> Self {
        Self {
            name: String::new(),
            channel: ChannelKind::Email,
            provider: provider.into(),
            from: None,
            concurrency: default_concurrency(),
            rate_per_second: 0.0,
            burst: None,
            retry_delays: None,
            retry_for: None,
            max_attempts: 0,
            timeout_seconds: default_timeout_seconds(),
            callbacks: None,
            carries: Vec::new(),
        }
    }

    /// Which provider this is, by scheme, host, port and path of its address and whether it honours keys; and in what form
    /// it is sent to, by method, body, sender, headers and what messages carry. Credentials change neither.
    #[must_use]
    pub fn fingerprint(&self) -> ProviderFingerprint {
        let url = self.provider.server().and_then(ServerConfig::address);
        let place = url.map(|url| {
            let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(0));
            format!("{}://{host}:{port}{}", url.scheme(), url.path())
        });
        let webhook = self.provider.webhook();
        let keyed = if webhook.is_some_and(|webhook| webhook.idempotent) { "keyed" } else { "" };
        let provider = digest([self.provider.kind().as_str(), place.as_deref().unwrap_or_default(), keyed]);
        // Every provider has the same form, so that the fingerprints in the database stay what they are.
        let method = webhook.and_then(|webhook| webhook.method.as_deref()).unwrap_or("POST").to_ascii_uppercase();
        let body = webhook.and_then(|webhook| webhook.body.as_deref()).unwrap_or_default();
        let texts = [method.as_str(), body, self.from.as_deref().unwrap_or_default()];
        let headers = webhook.into_iter().flat_map(|webhook| &webhook.headers);
        let headers = headers.filter(|(name, _)| !is_credential(name));
        let headers = headers.flat_map(|(name, value)| [name.as_str(), value.expose()]);
        let smtp = self.provider.smtp();
        let reply_to = smtp.and_then(SmtpConfig::reply_to).into_iter().flat_map(|address| ["Reply-To", address]);
        let of_mails = smtp.into_iter().flat_map(|smtp| &smtp.headers);
        let of_mails = of_mails.flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        let form = webhook.into_iter().flat_map(|webhook| &webhook.form);
        let form = form.flat_map(|(name, value)| ["form", name.as_str(), value.as_str()]);
        let headers = headers.chain(reply_to).chain(of_mails).chain(form);
        let carries = self.carries.iter().map(String::as_str);
        ProviderFingerprint::new(provider, digest(texts.into_iter().chain(headers).chain(carries)))
    }

    /// How many may begin at once after a quiet time, where a rate is set.
    #[must_use]
    pub fn burst(&self) -> f64 {
        self.burst.map_or(self.rate_per_second, f64::from).max(1.0)
    }

    /// How long a provider's answer is waited for.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }

    /// How long an unanswered attempt may be repeated under its key, where the provider honours keys.
    #[must_use]
    pub fn idempotent_for(&self) -> Option<Duration> {
        self.provider.webhook().and_then(WebhookConfig::idempotent_for)
    }
}

/// Whether a header says who asks, and nothing of the message.
fn is_credential(header: &str) -> bool {
    let name = header.to_ascii_lowercase();
    ["authorization", "api-key", "apikey", "token", "cookie"].iter().any(|part| name.contains(part))
}

/// A short hash of texts. The length before each text keeps neighbours apart.
fn digest<'a>(texts: impl IntoIterator<Item = &'a str>) -> u32 {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update(text.len().to_be_bytes());
        hasher.update(text);
    }
    hasher.finalize().iter().take(4).fold(0, |hash, byte| (hash << 8) | u32::from(*byte))
}

fn default_concurrency() -> usize {
    50
}

fn default_timeout_seconds() -> u64 {
    30
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::secret::Secret;

    fn pool(change: impl FnOnce(&mut WebhookConfig)) -> PoolConfig {
        let mut webhook = WebhookConfig {
            server: ServerConfig::at("https://user:word@api.example.com/v1/send?account=1"),
            idempotent: true,
            headers: BTreeMap::from([("X-Api-Key".to_owned(), Secret::new("one".to_owned()))]),
            ..WebhookConfig::default()
        };
        change(&mut webhook);
        PoolConfig::bare(webhook)
    }

    fn fingerprint(change: impl FnOnce(&mut WebhookConfig)) -> ProviderFingerprint {
        pool(change).fingerprint()
    }

    #[test]
    fn a_provider_is_known_by_its_address_and_whether_it_honours_keys() {
        let same = fingerprint(|_| {});
        for other in
            ["http://api.example.com:443/v1/send", "https://api.example.com/v2/send", "https://b.example.com/v1/send"]
        {
            assert!(!same.is_same_provider(fingerprint(|pool| pool.server = ServerConfig::at(other))), "{other}");
        }
        assert!(!same.is_same_provider(fingerprint(|pool| pool.idempotent = false)));
        assert_eq!(same, fingerprint(|pool| pool.server = ServerConfig::at("https://api.example.com:443/v1/send")));
    }

    #[test]
    fn what_a_pool_adds_to_messages_changes_the_form_and_credentials_do_not() {
        let header = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), Secret::new(value.to_owned()))]);
        let same = fingerprint(|_| {});
        for other in [
            fingerprint(|pool| pool.body = Some("{}".to_owned())),
            PoolConfig { from: Some("shop@example.com".to_owned()), ..pool(|_| {}) }.fingerprint(),
            PoolConfig { carries: vec!["https://mail.example.com".to_owned()], ..pool(|_| {}) }.fingerprint(),
            fingerprint(|pool| pool.form = BTreeMap::from([("To".to_owned(), "{{ to }}".to_owned())])),
            fingerprint(|pool| pool.method = Some("PUT".to_owned())),
            fingerprint(|pool| pool.headers = header("X-Sender", "shop")),
        ] {
            assert!(same != other && same.is_same_provider(other));
        }
        assert_eq!(same, fingerprint(|pool| pool.headers = header("X-Api-Key", "two")));
        assert_eq!(same, fingerprint(|pool| pool.method = Some("post".to_owned())));
    }
}
