//! Skips by reason, a side row for each page and reason.

use std::collections::{BTreeMap, HashMap};

use diesel::RunQueryDsl;
use diesel::sql_types::{Array, BigInt, Text};

use crate::domain::ids::{CampaignId, PageId};
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError};

/// Adds to a page's count of one reason; `n` may be negative.
pub(in crate::store) fn count_skips(
    conn: &mut Conn,
    campaign: CampaignId,
    page: PageId,
    reason: &str,
    n: i64,
) -> Result<(), StoreError> {
    let statement = sql("INSERT INTO page_skips (campaign_id, page_id, reason, n) VALUES (")
        .bind::<BigInt, _>(campaign, ", ")
        .bind::<BigInt, _>(page, ", ")
        .bind::<Text, _>(reason, ", ")
        .bind::<BigInt, _>(
            n,
            ") ON CONFLICT (campaign_id, page_id, reason) DO UPDATE SET n = page_skips.n + excluded.n",
        );
    match conn {
        Conn::Pg(conn) => statement.execute(conn),
        Conn::Sqlite(conn) => statement.execute(conn),
    }
    .map(drop)
    .map_err(StoreError::query("count who is skipped"))
}

#[derive(diesel::QueryableByName)]
struct Sum {
    #[diesel(sql_type = BigInt)]
    campaign_id: CampaignId,
    #[diesel(sql_type = Text)]
    reason: String,
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// How many recipients of each campaign were skipped for which reason.
pub(in crate::store) fn sum_skips(
    conn: &mut Conn,
    campaigns: &[CampaignId],
) -> Result<HashMap<CampaignId, BTreeMap<String, i64>>, StoreError> {
    // PostgreSQL sums BIGINT as NUMERIC.
    const SELECT: &str = "SELECT campaign_id, reason, CAST(sum(n) AS BIGINT) AS n FROM page_skips WHERE campaign_id ";
    let rows: diesel::QueryResult<Vec<Sum>> = match conn {
        Conn::Pg(conn) => sql(format!("{SELECT} = ANY("))
            .bind::<Array<BigInt>, _>(campaigns, ") GROUP BY campaign_id, reason")
            .load(conn),
        Conn::Sqlite(conn) => sql(format!("{SELECT} IN (SELECT value FROM json_each("))
            .bind::<Text, _>(serde_json::json!(campaigns).to_string(), ")) GROUP BY campaign_id, reason")
            .load(conn),
    };
    let mut sums = HashMap::<CampaignId, BTreeMap<String, i64>>::new();
    for Sum { campaign_id, reason, n } in rows.map_err(StoreError::query("sum up who is skipped"))? {
        if n != 0 {
            sums.entry(campaign_id).or_default().insert(reason, n);
        }
    }
    Ok(sums)
}
