//! Members and transitions in bulk.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text};

use super::neighbours::stretch;
use crate::domain::ids::{ContactId, SegmentId};
use crate::domain::instant::UtcInstant;
use crate::store::engine::sql::sql;
use crate::store::segments::members::{MemberRow, Past};
use crate::store::segments::transitions::TransitionRow;
use crate::store::{Conn, StoreError};

fn column<'a, R, T>(rows: &'a [R], each: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(each).collect()
}

const OPEN: &str = "SELECT segment_id, contact_id, epoch, entered_at, dwell_from, left_at, reason, closed_at, dwell_done, dwell_n \
                    FROM segment_members WHERE closed_at IS NULL AND contact_id ";

/// Where contacts lie close together, with those of others between them.
pub(in crate::store::segments) fn open_of(
    conn: &mut Conn,
    contacts: &[ContactId],
) -> Result<Vec<MemberRow>, StoreError> {
    let between = |(first, last): (ContactId, ContactId)| {
        sql(format!("{OPEN} BETWEEN ")).bind::<BigInt, _>(first, " AND ").bind::<BigInt, _>(last, "")
    };
    match (conn, stretch(contacts).map(between)) {
        (Conn::Pg(conn), Some(between)) => between.load(conn),
        (Conn::Sqlite(conn), Some(between)) => between.load(conn),
        (Conn::Pg(conn), None) => sql(format!("{OPEN} = ANY(")).bind::<Array<BigInt>, _>(contacts, ")").load(conn),
        (Conn::Sqlite(conn), None) => sql(format!("{OPEN} IN (SELECT value FROM json_each("))
            .bind::<Text, _>(serde_json::json!(contacts).to_string(), "))")
            .load(conn),
    }
    .map_err(StoreError::query("read the segments of contacts"))
}

#[derive(QueryableByName)]
struct PastRow {
    #[diesel(sql_type = BigInt)]
    segment_id: SegmentId,
    #[diesel(sql_type = BigInt)]
    contact_id: ContactId,
    #[diesel(sql_type = BigInt)]
    epoch: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    left_at: Option<UtcInstant>,
}

pub(in crate::store::segments) fn past(
    conn: &mut Conn,
    pairs: &[(SegmentId, ContactId)],
) -> Result<HashMap<(SegmentId, ContactId), Past>, StoreError> {
    const PAST: &str = "SELECT m.segment_id, m.contact_id, max(m.epoch) AS epoch, max(m.left_at) AS left_at FROM ";
    const GROUPED: &str = " GROUP BY m.segment_id, m.contact_id";
    let rows: QueryResult<Vec<PastRow>> = match conn {
        Conn::Pg(conn) => {
            let (segments, contacts): (Vec<SegmentId>, Vec<ContactId>) = pairs.iter().copied().unzip();
            sql(format!("{PAST} unnest("))
                .bind::<Array<BigInt>, _>(segments, ", ")
                .bind::<Array<BigInt>, _>(
                    contacts,
                    format!(
                        ") AS p (s, c) JOIN segment_members AS m ON m.segment_id = p.s AND m.contact_id = p.c{GROUPED}"
                    ),
                )
                .load(conn)
        }
        Conn::Sqlite(conn) => sql(format!("{PAST} json_each("))
            .bind::<Text, _>(
                serde_json::json!(pairs).to_string(),
                format!(
                    ") AS p CROSS JOIN segment_members AS m ON m.segment_id = p.value ->> 0 AND m.contact_id = p.value ->> 1{GROUPED}"
                ),
            )
            .load(conn),
    };
    let rows = rows.map_err(StoreError::query("read who was a member before"))?;
    let entry = |row: PastRow| ((row.segment_id, row.contact_id), Past { epoch: row.epoch, left_at: row.left_at });
    Ok(rows.into_iter().map(entry).collect())
}

const INSERT: &str = "INSERT INTO segment_members (segment_id, contact_id, epoch, entered_at, dwell_from, left_at, reason, closed_at, \
                      dwell_done, dwell_n) ";

