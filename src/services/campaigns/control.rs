//! Pause, resume, stop.

use crate::domain::campaigns::CampaignEvent;
use crate::domain::ids::CampaignId;
use crate::domain::replicas::decision::{Action, Subject};
use crate::domain::replicas::messages::Control;
use crate::services::{By, Services};
use crate::store::Lane;
use crate::store::campaigns::{self, CampaignRow, TransitionError};

/// Pauses, resumes or stops a campaign, as `event` says. The status cache is changed before this returns: from then on no
/// hand-over of this instance begins after a pause or a stop.
///
/// # Errors
/// The campaign is missing, its status does not allow the event, or the database failed.
pub async fn control(
    services: &Services,
    id: CampaignId,
    event: CampaignEvent,
    by: &By,
) -> Result<CampaignRow, TransitionError> {
    let change = move |conn: &mut _| campaigns::transition(conn, id, event);
    let row = services.store.transact(Lane::Control, "change a campaign's status", change).await?;
    services.status.set(id, row.status, row.status_version);
    tracing::info!(
        event = "campaign.control",
        campaign.id = id.0,
        campaign.status = row.status.as_str(),
        campaign.event = event.as_str(),
        by = %by,
        "a decision about the campaign is stored"
    );
    services.hints.campaign_changed(id);
    if let Some(action) = Action::of(event) {
        services.hints.decision_stored(&Control::of(&Subject::Campaign(id), action, row.status_version), by);
    }
    Ok(row)
}
