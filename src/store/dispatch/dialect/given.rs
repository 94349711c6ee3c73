//! Audiences that are stored nowhere: what the statements of a campaign read from its tables is given to them as tables of the
//! statement.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Untyped};

use super::audience::{Contacts, Number, People};
use crate::domain::campaigns::audience::Audience;
use crate::domain::ids::{ContactId, TagId};
use crate::domain::instant::UtcInstant;
use crate::store::dispatch::plan::Span;
use crate::store::engine::sql::Pieces;
use crate::store::{Conn, StoreError};

/// What belongs to an audience that is given, besides itself.
#[derive(Debug, Clone)]
pub(in crate::store) struct Given {
    /// When it is counted: what a launch at this time would take.
    pub(in crate::store) now: UtcInstant,
    /// The tags that it names.
    pub(in crate::store) tags: Vec<TagId>,
    /// The tags that leave people out.
    pub(in crate::store) left_out_tags: Vec<TagId>,
}

/// A table of ids that the campaign 0 has.
fn table(name: &str, key: &str, ids: impl Iterator<Item = i64>, left_out: impl Iterator<Item = i64>) -> String {
    let row = |id: i64, is_excluded: &str| format!("(CAST(0 AS BIGINT), CAST({id} AS BIGINT), {is_excluded})");
    let rows: Vec<String> = ids.map(|id| row(id, "FALSE")).chain(left_out.map(|id| row(id, "TRUE"))).collect();
    let rows = match rows.is_empty() {
        true => "SELECT CAST(0 AS BIGINT), CAST(0 AS BIGINT), FALSE WHERE 0 = 1".to_owned(),
        false => format!("VALUES {}", rows.join(", ")),
    };
    format!("{name} (campaign_id, {key}, excluded) AS ({rows})")
}

/// The same of the contacts that an audience names, or leaves out, in a stretch: there may be very many.
fn contacts(is_postgres: bool, audience: &Audience, span: Span) -> String {
    let rows = |ids: &[ContactId], is_excluded: &str| {
        let ids = ids.iter().filter(|id| span.after < **id && **id <= span.up_to);
        let ids = ids.map(ToString::to_string).collect::<Vec<_>>().join(",");
        let from = match is_postgres {
            true => format!("unnest('{{{ids}}}'::bigint[]) AS i (value)"),
            false => format!("json_each('[{ids}]') AS i"),
        };
        format!("SELECT CAST(0 AS BIGINT), CAST(i.value AS BIGINT), {is_excluded} FROM {from}")
    };
    let (named, left_out) = (&audience.include.contact_ids, &audience.exclude.contact_ids);
    let rows = format!("{} UNION ALL {}", rows(named, "FALSE"), rows(left_out, "TRUE"));
    format!("audience_contacts (campaign_id, contact_id, excluded) AS ({rows})")
}

/// The tables that a statement about an audience reads, for a stretch of contacts: what the tables of a campaign would hold. The launch
/// is at the time of [`Given`].
pub(super) fn tables(is_postgres: bool, audience: &Audience, given: &Given, span: Span) -> String {
    let tags =
        table("audience_tags", "tag_id", given.tags.iter().map(|id| id.0), given.left_out_tags.iter().map(|id| id.0));
    let (lists, contacts, now) = (lists(audience), contacts(is_postgres, audience, span), given.now.0);
    let campaigns = format!("campaigns (id, launched_at) AS (SELECT CAST(0 AS BIGINT), CAST({now} AS BIGINT))");
    format!("WITH {lists}, {tags}, {contacts}, {campaigns} ")
}

/// The lists of an audience as a table of a statement.
pub(super) fn lists(audience: &Audience) -> String {
    let (include, exclude) = (&audience.include, &audience.exclude);
    table("audience_lists", "list_id", include.lists.iter().map(|id| id.0), exclude.lists.iter().map(|id| id.0))
}

/// How many an audience names in a stretch. Its campaign is 0.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn count_given(
    conn: &mut Conn,
    people: People<'_>,
    given: &Given,
    span: Span,
) -> Result<i64, StoreError> {
    let tables = tables(matches!(conn, Conn::Pg(_)), people.audience, given, span);
    // These are taken away at the end, and all at once: SQLite would look through all of them for each contact.
    let mut audience = people.audience.clone();
    audience.exclude.contact_ids.clear();
    let people = People { audience: &audience, ..people };
    let mut named = Pieces::default();
    let key = people.push_counted(&mut named, span);
    named.once().push(" EXCEPT SELECT contact_id FROM audience_contacts WHERE excluded) AS named");
    let count =
        named.before(&format!("{tables}SELECT count(*) AS n FROM (SELECT {key} AS id ")).query::<BigInt, Untyped>();
    let row: QueryResult<Number> = match conn {
        Conn::Pg(conn) => count.get_result(conn),
        Conn::Sqlite(conn) => count.get_result(conn),
    };
    row.map(|row| row.n).map_err(StoreError::query("count an audience"))
}

/// Who is named by an audience in a stretch, in the order of their ids: those that a launch would pack. Its campaign is 0.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn people_given(
    conn: &mut Conn,
    people: People<'_>,
    given: &Given,
    span: Span,
) -> Result<Vec<ContactId>, StoreError> {
    let tables = tables(matches!(conn, Conn::Pg(_)), people.audience, given, span);
    let mut audience = people.audience.clone();
    let left_out = std::mem::take(&mut audience.exclude.contact_ids);
    let people = People { audience: &audience, ..people };
    let named = |contacts: Contacts| {
        let mut named = Pieces::default();
        let key = people.push(&mut named, span, contacts);
        named.once();
        named.before(&format!("{tables}SELECT {key} AS id ")).query::<BigInt, BigInt>()
    };
    let ids: QueryResult<Vec<ContactId>> = match conn {
        Conn::Pg(conn) => named(Contacts::LookedUp).load(conn),
        Conn::Sqlite(conn) => named(Contacts::Joined).load(conn),
    };
    let mut ids = ids.map_err(StoreError::query("read an audience"))?;
    ids.retain(|id| left_out.binary_search(id).is_err());
    ids.sort_unstable();
    Ok(ids)
}
