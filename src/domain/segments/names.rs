//! What criteria name: slugs and ids. Slugs are looked up when criteria are saved, and ids are stored, so that a changed slug changes no
//! rule.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::tree::{MAX_CLAUSES, MAX_DEPTH};
use crate::domain::ids::{CampaignId, ListId, SegmentId};
use crate::domain::people::slug;

/// The slugs that criteria name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slugs {
    /// Of lists.
    pub lists: BTreeSet<String>,
    /// Of segments.
    pub segments: BTreeSet<String>,
}

/// The ids of slugs that exist.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ids {
    /// Of lists.
    pub lists: HashMap<String, ListId>,
    /// Of segments.
    pub segments: HashMap<String, SegmentId>,
}

/// The slugs in criteria, be these valid or not: those of the first clauses, as far as criteria may go. More are refused anyway.
#[must_use]
pub fn slugs(criteria: &Value) -> Slugs {
    let mut slugs = Slugs::default();
    each(&mut criteria.clone(), "", MAX_DEPTH + 1, &mut |kind, place, _| {
        let Value::String(slug) = place else { return };
        if slugs.lists.len() + slugs.segments.len() > MAX_CLAUSES || slug::check(slug).is_err() {
            return;
        }
        match kind {
            Kind::List => slugs.lists.insert(slug.clone()),
            Kind::Segment => slugs.segments.insert(slug.clone()),
            Kind::Campaign => false,
        };
    });
    slugs
}

/// What criteria name by ids, each with the JSON pointer to the place where it is named first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named {
    /// Lists.
    pub lists: BTreeMap<ListId, String>,
    /// Segments.
    pub segments: BTreeMap<SegmentId, String>,
    /// Campaigns.
    pub campaigns: BTreeMap<CampaignId, String>,
}

/// The ids in criteria.
#[must_use]
pub fn named(criteria: &Value) -> Named {
    let mut named = Named::default();
    each(&mut criteria.clone(), "", MAX_DEPTH + 1, &mut |kind, place, pointer| {
        let Some(id) = place.as_i64() else { return };
        let first = match kind {
            Kind::List => named.lists.entry(ListId(id)).or_default(),
            Kind::Segment => named.segments.entry(SegmentId(id)).or_default(),
            Kind::Campaign => named.campaigns.entry(CampaignId(id)).or_default(),
        };
        if first.is_empty() {
            pointer.clone_into(first);
        }
    });
    named
}

/// Puts ids in the places of slugs. A slug that nothing has stays, and is refused when the criteria are read.
pub fn put_ids(criteria: &mut Value, ids: &Ids) {
    each(criteria, "", MAX_DEPTH + 1, &mut |kind, place, _| {
        let Value::String(slug) = place else { return };
        let id = match kind {
            Kind::List => ids.lists.get(slug).map(|id| id.0),
            Kind::Segment => ids.segments.get(slug).map(|id| id.0),
            Kind::Campaign => None,
        };
        if let Some(id) = id {
            *place = id.into();
        }
    });
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    List,
    Segment,
    Campaign,
}

/// Visits the places where an id or a slug may stand, with their JSON pointers, so many levels down: what is deeper is refused anyway.
fn each(node: &mut Value, pointer: &str, levels: usize, see: &mut impl FnMut(Kind, &mut Value, &str)) {
    let (Some(levels), Value::Object(entries)) = (levels.checked_sub(1), node) else { return };
    for (key, inner) in entries {
        let mut see_inside = |kind, inner: &mut Value, name: &str| {
            if let Some(place) = inner.get_mut(name) {
                see(kind, place, &format!("{pointer}/{key}/{name}"));
            }
        };
        match key.as_str() {
            "list" => see_inside(Kind::List, inner, "id"),
            "message" => {
                see_inside(Kind::List, inner, "list");
                see_inside(Kind::Campaign, inner, "campaign");
            }
            "segment" => see(Kind::Segment, inner, &format!("{pointer}/{key}")),
            "not" => each(inner, &format!("{pointer}/{key}"), levels, see),
            "all" | "any" => {
                for (number, item) in inner.as_array_mut().into_iter().flatten().enumerate() {
                    each(item, &format!("{pointer}/{key}/{number}"), levels, see);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_take_the_places_of_slugs() {
        let mut criteria = json!({ "all": [
            { "list": { "id": "news" } },
            { "not": { "any": [{ "segment": "vip" }, { "message": { "event": "opened", "list": "news" } }] } },
            { "segment": 3 },
            { "tag": "news" },
            { "list": { "id": "nothing" } },
        ] });
        let named = slugs(&criteria);
        assert_eq!(named.lists.into_iter().collect::<Vec<_>>(), ["news", "nothing"]);
        assert_eq!(named.segments.into_iter().collect::<Vec<_>>(), ["vip"]);
        let ids = Ids {
            lists: HashMap::from([("news".to_owned(), ListId(7))]),
            segments: HashMap::from([("vip".to_owned(), SegmentId(8))]),
        };
        put_ids(&mut criteria, &ids);
        assert_eq!(
            criteria,
            json!({ "all": [
                { "list": { "id": 7 } },
                { "not": { "any": [{ "segment": 8 }, { "message": { "event": "opened", "list": 7 } }] } },
                { "segment": 3 },
                { "tag": "news" },
                { "list": { "id": "nothing" } },
            ] })
        );
    }

    #[test]
    fn ids_are_told_with_the_places_where_they_stand_first() {
        let criteria = json!({ "any": [
            { "list": { "id": 3 } },
            { "not": { "all": [{ "segment": 4 }, { "message": { "event": "opened", "campaign": 5 } }] } },
            { "message": { "event": "opened", "list": 3 } },
        ] });
        let named = named(&criteria);
        assert_eq!(named.lists, BTreeMap::from([(ListId(3), "/any/0/list/id".to_owned())]));
        assert_eq!(named.segments, BTreeMap::from([(SegmentId(4), "/any/1/not/all/0/segment".to_owned())]));
        let campaign = "/any/1/not/all/1/message/campaign".to_owned();
        assert_eq!(named.campaigns, BTreeMap::from([(CampaignId(5), campaign)]));
    }

    #[test]
    fn of_very_many_slugs_no_more_are_looked_up_than_criteria_may_have() {
        let clauses: Vec<Value> = (0..40_000).map(|n| json!({ "segment": format!("s-{n}") })).collect();
        let slugs = slugs(&json!({ "any": clauses }));
        assert_eq!(slugs.segments.len(), MAX_CLAUSES + 1);
        assert_eq!(super::slugs(&json!({ "segment": "no\u{0}slug" })), Slugs::default());
    }
}
