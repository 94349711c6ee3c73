//! How contacts stand on lists: the one place that writes it.
//!
//! Order of locks: the contacts, in the order of their ids; then the lists, shared; then the standings, which nobody else changes
//! while their contact is held. Rows go with their contact, with their list, or when a contact is taken off a list. A refusal
//! stays.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::consent::Ledger;
use super::consent_line::Line;
use super::ground::Ground;
use super::introduced::introduce;
use super::suppressions;
use crate::domain::channel::ChannelKind;
use crate::domain::ids::{ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{Act, Reason, Source, addresses_of};
use crate::domain::people::fields::Fields;
use crate::domain::people::standing::{self, Grounds, Next, Standing, Wish};
use crate::store::people::dialect::standings::{Held, Written};
use crate::store::people::dialect::{self, Hold};
use crate::store::{Conn, StoreError, engine};

/// A contact, by its keys.
pub struct KnownContact {
    /// Its id.
    pub id: ContactId,
    /// Its keys.
    pub keys: Fields,
    /// Whether it was deleted.
    pub is_deleted: bool,
}

fn known(conn: &mut Conn, ids: &[ContactId], hold: Hold) -> Result<Vec<KnownContact>, StoreError> {
    let found = dialect::standings::contacts(conn, &in_order(ids), hold)?;
    Ok(found.into_iter().map(KnownContact::from).collect())
}

impl From<Held> for KnownContact {
    fn from(row: Held) -> Self {
        Self { id: row.id, keys: row.keys(), is_deleted: row.is_deleted }
    }
}

fn in_order(ids: &[ContactId]) -> Vec<ContactId> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Locks contacts in the order of their ids, deleted ones, too.
///
/// # Errors
/// The query failed.
pub fn hold(conn: &mut Conn, ids: &[ContactId]) -> Result<Vec<KnownContact>, StoreError> {
    known(conn, ids, Hold::Yes)
}

/// [`hold`], as long as none of them is deleted. `None`: one is, or there are none, and nobody is locked.
///
/// # Errors
/// The query failed.
pub fn hold_if_none_is_deleted(conn: &mut Conn, ids: &[ContactId]) -> Result<Option<Vec<KnownContact>>, StoreError> {
    let found = dialect::standings::hold_if_none_is_deleted(conn, &in_order(ids))?;
    Ok(Some(found).filter(|found| !found.is_empty()).map(|found| found.into_iter().map(KnownContact::from).collect()))
}

/// Looks at contacts without locking them, deleted ones, too.
///
/// # Errors
/// The query failed.
pub fn look(conn: &mut Conn, ids: &[ContactId]) -> Result<Vec<KnownContact>, StoreError> {
    known(conn, ids, Hold::No)
}

/// What is asked for one contact and one list.
#[derive(Clone)]
pub struct Wished {
    /// The contact. It is held.
    pub contact: ContactId,
    /// The list.
    pub list: ListId,
    /// What is asked for.
    pub wish: Wish,
    /// What it comes from, where that is not what the whole decision comes from.
    pub act: Option<Arc<Act>>,
    /// In place of the source of that.
    pub source: Option<Source>,
    /// Said of it, for the log.
    pub note: Option<String>,
    /// The address that the person used, or that a refusal is filed under.
    pub addresses: Vec<(ChannelKind, String)>,
    /// Whether the contact was made in this transaction, so that it has no standing yet.
    pub is_new: bool,
}

impl Wished {
    /// A plain wish.
    #[must_use]
    pub const fn new(contact: ContactId, list: ListId, wish: Wish) -> Self {
        Self { contact, list, wish, act: None, source: None, note: None, addresses: Vec::new(), is_new: false }
    }
}

/// What became of a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The contact.
    pub contact: ContactId,
    /// The list.
    pub list: ListId,
    /// How it stood.
    pub before: Option<Standing>,
    /// How it stands.
    pub after: Option<Standing>,
    /// The contact has refused, and this was not enough to change that.
    pub stays_refused: bool,
}

