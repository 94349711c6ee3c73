//! Callbacks: requests by which providers report what became of messages. Each format has a file of its own: how its requests are
//! verified, and what they say.

mod basic_auth;
pub mod delivery_key;
pub mod inbound;
pub mod mail;
pub mod mailgun;
pub mod postmark;
pub mod sendgrid;
mod ses;
pub mod sns;
pub mod standard_webhooks;
pub mod words;

use std::fmt::Write as _;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use self::delivery_key::DeliveryKey;
use self::inbound::Inbound;
use super::bounce::Cause;
use super::instant::UtcInstant;
use super::reports::ReportKind;
use super::text_enum::text_enum;

/// How far a signed time may be from the clock of this machine, in milliseconds.
pub const TOLERANCE_MS: i64 = 5 * 60 * 1000;

/// The field of a provider's metadata that holds the key of a delivery.
pub const METADATA: &str = "volley_delivery";

/// The header of a message that holds the key of its delivery.
pub const HEADER: &str = "X-Volley-Delivery";

/// The most reports in one callback.
pub const MOST_REPORTS: usize = 5_000;

/// The longest key of a callback or a report, in bytes. A longer one is hashed.
const LONGEST_KEY: usize = 128;

/// The longest text that is kept with a report, in characters.
const LONGEST_TEXT: usize = 1_000;

text_enum! {
    /// The formats of callbacks.
    Format {
        /// <https://www.standardwebhooks.com>: Resend, and programs of one's own.
        StandardWebhooks = "standard-webhooks",
        /// Postmark.
        Postmark = "postmark",
        /// Mailgun.
        Mailgun = "mailgun",
        /// SendGrid.
        SendGrid = "sendgrid",
        /// Amazon SES, through Amazon SNS.
        Ses = "ses",
        /// Mail that comes back: it is brought by the mail server that takes it.
        Mail = "mail",
    }
}

text_enum! {
    /// How far a callback is.
    CallbackState {
        /// It is to be read.
        Pending = "pending",
        /// It was read, and had its effect.
        Done = "done",
        /// It could not be understood.
        Failed = "failed",
    }
}

/// A request, as far as it is verified.
pub struct Incoming<'a> {
    /// Names in lower case, and values.
    pub headers: &'a [(String, String)],
    /// As it came.
    pub body: &'a [u8],
    /// The clock of this machine.
    pub now: UtcInstant,
}

impl Incoming<'_> {
    /// The value of a header that is there once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
        values.next().filter(|_| values.next().is_none())
    }
}

/// The request does not come from the provider, or not now. It does not say why: nobody learns by it how to forge one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request is not signed with the pool's secret, or its signature is too old")]
pub struct Unverified;

/// What a callback says cannot be understood. For people, and without personal data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotUnderstood(pub String);

impl NotUnderstood {
    /// The body is no JSON of the kind that the format has.
    #[must_use]
    pub fn json(error: &serde_json::Error) -> Self {
        // What serde says may repeat a value.
        Self(format!("the body is not JSON of this format: line {}, column {}", error.line(), error.column()))
    }
}

/// A callback that was verified.
pub struct Received<'a> {
    /// Of its body.
    pub content_type: &'a str,
    /// As it came; a message as [`mail::stored`] writes it.
    pub body: &'a str,
    /// What repetitions of it share.
    pub key: &'a str,
}

/// What a callback says of one delivery. It holds personal data: never logged, so it has no `Debug`.
#[derive(Clone)]
pub struct Report {
    /// Under it, the pool's report is counted once.
    pub key: String,
    /// Which delivery it is about, where it says so.
    pub delivery: Option<DeliveryKey>,
    /// What it says.
    pub kind: ReportKind,
    /// Why, if the message came back or was not sent.
    pub cause: Cause,
    /// When that happened.
    pub occurred_at: Option<UtcInstant>,
    /// The address that the message went to, as the provider writes it.
    pub address: Option<String>,
    /// What else is known: at most 32 KiB as JSON.
    pub details: Map<String, Value>,
}

/// What a callback says. It holds personal data: never logged, so it has no `Debug`.
pub enum Said {
    /// What became of messages.
    Reports(Vec<Report>),
    /// A message that somebody sent.
    Message(Inbound),
}

impl Report {
    /// A report with nothing but its kind.
    #[must_use]
    pub fn new(key: &str, delivery: Option<DeliveryKey>, kind: ReportKind) -> Self {
        let cause = Cause::Other;
        Self { key: short_key(key), delivery, kind, cause, occurred_at: None, address: None, details: Map::new() }
    }

    /// With a text among its details, cut to what is kept. Nothing is added where there is none.
    #[must_use]
    pub fn with(mut self, name: &str, text: Option<&str>) -> Self {
        if let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) {
            self.details.insert(name.to_owned(), text.chars().take(LONGEST_TEXT).collect::<String>().into());
        }
        self
    }

    /// Of a message that came back, or was not sent.
    #[must_use]
    pub fn because(mut self, cause: Cause) -> Self {
        self.cause = cause;
        self.with("cause", Some(cause.as_str()))
    }
}

