//! What each provider sends, signed as its documentation says: understood, and refused when it is forged, old or of the future.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::Sha256;
use volley::domain::callbacks::Format;

use super::{World, now, pool};
use crate::support::both_backends;

/// What a message came to.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum What {
    Delivered,
    /// There is no such mailbox.
    NoSuchUser,
    /// The sender is on a list.
    Blocked,
    Complained,
    /// It was not sent: the provider knows the address as one that bounced.
    NotSent,
}

/// A provider, as far as tests play it.
pub(super) trait Provider {
    fn format(&self) -> Format;
    fn secret(&self) -> String;
    /// The event, without a signature.
    fn event(&self, id: &str, key: &str, to: &str, what: What) -> Value;
    /// Headers and body of a request, signed at this time.
    fn request(&self, event: &Value, at: i64, secret: &str) -> (Vec<(String, String)>, Vec<u8>);
    /// Whether what it signs has a time.
    fn signs_times(&self) -> bool {
        true
    }
    /// Whether the body says by itself who has sent it.
    fn signs_inside(&self) -> bool {
        false
    }
}

fn header(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

pub(super) fn is_answered(world: &World, provider: &dyn Provider, event: &Value) -> u16 {
    let (headers, body) = provider.request(event, now(), &provider.secret());
    world.post(&headers, &body).status
}

/// Everything that holds for each provider.
pub(super) fn is_well_served(world: &World, provider: &dyn Provider) {
    let (ann, bob) = (world.delivery(world.ann), world.delivery(world.bob));
    let delivered = provider.event("1", &ann, "ann@example.com", What::Delivered);
    let complained = provider.event("2", &ann, "ann@example.com", What::Complained);
    let blocked = provider.event("3", &bob, "bob@example.com", What::Blocked);
    let unknown = provider.event("4", &format!("{}:4711", world.key), "eve@example.com", What::Complained);
    for (what, at, secret) in [
        ("another secret", now(), provider.secret().replace(['a', 'b', 'c', 'M'], "d")),
        ("none", now(), String::new()),
        ("the future", now() + 400, provider.secret()),
        ("the past", now() - 3 * 86_400, provider.secret()),
    ] {
        if !provider.signs_times() && secret == provider.secret() {
            continue;
        }
        let (headers, body) = provider.request(&complained, at, &secret);
        assert_eq!(world.post(&headers, &body).status, 401, "{what}");
    }
    let (headers, mut body) = provider.request(&delivered, now(), &provider.secret());
    if !provider.signs_inside() {
        assert_eq!(world.post(&[], &body).status, 401, "the body alone");
    }
    body.resize((5 << 20) + 1, b' ');
    assert_eq!(world.post(&headers, &body).status, 413);
    assert_eq!(world.count("callbacks"), 0);
    // In the wrong order, and twice.
    for event in [&complained, &blocked, &unknown, &delivered, &complained, &delivered] {
        assert_eq!(is_answered(world, provider, event), 200, "{event}");
    }
    world.wait_read();
    assert_eq!(world.reported("complained"), (1, 1));
    assert_eq!(world.reported("delivered"), (1, 1));
    assert_eq!(world.suppressed("ann@example.com"), ["complained"]);
    assert_eq!(world.suppressed("bob@example.com"), [""; 0], "who is blocked is not suppressed");
    let gone = provider.event("5", &bob, "bob@example.com", What::NoSuchUser);
    assert_eq!(is_answered(world, provider, &gone), 200);
    world.wait_read();
    assert_eq!(world.suppressed("bob@example.com"), ["bounced"]);
    assert_eq!(world.count("suppressions WHERE address = 'eve@example.com'"), 0);
    assert_eq!(world.count("callbacks WHERE state = 'failed'"), 0);
}

struct Postmark;

impl Provider for Postmark {
    fn format(&self) -> Format {
        Format::Postmark
    }

    fn secret(&self) -> String {
        "postmark:a-long-password-1".to_owned()
    }

    fn event(&self, id: &str, key: &str, to: &str, what: What) -> Value {
        let number: i64 = id.parse().unwrap();
        let (record, kind, details) = match what {
            What::Delivered => ("Delivery", "", "Test delivery webhook details"),
            What::NoSuchUser => ("Bounce", "HardBounce", "smtp;550 5.1.1 no such user"),
            What::Blocked => ("Bounce", "Blocked", "smtp;554 your IP is on a list"),
            What::Complained => ("SpamComplaint", "SpamComplaint", "Test spam complaint details"),
            What::NotSent => ("Bounce", "ManuallyDeactivated", ""),
        };
        let mut event = json!({
            "RecordType": record, "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483", "ServerID": 23, "MessageStream": "broadcast",
            "Details": details, "Metadata": { "volley_delivery": key },
        });
        let more = if what == What::Delivered {
            json!({ "Recipient": to, "DeliveredAt": "2026-03-01T09:00:00Z" })
        } else {
            json!({ "ID": number, "Type": kind, "Email": to, "BouncedAt": "2026-03-01T09:00:00.2735393-04:00", "Inactive": true })
        };
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    }

    fn request(&self, event: &Value, _: i64, secret: &str) -> (Vec<(String, String)>, Vec<u8>) {
        let credentials = header("Authorization", format!("Basic {}", STANDARD.encode(secret)));
        (vec![credentials], event.to_string().into_bytes())
    }

    fn signs_times(&self) -> bool {
        false
    }
}

struct Mailgun;

impl Provider for Mailgun {
    fn format(&self) -> Format {
        Format::Mailgun
    }

    fn secret(&self) -> String {
        "0123456789abcdef0123456789abcdef".to_owned()
    }

    fn event(&self, id: &str, key: &str, to: &str, what: What) -> Value {
        let (name, reason, status) = match what {
            What::Delivered => ("delivered", "", json!({ "code": 250, "message": "OK" })),
            What::NoSuchUser => ("failed", "bounce", json!({ "code": 550, "message": "5.1.1 no such user" })),
            What::Blocked => ("failed", "espblock", json!({ "code": 554, "message": "your IP is on a list" })),
            What::Complained => ("complained", "", json!({})),
            What::NotSent => ("failed", "suppress-bounce", json!({ "code": 605, "message": "" })),
        };
        json!({
            "event": name, "id": format!("Ase7i2zsRYeDXztHGENq{id}"), "timestamp": 1521243339.873676, "severity": "permanent",
            "reason": reason, "delivery-status": status, "recipient": to, "user-variables": { "volley_delivery": key },
        })
    }

    fn request(&self, event: &Value, at: i64, secret: &str) -> (Vec<(String, String)>, Vec<u8>) {
        // Mailgun makes a token for each request.
        let token = format!("{}{}", uuid::Uuid::new_v4().simple(), "0123456789abcdefgh");
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{at}{token}").as_bytes());
        let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let signature = json!({ "timestamp": at.to_string(), "token": token, "signature": signature });
        (
            vec![header("Content-Type", "application/json")],
            json!({ "signature": signature, "event-data": event }).to_string().into_bytes(),
        )
    }

    fn signs_inside(&self) -> bool {
        true
    }
}

struct SendGrid {
    own: EcdsaKeyPair,
    other: EcdsaKeyPair,
}

impl SendGrid {
    fn new() -> Self {
        let pair = || {
            let random = SystemRandom::new();
            let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.as_ref(), &random).unwrap()
        };
        Self { own: pair(), other: pair() }
    }
}

