//! Counts of pages, written for every claim and every flush. As `sql`, because diesel caches no prepared `UPDATE`: what
//! is written so often is parsed and planned once per connection.

use diesel::RunQueryDsl;
use diesel::sql_types::BigInt;

use crate::domain::ids::PageId;
use crate::domain::instant::UtcInstant;
use crate::domain::page::Counts;
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

/// Writes the counts of a locked page that has made progress: `settled` more under its lease, and so many deaths of
/// owners in a row.
pub(in crate::store) fn write_progress(
    conn: &mut Conn,
    page: PageId,
    counts: Counts,
    settled: i64,
    deaths: i64,
    now: UtcInstant,
) -> Result<(), StoreError> {
    let statement = sql("UPDATE pages SET pending = ")
        .bind::<BigInt, _>(counts.pending, ", sending = ")
        .bind::<BigInt, _>(counts.sending, ", sent = ")
        .bind::<BigInt, _>(counts.sent, ", failed = ")
        .bind::<BigInt, _>(counts.failed, ", skipped = ")
        .bind::<BigInt, _>(counts.skipped, ", uncertain = ")
        .bind::<BigInt, _>(counts.uncertain, ", progress_at = ")
        .bind::<BigInt, _>(now, ", deaths = ")
        .bind::<BigInt, _>(deaths, ", lease_settled = lease_settled + ")
        .bind::<BigInt, _>(settled, " WHERE id = ")
        .bind::<BigInt, _>(page, "");
    match conn {
        Conn::Pg(conn) => statement.execute(conn),
        Conn::Sqlite(conn) => statement.execute(conn),
    }
    .map(drop)
    .map_err(StoreError::query("note a page's progress"))
}
