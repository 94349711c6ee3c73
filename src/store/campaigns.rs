//! Campaigns: rows, edits while they are drafts, and every change of status.

pub mod about;
pub mod archives;
pub mod brakes;
mod content_guard;
pub mod email_fields;
mod finding;
pub mod glance;
pub mod launch;
pub mod listing;
mod passes;
pub(in crate::store) mod told;

use std::ops::Deref;

use diesel::prelude::*;

use super::engine::schema::{campaigns, packings};
use super::replicas::decisions;
use super::{Conn, MayBeStoreError, StoreError};
use crate::domain::access::Scope;
use crate::domain::campaigns::content_doubt::ContentDoubt;
use crate::domain::campaigns::{BadTransition, CampaignEvent, CampaignOutcome, CampaignStatus, OnUncertain};
use crate::domain::channel::ChannelKind;
use crate::domain::content::category::Category;
use crate::domain::content::tracking::StoredTracking;
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::dispatch::fingerprint::ProviderFingerprint;
use crate::domain::ids::{CampaignId, ContactId, ListId, TemplateId, TemplateVersionId};
use crate::domain::instant::UtcInstant;
use crate::domain::replicas::decision::{Action, Subject};
use crate::domain::text_enum::text_enum;
use crate::store::engine::{self, CampaignLock};
pub use content_guard::{Doubt, doubt};
pub use finding::{
    CampaignWithDetails, Details, Unfinished, category, content, counts, details, due, has_open_page, rates, said_now,
    to_come, topics, tracking, unfinished,
};
pub use passes::{may_reopen, reopen, retry_failed};

/// A campaign as stored.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = campaigns)]
pub struct CampaignRow {
    /// The campaign.
    pub id: CampaignId,
    /// For people.
    pub name: String,
    /// How it travels.
    pub channel: ChannelKind,
    /// Where it stands.
    pub status: CampaignStatus,
    /// Rises with every change of status.
    pub status_version: i64,
    /// The sender pool's name.
    pub pool: Option<String>,
    /// The template, if it has one.
    pub template_id: Option<TemplateId>,
    /// Its own content while a draft; the pinned content from the launch on.
    pub template_version_id: Option<TemplateVersionId>,
    /// The audience, as JSON.
    pub audience: Option<String>,
    /// What happens to deliveries that stay ambiguous.
    pub on_uncertain: OnUncertain,
    /// Hand-overs per second.
    pub rate_per_second: Option<f64>,
    /// How much waiting between tries its deliveries are given, in milliseconds; `None`: as its pool says.
    pub retry_for_ms: Option<i64>,
    /// When it launches by itself.
    pub scheduled_at: Option<UtcInstant>,
    /// The random half of its idempotency keys; minted at launch.
    pub key: Option<String>,
    /// What log lines about its sending carry; minted at launch.
    pub correlation_id: Option<String>,
    /// The key that signs its links; pinned at launch.
    pub link_kid: Option<String>,
    /// How it ended, where the status does not say.
    pub outcome: Option<CampaignOutcome>,
    /// Whether its content was found to suit its recipients badly.
    pub content_doubt: Option<ContentDoubt>,
    /// The answer that nearly everybody was refused with; set while the campaign is paused for it.
    pub refusal_doubt: Option<String>,
    /// Why its scheduled launch was impossible: stable, for programs.
    pub launch_error_code: Option<String>,
    /// The same for people.
    pub launch_error_detail: Option<String>,
    /// When it was made.
    pub created_at: UtcInstant,
    /// When it last changed.
    pub updated_at: UtcInstant,
    /// When it was launched.
    pub launched_at: Option<UtcInstant>,
    /// When it ended.
    pub ended_at: Option<UtcInstant>,
    /// Since when it is paused because the database went back in time.
    pub rewound_at: Option<UtcInstant>,
    /// Why it is sent. Until the launch that of its own content: a template has its own.
    pub category: Category,
    /// The list that it is about, where it names one.
    pub topic_id: Option<ListId>,
    /// With what scope its launch time was set, or the campaign last edited since. `None`: by an older version.
    pub scheduled_scope: Option<Scope>,
    /// Why it was to be sent when its launch time was set, or the campaign last got a template since.
    pub scheduled_category: Option<Category>,
    /// What is tracked of its messages. `None`: as its template says; of one that is launched, nothing.
    pub tracking: Option<StoredTracking>,
}

