//! What a preflight has checked, as a short text: a launch that names it is refused when something has changed since.

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::config::Settings;
use crate::domain::campaigns::audience::Audience;
use crate::domain::content::category::Category;
use crate::domain::content::tracking::Tracking;
use crate::store::campaigns::{self, CampaignRow, about, email_fields};
use crate::store::dispatch::watermark::watermark;
use crate::store::{Conn, StoreError};

/// How many bytes of the hash are kept.
const BYTES: usize = 16;

/// What a launch would pin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pinned<'a> {
    pub(super) audience: &'a Audience,
    pub(super) category: Category,
    pub(super) tracking: Tracking,
    pub(super) pool: &'a str,
}

/// The fingerprint of a campaign as it is now. It covers the definition of the audience and the [`watermark`] of its sources, the content
/// word for word with the values of the campaign and what emails have beside it, why and through which pool it is sent, its topic, rate and
/// rules, and the settings that stand in each message. It does not cover the contacts' data, events, suppressions and standings: each message asks for those anew when it is handed over.
///
/// # Errors
/// A query failed.
pub(super) fn of(
    conn: &mut Conn,
    settings: &Settings,
    campaign: &CampaignRow,
    pinned: Pinned<'_>,
) -> Result<String, StoreError> {
    let content = campaigns::content(conn, campaign)?.map(|version| version.content());
    let Pinned { audience, category, tracking, pool } = pinned;
    let covered = json!([
        campaign.id,
        campaign.channel.as_str(),
        audience,
        watermark(conn, audience)?,
        content,
        email_fields::of(conn, campaign)?,
        category,
        tracking,
        pool,
        campaign.topic_id,
        campaign.rate_per_second,
        campaign.on_uncertain.as_str(),
        campaign.retry_for_ms,
        about::of(conn, campaign.id)?.props,
        settings.links.public_url.as_ref().map(ToString::to_string),
        settings.email.postal_address,
    ]);
    let hash = Sha256::digest(covered.to_string());
    Ok(hash.iter().take(BYTES).map(|byte| format!("{byte:02x}")).collect())
}
