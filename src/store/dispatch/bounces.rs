//! Addresses that do not exist, as the provider has answered at the hand-over: nobody writes to them again, and they count for the
//! campaign's brake.

use std::collections::BTreeMap;
use std::sync::Arc;

use diesel::prelude::*;

use crate::domain::channel::ChannelKind;
use crate::domain::dispatch::eligibility::address_for;
use crate::domain::ids::{CampaignId, ContactId, PageId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{Act, EVERYTHING, Reason, Source};
use crate::store::engine::schema::{campaigns, contacts, deliveries};
use crate::store::people::consent::{Ledger, Scribe};
use crate::store::people::contact_row::ContactRow;
use crate::store::people::suppressions::{self, Entry};
use crate::store::{Conn, StoreError, reports};

/// A delivery that failed because its address does not exist.
pub(super) struct Bounce {
    pub(super) campaign: CampaignId,
    pub(super) page: PageId,
    pub(super) contact: ContactId,
}

/// Suppresses the addresses of these deliveries, and counts them on their pages, in the transaction that records why they failed. It
/// writes side rows only, in the order of their keys, so it comes once and after all deliveries.
///
/// A contact that has changed since it was claimed may have another address by now. Nothing is known of that one, so it is not
/// suppressed.
///
/// # Errors
/// A query failed.
pub(super) fn note(conn: &mut Conn, bounced: &[Bounce]) -> Result<(), StoreError> {
    let mut refused = BTreeMap::<(PageId, CampaignId), i64>::new();
    let mut contacts = BTreeMap::<CampaignId, Vec<ContactId>>::new();
    for Bounce { campaign, page, contact } in bounced {
        *refused.entry((*page, *campaign)).or_default() += 1;
        contacts.entry(*campaign).or_default().push(*contact);
    }
    reports::count_refused(conn, &refused)?;
    if contacts.is_empty() {
        return Ok(());
    }
    let scribe = Scribe::of(Source::API);
    let mut ledger = Ledger::new(&scribe);
    let now = ledger.now(conn)?;
    let mut entries = Vec::with_capacity(bounced.len());
    for (campaign, contacts) in contacts {
        entries.extend(addresses(conn, campaign, contacts, now)?);
    }
    suppressions::set(conn, &mut ledger, &entries)?;
    ledger.close(conn)
}

/// What is suppressed for these contacts of a campaign.
fn addresses(
    conn: &mut Conn,
    campaign: CampaignId,
    bounced: Vec<ContactId>,
    at: UtcInstant,
) -> Result<Vec<Entry>, StoreError> {
    let (channel, pool): (ChannelKind, Option<String>) = campaigns::table
        .find(campaign)
        .select((campaigns::channel, campaigns::pool))
        .first(conn)
        .map_err(StoreError::query("read the channel of a bounce"))?;
    let is_as_claimed =
        contacts::id.eq(deliveries::contact_id).and(contacts::version.nullable().eq(deliveries::contact_version));
    let people: Vec<ContactRow> = deliveries::table
        .inner_join(contacts::table.on(is_as_claimed))
        .filter(deliveries::campaign_id.eq(campaign).and(deliveries::contact_id.eq_any(bounced)))
        .select(ContactRow::as_select())
        .load(conn)
        .map_err(StoreError::query("read the addresses of bounces"))?;
    let act = Act { campaign: Some(campaign), ..Act::of(Source::pool(pool.as_deref().unwrap_or_default())) };
    let act = Arc::new(act);
    let mut entries = Vec::with_capacity(people.len());
    for person in people {
        if let Ok(address) = address_for(channel, &person.profile()?) {
            entries.push(Entry {
                address: address.to_owned(),
                channel,
                topic: EVERYTHING,
                reason: Reason::Bounced,
                at,
                contact: Some(person.id),
                act: Some(Arc::clone(&act)),
                is_said: true,
            });
        }
    }
    Ok(entries)
}
