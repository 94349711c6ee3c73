//! The topics of campaigns in bulk.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text};

use crate::domain::ids::{CampaignId, ListId};
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError};

/// A topic of a campaign.
#[derive(QueryableByName)]
pub(in crate::store) struct OfCampaign {
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) campaign_id: CampaignId,
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) list_id: ListId,
}

/// The lists that these campaigns include, and the topics that they name, as far as these are lists still; in no order, some
/// twice.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn of_campaigns(conn: &mut Conn, campaigns: &[CampaignId]) -> Result<Vec<OfCampaign>, StoreError> {
    const INCLUDED: &str = "SELECT a.campaign_id, l.id AS list_id FROM audience_lists AS a JOIN lists AS l ON l.id = a.list_id \
                            WHERE NOT a.excluded AND a.campaign_id ";
    const NAMED: &str =
        " UNION ALL SELECT c.id, l.id FROM campaigns AS c JOIN lists AS l ON l.id = c.topic_id WHERE c.id ";
    match conn {
        Conn::Pg(conn) => sql(format!("{INCLUDED} = ANY("))
            .bind::<Array<BigInt>, _>(campaigns, format!("){NAMED} = ANY("))
            .bind::<Array<BigInt>, _>(campaigns, ")")
            .load(conn),
        Conn::Sqlite(conn) => {
            let json = serde_json::json!(campaigns).to_string();
            sql(format!("{INCLUDED} IN (SELECT value FROM json_each("))
                .bind::<Text, _>(json.clone(), format!(")){NAMED} IN (SELECT value FROM json_each("))
                .bind::<Text, _>(json, "))")
                .load(conn)
        }
    }
    .map_err(StoreError::query("read the topics of campaigns"))
}
