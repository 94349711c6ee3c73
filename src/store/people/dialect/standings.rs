//! Standings in bulk. PostgreSQL takes arrays; SQLite takes JSON, or rows one by one, inside one transaction.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text};

use crate::domain::ids::{ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::fields::Fields;
use crate::domain::people::standing::Standing;
use crate::domain::segments::topic;
use crate::store::engine::dialect::{CLOCK_PG, CLOCK_SQLITE};
use crate::store::engine::sql::sql;
use crate::store::engine::touches::Touches;
use crate::store::people::dialect::Hold;
use crate::store::{Conn, StoreError};

/// A contact, by its keys.
#[derive(QueryableByName)]
pub(in crate::store) struct Held {
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) id: ContactId,
    #[diesel(sql_type = Nullable<Text>)]
    external_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    email: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    phone: Option<String>,
    #[diesel(sql_type = Bool)]
    pub(in crate::store) is_deleted: bool,
}

impl Held {
    /// Its keys, as the fields of a contact.
    pub(in crate::store) fn keys(&self) -> Fields {
        Fields {
            external_id: self.external_id.clone(),
            email: self.email.clone(),
            phone: self.phone.clone(),
            ..Fields::default()
        }
    }
}

const HELD: &str = "SELECT id, external_id, email, phone, deleted_at IS NOT NULL AS is_deleted FROM contacts WHERE id ";

/// Contacts in the order of their ids, deleted ones, too; locked in this order where they are to be held. A change of
/// a standing holds the contact first.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn contacts(conn: &mut Conn, ids: &[ContactId], hold: Hold) -> Result<Vec<Held>, StoreError> {
    match conn {
        Conn::Pg(conn) => sql(format!("{HELD} = ANY("))
            .bind::<Array<BigInt>, _>(ids, format!(") ORDER BY id{}", hold.clause()))
            .load(conn),
        // The transaction is IMMEDIATE: nobody else writes.
        Conn::Sqlite(conn) => sql(format!("{HELD} IN (SELECT value FROM json_each("))
            .bind::<Text, _>(serde_json::json!(ids).to_string(), ")) ORDER BY id")
            .load(conn),
    }
    .map_err(StoreError::query("lock contacts"))
}

/// [`contacts`], held; nobody, where one of them was deleted.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn hold_if_none_is_deleted(conn: &mut Conn, ids: &[ContactId]) -> Result<Vec<Held>, StoreError> {
    const AND_NONE: &str = " AND NOT EXISTS (SELECT 1 FROM contacts AS d WHERE d.deleted_at IS NOT NULL AND d.id ";
    match conn {
        Conn::Pg(conn) => sql(format!("{HELD} = ANY("))
            .bind::<Array<BigInt>, _>(ids, format!("){AND_NONE} = ANY("))
            .bind::<Array<BigInt>, _>(ids, ")) ORDER BY id FOR NO KEY UPDATE")
            .load(conn),
        Conn::Sqlite(conn) => {
            let json = serde_json::json!(ids).to_string();
            sql(format!("{HELD} IN (SELECT value FROM json_each("))
                .bind::<Text, _>(json.clone(), format!(")){AND_NONE} IN (SELECT value FROM json_each("))
                .bind::<Text, _>(json, "))) ORDER BY id")
                .load(conn)
        }
    }
    .map_err(StoreError::query("lock contacts"))
}

/// A topic that a standing is about.
#[derive(QueryableByName)]
pub(in crate::store) struct Topic {
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) id: ListId,
    #[diesel(sql_type = Bool)]
    pub(in crate::store) default_opt_in: bool,
    #[diesel(sql_type = Bool)]
    pub(in crate::store) double_opt_in: bool,
    /// The database's clock when it was held. That of the last one is behind every lock.
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) held_at: UtcInstant,
}

