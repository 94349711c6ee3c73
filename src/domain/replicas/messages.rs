//! What instances tell one another over the broker: camelCase, unknown fields refused, a fresh UUID v4 in every message.
//!
//! Publishers and consumers use the same types; [`parse`] is the one validator. A message is a hint: it names
//! rows, and the rows are the truth.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::decision::{Action, Scope, Subject};
use crate::domain::dispatch::page::Counts;
use crate::domain::ids::{CampaignId, PageId};
use crate::domain::instant::UtcInstant;

/// Largest message that is read, in bytes. Ours are a tenth of it.
pub const MAX_BYTES: usize = 4_096;

/// `campaigns.pack`: launch this campaign. It comes from outside and passes by the API keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pack {
    /// The campaign.
    #[serde(deserialize_with = "positive_campaign")]
    pub campaign_id: CampaignId,
    /// When somebody asked for it: RFC 3339 with an offset.
    pub triggered_at: UtcInstant,
    /// Who or what did, for the log.
    #[serde(deserialize_with = "some_text")]
    pub triggered_by: String,
    /// Of the message.
    #[serde(deserialize_with = "version_4")]
    pub correlation_id: Uuid,
}

/// `campaigns.send`: this page is ready to be leased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Send {
    /// The campaign.
    #[serde(deserialize_with = "positive_campaign")]
    pub campaign_id: CampaignId,
    /// The page.
    #[serde(deserialize_with = "positive_page")]
    pub page_id: PageId,
    /// Its number in the campaign, from 1.
    #[serde(deserialize_with = "at_least_1")]
    pub page: i64,
    /// Of the message.
    #[serde(deserialize_with = "version_4")]
    pub correlation_id: Uuid,
}

impl Send {
    /// Says that a page is ready.
    #[must_use]
    pub fn of(campaign_id: CampaignId, page_id: PageId, page: i64) -> Self {
        Self { campaign_id, page_id, page, correlation_id: Uuid::new_v4() }
    }
}

/// `campaigns.tracked`: a page is done; or, as page 0, the whole campaign is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tracked {
    /// The campaign.
    #[serde(deserialize_with = "positive_campaign")]
    pub campaign_id: CampaignId,
    /// The page's number from 1; 0 is the whole campaign.
    #[serde(deserialize_with = "at_least_0")]
    pub page: i64,
    /// Recipients in this state.
    #[serde(deserialize_with = "at_least_0")]
    pub sent_count: i64,
    /// Recipients in this state.
    #[serde(deserialize_with = "at_least_0")]
    pub failed_count: i64,
    /// Recipients in this state.
    #[serde(deserialize_with = "at_least_0")]
    pub skipped_count: i64,
    /// Recipients in this state.
    #[serde(deserialize_with = "at_least_0")]
    pub uncertain_count: i64,
    /// Whether the campaign has ended.
    pub completed: bool,
    /// Of the message.
    #[serde(deserialize_with = "version_4")]
    pub correlation_id: Uuid,
}

impl Tracked {
    /// Says that a page is done.
    #[must_use]
    pub fn page(campaign_id: CampaignId, page: i64, counts: Counts) -> Self {
        Self::of(campaign_id, page, counts, false)
    }

    /// Says that a campaign has ended; `counts` are those of all its pages.
    #[must_use]
    pub fn campaign(campaign_id: CampaignId, counts: Counts) -> Self {
        Self::of(campaign_id, 0, counts, true)
    }

    fn of(campaign_id: CampaignId, page: i64, counts: Counts, completed: bool) -> Self {
        Self {
            campaign_id,
            page,
            sent_count: counts.sent,
            failed_count: counts.failed,
            skipped_count: counts.skipped,
            uncertain_count: counts.uncertain,
            completed,
            correlation_id: Uuid::new_v4(),
        }
    }
}

/// `campaigns.control`: an operator has decided; the decision is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Control {
    /// What it is about.
    pub scope: Scope,
    /// A campaign's id, or a pool's name.
    #[serde(deserialize_with = "some_text")]
    pub id: String,
    /// What was decided.
    pub action: Action,
    /// Rises with every decision: a late message never replaces a newer one.
    #[serde(deserialize_with = "at_least_1")]
    pub status_version: i64,
    /// Of the message.
    #[serde(deserialize_with = "version_4")]
    pub correlation_id: Uuid,
}

impl Control {
    /// Tells of a decision.
    #[must_use]
    pub fn of(subject: &Subject, action: Action, status_version: i64) -> Self {
        let (scope, id) = (subject.scope(), subject.name());
        Self { scope, id, action, status_version, correlation_id: Uuid::new_v4() }
    }

    /// What it is about, if there can be such a thing.
    #[must_use]
    pub fn subject(&self) -> Option<Subject> {
        Subject::parse(self.scope, &self.id)
    }
}

/// Why a message was not understood. It never repeats the message: nobody knows what is in it.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct BadMessage {
    /// The field, or `body`.
    pub field: String,
    /// What is allowed.
    pub reason: String,
}

/// Reads a message.
///
/// # Errors
/// It is too large, not JSON, misses a field, has one too many, or one that is not what the contract says.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, BadMessage> {
    if body.len() > MAX_BYTES {
        let reason = format!("{} bytes; at most {MAX_BYTES} are read", body.len());
        return Err(BadMessage { field: "body".to_owned(), reason });
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let message = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { "body".to_owned() } else { path };
        BadMessage { field, reason: reason_of(error.inner()) }
    })?;
    json.end()
        .map_err(|_trailing| BadMessage { field: "body".to_owned(), reason: "text follows the message".to_owned() })?;
    Ok(message)
}