/// What a new campaign is made of.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = campaigns)]
pub struct NewCampaign {
    /// For people.
    pub name: String,
    /// How it travels.
    pub channel: ChannelKind,
    /// `draft` or `scheduled`.
    pub status: CampaignStatus,
    /// The sender pool's name.
    pub pool: Option<String>,
    /// The template, if it has one.
    pub template_id: Option<TemplateId>,
    /// Its own content otherwise.
    pub template_version_id: Option<TemplateVersionId>,
    /// The audience, as JSON.
    pub audience: Option<String>,
    /// What happens to deliveries that stay ambiguous.
    pub on_uncertain: OnUncertain,
    /// Hand-overs per second.
    pub rate_per_second: Option<f64>,
    /// How much waiting between tries its deliveries are given, in milliseconds; `None`: as its pool says.
    pub retry_for_ms: Option<i64>,
    /// When it launches by itself.
    pub scheduled_at: Option<UtcInstant>,
    /// Why its own content is sent.
    pub category: Category,
    /// The list that it is about.
    pub topic_id: Option<ListId>,
    /// What is tracked of its messages, where it says so itself.
    pub tracking: Option<StoredTracking>,
    /// Now.
    pub created_at: UtcInstant,
    /// Now.
    pub updated_at: UtcInstant,
}

/// An edit of a draft. `None` leaves a column as it is.
#[derive(Debug, Clone, Default, AsChangeset)]
#[diesel(table_name = campaigns)]
pub struct CampaignChange {
    /// For people.
    pub name: Option<String>,
    /// The sender pool's name.
    pub pool: Option<Option<String>>,
    /// The template.
    pub template_id: Option<Option<TemplateId>>,
    /// Its own content.
    pub template_version_id: Option<Option<TemplateVersionId>>,
    /// The audience, as JSON.
    pub audience: Option<Option<String>>,
    /// What happens to deliveries that stay ambiguous.
    pub on_uncertain: Option<OnUncertain>,
    /// Hand-overs per second.
    pub rate_per_second: Option<Option<f64>>,
    /// How much waiting between tries its deliveries are given, in milliseconds.
    pub retry_for_ms: Option<Option<i64>>,
    /// Why its own content is sent.
    pub category: Option<Category>,
    /// The list that it is about.
    pub topic_id: Option<Option<ListId>>,
    /// What is tracked of its messages.
    pub tracking: Option<Option<StoredTracking>>,
}

text_enum! {
    /// A resumable pass over a campaign's pages.
    Sweep {
        /// After a stop: what is pending becomes `skipped(stopped)`.
        SkipPending = "skip_pending",
        /// `retry-failed`: what failed becomes pending.
        RetryFailed = "retry_failed",
        /// `resolve … as pending`: what is uncertain becomes pending.
        ResendUncertain = "resend_uncertain",
    }
}

/// How far a campaign is packed.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = packings)]
pub struct PackingRow {
    /// The campaign.
    pub campaign_id: CampaignId,
    /// Everyone up to here is packed.
    pub cursor_contact_id: ContactId,
    /// Nobody above this one belongs to the audience.
    pub max_contact_id: ContactId,
    /// The number of the next page.
    pub next_page: i64,
    /// The audience as counted at launch.
    pub expected: i64,
    /// Of those packed so far, how many the channel could not reach.
    pub unreachable: i64,
    /// Whether the whole audience is packed.
    pub done: bool,
    /// The pass under way.
    pub sweep: Option<Sweep>,
    /// The last page that the pass has done.
    pub sweep_page_id: i64,
    /// Which of those that failed it takes; none takes all.
    pub sweep_class: Option<AnswerClass>,
    /// The last page that the pass after a change of pool has done; none: no such pass.
    pub move_page_id: Option<i64>,
    /// The provider that this pass moves to.
    pub move_provider: Option<ProviderFingerprint>,
}

