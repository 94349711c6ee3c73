//! Requests that are signed after <https://www.standardwebhooks.com>: HMAC-SHA256 (RFC 2104) over id, time and body. Their bodies are
//! Volley's own, or those of Resend (<https://resend.com/docs/dashboard/webhooks/event-types>), whose headers have other names.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;

use super::delivery_key::DeliveryKey;
use super::{HEADER, Incoming, METADATA, NotUnderstood, Received, Report, Said, TOLERANCE_MS, Unverified, inbound};
use crate::domain::bounce::{Cause, status_in};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::Reason;
use crate::domain::reports::{Reader, ReportKind};

/// What a secret begins with.
const SECRET_PREFIX: &str = "whsec_";

/// How the headers begin: those of the standard, and those of the service that Resend uses.
const HEADER_PREFIXES: [&str; 2] = ["webhook", "svix"];

fn key_of(secret: &str) -> Option<Vec<u8>> {
    STANDARD.decode(secret.strip_prefix(SECRET_PREFIX)?).ok().filter(|key| (16..=64).contains(&key.len()))
}

pub(super) fn check_secret(secret: &str) -> Result<(), &'static str> {
    key_of(secret).map(drop).ok_or("a secret of standard-webhooks is whsec_ and 16 to 64 bytes in base64")
}

/// The signatures of a request, one for each secret that can be used: what stands in the header `webhook-signature`.
#[must_use]
pub fn sign(secrets: &[&str], id: &str, seconds: i64, body: &[u8]) -> String {
    let signature = |key: Vec<u8>| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
        mac.update(format!("{id}.{seconds}.").as_bytes());
        mac.update(body);
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    };
    let all: Vec<String> = secrets.iter().filter_map(|secret| key_of(secret)).filter_map(signature).collect();
    all.join(" ")
}

/// The id of the message, which all its repetitions have.
pub(super) fn verify(incoming: &Incoming<'_>, secrets: &[&str]) -> Result<String, Unverified> {
    let header = |part: &str| {
        HEADER_PREFIXES.iter().find_map(|prefix| incoming.header(&format!("{prefix}-{part}"))).ok_or(Unverified)
    };
    let (id, time, signatures) = (header("id")?, header("timestamp")?, header("signature")?);
    let seconds: i64 = time.parse().map_err(|_no_number| Unverified)?;
    let away = incoming.now.0.saturating_sub(seconds.saturating_mul(1_000));
    if id.is_empty() || away.saturating_abs() > TOLERANCE_MS {
        return Err(Unverified);
    }
    let keys = secrets.iter().filter_map(|secret| key_of(secret));
    let is_signed = keys.into_iter().any(|key| {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else { return false };
        for part in [id.as_bytes(), b".", time.as_bytes(), b".", incoming.body] {
            mac.update(part);
        }
        let given = signatures.split(' ').filter_map(|signature| signature.strip_prefix("v1,"));
        let mut given = given.filter_map(|signature| STANDARD.decode(signature).ok());
        given.any(|signature| mac.clone().verify_slice(&signature).is_ok())
    });
    if is_signed { Ok(id.to_owned()) } else { Err(Unverified) }
}

/// What Volley's own body says of one delivery.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    kind: Kind,
    delivery_key: String,
    occurred_at: Option<UtcInstant>,
    address: Option<String>,
    status: Option<String>,
    reason: Option<String>,
    invalid_address: Option<bool>,
    url: Option<String>,
    #[serde(default)]
    machine: bool,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Delivered,
    SoftBounced,
    HardBounced,
    Complained,
    Opened,
    Clicked,
    Replied,
    Unsubscribed,
    RejectedLater,
}

