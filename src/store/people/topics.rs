//! Lists as the topics that people agree to and refuse.

use std::collections::{BTreeSet, HashMap};

use diesel::prelude::*;

use crate::domain::ids::{CampaignId, ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::fields::Fields;
use crate::domain::people::standing::Standing;
use crate::store::engine::schema::{audience_lists, campaigns, contacts, list_members, lists};
use crate::store::people::dialect;
use crate::store::{Conn, StoreError};

/// A list as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = lists)]
pub struct TopicRow {
    /// The list.
    pub id: ListId,
    /// What operators call it.
    name: String,
    /// What people see instead, unless it is empty.
    public_title: String,
    /// What it is about, for people. May be empty.
    pub public_description: String,
    /// Whether it counts everybody who was introduced and has not refused.
    pub default_opt_in: bool,
}

impl TopicRow {
    /// What people see.
    #[must_use]
    pub fn title(&self) -> &str {
        if self.public_title.is_empty() { &self.name } else { &self.public_title }
    }
}

/// A contact as far as public pages need it.
#[derive(Clone)]
pub struct Person {
    /// Its keys.
    pub keys: Fields,
    /// Whether it was deleted.
    pub is_deleted: bool,
}

/// A list's slug. `None`: there is no such list, or it was created by an older version and has none.
///
/// # Errors
/// The query failed.
pub fn slug(conn: &mut Conn, id: ListId) -> Result<Option<String>, StoreError> {
    lists::table
        .find(id)
        .select(lists::slug)
        .first::<Option<String>>(conn)
        .optional()
        .map(Option::flatten)
        .map_err(StoreError::query("read a list's slug"))
}

/// What a list goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// None: it was created by an older version.
    pub slug: Option<String>,
    /// What operators call it.
    pub name: String,
}

/// What lists go by.
///
/// # Errors
/// The query failed.
pub fn names(conn: &mut Conn, ids: &BTreeSet<ListId>) -> Result<HashMap<ListId, Named>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(ListId, Option<String>, String)> = lists::table
        .filter(lists::id.eq_any(ids.iter().copied()))
        .select((lists::id, lists::slug, lists::name))
        .load(conn)
        .map_err(StoreError::query("read the names of lists"))?;
    Ok(rows.into_iter().map(|(id, slug, name)| (id, Named { slug, name })).collect())
}

/// One list.
///
/// # Errors
/// The query failed.
pub fn find(conn: &mut Conn, id: ListId) -> Result<Option<TopicRow>, StoreError> {
    lists::table
        .find(id)
        .select(TopicRow::as_select())
        .first(conn)
        .optional()
        .map_err(StoreError::query("read a topic"))
}

/// What a launched campaign is about: the lists that it includes, and its topic. Those that are gone are left out.
///
/// # Errors
/// A query failed.
pub fn of_campaign(conn: &mut Conn, campaign: CampaignId) -> Result<Vec<TopicRow>, StoreError> {
    let mut ids: Vec<ListId> = audience_lists::table
        .filter(audience_lists::campaign_id.eq(campaign).and(audience_lists::excluded.eq(false)))
        .select(audience_lists::list_id)
        .load(conn)
        .map_err(StoreError::query("read a campaign's lists"))?;
    ids.extend(topic_of(conn, campaign)?);
    lists::table
        .filter(lists::id.eq_any(ids))
        .order(lists::id)
        .select(TopicRow::as_select())
        .load(conn)
        .map_err(StoreError::query("read a campaign's topics"))
}

/// What launched campaigns are about, in ids: as [`of_campaign`], for many in one statement. One without a topic is not in it.
///
/// # Errors
/// The query failed.
pub fn of_campaigns(
    conn: &mut Conn,
    campaigns: &[CampaignId],
) -> Result<HashMap<CampaignId, BTreeSet<ListId>>, StoreError> {
    if campaigns.is_empty() {
        return Ok(HashMap::new());
    }
    let mut topics: HashMap<CampaignId, BTreeSet<ListId>> = HashMap::new();
    for row in dialect::topics::of_campaigns(conn, campaigns)? {
        topics.entry(row.campaign_id).or_default().insert(row.list_id);
    }
    Ok(topics)
}

