//! The settings of pools of an HTTP API.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::server::ServerConfig;
use crate::config::secret::Secret;
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::text_enum::text_enum;

text_enum! {
    /// The versions of HTTP that a pool may speak.
    HttpVersion {
        /// HTTP/1.1 (RFC 9112): one request at a time on a connection.
        One = "1.1",
        /// HTTP/2 (RFC 9113), agreed on in the TLS handshake, or known of the server where the address is http://.
        Two = "2",
        /// What the server chooses in the TLS handshake (ALPN, RFC 7301); HTTP/1.1 where the address is http://.
        Auto = "auto",
    }
}

/// Any HTTP API.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default)]
pub struct WebhookConfig {
    /// Where it is.
    #[serde(flatten, skip_deserializing)]
    pub server: ServerConfig,
    /// `POST` unless set.
    pub method: Option<String>,
    /// Headers of every request.
    pub headers: BTreeMap<String, Secret>,
    /// Whether the receiver honours `Idempotency-Key`, so that an unanswered request may be repeated.
    pub idempotent: bool,
    /// How long the receiver remembers a key, in seconds. 1 to 7,776,000; a day unless set.
    pub idempotent_for_seconds: u64,
    /// JSON template of the body.
    pub body: Option<String>,
    /// Fields of a form in place of `body`: a template for the value of each.
    pub form: BTreeMap<String, String>,
    /// Where the provider's message id stands in its answer, as a JSON pointer (RFC 6901).
    pub provider_id_pointer: Option<String>,
    /// Which 2xx answers mean that the message was not accepted.
    pub failures: Vec<FailureRule>,
    /// The proxy that requests go through, `http://HOST:PORT`; a user and password may stand in it.
    pub proxy: Option<Secret>,
    /// Which HTTP is spoken. Over HTTP/2 requests share connections.
    #[serde(deserialize_with = "version")]
    pub http_version: HttpVersion,
    /// Whether a connection is used again. Without it each request has a connection of its own.
    pub keep_alive: bool,
    /// What `volley doctor` asks the provider.
    pub probe: Option<ProbeRequest>,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            server: ServerConfig::default(),
            method: None,
            headers: BTreeMap::new(),
            idempotent: false,
            idempotent_for_seconds: 24 * 3_600,
            body: None,
            form: BTreeMap::new(),
            provider_id_pointer: None,
            failures: Vec::new(),
            proxy: None,
            http_version: HttpVersion::One,
            keep_alive: true,
            probe: None,
        }
    }
}

impl WebhookConfig {
    /// How long an unanswered attempt may be repeated under its key, where the receiver honours keys.
    #[must_use]
    pub fn idempotent_for(&self) -> Option<Duration> {
        self.idempotent.then(|| Duration::from_secs(self.idempotent_for_seconds))
    }
}

/// `[[pools.failures]]`: which 2xx answers mean that the message was not accepted.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FailureRule {
    /// Where to look in the answer, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What stands there when it failed: texts, numbers, true or false. Compared as text, upper and lower case alike. Left
    /// out: anything but null, false, 0, "", [] and {}.
    #[serde(default)]
    pub values: Vec<Value>,
    /// Whose trouble it is. [`AnswerClass::Policy`] unless set: answers of the provider that are alike for
    /// nearly everybody then pause a campaign instead of failing its people one by one.
    #[serde(default = "policy")]
    pub class: AnswerClass,
    /// Whether the same message would be refused again. It would, unless set.
    #[serde(default = "yes")]
    pub permanent: bool,
}

fn policy() -> AnswerClass {
    AnswerClass::Policy
}

/// A version as text, or as the number that it looks like.
fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HttpVersion, D::Error> {
    struct Version;

    impl Visitor<'_> for Version {
        type Value = HttpVersion;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("\"1.1\", \"2\" or \"auto\"")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<HttpVersion, E> {
            HttpVersion::from_text(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<HttpVersion, E> {
            self.visit_str(&number.to_string())
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<HttpVersion, E> {
            self.visit_str(&number.to_string())
        }

        fn visit_f64<E: Error>(self, number: f64) -> Result<HttpVersion, E> {
            self.visit_str(&number.to_string())
        }
    }

    deserializer.deserialize_any(Version)
}

fn yes() -> bool {
    true
}

/// `pools.probe`: what `volley doctor` asks an HTTP provider.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeRequest {
    /// `GET` unless set.
    #[serde(default)]
    pub method: Option<String>,
    /// The path, with a query where one is needed, on the server of the pool's `url`.
    pub path: Secret,
    /// The status codes that mean that all is well. Left out: 200 to 299.
    #[serde(default)]
    pub expect: Vec<u16>,
}