impl Format {
    /// Verifies a request by the pool's secrets. What repetitions of the request share. Requests of Amazon are verified by a certificate
    /// ([`sns`]), and never by a secret.
    ///
    /// # Errors
    /// [`Unverified`]: nothing of it may be believed.
    pub fn verify(self, incoming: &Incoming<'_>, secrets: &[&str]) -> Result<String, Unverified> {
        match self {
            Self::StandardWebhooks => standard_webhooks::verify(incoming, secrets),
            Self::Postmark | Self::Mail => basic_auth::verify(incoming, secrets),
            Self::Mailgun => mailgun::verify(incoming, secrets),
            Self::SendGrid => sendgrid::verify(incoming, secrets),
            Self::Ses => Err(Unverified),
        }
        .map(|key| short_key(&key))
    }

    /// Verifies what the head of a request says by itself: a stranger's body is not read then. `incoming` has no body yet.
    ///
    /// # Errors
    /// [`Unverified`].
    pub fn verify_head(self, incoming: &Incoming<'_>, secrets: &[&str]) -> Result<(), Unverified> {
        match self {
            Self::Postmark | Self::Mail => basic_auth::verify_head(incoming, secrets),
            Self::StandardWebhooks | Self::Mailgun | Self::SendGrid | Self::Ses => Ok(()),
        }
    }

    /// What a callback says. Events that are no reports are passed over.
    ///
    /// # Errors
    /// [`NotUnderstood`].
    pub fn read(self, callback: &Received<'_>) -> Result<Said, NotUnderstood> {
        let reports = match self {
            Self::StandardWebhooks => match standard_webhooks::read(callback)? {
                Said::Reports(reports) => Ok(reports),
                message @ Said::Message(_) => return Ok(message),
            },
            Self::Postmark => postmark::read(callback),
            Self::Mailgun => mailgun::read(callback),
            Self::SendGrid => sendgrid::read(callback),
            Self::Ses => ses::read(callback),
            Self::Mail => mail::read(callback),
        }?;
        if reports.len() > MOST_REPORTS {
            return Err(NotUnderstood(format!("it has {} reports; at most {MOST_REPORTS} are taken", reports.len())));
        }
        Ok(Said::Reports(reports))
    }

    /// The largest body, in bytes.
    #[must_use]
    pub const fn most_of_a_body(self) -> usize {
        match self {
            Self::Mail => mail::MOST_OF_A_MAIL,
            Self::StandardWebhooks | Self::Postmark | Self::Mailgun | Self::SendGrid | Self::Ses => 1 << 20,
        }
    }

    /// A body as it is stored: as text. A message has parts of several character sets, and is kept in base64.
    #[must_use]
    pub fn stored(self, body: &[u8]) -> String {
        match self {
            Self::Mail => mail::stored(body),
            // Neither database keeps NUL in a text, and no format has it.
            Self::StandardWebhooks | Self::Postmark | Self::Mailgun | Self::SendGrid | Self::Ses => {
                String::from_utf8_lossy(body).replace('\0', "")
            }
        }
    }

    /// Whether requests can be verified by a secret like this.
    ///
    /// # Errors
    /// What a secret of this format looks like.
    pub fn check_secret(self, secret: &str) -> Result<(), &'static str> {
        match self {
            Self::StandardWebhooks => standard_webhooks::check_secret(secret),
            Self::Postmark | Self::Mail => basic_auth::check_secret(secret),
            Self::Mailgun => mailgun::check_secret(secret),
            Self::SendGrid => sendgrid::check_secret(secret),
            Self::Ses => Err("ses has no secret: its requests are verified by Amazon's certificate; set topics"),
        }
    }

    /// The header by which a message of SMTP tells the provider what to give back with its reports: the key of the delivery. `None`: it
    /// needs none. A key has nothing that JSON would have to escape.
    #[must_use]
    pub fn metadata_header(self, key: &str) -> Option<String> {
        match self {
            Self::StandardWebhooks | Self::Ses | Self::Mail => None,
            Self::Postmark => Some(format!("X-PM-Metadata-{METADATA}: {key}")),
            Self::Mailgun => Some(format!("X-Mailgun-Variables: {{\"{METADATA}\": \"{key}\"}}")),
            Self::SendGrid => Some(format!("X-SMTPAPI: {{\"unique_args\": {{\"{METADATA}\": \"{key}\"}}}}")),
        }
    }
}

/// A key that is short enough to be stored: long ones, and such with strange characters, by their hash.
#[must_use]
pub fn short_key(key: &str) -> String {
    let fits = (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { key.to_owned() } else { hash(key.as_bytes()) }
}

/// SHA-256 in hex.
#[must_use]
pub fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_is_there_twice_is_none() {
        let headers = [("a", "1"), ("b", "2"), ("b", "3")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let incoming = Incoming { headers: &headers, body: b"", now: UtcInstant(0) };
        assert_eq!((incoming.header("a"), incoming.header("b"), incoming.header("c")), (Some("1"), None, None));
    }

    #[test]
    fn a_key_that_does_not_fit_is_hashed() {
        assert_eq!(short_key("msg_1"), "msg_1");
        for key in ["", "with blank", "ü", &"x".repeat(129)] {
            assert_eq!(short_key(key).len(), 64, "{key}");
        }
    }
}
