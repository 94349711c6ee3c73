//! Counts of pages, written for every claim and every flush. As `sql`, because diesel caches no prepared `UPDATE`: what
//! is written so often is parsed and planned once per connection.

use std::collections::BTreeMap;

use diesel::RunQueryDsl;
use diesel::sql_types::{Array, BigInt, Bool, Text};

use crate::domain::dispatch::page::Counts;
use crate::domain::ids::PageId;
use crate::domain::instant::UtcInstant;
use crate::store::dispatch::dialect::LockedPage;
use crate::store::dispatch::outcomes::Tally;
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError};

/// Writes a page's counts.
pub(in crate::store) fn write_counts(conn: &mut Conn, page: &LockedPage, counts: Counts) -> Result<(), StoreError> {
    let statement = sql("UPDATE pages SET pending = ")
        .bind::<BigInt, _>(counts.pending, ", sending = ")
        .bind::<BigInt, _>(counts.sending, ", sent = ")
        .bind::<BigInt, _>(counts.sent, ", failed = ")
        .bind::<BigInt, _>(counts.failed, ", skipped = ")
        .bind::<BigInt, _>(counts.skipped, ", uncertain = ")
        .bind::<BigInt, _>(counts.uncertain, " WHERE id = ")
        .bind::<BigInt, _>(page.id, "");
    match conn {
        Conn::Pg(conn) => statement.execute(conn),
        Conn::Sqlite(conn) => statement.execute(conn),
    }
    .map(drop)
    .map_err(StoreError::query("count a page"))
}

/// Writes the counts of locked pages that have made progress.
pub(in crate::store) fn write_progress(
    conn: &mut Conn,
    pages: &BTreeMap<PageId, Tally>,
    now: UtcInstant,
) -> Result<(), StoreError> {
    if pages.is_empty() {
        return Ok(());
    }
    match conn {
        Conn::Pg(conn) => {
            let ids: Vec<PageId> = pages.keys().copied().collect();
            let of = |pick: fn(&Tally) -> i64| -> Vec<i64> { pages.values().map(pick).collect() };
            sql("UPDATE pages AS p SET pending = v.pending, sending = v.sending, sent = v.sent, failed = v.failed, \
                 skipped = v.skipped, uncertain = v.uncertain, \
                 lease_settled = p.lease_settled + v.settled, progress_at = ")
            .bind::<BigInt, _>(now, " FROM unnest(")
            .bind::<Array<BigInt>, _>(ids, ", ")
            .bind::<Array<BigInt>, _>(of(|tally| tally.counts.pending), ", ")
            .bind::<Array<BigInt>, _>(of(|tally| tally.counts.sending), ", ")
            .bind::<Array<BigInt>, _>(of(|tally| tally.counts.sent), ", ")
            .bind::<Array<BigInt>, _>(of(|tally| tally.counts.failed), ", ")
            .bind::<Array<BigInt>, _>(of(|tally| tally.counts.skipped), ", ")
            .bind::<Array<BigInt>, _>(of(|tally| tally.counts.uncertain), ", ")
            .bind::<Array<BigInt>, _>(
                of(|tally| tally.settled),
                ") AS v (id, pending, sending, sent, failed, skipped, uncertain, settled) WHERE p.id = v.id",
            )
            .execute(conn)
            .map(drop)
        }
        Conn::Sqlite(conn) => pages.iter().try_for_each(|(id, tally)| {
            sql("UPDATE pages SET pending = ")
                .bind::<BigInt, _>(tally.counts.pending, ", sending = ")
                .bind::<BigInt, _>(tally.counts.sending, ", sent = ")
                .bind::<BigInt, _>(tally.counts.sent, ", failed = ")
                .bind::<BigInt, _>(tally.counts.failed, ", skipped = ")
                .bind::<BigInt, _>(tally.counts.skipped, ", uncertain = ")
                .bind::<BigInt, _>(tally.counts.uncertain, ", progress_at = ")
                .bind::<BigInt, _>(now, ", lease_settled = lease_settled + ")
                .bind::<BigInt, _>(tally.settled, " WHERE id = ")
                .bind::<BigInt, _>(*id, "")
                .execute(conn)
                .map(drop)
        }),
    }
    .map_err(StoreError::query("note the progress of pages"))
}

/// The open pages of a pool, in one state: those that it holds, or those that are ready of the campaigns that it sends.
#[derive(diesel::QueryableByName)]
pub(in crate::store) struct OpenPages {
    #[diesel(sql_type = Text)]
    pub(in crate::store) pool: String,
    #[diesel(sql_type = Bool)]
    pub(in crate::store) leased: bool,
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) pages: i64,
    /// Those among them of campaigns that are sending or paused.
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) active: i64,
    /// Recipients that could be claimed at `now`.
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) due: i64,
}

/// Counts open pages, and who is due on them.
pub(in crate::store) fn open_pages(conn: &mut Conn, now: UtcInstant) -> Result<Vec<OpenPages>, StoreError> {
    const ACTIVE: &str = "CAST(sum(CASE WHEN c.status IN ('sending', 'paused') THEN 1 ELSE 0 END) AS BIGINT)";
    const OF_CAMPAIGNS: &str = "FROM pages AS p JOIN campaigns AS c ON c.id = p.campaign_id WHERE p.state =";
    let statement = sql(format!(
        "SELECT coalesce(c.pool, p.pool) AS pool, FALSE AS leased, count(*) AS pages, {ACTIVE} AS active, \
         CAST(sum(CASE WHEN c.status = 'sending' AND p.due_at <= "
    ))
    .bind::<BigInt, _>(
        now,
        format!(
            " THEN p.pending ELSE 0 END) AS BIGINT) AS due {OF_CAMPAIGNS} 'ready' GROUP BY coalesce(c.pool, p.pool) \
             UNION ALL SELECT p.pool, TRUE, count(*), {ACTIVE}, \
             CAST(sum(CASE WHEN c.status = 'sending' THEN p.pending ELSE 0 END) AS BIGINT) \
             {OF_CAMPAIGNS} 'leased' GROUP BY p.pool"
        ),
    );
    match conn {
        Conn::Pg(conn) => statement.load(conn),
        Conn::Sqlite(conn) => statement.load(conn),
    }
    .map_err(StoreError::query("count open pages"))
}

#[derive(diesel::QueryableByName)]
struct Made {
    #[diesel(sql_type = BigInt)]
    pages: i64,
}

/// How many pages the campaigns that are sending or paused have, open or done: from their packings, so that no page is
/// read for it.
pub(in crate::store) fn pages_of_active(conn: &mut Conn) -> Result<i64, StoreError> {
    let statement = sql("SELECT CAST(coalesce(sum(k.next_page - 1), 0) AS BIGINT) AS pages \
         FROM campaigns AS c JOIN packings AS k ON k.campaign_id = c.id WHERE c.status IN ('sending', 'paused')");
    let made: diesel::QueryResult<Made> = match conn {
        Conn::Pg(conn) => statement.get_result(conn),
        Conn::Sqlite(conn) => statement.get_result(conn),
    };
    made.map(|made| made.pages).map_err(StoreError::query("count the pages of active campaigns"))
}
