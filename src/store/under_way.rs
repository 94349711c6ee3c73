//! What campaigns that are under way still ask for while their pages are packed.

use diesel::prelude::*;

use crate::domain::campaigns::CampaignStatus;
use crate::domain::campaigns::audience::Audience;
use crate::domain::ids::CampaignId;
use crate::store::engine::schema::campaigns;
use crate::store::{Conn, StoreError};

/// The campaigns that are under way and whose audience asks for something: a list in a filter, a segment. In the order of their ids.
///
/// # Errors
/// The query failed, or what is stored is not readable.
pub fn asking(conn: &mut Conn, asks: impl Fn(&Audience) -> bool) -> Result<Vec<CampaignId>, StoreError> {
    let stored: Vec<(CampaignId, Option<String>)> = campaigns::table
        .filter(campaigns::status.eq(CampaignStatus::Sending).or(campaigns::status.eq(CampaignStatus::Paused)))
        // Most name lists alone, or contacts by the hundred thousand.
        .filter(campaigns::audience.like("%\"filter\":%").or(campaigns::audience.like("%\"segments\":%")))
        .order(campaigns::id)
        .select((campaigns::id, campaigns::audience))
        .load(conn)
        .map_err(StoreError::query("look what campaigns under way ask for"))?;
    let mut asking = Vec::new();
    for (campaign, audience) in stored {
        let audience: Audience = serde_json::from_str(audience.as_deref().unwrap_or_default())
            .map_err(|error| StoreError::Corrupt { what: "audience", detail: error.to_string() })?;
        if asks(&audience) {
            asking.push(campaign);
        }
    }
    Ok(asking)
}
