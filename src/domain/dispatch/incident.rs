//! Incidents: uncertain deliveries that have the same cause. An operator looks into a cause, not into a thousand rows.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};

use super::abandoned::{DIED_TWICE, ENDED_BEFORE_ANSWER, RECORD_LOST};
use super::delivery::ErrorCategory;
use super::lease::LeaseToken;
use crate::domain::ids::{CampaignId, ContactId, InstanceId};
use crate::domain::instant::UtcInstant;
use crate::domain::text_enum::text_enum;

const MINUTE_MS: i64 = 60_000;

/// Most recipients that are named as examples.
const MOST_EXAMPLES: usize = 5;

/// What makes deliveries one incident: the campaign, the minute in which they became uncertain, the instance that had them, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IncidentKey {
    /// The campaign.
    pub campaign: CampaignId,
    /// Minutes since 1970 UTC.
    pub minute: i64,
    /// The instance, as the lease named it; 0: none is named.
    pub instance: InstanceId,
    /// A hash of the reason.
    pub reason: u32,
}

impl IncidentKey {
    /// Reads one as it is written: `7-29876543-3-0badcafe`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut number = || {
            let part = parts.next().filter(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
            part.and_then(|part| part.parse::<i64>().ok())
        };
        let (campaign, minute, instance) = (number()?, number()?, number()?);
        let reason = parts.next().filter(|part| part.len() == 8 && !part.starts_with('+'))?;
        let reason = u32::from_str_radix(reason, 16).ok()?;
        let is_whole = campaign > 0 && minute.checked_mul(MINUTE_MS).is_some() && parts.next().is_none();
        is_whole.then_some(Self { campaign: CampaignId(campaign), minute, instance: InstanceId(instance), reason })
    }

    /// The beginning of its minute.
    #[must_use]
    pub fn at(self) -> UtcInstant {
        UtcInstant(self.minute.saturating_mul(MINUTE_MS))
    }

    /// The instance, where the lease named one.
    #[must_use]
    pub fn owner(self) -> Option<InstanceId> {
        Some(self.instance).filter(|id| id.0 > 0)
    }
}

impl fmt::Display for IncidentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { campaign, minute, instance, reason } = self;
        write!(f, "{campaign}-{minute}-{instance}-{reason:08x}")
    }
}

/// An uncertain delivery.
#[derive(Debug, Clone)]
pub struct Doubtful {
    /// The campaign.
    pub campaign: CampaignId,
    /// The recipient.
    pub contact: ContactId,
    /// Why it is uncertain.
    pub reason: Option<String>,
    /// What kind of trouble that was.
    pub category: Option<ErrorCategory>,
    /// The lease under which it was handed over, where that is still known.
    pub token: Option<LeaseToken>,
    /// When it was last claimed.
    pub claimed_at: Option<UtcInstant>,
    /// When it became uncertain.
    pub settled_at: Option<UtcInstant>,
}

impl Doubtful {
    /// The incident that it belongs to.
    #[must_use]
    pub fn incident(&self) -> IncidentKey {
        let instance = self.token.and_then(LeaseToken::owner).unwrap_or(InstanceId(0));
        let at = self.settled_at.or(self.claimed_at).map_or(0, |at| at.0.max(0));
        let category = self.category.map_or("", ErrorCategory::as_str);
        let hash = Sha256::digest(format!("{category}\n{}", self.reason.as_deref().unwrap_or_default()));
        let reason = hash.iter().take(4).fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        IncidentKey { campaign: self.campaign, minute: at / MINUTE_MS, instance, reason }
    }
}

/// From when to when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub first: UtcInstant,
    /// The last.
    pub last: UtcInstant,
}

impl Span {
    const fn at(at: UtcInstant) -> Self {
        Self { first: at, last: at }
    }

    fn with(self, at: UtcInstant) -> Self {
        Self { first: UtcInstant(self.first.0.min(at.0)), last: UtcInstant(self.last.0.max(at.0)) }
    }
}

