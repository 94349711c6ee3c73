//! Another try for what has failed.

use serde_json::json;

use crate::domain::access::audit::{Action, Object};
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::ids::CampaignId;
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::campaigns::{self, CampaignWithDetails, TransitionError};
use crate::store::{Conn, Lane};

/// Puts what failed back to pending, and opens the campaign again: all of it, or what was last refused for a reason of one
/// `class`. A paused campaign stays paused.
///
/// # Errors
/// The campaign is missing, is neither ended nor paused, or an earlier pass over its pages has not ended.
pub async fn retry_failed(
    services: &Services,
    id: CampaignId,
    class: Option<AnswerClass>,
    by: &By,
) -> Result<CampaignWithDetails, TransitionError> {
    let asker = by.clone();
    let retry = move |conn: &mut Conn| {
        let before = campaigns::locked(conn, id)?.status;
        let row = campaigns::retry_failed(conn, id, class)?;
        let line = Line::of(Action::Retried, Object::Campaign, id).before(json!({ "status": before }));
        audit::write(conn, &asker, line.after(json!({ "status": row.status, "answer_class": class })))?;
        Ok::<_, TransitionError>(CampaignWithDetails::of(conn, row)?)
    };
    let campaign = services.store.transact(Lane::Control, "re-open a campaign", retry).await?;
    services.status.set(id, campaign.row.status, campaign.row.status_version);
    tracing::info!(
        event = "campaign.retried",
        campaign.id = id.0,
        answer_class = class.map(AnswerClass::as_str),
        by = %by,
        "failed deliveries of the campaign are pending again"
    );
    services.hints.campaign_changed(id);
    Ok(campaign)
}
