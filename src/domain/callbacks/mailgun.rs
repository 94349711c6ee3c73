//! Webhooks of Mailgun (<https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhook-payloads>). Their signature is inside
//! the body, HMAC-SHA256 over time and token, and covers nothing else: so a token is taken once.

use hmac::{Hmac, Mac as _};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;

use super::delivery_key::DeliveryKey;
use super::{Incoming, METADATA, NotUnderstood, Received, Report, TOLERANCE_MS, Unverified};
use crate::domain::bounce::{Cause, status_in};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::Reason;
use crate::domain::reports::{Reader, ReportKind};

/// For so long Mailgun repeats a request that was not answered, in milliseconds: after 5, 10 and 15 minutes, 1, 2 and 4 hours
/// (<https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhook-retries>). Nothing says that it signs it anew. A token
/// is remembered for longer.
const REPEATED_FOR_MS: i64 = 8 * 3_600_000;

#[derive(Deserialize)]
struct Body {
    signature: Signature,
    #[serde(rename = "event-data")]
    event: Value,
}

#[derive(Deserialize)]
struct Signature {
    timestamp: Value,
    token: String,
    signature: String,
}

pub(super) fn check_secret(secret: &str) -> Result<(), &'static str> {
    let fits = secret.len() >= 16 && secret.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(()) } else { Err("the secret is Mailgun's HTTP webhook signing key, of 16 characters at least") }
}

/// The token: a callback with the same one is taken for a repetition.
pub(super) fn verify(incoming: &Incoming<'_>, secrets: &[&str]) -> Result<String, Unverified> {
    let body: Body = serde_json::from_slice(incoming.body).map_err(|_other| Unverified)?;
    let Signature { timestamp, token, signature } = body.signature;
    let timestamp = timestamp.as_str().map_or_else(|| timestamp.to_string(), ToOwned::to_owned);
    let seconds: i64 = timestamp.parse().map_err(|_no_number| Unverified)?;
    let age = incoming.now.0.saturating_sub(seconds.saturating_mul(1_000));
    if token.len() < 16 || !(-TOLERANCE_MS..=REPEATED_FOR_MS + TOLERANCE_MS).contains(&age) {
        return Err(Unverified);
    }
    let given = from_hex(&signature).ok_or(Unverified)?;
    let is_signed = secrets.iter().filter(|secret| check_secret(secret).is_ok()).any(|secret| {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
        mac.update(timestamp.as_bytes());
        mac.update(token.as_bytes());
        mac.verify_slice(&given).is_ok()
    });
    if is_signed { Ok(token) } else { Err(Unverified) }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c.to_digit(16)?).ok()).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| (byte << 4) | digit)).collect())
}

pub(super) fn read(callback: &Received<'_>) -> Result<Vec<Report>, NotUnderstood> {
    let body: Body = serde_json::from_str(callback.body).map_err(|error| NotUnderstood::json(&error))?;
    let event = &body.event;
    let name = event.get("event").and_then(Value::as_str);
    let name = name.ok_or_else(|| NotUnderstood("event-data has no event".to_owned()))?;
    Ok(report(event, name, callback.key).into_iter().collect())
}

/// `None`: it is no report.
fn report(event: &Value, name: &str, token: &str) -> Option<Report> {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    let is_machine = text("/client-info/bot").is_some_and(|bot| !bot.is_empty());
    let reader = if is_machine { Reader::Machine } else { Reader::Person };
    let (kind, cause) = match name {
        "delivered" => (ReportKind::Delivered, None),
        "opened" => (ReportKind::Opened(reader), None),
        "clicked" => (ReportKind::Clicked(reader), None),
        "unsubscribed" => (ReportKind::Unsubscribed, None),
        "complained" => (ReportKind::Complained, None),
        // Mailgun still tries after a temporary failure.
        "failed" if text("/severity") == Some("permanent") => failure(event),
        _ => return None,
    };
    // Ids are unique within a day, says Mailgun: so the time belongs to it.
    let at = event.get("timestamp").and_then(Value::as_f64);
    let key = match (text("/id"), at) {
        (Some(id), Some(at)) => format!("{id}:{at}"),
        _ => token.to_owned(),
    };
    let report = Report {
        occurred_at: at.and_then(milliseconds),
        address: text("/recipient").map(ToOwned::to_owned),
        ..Report::new(&key, delivery(event), kind)
    };
    let report = report.with("url", text("/url"));
    let Some(cause) = cause else { return Some(report) };
    let said = text("/delivery-status/message").filter(|said| !said.is_empty());
    Some(
        report
            .because(cause)
            .with("status", status(event))
            .with("reason", said.or(text("/delivery-status/description"))),
    )
}

