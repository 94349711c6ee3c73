//! Requests of Amazon SNS (<https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>). They are signed with RSA over
//! some of their fields, and name the certificate to verify that by. So everything hangs on where the certificate comes from: from a file
//! of Amazon's own host, over HTTPS. Amazon's API on the same host answers with what its callers have written; no such address is asked.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use serde::Deserialize;

use super::{Incoming, TOLERANCE_MS, Unverified};
use crate::domain::instant::UtcInstant;

/// For so long Amazon repeats a request that was not answered, in milliseconds: a policy may say at most that. The time that it signs is
/// that of the first one.
const REPEATED_FOR_MS: i64 = 3_600_000;

/// The longest name of a topic.
const LONGEST_TOPIC: usize = 256;

/// The longest name of a certificate's file.
const LONGEST_FILE: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
enum Kind {
    Notification,
    SubscriptionConfirmation,
    UnsubscribeConfirmation,
}

/// A request as it came.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    #[serde(rename = "Type")]
    kind: Kind,
    message_id: String,
    topic_arn: String,
    subject: Option<String>,
    message: String,
    timestamp: String,
    signature_version: String,
    signature: String,
    #[serde(rename = "SigningCertURL")]
    certificate_url: String,
    token: Option<String>,
    #[serde(rename = "SubscribeURL")]
    subscribe_url: Option<String>,
}

/// A request that says it comes from a topic of the pool. Nothing of it may be believed before it is [proved](Claimed::prove).
pub struct Claimed(Message);

/// A request that Amazon has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proved {
    /// It tells of something: what its repetitions share.
    Notification(String),
    /// The topic wants to send here.
    Subscription {
        /// Which one.
        topic: String,
        /// What to ask for, so that it does.
        url: String,
    },
    /// This topic sends here no more.
    Unsubscribed(String),
}

impl Claimed {
    /// A request about one of these topics, sent about now.
    ///
    /// # Errors
    /// [`Unverified`]: it is none, or its certificate is nowhere to be asked for.
    pub fn read(incoming: &Incoming<'_>, topics: &[String]) -> Result<Self, Unverified> {
        let message: Message = serde_json::from_slice(incoming.body).map_err(|_other| Unverified)?;
        let sent_at = UtcInstant::parse(&message.timestamp).map_err(|_no_time| Unverified)?;
        let age = incoming.now.0.saturating_sub(sent_at.0);
        let is_recent = (-TOLERANCE_MS..=REPEATED_FOR_MS + TOLERANCE_MS).contains(&age);
        let is_ours = topics.contains(&message.topic_arn);
        // What is signed has no lengths: with a line break in a value, one request could be read as another one.
        let is_id =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let is_one_line = message.subject.as_deref().is_none_or(|subject| !subject.contains(['\r', '\n']));
        if !is_id(&message.message_id) || !message.token.as_deref().is_none_or(is_id) || !is_one_line {
            return Err(Unverified);
        }
        if is_recent && is_ours && is_certificate(&message.certificate_url, &message.topic_arn) {
            Ok(Self(message))
        } else {
            Err(Unverified)
        }
    }

    /// The topic that it says it comes from: one of the pool's.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.0.topic_arn
    }

    /// Where the certificate is that it says it was signed with: a file at Amazon's own host.
    #[must_use]
    pub fn certificate_url(&self) -> &str {
        &self.0.certificate_url
    }

    /// Verifies it by the certificate at [`Self::certificate_url`], in PEM.
    ///
    /// # Errors
    /// [`Unverified`]: it is not signed with that certificate, or wants something else to be asked for than its subscription.
    pub fn prove(self, certificate: &[u8]) -> Result<Proved, Unverified> {
        let Self(message) = self;
        message.verify(certificate)?;
        match message.kind {
            Kind::Notification => Ok(Proved::Notification(message.message_id)),
            Kind::UnsubscribeConfirmation => Ok(Proved::Unsubscribed(message.topic_arn)),
            Kind::SubscriptionConfirmation => {
                let url =
                    message.subscribe_url.filter(|url| is_subscription(url, &message.topic_arn)).ok_or(Unverified)?;
                Ok(Proved::Subscription { topic: message.topic_arn, url })
            }
        }
    }
}

