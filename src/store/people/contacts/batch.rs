//! Batches of contacts: the contact that each draft means is found in memory, then all are written in bulk.

use std::collections::{BTreeSet, HashMap};

use crate::domain::ids::{ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::contact::ContactDraft;
use crate::store::people::contact_row::ContactRow;
use crate::store::people::{attributes, dialect};
use crate::store::{Conn, StoreError};

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
struct Matched {
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

impl Matched {
    fn new(rows: Vec<ContactRow>) -> Self {
        let mut matched = Self { people: Vec::with_capacity(rows.len()), by_key: Default::default() };
        for row in rows {
            matched.admit(row, Standing::Stored);
        }
        matched
    }

    fn admit(&mut self, row: ContactRow, standing: Standing) {
        let place = self.people.len();
        for (map, key) in self.by_key.iter_mut().zip(row.fields.keys()) {
            map.extend(key.map(|key| (key.to_owned(), place)));
        }
        self.people.push(Person { row, standing, touched: standing == Standing::New });
    }

    /// The contact that the draft means.
    fn find(&self, draft: &ContactDraft) -> Result<Option<usize>, Vec<ContactId>> {
        let places: BTreeSet<usize> =
            self.by_key.iter().zip(draft.fields.keys()).filter_map(|(map, key)| map.get(key?).copied()).collect();
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
                    for ((map, old), new) in
                        self.by_key.iter_mut().zip(before.fields.keys()).zip(person.row.fields.keys())
                    {
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
    let both = row.fields.keys().into_iter().zip(draft.fields.keys()).find_map(|(own, given)| Some((own?, given?)));
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
    let mut matched = Matched::new(dialect::sharing_keys(conn, drafts)?);
    let mut fates = Vec::with_capacity(drafts.len());
    for draft in drafts {
        fates.push(matched.apply(draft, now)?);
    }
    let (mut new, mut changed, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for person in matched.people.into_iter().filter(|person| person.touched) {
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
    dialect::update(conn, &changed)?;
    ids.extend(dialect::insert(conn, &new)?);
    if let Some(list) = list {
        dialect::add_members(conn, list, &ids)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::people::contact::Fields;

    fn draft(external_id: &str, email: &str, phone: &str) -> ContactDraft {
        let field = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let (external_id, email, phone) = (field(external_id), field(email), field(phone));
        ContactDraft { fields: Fields { external_id, email, phone, ..Fields::default() }, ..ContactDraft::default() }
    }

    fn matched(people: &[ContactDraft]) -> Matched {
        let rows = people
            .iter()
            .zip(1..)
            .map(|(draft, id)| ContactRow { id: ContactId(id), ..ContactRow::new(draft, UtcInstant(0)) });
        Matched::new(rows.collect())
    }

    fn fate(matched: &mut Matched, draft: &ContactDraft) -> Fate {
        matched.apply(draft, UtcInstant(1)).unwrap()
    }

    #[test]
    fn the_strongest_key_decides_who_is_meant() {
        let mut matched = matched(&[draft("a", "a@x.example", ""), draft("", "b@x.example", "+491")]);
        assert_eq!(fate(&mut matched, &draft("a", "new@x.example", "")), Fate::Updated);
        assert_eq!(fate(&mut matched, &draft("", "b@x.example", "+492")), Fate::Updated);
        assert_eq!(fate(&mut matched, &draft("c", "b@x.example", "")), Fate::Updated, "a key it lacked is taken over");
        assert_eq!(fate(&mut matched, &draft("d", "", "")), Fate::Created);
    }

    #[test]
    fn keys_of_two_people_are_a_conflict_that_names_both() {
        let mut matched = matched(&[draft("a", "a@x.example", ""), draft("b", "b@x.example", "")]);
        let both = Fate::Conflict(vec![ContactId(1), ContactId(2)]);
        assert_eq!(fate(&mut matched, &draft("a", "b@x.example", "")), both);
    }

    #[test]
    fn a_weaker_key_of_somebody_with_another_stronger_one_is_a_conflict() {
        let mut matched = matched(&[draft("a", "a@x.example", "+491")]);
        assert_eq!(fate(&mut matched, &draft("z", "a@x.example", "")), Fate::Conflict(vec![ContactId(1)]));
        assert_eq!(fate(&mut matched, &draft("", "z@x.example", "+491")), Fate::Conflict(vec![ContactId(1)]));
    }

    #[test]
    fn three_rows_about_one_person_come_to_one_contact() {
        let mut matched = matched(&[]);
        assert_eq!(fate(&mut matched, &draft("", "a@x.example", "")), Fate::Created);
        assert_eq!(fate(&mut matched, &draft("", "a@x.example", "+491")), Fate::Updated);
        assert_eq!(fate(&mut matched, &draft("", "", "+491")), Fate::Updated);
        assert_eq!(matched.people.len(), 1);
        assert_eq!(matched.people[0].row.version, 1, "it was never stored in between");
    }

    #[test]
    fn a_key_that_was_given_up_is_free_for_the_next_row() {
        let mut matched = matched(&[draft("a", "old@x.example", "")]);
        assert_eq!(fate(&mut matched, &draft("a", "new@x.example", "")), Fate::Updated);
        assert_eq!(fate(&mut matched, &draft("b", "old@x.example", "")), Fate::Created);
    }
}