/// The status code of RFC 3463, where there is one.
fn status(event: &Value) -> Option<&str> {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    let enhanced = text("/delivery-status/enhanced-code").and_then(status_in);
    enhanced.or_else(|| text("/delivery-status/message").and_then(status_in))
}

fn failure(event: &Value) -> (ReportKind, Option<Cause>) {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    let code = event.pointer("/delivery-status/code").and_then(Value::as_i64).unwrap_or_default();
    let (kind, cause) = match text("/reason") {
        // Not sent: the address is on Mailgun's own lists.
        Some("suppress-bounce") => (ReportKind::RejectedLater, Cause::Listed(Reason::Bounced)),
        Some("suppress-complaint") => (ReportKind::RejectedLater, Cause::Listed(Reason::Complained)),
        Some("suppress-unsubscribe") => (ReportKind::RejectedLater, Cause::Listed(Reason::Unsubscribed)),
        Some("espblock") => (ReportKind::HardBounced, Cause::Blocked),
        // It was tried until it was too old.
        Some("old") => (ReportKind::SoftBounced, Cause::Other),
        _ if (400..500).contains(&code) => {
            (ReportKind::SoftBounced, status(event).map_or(Cause::Other, Cause::of_status))
        }
        _ => (ReportKind::HardBounced, status(event).map_or(Cause::Other, Cause::of_status)),
    };
    (kind, Some(cause))
}

fn delivery(event: &Value) -> Option<DeliveryKey> {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    let by_variable = text(&format!("/user-variables/{METADATA}")).and_then(DeliveryKey::parse);
    by_variable.or_else(|| DeliveryKey::parse(text("/message/headers/message-id")?))
}

