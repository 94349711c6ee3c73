//! What an HTTP answer means.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::wire::{Content, Head, Wire};
use crate::channels::BuildError;
use crate::channels::redact::redact;
use crate::config::pools::PoolConfig;
use crate::domain::delivery::ErrorCategory;
use crate::domain::dispatch::answer::{AnswerClass, Refusal, signature};
use crate::domain::outcome::{Outcome, Trouble};

/// How much of an answer is read.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// How much of a refusal's body goes into the detail, in characters.
const EXCERPT: usize = 200;

/// Longest provider id that is kept, in characters.
const MAX_PROVIDER_ID: usize = 200;

/// Reads answers.
pub(super) struct Reader {
    idempotent: bool,
    provider_id_pointer: Option<String>,
}

impl Reader {
    pub(super) fn new(pool: &PoolConfig) -> Result<Self, BuildError> {
        let provider_id_pointer = pool.provider_id_pointer.clone().filter(|pointer| !pointer.is_empty());
        if provider_id_pointer.as_ref().is_some_and(|pointer| !pointer.starts_with('/')) {
            return Err(BuildError::new(pool, "provider_id_pointer must begin with / (RFC 6901)"));
        }
        Ok(Self { idempotent: pool.idempotent, provider_id_pointer })
    }

    /// Reads the body as far as it matters, and says what the whole means.
    pub(super) async fn read(&self, wire: &mut Wire, head: &Head, deadline: Instant, to: &str) -> Outcome {
        let content = timeout_at(deadline, wire.body(head, MAX_ANSWER_BYTES)).await.unwrap_or(Content::Broken);
        let status = head.status;
        if (200..300).contains(&status) {
            return self.accepted(status, content);
        }
        let trouble = trouble(status, &content, to);
        let retry_after = head.retry_after.as_deref().and_then(|text| retry_after(text, head.date.as_deref()));
        let refused = |class, permanent, trouble: Trouble| {
            let words = trouble.detail.strip_prefix(&format!("HTTP {status}")).unwrap_or_default();
            let signature = signature(status, None, words);
            Outcome::Refused(Refusal { class, permanent, wait: retry_after, signature, trouble })
        };
        match status {
            401 | 403 | 407 => refused(AnswerClass::RelayAuth, true, trouble),
            408 | 425 | 429 => refused(AnswerClass::Unsure, false, trouble),
            // Not taken a second time; whether an earlier request under this key was taken (perhaps one that a 408 or a cut
            // had ended), only the answer to a later one can say.
            409 if self.idempotent => Outcome::KeySeen { trouble, retry_after },
            503 if retry_after.is_some() => refused(AnswerClass::RelayOutage, false, trouble),
            300..=499 => refused(AnswerClass::Content, true, trouble),
            _ => Outcome::Unknown(trouble),
        }
    }

    fn accepted(&self, status: u16, content: Content) -> Outcome {
        let unreadable =
            |what: &str| Outcome::Unknown(Trouble::new(ErrorCategory::Network, format!("{status} with {what}")));
        match (content, &self.provider_id_pointer) {
            (Content::Broken, _) => unreadable("an answer that broke off"),
            (Content::Whole(_) | Content::Capped(_), None) => Outcome::Accepted { provider_id: None },
            (Content::Whole(bytes), Some(pointer)) => match serde_json::from_slice::<serde_json::Value>(&bytes) {
                Ok(answer) => Outcome::Accepted { provider_id: answer.pointer(pointer).and_then(provider_id) },
                // Something else answered in the provider's place, or the provider does not mean yes.
                Err(_not_json) => unreadable("an answer that is not JSON"),
            },
            (Content::Capped(_), Some(_)) => unreadable("an answer of more than 64 KiB"),
        }
    }
}

fn provider_id(value: &serde_json::Value) -> Option<String> {
    let id = match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) => number.to_string(),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_) => return None,
    };
    Some(id.chars().filter(|c| !c.is_control()).take(MAX_PROVIDER_ID).collect())
}

fn trouble(status: u16, content: &Content, to: &str) -> Trouble {
    let category = match status {
        400..=499 => ErrorCategory::Refused,
        500..=599 => ErrorCategory::ProviderError,
        _ => ErrorCategory::Unexpected,
    };
    let excerpt: String = match content {
        // Redacted before it is cut, so that no half of an address is left.
        Content::Whole(bytes) | Content::Capped(bytes) => {
            let start: String = String::from_utf8_lossy(bytes).chars().take(EXCERPT * 4).collect();
            redact(&start, to).chars().take(EXCERPT).collect()
        }
        Content::Broken => String::new(),
    };
    Trouble::new(category, format!("HTTP {status} {excerpt}").trim_end())
}

/// `Retry-After` in seconds or as a date (RFC 9110 10.2.3). A date counts from the answer's own `Date`, so that clocks
/// that disagree do no harm.
fn retry_after(text: &str, answered: Option<&str>) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let then = date(text)?;
    let now = answered.and_then(date).unwrap_or_else(jiff::Timestamp::now);
    Some(Duration::try_from(then.duration_since(now)).unwrap_or(Duration::ZERO))
}

fn date(text: &str) -> Option<jiff::Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let noon = Some("Sun, 06 Nov 1994 12:00:00 GMT");
        assert_eq!(retry_after("7", None), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 12:00:30 GMT", noon), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 11:00:00 GMT", noon), Some(Duration::ZERO));
        assert_eq!(retry_after("Sun, 06 Nov 1994 11:00:00 GMT", None), Some(Duration::ZERO));
        for nonsense in ["soon", "-1", "1.5", ""] {
            assert_eq!(retry_after(nonsense, noon), None, "{nonsense}");
        }
    }
}
