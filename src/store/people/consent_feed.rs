//! The consent log as it is read: in the order in which it was written.

use diesel::prelude::*;

use crate::domain::ids::{CampaignId, ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::store::engine::dialect::conn::MultiBackend;
use crate::store::engine::schema::consent_log;
use crate::store::people::dialect;
use crate::store::{Conn, StoreError, engine};

/// A line of the log. Holds personal data: never logged, hence no `Debug`.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = consent_log)]
pub struct LineRow {
    /// Its place in the log.
    pub id: i64,
    /// When it was stored.
    pub at: UtcInstant,
    /// The contact; none: an address without one.
    pub contact_id: Option<ContactId>,
    /// The list; none: everything.
    pub list_id: Option<ListId>,
    /// The channel, where the change is of a suppression.
    pub channel: Option<String>,
    /// The standing or the reason before.
    pub before: Option<String>,
    /// The standing or the reason since.
    pub after: Option<String>,
    /// Where it came from.
    pub source: String,
    /// What an operator or a file said of it.
    pub note: Option<String>,
    /// The campaign whose message led to it.
    pub campaign_id: Option<CampaignId>,
    /// The request.
    pub request_id: Option<String>,
    /// The address of a person's own act.
    pub address: Option<String>,
    /// Where a person's own act came from.
    pub ip: Option<String>,
    /// What the person's program calls itself.
    pub user_agent: Option<String>,
}

/// Up to `limit` lines behind `after`, oldest first. On PostgreSQL lines are shown once they are so old that no transaction can add
/// one before them any more: a reader that goes on from the last one misses none.
///
/// # Errors
/// The query failed.
pub fn after(conn: &mut Conn, after: i64, contact: Option<ContactId>, limit: i64) -> Result<Vec<LineRow>, StoreError> {
    let settled = engine::now(conn)?.plus_ms(-dialect::consent::settles_after_ms(conn));
    let mut query = consent_log::table
        .filter(consent_log::id.gt(after))
        .order(consent_log::id)
        .limit(limit)
        .into_boxed::<MultiBackend>();
    if let Some(contact) = contact {
        query = query.filter(consent_log::contact_id.eq(contact));
    }
    let rows: Vec<LineRow> =
        query.select(LineRow::as_select()).load(conn).map_err(StoreError::query("read the consent log"))?;
    Ok(rows.into_iter().take_while(|row| row.at <= settled).collect())
}