/// A change of status that was refused, or could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum TransitionError {
    /// There is no such campaign.
    #[error("campaign {0} not found")]
    NotFound(CampaignId),
    /// The present status does not allow it.
    #[error(transparent)]
    Illegal(#[from] BadTransition),
    /// An earlier pass over the pages has not ended.
    #[error("an earlier {0} has not ended yet")]
    SweepUnderWay(Sweep),
    /// Its deliveries were archived: nothing of it can be sent any more.
    #[error("{0}")]
    Archived(Box<archives::Archived>),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Inserts a campaign.
///
/// # Errors
/// The query failed.
pub fn insert(conn: &mut Conn, new: &NewCampaign) -> Result<CampaignRow, StoreError> {
    let id: CampaignId = diesel::insert_into(campaigns::table)
        .values(new)
        .returning(campaigns::id)
        .get_result(conn)
        .map_err(StoreError::query("insert a campaign"))?;
    read(conn, id)
}

/// The campaign, unless it was deleted.
///
/// # Errors
/// The query failed.
pub fn find(conn: &mut Conn, id: CampaignId) -> Result<Option<CampaignRow>, StoreError> {
    campaigns::table
        .filter(campaigns::id.eq(id).and(campaigns::deleted_at.is_null()))
        .select(CampaignRow::as_select())
        .first(conn)
        .optional()
        .map_err(StoreError::query("find a campaign"))
}

/// The campaign that was just written. `RETURNING` of a whole row is not for both backends at once.
fn read(conn: &mut Conn, id: CampaignId) -> Result<CampaignRow, StoreError> {
    campaigns::table
        .find(id)
        .select(CampaignRow::as_select())
        .first(conn)
        .map_err(StoreError::query("read a campaign back"))
}

impl MayBeStoreError for TransitionError {
    fn into_store_error(self) -> Result<StoreError, Self> {
        if let Self::Store(error) = self { Ok(error) } else { Err(self) }
    }
}

/// How far it is packed; `None` before the launch.
///
/// # Errors
/// The query failed.
pub fn packing(conn: &mut Conn, id: CampaignId) -> Result<Option<PackingRow>, StoreError> {
    packings::table
        .find(id)
        .select(PackingRow::as_select())
        .first(conn)
        .optional()
        .map_err(StoreError::query("read a packing"))
}

/// Edits a campaign whose status allows it. Each edit has a later time than what was there before.
///
/// # Errors
/// The query failed.
pub fn edit(conn: &mut Conn, locked: &LockedCampaign, change: &CampaignChange) -> Result<CampaignRow, StoreError> {
    let now = engine::now(conn)?.max(locked.updated_at.plus_ms(1));
    diesel::update(campaigns::table.find(locked.id))
        .set((change, campaigns::updated_at.eq(now)))
        .execute(conn)
        .map_err(StoreError::query("edit a campaign"))?;
    read(conn, locked.id)
}

/// Marks a campaign as deleted whose status allows it. Its rows stay.
///
/// # Errors
/// The query failed.
pub fn delete(conn: &mut Conn, locked: &LockedCampaign) -> Result<(), StoreError> {
    let now = engine::now(conn)?;
    diesel::update(campaigns::table.find(locked.id))
        .set((campaigns::deleted_at.eq(now), campaigns::scheduled_at.eq(None::<UtcInstant>)))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("delete a campaign"))
}

/// A campaign as it was read under its exclusive lock, which only [`locked`] takes: who has one runs under the lock.
pub struct LockedCampaign(CampaignRow);

impl Deref for LockedCampaign {
    type Target = CampaignRow;

    fn deref(&self) -> &CampaignRow {
        &self.0
    }
}

impl LockedCampaign {
    /// The campaign alone, for the time after the transaction.
    #[must_use]
    pub fn into_row(self) -> CampaignRow {
        self.0
    }
}

/// Takes the campaign's exclusive lock, then reads it: lock first, look second. From here to the end of the transaction
/// no claim commits.
///
/// # Errors
/// The campaign is missing, or the query failed.
pub fn locked(conn: &mut Conn, id: CampaignId) -> Result<LockedCampaign, TransitionError> {
    engine::lock_campaign(conn, id, CampaignLock::Exclusive)?;
    find(conn, id)?.map(LockedCampaign).ok_or(TransitionError::NotFound(id))
}

/// Applies `event` by compare-and-set, with what belongs to it: a stop arms the pass that skips what is left, a resume
/// waives what it was paused for.
///
/// # Errors
/// The campaign is missing, the event is not allowed now, or the query failed.
pub fn transition(conn: &mut Conn, id: CampaignId, event: CampaignEvent) -> Result<CampaignRow, TransitionError> {
    let row = locked(conn, id)?;
    let next = row.status.next(event)?;
    if next == row.status {
        return Ok(row.into_row());
    }
    if event == CampaignEvent::Stop {
        passes::arm(conn, &row, Sweep::SkipPending)?;
    }
    if event == CampaignEvent::Resume {
        content_guard::waive(conn, &row)?;
        brakes::release(conn, row.id)?;
        forget_rewind(conn, &row)?;
    }
    let row = set_status(conn, &row, next, None)?;
    if let Some(action) = Action::of(event) {
        decisions::post(conn, &Subject::Campaign(id), row.status_version, action)?;
    }
    Ok(row)
}

