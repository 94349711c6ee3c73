//! Resumable passes over a campaign's pages: after a stop, for `retry-failed`, for `resolve … as pending`. One page per
//! transaction; the cursor moves with it.

use diesel::prelude::*;

use super::dialect::LockedPage;
use super::lost_leases::next_state;
use super::pages::{self, on_page};
use super::proofs::is_proven;
use super::reasons;
use super::side_rows::SideRows;
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::dispatch::delivery::{DeliveryState, SkipReason};
use crate::domain::dispatch::lease::LeaseToken;
use crate::domain::dispatch::page::{Counts, PageState};
use crate::domain::ids::{CampaignId, PageId};
use crate::domain::instant::UtcInstant;
use crate::store::campaigns::{self, Sweep};
use crate::store::engine::schema::{deliveries, packings, pages as page};
use crate::store::engine::{self, CampaignLock};
use crate::store::{Conn, StoreError};

/// What a step of a pass came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swept {
    /// A page was done.
    Page(PageId),
    /// The next page is not free yet.
    Waits,
    /// The pass has ended.
    Done,
}

/// Does the next page of the campaign's pass.
///
/// # Errors
/// A query failed; nothing was changed.
pub fn sweep_page(conn: &mut Conn, campaign: CampaignId) -> Result<Swept, StoreError> {
    engine::lock_campaign(conn, campaign, CampaignLock::Shared)?;
    let Some(packing) = campaigns::packing(conn, campaign)? else { return Ok(Swept::Done) };
    let Some(sweep) = packing.sweep else { return Ok(Swept::Done) };
    let next: Option<PageId> = page::table
        .filter(page::campaign_id.eq(campaign).and(page::id.gt(PageId(packing.sweep_page_id))))
        .order(page::id)
        .select(page::id)
        .first(conn)
        .optional()
        .map_err(StoreError::query("find the next page of a pass"))?;
    let Some(id) = next else {
        diesel::update(packings::table.filter(packings::campaign_id.eq(campaign).and(packings::sweep.eq(sweep))))
            .set(packings::sweep.eq(None::<Sweep>))
            .execute(conn)
            .map_err(StoreError::query("end a pass"))?;
        return Ok(Swept::Done);
    };
    if let Some(row) = pages::lock(conn, id)? {
        SideRows::collect(conn, |conn, rows| apply(conn, &row, sweep, packing.sweep_class, rows))?;
    }
    diesel::update(
        packings::table.filter(
            packings::campaign_id
                .eq(campaign)
                .and(packings::sweep.eq(sweep))
                .and(packings::sweep_page_id.eq(packing.sweep_page_id)),
        ),
    )
    .set(packings::sweep_page_id.eq(id.0))
    .execute(conn)
    .map_err(StoreError::query("move a pass on"))?;
    Ok(Swept::Page(id))
}

fn apply(
    conn: &mut Conn,
    row: &LockedPage,
    sweep: Sweep,
    class: Option<AnswerClass>,
    rows: &mut SideRows,
) -> Result<(), StoreError> {
    let mut counts = row.counts();
    // A pass that skips counts what becomes uncertain itself.
    let moves = sweep != Sweep::SkipPending;
    if moves {
        rows.reasons.add_all(row.campaign_id, &reasons::of_page(conn, row)?, -1);
    }
    match sweep {
        Sweep::SkipPending => {
            pages::skip_pending(conn, row, SkipReason::Stopped, &mut counts, rows)?;
        }
        Sweep::RetryFailed => {
            let moved = back_to_pending(conn, row, DeliveryState::Failed, class)?;
            counts.shift(DeliveryState::Failed, DeliveryState::Pending, moved);
        }
        Sweep::ResendUncertain => {
            let moved = back_to_pending(conn, row, DeliveryState::Uncertain, None)?;
            counts.shift(DeliveryState::Uncertain, DeliveryState::Pending, moved);
        }
    }
    if moves {
        rows.reasons.add_all(row.campaign_id, &reasons::of_page(conn, row)?, 1);
    }
    after_moving(conn, row, counts, rows)
}

/// Writes a page's new counts and, unless it is leased, the state that follows from them.
pub(in crate::store) fn after_moving(
    conn: &mut Conn,
    row: &LockedPage,
    counts: Counts,
    rows: &mut SideRows,
) -> Result<(), StoreError> {
    if row.state == PageState::Leased {
        return pages::write_counts(conn, row, counts, rows);
    }
    let (state, due_at) = next_state(conn, row, counts.pending)?;
    pages::close_lease(conn, row, state, due_at, counts, rows)
}

fn back_to_pending(
    conn: &mut Conn,
    row: &LockedPage,
    from: DeliveryState,
    class: Option<AnswerClass>,
) -> Result<i64, StoreError> {
    // An operator may have taken for failed what turned out to be accepted: nobody gets that twice.
    let all = on_page(row).and(deliveries::state.eq(from)).and(diesel::dsl::not(is_proven()));
    let change = (
        deliveries::state.eq(DeliveryState::Pending),
        deliveries::due_at.eq(UtcInstant(0)),
        deliveries::attempts.eq(0),
        deliveries::put_offs.eq(0),
        deliveries::deaths.eq(0),
        // What was failed never was ambiguous; what was uncertain is sent again on an operator's word.
        deliveries::ambiguous.eq(false),
        deliveries::token.eq(None::<LeaseToken>),
        deliveries::settled_at.eq(None::<UtcInstant>),
        // Why it failed is over. How long its provider knows its key is not: that stays.
        deliveries::reason.eq(None::<String>),
        deliveries::category.eq(None::<String>),
        deliveries::answer_class.eq(None::<AnswerClass>),
    );
    let moved = match class {
        None => diesel::update(deliveries::table.filter(all)).set(change).execute(conn),
        Some(class) => {
            let of_class = all.and(deliveries::answer_class.eq(class));
            diesel::update(deliveries::table.filter(of_class)).set(change).execute(conn)
        }
    }
    .map_err(StoreError::query("put deliveries back to pending"))?;
    pages::count(moved)
}
