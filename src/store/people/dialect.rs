//! Contacts in bulk. PostgreSQL takes arrays; SQLite takes rows one by one, prepared once, inside one transaction.

pub(in crate::store) mod consent;
pub(in crate::store) mod standings;
pub(in crate::store) mod suppressions;
pub(in crate::store) mod tags;
pub(in crate::store) mod topics;

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text};

use crate::domain::ids::{ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::contact::{BuiltIn, ContactDraft};
use crate::store::engine::schema::lists;
use crate::store::engine::sql::sql;
use crate::store::people::contact_row::ContactRow;
use crate::store::{Conn, StoreError, engine};

/// The columns of the built-in fields: `external_id, email, …`.
fn field_names() -> String {
    BuiltIn::ALL.iter().map(|field| field.as_str()).collect::<Vec<_>>().join(", ")
}

/// What makes a [`ContactRow`].
fn columns() -> String {
    format!("id, {}, attributes, version, created_at, updated_at, introduced_at, untracked", field_names())
}

/// An array for each built-in field, as `unnest` takes them.
fn arrays(rows: &[ContactRow]) -> impl Iterator<Item = (&'static str, Vec<Option<&str>>)> {
    BuiltIn::ALL.iter().map(move |field| ("", column(rows, |row| row.fields.get(*field))))
}

/// The values of one column.
fn column<'a, T>(rows: &'a [ContactRow], each: impl Fn(&'a ContactRow) -> T) -> Vec<T> {
    rows.iter().map(each).collect()
}

/// Whether rows that are found are locked, in the order of their ids.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Hold {
    Yes,
    /// Rows that another transaction holds are left out.
    IfFree,
    No,
}

impl Hold {
    /// The end of a query for contacts on PostgreSQL.
    pub(in crate::store) const fn clause(self) -> &'static str {
        match self {
            Self::Yes => " FOR NO KEY UPDATE",
            Self::IfFree => " FOR NO KEY UPDATE SKIP LOCKED",
            Self::No => "",
        }
    }
}

/// Live contacts that have a key of one of the drafts. A row that is locked is read as it is behind the lock: it may have lost the
/// key meanwhile.
///
/// # Errors
/// A query failed.
pub(in crate::store) fn sharing_keys(
    conn: &mut Conn,
    drafts: &[ContactDraft],
    hold: Hold,
) -> Result<Vec<ContactRow>, StoreError> {
    let external_ids: Vec<&str> = drafts.iter().filter_map(|draft| draft.fields.external_id.as_deref()).collect();
    let emails: Vec<&str> = drafts.iter().filter_map(|draft| draft.fields.email.as_deref()).collect();
    let phones: Vec<&str> = drafts.iter().filter_map(|draft| draft.fields.phone.as_deref()).collect();
    engine::keep_to_indexes(conn)?;
    match conn {
        Conn::Pg(conn) => sql(format!(
            "SELECT {} FROM contacts WHERE deleted_at IS NULL AND id IN (SELECT id FROM contacts WHERE deleted_at IS NULL AND \
             external_id = ANY(",
            columns()
        ))
        .bind::<Array<Text>, _>(
            external_ids,
            ") UNION SELECT id FROM contacts WHERE deleted_at IS NULL AND email = ANY(",
        )
        .bind::<Array<Text>, _>(emails, ") UNION SELECT id FROM contacts WHERE deleted_at IS NULL AND phone = ANY(")
        .bind::<Array<Text>, _>(
            phones,
            match hold {
                Hold::No => "))".to_owned(),
                Hold::Yes | Hold::IfFree => format!(")) ORDER BY id + 0{}", hold.clause()),
            },
        )
        .load(conn),
        Conn::Sqlite(conn) => {
            let json = |values: &[&str]| serde_json::json!(values).to_string();
            sql(format!(
                "SELECT {} FROM contacts WHERE id IN (SELECT id FROM contacts WHERE deleted_at IS NULL AND external_id IN \
                 (SELECT value FROM json_each(",
                columns()
            ))
            .bind::<Text, _>(
                json(&external_ids),
                ")) UNION SELECT id FROM contacts WHERE deleted_at IS NULL AND email IN (SELECT value FROM json_each(",
            )
            .bind::<Text, _>(
                json(&emails),
                ")) UNION SELECT id FROM contacts WHERE deleted_at IS NULL AND phone IN (SELECT value FROM json_each(",
            )
            .bind::<Text, _>(json(&phones), ")))")
            .load(conn)
        }
    }
    .map_err(StoreError::query("find contacts by their keys"))
}

