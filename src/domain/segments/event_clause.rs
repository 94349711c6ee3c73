//! Clauses on what a contact did, and on what happened to it.

use super::comparison::Comparison;
use super::decision::{Decision, and};
use crate::domain::ids::{CampaignId, LinkNumber, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::span::Span;
use crate::domain::text_enum::text_enum;

/// The most often that a clause counts.
pub const MAX_COUNT: u32 = 1_000;

/// Events of one kind: a name, and what holds of their properties.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventKind {
    /// The name.
    pub name: String,
    /// What holds of the properties, all of it.
    pub conditions: Vec<Condition>,
    /// Only of messages of campaigns to this list: their property `campaign_id` is such a campaign.
    pub to_list: Option<ListId>,
}

/// What holds of one property of an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Condition {
    /// The names from the outermost object inwards.
    pub path: Vec<String>,
    /// What holds. Never of the kind that depends on time, and never without regard to case.
    pub comparison: Comparison,
}

impl Condition {
    /// Whether it holds of properties.
    #[must_use]
    pub fn holds(&self, properties: &serde_json::Value) -> bool {
        let value = self.path.iter().try_fold(properties, |value, name| value.as_object()?.get(name));
        self.comparison.decide(value, UtcInstant(0)).matches
    }
}

/// How many events there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantity {
    /// So many, or more. At least 1.
    AtLeast(u32),
    /// Fewer than so many. At least 1: fewer than one is none.
    FewerThan(u32),
    /// Exactly so many. At least 1.
    Exactly(u32),
}

/// How many events of one kind there are, at all or in the last stretch of time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventClause {
    /// Which events.
    pub kind: EventKind,
    /// How many of them.
    pub quantity: Quantity,
    /// Only those that occurred less than this long ago.
    pub within: Option<Span>,
    /// What was said, where it was said of messages.
    pub engagement: Option<Engagement>,
}

text_enum! {
    /// What the recipient of a message did, or what became of the message.
    EngagementKind {
        /// It was opened by a person.
        Opened = "opened",
        /// A link in it was followed by a person.
        Clicked = "clicked",
        /// The address does not take mail, for now or at all.
        SoftBounced = "soft_bounced",
        /// The address does not exist.
        HardBounced = "hard_bounced",
        /// The recipient called it unwanted.
        Complained = "complained",
        /// The recipient answered.
        Replied = "replied",
        /// The recipient refused more of it.
        Unsubscribed = "unsubscribed",
    }
}

/// A clause on messages, as it was said. It means events named `message.*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Engagement {
    /// What happened.
    pub kind: EngagementKind,
    /// Only of this campaign.
    pub campaign: Option<CampaignId>,
    /// Only this link. Of clicks alone.
    pub link: Option<LinkNumber>,
    /// Whether opens and clicks by machines count, too.
    pub machines: bool,
}

impl EventClause {
    /// The answer from the times of the newest events: `occurred` says when the n-th newest one of the kind did.
    pub(super) fn decide(&self, occurred: impl Fn(u32) -> Option<UtcInstant>, now: UtcInstant) -> Decision {
        let at_least = |n| self.newest(occurred(n), now);
        match self.quantity {
            Quantity::AtLeast(n) => at_least(n),
            Quantity::FewerThan(n) => at_least(n).not(),
            Quantity::Exactly(n) => and(at_least(n), at_least(n.saturating_add(1)).not()),
        }
    }

    /// Whether the n-th newest event is there, and in the window.
    fn newest(&self, occurred: Option<UtcInstant>, now: UtcInstant) -> Decision {
        match (occurred, self.within) {
            (None, _) => Decision::NO,
            (Some(_), None) => Decision::fixed(true),
            (Some(at), Some(window)) => {
                let end = at.plus_ms(window.as_ms());
                if now < end { Decision { matches: true, timer: Some(end) } } else { Decision::NO }
            }
        }
    }

    /// Which of the newest events it asks for, from 1.
    pub(super) fn places(&self) -> impl Iterator<Item = u32> + use<> {
        let (first, second) = match self.quantity {
            Quantity::AtLeast(n) | Quantity::FewerThan(n) => (n, None),
            Quantity::Exactly(n) => (n, Some(n.saturating_add(1))),
        };
        std::iter::once(first).chain(second)
    }

    /// Whether it can hold of a contact without such events.
    #[must_use]
    pub const fn takes_none(&self) -> bool {
        matches!(self.quantity, Quantity::FewerThan(_))
    }
}
