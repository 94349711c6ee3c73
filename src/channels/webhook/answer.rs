//! What an HTTP answer means.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use super::failures::Failures;
use super::reply::{Content, Head};
use crate::channels::redact::redact;
use crate::channels::{Unusable, percent};
use crate::config::pools::WebhookConfig;
use crate::domain::dispatch::answer::{Refusal, signature};
use crate::domain::dispatch::answers::{Book, Meaning, Way};
use crate::domain::dispatch::delivery::ErrorCategory;
use crate::domain::dispatch::outcome::Outcome;
use crate::domain::dispatch::trouble::Trouble;

/// How much of an answer is read.
pub(super) const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// How much of a refusal's body goes into the detail, in characters.
const EXCERPT: usize = 200;

/// The longest `Location` that is told, in characters.
const MAX_LOCATION: usize = 200;

/// Longest provider id that is kept, in characters.
const MAX_PROVIDER_ID: usize = 200;

/// Reads answers.
pub(super) struct Reader {
    idempotent: bool,
    provider_id_pointer: Option<String>,
    failures: Failures,
    /// What its refusals mean.
    book: Book,
}

impl Reader {
    pub(super) fn new(config: &WebhookConfig) -> Result<Self, Unusable> {
        let provider_id_pointer = config.provider_id_pointer.clone().filter(|pointer| !pointer.is_empty());
        if provider_id_pointer.as_ref().is_some_and(|pointer| !pointer.starts_with('/')) {
            return Err(Unusable::new("provider_id_pointer must begin with / (RFC 6901)"));
        }
        let book = config.server.book(Way::Http).map_err(Unusable)?;
        Ok(Self { idempotent: config.idempotent, provider_id_pointer, failures: Failures::new(config)?, book })
    }

    /// What an answer means.
    pub(super) fn read(&self, head: &Head, content: Content, to: &str) -> Outcome {
        let status = head.status;
        let asked_wait = head.retry_after.as_deref().and_then(|text| retry_after(text, head.date.as_deref()));
        if (200..300).contains(&status) {
            return self.accepted(head, content, asked_wait, to);
        }
        let trouble = trouble(head, &content, to);
        let body = match &content {
            Content::Whole(bytes) | Content::Capped(bytes) => String::from_utf8_lossy(bytes),
            Content::Broken => Cow::Borrowed(""),
        };
        let refused = |meaning: Meaning, trouble: Trouble| {
            let wait = asked_wait.filter(|_| !meaning.permanent).or(meaning.wait);
            let words = trouble.detail.strip_prefix(&format!("HTTP {status}")).unwrap_or_default().to_owned();
            Outcome::Refused(Meaning { wait, ..meaning }.refusal(&words, trouble))
        };
        if let Some(meaning) = self.book.own(status, &body) {
            return refused(meaning, trouble);
        }
        match status {
            // The server may not have waited for more of the request, as RFC 9110 15.5.9 has it, but for its own work on it.
            408 if head.sent_whole => Outcome::Unknown(trouble),
            // Not taken a second time; whether an earlier request under this key was taken (perhaps one that a 408 or a cut
            // had ended), only the answer to a later one can say.
            409 if self.idempotent => Outcome::KeySeen { trouble, retry_after: asked_wait },
            // "See Other" mostly says that it is done and where the result is (RFC 9110 15.4.4), and "Not Modified" may.
            303 | 304 => Outcome::Unknown(trouble),
            503 | 300..=499 => refused(self.book.http(status, &body), trouble),
            _ => Outcome::Unknown(trouble),
        }
    }

    /// What a 2xx means: an acceptance, unless it broke off or the pool's rules say otherwise. An answer that cannot be
    /// read is an acceptance without an id.
    fn accepted(&self, head: &Head, content: Content, wait: Option<Duration>, to: &str) -> Outcome {
        let status = head.status;
        let unclear =
            |what: &str| Outcome::Unknown(Trouble::new(ErrorCategory::Network, format!("{status} with {what}")));
        if content == Content::Broken {
            return unclear("an answer that broke off");
        }
        if self.provider_id_pointer.is_none() && self.failures.is_empty() {
            return Outcome::Accepted { provider_id: None };
        }
        let Some(answer) = document(&content).filter(|_| !head.packed) else {
            let says_nothing = matches!(&content, Content::Whole(bytes) if bytes.is_empty());
            if self.failures.is_empty() || says_nothing {
                return Outcome::Accepted { provider_id: None };
            }
            return unclear("an answer that is not JSON, and this pool's failures can only be told from JSON");
        };
        if let Some((rule, found)) = self.failures.find(&answer) {
            let words = format!("{found} in {}", excerpt(&content, to));
            let trouble = Trouble::new(ErrorCategory::Refused, format!("HTTP {status} {words}"));
            let wait = wait.filter(|_| !rule.permanent);
            let signature = signature(status, None, &words);
            return Outcome::Refused(Refusal {
                class: rule.class.when(rule.permanent),
                permanent: rule.permanent,
                wait,
                signature,
                trouble,
            });
        }
        let id = self.provider_id_pointer.as_deref().and_then(|pointer| answer.pointer(pointer));
        Outcome::Accepted { provider_id: id.and_then(provider_id) }
    }
}

