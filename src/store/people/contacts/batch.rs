//! Batches of contacts: the contact that each draft means is found in memory, then all are written in bulk.

use std::collections::{BTreeSet, HashMap};

use crate::domain::ids::{ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{Said, Source};
use crate::domain::people::contact::ContactDraft;
use crate::domain::people::standing::{Grounds, Standing as ListStanding, Wish};
use crate::domain::segments::topic::Topic;
use crate::store::engine::touches::Touches;
use crate::store::people::addresses::{self, Moved};
use crate::store::people::consent::Ledger;
use crate::store::people::contact_row::ContactRow;
use crate::store::people::dialect::Hold;
use crate::store::people::standings::{self, Outcome, Wished};
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
pub(super) struct Matched {
    pub(super) people: Vec<Person>,
    /// Key → place in `people`, for external ids, addresses and numbers.
    pub(super) by_key: [HashMap<String, usize>; 3],
}

pub(super) struct Person {
    pub(super) row: ContactRow,
    pub(super) state: State,
    touched: bool,
    /// As it was before the first change; of a new one: none.
    before: Option<ContactRow>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    New,
    Stored,
    Changed,
}

impl Matched {
    pub(super) fn new(rows: Vec<ContactRow>) -> Self {
        let mut matched = Self { people: Vec::with_capacity(rows.len()), by_key: Default::default() };
        for row in rows {
            matched.admit(row, State::Stored);
        }
        matched
    }

    pub(super) fn admit(&mut self, row: ContactRow, state: State) {
        let place = self.people.len();
        for (map, key) in self.by_key.iter_mut().zip(row.fields.keys()) {
            map.extend(key.map(|key| (key.to_owned(), place)));
        }
        self.people.push(Person { row, state, touched: state == State::New, before: None });
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

    /// Takes a draft over: what became of it, and the place of the person that it means.
    fn apply(&mut self, draft: &ContactDraft, now: UtcInstant) -> Result<(Fate, Option<usize>), StoreError> {
        match self.find(draft) {
            Err(ids) => Ok((Fate::Conflict(ids), None)),
            Ok(None) => {
                self.admit(ContactRow::new(draft, now), State::New);
                Ok((Fate::Created, Some(self.people.len() - 1)))
            }
            Ok(Some(place)) => {
                self.take_over(place, draft, Some(now), now)?;
                Ok((Fate::Updated, Some(place)))
            }
        }
    }

    /// The person at `place` takes a draft over. With `introduced`, who was known by other means only is introduced then. Whether anything
    /// changed.
    pub(super) fn take_over(
        &mut self,
        place: usize,
        draft: &ContactDraft,
        introduced: Option<UtcInstant>,
        now: UtcInstant,
    ) -> Result<bool, StoreError> {
        let Some(person) = self.people.get_mut(place) else { return Ok(false) };
        let before = person.row.clone();
        person.touched = true;
        let is_introduced = person.row.introduced_at.is_none() && introduced.is_some();
        if is_introduced {
            person.row.introduced_at = introduced;
        }
        if !person.row.take(draft)? && !is_introduced {
            return Ok(false);
        }
        if person.state == State::Stored {
            person.state = State::Changed;
            person.before = Some(before.clone());
            person.row.version += 1;
            // Somebody may have changed it while this transaction waited.
            person.row.updated_at = person.row.updated_at.max(now);
        }
        for ((map, old), new) in self.by_key.iter_mut().zip(before.fields.keys()).zip(person.row.fields.keys()) {
            if old != new {
                old.and_then(|old| map.remove(old));
                map.extend(new.map(|new| (new.to_owned(), place)));
            }
        }
        Ok(true)
    }
}

/// Whether the strongest key that both have is the same one.
fn agrees(row: &ContactRow, draft: &ContactDraft) -> bool {
    let both = row.fields.keys().into_iter().zip(draft.fields.keys()).find_map(|(own, given)| Some((own?, given?)));
    both.is_none_or(|(own, given)| own == given)
}

/// What a batch says of consent.
#[derive(Clone, Copy)]
pub struct Joining<'a> {
    /// The list that the contacts are to be on.
    pub list: Option<ListId>,
    /// What their consent rests on.
    pub grounds: Grounds,
    /// What each draft says, in their order; empty: nothing.
    pub said: &'a [Said],
    /// How it is noted that contacts have changed.
    pub noted: Noted,
}

/// How it is noted that contacts have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// A touch for each of them.
    Each,
    /// Not here: the caller notes a stretch that has them all.
    Elsewhere,
}

