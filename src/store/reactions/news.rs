//! Events of campaigns, noted for the targets that hear of them. Which ones those are is looked up when the row is taken.

use serde_json::json;

use super::{NewReaction, add, key_of};
use crate::domain::campaigns::CampaignStatus;
use crate::domain::ids::CampaignId;
use crate::domain::instant::UtcInstant;
use crate::domain::reactions::{CampaignNews, PauseReason, ReactionKind};
use crate::store::{Conn, StoreError};

/// What has happened to a campaign.
#[derive(Debug, Clone, Copy)]
pub struct Happened<'a> {
    /// Which campaign.
    pub campaign: CampaignId,
    /// Its name.
    pub name: &'a str,
    /// Its status since.
    pub status: CampaignStatus,
    /// The version of that status: names what has happened.
    pub version: i64,
    /// Why it ended as it did, where there is more to say.
    pub outcome: Option<&'a str>,
    /// When.
    pub at: UtcInstant,
}

/// Notes that a campaign was launched, or has ended.
///
/// # Errors
/// The query failed.
pub fn note(conn: &mut Conn, news: CampaignNews, happened: Happened<'_>) -> Result<(), StoreError> {
    store(conn, news, happened, None)
}

/// Notes that a campaign paused itself.
///
/// # Errors
/// The query failed.
pub fn note_pause(conn: &mut Conn, happened: Happened<'_>, reason: PauseReason) -> Result<(), StoreError> {
    store(conn, CampaignNews::Paused, happened, Some(reason))
}

fn store(
    conn: &mut Conn,
    news: CampaignNews,
    happened: Happened<'_>,
    reason: Option<PauseReason>,
) -> Result<(), StoreError> {
    let Happened { campaign, name, status, version, outcome, at } = happened;
    let content = json!({
        "campaign_id": campaign, "name": name, "status": status, "outcome": outcome, "reason": reason,
    });
    let row = NewReaction {
        kind: ReactionKind::Notice,
        segment: None,
        contact: None,
        campaign: Some(campaign),
        key: key_of(&format!("campaign-{campaign}-{version}")),
        event: news.as_str().to_owned(),
        at,
        depth: 0,
        target: None,
        content: content.to_string(),
        refused: None,
    };
    add(conn, &[row], at)
}