/// Those of `ids` that are lists, held until the end of the transaction: a deletion of a list waits, and then removes what was
/// written; a launch that waits sees it. The clock is read behind this lock, so that who waited for a launch joins after it: rows
/// come out of the inner query one by one, locked.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn hold_topics(conn: &mut Conn, ids: &[ListId]) -> Result<Vec<Topic>, StoreError> {
    let select = |clock: &str| {
        format!(
            "SELECT t.id, t.default_opt_in, t.double_opt_in, {clock} AS held_at FROM (SELECT id, default_opt_in, double_opt_in \
             FROM lists WHERE id "
        )
    };
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    match conn {
        Conn::Pg(conn) => sql(format!("{} = ANY(", select(CLOCK_PG)))
            .bind::<Array<BigInt>, _>(ids, ") ORDER BY id FOR KEY SHARE) AS t")
            .load(conn),
        Conn::Sqlite(conn) => sql(format!("{} IN (SELECT value FROM json_each(", select(CLOCK_SQLITE)))
            .bind::<Text, _>(serde_json::json!(ids).to_string(), "))) AS t")
            .load(conn),
    }
    .map_err(StoreError::query("lock lists"))
}

/// A standing as stored.
#[derive(QueryableByName)]
pub(in crate::store) struct Stored {
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) list_id: ListId,
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) contact_id: ContactId,
    #[diesel(sql_type = Text)]
    pub(in crate::store) status: Standing,
}

/// The standings of these pairs of list and contact, where there are any.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn read(conn: &mut Conn, pairs: &[(ListId, ContactId)]) -> Result<Vec<Stored>, StoreError> {
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    match conn {
        Conn::Pg(conn) => {
            let (lists, contacts): (Vec<ListId>, Vec<ContactId>) = pairs.iter().copied().unzip();
            sql("SELECT m.list_id, m.contact_id, m.status FROM unnest(")
                .bind::<Array<BigInt>, _>(lists, ", ")
                .bind::<Array<BigInt>, _>(
                    contacts,
                    ") AS w (l, c) JOIN list_members m ON m.list_id = w.l AND m.contact_id = w.c",
                )
                .load(conn)
        }
        Conn::Sqlite(conn) => sql("SELECT m.list_id, m.contact_id, m.status FROM json_each(")
            .bind::<Text, _>(
                serde_json::json!(pairs).to_string(),
                ") AS w CROSS JOIN list_members m ON m.list_id = w.value ->> 0 AND m.contact_id = w.value ->> 1",
            )
            .load(conn),
    }
    .map_err(StoreError::query("read standings"))
}

/// A standing as stored, with what led to it.
#[derive(QueryableByName)]
pub(in crate::store) struct OfContact {
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) list_id: ListId,
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) contact_id: ContactId,
    #[diesel(sql_type = Text)]
    pub(in crate::store) status: Standing,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(in crate::store) status_at: Option<UtcInstant>,
    #[diesel(sql_type = Nullable<Text>)]
    pub(in crate::store) source: Option<String>,
}

/// Every standing of these contacts.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn read_all(conn: &mut Conn, contacts: &[ContactId]) -> Result<Vec<OfContact>, StoreError> {
    const SELECT: &str = "SELECT list_id, contact_id, status, status_at, source FROM list_members WHERE contact_id ";
    if contacts.is_empty() {
        return Ok(Vec::new());
    }
    match conn {
        Conn::Pg(conn) => sql(format!("{SELECT} = ANY(")).bind::<Array<BigInt>, _>(contacts, ")").load(conn),
        Conn::Sqlite(conn) => sql(format!("{SELECT} IN (SELECT value FROM json_each("))
            .bind::<Text, _>(serde_json::json!(contacts).to_string(), "))")
            .load(conn),
    }
    .map_err(StoreError::query("read standings of contacts"))
}

