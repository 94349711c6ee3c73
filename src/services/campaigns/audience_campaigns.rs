//! Campaigns whose recipients an audience names.

use std::collections::BTreeSet;

use crate::domain::campaigns::audience::Audience;
use crate::domain::ids::CampaignId;
use crate::store::campaigns::archives::{self, Archived};
use crate::store::dispatch::archiving;
use crate::store::engine::{self, CampaignLock};
use crate::store::{Conn, StoreError};

/// Those of the campaigns that an audience names whose recipients cannot be asked for, because their deliveries were archived; by their ids. In a write
/// transaction, none of the others is archived before it ends.
///
/// # Errors
/// A query failed.
pub(super) fn archived(conn: &mut Conn, audience: &Audience) -> Result<Vec<Archived>, StoreError> {
    let parts = audience.include.campaigns.iter().chain(&audience.exclude.campaigns);
    let named: BTreeSet<CampaignId> = parts.map(|part| part.id).collect();
    let named: Vec<CampaignId> = named.into_iter().collect();
    // Only what has ended: what is under way is not archived for a day at least, and its pause must not wait for a launch of another one.
    for id in archiving::ended(conn, &named)? {
        engine::lock_campaign(conn, id, CampaignLock::Shared)?;
    }
    let mut archived: Vec<Archived> = archives::of(conn, &named)?.into_values().collect();
    archived.sort_unstable_by_key(|archived| archived.campaign.0);
    Ok(archived)
}