/// The JSON of a whole answer. Some servers put a byte order mark before it, which JSON does not have (RFC 8259 8.1).
fn document(content: &Content) -> Option<serde_json::Value> {
    let Content::Whole(bytes) = content else { return None };
    serde_json::from_slice(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)).ok()
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

fn trouble(head: &Head, content: &Content, to: &str) -> Trouble {
    let status = head.status;
    let category = match status {
        400..=499 => ErrorCategory::Refused,
        500..=599 => ErrorCategory::ProviderError,
        _ => ErrorCategory::Unexpected,
    };
    let elsewhere = head.location.as_deref().map(|location| format!(" to {}", place(location, to))).unwrap_or_default();
    Trouble::new(category, format!("HTTP {status}{elsewhere} {}", excerpt(content, to)).trim_end())
}

/// The beginning of an answer's body, free of personal data.
pub(super) fn excerpt(content: &Content, to: &str) -> String {
    match content {
        // Redacted before it is cut, so that no half of an address is left.
        Content::Whole(bytes) | Content::Capped(bytes) => {
            let start: String = String::from_utf8_lossy(bytes).chars().take(EXCERPT * 4).collect();
            redact(&start, to).chars().take(EXCERPT).collect()
        }
        Content::Broken => String::new(),
    }
}

/// Where a redirect leads, without user, password and query, and free of personal data.
fn place(location: &str, to: &str) -> String {
    let bare = location.split(['?', '#']).next().unwrap_or_default();
    let (scheme, host, path) = match bare.split_once("//") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').map_or((rest, String::new()), |(a, p)| (a, format!("/{p}")));
            (format!("{scheme}//"), authority.rsplit('@').next().unwrap_or_default(), path)
        }
        None => (String::new(), "", bare.to_owned()),
    };
    let clean = |part: &str| redact(&percent::decode(part).unwrap_or_else(|| part.to_owned()), to);
    let path: Vec<String> = path.split('/').map(clean).collect();
    format!("{scheme}{host}{}", path.join("/")).chars().take(MAX_LOCATION).collect()
}

/// `Retry-After` in seconds or as a date (RFC 9110 10.2.3). A date counts from the answer's own `Date`, so that clocks
/// that disagree do no harm.
#[allow(clippy::disallowed_methods, reason = "an answer without a date is compared with the clock on the wall")]
pub(super) fn retry_after(text: &str, answered: Option<&str>) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let then = date(text)?;
    let now = answered.and_then(date).unwrap_or_else(SystemTime::now);
    Some(then.duration_since(now).unwrap_or_default())
}

/// A date in any of the three forms of RFC 9110 5.6.7.
fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
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
        for form in ["Sunday, 06-Nov-94 12:00:30 GMT", "Sun Nov  6 12:00:30 1994"] {
            assert_eq!(retry_after(form, noon), Some(Duration::from_secs(30)), "{form}");
            assert_eq!(
                retry_after("Sun, 06 Nov 1994 12:01:00 GMT", Some(form)),
                Some(Duration::from_secs(30)),
                "{form}"
            );
        }
        for nonsense in ["soon", "-1", "1.5", ""] {
            assert_eq!(retry_after(nonsense, noon), None, "{nonsense}");
        }
    }

    #[test]
    fn a_redirects_place_is_told_without_secrets_and_people() {
        for (location, told) in [
            ("https://new.example.com:8443/v2/send", "https://new.example.com:8443/v2/send"),
            ("https://user:pw@new.example.com/v2?token=s3cret#x", "https://new.example.com/v2"),
            ("//cdn.example.com/x", "//cdn.example.com/x"),
            ("/login?next=%2Fsend", "/login"),
            ("/to/bob%40example.com/now", "/to/[redacted]/now"),
            ("/to/%2B4930123456/now", "/to/[redacted]/now"),
            ("/a\r\nb", "/a  b"),
            ("", ""),
        ] {
            assert_eq!(place(location, "bob@example.com"), told);
        }
        assert_eq!(place(&"/x".repeat(500), "bob").chars().count(), MAX_LOCATION);
    }
}