/// The list that a campaign says it is about.
///
/// # Errors
/// The query failed.
pub fn topic_of(conn: &mut Conn, campaign: CampaignId) -> Result<Option<ListId>, StoreError> {
    campaigns::table
        .find(campaign)
        .select(campaigns::topic_id)
        .first::<Option<ListId>>(conn)
        .optional()
        .map(Option::flatten)
        .map_err(StoreError::query("read a campaign's topic"))
}

/// The lists that a contact may choose from: the public ones, and those that it has a standing on, with the standing; by title.
///
/// # Errors
/// A query failed.
pub fn for_contact(conn: &mut Conn, contact: ContactId) -> Result<Vec<(TopicRow, Option<Standing>)>, StoreError> {
    let standings: Vec<(ListId, Standing)> = list_members::table
        .filter(list_members::contact_id.eq(contact).and(list_members::status.ne(Standing::Moved)))
        .select((list_members::list_id, list_members::status))
        .load(conn)
        .map_err(StoreError::query("read a contact's standings"))?;
    let known: Vec<ListId> = standings.iter().map(|(list, _)| *list).collect();
    let mut topics: Vec<TopicRow> = lists::table
        .filter(lists::public.eq(true).or(lists::id.eq_any(known)))
        .select(TopicRow::as_select())
        .load(conn)
        .map_err(StoreError::query("read the lists that a contact may choose from"))?;
    topics.sort_by(|one, other| (one.title(), one.id).cmp(&(other.title(), other.id)));
    let standing = |id: ListId| standings.iter().find(|(list, _)| *list == id).map(|(_, standing)| *standing);
    Ok(topics.into_iter().map(|topic| (topic.clone(), standing(topic.id))).collect())
}

/// How a contact stands on one list.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct ContactStanding {
    /// The list.
    pub list: ListId,
    /// What operators call it.
    pub name: String,
    /// None: it was created by an older version.
    pub slug: Option<String>,
    /// So.
    pub standing: Standing,
    /// Since when; rows of an older version do not know it.
    pub since: Option<UtcInstant>,
    /// Where that came from, where it is known.
    pub source: Option<String>,
}

/// How a contact stands on each list that it has a standing on, by the ids of the lists.
///
/// # Errors
/// The query failed.
pub fn standings_of(conn: &mut Conn, contact: ContactId) -> Result<Vec<ContactStanding>, StoreError> {
    list_members::table
        .inner_join(lists::table.on(lists::id.eq(list_members::list_id)))
        .filter(list_members::contact_id.eq(contact).and(list_members::status.ne(Standing::Moved)))
        .order(lists::id)
        .select((
            lists::id,
            lists::name,
            lists::slug,
            list_members::status,
            list_members::status_at,
            list_members::source,
        ))
        .load(conn)
        .map_err(StoreError::query("read a contact's standings"))
}

/// How a contact stands on a list, and since when; rows of an older version do not know it.
///
/// # Errors
/// The query failed.
pub fn standing(
    conn: &mut Conn,
    list: ListId,
    contact: ContactId,
) -> Result<Option<(Standing, Option<UtcInstant>)>, StoreError> {
    list_members::table
        .find((list, contact))
        .select((list_members::status, list_members::status_at))
        .first(conn)
        .optional()
        .map_err(StoreError::query("read a standing"))
}

/// A contact, deleted or not.
///
/// # Errors
/// The query failed.
pub fn person(conn: &mut Conn, id: ContactId) -> Result<Option<Person>, StoreError> {
    type Columns = (Option<String>, Option<String>, Option<String>, Option<String>, Option<i64>);
    let found: Option<Columns> = contacts::table
        .find(id)
        .select((contacts::email, contacts::phone, contacts::external_id, contacts::locale, contacts::deleted_at))
        .first(conn)
        .optional()
        .map_err(StoreError::query("read a contact"))?;
    Ok(found.map(|(email, phone, external_id, locale, deleted_at)| Person {
        keys: Fields { email, phone, external_id, locale, ..Fields::default() },
        is_deleted: deleted_at.is_some(),
    }))
}
