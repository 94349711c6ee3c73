//! What decisions about standings rest on: lists that are held, and how contacts stand on them.

use std::collections::{BTreeSet, HashMap};

use crate::domain::ids::{ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::Source;
use crate::domain::people::standing::Standing;
use crate::store::people::dialect;
use crate::store::people::dialect::standings::{OfContact, Topic};
use crate::store::{Conn, StoreError, engine};

/// A standing of a contact on a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandsOn {
    /// The list.
    pub list: ListId,
    /// The contact.
    pub contact: ContactId,
    /// How it stands.
    pub standing: Standing,
    /// When the person agreed, by an own act. None: it does not stand subscribed, or not by one.
    pub agreed_at: Option<UtcInstant>,
}

/// How contacts stand, on every list.
///
/// # Errors
/// The query failed.
pub fn of_contacts(conn: &mut Conn, contacts: &[ContactId]) -> Result<Vec<StandsOn>, StoreError> {
    let rows = dialect::standings::read_all(conn, contacts)?;
    Ok(rows.into_iter().map(StandsOn::from).collect())
}

impl From<OfContact> for StandsOn {
    fn from(row: OfContact) -> Self {
        let is_agreed = row.status == Standing::Subscribed
            && row.source.map(Source::stored).is_some_and(|source| source.is_own_act());
        Self {
            list: row.list_id,
            contact: row.contact_id,
            standing: row.status,
            agreed_at: row.status_at.filter(|_| is_agreed),
        }
    }
}

/// Lists, held until the transaction ends, and standings on them, which nobody else changes while their contacts are held.
#[derive(Default)]
pub struct Ground {
    lists: HashMap<ListId, Topic>,
    pub(super) standings: HashMap<(ListId, ContactId), Standing>,
    now: UtcInstant,
}

impl Ground {
    /// Holds these lists. `standings` are those of contacts that are held already, all that they have on these lists.
    ///
    /// # Errors
    /// A query failed.
    pub fn hold(
        conn: &mut Conn,
        lists: &BTreeSet<ListId>,
        standings: impl IntoIterator<Item = (ListId, ContactId, Standing)>,
    ) -> Result<Self, StoreError> {
        let standings = standings.into_iter().map(|(list, contact, standing)| ((list, contact), standing));
        let mut ground = Self { standings: standings.collect(), ..Self::default() };
        ground.hold_more(conn, lists)?;
        // No list was there to be held.
        if ground.lists.is_empty() {
            ground.now = engine::now(conn)?;
        }
        Ok(ground)
    }

    /// Holds lists besides. Another order than that of their ids: only for what is rare.
    ///
    /// # Errors
    /// The query failed.
    pub fn hold_more(&mut self, conn: &mut Conn, lists: &BTreeSet<ListId>) -> Result<(), StoreError> {
        let more: Vec<ListId> = lists.iter().filter(|list| !self.lists.contains_key(list)).copied().collect();
        for list in dialect::standings::hold_topics(conn, &more)? {
            // Behind the lock of the lists: who waited for a launch joins after it.
            self.now = self.now.max(list.held_at);
            self.lists.insert(list.id, list);
        }
        Ok(())
    }

    /// Holds these lists, and reads the standings of these pairs of list and contact. The contacts are held.
    ///
    /// # Errors
    /// A query failed.
    pub(super) fn read(
        conn: &mut Conn,
        lists: &BTreeSet<ListId>,
        pairs: BTreeSet<(ListId, ContactId)>,
    ) -> Result<Self, StoreError> {
        let mut ground = Self::hold(conn, lists, [])?;
        let rows = dialect::standings::read(conn, &pairs.into_iter().collect::<Vec<_>>())?;
        ground.standings.extend(rows.into_iter().map(|row| ((row.list_id, row.contact_id), row.status)));
        Ok(ground)
    }

    /// The database's clock, behind the locks.
    #[must_use]
    pub const fn now(&self) -> UtcInstant {
        self.now
    }

    /// Whether a list counts everybody who has not refused. `None`: there is no such list, or it is not held.
    #[must_use]
    pub fn counts_everybody(&self, list: ListId) -> Option<bool> {
        self.lists.get(&list).map(|list| list.default_opt_in)
    }

    /// Whether a list asks for a confirmation. `None`: there is no such list, or it is not held.
    pub(super) fn asks_for_confirmation(&self, list: ListId) -> Option<bool> {
        self.lists.get(&list).map(|list| list.double_opt_in)
    }
}
