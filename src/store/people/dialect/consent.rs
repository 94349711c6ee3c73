//! Lines of the consent log.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text};

use crate::domain::ids::{CampaignId, ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::Client;
use crate::store::engine::sql::sql;
use crate::store::people::consent_line::Line;
use crate::store::{Conn, StoreError};

const COLUMNS: &str = "INSERT INTO consent_log (contact_id, list_id, channel, before, after, source, note, refusal_id, address, \
                       at, campaign_id, request_id, ip, user_agent) ";

fn column<'a, T>(lines: &'a [Line], each: impl Fn(&'a Line) -> T) -> Vec<T> {
    lines.iter().map(each).collect()
}

impl Line {
    fn campaign(&self) -> Option<CampaignId> {
        self.act.campaign
    }

    fn request_id(&self) -> Option<&str> {
        self.act.request_id.as_deref()
    }

    fn client(&self) -> Option<&Client> {
        self.act.client.as_ref().filter(|_| self.source.is_own_act())
    }

    fn ip(&self) -> Option<&str> {
        self.client()?.ip.as_deref()
    }

    fn user_agent(&self) -> Option<&str> {
        self.client()?.user_agent.as_deref()
    }
}

/// Adds lines to the log.
///
/// # Errors
/// A query failed.
pub(in crate::store) fn insert(conn: &mut Conn, lines: &[Line], now: UtcInstant) -> Result<(), StoreError> {
    match conn {
        Conn::Pg(conn) => sql(format!("{COLUMNS} SELECT * FROM unnest("))
            .bind::<Array<Nullable<BigInt>>, _>(column::<Option<ContactId>>(lines, |line| line.contact), ", ")
            .bind::<Array<Nullable<BigInt>>, _>(column::<Option<ListId>>(lines, |line| line.list), ", ")
            .bind::<Array<Nullable<Text>>, _>(column(lines, |line| line.channel), ", ")
            .bind::<Array<Nullable<Text>>, _>(column(lines, |line| line.before), ", ")
            .bind::<Array<Nullable<Text>>, _>(column(lines, |line| line.after), ", ")
            .bind::<Array<Text>, _>(column(lines, |line| line.source.as_str()), ", ")
            .bind::<Array<Nullable<Text>>, _>(column(lines, |line| line.note.as_deref()), ", ")
            .bind::<Array<Nullable<Text>>, _>(column(lines, |line| line.refusal_id.as_deref()), ", ")
            .bind::<Array<Nullable<Text>>, _>(column(lines, |line| line.address.as_deref()), ", ")
            .bind::<Array<BigInt>, _>(vec![now; lines.len()], ", ")
            .bind::<Array<Nullable<BigInt>>, _>(column(lines, Line::campaign), ", ")
            .bind::<Array<Nullable<Text>>, _>(column(lines, Line::request_id), ", ")
            .bind::<Array<Nullable<Text>>, _>(column(lines, Line::ip), ", ")
            .bind::<Array<Nullable<Text>>, _>(column(lines, Line::user_agent), ")")
            .execute(conn)
            .map(drop),
        Conn::Sqlite(conn) => lines.iter().try_for_each(|line| {
            sql(format!("{COLUMNS} VALUES ("))
                .bind::<Nullable<BigInt>, _>(line.contact, ", ")
                .bind::<Nullable<BigInt>, _>(line.list, ", ")
                .bind::<Nullable<Text>, _>(line.channel, ", ")
                .bind::<Nullable<Text>, _>(line.before, ", ")
                .bind::<Nullable<Text>, _>(line.after, ", ")
                .bind::<Text, _>(line.source.as_str(), ", ")
                .bind::<Nullable<Text>, _>(line.note.as_deref(), ", ")
                .bind::<Nullable<Text>, _>(line.refusal_id.as_deref(), ", ")
                .bind::<Nullable<Text>, _>(line.address.as_deref(), ", ")
                .bind::<BigInt, _>(now, ", ")
                .bind::<Nullable<BigInt>, _>(line.campaign(), ", ")
                .bind::<Nullable<Text>, _>(line.request_id(), ", ")
                .bind::<Nullable<Text>, _>(line.ip(), ", ")
                .bind::<Nullable<Text>, _>(line.user_agent(), ")")
                .execute(conn)
                .map(drop)
        }),
    }
    .map_err(StoreError::query("write the consent log"))
}

/// How old a line must be before no transaction can add one with a lower id, in milliseconds. PostgreSQL hands ids out before a commit,
/// and ends transactions that stand still for 3 s; SQLite has one writer.
pub(in crate::store) const fn settles_after_ms(conn: &Conn) -> i64 {
    match conn {
        Conn::Pg(_) => 10_000,
        Conn::Sqlite(_) => 0,
    }
}

#[derive(diesel::QueryableByName)]
struct Known {
    #[diesel(sql_type = Text)]
    refusal_id: String,
}

/// Those of `ids` that are in the log.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn known_refusals(conn: &mut Conn, ids: &[&str]) -> Result<Vec<String>, StoreError> {
    let known: QueryResult<Vec<Known>> = match conn {
        Conn::Pg(conn) => sql("SELECT refusal_id FROM consent_log WHERE refusal_id = ANY(")
            .bind::<Array<Text>, _>(ids, ")")
            .load(conn),
        Conn::Sqlite(conn) => {
            sql("SELECT refusal_id FROM consent_log WHERE refusal_id IN (SELECT value FROM json_each(")
                .bind::<Text, _>(serde_json::json!(ids).to_string(), "))")
                .load(conn)
        }
    };
    known
        .map(|rows| rows.into_iter().map(|row| row.refusal_id).collect())
        .map_err(StoreError::query("look refusals up in the consent log"))
}
