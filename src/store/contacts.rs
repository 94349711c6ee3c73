//! Contacts: who a set of keys means, and how rows are created, changed and found.
//!
//! One path serves the API and imports: a batch of drafts is matched against the live contacts in memory, then written
//! in bulk ([`super::backend::contacts`]).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};

use super::conn::MultiBackend;
use super::listing::{Slice, Window};
use super::schema::{contacts, list_members};
use super::{Conn, StoreError, attributes, backend};
use crate::domain::contact::{Attributes, BuiltIn, ContactDraft, Profile};
use crate::domain::ids::{ContactId, ListId};
use crate::domain::instant::UtcInstant;

/// A live contact. Holds personal data: never logged, hence no `Debug`.
#[derive(Clone, PartialEq, Queryable, QueryableByName, Selectable)]
#[diesel(table_name = contacts)]
pub struct ContactRow {
    /// Its id.
    pub id: ContactId,
    /// The client's own id.
    pub external_id: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// E.164 number.
    pub phone: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// IANA time zone name.
    pub timezone: Option<String>,
    /// BCP 47 language tag.
    pub locale: Option<String>,
    /// Everything else, as a JSON object.
    pub attributes: String,
    /// Rises with every change.
    pub version: i64,
    /// When it was created.
    pub created_at: UtcInstant,
    /// When it changed last.
    pub updated_at: UtcInstant,
}

impl ContactRow {
    /// The attributes.
    ///
    /// # Errors
    /// What is stored is not a JSON object.
    pub fn attributes(&self) -> Result<Attributes, StoreError> {
        serde_json::from_str(&self.attributes)
            .map_err(|source| StoreError::Corrupt { what: "attributes of a contact", detail: source.to_string() })
    }

    /// The contact as a template sees it.
    ///
    /// # Errors
    /// See [`ContactRow::attributes`].
    pub fn profile(&self) -> Result<Profile, StoreError> {
        Ok(Profile {
            external_id: self.external_id.clone(),
            email: self.email.clone(),
            phone: self.phone.clone(),
            first_name: self.first_name.clone(),
            last_name: self.last_name.clone(),
            timezone: self.timezone.clone(),
            locale: self.locale.clone(),
            attributes: self.attributes()?,
        })
    }

    fn new(draft: &ContactDraft, now: UtcInstant) -> Self {
        let mut row = Self {
            id: ContactId(0),
            external_id: None,
            email: None,
            phone: None,
            first_name: None,
            last_name: None,
            timezone: None,
            locale: None,
            attributes: "{}".to_owned(),
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let mut given = Attributes::new();
        merge_attributes(&mut given, &draft.attributes);
        row.take_fields(draft);
        row.attributes = to_json(&given);
        row
    }

    /// Takes over the fields that the draft has; whether anything changed.
    fn take_fields(&mut self, draft: &ContactDraft) -> bool {
        let mut changed = false;
        for (own, given) in [
            (&mut self.external_id, &draft.external_id),
            (&mut self.email, &draft.email),
            (&mut self.phone, &draft.phone),
            (&mut self.first_name, &draft.first_name),
            (&mut self.last_name, &draft.last_name),
            (&mut self.timezone, &draft.timezone),
            (&mut self.locale, &draft.locale),
        ] {
            if given.is_some() && own != given {
                own.clone_from(given);
                changed = true;
            }
        }
        changed
    }

    /// Takes over fields and attributes; whether anything changed.
    fn take(&mut self, draft: &ContactDraft) -> Result<bool, StoreError> {
        let mut changed = self.take_fields(draft);
        if !draft.attributes.is_empty() {
            let mut attributes = self.attributes()?;
            if merge_attributes(&mut attributes, &draft.attributes) {
                self.attributes = to_json(&attributes);
                changed = true;
            }
        }
        Ok(changed)
    }

    fn keys(&self) -> [Option<&str>; 3] {
        [self.external_id.as_deref(), self.email.as_deref(), self.phone.as_deref()]
    }
}

fn draft_keys(draft: &ContactDraft) -> [Option<&str>; 3] {
    [draft.external_id.as_deref(), draft.email.as_deref(), draft.phone.as_deref()]
}

/// `null` takes an attribute away. Whether anything changed.
fn merge_attributes(own: &mut Attributes, given: &Attributes) -> bool {
    let mut changed = false;
    for (name, value) in given {
        changed |= if value.is_null() {
            own.remove(name).is_some()
        } else {
            own.insert(name.clone(), value.clone()).as_ref() != Some(value)
        };
    }
    changed
}

fn to_json(attributes: &Attributes) -> String {
    serde_json::Value::Object(attributes.clone().into_iter().collect()).to_string()
}

/// What became of one draft of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// A new contact.
    Created,
    /// A live contact was found by its keys; its fields were taken over.
    Updated,
    /// The keys belong to different live contacts, or a weaker key to somebody who has another stronger one.
    Conflict(Vec<ContactId>),
}

