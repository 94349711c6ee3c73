//! Campaigns found by what they are, and what belongs to them: for those who look, and for the actors that drive them.

use std::collections::{BTreeMap, HashMap};

use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::about::{self, About};
use super::archives::{self, Archived};
use super::{CampaignRow, PackingRow, brakes, email_fields};
use crate::domain::campaigns::CampaignStatus;
use crate::domain::campaigns::brake::Pulled;
use crate::domain::content::category::Category;
use crate::domain::content::email_fields::EmailFields;
use crate::domain::content::template::Content;
use crate::domain::content::tracking::Tracking;
use crate::domain::dispatch::page::Counts;
use crate::domain::ids::{CampaignId, ListId, TemplateId};
use crate::domain::instant::UtcInstant;
use crate::domain::reports::ReportFigures;
use crate::store::content::templates::{self, VersionRow};
use crate::store::dispatch::dialect::{sum_page_counts, sum_skips, waiting};
use crate::store::dispatch::packing::parse_audience;
use crate::store::engine::listing::Slice;
use crate::store::engine::page_states::{is_leased, is_ready};
use crate::store::engine::schema::{campaigns, packings, pages};
use crate::store::{Conn, StoreError, engine, reports};

/// A campaign's statistics: a sum over pages, never a scan of deliveries.
///
/// # Errors
/// The query failed.
pub fn counts(conn: &mut Conn, id: CampaignId) -> Result<Counts, StoreError> {
    Ok(sum_page_counts(conn, &[id])?.remove(&id).unwrap_or_default())
}

/// The rates of these campaigns, in hand-overs per second; 0 is no limit.
///
/// # Errors
/// The query failed.
pub fn rates(conn: &mut Conn, ids: Vec<CampaignId>) -> Result<Vec<(CampaignId, f64)>, StoreError> {
    let rows: Vec<(CampaignId, Option<f64>)> = campaigns::table
        .filter(campaigns::id.eq_any(ids))
        .select((campaigns::id, campaigns::rate_per_second))
        .load(conn)
        .map_err(StoreError::query("read the rates of campaigns"))?;
    Ok(rows.into_iter().map(|(id, rate)| (id, rate.unwrap_or(0.0))).collect())
}

/// What belongs to a campaign beside its own row.
#[derive(Debug, Clone)]
pub struct Details {
    /// How many recipients stand where.
    pub counts: Counts,
    /// How many were skipped for which reason.
    pub skips: BTreeMap<String, i64>,
    /// What was reported of its messages; `None`: nothing.
    pub reports: Option<ReportFigures>,
    /// The brake that holds it.
    pub brake: Option<Pulled>,
    /// How many of the pending wait for another try, and when the first of them may be tried: those on pages that are
    /// due later. Who waits on a page that is leased or due for somebody else is not among them.
    pub waiting: Option<(i64, UtcInstant)>,
    /// How far it is packed; `None` before the launch.
    pub packing: Option<PackingRow>,
    /// Its own content, if it has no template.
    pub content: Option<Content>,
    /// What it says itself of its emails beside the content.
    pub email: EmailFields,
    /// What it is about, and the values of its own.
    pub about: About,
    /// Why it is sent: as its launch has pinned it, else as its template says, else as its own content does.
    pub category: Category,
    /// What is tracked of its messages: as its launch has pinned it, else as it says itself, else as its template says.
    pub tracking: Tracking,
    /// Where its deliveries are, if they were archived.
    pub archived: Option<Archived>,
}