impl Joining<'_> {
    /// Nothing is said.
    pub const NOTHING: Self = Self { list: None, grounds: Grounds::Claimed, said: &[], noted: Noted::Each };

    /// Everybody is to be on a list.
    #[must_use]
    pub const fn list(list: Option<ListId>) -> Self {
        Self { list, ..Self::NOTHING }
    }

    fn part(&self, index: usize) -> Self {
        Self { said: self.said.get(index..=index).unwrap_or_default(), ..*self }
    }
}

/// What became of a batch.
pub struct Applied {
    /// What became of each draft, in order.
    pub fates: Vec<Fate>,
    /// The contacts that were created or meant, without those in conflict, in no particular order.
    pub ids: Vec<ContactId>,
    /// The contact that each draft came to, in order; none: a conflict.
    pub contacts: Vec<Option<ContactId>>,
    /// What became of their standings on the list.
    pub standings: Vec<Outcome>,
}

/// Creates or updates a contact for each draft, and makes it stand on the list as it is said. Belongs in a write transaction.
/// Drafts that mean the same person come to one contact; later ones win. Contacts that are found are held until the transaction
/// ends.
///
/// # Errors
/// A query failed. A unique violation means that another transaction stored one of the keys meanwhile, or that keys were
/// handed from one contact to another within the batch: see [`apply_one_by_one`].
pub fn apply(
    conn: &mut Conn,
    ledger: &mut Ledger<'_>,
    drafts: &[ContactDraft],
    joining: &Joining<'_>,
    now: UtcInstant,
) -> Result<Applied, StoreError> {
    let mut matched = Matched::new(dialect::sharing_keys(conn, drafts, Hold::Yes)?);
    let (mut fates, mut places) = (Vec::with_capacity(drafts.len()), Vec::with_capacity(drafts.len()));
    for draft in drafts {
        let (fate, place) = matched.apply(draft, now)?;
        fates.push(fate);
        places.push(place);
    }
    let mut people = matched.people;
    write(conn, &mut people)?;
    if joining.noted == Noted::Each {
        touches(&people)?.write(conn)?;
    }
    let taken_over = follow_addresses(conn, ledger, &people, joining.grounds)?;
    let wished = wished(&people, &places, joining, &taken_over);
    let standings = standings::apply(conn, ledger, &wished)?;
    attributes::record(conn, drafts.iter().flat_map(|draft| draft.attributes.keys()), now)?;
    let ids = people.iter().filter(|person| person.touched).map(|person| person.row.id).collect();
    let contacts = places.iter().map(|place| place.and_then(|place| people.get(place)).map(|person| person.row.id));
    Ok(Applied { fates, contacts: contacts.collect(), ids, standings })
}

/// Writes what is new and what has changed; new ones get their ids.
pub(super) fn write(conn: &mut Conn, people: &mut [Person]) -> Result<(), StoreError> {
    let rows = |people: &[Person], state| -> Vec<ContactRow> {
        people.iter().filter(|person| person.state == state).map(|person| person.row.clone()).collect()
    };
    let mut changed = rows(people, State::Changed);
    // One order everywhere: two batches that change the same rows cannot block each other.
    changed.sort_unstable_by_key(|row| row.id);
    dialect::update(conn, &changed)?;
    let ids = dialect::insert(conn, &rows(people, State::New))?;
    for (person, id) in people.iter_mut().filter(|person| person.state == State::New).zip(ids) {
        person.row.id = id;
    }
    Ok(())
}