/// Sets or moves the launch time of a draft.
///
/// # Errors
/// As [`transition`].
pub fn schedule(conn: &mut Conn, id: CampaignId, at: Option<UtcInstant>) -> Result<CampaignRow, TransitionError> {
    let row = locked(conn, id)?;
    let event = if at.is_some() { CampaignEvent::Schedule } else { CampaignEvent::Unschedule };
    let next = row.status.next(event)?;
    diesel::update(campaigns::table.find(id))
        .set(campaigns::scheduled_at.eq(at))
        .execute(conn)
        .map_err(StoreError::query("schedule a campaign"))?;
    if at.is_none() {
        // The next one who schedules it does so with rights of their own.
        diesel::update(campaigns::table.find(id))
            .set((campaigns::scheduled_scope.eq(None::<Scope>), campaigns::scheduled_category.eq(None::<Category>)))
            .execute(conn)
            .map_err(StoreError::query("forget how a campaign was scheduled"))?;
    }
    Ok(set_status(conn, &row, next, None)?)
}

/// Keeps with what scope a campaign was scheduled, and why it is to be sent. `None` leaves the category as it is.
///
/// # Errors
/// The query failed.
pub fn keep_scheduled(
    conn: &mut Conn,
    row: &LockedCampaign,
    scope: Scope,
    category: Option<Category>,
) -> Result<CampaignRow, StoreError> {
    let kept = category.map(|category| campaigns::scheduled_category.eq(category));
    diesel::update(campaigns::table.find(row.id))
        .set((campaigns::scheduled_scope.eq(scope), kept))
        .execute(conn)
        .map_err(StoreError::query("keep how a campaign was scheduled"))?;
    read(conn, row.id)
}

/// An operator has taken in that the database went back in time.
fn forget_rewind(conn: &mut Conn, row: &LockedCampaign) -> Result<(), StoreError> {
    diesel::update(campaigns::table.find(row.id).filter(campaigns::rewound_at.is_not_null()))
        .set(campaigns::rewound_at.eq(None::<UtcInstant>))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("resume a campaign"))
}

/// Writes a status by compare-and-set from `row`'s.
pub(super) fn set_status(
    conn: &mut Conn,
    row: &LockedCampaign,
    next: CampaignStatus,
    outcome: Option<CampaignOutcome>,
) -> Result<CampaignRow, StoreError> {
    let now = engine::now(conn)?;
    let ended_at = next.is_ended().then_some(now);
    let same = campaigns::id
        .eq(row.id)
        .and(campaigns::status.eq(row.status))
        .and(campaigns::status_version.eq(row.status_version));
    let changed = diesel::update(campaigns::table.filter(same))
        .set((
            campaigns::status.eq(next),
            campaigns::status_version.eq(row.status_version + 1),
            campaigns::outcome.eq(outcome),
            campaigns::ended_at.eq(ended_at),
            campaigns::updated_at.eq(now.max(row.updated_at.plus_ms(1))),
        ))
        .execute(conn)
        .map_err(StoreError::query("set a campaign's status"))?;
    if changed != 1 {
        return Err(StoreError::Stale { what: "the campaign" });
    }
    let set = read(conn, row.id)?;
    told::tell(conn, row.status, &set, now)?;
    Ok(set)
}

/// Closes the campaign if everyone is settled: exclusive lock, then look. `None` when it is not time yet.
///
/// # Errors
/// The query failed.
pub fn complete(conn: &mut Conn, id: CampaignId) -> Result<Option<CampaignRow>, TransitionError> {
    let row = locked(conn, id)?;
    let packed = packing(conn, id)?.is_some_and(|packing| packing.done && packing.sweep.is_none());
    if row.status != CampaignStatus::Sending || !packed {
        return Ok(None);
    }
    if has_open_page(conn, id)? {
        return Ok(None);
    }
    let counts = counts(conn, id)?;
    let event = if counts.failed > 0 && counts.sent == 0 && counts.uncertain == 0 {
        CampaignEvent::CompleteFailed
    } else {
        CampaignEvent::CompleteSent
    };
    let outcome = match counts.total() {
        0 => Some(CampaignOutcome::EmptyAudience),
        total if total == counts.skipped => Some(CampaignOutcome::NoneEligible),
        _ => None,
    };
    let next = row.status.next(event)?;
    Ok(Some(set_status(conn, &row, next, outcome)?))
}

/// Ends a scheduled campaign that cannot be launched, and keeps why: a code for programs, one line for people.
///
/// # Errors
/// As [`transition`].
pub fn end_unlaunched(
    conn: &mut Conn,
    id: CampaignId,
    code: &str,
    detail: &str,
) -> Result<CampaignRow, TransitionError> {
    let row = locked(conn, id)?;
    let next = row.status.next(CampaignEvent::LaunchFailed)?;
    diesel::update(campaigns::table.find(id))
        .set((campaigns::launch_error_code.eq(code), campaigns::launch_error_detail.eq(detail)))
        .execute(conn)
        .map_err(StoreError::query("keep why a launch failed"))?;
    Ok(set_status(conn, &row, next, Some(CampaignOutcome::LaunchFailed))?)
}
