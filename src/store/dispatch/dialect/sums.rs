//! Sums over pages.

use std::collections::HashMap;

use diesel::sql_types::{Array, BigInt, Text};
use diesel::{QueryableByName, RunQueryDsl};

use crate::domain::dispatch::page::Counts;
use crate::domain::ids::CampaignId;
use crate::domain::instant::UtcInstant;
use crate::store::engine::dialect::now;
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError};

/// Selects the counts of pages together, for a [`SummedCounts`]. PostgreSQL sums BIGINT as NUMERIC.
pub(super) const SUMMED_COUNTS: &str = "CAST(sum(pending) AS BIGINT) AS pending, CAST(sum(sending) AS BIGINT) AS sending, \
                                        CAST(sum(sent) AS BIGINT) AS sent, CAST(sum(failed) AS BIGINT) AS failed, \
                                        CAST(sum(skipped) AS BIGINT) AS skipped, CAST(sum(uncertain) AS BIGINT) AS uncertain";

/// The counts of pages together: what [`SUMMED_COUNTS`] selects.
#[derive(Clone, Copy, QueryableByName)]
pub(super) struct SummedCounts {
    #[diesel(sql_type = BigInt)]
    pending: i64,
    #[diesel(sql_type = BigInt)]
    sending: i64,
    #[diesel(sql_type = BigInt)]
    sent: i64,
    #[diesel(sql_type = BigInt)]
    failed: i64,
    #[diesel(sql_type = BigInt)]
    skipped: i64,
    #[diesel(sql_type = BigInt)]
    uncertain: i64,
}

impl From<SummedCounts> for Counts {
    fn from(SummedCounts { pending, sending, sent, failed, skipped, uncertain }: SummedCounts) -> Self {
        Self { pending, sending, sent, failed, skipped, uncertain }
    }
}

#[derive(QueryableByName)]
struct Sums {
    #[diesel(sql_type = BigInt)]
    campaign_id: CampaignId,
    #[diesel(embed)]
    counts: SummedCounts,
}

#[derive(QueryableByName)]
struct Waits {
    #[diesel(sql_type = BigInt)]
    campaign_id: CampaignId,
    #[diesel(sql_type = BigInt)]
    waiting: i64,
    #[diesel(sql_type = BigInt)]
    next_at: UtcInstant,
}

/// How many wait for another try on ready pages that are due later, and when the first page is due. Everybody pending on
/// such a page waits: it is due when the first of them is.
pub(in crate::store) fn waiting(
    conn: &mut Conn,
    campaigns: &[CampaignId],
) -> Result<HashMap<CampaignId, (i64, UtcInstant)>, StoreError> {
    const SELECT: &str = "SELECT campaign_id, CAST(sum(pending) AS BIGINT) AS waiting, min(due_at) AS next_at \
                          FROM pages WHERE state = 'ready' AND due_at > ";
    let now = now(conn)?;
    let rows: diesel::QueryResult<Vec<Waits>> = match conn {
        Conn::Pg(conn) => sql(SELECT)
            .bind::<BigInt, _>(now, " AND campaign_id = ANY(")
            .bind::<Array<BigInt>, _>(campaigns, ") GROUP BY campaign_id HAVING sum(pending) > 0")
            .load(conn),
        Conn::Sqlite(conn) => sql(SELECT)
            .bind::<BigInt, _>(now, " AND campaign_id IN (SELECT value FROM json_each(")
            .bind::<Text, _>(
                serde_json::json!(campaigns).to_string(),
                ")) GROUP BY campaign_id HAVING sum(pending) > 0",
            )
            .load(conn),
    };
    let waits = |row: Waits| (row.campaign_id, (row.waiting, row.next_at));
    rows.map(|rows| rows.into_iter().map(waits).collect()).map_err(StoreError::query("count who waits"))
}

/// The statistics of campaigns: the sums over their pages. One without pages is left out.
pub(in crate::store) fn sum_page_counts(
    conn: &mut Conn,
    campaigns: &[CampaignId],
) -> Result<HashMap<CampaignId, Counts>, StoreError> {
    let select = format!("SELECT campaign_id, {SUMMED_COUNTS} FROM pages WHERE campaign_id");
    let rows: diesel::QueryResult<Vec<Sums>> = match conn {
        Conn::Pg(conn) => {
            sql(format!("{select} = ANY(")).bind::<Array<BigInt>, _>(campaigns, ") GROUP BY campaign_id").load(conn)
        }
        Conn::Sqlite(conn) => sql(format!("{select} IN (SELECT value FROM json_each("))
            .bind::<Text, _>(serde_json::json!(campaigns).to_string(), ")) GROUP BY campaign_id")
            .load(conn),
    };
    let counts = |row: Sums| (row.campaign_id, row.counts.into());
    rows.map(|rows| rows.into_iter().map(counts).collect()).map_err(StoreError::query("sum campaigns up"))
}
