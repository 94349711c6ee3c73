//! Every difference between PostgreSQL and SQLite, as named functions.

mod audience;
pub(super) mod contacts;
mod deliveries;
pub(super) mod idempotency;
mod locks;
mod pages;

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Text};

use super::sql::sql;
use super::{Conn, StoreError};
use crate::domain::ids::CampaignId;
use crate::domain::instant::UtcInstant;
pub use audience::count_audience;
pub(super) use audience::{audience_bound, insert_audience_contacts, insert_deliveries};
pub(super) use deliveries::{keep_content, mark_sending, write_outcomes};
pub use locks::{CampaignLock, lock_campaign};
pub(super) use locks::{lock_page, lock_ready_page};
pub(super) use pages::{is_leased, is_ready, open_pages, write_counts, write_progress};

#[derive(diesel::QueryableByName)]
struct Instant {
    #[diesel(sql_type = BigInt)]
    now: UtcInstant,
}

/// The database's clock. Due times, leases and schedules are compared with this one only.
///
/// # Errors
/// The query failed.
pub fn now(conn: &mut Conn) -> Result<UtcInstant, StoreError> {
    let row: diesel::QueryResult<Instant> = match conn {
        Conn::Pg(conn) => sql("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT AS now").get_result(conn),
        Conn::Sqlite(conn) => sql("SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now").get_result(conn),
    };
    row.map(|row| row.now).map_err(StoreError::query("read the database's clock"))
}

#[derive(diesel::QueryableByName)]
struct Setting {
    #[diesel(sql_type = Text)]
    value: String,
}

/// Refuses a PostgreSQL that may lose acknowledged commits.
///
/// # Errors
/// [`StoreError::UnsafeDurability`] names the setting.
pub(super) fn refuse_unsafe_durability(conn: &mut Conn) -> Result<(), StoreError> {
    let Conn::Pg(conn) = conn else { return Ok(()) };
    for setting in ["fsync", "synchronous_commit"] {
        let row: Setting = sql("SELECT current_setting(")
            .bind::<Text, _>(setting, ") AS value")
            .get_result(conn)
            .map_err(StoreError::query("read the server's settings"))?;
        if row.value == "off" {
            return Err(StoreError::UnsafeDurability { setting });
        }
    }
    Ok(())
}

/// A campaign's statistics: the sum over its pages.
pub(super) fn sum_page_counts<T>(conn: &mut Conn, campaign: CampaignId) -> Result<T, StoreError>
where
    T: diesel::deserialize::QueryableByName<diesel::pg::Pg>
        + diesel::deserialize::QueryableByName<diesel::sqlite::Sqlite>
        + 'static,
{
    // PostgreSQL sums BIGINT as NUMERIC.
    let query = || {
        sql("SELECT CAST(coalesce(sum(pending), 0) AS BIGINT) AS pending, \
             CAST(coalesce(sum(sending), 0) AS BIGINT) AS sending, CAST(coalesce(sum(sent), 0) AS BIGINT) AS sent, \
             CAST(coalesce(sum(failed), 0) AS BIGINT) AS failed, CAST(coalesce(sum(skipped), 0) AS BIGINT) AS skipped, \
             CAST(coalesce(sum(uncertain), 0) AS BIGINT) AS uncertain FROM pages WHERE campaign_id = ")
        .bind::<BigInt, _>(campaign, "")
    };
    match conn {
        Conn::Pg(conn) => query().get_result(conn),
        Conn::Sqlite(conn) => query().get_result(conn),
    }
    .map_err(StoreError::query("sum up a campaign"))
}
