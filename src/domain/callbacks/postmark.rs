//! Webhooks of Postmark (<https://postmarkapp.com/developer/webhooks/webhooks-overview>). It signs nothing: its requests show a user and
//! a password.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::delivery_key::DeliveryKey;
use super::{METADATA, NotUnderstood, Received, Report};
use crate::domain::bounce::{Cause, status_in};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::Reason;
use crate::domain::reports::{Reader, ReportKind};

/// A webhook, as far as it is needed. Which fields there are depends on the record.
/// Words of servers that refuse a sender. They suppress no address.
const BLAMES_THE_SENDER: [&str; 5] = ["block", "spam", "reputation", "blacklist", "policy"];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Record {
    record_type: String,
    /// What came back (Bounce).
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "ID")]
    id: Option<i64>,
    #[serde(rename = "MessageID")]
    message_id: String,
    /// The recipient of a bounce or a complaint.
    email: Option<String>,
    /// The recipient of everything else.
    recipient: Option<String>,
    description: Option<String>,
    details: Option<String>,
    bounced_at: Option<String>,
    delivered_at: Option<String>,
    received_at: Option<String>,
    changed_at: Option<String>,
    original_link: Option<String>,
    suppress_sending: bool,
    suppression_reason: Option<String>,
    origin: Option<String>,
    metadata: Map<String, Value>,
}

pub(super) fn read(callback: &Received<'_>) -> Result<Vec<Report>, NotUnderstood> {
    let record: Record = serde_json::from_str(callback.body).map_err(|error| NotUnderstood::json(&error))?;
    if record.record_type.is_empty() {
        return Err(NotUnderstood("the body has no RecordType".to_owned()));
    }
    Ok(record.report(callback.key).into_iter().collect())
}

impl Record {
    /// `None`: it is no report.
    fn report(self, hash: &str) -> Option<Report> {
        let (kind, cause) = match self.record_type.as_str() {
            "Delivery" => (ReportKind::Delivered, None),
            "Open" => (ReportKind::Opened(Reader::Person), None),
            "Click" => (ReportKind::Clicked(Reader::Person), None),
            "SpamComplaint" => (ReportKind::Complained, None),
            "SubscriptionChange" => self.change()?,
            "Bounce" => self.bounce()?,
            _ => return None,
        };
        let at = [&self.bounced_at, &self.delivered_at, &self.received_at, &self.changed_at];
        let report = Report {
            occurred_at: at.into_iter().flatten().find_map(|at| UtcInstant::parse(at).ok()),
            address: self.email.clone().or_else(|| self.recipient.clone()),
            ..Report::new(&self.key(hash), self.delivery(), kind)
        };
        let report = match cause {
            Some(cause) => report
                .because(cause)
                .with("status", self.details.as_deref().and_then(status_in))
                .with("reason", self.details.as_deref().or(self.description.as_deref())),
            None => report,
        };
        Some(report.with("url", self.original_link.as_deref()))
    }

    /// A bounce has an id. A repetition of what has none has the same body.
    fn key(&self, hash: &str) -> String {
        self.id.map_or_else(|| hash.to_owned(), |id| format!("{}:{id}", self.record_type))
    }

    fn delivery(&self) -> Option<DeliveryKey> {
        // Postmark writes the names of metadata as it likes.
        let named = self.metadata.iter().find(|(name, _)| name.eq_ignore_ascii_case(METADATA));
        named.and_then(|(_, key)| DeliveryKey::parse(key.as_str()?)).or_else(|| DeliveryKey::parse(&self.message_id))
    }

    fn bounce(&self) -> Option<(ReportKind, Option<Cause>)> {
        let text = self.details.as_deref().unwrap_or_default();
        let by_status = || status_in(text).map(Cause::of_status);
        Some(match self.kind.as_str() {
            // Postmark deactivates such an address, unless the server says that something else is to blame.
            "HardBounce" => {
                let blames_the_sender = BLAMES_THE_SENDER.iter().any(|word| text.to_ascii_lowercase().contains(word));
                let unsaid = if blames_the_sender { Cause::Blocked } else { Cause::Address };
                (ReportKind::HardBounced, Some(by_status().unwrap_or(unsaid)))
            }
            "BadEmailAddress" => (ReportKind::HardBounced, Some(Cause::Address)),
            "SpamComplaint" => (ReportKind::Complained, None),
            "Unsubscribe" => (ReportKind::Unsubscribed, None),
            "Blocked" | "SpamNotification" | "VirusNotification" | "DMARCPolicy" => {
                (ReportKind::HardBounced, Some(Cause::Blocked))
            }
            "SoftBounce" | "DnsError" | "Unknown" => {
                (ReportKind::SoftBounced, Some(by_status().unwrap_or(Cause::Other)))
            }
            "ManuallyDeactivated" => (ReportKind::RejectedLater, Some(Cause::Listed(Reason::Blocked))),
            "Unconfirmed" | "SMTPApiError" | "InboundError" | "TemplateRenderingFailed" => {
                (ReportKind::RejectedLater, Some(Cause::Other))
            }
            // Postmark still tries (Transient), or somebody has answered (AutoResponder, ChallengeVerification, AddressChange).
            _ => return None,
        })
    }

