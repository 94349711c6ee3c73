//! Why recipients failed or are uncertain, a side row for each kind of trouble.

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Text};

use crate::domain::ids::CampaignId;
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError};

/// Adds to a kind of trouble: its state, category and class; `n` may be negative.
pub(in crate::store) fn add_reason(
    conn: &mut Conn,
    campaign: CampaignId,
    (state, category, class): (&str, &str, &str),
    n: i64,
) -> Result<(), StoreError> {
    let statement = sql("INSERT INTO campaign_reasons (campaign_id, state, category, answer_class, n) VALUES (")
        .bind::<BigInt, _>(campaign, ", ")
        .bind::<Text, _>(state, ", ")
        .bind::<Text, _>(category, ", ")
        .bind::<Text, _>(class, ", ")
        .bind::<BigInt, _>(
            n,
            ") ON CONFLICT (campaign_id, state, category, answer_class) \
             DO UPDATE SET n = campaign_reasons.n + excluded.n",
        );
    match conn {
        Conn::Pg(conn) => statement.execute(conn),
        Conn::Sqlite(conn) => statement.execute(conn),
    }
    .map(drop)
    .map_err(StoreError::query("count a reason"))
}
