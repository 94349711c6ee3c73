//! Amazon SES: reports through Amazon SNS, signed with a key whose certificate is fetched from Amazon and from nowhere else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use volley::channels::fetch::{Fetch, Fetching, NotFetched};
use volley::config::pools::{CallbackConfig, PoolConfig};
use volley::domain::callbacks::Format;
use volley::domain::channel::ChannelKind;

use super::providers::{Provider, What, is_answered, is_well_served};
use super::{LONG, POOL, World, now};
use crate::support::server::{Server, sandbox};
use crate::support::waiting::wait_for;
use crate::support::{Database, both_backends};

const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:reports";
const CERTIFICATE: &str = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem";

/// The internet, as far as Volley asks it.
#[derive(Default)]
struct Internet {
    documents: Mutex<HashMap<String, Result<Vec<u8>, NotFetched>>>,
    asked: Mutex<Vec<String>>,
}

impl Internet {
    /// With the certificate of Amazon.
    fn new() -> Arc<Self> {
        let internet = Self::default();
        internet.put(CERTIFICATE, Ok(include_bytes!("ses/amazon.pem").to_vec()));
        Arc::new(internet)
    }

    fn put(&self, url: &str, document: Result<Vec<u8>, NotFetched>) {
        self.documents.lock().unwrap().insert(url.to_owned(), document);
    }

    /// What was asked for since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Fetch for Internet {
    fn fetch<'a>(&'a self, url: &'a str) -> Fetching<'a> {
        self.asked.lock().unwrap().push(url.to_owned());
        let document = self.documents.lock().unwrap().get(url).cloned().unwrap_or(Err(NotFetched::Refused(404)));
        Box::pin(async move { document })
    }
}

struct Ses {
    own: RsaKeyPair,
    other: RsaKeyPair,
}

/// What stands for Amazon's own key.
const OWN: &str = "amazon";

impl Ses {
    fn new() -> Self {
        let pair = |pem: &[u8]| {
            RsaKeyPair::from_pkcs8(PrivatePkcs8KeyDer::from_pem_slice(pem).unwrap().secret_pkcs8_der()).unwrap()
        };
        Self { own: pair(include_bytes!("ses/amazon.key.pem")), other: pair(include_bytes!("ses/stranger.key.pem")) }
    }

    /// A body with a signature over these fields.
    fn sign(&self, mut body: Value, fields: &[&str], secret: &str) -> Vec<u8> {
        let signed: String = fields.iter().map(|name| format!("{name}\n{}\n", body[*name].as_str().unwrap())).collect();
        let pair = if secret == OWN { &self.own } else { &self.other };
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        body["Signature"] = STANDARD.encode(signature).into();
        body.to_string().into_bytes()
    }

