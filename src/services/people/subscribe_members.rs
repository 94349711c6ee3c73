//! Contacts that are subscribed to a list or unsubscribed from it, by any of their keys.

use std::sync::Arc;

use serde_json::json;

use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::{ContactId, ListId};
use crate::domain::people::consent::{Act, Source, keys_as_addresses};
use crate::domain::people::contact::ContactDraft;
use crate::domain::people::standing::{Grounds, Standing};
use crate::services::audit::{self, Line};
use crate::services::people::selection::Selection;
use crate::services::people::standings::{self, Refusal, RefusalScope, Subscribed, Tally};
use crate::services::{By, Services};
use crate::store::people::consent::{Ledger, Scribe};
use crate::store::people::contacts::{self, Joining};
use crate::store::people::standings::{holders, look, of_contacts};
use crate::store::{Conn, Lane, MayBeStoreError, StoreError, engine};

/// Who is meant.
#[derive(Debug, Clone, Default)]
pub struct Members {
    /// By their ids.
    pub ids: Vec<ContactId>,
    /// By their keys: each draft has one or more of them and nothing else.
    pub keys: Vec<ContactDraft>,
}

/// How they are subscribed.
#[derive(Debug, Clone)]
pub struct How {
    /// What their consent rests on.
    pub grounds: Grounds,
    /// What the client says of where it comes from.
    pub source: Option<String>,
    /// Why an operator overrides a refusal.
    pub reason: Option<String>,
}

/// How contacts stand now.
#[derive(Debug, Clone, Default)]
pub struct Stand {
    /// How many changed, and how.
    pub tally: Tally,
    /// Each contact that was meant, and how it stands on the list.
    pub contacts: Vec<(ContactId, Option<Standing>)>,
    /// Addresses that no contact has: they are refused as addresses.
    pub addresses: usize,
}

impl Stand {
    /// Counts another part in. Of its contacts, only those are kept that wait for a confirmation.
    fn add(&mut self, part: Self) {
        let Self { tally, contacts, addresses } = part;
        self.tally.count_in(&tally);
        self.contacts.extend(contacts.into_iter().filter(|(_, standing)| *standing == Some(Standing::Unconfirmed)));
        self.addresses += addresses;
    }
}

/// Why nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum MembersError {
    /// There is no such list.
    #[error("there is no list {0}")]
    NoList(ListId),
    /// There are no such contacts: all that are missing.
    #[error("{} of the contacts do not exist", .0.len())]
    NoContacts(Vec<ContactId>),
    /// The keys of one member belong to different contacts: these.
    #[error("external_id, email and phone do not belong to one and the same contact")]
    Conflict(Vec<ContactId>),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MayBeStoreError for MembersError {
    fn into_store_error(self) -> Result<StoreError, Self> {
        if let Self::Store(error) = self { Ok(error) } else { Err(self) }
    }
}

/// Subscribes contacts to a list, as far as the rules allow; contacts that are named by keys that nobody has are created.
///
/// # Errors
/// [`MembersError`]; nothing has changed then.
pub async fn subscribe_members(
    services: &Services,
    list: ListId,
    members: Members,
    how: How,
    by: &By,
) -> Result<Stand, MembersError> {
    let scribe = standings::scribe(services, by, Source::api(how.source.as_deref()));
    let act = Act { note: how.reason.clone(), ..Act::clone(&scribe.act) };
    let scribe = Scribe { act: Arc::new(act), ..scribe };
    let by = by.clone();
    let work = move |conn: &mut Conn| {
        let stand = subscribe(conn, &scribe, list, &members, how.grounds)?;
        audit::write(conn, &by, line(Action::MembersAdded, list, &stand, how.grounds))?;
        Ok::<_, MembersError>(stand)
    };
    services.store.transact(Lane::Write, "subscribe contacts to a list", work).await
}

/// Subscribes the contacts of a selection, a part in each transaction. Those that are deleted meanwhile are passed over. Of the
/// contacts, only those are named that wait for a confirmation.
///
/// # Errors
/// [`MembersError`]. The parts before it are stored, and the same selection again finishes the rest.
pub async fn subscribe_selected(
    services: &Services,
    list: ListId,
    selection: &mut Selection,
    how: &How,
    by: &By,
) -> Result<Stand, MembersError> {
    let subscribe = |ids| subscribe_members(services, list, Members { ids, keys: Vec::new() }, how.clone(), by);
    part_by_part(services, selection, subscribe).await
}

/// Unsubscribes the contacts of a selection, as [`subscribe_selected`] subscribes them.
///
/// # Errors
/// As [`subscribe_selected`].
pub async fn unsubscribe_selected(
    services: &Services,
    list: ListId,
    selection: &mut Selection,
    source: Option<String>,
    by: &By,
) -> Result<Stand, MembersError> {
    let refuse = |ids| unsubscribe_members(services, list, Members { ids, keys: Vec::new() }, source.clone(), by);
    part_by_part(services, selection, refuse).await
}

/// Does something to the contacts of a selection, a part after the other.
async fn part_by_part<F: Future<Output = Result<Stand, MembersError>>>(
    services: &Services,
    selection: &mut Selection,
    each: impl Fn(Vec<ContactId>) -> F,
) -> Result<Stand, MembersError> {
    let mut stand = Stand::default();
    let mut is_first = true;
    loop {
        let part = selection.next(services).await?;
        // Also where nobody is meant: whether there is such a list, and the line of the audit log.
        if part.is_empty() && !is_first {
            return Ok(stand);
        }
        is_first = false;
        stand.add(of_living(part, &each).await?);
    }
}

