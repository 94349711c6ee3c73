//! Audiences: who belongs to one, and their deliveries by `INSERT … SELECT`.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text};

use crate::domain::campaigns::audience::{Audience, AudienceSource};
use crate::domain::channel::ChannelKind;
use crate::domain::dispatch::page::Counts;
use crate::domain::ids::{CampaignId, ContactId, ListId, PageId};
use crate::store::dispatch::eligibility::skip_reason;
use crate::store::dispatch::packing::{Span, fresh_counts};
use crate::store::engine::schema::list_members;
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError};

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// Which members of a list belong to an audience: those who had joined by the launch. A launch lets no one join its lists
/// before it has committed, and then only at a later millisecond. An excluded list counts as it is when a page is packed:
/// a late exclusion still keeps a message back.
const AT_LAUNCH: &str = "m.created_at <= (SELECT launched_at FROM campaigns WHERE id = $1)";

/// An audience between two contact ids, as text around the two: `… after … up_to …`. The campaign is the first value of
/// the whole statement. What has the fewest rows is walked: a small list among millions of contacts costs no more than it
/// has members.
struct Source {
    /// `FROM … key > `
    from: String,
    /// ` AND key <= `
    to: String,
    rest: String,
    /// The contact's id, in the order of which rows are found.
    key: &'static str,
}

impl Source {
    /// With the contacts themselves, as `c`. People who were named one by one stay in the books when they are gone;
    /// members of a list do not. Members count who were on the list at the launch: see [`AT_LAUNCH`].
    fn of(audience: &Audience) -> Self {
        Self::new(audience, " CROSS JOIN contacts c", "c.id = m.contact_id AND c.deleted_at IS NULL")
    }

    /// For counting: a deleted contact leaves all lists, so members need not be looked at one by one.
    fn to_count(audience: &Audience) -> Self {
        Self::new(audience, "", "TRUE")
    }

    fn new(audience: &Audience, contacts: &str, are_live: &str) -> Self {
        let (from, to, rest, key) = match &audience.source {
            AudienceSource::All => (
                "FROM contacts c WHERE c.id > ".to_owned(),
                " AND c.id <= ",
                " AND c.deleted_at IS NULL".to_owned(),
                "c.id",
            ),
            AudienceSource::Contacts(_) => (
                "FROM audience_contacts a JOIN contacts c ON c.id = a.contact_id WHERE a.campaign_id = $1 AND NOT \
                 a.excluded AND a.contact_id > "
                    .to_owned(),
                " AND a.contact_id <= ",
                String::new(),
                "a.contact_id",
            ),
            AudienceSource::Lists(lists) if lists.len() == 1 => (
                format!(
                    "FROM list_members m{contacts} WHERE m.list_id = (SELECT list_id FROM audience_lists WHERE \
                     campaign_id = $1 AND NOT excluded) AND {AT_LAUNCH} AND m.contact_id > "
                ),
                " AND m.contact_id <= ",
                format!(" AND {are_live}"),
                "m.contact_id",
            ),
            // A contact may be on several of them.
            AudienceSource::Lists(_) => (
                format!(
                    "FROM (SELECT DISTINCT m.contact_id FROM audience_lists a CROSS JOIN list_members m WHERE \
                     a.campaign_id = $1 AND NOT a.excluded AND m.list_id = a.list_id AND {AT_LAUNCH} AND m.contact_id > "
                ),
                " AND m.contact_id <= ",
                format!(") m{contacts} WHERE {are_live}"),
                "m.contact_id",
            ),
        };
        let mut source = Self { from, to: to.to_owned(), rest, key };
        if !audience.exclude.contact_ids.is_empty() {
            source.rest.push_str(&format!(
                " AND NOT EXISTS (SELECT 1 FROM audience_contacts x WHERE x.campaign_id = $1 AND x.excluded AND \
                 x.contact_id = {key})"
            ));
        }
        if !audience.exclude.lists.is_empty() {
            source.rest.push_str(&format!(
                " AND NOT EXISTS (SELECT 1 FROM audience_lists x JOIN list_members e ON e.list_id = x.list_id WHERE \
                 x.campaign_id = $1 AND x.excluded AND e.contact_id = {key})"
            ));
        }
        source
    }

    /// As SQLite writes the first value: `$1` would be a name there.
    fn for_sqlite(self) -> Self {
        let numbered = |text: String| text.replace("$1", "?1");
        Self { from: numbered(self.from), to: numbered(self.to), rest: numbered(self.rest), key: self.key }
    }
}

/// How many an audience names. The campaign's `launched_at` is set already.
///
/// # Errors
/// The query failed.
pub fn count_audience(
    conn: &mut Conn,
    campaign: CampaignId,
    audience: &Audience,
    up_to: ContactId,
) -> Result<i64, StoreError> {
    if audience.source == AudienceSource::All && audience.exclude.is_empty() {
        return count_live_contacts(conn, up_to);
    }
    let bind = |Source { from, to, rest, .. }| {
        // The first value is used by number alone, so it is named here once.
        sql("SELECT count(*) AS n FROM (SELECT ")
            .bind::<BigInt, _>(campaign, format!(" AS campaign {from}"))
            .bind::<BigInt, _>(ContactId(0), to)
            .bind::<BigInt, _>(up_to, format!("{rest}) AS everyone"))
    };
    let source = Source::to_count(audience);
    let row: QueryResult<Number> = match conn {
        Conn::Pg(conn) => bind(source).get_result(conn),
        Conn::Sqlite(conn) => bind(source.for_sqlite()).get_result(conn),
    };
    row.map(|row| row.n).map_err(StoreError::query("count an audience"))
}