    fn notification(&self, id: &str, message: &str, at: i64, secret: &str) -> Vec<u8> {
        let body = json!({
            "Type": "Notification", "MessageId": id, "TopicArn": TOPIC, "Subject": "Amazon SES Email Event Notification",
            "Message": message, "Timestamp": time(at), "SignatureVersion": "2", "SigningCertURL": CERTIFICATE,
            "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=1",
        });
        self.sign(body, &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"], secret)
    }

    fn confirmation(&self, kind: &str, topic: &str, url: &str, secret: &str) -> Vec<u8> {
        let body = json!({
            "Type": kind, "MessageId": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b", "Token": "2336412f37", "TopicArn": topic,
            "Message": "You have chosen to subscribe to the topic.", "SubscribeURL": url, "Timestamp": time(now()),
            "SignatureVersion": "2", "SigningCertURL": CERTIFICATE,
        });
        self.sign(body, &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"], secret)
    }
}

fn time(at: i64) -> String {
    jiff::Timestamp::from_second(at).unwrap().to_string()
}

fn subscribe_url(topic: &str) -> String {
    format!("https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={topic}&Token=2336412f37")
}

impl Provider for Ses {
    fn format(&self) -> Format {
        Format::Ses
    }

    fn secret(&self) -> String {
        OWN.to_owned()
    }

    fn event(&self, id: &str, key: &str, to: &str, what: What) -> Value {
        let bounce = |sub_type: &str, diagnostic: &str| {
            json!({ "bounce": {
                "bounceType": "Permanent", "bounceSubType": sub_type, "feedbackId": format!("feedback-{id}"),
                "timestamp": "2026-03-01T09:00:00.000Z", "reportingMTA": "dns; mail.example.com",
                "bouncedRecipients": [{ "emailAddress": to, "action": "failed", "diagnosticCode": diagnostic }],
            } })
        };
        let (name, more) = match what {
            What::Delivered => {
                ("Delivery", json!({ "delivery": { "timestamp": "2026-03-01T09:00:00.000Z", "recipients": [to] } }))
            }
            What::NoSuchUser => ("Bounce", bounce("General", "smtp; 550 5.1.1 user unknown")),
            What::Blocked => ("Bounce", bounce("General", "smtp; 554 5.7.1 your IP is on a list")),
            What::Complained => (
                "Complaint",
                json!({ "complaint": { "feedbackId": format!("feedback-{id}"), "complainedRecipients": [{ "emailAddress": to }] } }),
            ),
            What::NotSent => ("Bounce", bounce("OnAccountSuppressionList", "Amazon SES did not send the message")),
        };
        let mut event = json!({ "eventType": name, "mail": {
            "timestamp": "2026-03-01T08:59:59.000Z", "messageId": format!("0102019-{id}"), "destination": [to],
            "headersTruncated": false, "headers": [{ "name": "X-Volley-Delivery", "value": key }],
        } });
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    }

    fn request(&self, event: &Value, at: i64, secret: &str) -> (Vec<(String, String)>, Vec<u8>) {
        let id = uuid::Uuid::new_v4().to_string();
        let headers = [("Content-Type", "text/plain; charset=UTF-8"), ("x-amz-sns-message-type", "Notification")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        (headers.into(), self.notification(&id, &event.to_string(), at, secret))
    }

    fn signs_inside(&self) -> bool {
        true
    }
}

fn world(db: &Database, internet: &Arc<Internet>) -> World {
    let callbacks = CallbackConfig { format: Format::Ses, secret: None, topics: vec![TOPIC.to_owned()] };
    let pool = PoolConfig { callbacks: Some(callbacks), ..sandbox(POOL, ChannelKind::Email, 0.0) };
    let fetch: Arc<dyn Fetch> = Arc::<Internet>::clone(internet);
    World::at(Server::with_fetch(db, vec![pool], fetch))
}

both_backends! {
    fn what_amazon_ses_reports_is_understood(db: &Database) {
        let internet = Internet::new();
        let (world, ses) = (world(db, &internet), Ses::new());
        is_well_served(&world, &ses);
        assert_eq!(internet.asked(), [CERTIFICATE], "the certificate is fetched once");
        // The same bounce as a notification of the identity, which is switched on beside the events.
        let event = ses.event("4", &world.delivery(world.bob), "bob@example.com", What::NotSent);
        let text = event.to_string().replace("eventType", "notificationType");
        for event in [event, serde_json::from_str(&text).unwrap()] {
            assert_eq!(is_answered(&world, &ses, &event), 200);
        }
        world.wait_read();
        assert_eq!(world.reported("rejected_later"), (1, 1));
        assert_eq!(world.count("deliveries WHERE state = 'sent'"), 2, "what was not sent after all is no failure");
    }

    fn a_request_of_amazon_that_comes_twice_has_one_effect(db: &Database) {
        let internet = Internet::new();
        let (world, ses) = (world(db, &internet), Ses::new());
        let opened = json!({ "eventType": "Open", "mail": { "headers": [{ "name": "X-Volley-Delivery", "value": world.delivery(world.ann) }] } });
        let body = ses.notification("165545c9-2a5c-472c-8df2-7ff2be2b3b1b", &opened.to_string(), now(), OWN);
        for _ in 0..3 {
            assert_eq!(world.post(&[], &body).status, 200);
        }
        world.wait_read();
        assert_eq!((world.reported("opened"), world.count("callbacks")), ((1, 1), 1));
    }

    fn a_topic_of_the_pool_is_confirmed_by_volley_itself_and_no_other(db: &Database) {
        let internet = Internet::new();
        let (world, ses) = (world(db, &internet), Ses::new());
        let url = subscribe_url(TOPIC);
        let foreign = "arn:aws:sns:eu-west-1:123456789012:another";
        for (what, body) in [
            ("another topic", ses.confirmation("SubscriptionConfirmation", foreign, &subscribe_url(foreign), OWN)),
            ("a stranger's", ses.confirmation("SubscriptionConfirmation", TOPIC, &url, "stranger")),
            ("another host", ses.confirmation("SubscriptionConfirmation", TOPIC, "https://example.com/?Action=ConfirmSubscription&Token=1", OWN)),
            ("something else", ses.confirmation("SubscriptionConfirmation", TOPIC, &url.replace("Confirm", "Un"), OWN)),
        ] {
            let refused = world.post(&[], &body);
            assert_eq!((refused.status, refused.code()), (401, "callback_unverified"), "{what}");
            assert!(internet.asked().iter().all(|asked| asked == CERTIFICATE), "{what}");
        }
        let body = ses.confirmation("SubscriptionConfirmation", TOPIC, &url, OWN);
        internet.put(&url, Err(NotFetched::Unreachable("no route".to_owned())));
        let away = world.post(&[], &body);
        assert_eq!((away.status, away.code()), (503, "provider_unavailable"));
        internet.put(&url, Ok(b"<ConfirmSubscriptionResponse/>".to_vec()));
        assert_eq!(world.post(&[], &body).status, 200);
        assert_eq!(internet.asked(), [url.as_str(), url.as_str()]);
        let ended = ses.confirmation("UnsubscribeConfirmation", TOPIC, &url, OWN);
        assert_eq!(world.post(&[], &ended).status, 200);
        assert!(internet.asked().is_empty(), "an unsubscription is not taken back");
        assert_eq!(world.count("callbacks"), 0);
    }

    fn a_certificate_of_another_host_is_never_asked_for(db: &Database) {
        let internet = Internet::new();
        let (world, ses) = (world(db, &internet), Ses::new());
        let event = ses.event("1", &world.delivery(world.ann), "ann@example.com", What::Complained);
        let sign = |url: &str| {
            let (_, body) = ses.request(&event, now(), "stranger");
            String::from_utf8(body).unwrap().replace(CERTIFICATE, url).into_bytes()
        };
        for url in [
            "https://example.com/SimpleNotificationService-0a.pem",
            "https://sns.eu-west-1.amazonaws.com.example.com/SimpleNotificationService-0a.pem",
            "https://sns.eu-west-1.amazonaws.com@example.com/SimpleNotificationService-0a.pem",
            "https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-0a.pem",
            "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a.pem",
            "https://sns.eu-west-1.amazonaws.com/?Action=GetEndpointAttributes&x=SimpleNotificationService-0a.pem",
            "http://169.254.169.254/latest/meta-data",
        ] {
            assert_eq!(world.post(&[], &sign(url)).status, 401, "{url}");
            assert_eq!(internet.asked(), [""; 0], "{url}");
        }
        let missing = CERTIFICATE.replace("0123", "3210");
        for _ in 0..3 {
            assert_eq!(world.post(&[], &sign(&missing)).status, 503, "it may be new, and Amazon does not repeat what is refused");
        }
        assert_eq!(internet.asked(), [missing], "where no certificate is, it is not asked again at once");
        assert_eq!(world.count("callbacks"), 0);
    }

    fn while_amazon_cannot_be_asked_its_requests_come_again(db: &Database) {
        let internet = Internet::new();
        internet.put(CERTIFICATE, Err(NotFetched::Unreachable("no route".to_owned())));
        let (world, ses) = (world(db, &internet), Ses::new());
        let event = ses.event("1", &world.delivery(world.ann), "ann@example.com", What::Complained);
        let (headers, body) = ses.request(&event, now(), OWN);
        let away = world.post(&headers, &body);
        assert_eq!((away.status, away.code()), (503, "provider_unavailable"));
        assert_eq!(world.count("callbacks"), 0);
        internet.put(CERTIFICATE, Ok(include_bytes!("ses/amazon.pem").to_vec()));
        // For some seconds it is not asked again.
        wait_for("it is taken", LONG, || (world.post(&headers, &body).status == 200).then_some(()));
        assert_eq!(internet.asked(), [CERTIFICATE, CERTIFICATE]);
        world.wait_read();
        assert_eq!(world.reported("complained"), (1, 1));
    }

    fn what_is_no_certificate_is_not_kept_for_a_day(db: &Database) {
        let internet = Internet::new();
        internet.put(CERTIFICATE, Ok(b"<html>This network asks you to log in first</html>".to_vec()));
        let (world, ses) = (world(db, &internet), Ses::new());
        let event = ses.event("1", &world.delivery(world.ann), "ann@example.com", What::Complained);
        let (headers, body) = ses.request(&event, now(), OWN);
        for _ in 0..3 {
            assert_eq!(world.post(&headers, &body).status, 401);
        }
        assert_eq!(internet.asked(), [CERTIFICATE], "nor is it asked for with each request");
        internet.put(CERTIFICATE, Ok(include_bytes!("ses/amazon.pem").to_vec()));
        wait_for("it is taken", LONG, || (world.post(&headers, &body).status == 200).then_some(()));
    }
}