/// A standing to be written.
pub(in crate::store) struct Written {
    pub(in crate::store) list: ListId,
    pub(in crate::store) contact: ContactId,
    pub(in crate::store) status: Standing,
    pub(in crate::store) at: UtcInstant,
    pub(in crate::store) source: String,
    /// Whether its contact was made in this transaction, so that nobody can have written it before.
    pub(in crate::store) is_new: bool,
}

/// Writes standings. Looking for a row that cannot be there costs PostgreSQL as much as writing one: those of new contacts go without.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn write(conn: &mut Conn, rows: Vec<Written>, now: UtcInstant) -> Result<(), StoreError> {
    let mut touches = Touches::default();
    // A contact that is new is touched by that.
    rows.iter().filter(|row| !row.is_new).for_each(|row| touches.add(row.contact, topic::Topic::List(row.list)));
    touches.write(conn)?;
    let (new, others): (Vec<Written>, Vec<Written>) = rows.into_iter().partition(|row| row.is_new);
    for chunk in new.chunks(MOST_ROWS) {
        write_chunk(conn, chunk, now, "")?;
    }
    for chunk in others.chunks(MOST_ROWS) {
        write_chunk(conn, chunk, now, ELSE_UPDATE)?;
    }
    Ok(())
}

/// The most rows that are written in one statement.
const MOST_ROWS: usize = 5_000;

const ELSE_UPDATE: &str = " ON CONFLICT (list_id, contact_id) DO UPDATE SET status = excluded.status, status_at = \
                           excluded.status_at, source = excluded.source";

/// `now` is when rows that are new were made.
fn write_chunk(conn: &mut Conn, rows: &[Written], now: UtcInstant, or_else: &str) -> Result<(), StoreError> {
    const INSERT: &str = "INSERT INTO list_members (list_id, contact_id, created_at, status, status_at, source) ";
    match conn {
        Conn::Pg(conn) => {
            let lists: Vec<ListId> = rows.iter().map(|row| row.list).collect();
            let contacts: Vec<ContactId> = rows.iter().map(|row| row.contact).collect();
            let statuses: Vec<Standing> = rows.iter().map(|row| row.status).collect();
            let times: Vec<UtcInstant> = rows.iter().map(|row| row.at).collect();
            let sources: Vec<&str> = rows.iter().map(|row| row.source.as_str()).collect();
            sql(format!("{INSERT} SELECT r.l, r.c, "))
                .bind::<BigInt, _>(now, ", r.status, r.at, r.source FROM unnest(")
                .bind::<Array<BigInt>, _>(lists, ", ")
                .bind::<Array<BigInt>, _>(contacts, ", ")
                .bind::<Array<Text>, _>(statuses, ", ")
                .bind::<Array<BigInt>, _>(times, ", ")
                .bind::<Array<Text>, _>(sources, format!(") AS r (l, c, status, at, source) {or_else}"))
                .execute(conn)
                .map(drop)
        }
        Conn::Sqlite(conn) => rows.iter().try_for_each(|row| {
            sql(format!("{INSERT} VALUES ("))
                .bind::<BigInt, _>(row.list, ", ")
                .bind::<BigInt, _>(row.contact, ", ")
                .bind::<BigInt, _>(now, ", ")
                .bind::<Text, _>(row.status, ", ")
                .bind::<BigInt, _>(row.at, ", ")
                .bind::<Text, _>(&row.source, format!(") {or_else}"))
                .execute(conn)
                .map(drop)
        }),
    }
    .map_err(StoreError::query("write standings"))
}