/// Those of `ids` that are live contacts, in the order of their ids. What is locked is read as it is behind the lock.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn living(conn: &mut Conn, ids: &[ContactId], hold: Hold) -> Result<Vec<ContactRow>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let select = format!("SELECT {} FROM contacts WHERE deleted_at IS NULL AND id ", columns());
    match conn {
        Conn::Pg(conn) => sql(format!("{select} = ANY("))
            .bind::<Array<BigInt>, _>(ids, format!(") ORDER BY id{}", hold.clause()))
            .load(conn),
        // The transaction is IMMEDIATE: nobody else writes.
        Conn::Sqlite(conn) => sql(format!("{select} IN (SELECT value FROM json_each("))
            .bind::<Text, _>(serde_json::json!(ids).to_string(), ")) ORDER BY id")
            .load(conn),
    }
    .map_err(StoreError::query("read contacts"))
}

/// A live contact, kept from changing until the transaction ends.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn lock(conn: &mut Conn, id: ContactId) -> Result<Option<ContactRow>, StoreError> {
    let select = format!("SELECT {} FROM contacts WHERE deleted_at IS NULL AND id = ", columns());
    match conn {
        Conn::Pg(conn) => sql(select).bind::<BigInt, _>(id, " FOR UPDATE").get_result(conn),
        // The transaction is IMMEDIATE: nobody else writes.
        Conn::Sqlite(conn) => sql(select).bind::<BigInt, _>(id, "").get_result(conn),
    }
    .optional()
    .map_err(StoreError::query("lock a contact"))
}

#[derive(diesel::QueryableByName)]
struct Inserted {
    #[diesel(sql_type = BigInt)]
    id: ContactId,
    #[diesel(sql_type = Nullable<Text>)]
    external_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    email: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    phone: Option<String>,
}

#[derive(diesel::QueryableByName)]
struct Newest {
    #[diesel(sql_type = BigInt)]
    id: ContactId,
}

/// Inserts new contacts; their ids, in the order of the rows.
///
/// # Errors
/// A query failed.
pub(in crate::store) fn insert(conn: &mut Conn, rows: &[ContactRow]) -> Result<Vec<ContactId>, StoreError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let inserted: QueryResult<Vec<Inserted>> = match conn {
        Conn::Pg(conn) => sql(format!(
            "INSERT INTO contacts ({}, attributes, created_at, updated_at, introduced_at) SELECT * FROM unnest(",
            field_names()
        ))
        .bind_each::<Array<Nullable<Text>>, _>(arrays(rows), "")
        .bind::<Array<Text>, _>(column(rows, |row| &row.attributes), ", ")
        .bind::<Array<BigInt>, _>(column(rows, |row| row.created_at), ", ")
        .bind::<Array<BigInt>, _>(column(rows, |row| row.updated_at), ", ")
        .bind::<Array<Nullable<BigInt>>, _>(
            column(rows, |row| row.introduced_at),
            ") RETURNING id, external_id, email, phone",
        )
        .load(conn),
        Conn::Sqlite(conn) => insert_sqlite(conn, rows),
    };
    let inserted = inserted.map_err(StoreError::query("insert contacts"))?;
    // Each has a key that no other one has. Nothing promises in which order rows come back.
    let ids: HashMap<[Option<&str>; 3], ContactId> = inserted
        .iter()
        .map(|row| ([row.external_id.as_deref(), row.email.as_deref(), row.phone.as_deref()], row.id))
        .collect();
    let found: Option<Vec<ContactId>> = rows.iter().map(|row| ids.get(&row.fields.keys()).copied()).collect();
    found.ok_or(StoreError::Stale { what: "the contact" })
}

