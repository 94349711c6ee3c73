//! What became of messages, in bulk. PostgreSQL takes arrays, SQLite a JSON array.

use std::collections::BTreeSet;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Text};

use super::{News, Row};
use crate::domain::day::UtcDay;
use crate::domain::deliverability::{Counted, DomainFigures};
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError};

/// The columns that count.
const COUNTERS: &str = "sent, delivered, soft_bounced, hard_bounced, complained";

/// Sums of the news by pool, day and domain. A campaign's channel says whether there is a domain; a contact that has no address any more
/// counts among the others.
fn gathered(domain: &str, join: &str) -> String {
    let sums: Vec<String> = Counted::ALL
        .iter()
        .map(|what| format!("CAST(sum(CASE WHEN k.what = '{what}' THEN 1 ELSE 0 END) AS BIGINT)"))
        .collect();
    format!(
        "SELECT k.day, c.pool, CASE WHEN c.channel = 'email' THEN coalesce({domain}, 'other') ELSE '' END, {} \
         FROM k {join} campaigns AS c ON c.id = k.campaign_id LEFT JOIN contacts AS p ON p.id = k.contact_id \
         WHERE c.pool IS NOT NULL",
        sums.join(", ")
    )
}

/// By the first three columns: day, pool and domain.
const GROUPED: &str = " GROUP BY 1, 2, 3";

/// Adds a row for each pool, day and domain that is among the news.
pub(super) fn note(conn: &mut Conn, news: &[News]) -> Result<(), StoreError> {
    let insert = format!("INSERT INTO deliverability_news (day, pool, domain, {COUNTERS}) ");
    let day = |news: &News| UtcDay::of(news.sent_at).0;
    match conn {
        Conn::Pg(conn) => {
            let gathered = gathered("substr(p.email, strpos(p.email, '@') + 1)", "JOIN");
            let campaigns: BTreeSet<i64> = news.iter().map(|news| news.delivery.campaign.0).collect();
            sql("WITH k AS (SELECT * FROM unnest(")
                .bind::<Array<BigInt>, _>(news.iter().map(|news| news.delivery.campaign.0).collect::<Vec<_>>(), ", ")
                .bind::<Array<BigInt>, _>(news.iter().map(|news| news.delivery.contact.0).collect::<Vec<_>>(), ", ")
                .bind::<Array<BigInt>, _>(news.iter().map(day).collect::<Vec<_>>(), ", ")
                .bind::<Array<Text>, _>(
                    news.iter().map(|news| news.what.as_str()).collect::<Vec<_>>(),
                    format!(") AS k (campaign_id, contact_id, day, what)) {insert}{gathered} AND c.id = ANY("),
                )
                // The few campaigns once more, or all that there ever were would be read.
                .bind::<Array<BigInt>, _>(campaigns.into_iter().collect::<Vec<_>>(), format!("){GROUPED}"))
                .execute(conn)
        }
        Conn::Sqlite(conn) => {
            // CROSS: the news come first, and each finds its campaign and its contact by their keys.
            let gathered = gathered("substr(p.email, instr(p.email, '@') + 1)", "CROSS JOIN");
            let rows: Vec<_> = news
                .iter()
                .map(|news| (news.delivery.campaign, news.delivery.contact, day(news), news.what))
                .collect();
            sql("WITH k AS (SELECT json_extract(value, '$[0]') AS campaign_id, json_extract(value, '$[1]') AS contact_id, \
                 json_extract(value, '$[2]') AS day, json_extract(value, '$[3]') AS what FROM json_each(")
                .bind::<Text, _>(serde_json::json!(rows).to_string(), format!(")) {insert}{gathered}{GROUPED}"))
                .execute(conn)
        }
    }
    .map(drop)
    .map_err(StoreError::query("note what became of messages"))
}

/// The advisory lock of the instance that folds. Of the kind with two numbers; the first one is its own.
const FOLDING: i32 = 0x766f_6c66;

/// Whether nobody else is folding, nor will until the end of this transaction. SQLite has one writer.
pub(super) fn alone(conn: &mut Conn) -> Result<bool, StoreError> {
    #[derive(QueryableByName)]
    struct Alone {
        #[diesel(sql_type = Bool)]
        alone: bool,
    }
    let Conn::Pg(conn) = conn else { return Ok(true) };
    let row: Alone = sql("SELECT pg_try_advisory_xact_lock(")
        .bind::<Integer, _>(FOLDING, ", 0) AS alone")
        .get_result(conn)
        .map_err(StoreError::query("ask whether another instance folds"))?;
    Ok(row.alone)
}