/// Removes the standings of these contacts on a list, but refusals; what was removed.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn remove(
    conn: &mut Conn,
    list: ListId,
    contacts: &[ContactId],
) -> Result<Vec<Stored>, StoreError> {
    const RETURNING: &str = " AND status <> 'unsubscribed' RETURNING list_id, contact_id, status";
    let gone: QueryResult<Vec<Stored>> = match conn {
        Conn::Pg(conn) => sql("DELETE FROM list_members WHERE list_id = ")
            .bind::<BigInt, _>(list, " AND contact_id = ANY(")
            .bind::<Array<BigInt>, _>(contacts, format!("){RETURNING}"))
            .load(conn),
        Conn::Sqlite(conn) => sql("DELETE FROM list_members WHERE list_id = ")
            .bind::<BigInt, _>(list, " AND contact_id IN (SELECT value FROM json_each(")
            .bind::<Text, _>(serde_json::json!(contacts).to_string(), format!(")){RETURNING}"))
            .load(conn),
    };
    let gone = gone.map_err(StoreError::query("take contacts off a list"))?;
    Touches::of(gone.iter().map(|row| row.contact_id), &topic::Topic::List(list)).write(conn)?;
    Ok(gone)
}

#[derive(QueryableByName)]
struct Holder {
    #[diesel(sql_type = BigInt)]
    id: ContactId,
}

/// Living contacts that have one of these keys: email, phone or external id.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn holders(conn: &mut Conn, keys: &[String]) -> Result<Vec<ContactId>, StoreError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let one =
        |column: &str, from: &str| format!("SELECT id FROM contacts WHERE deleted_at IS NULL AND {column} {from}");
    let found: QueryResult<Vec<Holder>> = match conn {
        Conn::Pg(conn) => sql(one("email", "= ANY("))
            .bind::<Array<Text>, _>(keys, format!(") UNION {}", one("phone", "= ANY(")))
            .bind::<Array<Text>, _>(keys, format!(") UNION {}", one("external_id", "= ANY(")))
            .bind::<Array<Text>, _>(keys, ")")
            .load(conn),
        Conn::Sqlite(conn) => {
            let json = serde_json::json!(keys).to_string();
            const LIST: &str = "IN (SELECT value FROM json_each(";
            sql(one("email", LIST))
                .bind::<Text, _>(json.clone(), format!(")) UNION {}", one("phone", LIST)))
                .bind::<Text, _>(json.clone(), format!(")) UNION {}", one("external_id", LIST)))
                .bind::<Text, _>(json, "))")
                .load(conn)
        }
    };
    found
        .map(|rows| rows.into_iter().map(|row| row.id).collect())
        .map_err(StoreError::query("find contacts by their addresses"))
}

/// Up to `limit` standings that have been unconfirmed since before this.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn unconfirmed_before(
    conn: &mut Conn,
    before: UtcInstant,
    limit: i64,
) -> Result<Vec<Stored>, StoreError> {
    let select = sql(
        "SELECT list_id, contact_id, status FROM list_members WHERE status = 'unconfirmed' AND coalesce(status_at, created_at) < ",
    )
    .bind::<BigInt, _>(before, " LIMIT ")
    .bind::<BigInt, _>(limit, "");
    match conn {
        Conn::Pg(conn) => select.load(conn),
        Conn::Sqlite(conn) => select.load(conn),
    }
    .map_err(StoreError::query("look for old unconfirmed subscriptions"))
}

/// Removes a standing that is unconfirmed since before this. How many rows went: one, or none.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn expire(
    conn: &mut Conn,
    list: ListId,
    contact: ContactId,
    before: UtcInstant,
) -> Result<usize, StoreError> {
    let delete = sql("DELETE FROM list_members WHERE list_id = ")
        .bind::<BigInt, _>(list, " AND contact_id = ")
        .bind::<BigInt, _>(contact, " AND status = 'unconfirmed' AND coalesce(status_at, created_at) < ")
        .bind::<BigInt, _>(before, "");
    let gone = match conn {
        Conn::Pg(conn) => delete.execute(conn),
        Conn::Sqlite(conn) => delete.execute(conn),
    }
    .map_err(StoreError::query("remove an old unconfirmed subscription"))?;
    if gone > 0 {
        Touches::of([contact], &topic::Topic::List(list)).write(conn)?;
    }
    Ok(gone)
}