/// Uncertain deliveries of one cause.
#[derive(Debug, Clone)]
pub struct Incident {
    /// What they have in common.
    pub key: IncidentKey,
    /// Why they are uncertain.
    pub reason: Option<String>,
    /// What kind of trouble that was.
    pub category: Option<ErrorCategory>,
    /// How many there are.
    pub count: i64,
    /// When they were claimed: their hand-overs began right after that.
    pub claimed: Option<Span>,
    /// When they became uncertain.
    pub settled: Option<Span>,
    /// Some of the recipients, by id, at most five.
    pub examples: Vec<ContactId>,
}

/// The incidents of some deliveries, the newest first.
#[must_use]
pub fn incidents(deliveries: impl IntoIterator<Item = Doubtful>) -> Vec<Incident> {
    let mut all = BTreeMap::<IncidentKey, Incident>::new();
    for delivery in deliveries {
        let key = delivery.incident();
        let incident = all.entry(key).or_insert_with(|| Incident {
            key,
            reason: delivery.reason.clone(),
            category: delivery.category,
            count: 0,
            claimed: None,
            settled: None,
            examples: Vec::new(),
        });
        incident.count += 1;
        let stretch = |span: Option<Span>, at: Option<UtcInstant>| match (span, at) {
            (Some(span), Some(at)) => Some(span.with(at)),
            (None, at) => at.map(Span::at),
            (span, None) => span,
        };
        incident.claimed = stretch(incident.claimed, delivery.claimed_at);
        incident.settled = stretch(incident.settled, delivery.settled_at);
        incident.examples.push(delivery.contact);
        incident.examples.sort_unstable();
        incident.examples.truncate(MOST_EXAMPLES);
    }
    let mut all: Vec<Incident> = all.into_values().collect();
    all.sort_by_key(|incident| std::cmp::Reverse((incident.key.minute, incident.key)));
    all
}

text_enum! {
    /// Whether a journal may still decide an incident.
    Journal {
        /// The provider's answer itself was unclear: no journal knows more.
        KnowsNoMore = "knows_no_more",
        /// The instance that had the deliveries is still running, and its own outcomes may come late.
        Running = "running",
        /// The instance has ended, and its journal was not read since. A start with the same data folder reads it.
        Unread = "unread",
        /// An instance has started with the same data folder since, and has read the journal.
        Read = "read",
        /// It is not known any more which instance had the deliveries.
        OwnerUnknown = "owner_unknown",
    }
}

/// What is known of the instance that had deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerStands {
    /// It is running.
    Running,
    /// It is not, and nothing has started with its data folder since.
    Gone,
    /// It is not, and another one has started with its data folder since.
    Succeeded,
}

impl Journal {
    /// Whether the owner's journal may still decide what is uncertain for this reason.
    #[must_use]
    pub fn of(reason: Option<&str>, category: Option<ErrorCategory>, owner: Option<OwnerStands>) -> Self {
        // An answer of a provider has a category. Only what was written down without its owner can be known better by that owner: it had
        // left, or the delivery ended at a later claim, before anything was heard of the first.
        let without_owner = [ENDED_BEFORE_ANSWER, DIED_TWICE, RECORD_LOST];
        if category.is_some() && !reason.is_some_and(|reason| without_owner.contains(&reason)) {
            return Self::KnowsNoMore;
        }
        match owner {
            None => Self::OwnerUnknown,
            Some(OwnerStands::Running) => Self::Running,
            Some(OwnerStands::Gone) => Self::Unread,
            Some(OwnerStands::Succeeded) => Self::Read,
        }
    }

    /// Whether it is worth waiting for.
    #[must_use]
    pub const fn may_decide(self) -> bool {
        match self {
            Self::Running | Self::Unread => true,
            Self::KnowsNoMore | Self::Read | Self::OwnerUnknown => false,
        }
    }

