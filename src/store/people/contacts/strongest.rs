//! The contact that an event is about: the strongest key decides. A weaker key that belongs to another contact is ignored, and named.
//!
//! Contacts that do not change are not locked: an event about somebody waits for nobody who changes them.

use std::collections::{BTreeMap, BTreeSet};

use super::batch;
use super::matched::{KEYS, Matched, Person, State, without};
use crate::domain::ids::ContactId;
use crate::domain::instant::UtcInstant;
use crate::domain::people::contact::{BuiltIn, ContactDraft};
use crate::domain::people::standing::Grounds;
use crate::store::people::attributes;
use crate::store::people::consent::Ledger;
use crate::store::people::contact_row::ContactRow;
use crate::store::people::dialect::{self, Hold};
use crate::store::{Conn, StoreError};

/// Somebody, by what a program knows of them. Holds personal data: never logged, hence no `Debug`.
#[derive(Clone, Default)]
pub struct ContactKeys {
    /// The contact's id: stronger than every key.
    pub id: Option<ContactId>,
    /// Keys, and attributes to set or to remove.
    pub draft: ContactDraft,
    /// Whether the contact is locked although nothing of it changes: its standing on a list does.
    pub is_held: bool,
}

/// The contact that keys mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Met {
    /// A contact, and the keys that belong to others.
    Found(Place, Vec<BuiltIn>),
    /// Another transaction has the contact locked, or changed it while it was looked at: to be tried again.
    Busy,
    /// No living contact has this id.
    Gone(ContactId),
}

/// A contact of a [`Meeting`]; one that is new has no id yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(usize);

/// The contacts that many events are about, and what the events change of them.
pub struct Meeting {
    matched: Matched,
    by_id: BTreeMap<ContactId, usize>,
    held: BTreeSet<ContactId>,
    busy: BTreeSet<ContactId>,
    /// Contacts and keys of those who were [`Met::Busy`]: what follows about them must not overtake them.
    waiting: (BTreeSet<usize>, BTreeSet<(BuiltIn, String)>),
    now: UtcInstant,
    names: Vec<String>,
}

impl Meeting {
    /// Finds the contacts that these mean, and locks those that are going to change. It waits for no lock. Belongs in a write transaction.
    ///
    /// # Errors
    /// A query failed.
    pub fn look(conn: &mut Conn, given: &[&ContactKeys], now: UtcInstant) -> Result<Self, StoreError> {
        let drafts: Vec<ContactDraft> = given.iter().map(|given| keys_only(&given.draft)).collect();
        let ids: Vec<ContactId> = given.iter().filter_map(|given| given.id).collect();
        let mut rows = dialect::sharing_keys(conn, &drafts, Hold::No)?;
        let known: BTreeSet<ContactId> = rows.iter().map(|row| row.id).collect();
        let others: BTreeSet<ContactId> = ids.into_iter().filter(|id| !known.contains(id)).collect();
        rows.extend(dialect::living(conn, &others.into_iter().collect::<Vec<_>>(), Hold::No)?);
        let wanted = changing(&rows, given, now)?;
        let held = dialect::living(conn, &wanted.iter().copied().collect::<Vec<_>>(), Hold::IfFree)?;
        rows.retain(|row| !wanted.contains(&row.id));
        let mut meeting = Self::of(rows, now);
        meeting.held = held.iter().map(|row| row.id).collect();
        meeting.busy = wanted.difference(&meeting.held).copied().collect();
        held.into_iter().for_each(|row| meeting.admit(row, State::Stored));
        Ok(meeting)
    }

    fn of(rows: Vec<ContactRow>, now: UtcInstant) -> Self {
        let by_id = rows.iter().enumerate().map(|(place, row)| (row.id, place)).collect();
        let (held, busy, waiting) = Default::default();
        Self { matched: Matched::new(rows), by_id, held, busy, waiting, now, names: Vec::new() }
    }

    fn admit(&mut self, row: ContactRow, state: State) {
        if state == State::Stored {
            self.by_id.insert(row.id, self.matched.people.len());
        }
        self.matched.admit(row, state);
    }

    /// The contact that somebody's keys mean. It takes over what is said of it; a new one is made where there is none.
    ///
    /// # Errors
    /// Stored attributes cannot be read.
    pub fn meet(&mut self, given: &ContactKeys) -> Result<Met, StoreError> {
        let met = if keys_of(given).any(|key| self.waiting.1.contains(&key)) {
            Met::Busy
        } else if self.busy.is_empty() {
            self.meet_anybody(given)?
        } else {
            // One of the keys may be that of a locked contact: which one is not known, because it was not read.
            self.meet_beside_locked(given)?
        };
        if met == Met::Busy {
            self.waits(given);
        }
        Ok(met)
    }

