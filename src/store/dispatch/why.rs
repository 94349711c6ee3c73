//! What is known of one person and one campaign, each by a primary key: nothing here grows with an audience.

use std::collections::{BTreeSet, HashMap};

use diesel::prelude::*;

use super::deliveries::RecipientRow;
use super::packing::parse_audience;
use crate::domain::campaigns::audience::{Audience, CampaignPart};
use crate::domain::channel::ChannelKind;
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::dispatch::delivery::{DeliveryState, ErrorCategory};
use crate::domain::dispatch::eligibility::{Contactable, address_for};
use crate::domain::dispatch::why::facts::{By, Clause, Delivery, OnList, Page, Person};
use crate::domain::ids::{CampaignId, ContactId, InstanceId, ListId, PageId, SegmentId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::standing::Standing;
use crate::domain::reports::Reported;
use crate::domain::segments::Criteria;
use crate::store::campaigns::{CampaignRow, launch};
use crate::store::engine::schema::{contact_tags, contacts, deliveries, instances, list_members, lists, pages};
use crate::store::people::topics;
use crate::store::segments::{matching, members};
use crate::store::{Conn, StoreError, engine};

#[derive(Queryable, Selectable)]
#[diesel(table_name = contacts)]
struct PersonRow {
    email: Option<String>,
    phone: Option<String>,
    external_id: Option<String>,
    created_at: UtcInstant,
    deleted_at: Option<UtcInstant>,
    introduced_at: Option<UtcInstant>,
}

/// A contact, deleted or not, and where a channel reaches it.
///
/// # Errors
/// The query failed.
pub fn person(conn: &mut Conn, id: ContactId, channel: ChannelKind) -> Result<Person, StoreError> {
    let found: Option<PersonRow> = contacts::table
        .filter(contacts::id.eq(id))
        .select(PersonRow::as_select())
        .first(conn)
        .optional()
        .map_err(StoreError::query("read a contact"))?;
    let contactable = found.as_ref().map_or(Contactable { is_deleted: true, ..Contactable::default() }, |row| {
        let PersonRow { email, phone, external_id, deleted_at, .. } = row;
        let (email, phone, external_id) = (email.as_deref(), phone.as_deref(), external_id.as_deref());
        Contactable { email, phone, external_id, is_deleted: deleted_at.is_some() }
    });
    Ok(Person {
        id,
        address: address_for(channel, contactable).map(str::to_owned),
        created_at: found.as_ref().map(|row| row.created_at),
        deleted_at: found.as_ref().and_then(|row| row.deleted_at),
        introduced_at: found.as_ref().and_then(|row| row.introduced_at),
    })
}

/// A contact as lists of deliveries show it, deleted or not.
///
/// # Errors
/// The query failed.
pub fn recipient(conn: &mut Conn, id: ContactId) -> Result<Option<RecipientRow>, StoreError> {
    contacts::table
        .filter(contacts::id.eq(id))
        .select(RecipientRow::as_select())
        .first(conn)
        .optional()
        .map_err(StoreError::query("read a contact"))
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = deliveries)]
struct DeliveryRow {
    page_id: PageId,
    state: DeliveryState,
    attempts: i32,
    put_offs: i32,
    claim_no: i32,
    ambiguous: bool,
    reason: Option<String>,
    category: Option<ErrorCategory>,
    answer_class: Option<AnswerClass>,
    provider_id: Option<String>,
    due_at: UtcInstant,
    claimed_at: Option<UtcInstant>,
    settled_at: Option<UtcInstant>,
    reported: Reported,
}

