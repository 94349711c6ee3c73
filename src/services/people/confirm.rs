//! The confirmation of a subscription by its link.

use std::sync::Arc;

use crate::domain::channel::ChannelKind;
use crate::domain::ids::{ContactId, ListId};
use crate::domain::people::consent::{Act, Client, Source, addresses_of};
use crate::domain::people::link::{AddressMark, LinkKey};
use crate::domain::people::standing::Grounds;
use crate::services::people::standings::{Subscribed, subscribe};
use crate::store::people::consent::Scribe;
use crate::store::people::refusals::RefusalBook;
use crate::store::people::standings;
use crate::store::people::topics::{self, Person, TopicRow};
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
}

/// Reads it as it is now. `None`: the contact or the list is gone.
///
/// # Errors
/// A query failed.
pub fn see(
    conn: &mut Conn,
    key: &LinkKey,
    list: ListId,
    contact: ContactId,
    mark: AddressMark,
) -> Result<Option<Asked>, StoreError> {
    let Some(person) = topics::person(conn, contact)?.filter(|person| !person.is_deleted) else { return Ok(None) };
    let Some(topic) = topics::find(conn, list)? else { return Ok(None) };
    let address = addresses_of(&person.keys).into_iter().find(|(_, address)| key.mark(address) == mark);
    Ok(Some(Asked { person, topic, address }))
}

/// Subscribes the contact inside the caller's write transaction, as its own act, if it still has the address that was asked.
/// Repeating it changes nothing. What it is about; its `address` says whether it was done.
///
/// # Errors
/// A query failed.
pub fn confirm(
    conn: &mut Conn,
    book: &RefusalBook,
    key: &LinkKey,
    (list, contact, mark): (ListId, ContactId, AddressMark),
    client: Client,
    request_id: Option<String>,
) -> Result<Option<Asked>, StoreError> {
    standings::hold(conn, &[contact])?;
    let Some(asked) = see(conn, key, list, contact, mark)? else { return Ok(None) };
    let Some(address) = &asked.address else { return Ok(Some(asked)) };
    let act = Act { client: Some(client), request_id, ..Act::of(Source::CONFIRMATION) };
    let scribe = Scribe { act: Arc::new(act), book: book.clone() };
    match subscribe(conn, &scribe, list, &[contact], Grounds::OwnAct, Some(address))? {
        Subscribed::Done(_) => Ok(Some(asked)),
        Subscribed::NoList | Subscribed::NoContacts(_) => Ok(None),
    }
}
