//! What Amazon SES reports through Amazon SNS ([`super::sns`]): notifications of an identity
//! (<https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html>) and published events
//! (<https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html>). Both name the same things; with both switched
//! on, each thing is reported twice.

use serde::Deserialize;
use serde_json::Value;

use super::delivery_key::DeliveryKey;
use super::{HEADER, METADATA, NotUnderstood, Received, Report};
use crate::domain::bounce::{Cause, status_in};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::Reason;
use crate::domain::reports::{Reader, ReportKind};

/// How the text begins with which SES tries a topic.
const TRIAL: &str = "Successfully validated SNS topic";

/// What Amazon SNS carries, as far as it is needed here.
#[derive(Deserialize)]
struct Carrier {
    #[serde(rename = "Message")]
    message: String,
}

pub(super) fn read(callback: &Received<'_>) -> Result<Vec<Report>, NotUnderstood> {
    let json = |error: serde_json::Error| NotUnderstood::json(&error);
    let Carrier { message } = serde_json::from_str(callback.body).map_err(json)?;
    if message.starts_with(TRIAL) {
        return Ok(Vec::new());
    }
    let event = Event(serde_json::from_str(&message).map_err(json)?);
    let kind = event.text("/eventType").or_else(|| event.text("/notificationType"));
    let kind =
        kind.ok_or_else(|| NotUnderstood("the message has neither eventType nor notificationType".to_owned()))?;
    Ok(event.reports(kind, callback.key))
}

/// An event of SES.
struct Event(Value);

impl Event {
    fn text(&self, pointer: &str) -> Option<&str> {
        self.0.pointer(pointer).and_then(Value::as_str)
    }

    fn reports(&self, kind: &str, key: &str) -> Vec<Report> {
        match kind {
            "Bounce" => self.bounces(key),
            "Complaint" => self.complaint(key).into_iter().collect(),
            "Delivery" => vec![self.once("delivery", ReportKind::Delivered)],
            "Reject" | "Rendering Failure" => {
                let name = if kind == "Reject" { "reject" } else { "failure" };
                let reason = self.text("/reject/reason").or_else(|| self.text("/failure/errorMessage"));
                vec![self.once(name, ReportKind::RejectedLater).because(Cause::Other).with("reason", reason)]
            }
            "Open" => vec![self.report(key, "open", ReportKind::Opened(Reader::Person))],
            "Click" => {
                let clicked = self.report(key, "click", ReportKind::Clicked(Reader::Person));
                vec![clicked.with("url", self.text("/click/link"))]
            }
            // The recipient has left everything that SES sends for the sender. What it left in part is a list that SES keeps.
            "Subscription" if self.has_left() => {
                vec![self.report(key, "subscription", ReportKind::Unsubscribed)]
            }
            // Sent, delayed (SES still tries), and that notifications are switched on.
            _ => Vec::new(),
        }
    }

    /// A report under this key. `part` is where the event has its own time.
    fn report(&self, key: &str, part: &str, kind: ReportKind) -> Report {
        let at = self.text(&format!("/{part}/timestamp")).or_else(|| self.text("/mail/timestamp"));
        Report {
            occurred_at: at.and_then(|at| UtcInstant::parse(at).ok()),
            address: only(self.0.pointer("/mail/destination").and_then(Value::as_array)),
            ..Report::new(key, self.delivery(), kind)
        }
    }

    /// A report of what happens to a message once: reported twice, it has the same key.
    fn once(&self, part: &str, kind: ReportKind) -> Report {
        let id = self.text("/mail/messageId").unwrap_or_default();
        self.report(&format!("{part}:{id}"), part, kind)
    }

    /// By the header that Volley has written, by a tag, or by `Message-ID`. SES has an id of its own, `mail.messageId`.
    fn delivery(&self) -> Option<DeliveryKey> {
        let headers = self.0.pointer("/mail/headers").and_then(Value::as_array);
        let header = |name: &str| {
            let is_named = |header: &&Value| {
                header.get("name").and_then(Value::as_str).is_some_and(|other| other.eq_ignore_ascii_case(name))
            };
            DeliveryKey::parse(headers?.iter().find(is_named)?.get("value")?.as_str()?)
        };
        let by_tag = || DeliveryKey::parse(self.text(&format!("/mail/tags/{METADATA}/0"))?);
        let by_id = || DeliveryKey::parse(self.text("/mail/commonHeaders/messageId")?);
        header(HEADER).or_else(by_tag).or_else(by_id).or_else(|| header("Message-ID"))
    }