#[derive(QueryableByName)]
struct Sum {
    #[diesel(sql_type = BigInt)]
    day: UtcDay,
    #[diesel(sql_type = Text)]
    pool: String,
    #[diesel(sql_type = Text)]
    domain: String,
    #[diesel(sql_type = BigInt)]
    sent: i64,
    #[diesel(sql_type = BigInt)]
    delivered: i64,
    #[diesel(sql_type = BigInt)]
    soft_bounced: i64,
    #[diesel(sql_type = BigInt)]
    hard_bounced: i64,
    #[diesel(sql_type = BigInt)]
    complained: i64,
    /// How many rows it is the sum of.
    #[diesel(sql_type = BigInt)]
    summed: i64,
}

/// Sums by pool, day and domain, for a statement that goes on with where they come from.
fn sums() -> String {
    let sums: Vec<String> = COUNTERS.split(", ").map(|name| format!("CAST(sum({name}) AS BIGINT) AS {name}")).collect();
    format!("SELECT day, pool, domain, {}, count(*) AS summed FROM ", sums.join(", "))
}

/// Takes up to `limit` rows of news away: how many there were, and their sums by pool, day and domain.
pub(super) fn take(conn: &mut Conn, limit: i64) -> Result<(i64, Vec<Row>), StoreError> {
    let sums: QueryResult<Vec<Sum>> = match conn {
        // By what is really removed: a row with a lower id may become visible later. The limit is a literal, so that a plan that is
        // kept does not prepare for a tenth of the table.
        Conn::Pg(conn) => sql(format!(
            "WITH taken AS (DELETE FROM deliverability_news WHERE id IN (SELECT id FROM deliverability_news ORDER BY id \
             LIMIT {limit}) RETURNING *) {}taken{GROUPED}",
            sums()
        ))
        .load(conn),
        Conn::Sqlite(conn) => {
            const OLDEST: &str = "deliverability_news WHERE id <= (SELECT max(id) FROM (SELECT id FROM deliverability_news \
                                  ORDER BY id LIMIT ";
            let read = sql(format!("{}{OLDEST}", sums())).bind::<BigInt, _>(limit, format!(")){GROUPED}")).load(conn);
            let removed =
                |conn| sql(format!("DELETE FROM {OLDEST}")).bind::<BigInt, _>(limit, "))").execute(conn).map(drop);
            read.and_then(|rows| removed(conn).map(|()| rows))
        }
    };
    let sums = sums.map_err(StoreError::query("take what became of messages"))?;
    let taken = sums.iter().map(|sum| sum.summed).sum();
    let row = |sum: Sum| {
        let Sum { day, pool, domain, sent, delivered, soft_bounced, hard_bounced, complained, .. } = sum;
        Row { day, pool, domain, figures: DomainFigures { sent, delivered, soft_bounced, hard_bounced, complained } }
    };
    Ok((taken, sums.into_iter().map(row).collect()))
}

/// Adds to the figures of pools, days and domains.
pub(super) fn add(conn: &mut Conn, rows: &[Row]) -> Result<(), StoreError> {
    let sums: Vec<String> =
        COUNTERS.split(", ").map(|name| format!("{name} = deliverability.{name} + excluded.{name}")).collect();
    let insert = format!("INSERT INTO deliverability (day, pool, domain, {COUNTERS}) VALUES (");
    let added = format!(") ON CONFLICT (day, pool, domain) DO UPDATE SET {}", sums.join(", "));
    macro_rules! add_on {
        ($conn:expr, $row:expr) => {
            sql(insert.clone())
                .bind::<BigInt, _>($row.day, ", ")
                .bind::<Text, _>($row.pool.as_str(), ", ")
                .bind::<Text, _>($row.domain.as_str(), ", ")
                .bind::<BigInt, _>($row.figures.sent, ", ")
                .bind::<BigInt, _>($row.figures.delivered, ", ")
                .bind::<BigInt, _>($row.figures.soft_bounced, ", ")
                .bind::<BigInt, _>($row.figures.hard_bounced, ", ")
                .bind::<BigInt, _>($row.figures.complained, added.clone())
                .execute($conn)
                .map(drop)
        };
    }
    match conn {
        Conn::Pg(conn) => rows.iter().try_for_each(|row| add_on!(conn, row)),
        Conn::Sqlite(conn) => rows.iter().try_for_each(|row| add_on!(conn, row)),
    }
    .map_err(StoreError::query("add what became of messages"))
}