/// The details of each of these campaigns, in their order: eleven queries, however many they are.
///
/// # Errors
/// A query failed.
pub fn details(conn: &mut Conn, rows: &[CampaignRow]) -> Result<Vec<Details>, StoreError> {
    let ids: Vec<CampaignId> = rows.iter().map(|row| row.id).collect();
    let own_version = |row: &CampaignRow| row.template_version_id.filter(|_| row.template_id.is_none());
    let versions: Vec<_> = rows.iter().filter_map(own_version).collect();
    let counts = sum_page_counts(conn, &ids)?;
    let mut skips = sum_skips(conn, &ids)?;
    let mut emails = email_fields::own(conn, &ids)?;
    let mut abouts = about::all(conn, &ids)?;
    let mut reports = reports::sums(conn, &ids)?;
    let brakes = brakes::holding(conn, &ids)?;
    let mut archived = archives::of(conn, &ids)?;
    let waiting = waiting(conn, &ids)?;
    let packings: Vec<PackingRow> = packings::table
        .filter(packings::campaign_id.eq_any(ids))
        .select(PackingRow::as_select())
        .load(conn)
        .map_err(StoreError::query("read packings"))?;
    let packings: HashMap<_, _> = packings.into_iter().map(|packing| (packing.campaign_id, packing)).collect();
    let contents = templates::contents(conn, &versions)?;
    let unpinned: Vec<_> = rows.iter().filter_map(unpinned_template).collect();
    let categories = templates::categories(conn, &unpinned)?;
    let trackings = templates::trackings(conn, &unpinned)?;
    let mut of = |row: &CampaignRow| Details {
        archived: archived.remove(&row.id),
        skips: skips.remove(&row.id).unwrap_or_default(),
        reports: reports.remove(&row.id),
        brake: brakes.get(&row.id).copied(),
        counts: counts.get(&row.id).copied().unwrap_or_default(),
        waiting: waiting.get(&row.id).copied(),
        packing: packings.get(&row.id).cloned(),
        content: own_version(row).and_then(|version| contents.get(&version).cloned()),
        email: emails.remove(&row.id).unwrap_or_default(),
        about: abouts.remove(&row.id).unwrap_or_default(),
        category: as_scheduled(
            row,
            unpinned_template(row).and_then(|id| categories.get(&id).copied()).unwrap_or(row.category),
        ),
        tracking: said(row, unpinned_template(row).and_then(|id| trackings.get(&id).copied())),
    };
    Ok(rows.iter().map(&mut of).collect())
}

/// What drives a campaign. Not the whole row: that may hold an audience of a million ids.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = campaigns)]
pub struct Unfinished {
    /// The campaign.
    pub id: CampaignId,
    /// Where it stands.
    pub status: CampaignStatus,
    /// Rises with every change of status.
    pub status_version: i64,
    /// The sender pool's name.
    pub pool: Option<String>,
    /// What log lines about its sending carry.
    pub correlation_id: Option<String>,
}

/// Campaigns that something may have to be done for: those that are sending, and those with a pass over their pages to
/// finish, whatever their status (the pass of a stopped one skips what is left). A paused one without a pass waits.
///
/// # Errors
/// A query failed.
pub fn unfinished(conn: &mut Conn) -> Result<Vec<(Unfinished, PackingRow)>, StoreError> {
    let all = || {
        campaigns::table
            .inner_join(packings::table.on(packings::campaign_id.eq(campaigns::id)))
            .select((Unfinished::as_select(), PackingRow::as_select()))
    };
    // Queries of their own, each along an index: an OR over two tables would read every campaign there ever was.
    let sending: Vec<(Unfinished, PackingRow)> = all()
        .filter(campaigns::status.eq(CampaignStatus::Sending))
        .order(campaigns::id)
        .load(conn)
        .map_err(StoreError::query("list unfinished campaigns"))?;
    let swept = all().filter(packings::sweep.is_not_null().and(campaigns::status.ne(CampaignStatus::Sending)));
    let swept: Vec<(Unfinished, PackingRow)> =
        swept.order(campaigns::id).load(conn).map_err(StoreError::query("list campaigns with a pass"))?;
    let moving = all()
        .filter(packings::move_page_id.is_not_null().and(packings::sweep.is_null()))
        .filter(campaigns::status.ne(CampaignStatus::Sending))
        .order(campaigns::id)
        .load(conn)
        .map_err(StoreError::query("list campaigns that change their pool"))?;
    Ok(sending.into_iter().chain(swept).chain(moving).collect())
}

/// Scheduled campaigns whose time has come, oldest first.
///
/// # Errors
/// The query failed.
pub fn due(conn: &mut Conn) -> Result<Vec<CampaignRow>, StoreError> {
    let now = engine::now(conn)?;
    campaigns::table
        .filter(campaigns::status.eq(CampaignStatus::Scheduled))
        .filter(campaigns::scheduled_at.le(now).and(campaigns::deleted_at.is_null()))
        .select(CampaignRow::as_select())
        .order(campaigns::scheduled_at)
        .load(conn)
        .map_err(StoreError::query("list due campaigns"))
}

/// Campaigns that are scheduled and not due yet, soonest first, at most so many.
///
/// # Errors
/// The query failed.
pub fn to_come(conn: &mut Conn, most: i64) -> Result<Vec<CampaignRow>, StoreError> {
    campaigns::table
        .filter(campaigns::status.eq(CampaignStatus::Scheduled))
        .filter(campaigns::deleted_at.is_null())
        .select(CampaignRow::as_select())
        .order(campaigns::scheduled_at)
        .limit(most)
        .load(conn)
        .map_err(StoreError::query("list scheduled campaigns"))
}

