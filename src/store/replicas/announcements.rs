//! Pages that the broker is to tell other instances of. The row is the outbox: a page that was announced and is still
//! ready a while later is announced again, so that a lost message costs a delay.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::domain::ids::{CampaignId, PageId};
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError, engine};

/// How many announced pages of a pool may wait at once. A short queue lets campaigns take turns: a message cannot be
/// overtaken.
const WAITING_AT_ONCE: i64 = 32;

/// After this time a page that nobody has leased is announced again, in milliseconds.
pub const AGAIN_AFTER_MS: i64 = 5_000;

/// A page to announce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub struct Announcement {
    /// The page.
    #[diesel(sql_type = BigInt)]
    pub id: PageId,
    /// Its campaign.
    #[diesel(sql_type = BigInt)]
    pub campaign_id: CampaignId,
    /// Its number in the campaign.
    #[diesel(sql_type = BigInt)]
    pub seq: i64,
}

/// Takes ready pages of `pool` that are due and not announced, and notes that they are: a few of each campaign in turn.
/// With SQLite there is nobody to announce them to.
///
/// # Errors
/// The query failed. Pages noted by a transaction whose end went unanswered are announced again later.
pub fn take(conn: &mut Conn, pool: &str) -> Result<Vec<Announcement>, StoreError> {
    let now = engine::now(conn)?;
    let Conn::Pg(conn) = conn else { return Ok(Vec::new()) };
    let again = now.plus_ms(-AGAIN_AFTER_MS);
    // The inner LIMIT bounds what is looked at; whoever fills a campaign's window has enough announced.
    sql("WITH open AS (SELECT p.id, p.announced_at, row_number() OVER (PARTITION BY p.campaign_id ORDER BY p.due_at, p.id) \
         AS turn FROM campaigns AS c CROSS JOIN LATERAL (SELECT id, campaign_id, due_at, announced_at FROM pages \
         WHERE campaign_id = c.id AND state = 'ready' AND due_at <= ")
        .bind::<BigInt, _>(now, " ORDER BY due_at LIMIT ")
        .bind::<BigInt, _>(WAITING_AT_ONCE, ") AS p WHERE c.status = 'sending' AND c.pool = ")
        .bind::<Text, _>(pool.to_owned(), "), chosen AS (SELECT id FROM open WHERE announced_at IS NULL OR announced_at <= ")
        .bind::<BigInt, _>(again, " ORDER BY turn, id LIMIT (SELECT greatest(0, ")
        .bind::<BigInt, _>(WAITING_AT_ONCE, " - count(*)) FROM open WHERE announced_at > ")
        .bind::<BigInt, _>(
            again,
            ")), taken AS (SELECT id FROM pages WHERE id IN (SELECT id FROM chosen) AND state = 'ready' \
             AND (announced_at IS NULL OR announced_at <= ",
        )
        .bind::<BigInt, _>(again, ") ORDER BY id FOR UPDATE SKIP LOCKED) UPDATE pages SET announced_at = ")
        .bind::<BigInt, _>(
            now,
            " FROM taken WHERE pages.id = taken.id RETURNING pages.id, pages.campaign_id, pages.seq",
        )
        .load(conn)
        .map_err(StoreError::query("take pages to announce"))
}