impl Message {
    /// What is signed: names and values, each with a line break, in the order of the alphabet.
    fn signed(&self) -> Result<String, Unverified> {
        let mut fields = vec![("Message", self.message.as_str()), ("MessageId", &self.message_id)];
        match self.kind {
            Kind::Notification => fields.extend(self.subject.as_deref().map(|subject| ("Subject", subject))),
            Kind::SubscriptionConfirmation | Kind::UnsubscribeConfirmation => {
                fields.push(("SubscribeURL", self.subscribe_url.as_deref().ok_or(Unverified)?));
            }
        }
        fields.push(("Timestamp", &self.timestamp));
        let name = match self.kind {
            Kind::Notification => "Notification",
            Kind::SubscriptionConfirmation => "SubscriptionConfirmation",
            Kind::UnsubscribeConfirmation => "UnsubscribeConfirmation",
        };
        if self.kind != Kind::Notification {
            fields.push(("Token", self.token.as_deref().ok_or(Unverified)?));
        }
        fields.extend([("TopicArn", self.topic_arn.as_str()), ("Type", name)]);
        Ok(fields.into_iter().map(|(name, value)| format!("{name}\n{value}\n")).collect())
    }

    fn verify(&self, certificate: &[u8]) -> Result<(), Unverified> {
        let algorithm: &dyn SignatureVerificationAlgorithm = match self.signature_version.as_str() {
            "1" => &RsaSha1,
            "2" => webpki::ring::RSA_PKCS1_2048_8192_SHA256,
            _ => return Err(Unverified),
        };
        let signature = STANDARD.decode(&self.signature).map_err(|_no_base64| Unverified)?;
        let der = CertificateDer::from_pem_slice(certificate).map_err(|_no_certificate| Unverified)?;
        let certificate = webpki::EndEntityCert::try_from(&der).map_err(|_no_certificate| Unverified)?;
        let signed = self.signed()?;
        certificate.verify_signature(algorithm, signed.as_bytes(), &signature).map_err(|_forged| Unverified)
    }
}

/// RSA with SHA-1, of a key of 2048 bits and more: what topics sign with unless they are told otherwise. Two messages with one hash can be
/// made, but only somebody who may publish to the topic gets one of them signed, and needs no forged one.
#[derive(Debug)]
struct RsaSha1;

impl SignatureVerificationAlgorithm for RsaSha1 {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        // sha1WithRSAEncryption (RFC 3279 2.2.1), without parameters' value.
        AlgorithmIdentifier::from_slice(&[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05, 0x05, 0x00])
    }

    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, public_key)
            .verify(message, signature)
            .map_err(|_unspecified| InvalidSignature)
    }
}

/// What follows Amazon's own host in an address: that of the topic's region. Others at Amazon may be anybody's (`sns.s3.amazonaws.com`
/// has files of a customer). `None`: it is another host. The text is looked at, so that it does not matter how an address would be read:
/// no port, no user, no upper case.
fn at_amazon<'u>(url: &'u str, topic: &str) -> Option<&'u str> {
    let region = topic.split(':').nth(3).filter(|region| !region.is_empty())?;
    let (host, path) = url.strip_prefix("https://")?.split_once('/')?;
    let rest = host.strip_prefix("sns.")?.strip_prefix(region)?;
    matches!(rest, ".amazonaws.com" | ".amazonaws.com.cn").then_some(path)
}

