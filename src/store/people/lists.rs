//! Lists and who is on them.

mod members;

use std::collections::HashMap;

use diesel::prelude::*;

pub use self::members::{Membership, add_members, members, remove_members};
use crate::domain::campaigns::CampaignStatus;
use crate::domain::ids::{CampaignId, ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::slug;
use crate::domain::people::standing::Standing;
use crate::store::engine::dialect::conn::MultiBackend;
use crate::store::engine::listing::{Slice, Window};
use crate::store::engine::schema::{audience_lists, campaigns, list_members, lists, suppressions};
use crate::store::engine::touches;
use crate::store::under_way::asking;
use crate::store::{Conn, StoreError, engine};

/// A list as stored.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = lists)]
pub struct ListRow {
    /// Its id.
    pub id: ListId,
    /// Unique.
    pub name: String,
    /// For operators.
    pub description: String,
    /// Stands wherever the id may; unique. None: made by an older version.
    pub slug: Option<String>,
    /// Whether it counts everybody who was introduced and has not refused.
    pub default_opt_in: bool,
    /// Whether a subscription counts only when the person has confirmed it.
    pub double_opt_in: bool,
    /// Whether public pages show it.
    pub public: bool,
    /// Its title there.
    pub public_title: String,
    /// Its description there.
    pub public_description: String,
    /// When it was created.
    pub created_at: UtcInstant,
    /// When something above changed last.
    pub updated_at: UtcInstant,
}

/// A list to create.
#[derive(Debug, Clone, Default)]
pub struct NewList {
    /// Unique.
    pub name: String,
    /// For operators.
    pub description: String,
    /// Stands wherever the id may; unique. None: made of the name.
    pub slug: Option<String>,
    /// Whether it counts everybody who was introduced and has not refused.
    pub default_opt_in: bool,
    /// Whether a subscription counts only when the person has confirmed it. Not together with `default_opt_in`.
    pub double_opt_in: bool,
    /// Whether public pages show it.
    pub public: bool,
    /// Its title there.
    pub public_title: String,
    /// Its description there.
    pub public_description: String,
}

impl NewList {
    /// A list with a name, and all else as usual.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

/// What a list goes by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListKey {
    /// Its id.
    Id(ListId),
    /// Its slug.
    Slug(String),
}

impl ListKey {
    /// What a text names a list by. `None`: it is neither an id nor a slug.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if slug::check(text).is_ok() {
            return Some(Self::Slug(text.to_owned()));
        }
        let id = text.parse().ok().filter(|id: &i64| *id >= 1 && text.bytes().all(|b| b.is_ascii_digit()));
        id.map(|id| Self::Id(ListId(id)))
    }
}

/// How many contacts stand on a list, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Agreed to it.
    pub subscribed: i64,
    /// Have not confirmed it yet.
    pub unconfirmed: i64,
    /// Refused it.
    pub unsubscribed: i64,
}

/// A list and how many are on it.
#[derive(Debug, Clone)]
pub struct CountedList {
    /// The list.
    pub list: ListRow,
    /// Its live members, by standing.
    pub counts: Counts,
}

/// What is to change; `None` stays.
#[derive(Debug, Clone, Default, AsChangeset)]
#[diesel(table_name = lists)]
pub struct ListChange {
    /// The new name.
    pub name: Option<String>,
    /// The new description.
    pub description: Option<String>,
    /// The new slug.
    pub slug: Option<String>,
    /// Whether it counts everybody who has not refused.
    pub default_opt_in: Option<bool>,
    /// Whether a subscription needs a confirmation.
    pub double_opt_in: Option<bool>,
    /// Whether public pages show it.
    pub public: Option<bool>,
    /// The new title there.
    pub public_title: Option<String>,
    /// The new description there.
    pub public_description: Option<String>,
}

/// What became of a change.
#[derive(Debug, Clone)]
pub enum ListChanged {
    /// The list as it is now.
    Done(CountedList),
    /// There is no such list.
    NotFound,
    /// It would count everybody who has not refused, and also ask for confirmations.
    BothOptIns,
}