impl Provider for SendGrid {
    fn format(&self) -> Format {
        Format::SendGrid
    }

    /// The public key, as SendGrid shows it.
    fn secret(&self) -> String {
        let head = STANDARD.decode("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgA=").unwrap();
        STANDARD.encode([head.as_slice(), self.own.public_key().as_ref()].concat())
    }

    fn event(&self, id: &str, key: &str, to: &str, what: What) -> Value {
        let more = match what {
            What::Delivered => json!({ "event": "delivered", "response": "250 OK" }),
            What::NoSuchUser => {
                json!({ "event": "bounce", "type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 no such user" })
            }
            What::Blocked => {
                json!({ "event": "bounce", "type": "blocked", "status": "5.7.1", "reason": "554 5.7.1 your IP is on a list" })
            }
            What::Complained => json!({ "event": "spamreport" }),
            What::NotSent => json!({ "event": "dropped", "reason": "Bounced Address" }),
        };
        let mut event = json!({ "email": to, "timestamp": 1513299569, "sg_event_id": format!("event_{id}"), "volley_delivery": key });
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([{ "event": "processed", "email": to, "sg_event_id": format!("processed_{id}") }, event])
    }

    fn request(&self, event: &Value, at: i64, secret: &str) -> (Vec<(String, String)>, Vec<u8>) {
        let (body, pair) =
            (event.to_string().into_bytes(), if secret == self.secret() { &self.own } else { &self.other });
        let signature = pair.sign(&SystemRandom::new(), &[at.to_string().as_bytes(), &body].concat()).unwrap();
        let headers = [
            header("X-Twilio-Email-Event-Webhook-Timestamp", at.to_string()),
            header("X-Twilio-Email-Event-Webhook-Signature", STANDARD.encode(signature)),
        ];
        (headers.into(), body)
    }
}

