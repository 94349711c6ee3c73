//! The signed event webhook of SendGrid (<https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event>): ECDSA on P-256 with
//! SHA-256, over the time and the body as it came.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value;

use super::delivery_key::DeliveryKey;
use super::{Incoming, MOST_REPORTS, NotUnderstood, Received, Report, TOLERANCE_MS, Unverified, hash};
use crate::domain::bounce::{Cause, status_in};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::Reason;
use crate::domain::reports::{Reader, ReportKind};

const SIGNATURE: &str = "x-twilio-email-event-webhook-signature";
const TIMESTAMP: &str = "x-twilio-email-event-webhook-timestamp";

/// For so long SendGrid repeats a request that was not answered, in milliseconds. Nothing says that it signs it anew.
const REPEATED_FOR_MS: i64 = 24 * 3_600_000;

/// What a public key on P-256 begins with in DER (RFC 5480): two object identifiers, and the head of the point that follows.
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The bytes of a point that is not compressed: its mark, and two coordinates.
const POINT_BYTES: usize = 65;

fn point(key: &str) -> Option<Vec<u8>> {
    let der = STANDARD.decode(key).ok()?;
    let point = der.strip_prefix(&P256_PREFIX)?;
    (point.len() == POINT_BYTES && point.first() == Some(&4)).then(|| point.to_vec())
}

pub(super) fn check_secret(secret: &str) -> Result<(), &'static str> {
    point(secret).map(drop).ok_or("the secret is SendGrid's verification key: a public key on P-256 in base64")
}

/// Repetitions share the hash of time and body.
pub(super) fn verify(incoming: &Incoming<'_>, secrets: &[&str]) -> Result<String, Unverified> {
    let (signature, time) =
        (incoming.header(SIGNATURE).ok_or(Unverified)?, incoming.header(TIMESTAMP).ok_or(Unverified)?);
    let seconds: i64 = time.parse().map_err(|_no_number| Unverified)?;
    let age = incoming.now.0.saturating_sub(seconds.saturating_mul(1_000));
    if !(-TOLERANCE_MS..=REPEATED_FOR_MS + TOLERANCE_MS).contains(&age) {
        return Err(Unverified);
    }
    let signature = STANDARD.decode(signature).map_err(|_no_base64| Unverified)?;
    let signed = [time.as_bytes(), incoming.body].concat();
    let is_signed = secrets
        .iter()
        .filter_map(|secret| point(secret))
        .any(|point| UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(&signed, &signature).is_ok());
    if is_signed { Ok(hash(&signed)) } else { Err(Unverified) }
}

/// An event, as far as it is needed. Arguments of the message stand beside its own fields.
#[derive(Deserialize)]
struct Event {
    event: String,
    email: Option<String>,
    timestamp: Option<i64>,
    sg_event_id: Option<String>,
    #[serde(rename = "smtp-id")]
    smtp_id: Option<String>,
    volley_delivery: Option<String>,
    reason: Option<String>,
    response: Option<String>,
    status: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    bounce_classification: Option<String>,
    sg_machine_open: Option<bool>,
    url: Option<String>,
}

pub(super) fn read(callback: &Received<'_>) -> Result<Vec<Report>, NotUnderstood> {
    let events: Vec<Value> = serde_json::from_str(callback.body).map_err(|error| NotUnderstood::json(&error))?;
    if events.len() > MOST_REPORTS {
        return Err(NotUnderstood(format!("it has {} events; at most {MOST_REPORTS} are taken", events.len())));
    }
    // Arguments of a customer's own may stand where a field of SendGrid is expected: such an event keeps no other one out.
    let (mut reports, mut error) = (Vec::new(), None);
    for (number, event) in events.into_iter().enumerate() {
        match serde_json::from_value::<Event>(event) {
            Ok(event) => reports.extend(event.report(&format!("{}#{number}", callback.key))),
            Err(why) => error = Some(why),
        }
    }
    match error {
        Some(why) if reports.is_empty() => Err(NotUnderstood::json(&why)),
        Some(_) | None => Ok(reports),
    }
}

