//! Passes over a campaign's pages, and the campaigns that they open again.

use diesel::prelude::*;

use super::{LockedCampaign, Sweep, TransitionError, archives, locked, packing, set_status};
use crate::domain::campaigns::{BadTransition, CampaignEvent, CampaignStatus};
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::ids::CampaignId;
use crate::store::campaigns::CampaignRow;
use crate::store::engine::schema::packings;
use crate::store::{Conn, StoreError};

/// Re-opens an ended campaign, with the pass over its pages that goes with it, in one transaction.
///
/// # Errors
/// As [`super::transition`]; also when it never was launched, or was archived. [`TransitionError::SweepUnderWay`] while an earlier pass runs.
pub fn reopen(conn: &mut Conn, id: CampaignId, sweep: Option<Sweep>) -> Result<CampaignRow, TransitionError> {
    let row = locked(conn, id)?;
    let next = may_reopen(conn, id, row.status)?;
    // A file that is not complete yet is not needed any more.
    archives::give_up(conn, id)?;
    if let Some(sweep) = sweep {
        arm(conn, &row, sweep)?;
    }
    Ok(if next == row.status { row.into_row() } else { set_status(conn, &row, next, None)? })
}

/// The status that a campaign of this status would have when it is open again.
///
/// # Errors
/// It cannot be opened: as [`reopen`].
pub fn may_reopen(conn: &mut Conn, id: CampaignId, status: CampaignStatus) -> Result<CampaignStatus, TransitionError> {
    let is_open = matches!(status, CampaignStatus::Sending | CampaignStatus::Paused);
    let next = if is_open { status } else { status.next(CampaignEvent::Reopen)? };
    // A scheduled launch that was impossible ends as failed too, and there is nothing in it to re-open.
    let packing = packing(conn, id)?.ok_or(BadTransition { from: status, event: CampaignEvent::Reopen })?;
    if let Some(archived) = archives::find(conn, id)? {
        return Err(TransitionError::Archived(Box::new(archived)));
    }
    match packing.sweep {
        Some(under_way) => Err(TransitionError::SweepUnderWay(under_way)),
        None => Ok(next),
    }
}

/// Opens an ended campaign again, or takes a paused one, which stays paused, and arms the pass that puts back to pending what
/// failed: all, or what was refused for a reason of one `class`.
///
/// # Errors
/// The campaign is missing, is neither, or the query failed.
pub fn retry_failed(
    conn: &mut Conn,
    id: CampaignId,
    class: Option<AnswerClass>,
) -> Result<CampaignRow, TransitionError> {
    let row = locked(conn, id)?;
    if row.status != CampaignStatus::Paused {
        // While one is sending, its failures are not final.
        row.status.next(CampaignEvent::Reopen)?;
    }
    let row = reopen(conn, id, Some(Sweep::RetryFailed))?;
    diesel::update(packings::table.find(id))
        .set(packings::sweep_class.eq(class))
        .execute(conn)
        .map_err(StoreError::query("choose what is tried again"))?;
    Ok(row)
}

/// Begins a pass over a campaign's pages.
pub(super) fn arm(conn: &mut Conn, row: &LockedCampaign, sweep: Sweep) -> Result<(), StoreError> {
    diesel::update(packings::table.find(row.id))
        .set((packings::sweep.eq(sweep), packings::sweep_page_id.eq(0), packings::sweep_class.eq(None::<AnswerClass>)))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("arm a pass over pages"))
}