pub(in crate::store::segments) fn insert(conn: &mut Conn, rows: &[MemberRow]) -> Result<(), StoreError> {
    match conn {
        Conn::Pg(conn) => sql(format!("{INSERT} SELECT * FROM unnest("))
            .bind::<Array<BigInt>, _>(column(rows, |row| row.segment_id), ", ")
            .bind::<Array<BigInt>, _>(column(rows, |row| row.contact_id), ", ")
            .bind::<Array<BigInt>, _>(column(rows, |row| row.epoch), ", ")
            .bind::<Array<BigInt>, _>(column(rows, |row| row.entered_at), ", ")
            .bind::<Array<BigInt>, _>(column(rows, |row| row.dwell_from), ", ")
            .bind::<Array<Nullable<BigInt>>, _>(column(rows, |row| row.left_at), ", ")
            .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.reason), ", ")
            .bind::<Array<Nullable<BigInt>>, _>(column(rows, |row| row.closed_at), ", ")
            .bind::<Array<BigInt>, _>(column(rows, |row| row.dwell_done), ", ")
            .bind::<Array<BigInt>, _>(column(rows, |row| row.dwell_n), ")")
            .execute(conn)
            .map(drop),
        Conn::Sqlite(conn) => rows.iter().try_for_each(|row| {
            sql(format!("{INSERT} VALUES ("))
                .bind::<BigInt, _>(row.segment_id, ", ")
                .bind::<BigInt, _>(row.contact_id, ", ")
                .bind::<BigInt, _>(row.epoch, ", ")
                .bind::<BigInt, _>(row.entered_at, ", ")
                .bind::<BigInt, _>(row.dwell_from, ", ")
                .bind::<Nullable<BigInt>, _>(row.left_at, ", ")
                .bind::<Nullable<Text>, _>(row.reason, ", ")
                .bind::<Nullable<BigInt>, _>(row.closed_at, ", ")
                .bind::<BigInt, _>(row.dwell_done, ", ")
                .bind::<BigInt, _>(row.dwell_n, ")")
                .execute(conn)
                .map(drop)
        }),
    }
    .map_err(StoreError::query("write members of segments"))
}

pub(in crate::store::segments) fn update(conn: &mut Conn, rows: &[MemberRow]) -> Result<(), StoreError> {
    match conn {
        Conn::Pg(conn) => sql(
            "UPDATE segment_members AS m SET left_at = r.left_at, reason = r.reason, closed_at = r.closed_at, dwell_done = r.dwell_done, \
             dwell_n = r.dwell_n FROM unnest(",
        )
        .bind::<Array<BigInt>, _>(column(rows, |row| row.segment_id), ", ")
        .bind::<Array<BigInt>, _>(column(rows, |row| row.contact_id), ", ")
        .bind::<Array<BigInt>, _>(column(rows, |row| row.epoch), ", ")
        .bind::<Array<Nullable<BigInt>>, _>(column(rows, |row| row.left_at), ", ")
        .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.reason), ", ")
        .bind::<Array<Nullable<BigInt>>, _>(column(rows, |row| row.closed_at), ", ")
        .bind::<Array<BigInt>, _>(column(rows, |row| row.dwell_done), ", ")
        .bind::<Array<BigInt>, _>(
            column(rows, |row| row.dwell_n),
            ") AS r (segment_id, contact_id, epoch, left_at, reason, closed_at, dwell_done, dwell_n) WHERE m.segment_id = r.segment_id \
             AND m.contact_id = r.contact_id AND m.epoch = r.epoch",
        )
        .execute(conn),
        Conn::Sqlite(conn) => rows.iter().try_fold(0, |count, row| {
            sql("UPDATE segment_members SET left_at = ")
                .bind::<Nullable<BigInt>, _>(row.left_at, ", reason = ")
                .bind::<Nullable<Text>, _>(row.reason, ", closed_at = ")
                .bind::<Nullable<BigInt>, _>(row.closed_at, ", dwell_done = ")
                .bind::<BigInt, _>(row.dwell_done, ", dwell_n = ")
                .bind::<BigInt, _>(row.dwell_n, " WHERE segment_id = ")
                .bind::<BigInt, _>(row.segment_id, " AND contact_id = ")
                .bind::<BigInt, _>(row.contact_id, " AND epoch = ")
                .bind::<BigInt, _>(row.epoch, "")
                .execute(conn)
                .map(|changed| count + changed)
        }),
    }
    .map_err(StoreError::query("write members of segments"))
    .and_then(|changed| if changed == rows.len() { Ok(()) } else { Err(StoreError::Stale { what: "a member" }) })
}