impl Event {
    /// `None`: it is no report.
    fn report(self, key: &str) -> Option<Report> {
        let reader = if self.sg_machine_open == Some(true) { Reader::Machine } else { Reader::Person };
        let (kind, cause) = match self.event.as_str() {
            "delivered" => (ReportKind::Delivered, None),
            "open" => (ReportKind::Opened(reader), None),
            "click" => (ReportKind::Clicked(Reader::Person), None),
            "spamreport" => (ReportKind::Complained, None),
            "unsubscribe" | "group_unsubscribe" => (ReportKind::Unsubscribed, None),
            "bounce" => self.bounce(),
            "dropped" => (ReportKind::RejectedLater, Some(self.dropped())),
            // Processed, and deferred: SendGrid still tries.
            _ => return None,
        };
        let delivery = self.volley_delivery.as_deref().and_then(DeliveryKey::parse);
        let delivery = delivery.or_else(|| DeliveryKey::parse(self.smtp_id.as_deref()?));
        let key = self.sg_event_id.as_deref().filter(|id| !id.is_empty()).unwrap_or(key);
        let report = Report {
            occurred_at: self.timestamp.map(|seconds| UtcInstant(seconds.saturating_mul(1_000))),
            address: self.email.clone(),
            ..Report::new(key, delivery, kind)
        };
        let report = report.with("url", self.url.as_deref());
        let Some(cause) = cause else { return Some(report) };
        let reason = self.reason.as_deref().or(self.response.as_deref());
        Some(report.because(cause).with("status", self.code()).with("reason", reason))
    }

    /// The status code of RFC 3463, where there is one.
    fn code(&self) -> Option<&str> {
        let own = self.status.as_deref().and_then(status_in);
        own.or_else(|| self.reason.as_deref().and_then(status_in))
    }

    fn bounce(&self) -> (ReportKind, Option<Cause>) {
        let is_for_now = self.code().is_some_and(|code| code.starts_with('4'));
        let kind = if is_for_now { ReportKind::SoftBounced } else { ReportKind::HardBounced };
        let cause = match (self.kind.as_deref(), self.bounce_classification.as_deref()) {
            (Some("blocked"), _) => Cause::Blocked,
            (_, Some("Invalid Address")) => Cause::Address,
            (_, Some("Content" | "Reputation" | "Frequency or Volume Too High")) => Cause::Blocked,
            _ => self.code().map_or(Cause::Other, Cause::of_status),
        };
        (kind, Some(cause))
    }