/// Inserts row by row and asks for all ids at once: the transaction is IMMEDIATE, so nobody else inserts in between.
fn insert_sqlite(conn: &mut SqliteConnection, rows: &[ContactRow]) -> QueryResult<Vec<Inserted>> {
    let newest: Newest = sql("SELECT coalesce(max(id), 0) AS id FROM contacts").get_result(conn)?;
    let insert =
        format!("INSERT INTO contacts ({}, attributes, created_at, updated_at, introduced_at) VALUES (", field_names());
    for row in rows {
        sql(insert.clone())
            .bind_each::<Nullable<Text>, _>(BuiltIn::ALL.iter().map(|field| ("", row.fields.get(*field))), "")
            .bind::<Text, _>(&row.attributes, ", ")
            .bind::<BigInt, _>(row.created_at, ", ")
            .bind::<BigInt, _>(row.updated_at, ", ")
            .bind::<Nullable<BigInt>, _>(row.introduced_at, ")")
            .execute(conn)?;
    }
    sql("SELECT id, external_id, email, phone FROM contacts WHERE id > ").bind::<BigInt, _>(newest.id, "").load(conn)
}

/// Writes changed contacts.
///
/// # Errors
/// A query failed.
pub(in crate::store) fn update(conn: &mut Conn, rows: &[ContactRow]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    match conn {
        Conn::Pg(conn) => {
            let assigned: Vec<String> =
                BuiltIn::ALL.iter().map(|field| format!("{field} = r.{field}", field = field.as_str())).collect();
            sql(format!(
                "UPDATE contacts SET {}, attributes = r.attributes, version = r.version, updated_at = r.updated_at, introduced_at = \
                 r.introduced_at FROM unnest(",
                assigned.join(", ")
            ))
            .bind::<Array<BigInt>, _>(column(rows, |row| row.id), ", ")
            .bind_each::<Array<Nullable<Text>>, _>(arrays(rows), "")
            .bind::<Array<Text>, _>(column(rows, |row| &row.attributes), ", ")
            .bind::<Array<BigInt>, _>(column(rows, |row| row.version), ", ")
            .bind::<Array<BigInt>, _>(
                column(rows, |row| row.updated_at),
                ", ",
            )
            .bind::<Array<Nullable<BigInt>>, _>(
                column(rows, |row| row.introduced_at),
                format!(
                    ") AS r (id, {}, attributes, version, updated_at, introduced_at) WHERE contacts.id = r.id",
                    field_names()
                ),
            )
            .execute(conn)
            .map(drop)
        }
        Conn::Sqlite(conn) => rows.iter().try_for_each(|row| {
            let fields = BuiltIn::ALL.iter().map(|field| (format!("{} = ", field.as_str()), row.fields.get(*field)));
            sql("UPDATE contacts SET ")
                .bind_each::<Nullable<Text>, _>(fields, "attributes = ")
                .bind::<Text, _>(&row.attributes, ", version = ")
                .bind::<BigInt, _>(row.version, ", updated_at = ")
                .bind::<BigInt, _>(row.updated_at, ", introduced_at = ")
                .bind::<Nullable<BigInt>, _>(row.introduced_at, " WHERE id = ")
                .bind::<BigInt, _>(row.id, "")
                .execute(conn)
                .map(drop)
        }),
    }
    .map_err(StoreError::query("update contacts"))
}

/// Keeps an attribute name, and takes the mark from one that was unused.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn keep_attribute_name(conn: &mut Conn, name: &str, now: UtcInstant) -> Result<(), StoreError> {
    let statement = sql("INSERT INTO attribute_keys (name, created_at) VALUES (")
        .bind::<Text, _>(name, ", ")
        .bind::<BigInt, _>(now, ") ON CONFLICT (name) DO UPDATE SET unused_since = NULL");
    match conn {
        Conn::Pg(conn) => statement.execute(conn),
        Conn::Sqlite(conn) => statement.execute(conn),
    }
    .map(drop)
    .map_err(StoreError::query("keep an attribute name"))
}

/// Locks lists against new members until the end of the transaction, and waits for those who are just adding some.
pub(in crate::store) fn hold_lists(conn: &mut Conn, ids: &[ListId]) -> Result<(), StoreError> {
    let Conn::Pg(conn) = conn else { return Ok(()) };
    lists::table
        .filter(lists::id.eq_any(ids))
        .order(lists::id)
        .select(lists::id)
        .for_update()
        .load::<ListId>(conn)
        .map(drop)
        .map_err(StoreError::query("lock lists"))
}
