//! The pause of a campaign that too many of its recipients cannot be rendered for.

use diesel::prelude::*;

use super::{CampaignRow, TransitionError, locked, set_status};
use crate::domain::campaign::{CampaignEvent, CampaignStatus, ContentDoubt};
use crate::domain::decision::{Action, Subject};
use crate::domain::ids::CampaignId;
use crate::store::schema::campaigns;
use crate::store::{Conn, StoreError, notices};

/// Pauses a campaign because too many of its recipients could not be rendered. Once only: whoever resumes it has taken
/// that in. Returns the campaign as it is then.
///
/// # Errors
/// The campaign is missing, or the query failed.
pub fn doubt_content(conn: &mut Conn, id: CampaignId) -> Result<CampaignRow, TransitionError> {
    let row = locked(conn, id)?;
    if row.status != CampaignStatus::Sending || row.content_doubt.is_some() {
        return Ok(row);
    }
    diesel::update(campaigns::table.find(id))
        .set(campaigns::content_doubt.eq(ContentDoubt::Raised))
        .execute(conn)
        .map_err(StoreError::query("doubt a campaign's content"))?;
    let paused = set_status(conn, &row, row.status.next(CampaignEvent::Pause)?, None)?;
    notices::post(conn, &Subject::Campaign(id), paused.status_version, Action::Pause)?;
    Ok(paused)
}

/// Notes that a doubt was overruled. The caller holds the exclusive lock.
pub(super) fn waive(conn: &mut Conn, id: CampaignId) -> Result<(), StoreError> {
    diesel::update(campaigns::table.find(id).filter(campaigns::content_doubt.eq(ContentDoubt::Raised)))
        .set(campaigns::content_doubt.eq(ContentDoubt::Waived))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("waive a doubt in a campaign's content"))
}