impl ListChange {
    /// The fields that it sets.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        let set = [
            ("name", self.name.is_some()),
            ("description", self.description.is_some()),
            ("slug", self.slug.is_some()),
            ("default_opt_in", self.default_opt_in.is_some()),
            ("double_opt_in", self.double_opt_in.is_some()),
            ("public", self.public.is_some()),
            ("public_title", self.public_title.is_some()),
            ("public_description", self.public_description.is_some()),
        ];
        set.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect()
    }
}

/// Creates a list.
///
/// # Errors
/// [`StoreError::Taken`] when another list has the name or the slug, or a query failed.
pub fn create(conn: &mut Conn, new: &NewList) -> Result<CountedList, StoreError> {
    conn.write(|conn| {
        refuse_taken(conn, &new.name, None)?;
        refuse_taken_slug(conn, new.slug.as_deref(), None)?;
        let made = slug::of_name(&new.name);
        let is_free = |conn: &mut Conn, slug: &str| Ok::<_, StoreError>(by_slug(conn, slug)?.is_none());
        let slug = match &new.slug {
            Some(slug) => Some(slug.clone()),
            None if !made.is_empty() && is_free(conn, &made)? => Some(made.clone()),
            None => None,
        };
        let now = engine::now(conn)?;
        let mut list: ListRow = diesel::insert_into(lists::table)
            .values((
                lists::name.eq(&new.name),
                lists::description.eq(&new.description),
                lists::slug.eq(&slug),
                lists::default_opt_in.eq(new.default_opt_in),
                lists::double_opt_in.eq(new.double_opt_in),
                lists::public.eq(new.public),
                lists::public_title.eq(&new.public_title),
                lists::public_description.eq(&new.public_description),
                lists::created_at.eq(now),
                lists::updated_at.eq(now),
            ))
            .returning(<ListRow as Selectable<MultiBackend>>::construct_selection())
            .get_result(conn)
            .map_err(taken_or("create a list"))?;
        if slug.is_none() {
            let made = format!("{}-{}", if made.is_empty() { "list" } else { &made }, list.id);
            if is_free(conn, &made)? {
                diesel::update(lists::table.find(list.id))
                    .set(lists::slug.eq(&made))
                    .execute(conn)
                    .map_err(taken_or("create a list"))?;
                list.slug = Some(made);
            }
        }
        Ok(CountedList { list, counts: Counts::default() })
    })
}

fn refuse_taken(conn: &mut Conn, name: &str, by_other_than: Option<ListId>) -> Result<(), StoreError> {
    let holder = find_by_name(conn, name)?;
    match holder {
        Some(list) if Some(list.id) != by_other_than => {
            Err(StoreError::Taken { field: "list_name", by: Some(list.id.0) })
        }
        _ => Ok(()),
    }
}

fn refuse_taken_slug(conn: &mut Conn, slug: Option<&str>, by_other_than: Option<ListId>) -> Result<(), StoreError> {
    let holder = slug.map(|slug| by_slug(conn, slug)).transpose()?.flatten();
    match holder {
        Some(id) if Some(id) != by_other_than => Err(StoreError::Taken { field: "list_slug", by: Some(id.0) }),
        _ => Ok(()),
    }
}

/// Another transaction may take the name or the slug between the look and the write.
fn taken_or(action: &'static str) -> impl FnOnce(diesel::result::Error) -> StoreError {
    move |source| {
        let is_slug = source.to_string().contains("slug");
        let error = StoreError::query(action)(source);
        if error.is_unique_violation() {
            StoreError::Taken { field: if is_slug { "list_slug" } else { "list_name" }, by: None }
        } else {
            error
        }
    }
}

fn by_slug(conn: &mut Conn, slug: &str) -> Result<Option<ListId>, StoreError> {
    lists::table
        .filter(lists::slug.eq(slug))
        .select(lists::id)
        .first(conn)
        .optional()
        .map_err(StoreError::query("find a list by its slug"))
}

/// The id of the list that goes by this.
///
/// # Errors
/// The query failed.
pub fn resolve(conn: &mut Conn, key: &ListKey) -> Result<Option<ListId>, StoreError> {
    match key {
        ListKey::Id(id) => Ok(Some(*id)),
        ListKey::Slug(slug) => by_slug(conn, slug),
    }
}