    /// One for each recipient that a server said something of.
    fn bounces(&self, key: &str) -> Vec<Report> {
        let sub_type = self.text("/bounce/bounceSubType");
        let listed = match sub_type {
            Some("Suppressed" | "OnAccountSuppressionList") => Some(Reason::Bounced),
            Some("UnsubscribedRecipient") => Some(Reason::Unsubscribed),
            _ => None,
        };
        let kind = match (listed, self.text("/bounce/bounceType")) {
            // SES did not send it.
            (Some(_), _) => ReportKind::RejectedLater,
            (None, Some("Permanent")) => ReportKind::HardBounced,
            (None, _) => ReportKind::SoftBounced,
        };
        let id = self.text("/bounce/feedbackId").unwrap_or(key);
        let recipients = self.0.pointer("/bounce/bouncedRecipients").and_then(Value::as_array);
        let recipients = recipients.map(Vec::as_slice).unwrap_or_default();
        let report = |(number, recipient): (usize, &Value)| {
            let text = |name: &str| recipient.get(name).and_then(Value::as_str);
            let diagnostic = text("diagnosticCode");
            // Of 5.0.0, a server's own words may say more.
            let own = text("status").and_then(status_in);
            let status =
                own.filter(|status| !status.ends_with(".0.0")).or_else(|| diagnostic.and_then(status_in)).or(own);
            let cause = match (listed, sub_type) {
                (Some(reason), _) => Cause::Listed(reason),
                (None, Some("ContentRejected" | "AttachmentRejected")) => Cause::Blocked,
                (None, _) => status.map_or(Cause::Other, Cause::of_status),
            };
            // An automatic reply, which SES cannot tell from a bounce, has no words of a server.
            let is_said = status.is_some() || diagnostic.is_some();
            if !is_said && (self.text("/bounce/bounceType"), sub_type) == (Some("Transient"), Some("General")) {
                return None;
            }
            let report = self.report(&format!("{id}#{number}"), "bounce", kind).because(cause);
            let report = report.with("status", status).with("reason", diagnostic.or(sub_type));
            Some(Report { address: text("emailAddress").map(ToOwned::to_owned), ..report })
        };
        recipients.iter().enumerate().filter_map(report).collect()
    }

    /// `None`: somebody says that it is no spam, or a server that its signature is wrong.
    fn complaint(&self, key: &str) -> Option<Report> {
        let said = self.text("/complaint/complaintFeedbackType");
        if matches!(said, Some("not-spam" | "auth-failure")) {
            return None;
        }
        let id = format!("{}#complaint", self.text("/complaint/feedbackId").unwrap_or(key));
        let is_listed = self.text("/complaint/complaintSubType") == Some("OnAccountSuppressionList");
        let report = if is_listed {
            let report = self.report(&id, "complaint", ReportKind::RejectedLater);
            report.because(Cause::Listed(Reason::Complained))
        } else {
            self.report(&id, "complaint", ReportKind::Complained)
        };
        // All of the message's recipients at the provider that got the complaint.
        let recipients = self.0.pointer("/complaint/complainedRecipients").and_then(Value::as_array);
        let addresses: Option<Vec<Value>> =
            recipients.map(|all| all.iter().filter_map(|one| one.get("emailAddress")).cloned().collect());
        let address = only(addresses.as_ref()).or_else(|| report.address.clone());
        Some(Report { address, ..report }.with("reason", said))
    }

    fn has_left(&self) -> bool {
        let has = |name: &str| {
            let pointer = format!("/subscription/{name}/unsubscribeAll");
            self.0.pointer(&pointer).and_then(Value::as_bool).unwrap_or_default()
        };
        has("newTopicPreferences") && !has("oldTopicPreferences")
    }
}