    fn waits(&mut self, given: &ContactKeys) {
        let named = given.id.and_then(|id| self.by_id.get(&id));
        let keyed = self.matched.by_key.iter().zip(given.draft.fields.keys());
        let keyed = keyed.filter_map(|(map, key)| map.get(key?));
        self.waiting.0.extend(named.into_iter().chain(keyed).copied());
        self.waiting.1.extend(keys_of(given));
    }

    /// As long as a contact is locked elsewhere, only one that an id or the strongest key names is sure.
    fn meet_beside_locked(&mut self, given: &ContactKeys) -> Result<Met, StoreError> {
        let strongest =
            self.matched.by_key.iter().zip(given.draft.fields.keys()).find_map(|(map, key)| Some((map, key?)));
        let is_known = match (given.id, strongest) {
            (Some(id), _) => self.by_id.contains_key(&id),
            (None, Some((map, key))) => map.contains_key(key),
            (None, None) => true,
        };
        if is_known { self.meet_anybody(given) } else { Ok(Met::Busy) }
    }

    fn meet_anybody(&mut self, given: &ContactKeys) -> Result<Met, StoreError> {
        let named = match given.id {
            None => None,
            Some(id) => match self.by_id.get(&id) {
                Some(place) => Some(*place),
                None => return Ok(Met::Gone(id)),
            },
        };
        let (found, ignored) = self.matched.meant(named, &given.draft);
        let ignored: Vec<BuiltIn> = ignored.into_iter().map(|(field, _)| field).collect();
        let draft = without(&given.draft, ignored.iter().copied());
        let place = match found {
            None => {
                self.admit(ContactRow { introduced_at: None, ..ContactRow::new(&draft, self.now) }, State::New);
                self.names.extend(draft.attributes.into_keys());
                self.matched.people.len() - 1
            }
            Some(place) => {
                if self.waiting.0.contains(&place) || !self.may_change(place, &draft)? {
                    return Ok(Met::Busy);
                }
                if self.matched.take_over(place, &draft, None, self.now)? {
                    self.names.extend(draft.attributes.into_keys());
                }
                place
            }
        };
        Ok(Met::Found(Place(place), ignored))
    }

    /// Whether a draft may be taken over: it changes nothing, or the contact is locked.
    fn may_change(&self, place: usize, draft: &ContactDraft) -> Result<bool, StoreError> {
        let Some(person) = self.matched.people.get(place) else { return Ok(false) };
        Ok(person.state == State::New || self.held.contains(&person.row.id) || !person.row.clone().take(draft)?)
    }

    /// Stores the contacts that are new or have changed. The answer knows their ids.
    ///
    /// # Errors
    /// A query failed. A unique violation means that another transaction stored one of the keys meanwhile.
    pub fn write(mut self, conn: &mut Conn, ledger: &mut Ledger<'_>) -> Result<Written, StoreError> {
        let mut people: Vec<(usize, Person)> =
            std::mem::take(&mut self.matched.people).into_iter().enumerate().collect();
        // New ones in one order everywhere: two transactions that make the same contacts cannot block each other.
        people.sort_by(|(_, one), (_, other)| one.row.fields.keys().cmp(&other.row.fields.keys()));
        let (places, mut people): (Vec<usize>, Vec<Person>) = people.into_iter().unzip();
        batch::write(conn, &mut people)?;
        batch::touches(&people)?.write(conn)?;
        let taken_over = batch::follow_addresses(conn, ledger, &people, Grounds::Claimed)?;
        attributes::record(conn, self.names.iter(), self.now)?;
        let contacts = places.into_iter().zip(&people).map(|(place, person)| {
            let is_new = person.state == State::New && !taken_over.contains(&person.row.id);
            (place, (person.row.id, is_new))
        });
        Ok(Written(contacts.collect()))
    }
}

/// The contacts of a meeting, stored.
pub struct Written(BTreeMap<usize, (ContactId, bool)>);

impl Written {
    /// The contact at a place, and whether it has just been made and has no standing on any list.
    #[must_use]
    pub fn contact(&self, place: Place) -> Option<(ContactId, bool)> {
        self.0.get(&place.0).copied()
    }
}

fn keys_of(given: &ContactKeys) -> impl Iterator<Item = (BuiltIn, String)> {
    KEYS.iter().zip(given.draft.fields.keys()).filter_map(|(field, key)| Some((*field, key?.to_owned())))
}

fn keys_only(draft: &ContactDraft) -> ContactDraft {
    ContactDraft { fields: draft.fields.clone(), attributes: Default::default() }
}