/// Live contacts around a batch, and what the batch makes of them.
struct Crowd {
    people: Vec<Person>,
    /// Key → place in `people`, for external ids, addresses and numbers.
    by_key: [HashMap<String, usize>; 3],
}

struct Person {
    row: ContactRow,
    standing: Standing,
    touched: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    New,
    Stored,
    Changed,
}

impl Crowd {
    fn new(rows: Vec<ContactRow>) -> Self {
        let mut crowd = Self { people: Vec::with_capacity(rows.len()), by_key: Default::default() };
        for row in rows {
            crowd.admit(row, Standing::Stored);
        }
        crowd
    }

    fn admit(&mut self, row: ContactRow, standing: Standing) {
        let place = self.people.len();
        for (map, key) in self.by_key.iter_mut().zip(row.keys()) {
            map.extend(key.map(|key| (key.to_owned(), place)));
        }
        self.people.push(Person { row, standing, touched: standing == Standing::New });
    }

    /// Whom the draft means.
    fn find(&self, draft: &ContactDraft) -> Result<Option<usize>, Vec<ContactId>> {
        let places: BTreeSet<usize> =
            self.by_key.iter().zip(draft_keys(draft)).filter_map(|(map, key)| map.get(key?).copied()).collect();
        let mut people = places.iter().filter_map(|place| Some((*place, &self.people.get(*place)?.row)));
        match (people.next(), people.next()) {
            (None, _) => Ok(None),
            (Some((place, row)), None) if agrees(row, draft) => Ok(Some(place)),
            _ => Err(places.iter().filter_map(|place| Some(self.people.get(*place)?.row.id)).collect()),
        }
    }

    fn apply(&mut self, draft: &ContactDraft, now: UtcInstant) -> Result<Fate, StoreError> {
        match self.find(draft) {
            Err(ids) => Ok(Fate::Conflict(ids)),
            Ok(None) => {
                self.admit(ContactRow::new(draft, now), Standing::New);
                Ok(Fate::Created)
            }
            Ok(Some(place)) => {
                let Some(person) = self.people.get_mut(place) else { return Ok(Fate::Conflict(Vec::new())) };
                let before = person.row.clone();
                person.touched = true;
                if person.row.take(draft)? {
                    if person.standing == Standing::Stored {
                        person.standing = Standing::Changed;
                        person.row.version += 1;
                        person.row.updated_at = now;
                    }
                    for ((map, old), new) in self.by_key.iter_mut().zip(before.keys()).zip(person.row.keys()) {
                        if old != new {
                            old.and_then(|old| map.remove(old));
                            map.extend(new.map(|new| (new.to_owned(), place)));
                        }
                    }
                }
                Ok(Fate::Updated)
            }
        }
    }
}

