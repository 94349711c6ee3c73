//! Placeholders for which people have no value.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::EXAMPLES;
use crate::domain::ids::ContactId;

/// A placeholder for which some people have no value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MissingValue {
    /// As the template names it, without `contact.`.
    pub placeholder: String,
    /// How many people who would get a message have no value for it.
    pub people: i64,
    /// The first of them, at most three.
    pub example_contact_ids: Vec<ContactId>,
}

/// Placeholders and who lacks them. Grows with the template, not with the audience.
#[derive(Debug, Default)]
pub struct MissingValues(BTreeMap<String, (i64, Vec<ContactId>)>);

impl MissingValues {
    /// Notes what a contact lacks.
    pub fn note(&mut self, contact: ContactId, placeholders: &[String]) {
        for placeholder in placeholders {
            let (people, examples) = match self.0.get_mut(placeholder) {
                Some(known) => known,
                None => self.0.entry(placeholder.clone()).or_default(),
            };
            *people += 1;
            if examples.len() < EXAMPLES {
                examples.push(contact);
            }
        }
    }

    /// All of them, the most frequent first.
    #[must_use]
    pub fn into_list(self) -> Vec<MissingValue> {
        let each =
            |(placeholder, (people, example_contact_ids))| MissingValue { placeholder, people, example_contact_ids };
        let mut all: Vec<MissingValue> = self.0.into_iter().map(each).collect();
        all.sort_by_key(|value| std::cmp::Reverse(value.people));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_comes_first_with_three_examples() {
        let mut missing = MissingValues::default();
        for id in 1..=5 {
            missing.note(ContactId(id), &["first_name".to_owned()]);
        }
        missing.note(ContactId(6), &["city".to_owned(), "first_name".to_owned()]);
        let list = missing.into_list();
        let first = MissingValue {
            placeholder: "first_name".to_owned(),
            people: 6,
            example_contact_ids: [1, 2, 3].map(ContactId).to_vec(),
        };
        assert_eq!(list[0], first);
        assert_eq!((list[1].placeholder.as_str(), list[1].people), ("city", 1));
    }
}
