//! Contacts for an export, part by part: whole, with their tags, how they stand on lists, and why they are not written to.
//!
//! Each part is one short snapshot, and goes on behind the contact that the one before ended with, so that each contact is in one part only,
//! whatever changes meanwhile.

use std::collections::{BTreeSet, HashMap, HashSet};

use diesel::prelude::*;

use super::contact_filter::{self, ContactFilter};
use super::contact_row::ContactRow;
use super::dialect::Hold;
use super::suppression_row::SuppressionRow;
use super::{dialect, tags, topics};
use crate::domain::channel::ChannelKind;
use crate::domain::ids::{ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{EVERYTHING, Reason, SaidSuppression};
use crate::domain::people::fields::Fields;
use crate::domain::people::standing::Standing;
use crate::store::engine::schema::{blocked_domains, contacts, list_members};
use crate::store::{Conn, StoreError, engine};

/// How many ids a part looks at, at most: a filter that takes a few among millions must not be one long read.
const STRETCH: i64 = 50_000;

/// How a contact stands on the list whose members are exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnList {
    /// How.
    pub standing: Standing,
    /// Since when.
    pub since: UtcInstant,
    /// Where that comes from.
    pub source: Option<String>,
}

/// A contact with what an export says of it. Personal data: never logged, hence no `Debug`.
#[derive(Clone)]
pub struct Exported {
    /// The contact.
    pub contact: ContactRow,
    /// Its tags, by name.
    pub tags: Vec<String>,
    /// Why it is not written to, without what holds only until a time.
    pub suppressed: Vec<SaidSuppression>,
    /// How it stands on lists, each by its slug, or by its id where it has none.
    pub lists: Vec<(String, Standing)>,
    /// How it stands on the list whose members are exported.
    pub on_list: Option<OnList>,
}

/// A part of an export.
pub struct Part {
    /// In the order of their ids.
    pub people: Vec<Exported>,
    /// Behind which contact the next part begins. `None`: there is none.
    pub next: Option<ContactId>,
}

/// Living contacts that the filter takes, above `after` and up to `until`: about `limit` of them, or fewer where they are rare.
///
/// # Errors
/// A query failed.
pub fn contacts(
    conn: &mut Conn,
    filter: &ContactFilter,
    (after, until): (ContactId, ContactId),
    limit: i64,
) -> Result<Part, StoreError> {
    conn.snapshot(|conn| {
        // An index finds a key at once, wherever its contact is.
        let is_key = filter.keys.keys() != [None; 3];
        let up_to = if is_key { until } else { stretch(after, until) };
        // Every suppression of the part is read anyway: one by one, and not all that there are.
        let asked = ContactFilter { suppressed: None, ..filter.clone() };
        let rows = contact_filter::rows(conn, &asked, (after, up_to), limit)?;
        let next = next(rows.last().map(|row| row.id), rows.len(), limit, (up_to, until));
        let mut facts = Facts::read(conn, rows.iter())?;
        let now = engine::now(conn)?;
        let wanted = |row: &ContactRow| filter.suppressed.is_none_or(|wanted| facts.is_suppressed(row, now) == wanted);
        let (rows, _others): (Vec<ContactRow>, Vec<ContactRow>) = rows.into_iter().partition(wanted);
        Ok(Part { people: rows.into_iter().map(|row| facts.of(row, None)).collect(), next })
    })
}

/// Living contacts that stand on a list, so or in any way, above `after` and up to `until`: about `limit` of them, or fewer where they are
/// rare.
///
/// # Errors
/// A query failed.
pub fn members(
    conn: &mut Conn,
    (list, standing): (ListId, Option<Standing>),
    (after, until): (ContactId, ContactId),
    limit: i64,
) -> Result<Part, StoreError> {
    conn.snapshot(|conn| {
        let up_to = stretch(after, until);
        let rows = on_list(conn, (list, standing), (after, up_to), limit)?;
        let next = next(rows.last().map(|(row, _)| row.id), rows.len(), limit, (up_to, until));
        let mut facts = Facts::read(conn, rows.iter().map(|(row, _)| row))?;
        Ok(Part { people: rows.into_iter().map(|(row, on_list)| facts.of(row, Some(on_list))).collect(), next })
    })
}

