//! The contacts that an audience names one by one.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Text};

use crate::domain::ids::{CampaignId, ContactId};
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError};

/// Writes the explicit part of an audience, each contact once: a quarter of a million in some tenths of a second, because on
/// SQLite every claim waits behind it.
pub(in crate::store) fn insert_audience_contacts(
    conn: &mut Conn,
    campaign: CampaignId,
    ids: &[ContactId],
    excluded: bool,
) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let insert = |from: &'static str| {
        sql("INSERT INTO audience_contacts (campaign_id, contact_id, excluded) SELECT ")
            .bind::<BigInt, _>(campaign, ", ids.value, ")
            .bind::<Bool, _>(excluded, from)
    };
    match conn {
        Conn::Pg(conn) => insert(" FROM unnest(")
            .bind::<Array<BigInt>, _>(ids, ") AS ids (value) ON CONFLICT DO NOTHING")
            .execute(conn),
        Conn::Sqlite(conn) => insert(" FROM json_each(")
            .bind::<Text, _>(serde_json::json!(ids).to_string(), ") AS ids WHERE TRUE ON CONFLICT DO NOTHING")
            .execute(conn),
    }
    .map(drop)
    .map_err(StoreError::query("write an audience"))
}

#[derive(QueryableByName)]
struct Missing {
    #[diesel(sql_type = BigInt)]
    id: ContactId,
}

/// Which of `ids` are not live contacts, each once, in order.
pub(in crate::store) fn missing_contacts(conn: &mut Conn, ids: &[ContactId]) -> Result<Vec<ContactId>, StoreError> {
    const NOT_LIVE: &str = " WHERE NOT EXISTS (SELECT 1 FROM contacts AS c WHERE c.id = ids.value AND c.deleted_at IS NULL) \
                            ORDER BY id";
    let missing: QueryResult<Vec<Missing>> = match conn {
        Conn::Pg(conn) => sql("SELECT DISTINCT ids.value AS id FROM unnest(")
            .bind::<Array<BigInt>, _>(ids, format!(") AS ids (value){NOT_LIVE}"))
            .load(conn),
        Conn::Sqlite(conn) => sql("SELECT DISTINCT ids.value AS id FROM json_each(")
            .bind::<Text, _>(serde_json::json!(ids).to_string(), format!(") AS ids{NOT_LIVE}"))
            .load(conn),
    };
    missing.map(|rows| rows.into_iter().map(|row| row.id).collect()).map_err(StoreError::query("look up contacts"))
}
