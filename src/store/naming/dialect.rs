//! Names by their beginning: the two databases order text differently unless they are told how.

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Text};

use super::{Line, Named};
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError};

/// Behind everything that begins with a text: the last of all characters.
const LAST: char = '\u{10FFFF}';

/// The one with this id.
pub(super) fn with_id(conn: &mut Conn, what: Named, id: i64) -> Result<Vec<Line>, StoreError> {
    let (table, note, living) = what.source();
    let select = format!("SELECT id, name, {note} AS note FROM {table} WHERE {living}id = ");
    match conn {
        Conn::Pg(conn) => sql(select).bind::<BigInt, _>(id, "").load(conn),
        Conn::Sqlite(conn) => sql(select).bind::<BigInt, _>(id, "").load(conn),
    }
    .map_err(StoreError::query("find by an id"))
}

/// The one with this slug.
pub(super) fn with_slug(conn: &mut Conn, what: Named, slug: &str) -> Result<Vec<Line>, StoreError> {
    let (table, note, living) = what.source();
    let select = format!("SELECT id, name, {note} AS note FROM {table} WHERE {living}slug = ");
    match conn {
        Conn::Pg(conn) => sql(select).bind::<Text, _>(slug, "").load(conn),
        Conn::Sqlite(conn) => sql(select).bind::<Text, _>(slug, "").load(conn),
    }
    .map_err(StoreError::query("find by a slug"))
}

/// Those whose names begin with a text: of the first `looked_at` in the order of the alphabet the newest `most`, but those that are called
/// exactly so before them.
pub(super) fn beginning(
    conn: &mut Conn,
    what: Named,
    text: &str,
    (looked_at, most): (i64, i64),
) -> Result<Vec<Line>, StoreError> {
    let (table, note, living) = what.source();
    let name = match conn {
        Conn::Pg(_) => "lower(name) COLLATE \"C\"",
        Conn::Sqlite(_) => "lower(name)",
    };
    let end = format!("{text}{LAST}");
    let select = sql(format!(
        "SELECT id, name, note FROM (SELECT id, name, {note} AS note FROM {table} WHERE {living}{name} >= lower("
    ))
    .bind::<Text, _>(text, format!(") AND {name} < lower("))
    .bind::<Text, _>(end.as_str(), format!(") ORDER BY {name} LIMIT "))
    .bind::<BigInt, _>(looked_at, ") AS first_ones ORDER BY CASE WHEN lower(name) = lower(")
    .bind::<Text, _>(text, ") THEN 0 ELSE 1 END, id DESC LIMIT ")
    .bind::<BigInt, _>(most, "");
    match conn {
        Conn::Pg(conn) => select.load(conn),
        Conn::Sqlite(conn) => select.load(conn),
    }
    .map_err(StoreError::query("find by the beginning of a name"))
}