/// All contacts less the deleted ones: neither takes a look at each row on SQLite.
fn count_live_contacts(conn: &mut Conn, up_to: ContactId) -> Result<i64, StoreError> {
    let query = || {
        sql("SELECT (SELECT count(*) FROM contacts) - (SELECT count(*) FROM contacts WHERE deleted_at IS NOT NULL) - \
             (SELECT count(*) FROM contacts WHERE deleted_at IS NULL AND id > ")
        .bind::<BigInt, _>(up_to, ") AS n")
    };
    let row: QueryResult<Number> = match conn {
        Conn::Pg(conn) => query().get_result(conn),
        Conn::Sqlite(conn) => query().get_result(conn),
    };
    row.map(|row| row.n).map_err(StoreError::query("count an audience"))
}

#[derive(QueryableByName)]
struct Bound {
    #[diesel(sql_type = Nullable<BigInt>)]
    id: Option<ContactId>,
}

/// The contact at which a stretch of about `limit` candidates ends; `None` when there is no candidate left.
pub(in crate::store) fn audience_bound(
    conn: &mut Conn,
    campaign: CampaignId,
    audience: &Audience,
    span: Span,
    limit: i64,
) -> Result<Option<ContactId>, StoreError> {
    let (of, owner, key, rest) = match &audience.source {
        AudienceSource::All => ("contacts WHERE 0 = ", 0, "id", " AND deleted_at IS NULL"),
        AudienceSource::Contacts(_) => {
            ("audience_contacts WHERE campaign_id = ", campaign.0, "contact_id", " AND NOT excluded")
        }
        AudienceSource::Lists(lists) => match lists.as_slice() {
            [list] => ("list_members WHERE list_id = ", list.0, "contact_id", ""),
            several => {
                let merged = merged_members(conn, several, span, limit);
                return merged.map(|ids| ids.last().copied()).map_err(StoreError::query("walk an audience"));
            }
        },
    };
    // The limit is part of the text: SQLite plans a bound one anew at each run.
    let query = sql(format!("SELECT max(id) AS id FROM (SELECT {key} AS id FROM {of}"))
        .bind::<BigInt, _>(owner, format!(" AND {key} > "))
        .bind::<BigInt, _>(span.after, format!(" AND {key} <= "))
        .bind::<BigInt, _>(span.up_to, format!("{rest} ORDER BY {key} LIMIT {limit}) AS first"));
    let row: QueryResult<Bound> = match conn {
        Conn::Pg(conn) => query.get_result(conn),
        Conn::Sqlite(conn) => query.get_result(conn),
    };
    row.map(|row| row.id).map_err(StoreError::query("walk an audience"))
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

#[derive(QueryableByName)]
struct Inserted {
    #[diesel(sql_type = BigInt)]
    size: i64,
    #[diesel(sql_type = BigInt)]
    pending: i64,
}

/// Inserts the deliveries of a stretch: `pending`, or `skipped` for those that the channel cannot reach, so that the
/// books cover everyone the audience named.
pub(in crate::store) fn insert_deliveries(
    conn: &mut Conn,
    campaign: CampaignId,
    page: PageId,
    audience: &Audience,
    channel: ChannelKind,
    span: Span,
) -> Result<Counts, StoreError> {
    let reason = skip_reason(channel);
    let insert = |before: &str, Source { from, to, rest, key }, after: &str| {
        sql(format!("{before}INSERT INTO deliveries (campaign_id, contact_id, page_id, state, reason) SELECT "))
            .bind::<BigInt, _>(campaign, ", c.id, ")
            .bind::<BigInt, _>(
                page,
                format!(", CASE WHEN {reason} IS NULL THEN 'pending' ELSE 'skipped' END, {reason} {from}"),
            )
            .bind::<BigInt, _>(span.after, to)
            .bind::<BigInt, _>(span.up_to, format!("{rest} ORDER BY {key}{after}"))
    };
    let source = Source::of(audience);
    let inserted = match conn {
        Conn::Pg(conn) => insert(
            "WITH packed AS (",
            source,
            " RETURNING state) SELECT count(*) AS size, count(*) FILTER (WHERE state = 'pending') AS pending FROM packed",
        )
        .get_result(conn)
        .map_err(StoreError::query("insert deliveries"))?,
        Conn::Sqlite(sqlite) => {
            let size = insert("", source.for_sqlite(), "")
                .execute(sqlite)
                .map_err(StoreError::query("insert deliveries"))?;
            let size = crate::store::dispatch::pages::count(size)?;
            Inserted { size, pending: size - count_skipped(sqlite, campaign, span)? }
        }
    };
    Ok(fresh_counts(inserted.size, inserted.pending))
}

/// How many of a stretch that was just packed cannot be reached.
fn count_skipped(conn: &mut SqliteConnection, campaign: CampaignId, span: Span) -> Result<i64, StoreError> {
    let row: Number = sql("SELECT count(*) AS n FROM deliveries WHERE campaign_id = ")
        .bind::<BigInt, _>(campaign, " AND contact_id > ")
        .bind::<BigInt, _>(span.after, " AND contact_id <= ")
        .bind::<BigInt, _>(span.up_to, " AND state = 'skipped'")
        .get_result(conn)
        .map_err(StoreError::query("count who cannot be reached"))?;
    Ok(row.n)
}

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
