//! Locks. SQLite needs none of them: its write transactions already stand in line.

use std::collections::BTreeSet;
use std::ops::Deref;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text};

use super::{PG, SQLITE};
use crate::domain::campaigns::{CampaignStatus, OnUncertain};
use crate::domain::channel::ChannelKind;
use crate::domain::content::category::Category;
use crate::domain::ids::{CampaignId, ContactId, PageId};
use crate::domain::instant::UtcInstant;
use crate::store::dispatch::eligibility::Asked;
use crate::store::dispatch::pages::{PageRow, Wanted, WhichPage};
use crate::store::engine::schema::{deliveries, pages};
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError};

/// A page as it was read under its row's lock. Only the statements of this file make one, so a function that takes it runs
/// under the lock: page rows, their deliveries and their counts change together.
#[derive(QueryableByName)]
pub(in crate::store) struct LockedPage {
    #[diesel(embed)]
    row: PageRow,
}

impl Deref for LockedPage {
    type Target = PageRow;

    fn deref(&self) -> &PageRow {
        &self.row
    }
}

impl LockedPage {
    /// The page alone, for the time after the transaction.
    pub(in crate::store) fn into_row(self) -> PageRow {
        self.row
    }
}

/// What a claim has to know before it looks for recipients.
#[derive(QueryableByName)]
pub(in crate::store) struct ClaimGround {
    #[diesel(sql_type = Text)]
    pub(in crate::store) status: CampaignStatus,
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) status_version: i64,
    #[diesel(sql_type = Text)]
    pub(in crate::store) channel: ChannelKind,
    #[diesel(sql_type = Text)]
    pub(in crate::store) category: Category,
    /// As [`Asked::new`] reads them.
    #[diesel(sql_type = Nullable<Text>)]
    pub(in crate::store) topics: Option<String>,
    #[diesel(sql_type = Text)]
    pub(in crate::store) on_uncertain: OnUncertain,
    /// An operator has suspended the page's pool.
    #[diesel(sql_type = diesel::sql_types::Bool)]
    pub(in crate::store) suspended: bool,
    /// The campaign got another pool than the one that holds the page.
    #[diesel(sql_type = diesel::sql_types::Bool)]
    pub(in crate::store) has_moved: bool,
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) now: UtcInstant,
    #[diesel(embed)]
    pub(in crate::store) page: LockedPage,
}

/// Locks a page, and reads it, its campaign's status and the clock, all in one statement: for a transaction that holds
/// the campaign's lock already, under which the status does not change.
pub(in crate::store) fn lock_claim_ground(conn: &mut Conn, page: PageId) -> Result<Option<ClaimGround>, StoreError> {
    match conn {
        Conn::Pg(conn) => sql(format!("SELECT p.*, c.status, c.status_version, c.channel, c.category, c.on_uncertain, coalesce(c.pool, p.pool) <> p.pool AS has_moved, \
                {} AS topics, EXISTS (SELECT 1 FROM pool_switches AS s WHERE s.pool = p.pool AND s.suspended AND (s.expires_at IS NULL \
                OR s.expires_at > (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT)) AS suspended, \
                (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT AS now \
                FROM pages AS p JOIN campaigns AS c ON c.id = p.campaign_id WHERE p.id = ", Asked::topics_of_campaign(PG)))
        .bind::<BigInt, _>(page, " FOR UPDATE OF p")
        .get_result(conn)
        .optional(),
        Conn::Sqlite(conn) => sql(format!("SELECT p.*, c.status, c.status_version, c.channel, c.category, c.on_uncertain, coalesce(c.pool, p.pool) <> p.pool AS has_moved, \
                {} AS topics, EXISTS (SELECT 1 FROM pool_switches AS s WHERE s.pool = p.pool AND s.suspended AND (s.expires_at IS NULL \
                OR s.expires_at > CAST(unixepoch('subsec') * 1000 AS INTEGER))) AS suspended, \
                CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now \
                FROM pages AS p JOIN campaigns AS c ON c.id = p.campaign_id WHERE p.id = ", Asked::topics_of_campaign(SQLITE)))
        .bind::<BigInt, _>(page, "")
        .get_result(conn)
        .optional(),
    }
    .map_err(StoreError::query("lock a page"))
}