    /// Why SendGrid did not send.
    fn dropped(&self) -> Cause {
        match self.reason.as_deref() {
            Some("Bounced Address") => Cause::Listed(Reason::Bounced),
            Some("Spam Reporting Address") => Cause::Listed(Reason::Complained),
            Some("Unsubscribed Address") => Cause::Listed(Reason::Unsubscribed),
            Some("Invalid") => Cause::Address,
            _ => Cause::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector that SendGrid's own libraries are tested with.
    const KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==";
    const VECTOR: &str =
        "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=";
    const SECONDS: i64 = 1_600_112_502;
    const BODY: &str = "[{\"email\":\"hello@world.com\",\"event\":\"dropped\",\"reason\":\"Bounced Address\",\
                        \"sg_event_id\":\"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA\",\
                        \"sg_message_id\":\"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0\",\
                        \"smtp-id\":\"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>\",\"timestamp\":1600112492}]\r\n";

    fn verified(signature: &str, time: &str, body: &str, now: i64, secrets: &[&str]) -> bool {
        let headers = [(SIGNATURE.to_owned(), signature.to_owned()), (TIMESTAMP.to_owned(), time.to_owned())];
        verify(&Incoming { headers: &headers, body: body.as_bytes(), now: UtcInstant(now * 1_000) }, secrets).is_ok()
    }

    #[test]
    fn the_published_vector_is_verified_and_nothing_like_it() {
        let time = SECONDS.to_string();
        assert!(verified(VECTOR, &time, BODY, SECONDS, &[KEY]));
        let other = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEDr2LjtURuePQzplybdC+u4CwrqDqBaWjcMMsTbhdbcwHBcepxo7yAQGhHPTnlvFYPAZFceEu/1FwCM/QmGUhA==";
        assert!(verified(VECTOR, &time, BODY, SECONDS, &[other, KEY]));
        assert!(!verified(VECTOR, &time, BODY, SECONDS, &[other]));
        assert!(!verified(VECTOR, &time, BODY, SECONDS, &[]));
        assert!(!verified(VECTOR, &time, BODY.trim_end(), SECONDS, &[KEY]), "the body counts as it came");
        assert!(!verified(VECTOR, "1600112503", BODY, SECONDS, &[KEY]));
        assert!(!verified("", &time, BODY, SECONDS, &[KEY]));
        for (now, holds) in [(23 * 3_600, true), (25 * 3_600, false), (-299, true), (-301, false)] {
            assert_eq!(verified(VECTOR, &time, BODY, SECONDS + now, &[KEY]), holds, "{now}");
        }
    }

    #[test]
    fn a_key_is_told_from_other_text() {
        assert!(check_secret(KEY).is_ok());
        for secret in ["", "abc", &KEY[..KEY.len() - 8], "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"] {
            assert!(check_secret(secret).is_err(), "{secret}");
        }
    }

    fn reports(body: &str) -> Result<Vec<Report>, NotUnderstood> {
        read(&Received { content_type: "application/json", body, key: "hash" })
    }

    #[test]
    fn a_message_that_was_not_sent_because_of_sendgrids_own_list_is_known_by_its_reason() {
        let dropped = reports(BODY).unwrap().remove(0);
        assert_eq!((dropped.kind, dropped.cause), (ReportKind::RejectedLater, Cause::Listed(Reason::Bounced)));
        assert_eq!((dropped.address.as_deref(), dropped.delivery), (Some("hello@world.com"), None));
        for (reason, cause) in [
            ("Unsubscribed Address", Cause::Listed(Reason::Unsubscribed)),
            ("Spam Reporting Address", Cause::Listed(Reason::Complained)),
            ("Invalid", Cause::Address),
            ("Spam Content", Cause::Other),
        ] {
            assert_eq!(reports(&BODY.replace("Bounced Address", reason)).unwrap().remove(0).cause, cause, "{reason}");
        }
    }

    #[test]
    fn a_bounce_says_whether_the_address_is_the_reason() {
        let bounce = |more: &str| {
            let body = format!(
                r#"[{{"event": "bounce", "email": "ann@example.com", "volley_delivery": "abc:7", "sg_event_id": "e" {more}}}]"#
            );
            let report = reports(&body).unwrap().remove(0);
            assert_eq!((report.delivery, report.key.as_str()), (DeliveryKey::parse("abc:7"), "e"));
            (report.kind, report.cause)
        };
        let hard = ReportKind::HardBounced;
        assert_eq!(
            bounce(r#", "type": "bounce", "status": "5.1.1", "reason": "550 no such user""#),
            (hard, Cause::Address)
        );
        assert_eq!(
            bounce(r#", "type": "bounce", "status": "5.0.0", "bounce_classification": "Invalid Address""#),
            (hard, Cause::Address)
        );
        assert_eq!(bounce(r#", "type": "bounce", "reason": "550 5.7.1 no""#), (hard, Cause::Blocked));
        assert_eq!(
            bounce(r#", "type": "bounce", "status": "5.1.1", "bounce_classification": "Reputation""#),
            (hard, Cause::Blocked)
        );
        assert_eq!(bounce(r#", "type": "blocked", "status": "5.1.1""#), (hard, Cause::Blocked));
        assert_eq!(bounce(r#", "type": "blocked", "status": "4.7.1""#), (ReportKind::SoftBounced, Cause::Blocked));
        assert_eq!(bounce(r#", "type": "bounce", "status": "4.2.2""#), (ReportKind::SoftBounced, Cause::Other));
    }

    #[test]
    fn other_events_are_reports_or_nothing_and_machines_are_told_from_people() {
        let body = r#"[
            {"event": "processed", "smtp-id": "<abc-7@example.com>"},
            {"event": "deferred", "response": "400 try again later"},
            {"event": "delivered", "smtp-id": "<abc-7@example.com>", "timestamp": 1513299569},
            {"event": "open", "smtp-id": "<abc-7@example.com>", "sg_machine_open": true},
            {"event": "open", "smtp-id": "<abc-7@example.com>", "sg_machine_open": false},
            {"event": "click", "smtp-id": "<abc-7@example.com>", "url": "https://example.com"},
            {"event": "spamreport"}, {"event": "unsubscribe"}, {"event": "group_unsubscribe", "asm_group_id": 10},
            {"event": "group_resubscribe"}
        ]"#;
        let all = reports(body).unwrap();
        let kinds: Vec<ReportKind> = all.iter().map(|report| report.kind).collect();
        assert_eq!(
            kinds,
            [
                ReportKind::Delivered,
                ReportKind::Opened(Reader::Machine),
                ReportKind::Opened(Reader::Person),
                ReportKind::Clicked(Reader::Person),
                ReportKind::Complained,
                ReportKind::Unsubscribed,
                ReportKind::Unsubscribed,
            ]
        );
        assert_eq!(all[0].occurred_at, Some(UtcInstant(1_513_299_569_000)));
        assert_eq!((all[0].key.as_str(), all[0].delivery.clone()), ("hash#2", DeliveryKey::parse("abc:7")));
        for body in ["", "{}", "[{}]", "[1]"] {
            assert!(reports(body).is_err(), "{body}");
        }
    }
}
