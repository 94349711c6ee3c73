//! What went through the pools, and what waits for them.

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Text};

use crate::domain::instant::UtcInstant;
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError};

/// Two figures of a pool.
#[derive(diesel::QueryableByName)]
pub(in crate::store) struct OfPool {
    #[diesel(sql_type = Text)]
    pub(in crate::store) pool: String,
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) one: i64,
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) other: i64,
}

/// How many messages became sent, and how many failed, since then: from the minutes of that time alone.
pub(in crate::store) fn passed_by_pool(conn: &mut Conn, since: UtcInstant) -> Result<Vec<OfPool>, StoreError> {
    // PostgreSQL sums BIGINT as NUMERIC.
    let statement = sql("SELECT coalesce(c.pool, '') AS pool, CAST(sum(m.sent) AS BIGINT) AS one, \
         CAST(sum(m.failed) AS BIGINT) AS other FROM campaign_minutes AS m JOIN campaigns AS c ON c.id = m.campaign_id \
         WHERE m.minute >= ")
    .bind::<BigInt, _>(since, " GROUP BY coalesce(c.pool, '')");
    match conn {
        Conn::Pg(conn) => statement.load(conn),
        Conn::Sqlite(conn) => statement.load(conn),
    }
    .map_err(StoreError::query("sum what went through the pools"))
}

/// How many recipients of campaigns that are sending or paused are pending, and how many are sending: along the indexes over open pages.
pub(in crate::store) fn waiting_by_pool(conn: &mut Conn) -> Result<Vec<OfPool>, StoreError> {
    const OF: &str = "SELECT p.pool AS pool, CAST(sum(p.pending) AS BIGINT) AS one, CAST(sum(p.sending) AS BIGINT) AS other \
                      FROM pages AS p JOIN campaigns AS c ON c.id = p.campaign_id \
                      WHERE c.status IN ('sending', 'paused') AND p.state =";
    let statement = sql(format!("{OF} 'ready' GROUP BY p.pool UNION ALL {OF} 'leased' GROUP BY p.pool"));
    match conn {
        Conn::Pg(conn) => statement.load(conn),
        Conn::Sqlite(conn) => statement.load(conn),
    }
    .map_err(StoreError::query("sum what waits for the pools"))
}
