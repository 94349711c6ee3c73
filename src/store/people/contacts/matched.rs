//! Who is meant by the keys of drafts, among the live contacts that have one of them. In memory.

use std::collections::{BTreeSet, HashMap};

use crate::domain::ids::ContactId;
use crate::domain::instant::UtcInstant;
use crate::domain::people::contact::{BuiltIn, ContactDraft};
use crate::store::StoreError;
use crate::store::people::contact_row::ContactRow;

/// The built-in fields that are keys, the strongest first.
pub(super) const KEYS: [BuiltIn; 3] = [BuiltIn::ExternalId, BuiltIn::Email, BuiltIn::Phone];

/// What became of one draft of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// A new contact.
    Created,
    /// A live contact was found by its keys; its fields were taken over.
    Updated,
}

/// What becomes of a draft whose keys belong to several contacts.
///
/// Either way, a contact that only a weaker key finds, while its stronger key has another value, is not the one meant (a household shares a
/// telephone): a new contact is made without the weaker key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Several {
    /// It is refused, and nothing of its batch is stored.
    Refused,
    /// The strongest key decides. A weaker key of another contact is not taken over.
    StrongestDecides,
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
    pub(super) touched: bool,
    /// As it was before the first change; of a new one: none.
    pub(super) before: Option<ContactRow>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    New,
    Stored,
    Changed,
}

/// What became of a draft.
pub(super) struct Taken {
    pub(super) fate: Fate,
    /// The place of the person that it means.
    pub(super) place: usize,
    /// Keys that were not taken over, each with the place of the person that has it.
    pub(super) ignored: Vec<(BuiltIn, usize)>,
}

/// The person that a draft means, and the keys that belong to others.
type Meant = (Option<usize>, Vec<(BuiltIn, usize)>);

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

    /// The contact that a draft means, and the keys that do not belong to it. `named`: the contact that an id names.
    pub(super) fn meant(&self, named: Option<usize>, draft: &ContactDraft) -> Meant {
        let given = draft.fields.keys();
        let (mut found, mut ignored) = (named, Vec::new());
        for (strength, (field, map)) in KEYS.iter().zip(&self.by_key).enumerate() {
            let Some(holder) = given.get(strength).copied().flatten().and_then(|key| map.get(key)).copied() else {
                continue;
            };
            let holder_keys = self.people.get(holder).map(|person| person.row.fields.keys()).unwrap_or_default();
            let mut stronger = given.iter().zip(holder_keys).take(strength);
            // A household shares a telephone: who has another stronger key is somebody else.
            let is_another =
                stronger.any(|(given, own)| matches!((given, own), (Some(given), Some(own)) if *given != own));
            match found {
                Some(place) if place == holder => {}
                None if !is_another => found = Some(holder),
                Some(_) | None => ignored.push((*field, holder)),
            }
        }
        (found, ignored)
    }

    /// Takes a draft over. `Err`: its keys belong to these contacts, and that is refused.
    pub(super) fn apply(
        &mut self,
        draft: &ContactDraft,
        several: Several,
        now: UtcInstant,
    ) -> Result<Result<Taken, Vec<ContactId>>, StoreError> {
        let (found, ignored) = self.meant(None, draft);
        if several == Several::Refused {
            let holders: BTreeSet<usize> = found.into_iter().chain(ignored.iter().map(|(_, holder)| *holder)).collect();
            if holders.len() > 1 {
                let people = holders.into_iter().filter_map(|place| self.people.get(place));
                // Who is made in this very batch has no id, and does not get one.
                return Ok(Err(people.map(|person| person.row.id).filter(|id| id.0 != 0).collect()));
            }
        }
        let own;
        let draft = if ignored.is_empty() {
            draft
        } else {
            own = without(draft, ignored.iter().map(|(field, _)| *field));
            &own
        };
        Ok(Ok(match found {
            None => {
                self.admit(ContactRow::new(draft, now), State::New);
                Taken { fate: Fate::Created, place: self.people.len() - 1, ignored }
            }
            Some(place) => {
                self.take_over(place, draft, Some(now), now)?;
                Taken { fate: Fate::Updated, place, ignored }
            }
        }))
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

/// A draft without these keys.
pub(super) fn without(draft: &ContactDraft, keys: impl Iterator<Item = BuiltIn>) -> ContactDraft {
    let mut draft = draft.clone();
    for key in keys {
        *draft.fields.get_mut(key) = None;
    }
    draft
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
        matched.apply(draft, Several::Refused, UtcInstant(1)).unwrap().ok().unwrap().fate
    }

    /// Where a draft comes to, and which of its keys are not taken over.
    fn strongest(matched: &mut Matched, draft: &ContactDraft) -> (usize, Vec<(BuiltIn, usize)>) {
        let taken = matched.apply(draft, Several::StrongestDecides, UtcInstant(1)).unwrap().ok().unwrap();
        (taken.place, taken.ignored)
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
    fn keys_of_two_people_are_refused_or_the_weaker_one_is_left_out() {
        let people = [draft("a", "a@x.example", ""), draft("b", "b@x.example", "")];
        let both = draft("a", "b@x.example", "");
        let refused = matched(&people).apply(&both, Several::Refused, UtcInstant(1)).unwrap().err();
        assert_eq!(refused, Some(vec![ContactId(1), ContactId(2)]));
        let mut matched = matched(&people);
        assert_eq!(strongest(&mut matched, &both), (0, vec![(BuiltIn::Email, 1)]));
        assert_eq!(matched.people[0].row.fields.email.as_deref(), Some("a@x.example"));
    }

    #[test]
    fn who_has_another_stronger_key_is_not_meant() {
        for several in [Several::Refused, Several::StrongestDecides] {
            let mut matched = matched(&[draft("a", "a@x.example", "+491")]);
            for (place, given, left_out) in [
                (1, draft("z", "a@x.example", ""), BuiltIn::Email),
                (2, draft("", "z@x.example", "+491"), BuiltIn::Phone),
            ] {
                let taken = matched.apply(&given, several, UtcInstant(1)).unwrap().ok().unwrap();
                assert_eq!((taken.fate, taken.place, taken.ignored), (Fate::Created, place, vec![(left_out, 0)]));
                assert_eq!(matched.people[place].row.fields.get(left_out), None);
            }
        }
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
