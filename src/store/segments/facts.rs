//! What is known of contacts, as criteria ask for it.
//!
//! The database gives facts, and [`decide`](crate::domain::segments::decide::decide) answers from them. One statement reads the
//! contacts of a batch with their standings, their tags, and the times of their events, one sub-select for each fact about events; memberships
//! come as rows: nobody but the reader writes them. What is compared is compared by the application, but for the properties of events, of which there are too many
//! to read.

mod dialect;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::domain::ids::{ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::standing::Standing;
use crate::domain::segments::question::{EventFact, Facts, Question};
use crate::store::{Conn, StoreError};
use dialect::Known;

/// The facts of contacts, in the order of their ids. Contacts that are not there are left out; those that were deleted are not.
///
/// # Errors
/// A query failed, or what is stored is not readable.
pub fn of_contacts(conn: &mut Conn, question: &Arc<Question>, ids: &[ContactId]) -> Result<Vec<Facts>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut parts = dialect::parts(question.events()).into_iter();
    let rows = dialect::contacts(conn, ids, question, parts.next().unwrap_or_default())?;
    // Others may have been read with them.
    let asked: HashSet<ContactId> = ids.iter().copied().collect();
    let rows = rows.into_iter().filter(|row| asked.contains(&row.id));
    let mut facts: Vec<Facts> = rows.map(|row| row.read(question)).collect::<Result<_, _>>()?;
    for part in parts {
        add_events(conn, &mut facts, ids, part)?;
    }
    if !question.segments.is_empty() {
        let mut places: HashMap<ContactId, &mut Facts> = facts.iter_mut().map(|facts| (facts.contact, facts)).collect();
        for (contact, segment) in dialect::memberships(conn, ids, &question.segments)? {
            places.get_mut(&contact).map(|facts| facts.segments.insert(segment));
        }
    }
    Ok(facts)
}

/// Adds the times of more events than one statement reads.
fn add_events(conn: &mut Conn, facts: &mut [Facts], ids: &[ContactId], part: &[EventFact]) -> Result<(), StoreError> {
    let times: HashMap<ContactId, String> = dialect::events(conn, ids, part)?.into_iter().collect();
    for facts in facts {
        let read = times.get(&facts.contact).map(|times| times_of(times)).transpose()?;
        facts.events.extend(read.unwrap_or_else(|| vec![None; part.len()]));
    }
    Ok(())
}

impl Known {
    fn read(self, question: &Arc<Question>) -> Result<Facts, StoreError> {
        let attributes = if question.attributes.is_empty() {
            BTreeMap::new()
        } else {
            let mut json = serde_json::Deserializer::from_str(&self.attributes);
            Asked(&question.attributes).deserialize(&mut json).map_err(unreadable("attributes of a contact"))?
        };
        Ok(Facts {
            contact: self.id,
            living: self.living,
            created_at: self.created_at,
            fields: self.fields,
            attributes,
            lists: standings_of(&self.standings)?,
            tags: serde_json::from_str(&self.tags).map_err(unreadable("tags of a contact"))?,
            segments: BTreeSet::new(),
            events: times_of(&self.times)?,
            question: question.clone(),
        })
    }
}

fn unreadable(what: &'static str) -> impl FnOnce(serde_json::Error) -> StoreError {
    move |source| StoreError::Corrupt { what, detail: source.to_string() }
}

/// Reads standings from a list in JSON.
fn standings_of(json: &str) -> Result<BTreeMap<ListId, Standing>, StoreError> {
    let pairs: Vec<(ListId, Standing)> = serde_json::from_str(json).map_err(unreadable("standings of a contact"))?;
    Ok(pairs.into_iter().collect())
}

/// Reads times from a list in JSON.
fn times_of(json: &str) -> Result<Vec<Option<UtcInstant>>, StoreError> {
    let times: Vec<Option<i64>> = serde_json::from_str(json).map_err(unreadable("times of events"))?;
    Ok(times.into_iter().map(|time| time.map(UtcInstant)).collect())
}

/// Reads those attributes that are asked for, and passes over the others.
struct Asked<'a>(&'a BTreeSet<String>);

impl<'de> DeserializeSeed<'de> for Asked<'_> {
    type Value = BTreeMap<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Asked<'_> {
    type Value = BTreeMap<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut attributes = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if self.0.contains(&name) {
                attributes.insert(name, map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(attributes)
    }
}