/// Whether some page of the campaign is not done. Without the campaign's exclusive lock: only a hint.
///
/// # Errors
/// The query failed.
pub fn has_open_page(conn: &mut Conn, id: CampaignId) -> Result<bool, StoreError> {
    let open = |state: SqlLiteral<Bool>| {
        diesel::select(diesel::dsl::exists(pages::table.filter(pages::campaign_id.eq(id)).filter(state)))
    };
    for state in [is_leased(), is_ready()] {
        if open(state).get_result(conn).map_err(StoreError::query("look for open pages"))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The content that a campaign is sent with, or would be: its own or what its launch has pinned, else the newest version of its
/// template. `None`: it has neither.
///
/// # Errors
/// A query failed.
pub fn content(conn: &mut Conn, campaign: &CampaignRow) -> Result<Option<VersionRow>, StoreError> {
    match (campaign.template_version_id, campaign.template_id) {
        (Some(version), _) => templates::find_version(conn, version),
        (None, Some(template)) => Ok(templates::find(conn, template, None)?.map(|row| row.version)),
        (None, None) => Ok(None),
    }
}

/// Why a campaign is sent: as its launch has pinned it, else as its template says, else as its own content does. A scheduled one
/// is not made transactional by its template: it has to be scheduled so.
///
/// # Errors
/// The query failed.
pub fn category(conn: &mut Conn, campaign: &CampaignRow) -> Result<Category, StoreError> {
    Ok(as_scheduled(campaign, said_now(conn, campaign)?))
}

/// A template may change its category while campaigns wait for their time: the one that asks for consent counts.
fn as_scheduled(campaign: &CampaignRow, said: Category) -> Category {
    let is_of_template = campaign.status == CampaignStatus::Scheduled && campaign.template_id.is_some();
    let was_marketing = campaign.scheduled_category != Some(Category::Transactional);
    if is_of_template && was_marketing { Category::Marketing } else { said }
}

/// Why a campaign is sent, as its content says now: what is kept when it is scheduled.
///
/// # Errors
/// The query failed.
pub fn said_now(conn: &mut Conn, campaign: &CampaignRow) -> Result<Category, StoreError> {
    match unpinned_template(campaign) {
        Some(template) => Ok(templates::categories(conn, &[template])?.remove(&template).unwrap_or(campaign.category)),
        None => Ok(campaign.category),
    }
}

/// What is tracked of a campaign's messages: as its launch has pinned it, else as it says itself, else as its template says.
///
/// # Errors
/// The query failed.
pub fn tracking(conn: &mut Conn, campaign: &CampaignRow) -> Result<Tracking, StoreError> {
    let of_template = match unpinned_template(campaign) {
        Some(template) => templates::trackings(conn, &[template])?.remove(&template),
        None => None,
    };
    Ok(said(campaign, of_template))
}

fn said(campaign: &CampaignRow, of_template: Option<Tracking>) -> Tracking {
    match (campaign.tracking, campaign.launched_at) {
        (Some(own), _) => own.into(),
        // Launched by a version that tracked nothing.
        (None, Some(_)) => Tracking::NOTHING,
        (None, None) => of_template.unwrap_or_default(),
    }
}

/// The template whose category is that of the campaign: until the launch pins it.
fn unpinned_template(campaign: &CampaignRow) -> Option<TemplateId> {
    campaign.template_id.filter(|_| campaign.launched_at.is_none())
}

/// The lists that a campaign is about: the one that it names, else those of its audience.
///
/// # Errors
/// The stored audience is not readable.
pub fn topics(campaign: &CampaignRow) -> Result<Vec<ListId>, StoreError> {
    match (campaign.topic_id, campaign.audience.as_deref()) {
        (Some(topic), _) => Ok(vec![topic]),
        (None, None) => Ok(Vec::new()),
        (None, stored) => Ok(parse_audience(stored)?.include.lists),
    }
}

/// A campaign and what belongs to it.
#[derive(Debug, Clone)]
pub struct CampaignWithDetails {
    /// The campaign.
    pub row: CampaignRow,
    /// What belongs to it.
    pub details: Details,
}

impl CampaignWithDetails {
    /// With what belongs to it now.
    ///
    /// # Errors
    /// A query failed.
    pub fn of(conn: &mut Conn, row: CampaignRow) -> Result<Self, StoreError> {
        let details = details(conn, std::slice::from_ref(&row))?.pop();
        let details = details.ok_or(StoreError::Stale { what: "the campaign" })?;
        Ok(Self { row, details })
    }

    /// Each of them with what belongs to it now.
    ///
    /// # Errors
    /// A query failed.
    pub fn of_all(conn: &mut Conn, slice: Slice<CampaignRow>) -> Result<Slice<Self>, StoreError> {
        let mut details = details(conn, &slice.rows)?.into_iter();
        slice.try_map(|row| {
            let details = details.next().ok_or(StoreError::Stale { what: "the campaign" })?;
            Ok(Self { row, details })
        })
    }
}