/// Whether the strongest key that both have is the same one.
fn agrees(row: &ContactRow, draft: &ContactDraft) -> bool {
    let both = row.keys().into_iter().zip(draft_keys(draft)).find_map(|(own, given)| Some((own?, given?)));
    both.is_none_or(|(own, given)| own == given)
}

/// What became of a batch.
pub struct Applied {
    /// What became of each draft, in order.
    pub fates: Vec<Fate>,
    /// The contacts that were created or meant, without those in conflict, in no particular order.
    pub ids: Vec<ContactId>,
}

/// Creates or updates a contact for each draft, and makes them members of `list`. Belongs in a write transaction.
/// Drafts that mean the same person come to one contact; later ones win.
///
/// # Errors
/// A query failed. A unique violation means that another transaction stored one of the keys meanwhile, or that keys were
/// handed from one contact to another within the batch: see [`apply_one_by_one`].
pub fn apply(
    conn: &mut Conn,
    drafts: &[ContactDraft],
    list: Option<ListId>,
    now: UtcInstant,
) -> Result<Applied, StoreError> {
    let mut crowd = Crowd::new(backend::contacts::sharing_keys(conn, drafts)?);
    let mut fates = Vec::with_capacity(drafts.len());
    for draft in drafts {
        fates.push(crowd.apply(draft, now)?);
    }
    let (mut new, mut changed, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for person in crowd.people.into_iter().filter(|person| person.touched) {
        match person.standing {
            Standing::New => new.push(person.row),
            Standing::Stored => ids.push(person.row.id),
            Standing::Changed => {
                ids.push(person.row.id);
                changed.push(person.row);
            }
        }
    }
    // One order everywhere: two batches that change the same rows cannot block each other.
    changed.sort_unstable_by_key(|row| row.id);
    backend::contacts::update(conn, &changed)?;
    ids.extend(backend::contacts::insert(conn, &new)?);
    if let Some(list) = list {
        backend::contacts::add_members(conn, list, &ids, now)?;
    }
    attributes::record(conn, drafts.iter().flat_map(|draft| draft.attributes.keys()), now)?;
    Ok(Applied { fates, ids })
}

/// Like [`apply`], each draft for itself: slower, and right even where keys move between contacts.
///
/// # Errors
/// A query failed.
pub fn apply_one_by_one(
    conn: &mut Conn,
    drafts: &[ContactDraft],
    list: Option<ListId>,
    now: UtcInstant,
) -> Result<Applied, StoreError> {
    let mut all = Applied { fates: Vec::with_capacity(drafts.len()), ids: Vec::new() };
    for draft in drafts {
        let one = apply(conn, std::slice::from_ref(draft), list, now)?;
        all.fates.extend(one.fates);
        all.ids.extend(one.ids);
    }
    Ok(all)
}

/// How often a write is tried when another transaction takes one of its keys meanwhile.
const TRIES: usize = 3;

/// What became of one draft.
pub enum Upserted {
    /// A new contact.
    Created(ContactRow),
    /// A live contact was found by its keys.
    Updated(ContactRow),
    /// The keys mean different people.
    Conflict(Vec<ContactId>),
}

/// Creates the contact that the draft describes, or updates the one that its keys mean.
///
/// # Errors
/// A query failed.
pub fn upsert(conn: &mut Conn, draft: &ContactDraft) -> Result<Upserted, StoreError> {
    retrying(conn, |conn| {
        let now = backend::now(conn)?;
        let applied = apply(conn, std::slice::from_ref(draft), None, now)?;
        let stored = match applied.ids.first() {
            Some(id) => find(conn, *id)?,
            None => None,
        };
        Ok(match (applied.fates.into_iter().next(), stored) {
            (Some(Fate::Created), Some(row)) => Upserted::Created(row),
            (Some(Fate::Updated), Some(row)) => Upserted::Updated(row),
            (Some(Fate::Conflict(ids)), _) => Upserted::Conflict(ids),
            (Some(Fate::Created | Fate::Updated) | None, _) => return Err(StoreError::Stale { what: "the contact" }),
        })
    })
}

/// A write transaction that is tried again when it collides with another one over a unique key.
fn retrying<T>(conn: &mut Conn, mut work: impl FnMut(&mut Conn) -> Result<T, StoreError>) -> Result<T, StoreError> {
    let mut tries = 1;
    loop {
        match conn.write(&mut work) {
            Err(error) if error.is_unique_violation() && tries < TRIES => tries += 1,
            result => return result,
        }
    }
}

/// A change of one contact.
#[derive(Clone, Default)]
pub struct ContactChange {
    /// Fields to set, to their parsed values.
    pub set: ContactDraft,
    /// Fields to clear.
    pub clear: Vec<BuiltIn>,
    /// Whether the attributes that are there are taken away first.
    pub clear_attributes: bool,
}

/// What became of a change.
pub enum Changed {
    /// The contact as it is now.
    Done(ContactRow),
    /// There is no such contact.
    NotFound,
    /// Others have the keys.
    Conflict(Vec<ContactId>),
    /// The contact would have no key left.
    NoKey,
}

/// Changes one contact. Its version rises only when something is different afterwards.
///
/// # Errors
/// A query failed.
pub fn change(conn: &mut Conn, id: ContactId, change: &ContactChange) -> Result<Changed, StoreError> {
    retrying(conn, |conn| {
        let Some(before) = backend::contacts::lock(conn, id)? else { return Ok(Changed::NotFound) };
        let others: BTreeSet<ContactId> = backend::contacts::sharing_keys(conn, std::slice::from_ref(&change.set))?
            .iter()
            .map(|row| row.id)
            .collect();
        let others: Vec<ContactId> = others.into_iter().filter(|other| *other != id).collect();
        if !others.is_empty() {
            return Ok(Changed::Conflict(others));
        }
        let now = backend::now(conn)?;
        let mut after = before.clone();
        if change.clear_attributes {
            after.attributes = "{}".to_owned();
        }
        after.take(&change.set)?;
        for field in &change.clear {
            *after.field_mut(*field) = None;
        }
        if after.keys() == [None; 3] {
            return Ok(Changed::NoKey);
        }
        if after != before {
            after.version += 1;
            after.updated_at = now;
            backend::contacts::update(conn, std::slice::from_ref(&after))?;
            attributes::record(conn, change.set.attributes.keys(), now)?;
        }
        Ok(Changed::Done(after))
    })
}

impl ContactRow {
    fn field_mut(&mut self, field: BuiltIn) -> &mut Option<String> {
        match field {
            BuiltIn::ExternalId => &mut self.external_id,
            BuiltIn::Email => &mut self.email,
            BuiltIn::Phone => &mut self.phone,
            BuiltIn::FirstName => &mut self.first_name,
            BuiltIn::LastName => &mut self.last_name,
            BuiltIn::Timezone => &mut self.timezone,
            BuiltIn::Locale => &mut self.locale,
        }
    }
}

/// A live contact.
///
/// # Errors
/// The query failed.
pub fn find(conn: &mut Conn, id: ContactId) -> Result<Option<ContactRow>, StoreError> {
    contacts::table
        .filter(contacts::id.eq(id).and(contacts::deleted_at.is_null()))
        .select(ContactRow::as_select())
        .first(conn)
        .optional()
        .map_err(StoreError::query("read a contact"))
}

/// Those of `ids` that are no live contacts, in order.
///
/// # Errors
/// A query failed.
pub fn missing(conn: &mut Conn, ids: &[ContactId]) -> Result<Vec<ContactId>, StoreError> {
    let mut missing: BTreeSet<ContactId> = ids.iter().copied().collect();
    for chunk in ids.chunks(1000) {
        let live: Vec<ContactId> = contacts::table
            .filter(contacts::id.eq_any(chunk).and(contacts::deleted_at.is_null()))
            .select(contacts::id)
            .load(conn)
            .map_err(StoreError::query("look contacts up"))?;
        for id in live {
            missing.remove(&id);
        }
    }
    Ok(missing.into_iter().collect())
}

/// Deletes a contact: it leaves its lists, its keys are free again, and what was sent to it stays on the books. Whether
/// it was there.
///
/// # Errors
/// A query failed.
pub fn delete(conn: &mut Conn, id: ContactId) -> Result<bool, StoreError> {
    conn.write(|conn| {
        let now = backend::now(conn)?;
        let deleted = diesel::update(contacts::table.filter(contacts::id.eq(id).and(contacts::deleted_at.is_null())))
            .set((
                contacts::deleted_at.eq(now),
                contacts::updated_at.eq(now),
                contacts::version.eq(contacts::version + 1),
            ))
            .execute(conn)
            .map_err(StoreError::query("delete a contact"))?;
        diesel::delete(list_members::table.filter(list_members::contact_id.eq(id)))
            .execute(conn)
            .map_err(StoreError::query("take a contact off its lists"))?;
        Ok(deleted == 1)
    })
}

#[diesel::declare_sql_function]
extern "SQL" {
    /// Lower case; of ASCII letters at least.
    fn lower(text: Nullable<Text>) -> Nullable<Text>;
}

/// Contacts with something in their keys or names that contains `search`, or all.
///
/// # Errors
/// A query failed.
pub fn list(conn: &mut Conn, search: Option<&str>, window: Window) -> Result<Slice<ContactRow>, StoreError> {
    let pattern = search.map(|search| format!("%{}%", escape_like(&search.to_ascii_lowercase())));
    conn.snapshot(|conn| {
        let anchor = match window.anchor {
            Some(anchor) => anchor,
            None => contacts::table
                .select(diesel::dsl::max(contacts::id))
                .first::<Option<i64>>(conn)
                .map_err(StoreError::query("list contacts"))?
                .unwrap_or_default(),
        };
        let total = matching(pattern.as_deref(), anchor)
            .count()
            .get_result(conn)
            .map_err(StoreError::query("count contacts"))?;
        let mut page = matching(pattern.as_deref(), anchor);
        if let Some(before) = window.before {
            page = page.filter(contacts::id.lt(before));
        }
        let rows = page
            .order(contacts::id.desc())
            .offset(window.offset)
            .limit(window.fetch())
            .select(ContactRow::as_select())
            .load(conn)
            .map_err(StoreError::query("list contacts"))?;
        Ok(window.slice(rows, total, anchor))
    })
}

fn matching(pattern: Option<&str>, anchor: i64) -> contacts::BoxedQuery<'_, MultiBackend> {
    let live = contacts::table.filter(contacts::deleted_at.is_null().and(contacts::id.le(anchor))).into_boxed();
    match pattern {
        None => live,
        Some(pattern) => live.filter(
            (lower(contacts::email).like(pattern).escape('\\'))
                .or(lower(contacts::external_id).like(pattern).escape('\\'))
                .or(contacts::phone.like(pattern).escape('\\'))
                .or(lower(contacts::first_name).like(pattern).escape('\\'))
                .or(lower(contacts::last_name).like(pattern).escape('\\')),
        ),
    }
}

