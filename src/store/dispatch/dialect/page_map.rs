//! Pages of a campaign, put together in groups of neighbours.

use diesel::sql_types::{BigInt, Nullable};
use diesel::{QueryableByName, RunQueryDsl};

use crate::domain::dispatch::page::Counts;
use crate::domain::ids::{CampaignId, ContactId, InstanceId};
use crate::domain::instant::UtcInstant;
use crate::store::dispatch::dialect::sums::{SUMMED_COUNTS, SummedCounts};
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError};

/// Neighbouring pages.
#[derive(QueryableByName)]
pub(in crate::store) struct Group {
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) first_seq: i64,
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) last_seq: i64,
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) first_contact_id: ContactId,
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) last_contact_id: ContactId,
    #[diesel(embed)]
    counts: SummedCounts,
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) leased: i64,
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) overdue: i64,
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) deaths: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(in crate::store) first_instance: Option<InstanceId>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(in crate::store) last_instance: Option<InstanceId>,
}

impl Group {
    /// How its recipients stand.
    pub(in crate::store) fn counts(&self) -> Counts {
        self.counts.into()
    }
}

/// Groups of so many neighbours, among the pages of a campaign with these numbers.
pub(in crate::store) fn groups(
    conn: &mut Conn,
    campaign: CampaignId,
    (from, to): (i64, i64),
    together: i64,
    now: UtcInstant,
) -> Result<Vec<Group>, StoreError> {
    let statement = sql(format!(
        "SELECT min(seq) AS first_seq, max(seq) AS last_seq, min(first_contact_id) AS first_contact_id, \
         max(last_contact_id) AS last_contact_id, {SUMMED_COUNTS}, \
         CAST(sum(CASE WHEN state = 'leased' THEN 1 ELSE 0 END) AS BIGINT) AS leased, \
         CAST(sum(CASE WHEN state = 'leased' AND lease_until < "
    ))
    .bind::<BigInt, _>(
        now,
        " THEN 1 ELSE 0 END) AS BIGINT) AS overdue, CAST(max(deaths) AS BIGINT) AS deaths, \
         min(lease_instance_id) AS first_instance, max(lease_instance_id) AS last_instance \
         FROM pages WHERE campaign_id = ",
    )
    .bind::<BigInt, _>(campaign, " AND seq BETWEEN ")
    .bind::<BigInt, _>(from, " AND ")
    .bind::<BigInt, _>(to, " GROUP BY (seq - ")
    .bind::<BigInt, _>(from, ") / ")
    .bind::<BigInt, _>(together, " ORDER BY first_seq");
    match conn {
        Conn::Pg(conn) => statement.load(conn),
        Conn::Sqlite(conn) => statement.load(conn),
    }
    .map_err(StoreError::query("read the map of pages"))
}
