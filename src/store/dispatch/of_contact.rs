//! What was sent to one contact: its deliveries, campaign by campaign.
//!
//! No index leads from a contact to its deliveries: one would change with every message. A delivery is found by its primary key instead,
//! of the campaigns whose launch already knew the contact.

use diesel::prelude::*;

use super::deliveries::DeliveryRow;
use crate::domain::ids::{CampaignId, ContactId};
use crate::store::campaigns::archives;
use crate::store::engine::schema::{campaigns, deliveries, packings};
use crate::store::{Conn, StoreError};

/// How far one look goes.
#[derive(Debug, Clone, Copy)]
pub struct Reach {
    /// Only campaigns with a lower id than this: where the last look stopped.
    pub before: Option<CampaignId>,
    /// Most campaigns that are looked at.
    pub campaigns: i64,
    /// Most deliveries that are returned.
    pub deliveries: i64,
}

/// What a look has found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The deliveries, each with its campaign, the newest campaign first.
    pub deliveries: Vec<(CampaignId, DeliveryRow)>,
    /// How many campaigns were looked at.
    pub looked_at: usize,
    /// Those of them whose deliveries were archived: whether they wrote to the contact is not known here.
    pub archived: Vec<CampaignId>,
    /// Where the next look begins. `None`: all campaigns were looked at.
    pub next: Option<CampaignId>,
}

/// The deliveries to a contact, newest campaign first. A campaign can have one only if the contact was there when it was launched: the
/// launch keeps the highest id that it saw.
///
/// # Errors
/// A query failed.
pub fn of_contact(conn: &mut Conn, contact: ContactId, reach: Reach) -> Result<Found, StoreError> {
    let mut asked: Vec<CampaignId> = packings::table
        .inner_join(campaigns::table.on(campaigns::id.eq(packings::campaign_id)))
        .filter(packings::max_contact_id.ge(contact).and(campaigns::deleted_at.is_null()))
        .filter(packings::campaign_id.lt(reach.before.unwrap_or(CampaignId(i64::MAX))))
        .order(packings::campaign_id.desc())
        .limit(reach.campaigns.saturating_add(1))
        .select(packings::campaign_id)
        .load(conn)
        .map_err(StoreError::query("look for campaigns that knew a contact"))?;
    let are_more = asked.len() > usize::try_from(reach.campaigns).unwrap_or(usize::MAX);
    if are_more {
        asked.pop();
    }
    let mut found = probe(conn, contact, &asked)?;
    found.sort_by_key(|(campaign, _)| std::cmp::Reverse(campaign.0));
    let most = usize::try_from(reach.deliveries).unwrap_or(usize::MAX);
    if found.len() > most {
        found.truncate(most);
        let next = found.last().map(|(campaign, _)| *campaign);
        let looked_at = next.map_or(0, |last| asked.iter().take_while(|campaign| **campaign >= last).count());
        asked.truncate(looked_at);
        let archived = archived(conn, &asked)?;
        return Ok(Found { deliveries: found, looked_at, archived, next });
    }
    let archived = archived(conn, &asked)?;
    let next = asked.last().copied().filter(|_| are_more);
    Ok(Found { deliveries: found, looked_at: asked.len(), archived, next })
}

/// Those of these campaigns whose deliveries were archived, in their order.
fn archived(conn: &mut Conn, asked: &[CampaignId]) -> Result<Vec<CampaignId>, StoreError> {
    let archived = archives::of(conn, asked)?;
    Ok(asked.iter().copied().filter(|campaign| archived.contains_key(campaign)).collect())
}

/// Without an order: asked for one, PostgreSQL may rather read the whole index in it.
fn probe(
    conn: &mut Conn,
    contact: ContactId,
    asked: &[CampaignId],
) -> Result<Vec<(CampaignId, DeliveryRow)>, StoreError> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    deliveries::table
        .filter(deliveries::campaign_id.eq_any(asked.to_vec()).and(deliveries::contact_id.eq(contact)))
        .select((deliveries::campaign_id, DeliveryRow::as_select()))
        .load(conn)
        .map_err(StoreError::query("read the deliveries to a contact"))
}
