//! Audiences that are stored nowhere: what the statements of a campaign read from its tables is given to them as tables of the
//! statement.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Untyped};

use super::audience::{Number, People, push_count};
use crate::domain::ids::TagId;
use crate::domain::instant::UtcInstant;
use crate::store::dispatch::packing::Span;
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
    let (include, exclude) = (&people.audience.include, &people.audience.exclude);
    let lists =
        table("audience_lists", "list_id", include.lists.iter().map(|id| id.0), exclude.lists.iter().map(|id| id.0));
    let tags =
        table("audience_tags", "tag_id", given.tags.iter().map(|id| id.0), given.left_out_tags.iter().map(|id| id.0));
    let contacts = table(
        "audience_contacts",
        "contact_id",
        include.contact_ids.iter().map(|id| id.0),
        exclude.contact_ids.iter().map(|id| id.0),
    );
    let now = given.now.0;
    let mut count = Pieces::default();
    count.once().push(&format!(
        "WITH {lists}, {tags}, {contacts}, campaigns (id, launched_at) AS (SELECT CAST(0 AS BIGINT), CAST({now} AS BIGINT)) "
    ));
    push_count(&mut count, people, span);
    let count = count.query::<BigInt, Untyped>();
    let row: QueryResult<Number> = match conn {
        Conn::Pg(conn) => count.get_result(conn),
        Conn::Sqlite(conn) => count.get_result(conn),
    };
    row.map(|row| row.n).map_err(StoreError::query("count an audience"))
}
