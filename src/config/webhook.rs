//! What only pools of an HTTP API can be told.

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::secret::Secret;
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

pub(super) fn oldest() -> HttpVersion {
    HttpVersion::One
}

/// A version as text, or as the number that it looks like.
pub(super) fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HttpVersion, D::Error> {
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

pub(super) fn yes() -> bool {
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
