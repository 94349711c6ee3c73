//! The confirmation of a subscription by its link.

use std::sync::Arc;

use crate::domain::channel::ChannelKind;
use crate::domain::ids::{ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{Act, Client, EVERYTHING, Source, addresses_of};
use crate::domain::people::link::{AddressMark, LinkKey};
use crate::domain::people::standing::{Grounds, Standing};
use crate::services::people::standings::{Subscribed, subscribe};
use crate::store::people::consent::Scribe;
use crate::store::people::refusals::RefusalBook;
use crate::store::people::topics::{self, Person, TopicRow};
use crate::store::people::{standings, suppressions};
use crate::store::{Conn, StoreError};

/// What a confirmation is about.
#[derive(Clone)]
pub struct Asked {
    /// The contact.
    pub person: Person,
    /// The list.
    pub topic: TopicRow,
    /// The address that was asked. `None`: the contact has another one now.
    pub address: Option<(ChannelKind, String)>,
    /// Whether the person has said no to the list, or to everything, since it was asked: the link is outdated then.
    pub has_refused_since: bool,
}

impl Asked {
    /// The address that is asked, as long as the link confirms.
    #[must_use]
    pub fn open(&self) -> Option<&(ChannelKind, String)> {
        self.address.as_ref().filter(|_| !self.has_refused_since)
    }
}

/// What a link that confirms says.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// The list.
    pub list: ListId,
    /// The contact.
    pub contact: ContactId,
    /// The address that was asked.
    pub mark: AddressMark,
    /// When.
    pub asked_at: UtcInstant,
}

/// Reads it as it is now. `None`: the contact or the list is gone.
///
/// # Errors
/// A query failed.
pub fn see(conn: &mut Conn, key: &LinkKey, question: Question) -> Result<Option<Asked>, StoreError> {
    let Question { list, contact, mark, asked_at } = question;
    let Some(person) = topics::person(conn, contact)?.filter(|person| !person.is_deleted) else { return Ok(None) };
    let Some(topic) = topics::find(conn, list)? else { return Ok(None) };
    let address = addresses_of(&person.keys).into_iter().find(|(_, address)| key.mark(address) == mark);
    let has_refused_since = match &address {
        Some(address) => has_refused_since(conn, list, contact, address, asked_at)?,
        None => false,
    };
    Ok(Some(Asked { person, topic, address, has_refused_since }))
}

/// A contact that is subscribed has come back by another way: the link changes nothing, and need not be outdated.
fn has_refused_since(
    conn: &mut Conn,
    list: ListId,
    contact: ContactId,
    address: &(ChannelKind, String),
    asked_at: UtcInstant,
) -> Result<bool, StoreError> {
    match topics::standing(conn, list, contact)? {
        Some((Standing::Subscribed, _)) => return Ok(false),
        Some((Standing::Unsubscribed, at)) if at.is_none_or(|at| at >= asked_at) => return Ok(true),
        Some((Standing::Unsubscribed | Standing::Unconfirmed | Standing::Moved, _)) | None => {}
    }
    let rows = suppressions::of_addresses(conn, std::slice::from_ref(address))?;
    let mut refusals = rows.iter().filter(|row| row.topic == EVERYTHING || row.topic == list);
    Ok(refusals.any(|row| row.unsubscribed_at.is_some_and(|at| at >= asked_at)))
}

/// Subscribes the contact inside the caller's write transaction, as its own act, if it still has the address that was asked and
/// has not said no since. Repeating it changes nothing. What it is about; [`Asked::open`] says whether it was done.
///
/// # Errors
/// A query failed.
pub fn confirm(
    conn: &mut Conn,
    book: &RefusalBook,
    key: &LinkKey,
    question: Question,
    client: Client,
    request_id: Option<String>,
) -> Result<Option<Asked>, StoreError> {
    let Question { list, contact, .. } = question;
    standings::hold(conn, &[contact])?;
    let Some(asked) = see(conn, key, question)? else { return Ok(None) };
    let Some(address) = asked.open() else { return Ok(Some(asked)) };
    let act = Act { client: Some(client), request_id, ..Act::of(Source::CONFIRMATION) };
    let scribe = Scribe { act: Arc::new(act), book: book.clone() };
    match subscribe(conn, &scribe, list, &[contact], Grounds::OwnAct, Some(address))? {
        Subscribed::Done(_) => Ok(Some(asked)),
        Subscribed::NoList | Subscribed::NoContacts(_) => Ok(None),
    }
}
