//! What is handed to a provider: a message, and the envelope around it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::attachment::Attachment;
use super::props::Props;
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::contact::Profile;
use crate::domain::trace::Trace;

/// Rendered content. Kept with a delivery when an attempt has to be repeated, so that one idempotency key never
/// carries two bodies.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Message {
    /// Subject line; empty on channels that have none.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// HTML, where the template has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// How its recipient unsubscribes, in a message of marketing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<ListHeaders>,
    /// When it was written for the first attempt: what its `Date` says at every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_at: Option<UtcInstant>,
    /// Who it is from, where the campaign says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Where answers go, where the campaign or its template says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Headers of the campaign or its template: names and values, each one line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The signed token that an email comes back with, where its pool says where to (`return_path`). base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<String>,
}

/// What a mailbox provider needs to offer its own button to unsubscribe (RFC 2369, RFC 8058, RFC 2919).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListHeaders {
    /// Takes a POST that unsubscribes at once. ASCII.
    pub unsubscribe: String,
    /// Names the topic: `news.mail.example.com`. ASCII.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl ListHeaders {
    /// The headers of an email, in the order in which they are written: name and value.
    #[must_use]
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("List-Unsubscribe", format!("<{}>", self.unsubscribe)),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()),
        ];
        lines.extend(self.id.as_ref().map(|id| ("List-Id", format!("<{id}>"))));
        lines
    }
}

/// What an attempt said, and its address: what the next one under the same key repeats. Holds personal data: never logged, hence
/// no `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The words.
    #[serde(flatten)]
    pub message: Message,
    /// The address. What an earlier version kept has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The recipient's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_name: Option<String>,
    /// What else the attempt said of the recipient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<Details>>,
}

/// What a provider's request may say beside the message. Holds personal data: never logged, hence no `Debug`.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Details {
    /// The contact's data.
    #[serde(flatten)]
    pub profile: Profile,
    /// The name of the campaign's template, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_name: Option<String>,
    /// The campaign's own values.
    #[serde(default, skip_serializing_if = "Props::is_empty")]
    pub props: Props,
}

/// One delivery, ready to be handed over. Holds personal data: never logged, hence no `Debug`.
#[derive(Clone)]
pub struct Envelope {
    /// The campaign.
    pub campaign_id: CampaignId,
    /// The contact.
    pub contact_id: ContactId,
    /// Where it goes: an address or an E.164 number, as the channel needs it.
    pub to: String,
    /// The recipient's name, where known; used in the `To` header.
    pub to_name: Option<String>,
    /// What it says.
    pub message: Message,
    /// `<campaign key>:<contact id>`: the idempotency key, and the left part of the `Message-ID`. One for the
    /// delivery's whole life.
    pub key: String,
    /// 1 for the first hand-over.
    pub attempt: u32,
    /// What the hand-over is a part of, for channels that can say so.
    pub trace: Option<Trace>,
    /// What else is known, for channels that ask for it.
    pub details: Option<Box<Details>>,
    /// Files that every message of the campaign has.
    pub attachments: Arc<[Attachment]>,
}
