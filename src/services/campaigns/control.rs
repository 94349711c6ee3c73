//! Pause, resume, stop.

use serde_json::json;

use crate::domain::access::audit::{Action as Done, Object};
use crate::domain::campaigns::CampaignEvent;
use crate::domain::ids::CampaignId;
use crate::domain::replicas::decision::{Action, Subject};
use crate::domain::replicas::messages::Control;
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::campaigns::{self, CampaignRow, TransitionError};
use crate::store::{Conn, Lane};

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
    let asker = by.clone();
    let change = move |conn: &mut Conn| {
        let before = campaigns::locked(conn, id)?.status;
        let row = campaigns::transition(conn, id, event)?;
        if let Some(done) = done(event) {
            let line = Line::of(done, Object::Campaign, id).before(json!({ "status": before }));
            audit::write(conn, &asker, line.after(json!({ "status": row.status })))?;
        }
        Ok::<_, TransitionError>(row)
    };
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

/// What the audit log calls it. `None`: nobody decides it.
const fn done(event: CampaignEvent) -> Option<Done> {
    match event {
        CampaignEvent::Pause => Some(Done::Paused),
        CampaignEvent::Resume => Some(Done::Resumed),
        CampaignEvent::Stop => Some(Done::Stopped),
        CampaignEvent::Schedule
        | CampaignEvent::Unschedule
        | CampaignEvent::Launch
        | CampaignEvent::LaunchFailed
        | CampaignEvent::CompleteSent
        | CampaignEvent::CompleteFailed
        | CampaignEvent::Reopen => None,
    }
}