/// Text that LIKE takes literally, with `\` as the escape character.
pub(super) fn escape_like(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// Contacts by id, for preview and the like; those that are missing are left out.
///
/// # Errors
/// The query failed.
pub fn find_many(conn: &mut Conn, ids: &[ContactId]) -> Result<BTreeMap<ContactId, ContactRow>, StoreError> {
    let rows: Vec<ContactRow> = contacts::table
        .filter(contacts::id.eq_any(ids).and(contacts::deleted_at.is_null()))
        .select(ContactRow::as_select())
        .load(conn)
        .map_err(StoreError::query("read contacts"))?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(external_id: &str, email: &str, phone: &str) -> ContactDraft {
        let field = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        ContactDraft { external_id: field(external_id), email: field(email), phone: field(phone), ..Default::default() }
    }

    fn crowd(people: &[ContactDraft]) -> Crowd {
        let rows = people
            .iter()
            .zip(1..)
            .map(|(draft, id)| ContactRow { id: ContactId(id), ..ContactRow::new(draft, UtcInstant(0)) });
        Crowd::new(rows.collect())
    }

    fn fate(crowd: &mut Crowd, draft: &ContactDraft) -> Fate {
        crowd.apply(draft, UtcInstant(1)).unwrap()
    }

    #[test]
    fn the_strongest_key_decides_who_is_meant() {
        let mut crowd = crowd(&[draft("a", "a@x.example", ""), draft("", "b@x.example", "+491")]);
        assert_eq!(fate(&mut crowd, &draft("a", "new@x.example", "")), Fate::Updated);
        assert_eq!(fate(&mut crowd, &draft("", "b@x.example", "+492")), Fate::Updated);
        assert_eq!(fate(&mut crowd, &draft("c", "b@x.example", "")), Fate::Updated, "a key it lacked is taken over");
        assert_eq!(fate(&mut crowd, &draft("d", "", "")), Fate::Created);
    }

    #[test]
    fn keys_of_two_people_are_a_conflict_that_names_both() {
        let mut crowd = crowd(&[draft("a", "a@x.example", ""), draft("b", "b@x.example", "")]);
        let both = Fate::Conflict(vec![ContactId(1), ContactId(2)]);
        assert_eq!(fate(&mut crowd, &draft("a", "b@x.example", "")), both);
    }

    #[test]
    fn a_weaker_key_of_somebody_with_another_stronger_one_is_a_conflict() {
        let mut crowd = crowd(&[draft("a", "a@x.example", "+491")]);
        assert_eq!(fate(&mut crowd, &draft("z", "a@x.example", "")), Fate::Conflict(vec![ContactId(1)]));
        assert_eq!(fate(&mut crowd, &draft("", "z@x.example", "+491")), Fate::Conflict(vec![ContactId(1)]));
    }

    #[test]
    fn three_rows_about_one_person_come_to_one_contact() {
        let mut crowd = crowd(&[]);
        assert_eq!(fate(&mut crowd, &draft("", "a@x.example", "")), Fate::Created);
        assert_eq!(fate(&mut crowd, &draft("", "a@x.example", "+491")), Fate::Updated);
        assert_eq!(fate(&mut crowd, &draft("", "", "+491")), Fate::Updated);
        assert_eq!(crowd.people.len(), 1);
        assert_eq!(crowd.people[0].row.version, 1, "it was never stored in between");
    }

    #[test]
    fn a_key_that_was_given_up_is_free_for_the_next_row() {
        let mut crowd = crowd(&[draft("a", "old@x.example", "")]);
        assert_eq!(fate(&mut crowd, &draft("a", "new@x.example", "")), Fate::Updated);
        assert_eq!(fate(&mut crowd, &draft("b", "old@x.example", "")), Fate::Created);
    }

    #[test]
    fn null_takes_an_attribute_away_and_the_same_value_changes_nothing() {
        let mut own: Attributes = [("city".to_owned(), "Bonn".into()), ("tier".to_owned(), 1.into())].into();
        assert!(!merge_attributes(&mut own, &[("tier".to_owned(), 1.into())].into()));
        assert!(merge_attributes(&mut own, &[("city".to_owned(), serde_json::Value::Null)].into()));
        assert_eq!(to_json(&own), r#"{"tier":1}"#);
    }

    #[test]
    fn a_search_is_taken_literally() {
        assert_eq!(escape_like(r"50%_\"), r"50\%\_\\");
    }
}