    /// What that means, in a sentence for people.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::KnowsNoMore => {
                "The provider's answer was written down as it came, and it is unclear: no journal knows more."
            }
            Self::Running => {
                "The instance that made the calls is still running: if it hears the answers, it writes them down by itself."
            }
            Self::Unread => {
                "The journal of the instance that made the calls has not been read yet. Start an instance with its data folder: \
                 what the journal knows is then settled by itself."
            }
            Self::Read => {
                "The journal of the instance that made the calls has been read, and does not know how these ended."
            }
            Self::OwnerUnknown => "It is not known any more which instance made the calls.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubtful(contact: i64, reason: &str, instance: i64, settled_ms: i64) -> Doubtful {
        Doubtful {
            campaign: CampaignId(7),
            contact: ContactId(contact),
            reason: Some(reason.to_owned()),
            category: Some(ErrorCategory::Unexpected),
            token: Some(LeaseToken::made_for(InstanceId(instance), 1 << 40)),
            claimed_at: Some(UtcInstant(settled_ms - 50)),
            settled_at: Some(UtcInstant(settled_ms)),
        }
    }

    #[test]
    fn what_has_one_cause_is_one_incident_and_the_newest_comes_first() {
        let mut rows: Vec<Doubtful> = (1..=7).map(|contact| doubtful(contact, "cut", 3, 120_000 + contact)).collect();
        rows.push(doubtful(8, "silence", 3, 120_010));
        rows.push(doubtful(9, "cut", 4, 120_010));
        rows.push(doubtful(10, "cut", 3, 180_000));
        let found = incidents(rows.into_iter().rev());
        let counts: Vec<(i64, i64, i64)> =
            found.iter().map(|one| (one.key.minute, one.key.instance.0, one.count)).collect();
        assert_eq!(counts[0], (3, 3, 1));
        assert_eq!(counts.len(), 4, "{counts:?}");
        let large = found.iter().find(|one| one.count == 7).unwrap();
        assert_eq!(large.examples, [1, 2, 3, 4, 5].map(ContactId));
        let span = |first, last| Some(Span { first: UtcInstant(first), last: UtcInstant(last) });
        assert_eq!((large.claimed, large.settled), (span(119_951, 119_957), span(120_001, 120_007)));
        assert_eq!((large.key.at(), large.key.owner()), (UtcInstant(120_000), Some(InstanceId(3))));
    }

    #[test]
    fn a_key_is_read_as_it_is_written_and_in_no_other_way() {
        let key = doubtful(1, "cut", 3, 120_000).incident();
        assert_eq!(IncidentKey::parse(&key.to_string()), Some(key));
        let unknown = Doubtful { token: None, ..doubtful(1, "cut", 3, 0) }.incident();
        assert_eq!((unknown.owner(), IncidentKey::parse(&unknown.to_string())), (None, Some(unknown)));
        for text in
            ["", "7", "7-2-3", "7-2-3-0", "7-2-3-+badcafe", "0-2-3-0badcafe", "7-2-3-0badcafe-1", "7--3-0badcafe"]
        {
            assert_eq!(IncidentKey::parse(text), None, "{text}");
        }
        assert_eq!(IncidentKey::parse("7-9223372036854775807-3-0badcafe"), None);
    }

    #[test]
    fn a_journal_decides_only_what_its_own_instance_left_behind() {
        use OwnerStands::{Gone, Running, Succeeded};
        let of = |owner| Journal::of(Some(ENDED_BEFORE_ANSWER), Some(ErrorCategory::Unexpected), owner);
        assert_eq!(of(None), Journal::OwnerUnknown);
        assert_eq!(
            (of(Some(Running)), of(Some(Gone)), of(Some(Succeeded))),
            (Journal::Running, Journal::Unread, Journal::Read)
        );
        let answered = Some(ErrorCategory::Unexpected);
        assert_eq!(Journal::of(Some("the provider answered 500"), answered, Some(Gone)), Journal::KnowsNoMore);
        assert_eq!(Journal::of(None, answered, Some(Gone)), Journal::KnowsNoMore);
        let at_a_later_claim = Journal::of(Some("the address is not the one that was written to"), None, Some(Gone));
        assert_eq!(at_a_later_claim, Journal::Unread, "the first claim may have been heard of");
        assert!(Journal::Unread.may_decide() && !Journal::Read.may_decide());
    }
}
