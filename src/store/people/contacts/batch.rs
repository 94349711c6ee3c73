//! Batches of contacts: the contact that each draft means is found in memory, then all are written in bulk.

use std::collections::BTreeSet;

use super::matched::{Fate, Matched, Person, Several, State};
use crate::domain::ids::{ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{Said, Source};
use crate::domain::people::contact::{BuiltIn, ContactDraft};
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

/// A key that was not taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IgnoredKey {
    /// Which of the draft's keys.
    pub field: BuiltIn,
    /// The contact that has it.
    pub holder: ContactId,
    /// The draft of the same batch that made this contact; none: it was there before.
    pub made_by: Option<usize>,
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
    /// What becomes of keys that belong to several contacts.
    pub several: Several,
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
    pub const NOTHING: Self =
        Self { list: None, grounds: Grounds::Claimed, said: &[], noted: Noted::Each, several: Several::Refused };

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
#[derive(Default)]
pub struct Applied {
    /// What became of each draft, in order.
    pub fates: Vec<Fate>,
    /// The contacts that were created or meant, in no particular order.
    pub ids: Vec<ContactId>,
    /// The contact that each draft came to, in order.
    pub contacts: Vec<ContactId>,
    /// Keys that were not taken over, with the place of their draft.
    pub ignored: Vec<(usize, IgnoredKey)>,
    /// What became of their standings on the list.
    pub standings: Vec<Outcome>,
    /// The contacts that the keys of a draft belong to, where that is refused ([`Several::Refused`]): nothing was stored then.
    pub conflict: Option<Vec<ContactId>>,
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
    let mut ignored = Vec::new();
    for (index, draft) in drafts.iter().enumerate() {
        match matched.apply(draft, joining.several, now)? {
            Ok(taken) => {
                fates.push(taken.fate);
                places.push(taken.place);
                ignored.extend(taken.ignored.into_iter().map(|key| (index, key)));
            }
            Err(others) => return Ok(Applied { conflict: Some(others), ..Applied::default() }),
        }
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
    let contacts = places.iter().filter_map(|place| people.get(*place)).map(|person| person.row.id).collect();
    let ignored = ignored.into_iter().filter_map(|(index, (field, holder))| {
        let person = people.get(holder)?;
        let made_by = places.iter().position(|place| *place == holder).filter(|_| person.state == State::New);
        Some((index, IgnoredKey { field, holder: person.row.id, made_by }))
    });
    Ok(Applied { fates, ids, contacts, ignored: ignored.collect(), standings, conflict: None })
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

/// What a row asks of the list. `None`: nothing, because an address that is not written to is no subscription, where it does not say so
/// itself.
pub(super) fn wish_of(said: Option<&Said>, grounds: Grounds) -> Option<Wish> {
    let standing = said.and_then(|said| said.standing);
    match standing {
        None if said.is_some_and(|said| !said.suppressed.is_empty()) => None,
        Some(ListStanding::Unsubscribed) => Some(Wish::Unsubscribe),
        Some(ListStanding::Unconfirmed) => Some(Wish::Note),
        Some(ListStanding::Subscribed | ListStanding::Moved) | None => Some(Wish::Subscribe(grounds)),
    }
}

/// What is asked of the list, in the order of the drafts.
fn wished(people: &[Person], places: &[usize], joining: &Joining<'_>, taken_over: &BTreeSet<ContactId>) -> Vec<Wished> {
    let Some(list) = joining.list else { return Vec::new() };
    let nothing = Said::default();
    let mut wished = Vec::with_capacity(places.len());
    for (index, place) in places.iter().enumerate() {
        let Some(person) = people.get(*place) else { continue };
        let said = joining.said.get(index).unwrap_or(&nothing);
        let Some(wish) = wish_of(Some(said), joining.grounds) else { continue };
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

/// Like [`apply`], each draft for itself: slower, and right even where keys move between contacts. After a conflict, the transaction is to be
/// rolled back.
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
    let mut all = Applied::default();
    for (index, draft) in drafts.iter().enumerate() {
        let one = apply(conn, ledger, std::slice::from_ref(draft), &joining.part(index), now)?;
        if one.conflict.is_some() {
            return Ok(one);
        }
        all.fates.extend(one.fates);
        all.ids.extend(one.ids);
        all.contacts.extend(one.contacts);
        all.ignored.extend(one.ignored.into_iter().map(|(_, key)| (index, key)));
        all.standings.extend(one.standings);
    }
    Ok(all)
}