    /// A change of Postmark's own list. What is only its echo of a bounce or a complaint came as such.
    fn change(&self) -> Option<(ReportKind, Option<Cause>)> {
        let by_recipient = self.origin.as_deref() == Some("Recipient");
        let asks = self.suppress_sending && self.suppression_reason.as_deref() == Some("ManualSuppression");
        (by_recipient && asks).then_some((ReportKind::Unsubscribed, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports(body: &str) -> Result<Vec<Report>, NotUnderstood> {
        read(&Received { content_type: "application/json", body, key: "hash" })
    }

    fn bounce(kind: &str, details: &str) -> Vec<Report> {
        reports(&format!(
            r#"{{"RecordType": "Bounce", "ID": 42, "Type": "{kind}", "TypeCode": 1, "Details": "{details}", "Email": "ann@example.com",
                "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483", "BouncedAt": "2014-08-01T13:28:10.2735393-04:00",
                "Inactive": true, "Metadata": {{"volley_delivery": "abc:7"}}}}"#
        ))
        .unwrap()
    }

    #[test]
    fn a_bounce_says_whether_the_address_is_the_reason() {
        for (kind, details, expected) in [
            ("HardBounce", "smtp;550 5.1.1 no such user", Some((ReportKind::HardBounced, Cause::Address))),
            ("HardBounce", "unknown user", Some((ReportKind::HardBounced, Cause::Address))),
            ("HardBounce", "smtp;550 5.7.1 not allowed", Some((ReportKind::HardBounced, Cause::Blocked))),
            ("HardBounce", "550 your IP is blocked", Some((ReportKind::HardBounced, Cause::Blocked))),
            ("BadEmailAddress", "", Some((ReportKind::HardBounced, Cause::Address))),
            ("Blocked", "IP on a list", Some((ReportKind::HardBounced, Cause::Blocked))),
            ("SoftBounce", "smtp;452 4.2.2 full", Some((ReportKind::SoftBounced, Cause::Other))),
            ("SpamComplaint", "", Some((ReportKind::Complained, Cause::Other))),
            ("ManuallyDeactivated", "", Some((ReportKind::RejectedLater, Cause::Listed(Reason::Blocked)))),
            ("Transient", "", None),
            ("AutoResponder", "", None),
        ] {
            let found = bounce(kind, details);
            let found = found.first().map(|report| (report.kind, report.cause));
            assert_eq!(found, expected, "{kind} {details}");
        }
        let report = bounce("HardBounce", "smtp;550 5.1.1 no such user").remove(0);
        assert_eq!((report.key.as_str(), report.address.as_deref()), ("Bounce:42", Some("ann@example.com")));
        assert_eq!(
            (report.delivery, report.occurred_at),
            (DeliveryKey::parse("abc:7"), Some(UtcInstant(1_406_914_090_273)))
        );
    }

    #[test]
    fn other_records_are_reports_or_nothing() {
        let record = |kind: &str, more: &str| {
            let text = format!(
                r#"{{"RecordType": "{kind}", "Recipient": "ann@example.com", "Metadata": {{"Volley_Delivery": "abc:7"}} {more}}}"#
            );
            reports(&text).unwrap().first().map(|report| (report.kind, report.key.clone(), report.delivery.clone()))
        };
        let expected = |kind| Some((kind, "hash".to_owned(), DeliveryKey::parse("abc:7")));
        assert_eq!(record("Delivery", r#", "DeliveredAt": "2014-08-01T13:28:10Z""#), expected(ReportKind::Delivered));
        assert_eq!(record("Open", r#", "FirstOpen": true"#), expected(ReportKind::Opened(Reader::Person)));
        assert_eq!(
            record("Click", r#", "OriginalLink": "https://example.com""#),
            expected(ReportKind::Clicked(Reader::Person))
        );
        let change = r#", "SuppressSending": true, "SuppressionReason": "ManualSuppression", "Origin": "Recipient""#;
        assert_eq!(record("SubscriptionChange", change), expected(ReportKind::Unsubscribed));
        let echo = r#", "SuppressSending": true, "SuppressionReason": "HardBounce", "Origin": "Recipient""#;
        assert_eq!(record("SubscriptionChange", echo), None);
        assert_eq!(record("Inbound", ""), None);
        for body in ["", "[]", "{}", r#"{"RecordType": 1}"#] {
            assert!(reports(body).is_err(), "{body}");
        }
    }
}
