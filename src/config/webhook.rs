//! What only pools of an HTTP API can be told.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::secret::Secret;
use crate::domain::dispatch::answer::AnswerClass;

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
