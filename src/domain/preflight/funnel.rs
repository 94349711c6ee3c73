//! The steps between the people that an audience names and the messages that go out.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::dispatch::delivery::SkipReason;

/// How many people are left at each step. `named = excluded + recipients`, and
/// `recipients = unreachable + suppressed + refused + unrenderable + messages`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Funnel {
    /// People that the audience names in any way, each once.
    pub named: i64,
    /// Of them, how many are named by more than one source: each list, tag, segment and earlier campaign is one, and so are the
    /// filter, the ids and `all`.
    pub in_several_sources: i64,
    /// Of them, how many the audience leaves out.
    pub excluded: i64,
    /// Those who are left: a launch packs them.
    pub recipients: i64,
    /// Of the recipients, how many the channel cannot reach.
    pub unreachable: i64,
    /// Of the recipients, how many have an address to which nothing is sent.
    pub suppressed: i64,
    /// Of the recipients, how many have refused what the campaign is about, or never agreed to it.
    pub refused: i64,
    /// The same three by reason, as `skipped_by_reason` of a campaign has them.
    #[schema(value_type = BTreeMap<String, i64>)]
    pub skipped_by_reason: BTreeMap<&'static str, i64>,
    /// Of the recipients, how many messages cannot be made.
    pub unrenderable: i64,
    /// Messages that will be handed over.
    pub messages: i64,
}

/// The step at which somebody is lost who is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The channel cannot reach them.
    Unreachable,
    /// Nothing is sent to their address.
    Suppressed,
    /// They have refused, or never agreed.
    Refused,
    /// The campaign was stopped first: no preflight says so.
    Stopped,
}

impl Lost {
    /// The step of a reason.
    #[must_use]
    pub fn to(reason: SkipReason) -> Self {
        match reason {
            SkipReason::NoAddress | SkipReason::ContactDeleted => Self::Unreachable,
            SkipReason::Suppressed => Self::Suppressed,
            SkipReason::Unsubscribed | SkipReason::Unconfirmed | SkipReason::NotSubscribed => Self::Refused,
            SkipReason::Stopped => Self::Stopped,
        }
    }
}

impl Funnel {
    /// Adds people of a stretch: how many are named, how many of them by several sources, and how many are left out.
    pub fn name(&mut self, named: i64, in_several_sources: i64, excluded: i64) {
        self.named += named;
        self.in_several_sources += in_several_sources;
        self.excluded += excluded;
    }

    /// Adds a recipient who gets a message.
    pub fn send(&mut self) {
        self.recipients += 1;
        self.messages += 1;
    }

    /// Adds a recipient whose message cannot be made.
    pub fn fail(&mut self) {
        self.recipients += 1;
        self.unrenderable += 1;
    }

    /// Adds a recipient who gets none for this reason.
    pub fn skip(&mut self, reason: SkipReason) {
        self.recipients += 1;
        *self.skipped_by_reason.entry(reason.as_str()).or_default() += 1;
        match Lost::to(reason) {
            Lost::Unreachable | Lost::Stopped => self.unreachable += 1,
            Lost::Suppressed => self.suppressed += 1,
            Lost::Refused => self.refused += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipient_is_at_one_step() {
        let mut funnel = Funnel::default();
        funnel.name(11, 2, 1);
        for reason in SkipReason::ALL {
            funnel.skip(*reason);
        }
        funnel.send();
        funnel.send();
        funnel.fail();
        let Funnel { named, excluded, recipients, unreachable, suppressed, refused, unrenderable, messages, .. } =
            funnel;
        assert_eq!(named, excluded + recipients);
        assert_eq!(recipients, unreachable + suppressed + refused + unrenderable + messages);
        assert_eq!((unreachable, suppressed, refused, unrenderable, messages), (3, 1, 3, 1, 2));
        assert_eq!(funnel.skipped_by_reason.values().sum::<i64>(), unreachable + suppressed + refused);
    }
}