/// Seconds with a fraction.
fn milliseconds(seconds: f64) -> Option<UtcInstant> {
    let text = format!("{:.0}", seconds * 1_000.0);
    text.parse().ok().map(UtcInstant)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn signed(timestamp: i64, token: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(format!("{timestamp}{token}").as_bytes());
        let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!(
            r#"{{"signature": {{"timestamp": "{timestamp}", "token": "{token}", "signature": "{signature}"}}, "event-data": {{}}}}"#
        )
    }

    #[test]
    fn the_signature_covers_time_and_token_and_holds_for_as_long_as_mailgun_repeats() {
        let token = "b4bb9b8c9dfe1d8dfe8c5ac4fd0a8d2d6ac6d0b2b3f15d7d85";
        let verified = |body: &str, at: i64, secrets: &[&str]| {
            verify(&Incoming { headers: &[], body: body.as_bytes(), now: UtcInstant(at * 1_000) }, secrets).ok()
        };
        let body = signed(1_529_006_854, token);
        assert_eq!(verified(&body, 1_529_006_854, &[SECRET]).as_deref(), Some(token));
        let oldest = 1_529_006_854 + 8 * 3_600 + 300;
        assert!(verified(&body, oldest, &["another key of Mailgun", SECRET]).is_some());
        for (body, at, secrets) in [
            (body.clone(), oldest + 1, &[SECRET][..]),
            (body.clone(), 1_529_006_854 - 301, &[SECRET]),
            (body.clone(), 1_529_006_854, &["fedcba9876543210"]),
            (body.clone(), 1_529_006_854, &[]),
            (body.replace(token, "a4bb9b8c9dfe1d8dfe8c5ac4fd0a8d2d6ac6d0b2b3f15d7d85"), 1_529_006_854, &[SECRET]),
            (body.replace("1529006854", "1529006855"), 1_529_006_854, &[SECRET]),
            ("{}".to_owned(), 1_529_006_854, &[SECRET]),
            (String::new(), 1_529_006_854, &[SECRET]),
            (signed(1_529_006_854, "short"), 1_529_006_854, &[SECRET]),
        ] {
            assert_eq!(verified(&body, at, secrets), None, "{body}");
        }
    }

    fn only(event: &str) -> Option<Report> {
        let body =
            format!(r#"{{"signature": {{"timestamp": "1", "token": "t", "signature": "s"}}, "event-data": {event}}}"#);
        read(&Received { content_type: "application/json", body: &body, key: "token" }).unwrap().into_iter().next()
    }

    #[test]
    fn a_failure_says_whether_the_address_is_the_reason() {
        let failed = |severity: &str, reason: &str, status: &str| {
            let event = format!(
                r#"{{"event": "failed", "id": "G9Bn", "timestamp": 1521233195.375624, "severity": "{severity}", "reason": "{reason}",
                    "recipient": "ann@example.com", "delivery-status": {status}, "user-variables": {{"volley_delivery": "abc:7"}}}}"#
            );
            only(&event).map(|report| (report.kind, report.cause))
        };
        let unknown = r#"{"code": 550, "message": "5.1.1 The email account does not exist", "description": ""}"#;
        let blocked = r#"{"code": 550, "enhanced-code": "5.7.1", "message": "no", "description": ""}"#;
        let full = r#"{"code": 452, "message": "4.2.2 full"}"#;
        let listed = r#"{"code": 605, "message": "", "description": "Not delivering to previously bounced address"}"#;
        for (severity, reason, status, expected) in [
            ("permanent", "bounce", unknown, Some((ReportKind::HardBounced, Cause::Address))),
            ("permanent", "bounce", blocked, Some((ReportKind::HardBounced, Cause::Blocked))),
            ("permanent", "espblock", unknown, Some((ReportKind::HardBounced, Cause::Blocked))),
            ("permanent", "old", full, Some((ReportKind::SoftBounced, Cause::Other))),
            ("permanent", "generic", full, Some((ReportKind::SoftBounced, Cause::Other))),
            ("permanent", "suppress-bounce", listed, Some((ReportKind::RejectedLater, Cause::Listed(Reason::Bounced)))),
            (
                "permanent",
                "suppress-unsubscribe",
                listed,
                Some((ReportKind::RejectedLater, Cause::Listed(Reason::Unsubscribed))),
            ),
            ("temporary", "generic", full, None),
        ] {
            assert_eq!(failed(severity, reason, status), expected, "{severity} {reason} {status}");
        }
    }

    #[test]
    fn other_events_are_reports_or_nothing_and_robots_are_told_from_people() {
        let event = |name: &str, more: &str| {
            format!(
                r#"{{"event": "{name}", "id": "Ase7i2zsRYeDXztHGENqRA", "timestamp": 1521243339.873676, "recipient": "ann@example.com",
                    "message": {{"headers": {{"message-id": "abc-7@example.com"}}}} {more}}}"#
            )
        };
        let delivered = only(&event("delivered", "")).unwrap();
        assert_eq!((delivered.kind, delivered.delivery), (ReportKind::Delivered, DeliveryKey::parse("abc:7")));
        assert_eq!(delivered.occurred_at, Some(UtcInstant(1_521_243_339_874)));
        assert_eq!(delivered.key, "Ase7i2zsRYeDXztHGENqRA:1521243339.873676");
        let kind = |name: &str, more: &str| only(&event(name, more)).map(|report| report.kind);
        assert_eq!(kind("opened", ""), Some(ReportKind::Opened(Reader::Person)));
        assert_eq!(kind("opened", r#", "client-info": {"bot": "apple"}"#), Some(ReportKind::Opened(Reader::Machine)));
        assert_eq!(kind("clicked", r#", "url": "https://example.com""#), Some(ReportKind::Clicked(Reader::Person)));
        assert_eq!(kind("complained", ""), Some(ReportKind::Complained));
        assert_eq!(kind("unsubscribed", ""), Some(ReportKind::Unsubscribed));
        assert_eq!(kind("accepted", ""), None);
        let body = r#"{"signature": {"timestamp": "1", "token": "t", "signature": "s"}, "event-data": {}}"#;
        assert!(read(&Received { content_type: "", body, key: "" }).is_err());
    }
}