const TRANSITION: &str = "INSERT INTO segment_transitions (segment_id, contact_id, epoch, kind, ordinal, at, source, reason, mark, mark_count, \
     emit, depth) ";

pub(in crate::store::segments) fn note(conn: &mut Conn, rows: &[TransitionRow]) -> Result<(), StoreError> {
    match conn {
        Conn::Pg(conn) => sql(format!("{TRANSITION} SELECT * FROM unnest("))
            .bind::<Array<BigInt>, _>(column(rows, |row| row.segment_id), ", ")
            .bind::<Array<BigInt>, _>(column(rows, |row| row.contact_id), ", ")
            .bind::<Array<BigInt>, _>(column(rows, |row| row.epoch), ", ")
            .bind::<Array<Text>, _>(column(rows, |row| row.kind), ", ")
            .bind::<Array<BigInt>, _>(column(rows, |row| row.ordinal), ", ")
            .bind::<Array<BigInt>, _>(column(rows, |row| row.at), ", ")
            .bind::<Array<Text>, _>(column(rows, |row| row.source), ", ")
            .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.reason), ", ")
            .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.mark.as_deref()), ", ")
            .bind::<Array<Nullable<BigInt>>, _>(column(rows, |row| row.mark_count), ", ")
            .bind::<Array<Bool>, _>(column(rows, |row| row.emit), ", ")
            .bind::<Array<Integer>, _>(column(rows, |row| row.depth), ")")
            .execute(conn)
            .map(drop),
        Conn::Sqlite(conn) => rows.iter().try_for_each(|row| {
            sql(format!("{TRANSITION} VALUES ("))
                .bind::<BigInt, _>(row.segment_id, ", ")
                .bind::<BigInt, _>(row.contact_id, ", ")
                .bind::<BigInt, _>(row.epoch, ", ")
                .bind::<Text, _>(row.kind, ", ")
                .bind::<BigInt, _>(row.ordinal, ", ")
                .bind::<BigInt, _>(row.at, ", ")
                .bind::<Text, _>(row.source, ", ")
                .bind::<Nullable<Text>, _>(row.reason, ", ")
                .bind::<Nullable<Text>, _>(row.mark.as_deref(), ", ")
                .bind::<Nullable<BigInt>, _>(row.mark_count, ", ")
                .bind::<Bool, _>(row.emit, ", ")
                .bind::<Integer, _>(row.depth, ")")
                .execute(conn)
                .map(drop)
        }),
    }
    .map_err(StoreError::query("write who entered and left segments"))
}

/// Removes a portion of the members and transitions of a segment. Whether there were any.
pub(in crate::store::segments) fn sweep(conn: &mut Conn, segment: SegmentId, limit: i64) -> Result<bool, StoreError> {
    let rest = |table: &str, key: &str| {
        sql(format!("DELETE FROM {table} WHERE segment_id = "))
            .bind::<BigInt, _>(segment, format!(" AND ({key}) IN (SELECT {key} FROM {table} WHERE segment_id = "))
            .bind::<BigInt, _>(segment, " LIMIT ")
            .bind::<BigInt, _>(limit, ")")
    };
    let members = rest("segment_members", "contact_id, epoch");
    let transitions = rest("segment_transitions", "contact_id, epoch, kind, ordinal");
    match conn {
        Conn::Pg(conn) => members.execute(conn).and_then(|gone| Ok(gone + transitions.execute(conn)?)),
        Conn::Sqlite(conn) => members.execute(conn).and_then(|gone| Ok(gone + transitions.execute(conn)?)),
    }
    .map(|gone| gone > 0)
    .map_err(StoreError::query("remove the members of a deleted segment"))
}