/// What has changed of them.
pub(super) fn touches(people: &[Person]) -> Result<Touches, StoreError> {
    let mut touches = Touches::default();
    for person in people {
        match (person.state, &person.before) {
            (State::New, _) => touches.add(person.row.id, Topic::New),
            (State::Changed, Some(before)) => before.touch(&person.row, &mut touches)?,
            (State::Changed | State::Stored, _) => {}
        }
    }
    Ok(touches)
}

/// What addresses that people have gained or lost say of consent. Who of them has taken over something.
pub(super) fn follow_addresses(
    conn: &mut Conn,
    ledger: &mut Ledger<'_>,
    people: &[Person],
    grounds: Grounds,
) -> Result<BTreeSet<ContactId>, StoreError> {
    let moved: Vec<Moved> = people
        .iter()
        .filter(|person| match person.state {
            State::New => true,
            State::Stored => false,
            State::Changed => {
                person.before.as_ref().is_some_and(|before| before.fields.keys() != person.row.fields.keys())
            }
        })
        .map(|person| Moved {
            contact: person.row.id,
            before: person.before.as_ref().map(|before| before.fields.clone()).unwrap_or_default(),
            after: person.row.fields.clone(),
            is_new: person.state == State::New,
            is_confirmed: grounds != Grounds::Claimed,
        })
        .collect();
    addresses::follow_addresses(conn, ledger, &moved)
}

/// What is asked of the list, in the order of the drafts.
fn wished(
    people: &[Person],
    places: &[Option<usize>],
    joining: &Joining<'_>,
    taken_over: &BTreeSet<ContactId>,
) -> Vec<Wished> {
    let Some(list) = joining.list else { return Vec::new() };
    let nothing = Said::default();
    let mut wished = Vec::with_capacity(places.len());
    for (index, place) in places.iter().enumerate() {
        let Some(person) = place.and_then(|place| people.get(place)) else { continue };
        let said = joining.said.get(index).unwrap_or(&nothing);
        let wish = match said.standing {
            Some(ListStanding::Unsubscribed) => Wish::Unsubscribe,
            Some(ListStanding::Unconfirmed) => Wish::Note,
            Some(ListStanding::Subscribed | ListStanding::Moved) | None => Wish::Subscribe(joining.grounds),
        };
        wished.push(Wished {
            source: said.source.as_deref().map(|source| Source::import(Some(source))),
            note: said.at.map(|at| format!("said to hold since {at}")),
            addresses: match wish {
                Wish::Unsubscribe => crate::domain::people::consent::addresses_of(&person.row.fields),
                Wish::Subscribe(_) | Wish::Note | Wish::Doubt => Vec::new(),
            },
            is_new: person.state == State::New && !taken_over.contains(&person.row.id),
            ..Wished::new(person.row.id, list, wish)
        });
    }
    wished
}

/// Like [`apply`], each draft for itself: slower, and right even where keys move between contacts.
///
/// # Errors
/// A query failed.
pub fn apply_one_by_one(
    conn: &mut Conn,
    ledger: &mut Ledger<'_>,
    drafts: &[ContactDraft],
    joining: &Joining<'_>,
    now: UtcInstant,
) -> Result<Applied, StoreError> {
    let mut all = Applied {
        fates: Vec::with_capacity(drafts.len()),
        ids: Vec::new(),
        contacts: Vec::with_capacity(drafts.len()),
        standings: Vec::new(),
    };
    for (index, draft) in drafts.iter().enumerate() {
        let one = apply(conn, ledger, std::slice::from_ref(draft), &joining.part(index), now)?;
        all.fates.extend(one.fates);
        all.ids.extend(one.ids);
        all.contacts.extend(one.contacts);
        all.standings.extend(one.standings);
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
        matched.apply(draft, UtcInstant(1)).unwrap().0
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