/// A delivery with its page, and which reports there were of it. `None`: there is none.
///
/// # Errors
/// A query failed.
pub fn delivery(
    conn: &mut Conn,
    campaign: CampaignId,
    contact: ContactId,
) -> Result<Option<(Delivery, Option<Page>, Reported)>, StoreError> {
    let found: Option<DeliveryRow> = deliveries::table
        .find((campaign, contact))
        .select(DeliveryRow::as_select())
        .first(conn)
        .optional()
        .map_err(StoreError::query("read a delivery"))?;
    let Some(row) = found else { return Ok(None) };
    let delivery = Delivery {
        state: row.state,
        attempts: row.attempts,
        put_offs: row.put_offs,
        claims: row.claim_no,
        ambiguous: row.ambiguous,
        reason: row.reason,
        category: row.category,
        class: row.answer_class,
        provider_id: row.provider_id,
        due_at: row.due_at,
        claimed_at: row.claimed_at,
        settled_at: row.settled_at,
    };
    Ok(Some((delivery, page(conn, row.page_id)?, row.reported)))
}

fn page(conn: &mut Conn, id: PageId) -> Result<Option<Page>, StoreError> {
    let found: Option<(i64, Option<InstanceId>, Option<UtcInstant>)> = pages::table
        .find(id)
        .select((pages::seq, pages::lease_instance_id, pages::lease_until))
        .first(conn)
        .optional()
        .map_err(StoreError::query("read a page"))?;
    let Some((seq, instance, lease_until)) = found else { return Ok(None) };
    let owner = match instance {
        None => None,
        Some(instance) => {
            let host: Option<String> = instances::table
                .find(instance)
                .select(instances::host)
                .first(conn)
                .optional()
                .map_err(StoreError::query("read an instance"))?;
            Some((instance, host.unwrap_or_default()))
        }
    };
    Ok(Some(Page { id, seq, owner, lease_until }))
}

/// What the audience of a campaign says of a contact, clause by clause. A campaign without an audience has none.
///
/// # Errors
/// A query failed, or the audience is not readable.
pub fn clauses(
    conn: &mut Conn,
    campaign: &CampaignRow,
    contact: ContactId,
    now: UtcInstant,
) -> Result<Vec<Clause>, StoreError> {
    let Some(stored) = campaign.audience.as_deref() else { return Ok(Vec::new()) };
    let audience = parse_audience(Some(stored))?;
    // PostgreSQL would rather read a whole small table than an index.
    engine::keep_to_indexes(conn)?;
    let known = Known::of(conn, &audience, contact)?;
    let Audience { include, exclude } = &audience;
    let mut clauses = Vec::new();
    let mut add = |excludes, by| clauses.push(Clause { excludes, by });
    if include.all {
        add(false, By::All);
    }
    for (excludes, ids, lists, tags, segments, campaigns) in [
        (false, &include.contact_ids, &include.lists, &include.tags, &include.segments, &include.campaigns),
        (true, &exclude.contact_ids, &exclude.lists, &exclude.tags, &exclude.segments, &exclude.campaigns),
    ] {
        lists.iter().for_each(|id| add(excludes, known.list(*id)));
        if !ids.is_empty() {
            add(excludes, By::Ids { is_among: ids.binary_search(&contact).is_ok() });
        }
        tags.iter().for_each(|name| add(excludes, known.tag(name)));
        segments.iter().for_each(|id| {
            add(excludes, By::Segment { id: *id, since: known.segments.get(id).copied() });
        });
        campaigns.iter().for_each(|part| {
            add(excludes, By::Campaign { id: part.id, state: known.campaigns.get(&part.id).copied() });
        });
    }
    for (excludes, filter) in [(false, include.asked_filter()), (true, exclude.filter.as_ref())] {
        if let Some(filter) = filter {
            add(excludes, By::Filter { sentence: filter.sentence(), takes: takes(conn, filter, contact, now)? });
        }
    }
    Ok(clauses)
}

fn takes(conn: &mut Conn, filter: &Criteria, contact: ContactId, now: UtcInstant) -> Result<bool, StoreError> {
    Ok(!matching::taken(conn, filter, &[contact], now)?.is_empty())
}

/// What is known of a contact by what an audience names.
struct Known {
    standings: HashMap<ListId, OnList>,
    lists: HashMap<ListId, (String, bool)>,
    tags: HashMap<String, UtcInstant>,
    segments: HashMap<SegmentId, UtcInstant>,
    campaigns: HashMap<CampaignId, DeliveryState>,
}

