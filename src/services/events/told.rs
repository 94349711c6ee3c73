//! An event as a program tells of it, and what becomes of it.

use crate::domain::events::EventName;
use crate::domain::ids::{ContactId, EventId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::contact::BuiltIn;
use crate::services::By;
use crate::store::people::contacts::strongest::ContactKeys;
use crate::store::people::lists::ListKey;

/// The key under which an event is stored once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// What the program gave.
    pub text: String,
    /// A hash of the event without its key.
    pub body_hash: String,
}

/// An event as a program tells of it. Holds personal data: never logged, hence no `Debug`.
#[derive(Clone)]
pub struct Told {
    /// Who tells. Its API key says which source the event is from.
    pub by: By,
    /// The key under which it is stored once.
    pub key: Option<Key>,
    /// What the program knows of the contact.
    pub contact: ContactKeys,
    /// Its name.
    pub name: EventName,
    /// What else is known of it, as a JSON object.
    pub properties: String,
    /// When it occurred. None: now.
    pub occurred_at: Option<UtcInstant>,
    /// The lists that the contact is subscribed to.
    pub lists: Vec<ListKey>,
}

/// An event that the database has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its id.
    pub event: EventId,
    /// Whether it was stored now. If not, it was stored before, under the same key.
    pub is_new: bool,
    /// Keys that belong to others, and were ignored.
    pub ignored: Vec<BuiltIn>,
}

/// Why an event is not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Another event was stored under its key.
    #[error("another event was stored under this key")]
    KeyReused,
    /// No living contact has this id.
    #[error("there is no contact {0}")]
    NoContact(ContactId),
    /// There is no such list.
    #[error("there is no such list")]
    NoList {
        /// Which one of those that it names, from 0.
        place: usize,
        /// What it is named by.
        name: ListKey,
    },
    /// It says that it occurs in the future.
    #[error("is more than 5 minutes ahead of {now}, the database's clock")]
    TooFarAhead {
        /// The database's clock.
        now: UtcInstant,
    },
    /// Another transaction is about the same contact or the same key.
    #[error("another request is changing the same contact; try again")]
    Busy,
}
