//! How many of the people that an audience names a channel reaches.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ids::ContactId;

/// Most people who are named as examples.
const EXAMPLES: usize = 10;

/// What would become of the first people of an audience, in the order of their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reach {
    /// How many people that the audience names were looked at: about 20,000 at most.
    pub looked_at: i64,
    /// Whether these are all of them.
    pub complete: bool,
    /// Of them, how many the audience leaves out.
    pub excluded: i64,
    /// Of the others, how many have an address of the channel and may be written to as things are now.
    pub reached: i64,
    /// Of the others, how many get nothing, by reason: `no_address`, `suppressed`, `unsubscribed`, `unconfirmed`, `not_subscribed`, ….
    #[schema(value_type = BTreeMap<String, i64>)]
    pub skipped_by_reason: BTreeMap<&'static str, i64>,
    /// Some of those who are reached, at most 10.
    pub examples: Vec<ContactId>,
}

impl Reach {
    /// Adds somebody who is reached.
    pub fn reach(&mut self, contact: ContactId) {
        self.reached += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(contact);
        }
    }

    /// Adds somebody who gets nothing, for this reason.
    pub fn skip(&mut self, reason: &'static str) {
        *self.skipped_by_reason.entry(reason).or_default() += 1;
    }
}
