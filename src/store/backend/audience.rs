//! Audiences: `INSERT … SELECT`, with the same text on both databases but for what it returns.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::domain::campaign::{Audience, ChannelKind};
use crate::domain::ids::{CampaignId, ContactId, ListId, PageId};
use crate::domain::page::Counts;
use crate::store::packing::{Span, address_test, fresh_counts};
use crate::store::schema::{audience_contacts, contacts, list_members};
use crate::store::{Conn, StoreError};

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

const NOT_EXCLUDED: &str = "NOT EXISTS (SELECT 1 FROM audience_contacts x WHERE x.campaign_id = $1 AND x.excluded \
     AND x.contact_id = c.id) AND NOT EXISTS (SELECT 1 FROM audience_lists x JOIN list_members m ON m.list_id = x.list_id \
     WHERE x.campaign_id = $1 AND x.excluded AND m.contact_id = c.id)";

/// The `FROM … WHERE` that names an audience between two contact ids: `$1` campaign, `$2` after, `$3` up to. People who
/// were named one by one stay in the books when they are gone; members of a list do not.
fn source(audience: &Audience) -> String {
    let named = if audience.all {
        "FROM contacts c WHERE c.id > $2 AND c.id <= $3 AND c.deleted_at IS NULL".to_owned()
    } else if audience.lists.is_empty() {
        "FROM audience_contacts a JOIN contacts c ON c.id = a.contact_id WHERE a.campaign_id = $1 AND NOT a.excluded \
         AND a.contact_id > $2 AND a.contact_id <= $3"
            .to_owned()
    } else {
        "FROM contacts c WHERE c.id > $2 AND c.id <= $3 AND c.deleted_at IS NULL AND EXISTS (SELECT 1 FROM audience_lists a \
         JOIN list_members m ON m.list_id = a.list_id WHERE a.campaign_id = $1 AND NOT a.excluded AND m.contact_id = c.id)"
            .to_owned()
    };
    if audience.exclude.is_empty() { named } else { format!("{named} AND {NOT_EXCLUDED}") }
}

/// How many a launched audience names.
///
/// # Errors
/// The query failed.
pub fn count_audience(
    conn: &mut Conn,
    campaign: CampaignId,
    audience: &Audience,
    up_to: ContactId,
) -> Result<i64, StoreError> {
    let text = format!("SELECT count(*) AS n {}", source(audience));
    let query =
        diesel::sql_query(text).bind::<BigInt, _>(campaign).bind::<BigInt, _>(ContactId(0)).bind::<BigInt, _>(up_to);
    let row: Number = match conn {
        Conn::Pg(conn) => query.get_result(conn),
        Conn::Sqlite(conn) => query.get_result(conn),
    }
    .map_err(StoreError::query("count an audience"))?;
    Ok(row.n)
}

/// The contact at which a stretch of about `limit` candidates ends; `None` when there is no candidate left.
pub(in crate::store) fn audience_bound(
    conn: &mut Conn,
    campaign: CampaignId,
    audience: &Audience,
    span: Span,
    limit: i64,
) -> Result<Option<ContactId>, StoreError> {
    let ids: Vec<ContactId> = if audience.all {
        contacts::table
            .filter(contacts::id.gt(span.after).and(contacts::id.le(span.up_to)))
            .filter(contacts::deleted_at.is_null())
            .order(contacts::id)
            .limit(limit)
            .select(contacts::id)
            .load(conn)
    } else if audience.lists.is_empty() {
        audience_contacts::table
            .filter(audience_contacts::campaign_id.eq(campaign).and(audience_contacts::excluded.eq(false)))
            .filter(audience_contacts::contact_id.gt(span.after).and(audience_contacts::contact_id.le(span.up_to)))
            .order(audience_contacts::contact_id)
            .limit(limit)
            .select(audience_contacts::contact_id)
            .load(conn)
    } else {
        merged_members(conn, &audience.lists, span, limit)
    }
    .map_err(StoreError::query("walk an audience"))?;
    Ok(ids.last().copied())
}

/// The first `limit` members of several lists together: each list is walked by its key, so that none is ever read whole.
fn merged_members(conn: &mut Conn, lists: &[ListId], span: Span, limit: i64) -> QueryResult<Vec<ContactId>> {
    let mut ids = std::collections::BTreeSet::new();
    for list in lists {
        let members: Vec<ContactId> = list_members::table
            .filter(list_members::list_id.eq(*list))
            .filter(list_members::contact_id.gt(span.after).and(list_members::contact_id.le(span.up_to)))
            .order(list_members::contact_id)
            .limit(limit)
            .select(list_members::contact_id)
            .load(conn)?;
        ids.extend(members);
    }
    Ok(ids.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
}

/// Inserts the deliveries of a stretch: `pending`, or `skipped` for those whom the channel cannot reach, so that the
/// books cover everyone the audience named.
pub(in crate::store) fn insert_deliveries(
    conn: &mut Conn,
    campaign: CampaignId,
    page: PageId,
    audience: &Audience,
    channel: ChannelKind,
    span: Span,
) -> Result<Counts, StoreError> {
    let reachable = address_test(channel);
    let insert = format!(
        "INSERT INTO deliveries (campaign_id, contact_id, page_id, state, reason) SELECT $1, c.id, $4, \
         CASE WHEN c.deleted_at IS NULL AND {reachable} THEN 'pending' ELSE 'skipped' END, \
         CASE WHEN c.deleted_at IS NOT NULL THEN 'contact_deleted' WHEN {reachable} THEN NULL ELSE 'no_address' END {}",
        source(audience)
    );
    let bind = |text: String| {
        diesel::sql_query(text)
            .bind::<BigInt, _>(campaign)
            .bind::<BigInt, _>(span.after)
            .bind::<BigInt, _>(span.up_to)
            .bind::<BigInt, _>(page)
    };
    let size = match conn {
        Conn::Pg(conn) => bind(insert).execute(conn),
        Conn::Sqlite(conn) => bind(format!("{insert} ORDER BY c.id")).execute(conn),
    }
    .map_err(StoreError::query("insert deliveries"))?;
    let size = crate::store::pages::count(size)?;
    let skipped: i64 = {
        use crate::store::schema::deliveries;
        deliveries::table
            .filter(deliveries::campaign_id.eq(campaign))
            .filter(deliveries::contact_id.gt(span.after).and(deliveries::contact_id.le(span.up_to)))
            .filter(deliveries::state.eq(crate::domain::delivery::DeliveryState::Skipped))
            .count()
            .get_result(conn)
            .map_err(StoreError::query("count who cannot be reached"))?
    };
    Ok(fresh_counts(size, size - skipped))
}

/// Writes the explicit part of an audience, each contact once.
pub(in crate::store) fn insert_audience_contacts(
    conn: &mut Conn,
    campaign: CampaignId,
    ids: &[ContactId],
    excluded: bool,
) -> Result<(), StoreError> {
    for chunk in ids.chunks(1000) {
        let rows: Vec<_> = chunk
            .iter()
            .map(|id| {
                (
                    audience_contacts::campaign_id.eq(campaign),
                    audience_contacts::contact_id.eq(*id),
                    audience_contacts::excluded.eq(excluded),
                )
            })
            .collect();
        match conn {
            Conn::Pg(conn) => {
                diesel::insert_into(audience_contacts::table).values(rows).on_conflict_do_nothing().execute(conn)
            }
            Conn::Sqlite(conn) => diesel::insert_or_ignore_into(audience_contacts::table).values(rows).execute(conn),
        }
        .map_err(StoreError::query("write an audience"))?;
    }
    Ok(())
}