both_backends! {
    fn what_sendgrid_reports_is_understood(db: &Database) {
        let sendgrid = SendGrid::new();
        let world = World::with(db, pool(sendgrid.format(), &sendgrid.secret()));
        is_well_served(&world, &sendgrid);
        let mut unsubscribed = sendgrid.event("6", &world.delivery(world.ann), "ann@example.com", What::NotSent);
        unsubscribed[1]["reason"] = json!("Unsubscribed Address");
        assert_eq!(is_answered(&world, &sendgrid, &unsubscribed), 200);
        world.wait_read();
        assert_eq!(world.suppressed("ann@example.com"), ["unsubscribed", "complained"]);
        assert_eq!(world.count("deliveries WHERE state = 'sent'"), 2, "what was not sent after all is no failure");
    }


    fn what_postmark_reports_is_understood(db: &Database) {
        let world = World::with(db, pool(Postmark.format(), &Postmark.secret()));
        is_well_served(&world, &Postmark);
        let deactivated = Postmark.event("6", &world.delivery(world.bob), "bob@example.com", What::NotSent);
        assert_eq!(is_answered(&world, &Postmark, &deactivated), 200);
        world.wait_read();
        assert_eq!(world.suppressed("bob@example.com"), ["bounced"]);
    }

    fn what_mailgun_reports_is_understood(db: &Database) {
        let world = World::with(db, pool(Mailgun.format(), &Mailgun.secret()));
        is_well_served(&world, &Mailgun);
    }

    fn a_token_of_mailgun_opens_the_door_once(db: &Database) {
        let world = World::with(db, pool(Mailgun.format(), &Mailgun.secret()));
        let event = Mailgun.event("1", &world.delivery(world.ann), "ann@example.com", What::Delivered);
        let (headers, body) = Mailgun.request(&event, now(), &Mailgun.secret());
        assert_eq!(world.post(&headers, &body).status, 200);
        // The signature does not cover the event: somebody puts another one beside it.
        let mut forged: Value = serde_json::from_slice(&body).unwrap();
        forged["event-data"] = Mailgun.event("2", &world.delivery(world.bob), "bob@example.com", What::Complained);
        assert_eq!(world.post(&headers, forged.to_string().as_bytes()).status, 200);
        world.wait_read();
        assert_eq!(world.reported("delivered"), (1, 1));
        assert_eq!(world.reported("complained"), (0, 0));
        assert_eq!(world.count("suppressions"), 0);
    }

    fn who_is_on_mailguns_own_list_is_suppressed_and_that_is_no_failure(db: &Database) {
        let world = World::with(db, pool(Mailgun.format(), &Mailgun.secret()));
        let event = Mailgun.event("1", &world.delivery(world.ann), "ann@example.com", What::NotSent);
        assert_eq!(is_answered(&world, &Mailgun, &event), 200);
        world.wait_read();
        assert_eq!(world.suppressed("ann@example.com"), ["bounced"]);
        assert_eq!(world.count("deliveries WHERE state = 'sent'"), 2);
    }
}
