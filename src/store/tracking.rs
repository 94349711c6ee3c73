//! Clicks and opens: links of campaigns, and what was counted of them.

mod dialect;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::prelude::*;

use crate::domain::content::template::TrackedLink;
use crate::domain::dispatch::delivery::DeliveryId;
use crate::domain::ids::{CampaignId, ContactId, LinkNumber};
use crate::domain::instant::UtcInstant;
use crate::domain::reports::Reader;
use crate::store::engine::schema::{campaign_links, contacts, deliveries};
use crate::store::{Conn, StoreError, engine};

/// A link of a campaign, and what was counted of it.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct LinkRow {
    /// Which link.
    pub link: LinkNumber,
    /// Its address as the template has it. Empty: a version that does not know the link has sent it.
    pub address: String,
    /// How often people followed it.
    pub clicks: i64,
    /// How many recipients did.
    pub recipients: i64,
    /// How often machines followed it.
    pub machine_clicks: i64,
    /// For how many recipients.
    pub machine_recipients: i64,
}

/// Somebody who followed a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Follower {
    /// The link's message.
    pub delivery: DeliveryId,
    /// The link.
    pub link: LinkNumber,
    /// Who followed it.
    pub reader: Reader,
}

/// Writes the links of a campaign that is launched.
///
/// # Errors
/// The query failed.
pub fn write_links(conn: &mut Conn, campaign: CampaignId, links: &[TrackedLink]) -> Result<(), StoreError> {
    for link in links {
        diesel::insert_into(campaign_links::table)
            .values((
                campaign_links::campaign_id.eq(campaign),
                campaign_links::link.eq(link.number),
                campaign_links::address.eq(&link.address),
            ))
            .execute(conn)
            .map_err(StoreError::query("write the links of a campaign"))?;
    }
    Ok(())
}

/// The links of a campaign, in their order.
///
/// # Errors
/// The query failed.
pub fn links(conn: &mut Conn, campaign: CampaignId) -> Result<Vec<LinkRow>, StoreError> {
    campaign_links::table
        .filter(campaign_links::campaign_id.eq(campaign))
        .order(campaign_links::link)
        .select((
            campaign_links::link,
            campaign_links::address,
            campaign_links::clicks,
            campaign_links::recipients,
            campaign_links::machine_clicks,
            campaign_links::machine_recipients,
        ))
        .load(conn)
        .map_err(StoreError::query("read the links of a campaign"))
}

/// Between which moments a message was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandOver {
    /// When it was claimed the last time.
    pub claimed_at: Option<UtcInstant>,
    /// When its outcome was recorded, which may be long after the hand-over.
    pub settled_at: Option<UtcInstant>,
}

/// When these messages were handed over.
///
/// # Errors
/// A query failed.
pub fn hand_overs(
    conn: &mut Conn,
    messages: &BTreeSet<DeliveryId>,
) -> Result<HashMap<DeliveryId, HandOver>, StoreError> {
    let mut by_campaign = BTreeMap::<CampaignId, Vec<ContactId>>::new();
    for delivery in messages {
        by_campaign.entry(delivery.campaign).or_default().push(delivery.contact);
    }
    let mut found = HashMap::with_capacity(messages.len());
    for (campaign, of) in by_campaign {
        let rows: Vec<(ContactId, Option<UtcInstant>, Option<UtcInstant>)> = deliveries::table
            .filter(deliveries::campaign_id.eq(campaign).and(deliveries::contact_id.eq_any(of)))
            .select((deliveries::contact_id, deliveries::claimed_at, deliveries::settled_at))
            .load(conn)
            .map_err(StoreError::query("look when messages were handed over"))?;
        found.extend(rows.into_iter().map(|(contact, claimed_at, settled_at)| {
            (DeliveryId { campaign, contact }, HandOver { claimed_at, settled_at })
        }));
    }
    Ok(found)
}

/// What may be kept of a contact's clicks and opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privacy {
    /// Everything.
    Tracked,
    /// Nothing: the person has said so.
    Untracked,
    /// No address: the contact was deleted.
    Gone,
}

/// What may be kept of these contacts. One that is not in it is [`Privacy::Gone`].
///
/// # Errors
/// The query failed.
pub fn privacy(conn: &mut Conn, of: &BTreeSet<ContactId>) -> Result<HashMap<ContactId, Privacy>, StoreError> {
    let rows: Vec<(ContactId, bool, Option<UtcInstant>)> = contacts::table
        .filter(contacts::id.eq_any(of.iter().copied().collect::<Vec<_>>()))
        .select((contacts::id, contacts::untracked, contacts::deleted_at))
        .load(conn)
        .map_err(StoreError::query("look what may be kept of contacts"))?;
    let privacy = |(contact, untracked, deleted): (ContactId, bool, Option<UtcInstant>)| {
        let privacy = match (untracked, deleted) {
            (true, _) => Privacy::Untracked,
            (false, Some(_)) => Privacy::Gone,
            (false, None) => Privacy::Tracked,
        };
        (contact, privacy)
    };
    Ok(rows.into_iter().map(privacy).collect())
}

/// What is added to a link.
#[derive(Debug, Clone, Copy, Default)]
struct Added {
    clicks: i64,
    recipients: i64,
    machine_clicks: i64,
    machine_recipients: i64,
}

impl Added {
    fn of(&mut self, reader: Reader) -> (&mut i64, &mut i64) {
        match reader {
            Reader::Person => (&mut self.clicks, &mut self.recipients),
            Reader::Machine => (&mut self.machine_clicks, &mut self.machine_recipients),
        }
    }
}

/// Counts clicks: how often each of these followed a link. Belongs in the transaction that counts them as reports, behind that.
///
/// # Errors
/// A query failed.
pub fn count(conn: &mut Conn, followed: &BTreeMap<Follower, i64>) -> Result<(), StoreError> {
    if followed.is_empty() {
        return Ok(());
    }
    let mut added = BTreeMap::<(CampaignId, LinkNumber), Added>::new();
    for (follower, times) in followed {
        let (clicks, _) = added.entry((follower.delivery.campaign, follower.link)).or_default().of(follower.reader);
        *clicks += times;
    }
    for (campaign, link, is_machine) in dialect::new_followers(conn, followed.keys())? {
        let reader = if is_machine { Reader::Machine } else { Reader::Person };
        let (_, recipients) = added.entry((campaign, link)).or_default().of(reader);
        *recipients += 1;
    }
    dialect::add(conn, &added)
}

/// Whether a contact is tracked. `None`: there is no such contact.
///
/// # Errors
/// The query failed.
pub fn is_tracked(conn: &mut Conn, contact: ContactId) -> Result<Option<bool>, StoreError> {
    contacts::table
        .find(contact)
        .select(contacts::untracked)
        .first(conn)
        .optional()
        .map(|untracked: Option<bool>| untracked.map(|untracked| !untracked))
        .map_err(StoreError::query("look whether a contact is tracked"))
}

/// Sets whether a contact is tracked. That changes the body of the contact's next message, as any other change of the contact does: an
/// attempt that went unanswered is not repeated with another body under its key.
///
/// # Errors
/// The query failed.
pub fn set_tracked(conn: &mut Conn, contact: ContactId, is_tracked: bool) -> Result<(), StoreError> {
    let now = engine::now(conn)?;
    diesel::update(contacts::table.filter(contacts::id.eq(contact).and(contacts::untracked.eq(is_tracked))))
        .set((
            contacts::untracked.eq(!is_tracked),
            contacts::updated_at.eq(now),
            contacts::version.eq(contacts::version + 1),
        ))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("set whether a contact is tracked"))
}