impl Known {
    fn of(conn: &mut Conn, audience: &Audience, contact: ContactId) -> Result<Self, StoreError> {
        let Audience { include, exclude } = audience;
        let ids: BTreeSet<ListId> = include.lists.iter().chain(&exclude.lists).copied().collect();
        let names: Vec<String> = include.tags.iter().chain(&exclude.tags).cloned().collect();
        let parts: Vec<CampaignPart> = include.campaigns.iter().chain(&exclude.campaigns).copied().collect();
        let segments = if include.segments.is_empty() && exclude.segments.is_empty() {
            HashMap::new()
        } else {
            let rows = members::open_of(conn, &[contact])?.into_iter();
            let present = rows.filter(|row| row.contact_id == contact && row.left_at.is_none());
            present.map(|row| (row.segment_id, row.entered_at)).collect()
        };
        Ok(Self {
            standings: standings(conn, &ids, contact)?,
            lists: named(conn, &ids)?,
            tags: tags(conn, &names, contact)?,
            segments,
            campaigns: states(conn, &parts, contact)?,
        })
    }

    fn list(&self, id: ListId) -> By {
        let known = self.lists.get(&id);
        By::List {
            id,
            name: known.map(|(name, _)| name.clone()),
            default_opt_in: known.is_some_and(|(_, default_opt_in)| *default_opt_in),
            standing: self.standings.get(&id).copied(),
        }
    }

    fn tag(&self, name: &str) -> By {
        By::Tag { name: name.to_owned(), since: self.tags.get(name).copied() }
    }
}

fn standings(
    conn: &mut Conn,
    ids: &BTreeSet<ListId>,
    contact: ContactId,
) -> Result<HashMap<ListId, OnList>, StoreError> {
    let rows: Vec<(ListId, Standing, Option<UtcInstant>, UtcInstant)> = list_members::table
        .filter(list_members::contact_id.eq(contact).and(list_members::list_id.eq_any(ids.iter().copied())))
        .select((list_members::list_id, list_members::status, list_members::status_at, list_members::created_at))
        .load(conn)
        .map_err(StoreError::query("read a contact's standings"))?;
    let on = |(list, standing, status_at, created_at)| (list, OnList { standing, status_at, created_at });
    Ok(rows.into_iter().map(on).collect())
}

fn named(conn: &mut Conn, ids: &BTreeSet<ListId>) -> Result<HashMap<ListId, (String, bool)>, StoreError> {
    let names = topics::names(conn, ids)?;
    let counting: Vec<ListId> = lists::table
        .filter(lists::id.eq_any(ids.iter().copied()).and(lists::default_opt_in.eq(true)))
        .select(lists::id)
        .load(conn)
        .map_err(StoreError::query("look lists up"))?;
    Ok(names.into_iter().map(|(id, named)| (id, (named.name, counting.contains(&id)))).collect())
}

fn tags(conn: &mut Conn, names: &[String], contact: ContactId) -> Result<HashMap<String, UtcInstant>, StoreError> {
    let mut found = HashMap::new();
    for (tag, name) in launch::tags_named(conn, names)? {
        let since: Option<UtcInstant> = contact_tags::table
            .find((tag, contact))
            .select(contact_tags::created_at)
            .first(conn)
            .optional()
            .map_err(StoreError::query("read a contact's tag"))?;
        found.extend(since.map(|since| (name, since)));
    }
    Ok(found)
}

/// What became of a contact in other campaigns.
fn states(
    conn: &mut Conn,
    parts: &[CampaignPart],
    contact: ContactId,
) -> Result<HashMap<CampaignId, DeliveryState>, StoreError> {
    let ids: Vec<CampaignId> = parts.iter().map(|part| part.id).collect();
    let rows: Vec<(CampaignId, DeliveryState)> = deliveries::table
        .filter(deliveries::campaign_id.eq_any(ids).and(deliveries::contact_id.eq(contact)))
        .select((deliveries::campaign_id, deliveries::state))
        .load(conn)
        .map_err(StoreError::query("read a contact's deliveries"))?;
    Ok(rows.into_iter().collect())
}
