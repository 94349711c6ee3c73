//! The people that a campaign is for.

use serde::{Deserialize, Serialize};

use crate::domain::ids::{ContactId, ListId};

/// Who a campaign is for. Exactly one of the three ways to name people must be given; mailing everybody must be said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Audience {
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

impl Audience {
    /// An audience of these contacts, each once, in id order.
    #[must_use]
    pub fn of_contacts(mut contact_ids: Vec<ContactId>) -> Self {
        contact_ids.sort_unstable();
        contact_ids.dedup();
        Self { contact_ids, ..Self::default() }
    }

    /// Which way of naming people it uses, as its field is called.
    #[must_use]
    pub fn strategy(&self) -> &'static str {
        if self.all {
            "all"
        } else if self.lists.is_empty() {
            "contact_ids"
        } else {
            "lists"
        }
    }

    /// Checks that exactly one way of naming people is used.
    ///
    /// # Errors
    /// [`AudienceError`] when none or several are used.
    pub fn check(&self) -> Result<(), AudienceError> {
        let ways =
            [!self.lists.is_empty(), !self.contact_ids.is_empty(), self.all].into_iter().filter(|used| *used).count();
        match ways {
            0 => Err(AudienceError::Missing),
            1 => Ok(()),
            _ => Err(AudienceError::Ambiguous),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audience_names_people_in_exactly_one_way() {
        assert_eq!(Audience::default().check(), Err(AudienceError::Missing));
        let both = Audience { all: true, lists: vec![ListId(1)], ..Audience::default() };
        assert_eq!(both.check(), Err(AudienceError::Ambiguous));
        assert_eq!(Audience { all: true, ..Audience::default() }.check(), Ok(()));
    }
}