fn stretch(after: ContactId, until: ContactId) -> ContactId {
    ContactId(after.0.saturating_add(STRETCH).min(until.0))
}

/// Where the next part begins, by the last contact of this one and how many it has.
fn next(
    last: Option<ContactId>,
    count: usize,
    limit: i64,
    (up_to, until): (ContactId, ContactId),
) -> Option<ContactId> {
    let is_full = i64::try_from(count).is_ok_and(|count| count >= limit);
    if is_full { last } else { Some(up_to).filter(|up_to| *up_to < until) }
}

fn on_list(
    conn: &mut Conn,
    (list, standing): (ListId, Option<Standing>),
    (after, up_to): (ContactId, ContactId),
    limit: i64,
) -> Result<Vec<(ContactRow, OnList)>, StoreError> {
    let mut query = list_members::table
        .inner_join(contacts::table.on(contacts::id.eq(list_members::contact_id)))
        .filter(list_members::list_id.eq(list))
        .filter(list_members::contact_id.gt(after).and(list_members::contact_id.le(up_to)))
        // The same once more: PostgreSQL does not conclude it, and would merge with everybody from the first contact on.
        .filter(contacts::id.gt(after).and(contacts::id.le(up_to)).and(contacts::deleted_at.is_null()))
        .order(list_members::contact_id)
        .limit(limit)
        .select((
            ContactRow::as_select(),
            (list_members::status, list_members::status_at, list_members::created_at, list_members::source),
        ))
        .into_boxed();
    query = match standing {
        Some(standing) => query.filter(list_members::status.eq(standing)),
        None => query.filter(list_members::status.ne(Standing::Moved)),
    };
    type Stands = (Standing, Option<UtcInstant>, UtcInstant, Option<String>);
    let rows: Vec<(ContactRow, Stands)> = query.load(conn).map_err(StoreError::query("read who is on a list"))?;
    let stands = |(standing, at, made, source): Stands| OnList { standing, since: at.unwrap_or(made), source };
    Ok(rows.into_iter().map(|(row, on_list)| (row, stands(on_list))).collect())
}

/// What is known of the contacts of a part, besides their rows.
struct Facts {
    tags: HashMap<ContactId, Vec<String>>,
    lists: HashMap<ContactId, Vec<(String, Standing)>>,
    /// What is held against an address, whatever list it is about.
    held: HashMap<String, Vec<SuppressionRow>>,
    blocked: HashSet<String>,
}