#[derive(QueryableByName)]
struct PageAndNow {
    #[diesel(sql_type = BigInt)]
    now: UtcInstant,
    #[diesel(embed)]
    page: LockedPage,
}

/// Locks several pages, in the order of their ids, and reads them and the clock.
pub(in crate::store) fn lock_pages(
    conn: &mut Conn,
    ids: &BTreeSet<PageId>,
) -> Result<(Vec<LockedPage>, UtcInstant), StoreError> {
    let locked: diesel::QueryResult<Vec<PageAndNow>> = match conn {
        Conn::Pg(conn) => {
            let ids: Vec<PageId> = ids.iter().copied().collect();
            sql("SELECT p.*, (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT AS now FROM pages AS p \
                 WHERE p.id = ANY (")
            .bind::<Array<BigInt>, _>(ids, ") ORDER BY p.id FOR UPDATE")
            .load(conn)
        }
        Conn::Sqlite(conn) => ids
            .iter()
            .map(|id| {
                sql("SELECT p.*, CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now FROM pages AS p WHERE p.id = ")
                    .bind::<BigInt, _>(*id, "")
                    .get_result(conn)
                    .optional()
            })
            .filter_map(diesel::QueryResult::transpose)
            .collect(),
    };
    let locked = locked.map_err(StoreError::query("lock pages"))?;
    let now = locked.iter().map(|locked| locked.now).max().unwrap_or(UtcInstant(0));
    Ok((locked.into_iter().map(|locked| locked.page).collect(), now))
}

/// Waits until no other transaction holds any of the campaign's next `limit` deliveries above `after`, in contact order.
pub(in crate::store::dispatch) fn wait_for_deliveries(
    conn: &mut Conn,
    campaign: CampaignId,
    after: ContactId,
    limit: i64,
) -> Result<(), StoreError> {
    let Conn::Pg(conn) = conn else { return Ok(()) };
    deliveries::table
        .filter(deliveries::campaign_id.eq(campaign).and(deliveries::contact_id.gt(after)))
        .order(deliveries::contact_id)
        .limit(limit)
        .select(deliveries::contact_id)
        .for_share()
        .load::<ContactId>(conn)
        .map(drop)
        .map_err(StoreError::query("wait for deliveries"))
}

/// Locks a page's row and reads it.
pub(in crate::store) fn lock_page(conn: &mut Conn, id: PageId) -> Result<Option<LockedPage>, StoreError> {
    // Not `first`: its bound `LIMIT` makes SQLite plan the statement anew at each run.
    let row = match conn {
        Conn::Pg(conn) => pages::table.find(id).select(PageRow::as_select()).for_update().get_result(conn).optional(),
        Conn::Sqlite(conn) => pages::table.find(id).select(PageRow::as_select()).get_result(conn).optional(),
    };
    row.map(|row| row.map(|row| LockedPage { row })).map_err(StoreError::query("lock a page"))
}

/// Locks the page of a campaign that a lease asks for, if it is ready and due and none of `held`, passing over those
/// that others are just taking.
pub(in crate::store) fn lock_ready_page(
    conn: &mut Conn,
    wanted: Wanted<'_>,
    now: UtcInstant,
) -> Result<Option<PageId>, StoreError> {
    // Not by the page's pool: while a campaign changes its pool, some pages have the former one.
    let Wanted { campaign, pool: _, which, held } = wanted;
    let ready = || {
        pages::table
            .filter(pages::campaign_id.eq(campaign))
            .filter(crate::store::engine::page_states::is_ready().and(pages::due_at.le(now)))
            .filter(pages::id.ne_all(held.to_vec()))
            .select(pages::id)
    };
    match (conn, which) {
        (Conn::Pg(conn), WhichPage::Oldest) => {
            ready().order((pages::due_at, pages::id)).limit(1).for_update().skip_locked().first(conn)
        }
        (Conn::Pg(conn), WhichPage::This(page)) => {
            ready().filter(pages::id.eq(page)).for_update().skip_locked().first(conn)
        }
        (Conn::Sqlite(conn), WhichPage::Oldest) => ready().order((pages::due_at, pages::id)).limit(1).first(conn),
        (Conn::Sqlite(conn), WhichPage::This(page)) => ready().filter(pages::id.eq(page)).first(conn),
    }
    .optional()
    .map_err(StoreError::query("find a ready page"))
}
