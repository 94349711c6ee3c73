//! A message that somebody sent: an answer to a text message, on WhatsApp or by mail.

use serde::Deserialize;

use super::words::Ask;
use super::{NotUnderstood, Received, short_key};
use crate::domain::channel::ChannelKind;
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::normalised;

/// What `type` of such a callback is.
pub const TYPE: &str = "message.received";

/// A message that somebody sent. It holds personal data: never logged, so it has no `Debug`.
#[derive(Clone)]
pub struct Inbound {
    /// Under it, the message is heard once.
    pub key: String,
    /// How it came.
    pub channel: ChannelKind,
    /// The address that it came from, in the form that contacts hold it in.
    pub from: String,
    /// When it was sent, as the program says.
    pub sent_at: UtcInstant,
    /// What it says. It is compared with words, and kept nowhere.
    pub text: String,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    _kind: String,
    timestamp: UtcInstant,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    channel: ChannelKind,
    from: String,
    text: String,
}

pub(super) fn read(callback: &Received<'_>) -> Result<Inbound, NotUnderstood> {
    let event: Event = serde_json::from_str(callback.body).map_err(|error| NotUnderstood::json(&error))?;
    let Data { channel, from, text } = event.data;
    if channel == ChannelKind::Http {
        return Err(NotUnderstood("data.channel must be sms, whatsapp or email".to_owned()));
    }
    let not_an_address = |error: crate::domain::people::contact::FieldError| {
        NotUnderstood(format!("data.from is no address of channel {channel}: it {}", error.reason))
    };
    let from = normalised(channel, &from).map_err(not_an_address)?;
    Ok(Inbound { key: short_key(callback.key), channel, from, sent_at: event.timestamp, text })
}

/// The event that the sender gets: what was asked for, or only that something was said.
#[must_use]
pub const fn event(ask: Option<Ask>) -> &'static str {
    match ask {
        Some(Ask::Stop) => "message.stop_asked",
        Some(Ask::Start) => "message.start_asked",
        Some(Ask::Help) => "message.help_asked",
        None => "message.received",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Inbound, NotUnderstood> {
        super::read(&Received { content_type: "application/json", body, key: "msg_1" })
    }

    fn body(channel: &str, from: &str) -> String {
        format!(
            r#"{{"type": "message.received", "timestamp": "2026-03-01T09:00:00Z",
                "data": {{"channel": "{channel}", "from": "{from}", "text": "Stop"}}}}"#
        )
    }

    #[test]
    fn a_message_says_who_has_sent_it_and_when() {
        let message = read(&body("sms", "+44 20 7946 0123")).unwrap_or_else(|NotUnderstood(error)| panic!("{error}"));
        assert_eq!((message.channel, message.from.as_str()), (ChannelKind::Sms, "+442079460123"));
        assert_eq!((message.sent_at, message.text.as_str()), (UtcInstant(1_772_355_600_000), "Stop"));
        // A gateway that tells more than is asked for loses nobody's refusal.
        assert!(read(&body("sms", "+442079460123").replace(r#""text""#, r#""to": "12345", "text""#)).is_ok());
        for (channel, from) in [("whatsapp", "+442079460123"), ("email", "Ann@Example.com")] {
            assert!(read(&body(channel, from)).is_ok(), "{channel}");
        }
    }

    #[test]
    fn what_is_not_understood_says_so_without_repeating_it() {
        let good = body("sms", "+442079460123");
        for body in [
            body("http", "secret"),
            body("letter", "+442079460123"),
            body("sms", "0415 555 2671"),
            body("sms", "secret"),
            body("email", "secret"),
            body("sms", ""),
            good.replace(r#""2026-03-01T09:00:00Z""#, "secret"),
            good.replace(r#""timestamp": "2026-03-01T09:00:00Z","#, ""),
            good.replace(r#", "text": "Stop""#, ""),
        ] {
            let NotUnderstood(said) = read(&body).err().unwrap_or_else(|| panic!("{body} was understood"));
            assert!(!said.contains("secret") && !said.contains("2671"), "{said}");
        }
    }
}