impl Own {
    fn report(self, key: &str) -> Report {
        let reader = if self.machine { Reader::Machine } else { Reader::Person };
        let kind = match self.kind {
            Kind::Delivered => ReportKind::Delivered,
            Kind::SoftBounced => ReportKind::SoftBounced,
            Kind::HardBounced => ReportKind::HardBounced,
            Kind::Complained => ReportKind::Complained,
            Kind::Opened => ReportKind::Opened(reader),
            Kind::Clicked => ReportKind::Clicked(reader),
            Kind::Replied => ReportKind::Replied,
            Kind::Unsubscribed => ReportKind::Unsubscribed,
            Kind::RejectedLater => ReportKind::RejectedLater,
        };
        let report = Report {
            occurred_at: self.occurred_at,
            address: self.address,
            ..Report::new(key, DeliveryKey::parse(&self.delivery_key), kind)
        };
        let report = report.with("status", self.status.as_deref()).with("reason", self.reason.as_deref());
        let report = report.with("url", self.url.as_deref());
        match self.kind {
            Kind::SoftBounced | Kind::HardBounced => report.because(match (self.invalid_address, &self.status) {
                (Some(true), _) => Cause::Address,
                (None, Some(status)) => Cause::of_status(status),
                (Some(false), _) | (None, None) => Cause::Other,
            }),
            Kind::Delivered
            | Kind::Complained
            | Kind::Opened
            | Kind::Clicked
            | Kind::Replied
            | Kind::Unsubscribed
            | Kind::RejectedLater => report,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Several {
    reports: Vec<Own>,
}

/// An event of Resend.
#[derive(Deserialize)]
struct Resend {
    #[serde(rename = "type")]
    kind: String,
    created_at: Option<String>,
    #[serde(default)]
    data: Value,
}

pub(super) fn read(callback: &Received<'_>) -> Result<Said, NotUnderstood> {
    let json = |error: serde_json::Error| NotUnderstood::json(&error);
    let body: Value = serde_json::from_str(callback.body).map_err(json)?;
    if body.get("reports").is_some() {
        let several: Several = serde_json::from_str(callback.body).map_err(json)?;
        let numbered = several.reports.into_iter().enumerate();
        let reports = numbered.map(|(number, own)| own.report(&format!("{}#{number}", callback.key)));
        return Ok(Said::Reports(reports.collect()));
    }
    if body.get("delivery_key").is_some() {
        let own: Own = serde_json::from_str(callback.body).map_err(json)?;
        return Ok(Said::Reports(vec![own.report(callback.key)]));
    }
    if body.get("type").is_some_and(|kind| kind == inbound::TYPE) {
        return inbound::read(callback).map(Said::Message);
    }
    if body.get("type").is_some_and(Value::is_string) {
        let event: Resend = serde_json::from_value(body).map_err(json)?;
        return Ok(Said::Reports(event.report(callback.key).into_iter().collect()));
    }
    Err(NotUnderstood("the body has none of delivery_key, reports and type".to_owned()))
}

impl Resend {
    /// `None`: it is no report.
    fn report(self, key: &str) -> Option<Report> {
        let data = &self.data;
        let text = |pointer: &str| data.pointer(pointer).and_then(Value::as_str);
        let bounce = text("/bounce/message").or_else(|| text("/bounce/diagnosticCode/0"));
        let kind = match self.kind.as_str() {
            "email.delivered" => ReportKind::Delivered,
            "email.bounced" if text("/bounce/type") == Some("Permanent") => ReportKind::HardBounced,
            "email.bounced" => ReportKind::SoftBounced,
            "email.complained" => ReportKind::Complained,
            "email.opened" => ReportKind::Opened(Reader::Person),
            "email.clicked" => ReportKind::Clicked(Reader::Person),
            "email.failed" | "email.suppressed" => ReportKind::RejectedLater,
            // Sent, scheduled, delayed, received; and what is about contacts and domains.
            _ => return None,
        };
        let said_at = text("/click/timestamp").or_else(|| text("/open/timestamp")).or(self.created_at.as_deref());
        let report = Report {
            occurred_at: said_at.and_then(|at| UtcInstant::parse(at).ok()),
            address: only_recipient(data),
            ..Report::new(key, delivery(data), kind)
        };
        let report = match kind {
            ReportKind::HardBounced | ReportKind::SoftBounced => {
                let diagnostic = text("/bounce/diagnosticCode/0").and_then(status_in).or(bounce.and_then(status_in));
                report
                    .because(match text("/bounce/subType") {
                        Some("Suppressed" | "OnAccountSuppressionList") => Cause::Listed(Reason::Bounced),
                        Some("ContentRejected" | "AttachmentRejected") => Cause::Blocked,
                        _ => diagnostic.map_or(Cause::Other, Cause::of_status),
                    })
                    .with("status", diagnostic)
            }
            ReportKind::RejectedLater if self.kind == "email.suppressed" => {
                report.because(Cause::Listed(Reason::Bounced))
            }
            ReportKind::RejectedLater
            | ReportKind::Delivered
            | ReportKind::Complained
            | ReportKind::Opened(_)
            | ReportKind::Clicked(_)
            | ReportKind::Replied
            | ReportKind::Unsubscribed => report,
        };
        let reason = bounce.or_else(|| text("/failed/reason")).or_else(|| text("/suppressed/message"));
        Some(report.with("reason", reason).with("url", text("/click/link")))
    }
}

/// The recipient, where there is one only: a report about several does not say which one it means.
fn only_recipient(data: &Value) -> Option<String> {
    let to = data.get("to")?;
    let only = to.as_array().filter(|all| all.len() == 1).and_then(|all| all.first());
    only.unwrap_or(to).as_str().map(ToOwned::to_owned)
}

/// By a tag, by a header of the message, or by its `Message-ID`.
fn delivery(data: &Value) -> Option<DeliveryKey> {
    let named = |all: &Value, name: &str| -> Option<String> {
        if let Some(fields) = all.as_object() {
            return Some(fields.get(name)?.as_str()?.to_owned());
        }
        let is_named = |pair: &&Value| {
            pair.get("name").and_then(Value::as_str).is_some_and(|other| other.eq_ignore_ascii_case(name))
        };
        Some(all.as_array()?.iter().find(is_named)?.get("value")?.as_str()?.to_owned())
    };
    let by_tag = data.get("tags").and_then(|tags| named(tags, METADATA));
    let by_header = || data.get("headers").and_then(|headers| named(headers, HEADER));
    let by_id = || data.get("message_id").and_then(Value::as_str).map(ToOwned::to_owned);
    DeliveryKey::parse(&by_tag.or_else(by_header).or_else(by_id)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn signed<'a>(headers: &'a [(String, String)], body: &'a [u8], at: i64) -> Incoming<'a> {
        Incoming { headers, body, now: UtcInstant(at * 1_000) }
    }

    fn headers(prefix: &str, signature: &str) -> Vec<(String, String)> {
        [("id", "msg_p5jXN8AQM9LWM0D4loKWxJek"), ("timestamp", "1614265330"), ("signature", signature)]
            .map(|(name, value)| (format!("{prefix}-{name}"), value.to_owned()))
            .into()
    }

    /// The vector that the libraries of the standard are tested with.
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const BODY: &[u8] = b"{\"test\": 2432232314}";

    #[test]
    fn the_published_vector_is_verified_and_nothing_like_it() {
        let verified = |prefix: &str, signature: &str, body: &[u8], at: i64, secrets: &[&str]| {
            verify(&signed(&headers(prefix, signature), body, at), secrets).is_ok()
        };
        for prefix in ["webhook", "svix"] {
            assert!(verified(prefix, SIGNATURE, BODY, 1_614_265_330, &[SECRET]));
        }
        let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let several = format!("v1,AAAA v2,xyz {SIGNATURE}");
        assert!(verified("webhook", &several, BODY, 1_614_265_330, &[other, SECRET]), "one of several is enough");
        assert!(!verified("webhook", SIGNATURE, BODY, 1_614_265_330, &[other]));
        assert!(!verified("webhook", SIGNATURE, BODY, 1_614_265_330, &[]));
        assert!(!verified("webhook", SIGNATURE, b"{\"test\": 2432232315}", 1_614_265_330, &[SECRET]));
        assert!(!verified("webhook", &SIGNATURE.replace("v1,", "v2,"), BODY, 1_614_265_330, &[SECRET]));
        assert!(!verified("webhook", "", BODY, 1_614_265_330, &[SECRET]));
        assert!(!verified("other", SIGNATURE, BODY, 1_614_265_330, &[SECRET]));
        for (away, holds) in [(300, true), (-300, true), (301, false), (-301, false)] {
            assert_eq!(verified("webhook", SIGNATURE, BODY, 1_614_265_330 + away, &[SECRET]), holds, "{away}");
        }
    }

    #[test]
    fn what_is_signed_is_that_of_the_published_vector() {
        assert_eq!(sign(&[SECRET], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, BODY), SIGNATURE);
        let two = sign(&[SECRET, "nonsense", SECRET], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, BODY);
        assert_eq!(two, format!("{SIGNATURE} {SIGNATURE}"));
    }

    #[test]
    fn a_secret_is_told_from_other_text() {
        assert!(check_secret(SECRET).is_ok());
        for secret in ["", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_%%%"] {
            assert!(check_secret(secret).is_err(), "{secret}");
        }
    }

    fn reports(body: &str) -> Result<Vec<Report>, NotUnderstood> {
        match read(&Received { content_type: "application/json", body, key: "msg_1" })? {
            Said::Reports(reports) => Ok(reports),
            Said::Message(_) => panic!("{body} is no report"),
        }
    }

    fn only(body: &str) -> Report {
        let mut reports = reports(body).unwrap();
        assert_eq!(reports.len(), 1, "{body}");
        reports.remove(0)
    }

    #[test]
    fn a_program_of_ones_own_names_the_delivery_and_the_kind() {
        let report = only(
            r#"{"kind": "hard_bounced", "delivery_key": "abc:7", "occurred_at": "2026-03-01T09:00:00Z",
                "address": "ann@example.com", "status": "5.1.1", "reason": "no such user"}"#,
        );
        assert_eq!(
            (report.kind, report.cause, report.key.as_str()),
            (ReportKind::HardBounced, Cause::Address, "msg_1")
        );
        assert_eq!(report.delivery, DeliveryKey::parse("abc:7"));
        assert_eq!(report.occurred_at, Some(UtcInstant(1_772_355_600_000)));
        let opened = only(r#"{"kind": "opened", "delivery_key": "abc:7", "machine": true}"#);
        assert_eq!(opened.kind, ReportKind::Opened(Reader::Machine));
        let two = reports(
            r#"{"reports": [{"kind": "delivered", "delivery_key": "abc:7"}, {"kind": "replied", "delivery_key": "abc:8"}]}"#,
        );
        let keys: Vec<String> = two.unwrap().into_iter().map(|report| report.key).collect();
        assert_eq!(keys, ["msg_1#0", "msg_1#1"]);
    }

    #[test]
    fn what_resend_sends_is_understood() {
        let event = |kind: &str, more: &str| {
            format!(
                r#"{{"type": "{kind}", "created_at": "2026-03-01T09:00:00.000Z", "data": {{"email_id": "e", "to": ["ann@example.com"],
                    "tags": {{"volley_delivery": "abc-7"}} {more}}}}}"#
            )
        };
        let bounced = only(&event(
            "email.bounced",
            r#", "bounce": {"type": "Permanent", "subType": "General",
            "message": "bounced", "diagnosticCode": ["smtp; 550 5.1.1 no such user"]}"#,
        ));
        assert_eq!((bounced.kind, bounced.cause), (ReportKind::HardBounced, Cause::Address));
        assert_eq!(
            (bounced.delivery, bounced.address.as_deref()),
            (DeliveryKey::parse("abc:7"), Some("ann@example.com"))
        );
        let soft = only(&event("email.bounced", r#", "bounce": {"type": "Transient", "subType": "MailboxFull"}"#));
        assert_eq!((soft.kind, soft.cause), (ReportKind::SoftBounced, Cause::Other));
        let listed = only(&event("email.bounced", r#", "bounce": {"type": "Permanent", "subType": "Suppressed"}"#));
        assert_eq!(listed.cause, Cause::Listed(Reason::Bounced));
        let clicked = only(&event("email.clicked", r#", "click": {"link": "https://example.com/a"}"#));
        assert_eq!(
            (clicked.kind, &clicked.details["url"]),
            (ReportKind::Clicked(Reader::Person), &"https://example.com/a".into())
        );
        assert_eq!(only(&event("email.complained", "")).kind, ReportKind::Complained);
        for other in ["email.sent", "email.delivery_delayed", "contact.created"] {
            assert!(reports(&event(other, "")).unwrap().is_empty(), "{other}");
        }
        let by_header = only(
            r#"{"type": "email.delivered", "data": {"headers": [{"name": "x-volley-delivery", "value": "abc:9"}]}}"#,
        );
        assert_eq!(by_header.delivery, DeliveryKey::parse("abc:9"));
    }

    #[test]
    fn what_is_not_understood_says_so_without_repeating_it() {
        for body in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"kind": "secret", "delivery_key": "abc:7"}"#,
            r#"{"kind": "opened", "delivery_key": 7}"#,
            r#"{"kind": "opened", "delivery_key": "abc:7", "secret": 1}"#,
            r#"{"reports": {"secret": 1}}"#,
        ] {
            let NotUnderstood(said) = reports(body).err().unwrap_or_else(|| panic!("{body} was understood"));
            assert!(!said.contains("secret"), "{said}");
        }
    }
}
