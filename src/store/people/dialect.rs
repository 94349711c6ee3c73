//! Contacts in bulk. PostgreSQL takes arrays; SQLite takes rows one by one, prepared once, inside one transaction.

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
    format!("id, {}, attributes, version, created_at, updated_at", field_names())
}

/// An array for each built-in field, as `unnest` takes them.
fn arrays(rows: &[ContactRow]) -> impl Iterator<Item = (&'static str, Vec<Option<&str>>)> {
    BuiltIn::ALL.iter().map(move |field| ("", column(rows, |row| row.fields.get(*field))))
}

/// The values of one column.
fn column<'a, T>(rows: &'a [ContactRow], each: impl Fn(&'a ContactRow) -> T) -> Vec<T> {
    rows.iter().map(each).collect()
}

/// Live contacts that have a key of one of the drafts.
///
/// # Errors
/// A query failed.
pub(in crate::store) fn sharing_keys(conn: &mut Conn, drafts: &[ContactDraft]) -> Result<Vec<ContactRow>, StoreError> {
    let external_ids: Vec<&str> = drafts.iter().filter_map(|draft| draft.fields.external_id.as_deref()).collect();
    let emails: Vec<&str> = drafts.iter().filter_map(|draft| draft.fields.email.as_deref()).collect();
    let phones: Vec<&str> = drafts.iter().filter_map(|draft| draft.fields.phone.as_deref()).collect();
    engine::keep_to_indexes(conn)?;
    match conn {
        Conn::Pg(conn) => sql(format!(
            "SELECT {} FROM contacts WHERE id IN (SELECT id FROM contacts WHERE deleted_at IS NULL AND external_id = ANY(",
            columns()
        ))
        .bind::<Array<Text>, _>(
            external_ids,
            ") UNION SELECT id FROM contacts WHERE deleted_at IS NULL AND email = ANY(",
        )
        .bind::<Array<Text>, _>(emails, ") UNION SELECT id FROM contacts WHERE deleted_at IS NULL AND phone = ANY(")
        .bind::<Array<Text>, _>(phones, "))")
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
}

/// Inserts new contacts; their ids, in no particular order.
///
/// # Errors
/// A query failed.
pub(in crate::store) fn insert(conn: &mut Conn, rows: &[ContactRow]) -> Result<Vec<ContactId>, StoreError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let inserted: QueryResult<Vec<Inserted>> = match conn {
        Conn::Pg(conn) => sql(format!(
            "INSERT INTO contacts ({}, attributes, created_at, updated_at) SELECT * FROM unnest(",
            field_names()
        ))
        .bind_each::<Array<Nullable<Text>>, _>(arrays(rows), "")
        .bind::<Array<Text>, _>(column(rows, |row| &row.attributes), ", ")
        .bind::<Array<BigInt>, _>(column(rows, |row| row.created_at), ", ")
        .bind::<Array<BigInt>, _>(column(rows, |row| row.updated_at), ") RETURNING id")
        .load(conn),
        Conn::Sqlite(conn) => insert_sqlite(conn, rows),
    };
    inserted.map(|rows| rows.into_iter().map(|row| row.id).collect()).map_err(StoreError::query("insert contacts"))
}

/// Inserts row by row and asks for all ids at once: the transaction is IMMEDIATE, so nobody else inserts in between.
fn insert_sqlite(conn: &mut SqliteConnection, rows: &[ContactRow]) -> QueryResult<Vec<Inserted>> {
    let newest: Inserted = sql("SELECT coalesce(max(id), 0) AS id FROM contacts").get_result(conn)?;
    let insert = format!("INSERT INTO contacts ({}, attributes, created_at, updated_at) VALUES (", field_names());
    for row in rows {
        sql(insert.clone())
            .bind_each::<Nullable<Text>, _>(BuiltIn::ALL.iter().map(|field| ("", row.fields.get(*field))), "")
            .bind::<Text, _>(&row.attributes, ", ")
            .bind::<BigInt, _>(row.created_at, ", ")
            .bind::<BigInt, _>(row.updated_at, ")")
            .execute(conn)?;
    }
    sql("SELECT id FROM contacts WHERE id > ").bind::<BigInt, _>(newest.id, "").load(conn)
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
                "UPDATE contacts SET {}, attributes = r.attributes, version = r.version, updated_at = r.updated_at FROM unnest(",
                assigned.join(", ")
            ))
            .bind::<Array<BigInt>, _>(column(rows, |row| row.id), ", ")
            .bind_each::<Array<Nullable<Text>>, _>(arrays(rows), "")
            .bind::<Array<Text>, _>(column(rows, |row| &row.attributes), ", ")
            .bind::<Array<BigInt>, _>(column(rows, |row| row.version), ", ")
            .bind::<Array<BigInt>, _>(
                column(rows, |row| row.updated_at),
                format!(") AS r (id, {}, attributes, version, updated_at) WHERE contacts.id = r.id", field_names()),
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
                .bind::<BigInt, _>(row.updated_at, " WHERE id = ")
                .bind::<BigInt, _>(row.id, "")
                .execute(conn)
                .map(drop)
        }),
    }
    .map_err(StoreError::query("update contacts"))
}

/// Makes contacts members of a list; those who are stay. How many were added: nobody, when the list is gone.
///
/// # Errors
/// A query failed.
pub(in crate::store) fn add_members(conn: &mut Conn, list: ListId, ids: &[ContactId]) -> Result<usize, StoreError> {
    match conn {
        Conn::Pg(conn) => {
            // Held until the end of the transaction: a deletion of the list waits, and then removes these too; a launch
            // that waits sees them. The clock is read behind the lock, so that who waited for a launch joins after it.
            sql("SELECT id FROM lists WHERE id = ").bind::<BigInt, _>(list, " FOR KEY SHARE").execute(conn).and_then(
                |found| match found {
                    0 => Ok(0),
                    _ => sql("INSERT INTO list_members (list_id, contact_id, created_at) SELECT ")
                        .bind::<BigInt, _>(
                            list,
                            ", id, (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT FROM unnest(",
                        )
                        .bind::<Array<BigInt>, _>(ids, ") AS id ON CONFLICT DO NOTHING")
                        .execute(conn),
                },
            )
        }
        Conn::Sqlite(conn) => {
            sql("INSERT OR IGNORE INTO list_members (list_id, contact_id, created_at) SELECT lists.id, named.value, \
                 CAST(unixepoch('subsec') * 1000 AS INTEGER) FROM lists CROSS JOIN json_each(")
            .bind::<Text, _>(serde_json::json!(ids).to_string(), ") AS named WHERE lists.id = ")
            .bind::<BigInt, _>(list, "")
            .execute(conn)
        }
    }
    .map_err(StoreError::query("add members to a list"))
}

/// Keeps an attribute name.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn keep_attribute_name(conn: &mut Conn, name: &str, now: UtcInstant) -> Result<(), StoreError> {
    let statement = sql("INSERT INTO attribute_keys (name, created_at) VALUES (")
        .bind::<Text, _>(name, ", ")
        .bind::<BigInt, _>(now, ") ON CONFLICT DO NOTHING");
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