impl Outcome {
    /// Whether anything changed.
    #[must_use]
    pub fn is_change(&self) -> bool {
        self.before != self.after
    }
}

/// Grants wishes as far as the rules allow, in their order. What changes no standing changes nothing: neither its time nor its
/// source. Wishes on lists that do not exist are passed over.
///
/// # Errors
/// A query failed.
pub fn apply(conn: &mut Conn, ledger: &mut Ledger<'_>, wished: &[Wished]) -> Result<Vec<Outcome>, StoreError> {
    if wished.is_empty() {
        return Ok(Vec::new());
    }
    engine::keep_to_indexes(conn)?;
    let lists = wished.iter().map(|wished| wished.list).collect();
    let asked = wished.iter().filter(|wished| !wished.is_new).map(|wished| (wished.list, wished.contact));
    let ground = Ground::read(conn, &lists, asked.collect())?;
    grant(conn, ledger, ground, wished)
}

/// [`apply`], where the lists are held and the standings were read.
///
/// # Errors
/// A query failed.
pub fn grant(
    conn: &mut Conn,
    ledger: &mut Ledger<'_>,
    mut ground: Ground,
    wished: &[Wished],
) -> Result<Vec<Outcome>, StoreError> {
    let now = ledger.goes_by(ground.now());
    let mut written: BTreeMap<(ListId, ContactId), Written> = BTreeMap::new();
    let mut outcomes = Vec::with_capacity(wished.len());
    let (mut taken_back, mut introduced) = (Vec::new(), Vec::new());
    for wished in wished {
        let Some(double_opt_in) = ground.asks_for_confirmation(wished.list) else { continue };
        let key = (wished.list, wished.contact);
        let before = ground.standings.get(&key).copied();
        let next = standing::next(before, wished.wish, double_opt_in);
        let after = match next {
            Next::Becomes(after) => Some(after),
            Next::Stays | Next::StaysRefused => before,
        };
        outcomes.push(Outcome {
            contact: wished.contact,
            list: wished.list,
            before,
            after,
            stays_refused: next == Next::StaysRefused,
        });
        if matches!(wished.wish, Wish::Subscribe(Grounds::OwnAct | Grounds::Overridden)) {
            taken_back.push(key);
        }
        if wished.wish == Wish::Subscribe(Grounds::OwnAct) {
            introduced.push(wished.contact);
        }
        let Next::Becomes(after) = next else { continue };
        ground.standings.insert(key, after);
        let line = ledger.line(wished.act.as_ref());
        let source = wished.source.clone().unwrap_or_else(|| line.source.clone());
        let at = if after == Standing::Unsubscribed { line.act.said_by(now) } else { now };
        let row = Written {
            list: wished.list,
            contact: wished.contact,
            status: after,
            at,
            source: source.as_str().to_owned(),
            is_new: wished.is_new,
        };
        written.insert(key, row);
        let line = Line {
            contact: Some(wished.contact),
            list: Some(wished.list),
            before: before.map(Standing::as_str),
            source,
            address: wished.addresses.first().map(|(_, address)| address.clone()),
            note: wished.note.clone().or_else(|| line.note.clone()),
            ..line
        };
        if after == Standing::Unsubscribed {
            ledger.refusal(line, Reason::Unsubscribed, &wished.addresses);
        } else {
            ledger.standing(before, Some(after), line);
        }
    }
    dialect::standings::write(conn, written.into_values().collect(), now)?;
    forget_refused_topics(conn, ledger, &taken_back)?;
    introduce(conn, &introduced, now)?;
    Ok(outcomes)
}

