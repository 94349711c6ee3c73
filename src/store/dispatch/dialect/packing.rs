//! What packing writes for each page. As `sql`, because diesel caches no prepared `INSERT` or `UPDATE`: pages are born by the
//! thousand.

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Bool, Text};

use crate::domain::dispatch::page::{Counts, PageState};
use crate::domain::ids::{CampaignId, PageId};
use crate::store::dispatch::plan::Span;
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError};

/// Moves a packing's cursor from one end of a stretch to the other, and its page number on. `false`: somebody else moved
/// it first.
pub(in crate::store) fn move_cursor(
    conn: &mut Conn,
    campaign: CampaignId,
    span: Span,
    next_page: i64,
    done: bool,
) -> Result<bool, StoreError> {
    let statement = sql("UPDATE packings SET cursor_contact_id = ")
        .bind::<BigInt, _>(span.up_to, ", next_page = ")
        .bind::<BigInt, _>(next_page, ", done = ")
        .bind::<Bool, _>(done, " WHERE campaign_id = ")
        .bind::<BigInt, _>(campaign, " AND NOT done AND cursor_contact_id = ")
        .bind::<BigInt, _>(span.after, "");
    let moved = match conn {
        Conn::Pg(conn) => statement.execute(conn),
        Conn::Sqlite(conn) => statement.execute(conn),
    };
    moved.map(|rows| rows == 1).map_err(StoreError::query("move a packing's cursor"))
}

/// Gives a page's number back: the page came to nothing.
pub(in crate::store) fn number_next_page(conn: &mut Conn, campaign: CampaignId, seq: i64) -> Result<(), StoreError> {
    let statement = sql("UPDATE packings SET next_page = ")
        .bind::<BigInt, _>(seq, " WHERE campaign_id = ")
        .bind::<BigInt, _>(campaign, "");
    match conn {
        Conn::Pg(conn) => statement.execute(conn),
        Conn::Sqlite(conn) => statement.execute(conn),
    }
    .map(drop)
    .map_err(StoreError::query("number the next page"))
}

#[derive(diesel::QueryableByName)]
struct Born {
    #[diesel(sql_type = BigInt)]
    id: PageId,
}

/// Inserts a page that holds nobody yet.
pub(in crate::store) fn insert_page(
    conn: &mut Conn,
    campaign: CampaignId,
    seq: i64,
    pool: &str,
    span: Span,
) -> Result<PageId, StoreError> {
    let statement =
        sql("INSERT INTO pages (campaign_id, seq, pool, first_contact_id, last_contact_id, state, due_at, size, \
                         pending, sending, sent, failed, skipped, uncertain) VALUES (")
        .bind::<BigInt, _>(campaign, ", ")
        .bind::<BigInt, _>(seq, ", ")
        .bind::<Text, _>(pool, ", ")
        .bind::<BigInt, _>(span.after.0 + 1, ", ")
        .bind::<BigInt, _>(span.up_to, ", 'done', 0, 0, 0, 0, 0, 0, 0, 0) RETURNING id");
    let born: diesel::QueryResult<Born> = match conn {
        Conn::Pg(conn) => statement.get_result(conn),
        Conn::Sqlite(conn) => statement.get_result(conn),
    };
    born.map(|page| page.id).map_err(StoreError::query("insert a page"))
}

/// Counts the deliveries of a page that was just packed, and opens it.
pub(in crate::store) fn fill_page(
    conn: &mut Conn,
    page: PageId,
    state: PageState,
    counts: Counts,
) -> Result<(), StoreError> {
    let statement = sql("UPDATE pages SET state = ")
        .bind::<Text, _>(state, ", size = ")
        .bind::<BigInt, _>(counts.total(), ", pending = ")
        .bind::<BigInt, _>(counts.pending, ", skipped = ")
        .bind::<BigInt, _>(counts.skipped, " WHERE id = ")
        .bind::<BigInt, _>(page, "");
    match conn {
        Conn::Pg(conn) => statement.execute(conn),
        Conn::Sqlite(conn) => statement.execute(conn),
    }
    .map(drop)
    .map_err(StoreError::query("count a page"))
}