/// Those of `keys` that lists go by, each with the list's id.
///
/// # Errors
/// A query failed.
pub fn existing(conn: &mut Conn, keys: &[ListKey]) -> Result<HashMap<ListKey, ListId>, StoreError> {
    let mut found = HashMap::new();
    for chunk in keys.chunks(500) {
        let (mut ids, mut slugs) = (Vec::new(), Vec::new());
        for key in chunk {
            match key {
                ListKey::Id(id) => ids.push(*id),
                ListKey::Slug(slug) => slugs.push(slug.clone()),
            }
        }
        let rows: Vec<(ListId, Option<String>)> = lists::table
            .filter(lists::id.eq_any(ids).or(lists::slug.eq_any(slugs)))
            .select((lists::id, lists::slug))
            .load(conn)
            .map_err(StoreError::query("look up lists"))?;
        for (id, slug) in rows {
            found.insert(ListKey::Id(id), id);
            found.extend(slug.map(|slug| (ListKey::Slug(slug), id)));
        }
    }
    Ok(found)
}

/// The list with this name.
///
/// # Errors
/// The query failed.
pub fn find_by_name(conn: &mut Conn, name: &str) -> Result<Option<ListRow>, StoreError> {
    lists::table
        .filter(lists::name.eq(name))
        .select(ListRow::as_select())
        .first(conn)
        .optional()
        .map_err(StoreError::query("find a list by name"))
}

fn find_row(conn: &mut Conn, id: ListId) -> Result<Option<ListRow>, StoreError> {
    lists::table.find(id).select(ListRow::as_select()).first(conn).optional().map_err(StoreError::query("read a list"))
}

/// A list and its counts.
///
/// # Errors
/// A query failed.
pub fn find(conn: &mut Conn, id: ListId) -> Result<Option<CountedList>, StoreError> {
    let Some(list) = find_row(conn, id)? else { return Ok(None) };
    let counts = counts(conn, &[id])?.remove(&id).unwrap_or_default();
    Ok(Some(CountedList { list, counts }))
}

/// Those of `ids` that are no lists, in order.
///
/// # Errors
/// The query failed.
pub fn missing(conn: &mut Conn, ids: &[ListId]) -> Result<Vec<ListId>, StoreError> {
    let found: Vec<ListId> = lists::table
        .filter(lists::id.eq_any(ids))
        .select(lists::id)
        .load(conn)
        .map_err(StoreError::query("look lists up"))?;
    let mut missing: Vec<ListId> = ids.iter().copied().filter(|id| !found.contains(id)).collect();
    missing.sort_unstable();
    missing.dedup();
    Ok(missing)
}

fn counts(conn: &mut Conn, ids: &[ListId]) -> Result<HashMap<ListId, Counts>, StoreError> {
    let rows = list_members::table
        .filter(list_members::list_id.eq_any(ids))
        .group_by((list_members::list_id, list_members::status))
        .select((list_members::list_id, list_members::status, diesel::dsl::count_star()))
        .load::<(ListId, Standing, i64)>(conn)
        .map_err(StoreError::query("count the members of lists"))?;
    let mut all: HashMap<ListId, Counts> = HashMap::new();
    for (list, standing, n) in rows {
        let counts = all.entry(list).or_default();
        match standing {
            Standing::Subscribed => counts.subscribed = n,
            Standing::Unconfirmed => counts.unconfirmed = n,
            Standing::Unsubscribed => counts.unsubscribed = n,
            Standing::Moved => {}
        }
    }
    Ok(all)
}

/// Lists with `search` in their names, or all.
///
/// # Errors
/// A query failed.
pub fn list(conn: &mut Conn, window: Window) -> Result<Slice<CountedList>, StoreError> {
    conn.snapshot(|conn| {
        let anchor = match window.anchor {
            Some(anchor) => anchor,
            None => lists::table
                .select(diesel::dsl::max(lists::id))
                .first::<Option<i64>>(conn)
                .map_err(StoreError::query("list lists"))?
                .unwrap_or_default(),
        };
        let total = lists::table
            .filter(lists::id.le(anchor))
            .count()
            .get_result(conn)
            .map_err(StoreError::query("count lists"))?;
        let rows: Vec<ListRow> = lists::table
            .filter(lists::id.le(anchor).and(lists::id.lt(window.before.unwrap_or(i64::MAX))))
            .order(lists::id.desc())
            .offset(window.offset)
            .limit(window.fetch())
            .select(ListRow::as_select())
            .load(conn)
            .map_err(StoreError::query("list lists"))?;
        let ids: Vec<ListId> = rows.iter().map(|row| row.id).collect();
        let mut counts = counts(conn, &ids)?;
        let rows = rows
            .into_iter()
            .map(|list| CountedList { counts: counts.remove(&list.id).unwrap_or_default(), list })
            .collect();
        Ok(window.slice(rows, total, anchor))
    })
}