/// The contacts that have to be locked.
fn changing(rows: &[ContactRow], given: &[&ContactKeys], now: UtcInstant) -> Result<BTreeSet<ContactId>, StoreError> {
    let mut trial = Meeting::of(rows.to_vec(), now);
    trial.held = rows.iter().map(|row| row.id).collect();
    let mut wanted = BTreeSet::new();
    for given in given {
        if let Met::Found(place, _) = trial.meet_anybody(given)?
            && let Some(person) = trial.matched.people.get(place.0)
            && (given.is_held || person.state == State::Changed)
            && person.state != State::New
        {
            wanted.insert(person.row.id);
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::people::contact::Fields;

    fn whom(external_id: &str, email: &str, phone: &str) -> ContactKeys {
        let field = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let (external_id, email, phone) = (field(external_id), field(email), field(phone));
        let fields = Fields { external_id, email, phone, ..Fields::default() };
        ContactKeys { draft: ContactDraft { fields, ..ContactDraft::default() }, ..ContactKeys::default() }
    }

    fn meeting(people: &[ContactKeys]) -> Meeting {
        let now = UtcInstant(1);
        let rows = people
            .iter()
            .zip(1..)
            .map(|(whom, id)| ContactRow { id: ContactId(id), ..ContactRow::new(&whom.draft, UtcInstant(0)) });
        let mut meeting = Meeting::of(rows.collect(), now);
        meeting.held = meeting.by_id.keys().copied().collect();
        meeting
    }

    fn found(place: usize, ignored: &[BuiltIn]) -> Met {
        Met::Found(Place(place), ignored.to_vec())
    }

    #[test]
    fn the_strongest_key_decides_and_weaker_ones_of_others_are_ignored() {
        let mut meeting = meeting(&[whom("a", "a@x.example", ""), whom("", "b@x.example", "+491")]);
        assert_eq!(
            meeting.meet(&whom("a", "b@x.example", "+491")).unwrap(),
            found(0, &[BuiltIn::Email, BuiltIn::Phone])
        );
        assert_eq!(meeting.meet(&whom("", "b@x.example", "+491")).unwrap(), found(1, &[]));
        assert_eq!(
            meeting.meet(&whom("a", "new@x.example", "")).unwrap(),
            found(0, &[]),
            "a new address replaces the old"
        );
        assert_eq!(meeting.matched.people[0].row.fields.email.as_deref(), Some("new@x.example"));
    }

    #[test]
    fn somebody_with_another_stronger_key_is_not_meant() {
        let mut meeting = meeting(&[whom("a", "a@x.example", "+491")]);
        assert_eq!(meeting.meet(&whom("z", "a@x.example", "")).unwrap(), found(1, &[BuiltIn::Email]));
        assert_eq!(meeting.meet(&whom("", "z@x.example", "+491")).unwrap(), found(2, &[BuiltIn::Phone]));
        let made = &meeting.matched.people[1].row;
        assert_eq!((made.fields.external_id.as_deref(), made.fields.email.as_deref()), (Some("z"), None));
        assert_eq!(made.introduced_at, None, "an event introduces nobody");
    }

    #[test]
    fn an_id_is_stronger_than_every_key() {
        let mut meeting = meeting(&[whom("a", "", ""), whom("b", "", "")]);
        let by_id = |id: i64, external_id: &str| ContactKeys { id: Some(ContactId(id)), ..whom(external_id, "", "") };
        assert_eq!(meeting.meet(&by_id(2, "a")).unwrap(), found(1, &[BuiltIn::ExternalId]));
        assert_eq!(meeting.meet(&by_id(3, "a")).unwrap(), Met::Gone(ContactId(3)));
    }

    #[test]
    fn what_follows_about_somebody_who_waits_does_not_overtake() {
        let mut meeting = meeting(&[whom("e", "", "+491"), whom("a", "", "")]);
        meeting.busy.insert(ContactId(3));
        assert_eq!(meeting.meet(&whom("", "new@x.example", "+491")).unwrap(), Met::Busy);
        assert_eq!(meeting.meet(&whom("e", "", "")).unwrap(), Met::Busy, "the number may have meant the same one");
        assert_eq!(meeting.meet(&whom("a", "", "")).unwrap(), found(1, &[]));
    }

    #[test]
    fn who_is_locked_elsewhere_is_passed_over_and_the_others_go_on() {
        let mut meeting = meeting(&[whom("a", "", "")]);
        meeting.busy.insert(ContactId(2));
        assert_eq!(meeting.meet(&whom("a", "", "")).unwrap(), found(0, &[]));
        assert_eq!(meeting.meet(&whom("b", "", "")).unwrap(), Met::Busy);
    }
}