/// serde's words without the values that it quotes.
fn reason_of(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match error.classify() {
        serde_json::error::Category::Data if text.starts_with("missing field") => text,
        serde_json::error::Category::Data if text.starts_with("unknown field") => {
            "a field that the contract does not have".to_owned()
        }
        serde_json::error::Category::Data if text.starts_with("expected: ") => text,
        serde_json::error::Category::Data => "not what the contract allows".to_owned(),
        serde_json::error::Category::Io | serde_json::error::Category::Syntax | serde_json::error::Category::Eof => {
            "not a JSON document".to_owned()
        }
    }
}

fn at_least<'de, D: Deserializer<'de>>(deserializer: D, least: i64) -> Result<i64, D::Error> {
    let n = i64::deserialize(deserializer)?;
    if n >= least { Ok(n) } else { Err(D::Error::custom(format!("expected: a whole number, at least {least}"))) }
}

fn at_least_0<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    at_least(deserializer, 0)
}

fn at_least_1<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    at_least(deserializer, 1)
}

fn positive_campaign<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CampaignId, D::Error> {
    at_least(deserializer, 1).map(CampaignId)
}

fn positive_page<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PageId, D::Error> {
    at_least(deserializer, 1).map(PageId)
}

fn some_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.trim().is_empty() { Err(D::Error::custom("expected: some text")) } else { Ok(text) }
}

fn version_4<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
    let id = Uuid::deserialize(deserializer)?;
    match id.get_version() {
        Some(uuid::Version::Random) => Ok(id),
        _ => Err(D::Error::custom("expected: a UUID of version 4")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "2f1e1a52-6d0c-4a0c-9c55-0a4a7b1f9d10";

    fn send(fields: &str) -> Result<Send, BadMessage> {
        parse(format!("{{{fields}}}").as_bytes())
    }

    #[test]
    fn what_is_published_passes_the_validator_of_the_consumers() {
        let (campaign, page) = (CampaignId(7), PageId(9));
        let counts = Counts { pending: 0, sending: 0, sent: 3, failed: 1, skipped: 0, uncertain: 2 };
        let json = |message: &dyn erased::Json| message.json();
        assert!(parse::<Send>(&json(&Send::of(campaign, page, 1))).is_ok());
        assert!(parse::<Tracked>(&json(&Tracked::page(campaign, 4, counts))).is_ok());
        assert!(parse::<Tracked>(&json(&Tracked::campaign(campaign, Counts::default()))).is_ok());
        for (subject, action) in
            [(Subject::Campaign(campaign), Action::Pause), (Subject::Pool("marketing".to_owned()), Action::Suspend)]
        {
            let control = Control::of(&subject, action, 3);
            let read: Control = parse(&json(&control)).unwrap();
            assert_eq!(read.subject(), Some(subject));
        }
    }

    mod erased {
        pub(super) trait Json {
            fn json(&self) -> Vec<u8>;
        }

        impl<T: serde::Serialize> Json for T {
            fn json(&self) -> Vec<u8> {
                serde_json::to_vec(self).unwrap()
            }
        }
    }

    #[test]
    fn the_names_on_the_wire_are_those_of_the_contract() {
        let text = serde_json::to_value(Tracked::campaign(CampaignId(1), Counts::default())).unwrap();
        let mut names: Vec<&str> = text.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        let contract = [
            "campaignId",
            "completed",
            "correlationId",
            "failedCount",
            "page",
            "sentCount",
            "skippedCount",
            "uncertainCount",
        ];
        assert_eq!(names, contract);
    }

    #[test]
    fn a_message_that_breaks_the_contract_is_refused_with_the_field() {
        let good = format!(r#""campaignId":1,"pageId":2,"page":1,"correlationId":"{ID}""#);
        assert!(send(&good).is_ok());
        for (fields, field) in [
            (good.replace("\"page\":1", "\"page\":0"), "page"),
            (good.replace("\"campaignId\":1", "\"campaignId\":\"1\""), "campaignId"),
            (good.replace("\"campaignId\":1", "\"campaignId\":-1"), "campaignId"),
            (good.replace(ID, "not-a-uuid"), "correlationId"),
            // Version 1 and version 7.
            (good.replace(ID, "a6e4b1a0-9a3d-11ee-b9d1-0242ac120002"), "correlationId"),
            (good.replace(ID, "018c5f2e-7a6b-7c3d-8e4f-5a6b7c8d9e0f"), "correlationId"),
            (format!("{good},\"totalPages\":3"), "totalPages"),
        ] {
            let error = send(&fields).unwrap_err();
            assert!(error.field.starts_with(field), "{fields}: {error}");
        }
        assert_eq!(send("\"campaignId\":1").unwrap_err().field, "body");
        assert!(parse::<Send>(b"").is_err() && parse::<Send>(b"[]").is_err() && parse::<Send>(&[b' '; 5_000]).is_err());
        assert!(parse::<Send>(format!("{{{good}}} {{}}").as_bytes()).is_err());
    }

    #[test]
    fn an_error_does_not_repeat_the_message() {
        let error = send(r#""campaignId":"ada@example.com""#).unwrap_err();
        assert!(!error.to_string().contains("ada"), "{error}");
    }
}
