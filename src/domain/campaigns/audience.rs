//! The people that a campaign is for.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::ids::{CampaignId, ContactId, ListId, SegmentId};
use crate::domain::people::tag;
use crate::domain::segments::Criteria;

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
    /// The members of these segments.
    pub segments: Vec<SegmentId>,
    /// Those that these criteria take.
    pub filter: Option<Criteria>,
    /// Recipients of other campaigns, by what became of their messages.
    pub campaigns: Vec<CampaignPart>,
}

/// Some recipients of another campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CampaignPart {
    /// Which campaign.
    pub id: CampaignId,
    /// Which of its recipients.
    #[serde(default)]
    pub was: Became,
}

/// What became of a recipient of another campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Became {
    /// A provider took the message.
    #[default]
    Sent,
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
    /// Those who were members of any of these segments at the launch, and still are when they are packed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<SegmentId>,
    /// Those that these criteria take when they are packed: see docs/segments.md.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub filter: Option<Criteria>,
    /// Recipients of other campaigns, by what became of their messages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub campaigns: Vec<CampaignPart>,
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
    /// Those who are members of any of these segments when the page is packed that they would be on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<SegmentId>,
    /// Those that these criteria take: see docs/segments.md.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub filter: Option<Criteria>,
    /// Recipients of other campaigns to whom the message was sent, may have been sent, or will be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub campaigns: Vec<CampaignPart>,
}

impl Exclusion {
    /// Whether nobody is left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The audience names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("name an audience: lists, contact_ids, tags, segments, filter, campaigns, or all: true")]
pub struct NobodyNamed;

impl Inclusion {
    /// The criteria by which contacts are asked: none where all are named anyway.
    #[must_use]
    pub fn asked_filter(&self) -> Option<&Criteria> {
        self.filter.as_ref().filter(|_| !self.all)
    }

    /// Whether nothing but a filter names people.
    #[must_use]
    pub const fn is_only_filter(&self) -> bool {
        self.filter.is_some()
            && !self.all
            && self.lists.is_empty()
            && self.contact_ids.is_empty()
            && self.tags.is_empty()
            && self.segments.is_empty()
            && self.campaigns.is_empty()
    }

    /// In which ways people are named, as the fields of an [`AudienceForm`] are called: `lists`, or `lists+tags`.
    #[must_use]
    pub fn ways(&self) -> String {
        let ways = [
            ("all", self.all),
            ("lists", !self.lists.is_empty()),
            ("contact_ids", !self.contact_ids.is_empty()),
            ("tags", !self.tags.is_empty()),
            ("segments", !self.segments.is_empty()),
            ("filter", self.filter.is_some()),
            ("campaigns", !self.campaigns.is_empty()),
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

    /// The criteria that name people or leave them out.
    pub fn filters(&self) -> impl Iterator<Item = &Criteria> {
        self.include.filter.iter().chain(&self.exclude.filter)
    }

    /// Whether contacts have to be asked one by one.
    #[must_use]
    pub fn has_filter(&self) -> bool {
        self.include.asked_filter().is_some() || self.exclude.filter.is_some()
    }

    /// Whether only packing tells how many people there are: to count them takes too long for a launch, which others wait for, or
    /// who is meant may still change.
    #[must_use]
    pub fn is_counted_by_packing(&self) -> bool {
        self.has_filter() || !self.include.campaigns.is_empty() || !self.include.segments.is_empty()
    }

    /// The segments that are asked who is a member: by the audience itself, or by its filters.
    #[must_use]
    pub fn segments(&self) -> BTreeSet<SegmentId> {
        let named = self.include.segments.iter().chain(&self.exclude.segments).copied();
        named.chain(self.filters().flat_map(Criteria::segments)).collect()
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
        let AudienceForm { lists, contact_ids, tags, segments, filter, campaigns, all, exclude } = form;
        let include = Inclusion {
            all,
            lists: sorted(lists),
            contact_ids: sorted(contact_ids),
            tags: spelled(tags),
            segments: sorted(segments),
            filter,
            campaigns: sorted(campaigns),
        };
        if include == Inclusion::default() {
            return Err(NobodyNamed);
        }
        let exclude = Exclusion {
            lists: sorted(exclude.lists),
            contact_ids: sorted(exclude.contact_ids),
            tags: spelled(exclude.tags),
            segments: sorted(exclude.segments),
            filter: exclude.filter,
            campaigns: sorted(exclude.campaigns),
        };
        Ok(Self { include, exclude })
    }
}

impl From<Audience> for AudienceForm {
    fn from(audience: Audience) -> Self {
        let Audience { include, exclude } = audience;
        let Inclusion { all, lists, contact_ids, tags, segments, filter, campaigns } = include;
        Self { lists, contact_ids, tags, segments, filter, campaigns, all, exclude }
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
        let written =
            r#"{"filter":{"tag":"vip"},"campaigns":[{"id":7}],"exclude":{"campaigns":[{"id":8,"was":"sent"}]}}"#;
        let audience: Audience = serde_json::from_str(written).unwrap();
        assert_eq!(audience.include.ways(), "filter+campaigns");
        assert!(audience.has_filter());
        let of_segments =
            r#"{"segments":[3],"exclude":{"segments":[5],"filter":{"any":[{"segment":4},{"segment":5}]}}}"#;
        let members: Audience = serde_json::from_str(of_segments).unwrap();
        assert_eq!((members.include.ways(), members.is_counted_by_packing()), ("segments".to_owned(), true));
        assert_eq!(members.segments(), [3, 4, 5].map(SegmentId).into());
        let all: Audience = serde_json::from_str(r#"{"all":true,"filter":{"tag":"vip"}}"#).unwrap();
        assert!(!all.has_filter(), "everybody is named anyway");
        let stored = serde_json::to_value(&audience).unwrap();
        assert_eq!(stored["filter"], serde_json::json!({ "tag": "vip" }));
        assert_eq!(stored["campaigns"], serde_json::json!([{ "id": 7, "was": "sent" }]));
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