/// Who took a refusal back would otherwise get it again from the own address with the next change of the contact.
fn forget_refused_topics(
    conn: &mut Conn,
    ledger: &mut Ledger<'_>,
    taken_back: &[(ListId, ContactId)],
) -> Result<(), StoreError> {
    if taken_back.is_empty() {
        return Ok(());
    }
    let contacts: Vec<ContactId> = taken_back.iter().map(|(_, contact)| *contact).collect();
    let keys: HashMap<ContactId, Fields> =
        hold(conn, &contacts)?.into_iter().map(|held| (held.id, held.keys)).collect();
    // All at once, in the order of their keys: two that do so at the same time cannot block each other.
    let addresses: Vec<_> = keys.values().flat_map(addresses_of).collect();
    suppressions::hold_of_addresses(conn, &addresses)?;
    for (list, contact) in taken_back {
        let Some(keys) = keys.get(contact) else { continue };
        suppressions::lift(conn, ledger, &addresses_of(keys), *list, Reason::Unsubscribed, Some(*contact))?;
    }
    Ok(())
}

/// Takes contacts off a list, but those that have refused: their refusal stays. The contacts are held. How many went.
///
/// # Errors
/// A query failed.
pub fn take_off(
    conn: &mut Conn,
    ledger: &mut Ledger<'_>,
    list: ListId,
    contacts: &[ContactId],
) -> Result<usize, StoreError> {
    let gone = dialect::standings::remove(conn, list, contacts)?;
    for row in &gone {
        let line = Line { contact: Some(row.contact_id), list: Some(row.list_id), ..ledger.line(None) };
        ledger.standing(Some(row.status), None, line);
    }
    Ok(gone.len())
}

/// The standings of contacts: list, contact and how it stands.
///
/// # Errors
/// The query failed.
pub fn of_contacts(conn: &mut Conn, contacts: &[ContactId]) -> Result<Vec<(ListId, ContactId, Standing)>, StoreError> {
    let rows = dialect::standings::read_all(conn, contacts)?;
    Ok(rows.into_iter().map(|row| (row.list_id, row.contact_id, row.status)).collect())
}

/// Those of `ids` that are lists, held until the transaction ends, and whether each counts everybody who has not refused.
///
/// # Errors
/// The query failed.
pub fn hold_lists(conn: &mut Conn, ids: &[ListId]) -> Result<Vec<(ListId, bool)>, StoreError> {
    let topics = dialect::standings::hold_topics(conn, ids)?;
    Ok(topics.into_iter().map(|topic| (topic.id, topic.default_opt_in)).collect())
}

/// Living contacts that have one of these addresses.
///
/// # Errors
/// The query failed.
pub fn holders(conn: &mut Conn, addresses: &[(ChannelKind, String)]) -> Result<Vec<ContactId>, StoreError> {
    let keys: BTreeSet<String> = addresses.iter().map(|(_, address)| address.clone()).collect();
    dialect::standings::holders(conn, &keys.into_iter().collect::<Vec<_>>())
}

/// Up to `limit` standings that have been unconfirmed since before this.
///
/// # Errors
/// The query failed.
pub fn unconfirmed_before(
    conn: &mut Conn,
    before: UtcInstant,
    limit: i64,
) -> Result<Vec<(ListId, ContactId)>, StoreError> {
    let rows = dialect::standings::unconfirmed_before(conn, before, limit)?;
    Ok(rows.into_iter().map(|row| (row.list_id, row.contact_id)).collect())
}

/// Removes those of `pairs` that are still unconfirmed since before this. Their contacts are held. How many those were.
///
/// # Errors
/// A query failed.
pub fn expire(
    conn: &mut Conn,
    ledger: &mut Ledger<'_>,
    pairs: &[(ListId, ContactId)],
    before: UtcInstant,
) -> Result<usize, StoreError> {
    let mut count = 0;
    for (list, contact) in pairs {
        let gone = dialect::standings::expire(conn, *list, *contact, before)?;
        if gone > 0 {
            count += gone;
            let line = Line { contact: Some(*contact), list: Some(*list), ..ledger.line(None) };
            ledger.standing(Some(Standing::Unconfirmed), None, line);
        }
    }
    Ok(count)
}
