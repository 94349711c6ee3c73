//! The people that a campaign is for.

use serde::{Deserialize, Serialize};

use crate::domain::ids::{ContactId, ListId};
use crate::domain::people::tag;

/// Who a campaign is for: everybody who is named in any way, each once, less those who are left out in any way. Stored as an
/// [`AudienceForm`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "AudienceForm", into = "AudienceForm")]
pub struct Audience {
    /// Who is named: somebody is.
    pub include: Inclusion,
    /// Who is left out of them.
    pub exclude: Exclusion,
}

/// The people who are named, in any combination. Ids and names each once, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inclusion {
    /// Every live contact.
    pub all: bool,
    /// Those who are subscribed to any of these lists.
    pub lists: Vec<ListId>,
    /// These contacts.
    pub contact_ids: Vec<ContactId>,
    /// Those who have any of these tags.
    pub tags: Vec<String>,
}

/// An audience as it is stored and shown, with lists by their ids: everybody who is named in any of the ways, each once, less those who are
/// left out in any of them. Mailing everybody must be said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Audience)]
#[serde(deny_unknown_fields)]
pub struct AudienceForm {
    /// Those who are subscribed to any of these lists at the launch, and still are when they are packed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<ListId>,
    /// These contacts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contact_ids: Vec<ContactId>,
    /// Those who have any of these tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
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
    /// Those who are on any of these lists, also if they left it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<ListId>,
    /// These contacts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contact_ids: Vec<ContactId>,
    /// Those who have any of these tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

impl Exclusion {
    /// Whether nobody is left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty() && self.contact_ids.is_empty() && self.tags.is_empty()
    }
}

/// The audience names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("name an audience: lists, contact_ids, tags, or all: true")]
pub struct NobodyNamed;

impl Inclusion {
    /// In which ways people are named, as the fields of an [`AudienceForm`] are called: `lists`, or `lists+tags`.
    #[must_use]
    pub fn ways(&self) -> String {
        let ways = [
            ("all", self.all),
            ("lists", !self.lists.is_empty()),
            ("contact_ids", !self.contact_ids.is_empty()),
            ("tags", !self.tags.is_empty()),
        ];
        let used: Vec<&str> = ways.iter().filter(|(_, used)| *used).map(|(way, _)| *way).collect();
        used.join("+")
    }
}

impl Audience {
    fn including(include: Inclusion) -> Self {
        Self { include, exclude: Exclusion::default() }
    }

    /// These contacts, each once, in id order. There is at least one.
    #[must_use]
    pub fn of_contacts(contacts: Vec<ContactId>) -> Self {
        Self::including(Inclusion { contact_ids: sorted(contacts), ..Inclusion::default() })
    }

    /// Those who are subscribed to these lists. There is at least one.
    #[must_use]
    pub fn of_lists(lists: Vec<ListId>) -> Self {
        Self::including(Inclusion { lists: sorted(lists), ..Inclusion::default() })
    }

    /// Every live contact.
    #[must_use]
    pub fn everyone() -> Self {
        Self::including(Inclusion { all: true, ..Inclusion::default() })
    }
}

/// Each once, in order: two ways to say the same are stored the same.
fn sorted<T: Ord>(mut ids: Vec<T>) -> Vec<T> {
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Tags in the spelling that they are stored in. What is no tag stays as it is: there is none of this name.
fn spelled(tags: Vec<String>) -> Vec<String> {
    sorted(tags.into_iter().map(|written| tag::parse(&written).unwrap_or(written)).collect())
}

impl TryFrom<AudienceForm> for Audience {
    type Error = NobodyNamed;

    /// # Errors
    /// Nobody is named.
    fn try_from(form: AudienceForm) -> Result<Self, NobodyNamed> {
        let AudienceForm { lists, contact_ids, tags, all, exclude } = form;
        if lists.is_empty() && contact_ids.is_empty() && tags.is_empty() && !all {
            return Err(NobodyNamed);
        }
        let Exclusion { lists: no_lists, contact_ids: no_contacts, tags: no_tags } = exclude;
        Ok(Self {
            include: Inclusion { all, lists: sorted(lists), contact_ids: sorted(contact_ids), tags: spelled(tags) },
            exclude: Exclusion { lists: sorted(no_lists), contact_ids: sorted(no_contacts), tags: spelled(no_tags) },
        })
    }
}

impl From<Audience> for AudienceForm {
    fn from(audience: Audience) -> Self {
        let Audience { include: Inclusion { all, lists, contact_ids, tags }, exclude } = audience;
        Self { lists, contact_ids, tags, all, exclude }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audience_names_people_in_any_combination_of_ways() {
        let read = Audience::try_from;
        assert_eq!(read(AudienceForm::default()), Err(NobodyNamed));
        let nobody = AudienceForm {
            exclude: Exclusion { tags: vec!["vip".to_owned()], ..Exclusion::default() },
            ..AudienceForm::default()
        };
        assert_eq!(read(nobody), Err(NobodyNamed), "to leave somebody out names nobody");
        let both = AudienceForm { all: true, lists: vec![ListId(1)], ..AudienceForm::default() };
        assert_eq!(read(both).unwrap().include.ways(), "all+lists");
        assert_eq!(read(AudienceForm { all: true, ..AudienceForm::default() }), Ok(Audience::everyone()));
    }

    #[test]
    fn two_ways_to_say_the_same_are_stored_the_same() {
        let written = r#"{"lists":[2,1,2],"tags":["b"," A","b"],"exclude":{"contact_ids":[9,3,9]}}"#;
        let audience: Audience = serde_json::from_str(written).unwrap();
        assert_eq!(audience.include.lists, [ListId(1), ListId(2)]);
        let stored = serde_json::to_string(&audience).unwrap();
        assert_eq!(stored, r#"{"lists":[1,2],"tags":["a","b"],"exclude":{"contact_ids":[3,9]}}"#);
        assert_eq!(serde_json::to_string(&Audience::everyone()).unwrap(), r#"{"all":true}"#);
    }

    #[test]
    fn what_an_older_version_has_stored_is_read_as_it_was_meant() {
        for (stored, expected) in [
            (r#"{"all":true}"#, Audience::everyone()),
            (r#"{"lists":[3]}"#, Audience::of_lists(vec![ListId(3)])),
            (r#"{"contact_ids":[4,5]}"#, Audience::of_contacts(vec![ContactId(4), ContactId(5)])),
        ] {
            assert_eq!(serde_json::from_str::<Audience>(stored).unwrap(), expected);
        }
    }
}
