//! A contact as stored, and how fields are taken over into it.

use std::collections::BTreeSet;

use diesel::prelude::*;

use crate::domain::ids::ContactId;
use crate::domain::instant::UtcInstant;
use crate::domain::people::contact::{Attributes, BuiltIn, ContactDraft, Fields, Profile};
use crate::domain::segments::criteria::ContactField;
use crate::domain::segments::topic::Topic;
use crate::store::StoreError;
use crate::store::engine::schema::contacts;
use crate::store::engine::touches::Touches;

/// A live contact. Holds personal data: never logged, hence no `Debug`.
#[derive(Clone, PartialEq, Queryable, QueryableByName, Selectable)]
#[diesel(table_name = contacts)]
pub struct ContactRow {
    /// Its id.
    pub id: ContactId,
    /// The built-in fields.
    #[diesel(embed)]
    pub fields: Fields,
    /// Everything else, as a JSON object.
    pub attributes: String,
    /// Rises with every change.
    pub version: i64,
    /// When it was created.
    pub created_at: UtcInstant,
    /// When it changed last.
    pub updated_at: UtcInstant,
    /// When it was introduced; 0: before that was kept. None: known by other means only.
    pub introduced_at: Option<UtcInstant>,
    /// Whether the person has said that they are not to be tracked.
    pub untracked: bool,
}

impl ContactRow {
    /// The attributes.
    ///
    /// # Errors
    /// What is stored is not a JSON object.
    pub fn attributes(&self) -> Result<Attributes, StoreError> {
        serde_json::from_str(&self.attributes)
            .map_err(|source| StoreError::Corrupt { what: "attributes of a contact", detail: source.to_string() })
    }

    /// The contact as a template sees it.
    ///
    /// # Errors
    /// See [`ContactRow::attributes`].
    pub fn profile(&self) -> Result<Profile, StoreError> {
        Ok(Profile { fields: self.fields.clone(), attributes: self.attributes()?, untracked: self.untracked })
    }

    pub(super) fn new(draft: &ContactDraft, now: UtcInstant) -> Self {
        let mut given = Attributes::new();
        merge_attributes(&mut given, &draft.attributes);
        Self {
            id: ContactId(0),
            fields: draft.fields.clone(),
            attributes: to_json(&given),
            version: 1,
            created_at: now,
            updated_at: now,
            introduced_at: Some(now),
            untracked: false,
        }
    }

    /// Notes what is different afterwards.
    pub(super) fn touch(&self, after: &Self, touches: &mut Touches) -> Result<(), StoreError> {
        for field in BuiltIn::ALL {
            if self.fields.get(*field) != after.fields.get(*field) {
                touches.add(self.id, Topic::Field(ContactField::BuiltIn(*field)));
            }
        }
        if self.attributes == after.attributes {
            return Ok(());
        }
        let (old, new) = (self.attributes()?, after.attributes()?);
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names.into_iter().filter(|name| old.get(*name) != new.get(*name)) {
            touches.add(self.id, Topic::Attribute(name.clone()));
        }
        Ok(())
    }

    /// Takes over fields and attributes; whether anything changed.
    pub(super) fn take(&mut self, draft: &ContactDraft) -> Result<bool, StoreError> {
        let mut changed = self.fields.take(&draft.fields);
        if !draft.attributes.is_empty() {
            let mut attributes = self.attributes()?;
            if merge_attributes(&mut attributes, &draft.attributes) {
                self.attributes = to_json(&attributes);
                changed = true;
            }
        }
        Ok(changed)
    }
}

/// `null` takes an attribute away. Whether anything changed.
fn merge_attributes(own: &mut Attributes, given: &Attributes) -> bool {
    let mut changed = false;
    for (name, value) in given {
        changed |= if value.is_null() {
            own.remove(name).is_some()
        } else {
            own.insert(name.clone(), value.clone()).as_ref() != Some(value)
        };
    }
    changed
}

fn to_json(attributes: &Attributes) -> String {
    serde_json::Value::Object(attributes.clone().into_iter().collect()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_takes_an_attribute_away_and_the_same_value_changes_nothing() {
        let mut own: Attributes = [("city".to_owned(), "Bonn".into()), ("tier".to_owned(), 1.into())].into();
        assert!(!merge_attributes(&mut own, &[("tier".to_owned(), 1.into())].into()));
        assert!(merge_attributes(&mut own, &[("city".to_owned(), serde_json::Value::Null)].into()));
        assert_eq!(to_json(&own), r#"{"tier":1}"#);
    }
}