/// The address, where there is one only: a report about several does not say which one it means.
fn only(addresses: Option<&Vec<Value>>) -> Option<String> {
    match addresses?.as_slice() {
        [address] => address.as_str().map(ToOwned::to_owned),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(message: &str) -> Result<Vec<Report>, NotUnderstood> {
        let body = serde_json::json!({ "Type": "Notification", "Message": message }).to_string();
        read(&Received { content_type: "text/plain; charset=UTF-8", body: &body, key: "id" })
    }

    const MAIL: &str = r#""mail": {"timestamp": "2016-01-27T14:59:38.237Z", "messageId": "00000138111222aa-000000",
        "destination": ["ann@example.com"], "headersTruncated": false,
        "headers": [{"name": "From", "value": "shop@example.com"}, {"name": "x-volley-delivery", "value": "abc:7"}],
        "commonHeaders": {"messageId": "<abc-9@example.com>"}}"#;

    fn bounce(kind: &str, sub_type: &str, recipient: &str) -> (ReportKind, Cause) {
        let message = format!(
            r#"{{"notificationType": "Bounce", {MAIL}, "bounce": {{"bounceType": "{kind}", "bounceSubType": "{sub_type}",
                "timestamp": "2016-01-27T15:00:00.000Z", "feedbackId": "feedback",
                "bouncedRecipients": [{{"emailAddress": "Ann <ann@example.com>" {recipient}}}]}}}}"#
        );
        let report = carried(&message).unwrap().remove(0);
        assert_eq!((report.key.as_str(), report.delivery), ("feedback#0", DeliveryKey::parse("abc:7")));
        assert_eq!(report.address.as_deref(), Some("Ann <ann@example.com>"));
        assert_eq!(report.occurred_at, UtcInstant::parse("2016-01-27T15:00:00Z").ok());
        // As a published event, it says and is the same.
        let event = carried(&message.replace("notificationType", "eventType")).unwrap().remove(0);
        assert_eq!((event.key, event.kind, event.cause), (report.key, report.kind, report.cause));
        (report.kind, report.cause)
    }

    #[test]
    fn a_bounce_says_whether_the_address_is_the_reason() {
        let unknown = r#", "status": "5.1.1", "action": "failed", "diagnosticCode": "smtp; 550 5.1.1 user unknown""#;
        let blocked = r#", "status": "5.0.0", "diagnosticCode": "smtp; 550 5.7.1 your IP is on a list""#;
        let by_text = r#", "diagnosticCode": "smtp; 550 5.1.1 user unknown""#;
        let (hard, soft, unsent) = (ReportKind::HardBounced, ReportKind::SoftBounced, ReportKind::RejectedLater);
        for (kind, sub_type, recipient, expected) in [
            ("Permanent", "General", unknown, (hard, Cause::Address)),
            ("Permanent", "General", by_text, (hard, Cause::Address)),
            ("Permanent", "General", "", (hard, Cause::Other)),
            ("Permanent", "General", blocked, (hard, Cause::Blocked)),
            ("Permanent", "General", r#", "status": "5.7.1""#, (hard, Cause::Blocked)),
            // SES could not read the address out of the bounce: that says nothing about it.
            ("Permanent", "NoEmail", "", (hard, Cause::Other)),
            ("Permanent", "NoEmail", unknown, (hard, Cause::Address)),
            ("Permanent", "NoEmail", blocked, (hard, Cause::Blocked)),
            ("Permanent", "Suppressed", unknown, (unsent, Cause::Listed(Reason::Bounced))),
            ("Permanent", "OnAccountSuppressionList", "", (unsent, Cause::Listed(Reason::Bounced))),
            ("Permanent", "UnsubscribedRecipient", "", (unsent, Cause::Listed(Reason::Unsubscribed))),
            ("Transient", "MailboxFull", r#", "status": "4.2.2""#, (soft, Cause::Other)),
            ("Transient", "ContentRejected", "", (soft, Cause::Blocked)),
            ("Undetermined", "Undetermined", "", (soft, Cause::Other)),
        ] {
            assert_eq!(bounce(kind, sub_type, recipient), expected, "{kind} {sub_type} {recipient}");
        }
    }

    #[test]
    fn an_automatic_reply_is_no_bounce() {
        let message = |status: &str| {
            format!(
                r#"{{"notificationType": "Bounce", {MAIL}, "bounce": {{"bounceType": "Transient", "bounceSubType": "General",
                "feedbackId": "feedback", "bouncedRecipients": [{{"emailAddress": "ann@example.com" {status}}}]}}}}"#
            )
        };
        assert!(carried(&message("")).unwrap().is_empty());
        assert_eq!(carried(&message(r#", "status": "4.4.7""#)).unwrap()[0].kind, ReportKind::SoftBounced);
    }

    #[test]
    fn a_complaint_is_one_unless_it_says_that_it_is_none() {
        let complaint = |more: &str| {
            let message = format!(
                r#"{{"eventType": "Complaint", {MAIL}, "complaint": {{"feedbackId": "feedback",
                    "complainedRecipients": [{{"emailAddress": "ann@example.com"}}] {more}}}}}"#
            );
            carried(&message).unwrap().first().map(|report| (report.kind, report.cause, report.address.clone()))
        };
        let ann = Some("ann@example.com".to_owned());
        assert_eq!(complaint(""), Some((ReportKind::Complained, Cause::Other, ann.clone())));
        let abuse = complaint(r#", "complaintFeedbackType": "abuse""#);
        assert_eq!(abuse, Some((ReportKind::Complained, Cause::Other, ann.clone())));
        assert_eq!(complaint(r#", "complaintFeedbackType": "not-spam""#), None);
        let listed = complaint(r#", "complaintSubType": "OnAccountSuppressionList""#);
        assert_eq!(listed, Some((ReportKind::RejectedLater, Cause::Listed(Reason::Complained), ann)));
    }

    #[test]
    fn other_events_are_reports_or_nothing() {
        let event = |kind: &str, more: &str| {
            let message = format!(r#"{{"eventType": "{kind}", {MAIL} {more}}}"#);
            carried(&message).unwrap().first().map(|report| (report.kind, report.key.clone()))
        };
        let delivered = (ReportKind::Delivered, "delivery:00000138111222aa-000000".to_owned());
        assert_eq!(event("Delivery", r#", "delivery": {"timestamp": "2016-01-27T14:59:38.237Z"}"#), Some(delivered));
        let rejected = (ReportKind::RejectedLater, "reject:00000138111222aa-000000".to_owned());
        assert_eq!(event("Reject", r#", "reject": {"reason": "Bad content"}"#), Some(rejected));
        let opened = (ReportKind::Opened(Reader::Person), "id".to_owned());
        assert_eq!(event("Open", r#", "open": {"ipAddress": "192.0.2.1"}"#), Some(opened));
        let clicked = (ReportKind::Clicked(Reader::Person), "id".to_owned());
        assert_eq!(event("Click", r#", "click": {"link": "https://example.com"}"#), Some(clicked));
        let left = |before: bool, after: bool| {
            let preferences = format!(
                r#", "subscription": {{"newTopicPreferences": {{"unsubscribeAll": {after}}}, "oldTopicPreferences": {{"unsubscribeAll": {before}}}}}"#
            );
            event("Subscription", &preferences).map(|(kind, _)| kind)
        };
        assert_eq!(
            (left(false, true), left(true, true), left(true, false)),
            (Some(ReportKind::Unsubscribed), None, None)
        );
        for kind in ["Send", "DeliveryDelay", "AmazonSnsSubscriptionSucceeded", "New"] {
            assert_eq!(event(kind, ""), None, "{kind}");
        }
        assert!(carried("Successfully validated SNS topic for Amazon SES event publishing.").unwrap().is_empty());
        for message in ["", "hello ann@example.com", "{}", "[]", r#"{"eventType": 1}"#] {
            let NotUnderstood(said) = carried(message).err().unwrap_or_else(|| panic!("{message} was understood"));
            assert!(!said.contains("ann@"), "{said}");
        }
        assert!(read(&Received { content_type: "", body: "", key: "id" }).is_err());
    }

    #[test]
    fn a_delivery_is_found_by_a_header_a_tag_or_the_message_id() {
        let found = |mail: &str| {
            let message = format!(r#"{{"eventType": "Delivery", "mail": {mail}}}"#);
            carried(&message).unwrap().remove(0).delivery
        };
        for mail in [
            r#"{"headers": [{"name": "X-Volley-Delivery", "value": "abc:7"}]}"#,
            r#"{"tags": {"ses:source-ip": ["192.0.2.1"], "volley_delivery": ["abc-7"]}}"#,
            r#"{"commonHeaders": {"messageId": "<abc-7@example.com>"}}"#,
            r#"{"headers": [{"name": "Message-Id", "value": "<abc-7@example.com>"}]}"#,
        ] {
            assert_eq!(found(mail), DeliveryKey::parse("abc:7"), "{mail}");
        }
        assert_eq!(found(r#"{"messageId": "00000138111222aa-33322211-000000"}"#), None);
    }
}
