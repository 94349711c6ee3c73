//! Slugs in criteria. They are looked up when criteria are saved, and ids are stored, so that a changed slug changes no rule.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::tree::MAX_DEPTH;
use crate::domain::ids::{ListId, SegmentId};

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

/// The slugs in criteria, be they valid or not.
#[must_use]
pub fn slugs(criteria: &Value) -> Slugs {
    let mut slugs = Slugs::default();
    each(&mut criteria.clone(), MAX_DEPTH + 1, &mut |kind, place| {
        if let Value::String(slug) = place {
            let slugs = match kind {
                Kind::List => &mut slugs.lists,
                Kind::Segment => &mut slugs.segments,
            };
            slugs.insert(slug.clone());
        }
    });
    slugs
}

/// Puts ids in the places of slugs. A slug that nothing has stays, and is refused when the criteria are read.
pub fn put_ids(criteria: &mut Value, ids: &Ids) {
    each(criteria, MAX_DEPTH + 1, &mut |kind, place| {
        let Value::String(slug) = place else { return };
        let id = match kind {
            Kind::List => ids.lists.get(slug).map(|id| id.0),
            Kind::Segment => ids.segments.get(slug).map(|id| id.0),
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
}

/// Visits the places where an id or a slug may stand, so many levels down: what is deeper is refused anyway.
fn each(node: &mut Value, levels: usize, see: &mut impl FnMut(Kind, &mut Value)) {
    let (Some(levels), Value::Object(entries)) = (levels.checked_sub(1), node) else { return };
    for (key, inner) in entries {
        match key.as_str() {
            "all" | "any" => {
                for item in inner.as_array_mut().into_iter().flatten() {
                    each(item, levels, see);
                }
            }
            "not" => each(inner, levels, see),
            "segment" => see(Kind::Segment, inner),
            "list" => inner.get_mut("id").into_iter().for_each(|id| see(Kind::List, id)),
            "message" => inner.get_mut("list").into_iter().for_each(|id| see(Kind::List, id)),
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
}