/// Whether an address is that of a certificate for a topic. The API at the same host answers with texts of its callers, and is not asked.
fn is_certificate(url: &str, topic: &str) -> bool {
    let path = at_amazon(url, topic);
    let file = path.and_then(|path| path.strip_prefix("SimpleNotificationService-")?.strip_suffix(".pem"));
    file.is_some_and(|file| (1..=LONGEST_FILE).contains(&file.len()) && file.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Whether an address confirms a subscription to a topic.
fn is_subscription(url: &str, topic: &str) -> bool {
    let query = at_amazon(url, topic).and_then(|path| path.strip_prefix("?Action=ConfirmSubscription&"));
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"=&:%-_.~".contains(&byte);
    query.is_some_and(|query| query.bytes().all(fits))
}

/// Whether a text is the name of a topic: `arn:aws:sns:eu-west-1:123456789012:reports`.
#[must_use]
pub fn is_topic(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let [arn, partition, service, region, account, name] = parts.as_slice() else { return false };
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    *arn == "arn"
        && *service == "sns"
        && is_account
        && name.len() <= LONGEST_TOPIC
        && [partition, region, name].into_iter().all(|word| is_word(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages and the certificate that Amazon's own library for Ruby is tested with.
    const CERTIFICATE: &[u8] = include_bytes!("sns/certificate.pem");
    const SHA1: &str = include_str!("sns/version_1.json");
    const SHA256: &str = include_str!("sns/version_2.json");
    const TOPICS: [&str; 2] = [
        "arn:aws:sns:us-east-2:295079676684:publish-and-verify-892f85fe-4836-424d-8188-ab85bef0f362",
        "arn:aws:sns:us-east-2:295079676684:publish-and-verify-62674b1d-4295-426b-88e7-5fb75652a04e",
    ];

    fn proved(body: &str, after_ms: i64, topics: &[&str]) -> Result<Proved, Unverified> {
        let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let now = UtcInstant::parse("2022-07-28T21:24:00Z").unwrap().plus_ms(after_ms);
        let claimed = Claimed::read(&Incoming { headers: &[], body: body.as_bytes(), now }, &topics)?;
        claimed.prove(CERTIFICATE)
    }

    #[test]
    fn amazons_own_messages_are_proved_and_nothing_like_them() {
        for (body, id) in
            [(SHA1, "792cda85-518f-5dd3-9163-81d851212f3a"), (SHA256, "17dea24b-55c2-540b-8362-f916557af765")]
        {
            assert_eq!(proved(body, 0, &TOPICS), Ok(Proved::Notification(id.to_owned())));
            for (what, with) in [
                ("Hello world", "Hello World"),
                ("\"SignatureVersion\": \"1\"", "\"SignatureVersion\": \"2\""),
                ("\"SignatureVersion\": \"2\"", "\"SignatureVersion\": \"1\""),
                ("\"SignatureVersion\": \"", "\"SignatureVersion\": \"3"),
                ("\"MessageId\": \"", "\"MessageId\": \"0"),
                ("2022-07-28T21:2", "2022-07-28T21:1"),
                ("\"Type\": \"Notification\"", "\"Type\": \"Notification\", \"Subject\": \"\""),
                ("\"Type\": \"Notification\"", "\"Type\": \"UnsubscribeConfirmation\""),
                ("\"Type\": \"Notification\"", "\"Type\": \"Other\""),
                ("\"Signature\": \"", "\"Signature\": \"AAAA"),
            ] {
                let forged = body.replacen(what, with, 1);
                assert!(forged == body || proved(&forged, 0, &TOPICS).is_err(), "{forged}");
            }
            for (after, holds) in [(-290_000, true), (-330_000, false), (3_880_000, true), (3_920_000, false)] {
                assert_eq!(proved(body, after, &TOPICS).is_ok(), holds, "{after}");
            }
            assert!(proved(body, 0, &["arn:aws:sns:us-east-2:295079676684:another"]).is_err());
            assert!(proved(body, 0, &[]).is_err());
        }
        assert!(proved("{}", 0, &TOPICS).is_err());
    }

    #[test]
    fn another_certificate_proves_nothing() {
        let topics = TOPICS.map(ToOwned::to_owned);
        let now = UtcInstant::parse("2022-07-28T21:24:00Z").unwrap();
        for certificate in [
            rcgen::generate_simple_self_signed(["sns.amazonaws.com".to_owned()]).unwrap().cert.pem().into_bytes(),
            Vec::new(),
            b"<xml/>".to_vec(),
        ] {
            let incoming = Incoming { headers: &[], body: SHA256.as_bytes(), now };
            assert_eq!(Claimed::read(&incoming, &topics).ok().unwrap().prove(&certificate), Err(Unverified));
        }
    }

    #[test]
    fn a_certificate_is_asked_for_at_amazon_only() {
        let url = "https://sns.us-east-2.amazonaws.com/SimpleNotificationService-7ff5318490ec183fbaddaa2a969abfda.pem";
        let topic = "arn:aws:sns:us-east-2:123456789012:reports";
        assert!(is_certificate(url, topic));
        // Where the region is no region, the host is another service.
        for other in ["s3", "s3-us-west-2", "eu-west-1"] {
            assert!(!is_certificate(&url.replace("us-east-2", other), topic), "{other}");
        }
        let chinese = "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-0a.pem";
        assert!(is_certificate(chinese, "arn:aws-cn:sns:cn-north-1:123456789012:reports"));
        for other in [
            "http://sns.us-east-2.amazonaws.com/SimpleNotificationService-0a.pem",
            "https://sns.us-east-2.amazonaws.com.example.com/SimpleNotificationService-0a.pem",
            "https://sns.us-east-2.amazonaws.com:8443/SimpleNotificationService-0a.pem",
            "https://sns.us-east-2.amazonaws.com@example.com/SimpleNotificationService-0a.pem",
            "https://example.com/sns.us-east-2.amazonaws.com/SimpleNotificationService-0a.pem",
            "https://example.com#sns.us-east-2.amazonaws.com/SimpleNotificationService-0a.pem",
            "https://sns.us.east.amazonaws.com/SimpleNotificationService-0a.pem",
            "https://sns..amazonaws.com/SimpleNotificationService-0a.pem",
            "https://sns.amazonaws.com/SimpleNotificationService-0a.pem",
            "https://SNS.us-east-2.amazonaws.com/SimpleNotificationService-0a.pem",
            "https://sqs.us-east-2.amazonaws.com/SimpleNotificationService-0a.pem",
            "https://s3.amazonaws.com/SimpleNotificationService-0a.pem",
            // Amazon's API at this host gives back what its callers have stored, signed in the address.
            "https://sns.us-east-2.amazonaws.com/?Action=GetTopicAttributes&x=SimpleNotificationService-0a.pem",
            "https://sns.us-east-2.amazonaws.com/SimpleNotificationService-0a.pem?Action=GetTopicAttributes",
            "https://sns.us-east-2.amazonaws.com/SimpleNotificationService-0a.pem#.pem",
            "https://sns.us-east-2.amazonaws.com/SimpleNotificationService-../0a.pem",
            "https://sns.us-east-2.amazonaws.com/other/SimpleNotificationService-0a.pem",
            "https://sns.us-east-2.amazonaws.com/SimpleNotificationService-.pem",
            "",
        ] {
            assert!(!is_certificate(other, topic), "{other}");
            let body = SHA256.replace(url, other);
            assert!(proved(&body, 0, &TOPICS).is_err(), "{other}");
        }
    }

    #[test]
    fn only_a_subscription_is_confirmed() {
        let topic = "arn:aws:sns:us-east-2:123456789012:reports";
        let good =
            format!("https://sns.us-east-2.amazonaws.com/?Action=ConfirmSubscription&TopicArn={topic}&Token=2336");
        assert!(is_subscription(&good, topic));
        for other in [
            good.replace("Confirm", "Un"),
            good.replace("https", "http"),
            good.replace("amazonaws.com", "example.com"),
            good.replace(".com/", ".com/other"),
            format!("{good} HTTP/1.1\r\n"),
        ] {
            assert!(!is_subscription(&other, topic), "{other}");
        }
    }

    #[test]
    fn a_topic_is_told_from_other_text() {
        for topic in TOPICS.into_iter().chain(["arn:aws-cn:sns:cn-north-1:123456789012:a_b-C"]) {
            assert!(is_topic(topic), "{topic}");
        }
        for text in [
            "",
            "reports",
            "arn:aws:sqs:us-east-2:123456789012:reports",
            "arn:aws:sns:us-east-2:1234:reports",
            "arn:aws:sns:us-east-2:123456789012:",
            "arn:aws:sns:us-east-2:123456789012:a:b",
            "arn:aws:sns:us-east-2:123456789012:reports.fifo",
        ] {
            assert!(!is_topic(text), "{text}");
        }
    }
}
