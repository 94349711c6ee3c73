//! What others are told of campaigns: that one was launched, paused itself, or has ended. Noted in the transaction that sets its status.

use serde_json::json;

use super::{CampaignRow, LockedCampaign, TransitionError, set_status};
use crate::domain::access::audit::{Action as Done, Actor, Object};
use crate::domain::campaigns::{CampaignEvent, CampaignOutcome, CampaignStatus};
use crate::domain::instant::UtcInstant;
use crate::domain::reactions::{CampaignNews, PauseReason};
use crate::domain::replicas::decision::{Action, Subject};
use crate::store::access::audit_log::{self, NewEntry};
use crate::store::reactions::news::{self, Happened};
use crate::store::replicas::decisions;
use crate::store::{Conn, StoreError, engine};

fn happened(row: &CampaignRow, at: UtcInstant) -> Happened<'_> {
    Happened {
        campaign: row.id,
        name: &row.name,
        status: row.status,
        version: row.status_version,
        outcome: row.outcome.map(CampaignOutcome::as_str),
        at,
    }
}

/// Notes that a campaign was launched, or has ended, if that is what its new status says.
pub(super) fn tell(
    conn: &mut Conn,
    before: CampaignStatus,
    row: &CampaignRow,
    at: UtcInstant,
) -> Result<(), StoreError> {
    let was_waiting = matches!(before, CampaignStatus::Draft | CampaignStatus::Scheduled);
    if row.status == CampaignStatus::Sending && was_waiting {
        news::note(conn, CampaignNews::Launched, happened(row, at))
    } else if row.status.is_ended() && !before.is_ended() {
        news::note(conn, CampaignNews::Ended, happened(row, at))
    } else {
        Ok(())
    }
}

/// Pauses a campaign that is being sent because it should not go on as it is, with its line in the audit log. Other instances learn of it,
/// and so do those who are told.
///
/// # Errors
/// It cannot be paused, or a query failed.
pub(in crate::store) fn pause_itself(
    conn: &mut Conn,
    row: &LockedCampaign,
    reason: PauseReason,
) -> Result<CampaignRow, TransitionError> {
    let paused = set_status(conn, row, row.status.next(CampaignEvent::Pause)?, None)?;
    decisions::post(conn, &Subject::Campaign(row.id), paused.status_version, Action::Pause)?;
    let line = NewEntry {
        actor: Actor::Engine,
        api_key_id: None,
        ip: None,
        action: Done::Paused,
        object: Object::Campaign,
        object_id: Some(row.id.to_string()),
        before: Some(json!({ "status": row.status }).to_string()),
        after: Some(json!({ "status": paused.status, "reason": reason }).to_string()),
        request_id: None,
        session_id: None,
    };
    audit_log::append(conn, &line)?;
    let now = engine::now(conn)?;
    news::note_pause(conn, happened(&paused, now), reason)?;
    Ok(paused)
}
