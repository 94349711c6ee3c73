//! Providers, answer by answer, against servers that follow a script.

mod recipes;
mod sandbox;
mod smtp;
mod smtp_content;
mod smtp_relays;
mod tls;
mod webhook;
mod webhook_http2;
mod webhook_kept;
mod webhook_meaning;
mod webhook_proxy;
mod webhook_wire;

use std::sync::atomic::{AtomicUsize, Ordering};

use volley::channels::Gate;
use volley::config::pools::PoolConfig;
use volley::domain::content::message::{Envelope, Message};
use volley::domain::dispatch::outcome::{NotBegun, Outcome};
use volley::domain::dispatch::trouble::Trouble;
use volley::domain::ids::{CampaignId, ContactId};

/// A gate that counts how often it was asked.
#[derive(Default)]
pub(crate) struct Turnstile {
    asked: AtomicUsize,
    shut: Option<NotBegun>,
    /// How often it opens before it is shut.
    opens: usize,
}

impl Turnstile {
    fn shut(reason: NotBegun) -> Self {
        Self { shut: Some(reason), ..Self::default() }
    }

    fn shut_after(opens: usize, reason: NotBegun) -> Self {
        Self { opens, ..Self::shut(reason) }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Gate for Turnstile {
    fn begin(&self) -> Result<(), NotBegun> {
        let before = self.asked.fetch_add(1, Ordering::SeqCst);
        self.shut.filter(|_| before >= self.opens).map_or(Ok(()), Err)
    }
}

/// A pool's settings: what the provider needs, and `more` over it.
fn pool(provider: &str, more: serde_json::Value) -> PoolConfig {
    let mut settings = serde_json::json!({
        "name": "test", "channel": "email", "provider": provider, "timeout_seconds": 1,
    });
    if provider == "smtp" {
        settings["final_reply_timeout_seconds"] = 1.into();
    }
    for (name, value) in more.as_object().unwrap().iter().filter(|(_, value)| !value.is_null()) {
        settings[name] = value.clone();
    }
    serde_json::from_value(settings).unwrap()
}

fn envelope() -> Envelope {
    Envelope {
        campaign_id: CampaignId(7),
        contact_id: ContactId(42),
        to: "bob@example.com".to_owned(),
        to_name: Some("Bob".to_owned()),
        message: Message {
            subject: "Hello".to_owned(),
            text: "Hello Bob".to_owned(),
            html: None,
            ..Message::default()
        },
        key: "c0ffee:42".to_owned(),
        attempt: 1,
        trace: None,
        details: None,
        attachments: std::sync::Arc::default(),
    }
}

/// The outcome's name, for tables.
fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted { .. } => "accepted",
        Outcome::Refused(refusal) if refusal.class.is_relay() => "pool fault",
        Outcome::Refused(refusal) if !refusal.permanent => "deferred",
        Outcome::Refused(_) | Outcome::Unsendable(_) => "rejected",
        Outcome::Unknown(_) => "unknown",
        Outcome::KeySeen { .. } => "key seen",
        Outcome::NotBegun(_) => "not begun",
    }
}

/// What went wrong, where something did.
fn trouble(outcome: &Outcome) -> &Trouble {
    outcome.trouble().unwrap_or_else(|| panic!("no trouble: {outcome:?}"))
}