impl Facts {
    fn read<'r>(conn: &mut Conn, rows: impl Iterator<Item = &'r ContactRow> + Clone) -> Result<Self, StoreError> {
        let ids: Vec<ContactId> = rows.clone().map(|row| row.id).collect();
        let addresses: BTreeSet<&str> = rows.clone().flat_map(|row| row.fields.keys()).flatten().collect();
        let addresses: Vec<&str> = addresses.into_iter().collect();
        let mut held: HashMap<String, Vec<SuppressionRow>> = HashMap::new();
        for row in dialect::suppressions::of_addresses(conn, &addresses, Hold::No)? {
            if row.topic == EVERYTHING {
                held.entry(row.address.clone()).or_default().push(row);
            }
        }
        let domains: BTreeSet<&str> = rows.filter_map(|row| domain(&row.fields)).collect();
        let blocked: Vec<String> = blocked_domains::table
            .filter(blocked_domains::domain.eq_any(domains))
            .select(blocked_domains::domain)
            .load(conn)
            .map_err(StoreError::query("look blocked domains up"))?;
        let lists = lists_of(conn, &ids)?;
        Ok(Self { tags: tags::of_contacts(conn, &ids)?, lists, held, blocked: blocked.into_iter().collect() })
    }

    fn of(&mut self, contact: ContactRow, on_list: Option<OnList>) -> Exported {
        Exported {
            tags: self.tags.remove(&contact.id).unwrap_or_default(),
            suppressed: self.suppressed(&contact.fields),
            lists: self.lists.remove(&contact.id).unwrap_or_default(),
            contact,
            on_list,
        }
    }

    /// What is held against an address.
    fn held(&self, address: Option<&str>) -> &[SuppressionRow] {
        address.and_then(|address| self.held.get(address)).map(Vec::as_slice).unwrap_or_default()
    }

    /// As [`ContactFilter::suppressed`] has it.
    fn is_suppressed(&self, contact: &ContactRow, now: UtcInstant) -> bool {
        let holds = |address: Option<&str>, channel| {
            self.held(address).iter().filter(|row| row.channel == channel).any(|row| {
                row.soft_until.is_some_and(|until| until > now)
                    || row.reasons().iter().any(|reason| *reason != Reason::SoftBounced)
            })
        };
        let Fields { email, phone, .. } = &contact.fields;
        holds(email.as_deref(), ChannelKind::Email) || holds(phone.as_deref(), ChannelKind::Sms)
    }

    /// Why a contact is not written to. A refusal of everything is the person's, whatever address it came by.
    fn suppressed(&self, fields: &Fields) -> Vec<SaidSuppression> {
        const MAIL: &[ChannelKind] = &[ChannelKind::Email];
        const PHONE: &[ChannelKind] = &[ChannelKind::Sms, ChannelKind::Whatsapp];
        let mut all: Vec<SaidSuppression> = Vec::new();
        let mut add = |reason, channel| {
            let one = SaidSuppression { reason, channel };
            if !all.contains(&one) {
                all.push(one);
            }
        };
        let keys = [(&fields.email, MAIL), (&fields.phone, PHONE), (&fields.external_id, &[])];
        for (address, channels) in keys {
            let held = self.held(address.as_deref());
            for (row, reason) in held.iter().flat_map(|row| row.reasons().into_iter().map(move |reason| (row, reason)))
            {
                let is_own = channels.contains(&row.channel);
                // What is held on a channel of its own is written for channel `http`, too.
                let is_mirror =
                    held.iter().any(|other| channels.contains(&other.channel) && other.get(reason).is_some());
                match (reason, row.channel) {
                    (Reason::SoftBounced, _) => {}
                    // An external id may look like the address of somebody else.
                    (_, channel) if !is_own && channel != ChannelKind::Http => {}
                    (Reason::Unsubscribed, _) => add(reason, None),
                    (_, channel) if is_own => add(reason, Some(channel)),
                    (_, _) if is_mirror => {}
                    (_, channel) if channels.is_empty() => add(reason, Some(channel)),
                    (_, _) => add(reason, None),
                }
            }
        }
        if domain(fields).is_some_and(|domain| self.blocked.contains(domain)) {
            add(Reason::Blocked, Some(ChannelKind::Email));
        }
        all
    }
}

fn domain(fields: &Fields) -> Option<&str> {
    fields.email.as_deref().and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain)
}

/// How contacts stand on lists.
fn lists_of(conn: &mut Conn, ids: &[ContactId]) -> Result<HashMap<ContactId, Vec<(String, Standing)>>, StoreError> {
    let rows: Vec<(ContactId, ListId, Standing)> = list_members::table
        .filter(list_members::contact_id.eq_any(ids.to_vec()).and(list_members::status.ne(Standing::Moved)))
        .order((list_members::contact_id, list_members::list_id))
        .select((list_members::contact_id, list_members::list_id, list_members::status))
        .load(conn)
        .map_err(StoreError::query("read how contacts stand on lists"))?;
    let names = topics::names(conn, &rows.iter().map(|(_, list, _)| *list).collect())?;
    let mut all: HashMap<ContactId, Vec<(String, Standing)>> = HashMap::new();
    for (contact, list, standing) in rows {
        // Rows of a list that is being deleted say nothing any more.
        let Some(named) = names.get(&list) else { continue };
        let name = named.slug.clone().unwrap_or_else(|| list.to_string());
        all.entry(contact).or_default().push((name, standing));
    }
    Ok(all)
}
