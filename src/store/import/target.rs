//! Where the contacts of an upload go.

use crate::domain::ids::ListId;
use crate::domain::people::standing::Grounds;
use crate::store::people::lists::{self, NewList};
use crate::store::{Conn, StoreError};

/// The list whose members the contacts of an upload become.
#[derive(Debug, Clone)]
pub enum Target {
    /// None.
    NoList,
    /// This one.
    List(ListId),
    /// One that is made together with the import.
    NewList(NewList),
}

impl Target {
    /// The list, which is made if it is a new one. `Err`: there is no such list.
    pub(super) fn list(&self, conn: &mut Conn) -> Result<Result<Option<ListId>, ListId>, StoreError> {
        Ok(match self {
            Self::NoList => Ok(None),
            Self::List(id) => lists::find(conn, *id)?.map(|_| Some(*id)).ok_or(*id),
            Self::NewList(new) => Ok(Some(lists::create(conn, new)?.list.id)),
        })
    }
}

/// What an import says of everybody's consent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportConsent {
    /// The people have confirmed it.
    pub confirmed: bool,
    /// Why refusals are overridden. None: they stay.
    pub resubscribe_reason: Option<String>,
}

impl ImportConsent {
    /// What the consent of the contacts rests on.
    #[must_use]
    pub const fn grounds(&self) -> Grounds {
        grounds(self.confirmed, self.resubscribe_reason.is_some())
    }
}

/// What consent rests on that an import brings.
pub(super) const fn grounds(is_confirmed: bool, is_overridden: bool) -> Grounds {
    match (is_overridden, is_confirmed) {
        (true, _) => Grounds::Overridden,
        (false, true) => Grounds::Confirmed,
        (false, false) => Grounds::Claimed,
    }
}
