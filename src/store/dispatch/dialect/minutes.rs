//! What became of messages by minute, a side row for each minute and instance.

use diesel::sql_types::{BigInt, Nullable};
use diesel::{QueryableByName, RunQueryDsl};

use crate::domain::dispatch::minutes::MinuteFigures;
use crate::domain::ids::{CampaignId, InstanceId};
use crate::domain::instant::UtcInstant;
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError};

/// Adds to a minute of a campaign.
pub(in crate::store) fn add_minute(
    conn: &mut Conn,
    (campaign, minute, instance): (CampaignId, UtcInstant, InstanceId),
    figures: &MinuteFigures,
) -> Result<(), StoreError> {
    let statement = sql(
        "INSERT INTO campaign_minutes (campaign_id, minute, instance_id, sent, failed, skipped, uncertain, \
                         deferred, retried, resolved) VALUES (",
    )
    .bind::<BigInt, _>(campaign, ", ")
    .bind::<BigInt, _>(minute, ", ")
    .bind::<BigInt, _>(instance, ", ")
    .bind::<BigInt, _>(figures.sent, ", ")
    .bind::<BigInt, _>(figures.failed, ", ")
    .bind::<BigInt, _>(figures.skipped, ", ")
    .bind::<BigInt, _>(figures.uncertain, ", ")
    .bind::<BigInt, _>(figures.deferred, ", ")
    .bind::<BigInt, _>(figures.retried, ", ")
    .bind::<BigInt, _>(
        figures.resolved,
        ") ON CONFLICT (campaign_id, minute, instance_id) DO UPDATE SET sent = campaign_minutes.sent + excluded.sent, \
         failed = campaign_minutes.failed + excluded.failed, skipped = campaign_minutes.skipped + excluded.skipped, \
         uncertain = campaign_minutes.uncertain + excluded.uncertain, \
         deferred = campaign_minutes.deferred + excluded.deferred, \
         retried = campaign_minutes.retried + excluded.retried, \
         resolved = campaign_minutes.resolved + excluded.resolved",
    );
    match conn {
        Conn::Pg(conn) => statement.execute(conn),
        Conn::Sqlite(conn) => statement.execute(conn),
    }
    .map(drop)
    .map_err(StoreError::query("count a minute"))
}

/// A row of figures.
#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    minute: UtcInstant,
    #[diesel(sql_type = BigInt)]
    instance_id: InstanceId,
    #[diesel(sql_type = BigInt)]
    sent: i64,
    #[diesel(sql_type = BigInt)]
    failed: i64,
    #[diesel(sql_type = BigInt)]
    skipped: i64,
    #[diesel(sql_type = BigInt)]
    uncertain: i64,
    #[diesel(sql_type = BigInt)]
    deferred: i64,
    #[diesel(sql_type = BigInt)]
    retried: i64,
    #[diesel(sql_type = BigInt)]
    resolved: i64,
}

impl Row {
    const fn figures(&self) -> MinuteFigures {
        let Self { sent, failed, skipped, uncertain, deferred, retried, resolved, .. } = *self;
        MinuteFigures { sent, failed, skipped, uncertain, deferred, retried, resolved }
    }
}

/// PostgreSQL sums BIGINT as NUMERIC.
const SUMS: &str = "CAST(coalesce(sum(sent), 0) AS BIGINT) AS sent, CAST(coalesce(sum(failed), 0) AS BIGINT) AS failed, \
                    CAST(coalesce(sum(skipped), 0) AS BIGINT) AS skipped, \
                    CAST(coalesce(sum(uncertain), 0) AS BIGINT) AS uncertain, \
                    CAST(coalesce(sum(deferred), 0) AS BIGINT) AS deferred, \
                    CAST(coalesce(sum(retried), 0) AS BIGINT) AS retried, \
                    CAST(coalesce(sum(resolved), 0) AS BIGINT) AS resolved \
                    FROM campaign_minutes WHERE campaign_id = ";

/// Which rows: of steps that begin after `after`, within `from` and `to`.
pub(in crate::store) struct Stretch {
    /// How long a step is, in milliseconds: a multiple of a minute.
    pub(in crate::store) step_ms: i64,
    /// The step, and where instances stand apart the instance, behind which the rows are.
    pub(in crate::store) after: (UtcInstant, InstanceId),
    /// Not before this moment.
    pub(in crate::store) from: UtcInstant,
    /// Before this moment.
    pub(in crate::store) to: UtcInstant,
}

/// Up to `limit` steps in the order of time, each summed up over its minutes, and over instances unless they stand `apart`.
pub(in crate::store) fn list_minutes(
    conn: &mut Conn,
    campaign: CampaignId,
    stretch: &Stretch,
    apart: bool,
    limit: i64,
) -> Result<Vec<(UtcInstant, InstanceId, MinuteFigures)>, StoreError> {
    let Stretch { step_ms, after, from, to } = *stretch;
    let (instance, by) = if apart { ("instance_id", "1, 2") } else { ("CAST(0 AS BIGINT)", "1") };
    // The first moment that can belong to a wanted step finds the place in the index.
    let first = if apart { after.0 } else { after.0.plus_ms(step_ms) };
    let statement = sql("SELECT minute - minute % ")
        .bind::<BigInt, _>(step_ms, format!(" AS minute, {instance} AS instance_id, {SUMS}"))
        .bind::<BigInt, _>(campaign, " AND minute >= ")
        .bind::<BigInt, _>(first.max(from), " AND minute < ")
        .bind::<BigInt, _>(to, " AND (")
        .bind::<Nullable<BigInt>, _>(apart.then_some(after.0), " IS NULL OR minute >= ")
        .bind::<BigInt, _>(after.0.plus_ms(step_ms), " OR instance_id > ")
        .bind::<BigInt, _>(after.1, format!(") GROUP BY {by} ORDER BY {by} LIMIT "))
        .bind::<BigInt, _>(limit, "");
    let rows: diesel::QueryResult<Vec<Row>> = match conn {
        Conn::Pg(conn) => statement.load(conn),
        Conn::Sqlite(conn) => statement.load(conn),
    };
    let rows = rows.map_err(StoreError::query("list the minutes of a campaign"))?;
    Ok(rows.into_iter().map(|row| (row.minute, row.instance_id, row.figures())).collect())
}

/// Where a sum begins and ends.
#[derive(QueryableByName)]
struct Whole {
    #[diesel(sql_type = Nullable<BigInt>)]
    first: Option<UtcInstant>,
    #[diesel(sql_type = Nullable<BigInt>)]
    last: Option<UtcInstant>,
    #[diesel(embed)]
    row: Row,
}

/// All minutes of a campaign together, with the first and the last one. `None`: there is none.
pub(in crate::store) fn sum_minutes(
    conn: &mut Conn,
    campaign: CampaignId,
) -> Result<Option<(UtcInstant, UtcInstant, MinuteFigures)>, StoreError> {
    let statement = sql(format!(
        "SELECT min(minute) AS first, max(minute) AS last, CAST(0 AS BIGINT) AS minute, CAST(0 AS BIGINT) AS instance_id, {SUMS}"
    ))
    .bind::<BigInt, _>(campaign, "");
    let whole: diesel::QueryResult<Whole> = match conn {
        Conn::Pg(conn) => statement.get_result(conn),
        Conn::Sqlite(conn) => statement.get_result(conn),
    };
    let Whole { first, last, row } = whole.map_err(StoreError::query("sum up the minutes of a campaign"))?;
    Ok(first.zip(last).map(|(first, last)| (first, last, row.figures())))
}
