//! Counts of pages, written for every claim and every flush. As `sql`, because diesel caches no prepared `UPDATE`: what
//! is written so often is parsed and planned once per connection.

use std::collections::BTreeMap;

use diesel::RunQueryDsl;
use diesel::sql_types::{Array, BigInt};

use crate::domain::ids::PageId;
use crate::domain::instant::UtcInstant;
use crate::domain::page::Counts;
use crate::store::outcomes::Tally;
use crate::store::sql::sql;
use crate::store::{Conn, StoreError};

/// Writes the counts of a locked page.
pub(in crate::store) fn write_counts(conn: &mut Conn, page: PageId, counts: Counts) -> Result<(), StoreError> {
    let statement = sql("UPDATE pages SET pending = ")
        .bind::<BigInt, _>(counts.pending, ", sending = ")
        .bind::<BigInt, _>(counts.sending, ", sent = ")
        .bind::<BigInt, _>(counts.sent, ", failed = ")
        .bind::<BigInt, _>(counts.failed, ", skipped = ")
        .bind::<BigInt, _>(counts.skipped, ", uncertain = ")
        .bind::<BigInt, _>(counts.uncertain, " WHERE id = ")
        .bind::<BigInt, _>(page, "");
    match conn {
        Conn::Pg(conn) => statement.execute(conn),
        Conn::Sqlite(conn) => statement.execute(conn),
    }
    .map(drop)
    .map_err(StoreError::query("count a page"))
}

/// Writes the counts of locked pages that have made progress, and so many deaths of owners in a row.
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
                 skipped = v.skipped, uncertain = v.uncertain, deaths = v.deaths, \
                 lease_settled = p.lease_settled + v.settled, progress_at = ")
            .bind::<BigInt, _>(now, " FROM unnest(")
            .bind::<Array<BigInt>, _>(ids, ", ")
            .bind::<Array<BigInt>, _>(of(|tally| tally.counts.pending), ", ")
            .bind::<Array<BigInt>, _>(of(|tally| tally.counts.sending), ", ")
            .bind::<Array<BigInt>, _>(of(|tally| tally.counts.sent), ", ")
            .bind::<Array<BigInt>, _>(of(|tally| tally.counts.failed), ", ")
            .bind::<Array<BigInt>, _>(of(|tally| tally.counts.skipped), ", ")
            .bind::<Array<BigInt>, _>(of(|tally| tally.counts.uncertain), ", ")
            .bind::<Array<BigInt>, _>(of(|tally| tally.deaths), ", ")
            .bind::<Array<BigInt>, _>(
                of(|tally| tally.settled),
                ") AS v (id, pending, sending, sent, failed, skipped, uncertain, deaths, settled) WHERE p.id = v.id",
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
                .bind::<BigInt, _>(now, ", deaths = ")
                .bind::<BigInt, _>(tally.deaths, ", lease_settled = lease_settled + ")
                .bind::<BigInt, _>(tally.settled, " WHERE id = ")
                .bind::<BigInt, _>(*id, "")
                .execute(conn)
                .map(drop)
        }),
    }
    .map_err(StoreError::query("note the progress of pages"))
}