/// Does something to those of `ids` that still exist.
async fn of_living<F: Future<Output = Result<Stand, MembersError>>>(
    mut ids: Vec<ContactId>,
    work: impl Fn(Vec<ContactId>) -> F,
) -> Result<Stand, MembersError> {
    loop {
        match work(ids.clone()).await {
            Err(MembersError::NoContacts(gone)) => ids.retain(|id| !gone.contains(id)),
            done => return done,
        }
        if ids.is_empty() {
            return Ok(Stand::default());
        }
    }
}

/// How many contacts a line of the audit log names.
const NAMED: usize = 100;

fn line(action: Action, list: ListId, stand: &Stand, grounds: Grounds) -> Line {
    let some: Vec<_> = stand.contacts.iter().take(NAMED).map(|(contact, _)| contact).collect();
    let tally = &stand.tally;
    Line::of(action, Object::List, list).after(json!({
        "asked": stand.contacts.len(),
        "subscribed": tally.subscribed,
        "unconfirmed": tally.unconfirmed,
        "unsubscribed": tally.unsubscribed,
        "addresses": stand.addresses,
        "confirmed": grounds == Grounds::Confirmed,
        "resubscribe": grounds == Grounds::Overridden,
        "contact_ids": some,
    }))
}

fn subscribe(
    conn: &mut Conn,
    scribe: &Scribe,
    list: ListId,
    members: &Members,
    grounds: Grounds,
) -> Result<Stand, MembersError> {
    let mut stand = Stand::default();
    let mut ids = members.ids.clone();
    match standings::subscribe(conn, scribe, list, &members.ids, grounds, None)? {
        Subscribed::Done(tally) => stand.tally = tally,
        Subscribed::NoList => return Err(MembersError::NoList(list)),
        Subscribed::NoContacts(ids) => return Err(MembersError::NoContacts(ids)),
    }
    if !members.keys.is_empty() {
        let now = engine::now(conn)?;
        let mut ledger = Ledger::new(scribe);
        let joining = Joining { grounds, ..Joining::list(Some(list)) };
        let applied = contacts::apply(conn, &mut ledger, &members.keys, &joining, now)?;
        ledger.close(conn)?;
        // Nobody is put on a list by half of the keys that were given.
        let there = applied.ignored.iter().filter(|(_, key)| key.made_by.is_none());
        let others = || there.map(|(_, key)| key.holder).collect();
        let is_whole = applied.ignored.is_empty();
        if let Some(ids) = applied.conflict.or_else(|| (!is_whole).then(others)) {
            return Err(MembersError::Conflict(ids));
        }
        stand.tally.add(&applied.standings);
        ids.extend(applied.ids);
    }
    ids.sort_unstable();
    ids.dedup();
    stand.contacts = standing_on(conn, list, &ids)?;
    Ok(stand)
}

fn standing_on(
    conn: &mut Conn,
    list: ListId,
    ids: &[ContactId],
) -> Result<Vec<(ContactId, Option<Standing>)>, StoreError> {
    let all = of_contacts(conn, ids)?;
    let found: std::collections::HashMap<ContactId, Standing> =
        all.into_iter().filter(|(on, ..)| *on == list).map(|(_, contact, standing)| (contact, standing)).collect();
    Ok(ids.iter().map(|id| (*id, found.get(id).copied())).collect())
}

/// Unsubscribes contacts from a list: everybody who has one of the keys. A key that no contact has is refused as an address: who
/// has it later is unsubscribed.
///
/// # Errors
/// [`MembersError`]; nothing has changed then.
pub async fn unsubscribe_members(
    services: &Services,
    list: ListId,
    members: Members,
    source: Option<String>,
    by: &By,
) -> Result<Stand, MembersError> {
    let (book, by) = (services.refusals.clone(), by.clone());
    let work = move |conn: &mut Conn| {
        let known = look(conn, &members.ids)?;
        let missing: Vec<ContactId> =
            members.ids.iter().filter(|id| !known.iter().any(|known| known.id == **id)).copied().collect();
        if !missing.is_empty() {
            return Err(MembersError::NoContacts(missing));
        }
        if crate::store::people::standings::hold_lists(conn, &[list])?.is_empty() {
            return Err(MembersError::NoList(list));
        }
        let keys: Vec<_> = members.keys.iter().flat_map(|draft| keys_as_addresses(&draft.fields)).collect();
        let mut ids = members.ids.clone();
        ids.extend(holders(conn, &keys)?);
        ids.sort_unstable();
        ids.dedup();
        let before = standing_on(conn, list, &ids)?;
        let refusal = |contact, address| Refusal {
            contact,
            address,
            scope: RefusalScope::Topics(vec![list]),
            source: Source::api(source.as_deref()),
            campaign: None,
            at: None,
            client: None,
        };
        let by_id = members.ids.iter().map(|id| refusal(Some(*id), None));
        let refusals: Vec<Refusal> = by_id.chain(keys.into_iter().map(|key| refusal(None, Some(key)))).collect();
        let answers = standings::refuse(conn, &book, &by, &refusals)?;
        let contacts = standing_on(conn, list, &ids)?;
        let changed = before.iter().zip(&contacts).filter(|(before, after)| before.1 != after.1).count();
        let unchanged = contacts.len() - changed;
        let tally = Tally { unsubscribed: changed, unchanged, ..Tally::default() };
        let addresses = answers.iter().filter(|refused| refused.contacts.is_empty()).count();
        let stand = Stand { tally, contacts, addresses };
        audit::write(conn, &by, line(Action::MembersRemoved, list, &stand, Grounds::Claimed))?;
        Ok(stand)
    };
    services.store.transact(Lane::Write, "unsubscribe contacts from a list", work).await
}
