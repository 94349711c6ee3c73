//! What became of messages, in bulk. PostgreSQL takes arrays, SQLite a JSON array.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Text};

use super::{News, Row};
use crate::domain::day::UtcDay;
use crate::domain::deliverability::{Counted, DomainFigures};
use crate::domain::ids::{CampaignId, ContactId};
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError};

/// The columns that count.
const COUNTERS: &str = "sent, delivered, soft_bounced, hard_bounced, complained";

/// By the first three columns: day, pool and domain.
const GROUPED: &str = " GROUP BY 1, 2, 3";

/// The domain of a contact `p` of a campaign `c`, whose address has an `@` at this place. The campaign's channel says whether there is a
/// domain; a contact that has no address any more counts among the others.
fn domain(at: &str) -> String {
    format!("CASE WHEN c.channel = 'email' THEN coalesce(substr(p.email, {at} + 1), 'other') ELSE '' END")
}

/// Adds a row for each pool, day and domain that is among the news.
pub(super) fn note(conn: &mut Conn, news: &[News]) -> Result<(), StoreError> {
    let insert = format!("INSERT INTO deliverability_news (day, pool, domain, {COUNTERS}) ");
    match conn {
        Conn::Pg(conn) => note_arrays(conn, &insert, news),
        Conn::Sqlite(conn) => note_alike(conn, &insert, news),
    }
    .map_err(StoreError::query("note what became of messages"))
}

fn note_arrays(conn: &mut PgConnection, insert: &str, news: &[News]) -> QueryResult<()> {
    let sums: Vec<String> = Counted::ALL
        .iter()
        .map(|what| format!("CAST(sum(CASE WHEN k.what = '{what}' THEN 1 ELSE 0 END) AS BIGINT)"))
        .collect();
    let (domain, sums) = (domain("strpos(p.email, '@')"), sums.join(", "));
    let campaigns: BTreeSet<i64> = news.iter().map(|news| news.delivery.campaign.0).collect();
    sql("WITH k AS (SELECT * FROM unnest(")
        .bind::<Array<BigInt>, _>(news.iter().map(|news| news.delivery.campaign.0).collect::<Vec<_>>(), ", ")
        .bind::<Array<BigInt>, _>(news.iter().map(|news| news.delivery.contact.0).collect::<Vec<_>>(), ", ")
        .bind::<Array<BigInt>, _>(news.iter().map(|news| UtcDay::of(news.sent_at).0).collect::<Vec<_>>(), ", ")
        .bind::<Array<Text>, _>(
            news.iter().map(|news| news.what.as_str()).collect::<Vec<_>>(),
            format!(
                ") AS k (campaign_id, contact_id, day, what)) {insert}SELECT k.day, c.pool, {domain}, {sums} FROM k \
                 JOIN campaigns AS c ON c.id = k.campaign_id LEFT JOIN contacts AS p ON p.id = k.contact_id \
                 WHERE c.pool IS NOT NULL AND c.id = ANY("
            ),
        )
        // The few campaigns once more, or all that there ever were would be read.
        .bind::<Array<BigInt>, _>(campaigns.into_iter().collect::<Vec<_>>(), format!("){GROUPED}"))
        .execute(conn)
        .map(drop)
}

/// One statement for all to which the same happened: a list of numbers is read several times as fast as one of lists.
fn note_alike(conn: &mut SqliteConnection, insert: &str, news: &[News]) -> QueryResult<()> {
    let mut alike = BTreeMap::<(CampaignId, i64, &str), Vec<ContactId>>::new();
    for News { delivery, sent_at, what } in news {
        let happened = (delivery.campaign, UtcDay::of(*sent_at).0, what.as_str());
        alike.entry(happened).or_default().push(delivery.contact);
    }
    let domain = domain("instr(p.email, '@')");
    alike.into_iter().try_for_each(|((campaign, day, what), contacts)| {
        let figures: Vec<&str> =
            Counted::ALL.iter().map(|each| if each.as_str() == what { "count(*)" } else { "0" }).collect();
        sql(format!("{insert}SELECT "))
            .bind::<BigInt, _>(day, format!(", c.pool, {domain}, {} FROM json_each(", figures.join(", ")))
            // CROSS: each number finds its contact by its key.
            .bind::<Text, _>(serde_json::json!(contacts).to_string(), ") AS k CROSS JOIN campaigns AS c ON c.id = ")
            .bind::<BigInt, _>(
                campaign,
                " LEFT JOIN contacts AS p ON p.id = k.value WHERE c.pool IS NOT NULL GROUP BY 2, 3",
            )
            .execute(conn)
            .map(drop)
    })
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
