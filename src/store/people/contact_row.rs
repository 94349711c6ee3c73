//! A contact as stored, and how fields are taken over into it.

use diesel::prelude::*;

use crate::domain::ids::ContactId;
use crate::domain::instant::UtcInstant;
use crate::domain::people::contact::{Attributes, BuiltIn, ContactDraft, Profile};
use crate::store::StoreError;
use crate::store::engine::schema::contacts;

/// A live contact. Holds personal data: never logged, hence no `Debug`.
#[derive(Clone, PartialEq, Queryable, QueryableByName, Selectable)]
#[diesel(table_name = contacts)]
pub struct ContactRow {
    /// Its id.
    pub id: ContactId,
    /// The client's own id.
    pub external_id: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// E.164 number.
    pub phone: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// IANA time zone name.
    pub timezone: Option<String>,
    /// BCP 47 language tag.
    pub locale: Option<String>,
    /// Everything else, as a JSON object.
    pub attributes: String,
    /// Rises with every change.
    pub version: i64,
    /// When it was created.
    pub created_at: UtcInstant,
    /// When it changed last.
    pub updated_at: UtcInstant,
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
        Ok(Profile {
            external_id: self.external_id.clone(),
            email: self.email.clone(),
            phone: self.phone.clone(),
            first_name: self.first_name.clone(),
            last_name: self.last_name.clone(),
            timezone: self.timezone.clone(),
            locale: self.locale.clone(),
            attributes: self.attributes()?,
        })
    }

    pub(super) fn new(draft: &ContactDraft, now: UtcInstant) -> Self {
        let mut row = Self {
            id: ContactId(0),
            external_id: None,
            email: None,
            phone: None,
            first_name: None,
            last_name: None,
            timezone: None,
            locale: None,
            attributes: "{}".to_owned(),
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let mut given = Attributes::new();
        merge_attributes(&mut given, &draft.attributes);
        row.take_fields(draft);
        row.attributes = to_json(&given);
        row
    }

    /// Takes over the fields that the draft has; whether anything changed.
    fn take_fields(&mut self, draft: &ContactDraft) -> bool {
        let mut changed = false;
        for (own, given) in [
            (&mut self.external_id, &draft.external_id),
            (&mut self.email, &draft.email),
            (&mut self.phone, &draft.phone),
            (&mut self.first_name, &draft.first_name),
            (&mut self.last_name, &draft.last_name),
            (&mut self.timezone, &draft.timezone),
            (&mut self.locale, &draft.locale),
        ] {
            if given.is_some() && own != given {
                own.clone_from(given);
                changed = true;
            }
        }
        changed
    }

    /// Takes over fields and attributes; whether anything changed.
    pub(super) fn take(&mut self, draft: &ContactDraft) -> Result<bool, StoreError> {
        let mut changed = self.take_fields(draft);
        if !draft.attributes.is_empty() {
            let mut attributes = self.attributes()?;
            if merge_attributes(&mut attributes, &draft.attributes) {
                self.attributes = to_json(&attributes);
                changed = true;
            }
        }
        Ok(changed)
    }

    pub(super) fn keys(&self) -> [Option<&str>; 3] {
        [self.external_id.as_deref(), self.email.as_deref(), self.phone.as_deref()]
    }

    pub(super) fn field_mut(&mut self, field: BuiltIn) -> &mut Option<String> {
        match field {
            BuiltIn::ExternalId => &mut self.external_id,
            BuiltIn::Email => &mut self.email,
            BuiltIn::Phone => &mut self.phone,
            BuiltIn::FirstName => &mut self.first_name,
            BuiltIn::LastName => &mut self.last_name,
            BuiltIn::Timezone => &mut self.timezone,
            BuiltIn::Locale => &mut self.locale,
        }
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
