//! Messages that cannot be made, by the reason.

use serde::Serialize;
use utoipa::ToSchema;

use super::EXAMPLES;
use crate::domain::ids::ContactId;

/// Most reasons that are told apart.
const MOST: usize = 20;

/// What stands for all reasons beyond [`MOST`].
const OTHER: &str = "other reasons";

/// A reason why messages cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Failure {
    /// The reason, as a failed delivery would have it. It names no value of a contact.
    pub error: String,
    /// How many people it concerns.
    pub people: i64,
    /// The first of them, at most three.
    pub example_contact_ids: Vec<ContactId>,
}

/// Reasons and the people that they concern. At most so many that the result stays readable.
#[derive(Debug, Default)]
pub struct Failures(Vec<Failure>);

impl Failures {
    /// Notes why the message of a contact cannot be made.
    pub fn note(&mut self, contact: ContactId, error: String) {
        let error = match self.0.iter().any(|known| known.error == error) || self.0.len() + 1 < MOST {
            true => error,
            false => OTHER.to_owned(),
        };
        let known = match self.0.iter().position(|known| known.error == error) {
            Some(at) => self.0.get_mut(at),
            None => {
                self.0.push(Failure { error, people: 0, example_contact_ids: Vec::new() });
                self.0.last_mut()
            }
        };
        let Some(known) = known else { return };
        known.people += 1;
        if known.example_contact_ids.len() < EXAMPLES {
            known.example_contact_ids.push(contact);
        }
    }

    /// All of them, the most frequent first.
    #[must_use]
    pub fn into_list(mut self) -> Vec<Failure> {
        self.0.sort_by_key(|failure| std::cmp::Reverse(failure.people));
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_with_three_examples_and_the_rest_together() {
        let mut failures = Failures::default();
        for id in 0..50 {
            failures.note(ContactId(id), format!("text, line {id}: no"));
        }
        for id in 50..60 {
            failures.note(ContactId(id), "text, line 3: no".to_owned());
        }
        let list = failures.into_list();
        assert_eq!(list.len(), MOST);
        assert_eq!((list[0].error.as_str(), list[0].people), (OTHER, 31));
        assert_eq!((list[1].error.as_str(), list[1].people), ("text, line 3: no", 11));
        assert_eq!(list[1].example_contact_ids, [3, 50, 51].map(ContactId));
        assert_eq!(list.iter().map(|failure| failure.people).sum::<i64>(), 60);
    }
}
