//! Clicks in bulk. PostgreSQL takes arrays; SQLite takes rows one by one, inside one transaction that no other one writes beside.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool};

use super::{Added, Follower};
use crate::domain::dispatch::delivery::DeliveryId;
use crate::domain::ids::{CampaignId, ContactId, LinkNumber};
use crate::domain::reports::Reader;
use crate::store::engine::schema::link_followers;
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError};

#[derive(QueryableByName)]
struct NewFollower {
    #[diesel(sql_type = BigInt)]
    campaign_id: CampaignId,
    #[diesel(sql_type = BigInt)]
    link: LinkNumber,
    #[diesel(sql_type = Bool)]
    machine: bool,
}

/// Notes followers, in the order of their keys. Those that were not known.
pub(super) fn new_followers<'a>(
    conn: &mut Conn,
    all: impl Iterator<Item = &'a Follower>,
) -> Result<Vec<(CampaignId, LinkNumber, bool)>, StoreError> {
    let keys: BTreeSet<(CampaignId, LinkNumber, ContactId, bool)> = all
        .map(|follower| {
            let DeliveryId { campaign, contact } = follower.delivery;
            (campaign, follower.link, contact, follower.reader == Reader::Machine)
        })
        .collect();
    let noted: QueryResult<Vec<_>> = match conn {
        Conn::Pg(conn) => {
            sql("INSERT INTO link_followers (campaign_id, link, contact_id, machine) SELECT * FROM unnest(")
                .bind::<Array<BigInt>, _>(keys.iter().map(|key| key.0).collect::<Vec<_>>(), ", ")
                .bind::<Array<BigInt>, _>(keys.iter().map(|key| key.1).collect::<Vec<_>>(), ", ")
                .bind::<Array<BigInt>, _>(keys.iter().map(|key| key.2).collect::<Vec<_>>(), ", ")
                .bind::<Array<Bool>, _>(
                    keys.iter().map(|key| key.3).collect::<Vec<_>>(),
                    ") ON CONFLICT DO NOTHING RETURNING campaign_id, link, machine",
                )
                .load::<NewFollower>(conn)
                .map(|rows| rows.into_iter().map(|row| (row.campaign_id, row.link, row.machine)).collect())
        }
        Conn::Sqlite(conn) => keys
            .into_iter()
            .map(|(campaign, link, contact, is_machine)| {
                let noted = diesel::insert_or_ignore_into(link_followers::table)
                    .values((
                        link_followers::campaign_id.eq(campaign),
                        link_followers::link.eq(link),
                        link_followers::contact_id.eq(contact),
                        link_followers::machine.eq(is_machine),
                    ))
                    .execute(conn)?;
                Ok((noted == 1).then_some((campaign, link, is_machine)))
            })
            .filter_map(QueryResult::transpose)
            .collect(),
    };
    noted.map_err(StoreError::query("note who followed links"))
}

/// What adds to a link's row: [`ADD`], the values, and [`TO`].
const ADD: &str =
    "INSERT INTO campaign_links (campaign_id, link, address, clicks, recipients, machine_clicks, machine_recipients) ";
const TO: &str = " ON CONFLICT (campaign_id, link) DO UPDATE SET \
    clicks = campaign_links.clicks + excluded.clicks, \
    recipients = campaign_links.recipients + excluded.recipients, \
    machine_clicks = campaign_links.machine_clicks + excluded.machine_clicks, \
    machine_recipients = campaign_links.machine_recipients + excluded.machine_recipients";

/// Adds to the counts of links, in the order of their keys.
pub(super) fn add(conn: &mut Conn, added: &BTreeMap<(CampaignId, LinkNumber), Added>) -> Result<(), StoreError> {
    let column = |of: fn(&Added) -> i64| added.values().map(of).collect::<Vec<_>>();
    match conn {
        Conn::Pg(conn) => sql(format!("{ADD}SELECT campaign_id, link, '', a, b, c, d FROM unnest("))
            .bind::<Array<BigInt>, _>(added.keys().map(|key| key.0).collect::<Vec<_>>(), ", ")
            .bind::<Array<BigInt>, _>(added.keys().map(|key| key.1).collect::<Vec<_>>(), ", ")
            .bind::<Array<BigInt>, _>(column(|added| added.clicks), ", ")
            .bind::<Array<BigInt>, _>(column(|added| added.recipients), ", ")
            .bind::<Array<BigInt>, _>(column(|added| added.machine_clicks), ", ")
            .bind::<Array<BigInt>, _>(
                column(|added| added.machine_recipients),
                format!(") AS v (campaign_id, link, a, b, c, d){TO}"),
            )
            .execute(conn)
            .map(drop),
        Conn::Sqlite(conn) => added.iter().try_for_each(|((campaign, link), added)| {
            sql(format!("{ADD}VALUES ("))
                .bind::<BigInt, _>(*campaign, ", ")
                .bind::<BigInt, _>(*link, ", '', ")
                .bind::<BigInt, _>(added.clicks, ", ")
                .bind::<BigInt, _>(added.recipients, ", ")
                .bind::<BigInt, _>(added.machine_clicks, ", ")
                .bind::<BigInt, _>(added.machine_recipients, format!("){TO}"))
                .execute(conn)
                .map(drop)
        }),
    }
    .map_err(StoreError::query("count clicks"))
}