/// Changes a list.
///
/// # Errors
/// [`StoreError::Taken`] when another list has the name or the slug, or a query failed.
pub fn change(conn: &mut Conn, id: ListId, change: &ListChange) -> Result<ListChanged, StoreError> {
    conn.write(|conn| {
        if let Some(name) = &change.name {
            refuse_taken(conn, name, Some(id))?;
        }
        refuse_taken_slug(conn, change.slug.as_deref(), Some(id))?;
        let Some(before) = find_row(conn, id)? else { return Ok(ListChanged::NotFound) };
        let default_opt_in = change.default_opt_in.unwrap_or(before.default_opt_in);
        if default_opt_in && change.double_opt_in.unwrap_or(before.double_opt_in) {
            return Ok(ListChanged::BothOptIns);
        }
        let now = engine::now(conn)?;
        diesel::update(lists::table.find(id))
            .set((change, lists::updated_at.eq(now)))
            .execute(conn)
            .map_err(taken_or("change a list"))?;
        Ok(find(conn, id)?.map_or(ListChanged::NotFound, ListChanged::Done))
    })
}

/// What became of a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone; its members stay contacts.
    Done,
    /// There is no such list.
    NotFound,
    /// These campaigns are sending to it.
    InUse(Vec<CampaignId>),
}

/// Deletes a list, unless a campaign that is under way is about it, or may still have to pack members of it.
///
/// # Errors
/// A query failed.
pub fn delete(conn: &mut Conn, id: ListId) -> Result<Deleted, StoreError> {
    conn.write(|conn| {
        let under_way =
            || campaigns::status.eq(CampaignStatus::Sending).or(campaigns::status.eq(CampaignStatus::Paused));
        let mut using: Vec<CampaignId> = audience_lists::table
            .inner_join(campaigns::table.on(campaigns::id.eq(audience_lists::campaign_id)))
            .filter(audience_lists::list_id.eq(id).and(under_way()))
            .order(campaigns::id)
            .select(campaigns::id)
            .load(conn)
            .map_err(StoreError::query("look for campaigns that use a list"))?;
        let about: Vec<CampaignId> = campaigns::table
            .filter(campaigns::topic_id.eq(id).and(under_way()))
            .select(campaigns::id)
            .load(conn)
            .map_err(StoreError::query("look for campaigns that are about a list"))?;
        using.extend(about);
        using.extend(asking(conn, |audience| audience.filters().any(|filter| filter.lists().contains(&id)))?);
        using.sort_unstable();
        using.dedup();
        if !using.is_empty() {
            return Ok(Deleted::InUse(using));
        }
        // The list first: an addition of members that was running has ended by then.
        let deleted =
            diesel::delete(lists::table.find(id)).execute(conn).map_err(StoreError::query("delete a list"))?;
        let (first, last): (Option<ContactId>, Option<ContactId>) = list_members::table
            .filter(list_members::list_id.eq(id))
            .select((diesel::dsl::min(list_members::contact_id), diesel::dsl::max(list_members::contact_id)))
            .first(conn)
            .map_err(StoreError::query("look who is on a list"))?;
        if let (Some(first), Some(last)) = (first, last) {
            touches::note_stretch(conn, first, last)?;
        }
        diesel::delete(list_members::table.filter(list_members::list_id.eq(id)))
            .execute(conn)
            .map_err(StoreError::query("empty a deleted list"))?;
        // Refusals of a topic that is no more; its id may be given out again.
        diesel::delete(suppressions::table.filter(suppressions::topic.eq(id)))
            .execute(conn)
            .map_err(StoreError::query("remove refusals of a deleted list"))?;
        Ok(if deleted == 1 { Deleted::Done } else { Deleted::NotFound })
    })
}
