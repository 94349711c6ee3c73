//! The people that a campaign is for.

use serde::{Deserialize, Serialize};

use crate::domain::ids::{ContactId, ListId};

/// Who a campaign is for: the people of a source, less those who are left out. Stored as an [`AudienceForm`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "AudienceForm", into = "AudienceForm")]
pub struct Audience {
    /// Who is named.
    pub source: AudienceSource,
    /// Who is left out of them.
    pub exclude: Exclusion,
}

/// Where the people of an audience come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AudienceSource {
    /// Every live contact.
    All,
    /// Members of any of these lists: at least one, each once, in order.
    Lists(Vec<ListId>),
    /// These contacts: at least one, each once, in order.
    Contacts(Vec<ContactId>),
}

/// An audience as clients write it and as it is stored. Exactly one of `lists`, `contact_ids` and `all` is given; mailing
/// everybody must be said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Audience)]
#[serde(deny_unknown_fields)]
pub struct AudienceForm {
    /// Members of any of these lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<ListId>,
    /// These contacts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contact_ids: Vec<ContactId>,
    /// Every live contact.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Who is left out of the above.
    #[serde(default, skip_serializing_if = "Exclusion::is_empty")]
    pub exclude: Exclusion,
}

/// People left out of an audience.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Exclusion {
    /// Members of any of these lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<ListId>,
    /// These contacts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contact_ids: Vec<ContactId>,
}

impl Exclusion {
    /// Whether nobody is left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty() && self.contact_ids.is_empty()
    }
}

/// Why an audience cannot be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AudienceError {
    /// Nobody is named.
    #[error("name an audience: lists, contact_ids, or all: true")]
    Missing,
    /// Two ways of naming people were mixed.
    #[error("lists, contact_ids and all exclude one another: give one")]
    Ambiguous,
}

impl AudienceSource {
    /// Its kind, as the field of an [`AudienceForm`] is called.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Lists(_) => "lists",
            Self::Contacts(_) => "contact_ids",
        }
    }

    /// The lists that are named.
    #[must_use]
    pub fn lists(&self) -> &[ListId] {
        match self {
            Self::Lists(lists) => lists,
            Self::All | Self::Contacts(_) => &[],
        }
    }

    /// The contacts that are named one by one.
    #[must_use]
    pub fn contacts(&self) -> &[ContactId] {
        match self {
            Self::Contacts(contacts) => contacts,
            Self::All | Self::Lists(_) => &[],
        }
    }
}

impl Audience {
    /// These contacts, each once, in id order. There is at least one.
    #[must_use]
    pub fn of_contacts(contacts: Vec<ContactId>) -> Self {
        Self { source: AudienceSource::Contacts(sorted(contacts)), exclude: Exclusion::default() }
    }

    /// The members of these lists. There is at least one.
    #[must_use]
    pub fn of_lists(lists: Vec<ListId>) -> Self {
        Self { source: AudienceSource::Lists(sorted(lists)), exclude: Exclusion::default() }
    }

    /// Every live contact.
    #[must_use]
    pub fn everyone() -> Self {
        Self { source: AudienceSource::All, exclude: Exclusion::default() }
    }
}

/// Ids each once, in order: two ways to say the same are stored the same.
fn sorted<T: Ord>(mut ids: Vec<T>) -> Vec<T> {
    ids.sort_unstable();
    ids.dedup();
    ids
}

impl TryFrom<AudienceForm> for Audience {
    type Error = AudienceError;

    /// # Errors
    /// None or several of the ways to name people are used.
    fn try_from(form: AudienceForm) -> Result<Self, AudienceError> {
        let AudienceForm { lists, contact_ids, all, exclude } = form;
        let source = match (lists.is_empty(), contact_ids.is_empty(), all) {
            (true, true, true) => AudienceSource::All,
            (false, true, false) => AudienceSource::Lists(sorted(lists)),
            (true, false, false) => AudienceSource::Contacts(sorted(contact_ids)),
            (true, true, false) => return Err(AudienceError::Missing),
            (false, false, _) | (false, true, true) | (true, false, true) => return Err(AudienceError::Ambiguous),
        };
        let exclude = Exclusion { lists: sorted(exclude.lists), contact_ids: sorted(exclude.contact_ids) };
        Ok(Self { source, exclude })
    }
}

impl From<Audience> for AudienceForm {
    fn from(audience: Audience) -> Self {
        let form = Self { exclude: audience.exclude, ..Self::default() };
        match audience.source {
            AudienceSource::All => Self { all: true, ..form },
            AudienceSource::Lists(lists) => Self { lists, ..form },
            AudienceSource::Contacts(contact_ids) => Self { contact_ids, ..form },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audience_names_people_in_exactly_one_way() {
        let read = Audience::try_from;
        assert_eq!(read(AudienceForm::default()), Err(AudienceError::Missing));
        let both = AudienceForm { all: true, lists: vec![ListId(1)], ..AudienceForm::default() };
        assert_eq!(read(both), Err(AudienceError::Ambiguous));
        assert_eq!(read(AudienceForm { all: true, ..AudienceForm::default() }), Ok(Audience::everyone()));
    }

    #[test]
    fn two_ways_to_say_the_same_are_stored_the_same() {
        let written = r#"{"lists":[2,1,2],"exclude":{"contact_ids":[9,3,9]}}"#;
        let audience: Audience = serde_json::from_str(written).unwrap();
        assert_eq!(audience.source, AudienceSource::Lists(vec![ListId(1), ListId(2)]));
        let stored = serde_json::to_string(&audience).unwrap();
        assert_eq!(stored, r#"{"lists":[1,2],"exclude":{"contact_ids":[3,9]}}"#);
        assert_eq!(serde_json::to_string(&Audience::everyone()).unwrap(), r#"{"all":true}"#);
    }
}
