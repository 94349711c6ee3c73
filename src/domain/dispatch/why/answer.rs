//! The answer to "why": where the person stands, a sentence, the chain of facts, and what can be done.

use serde_json::Value;

use crate::domain::instant::UtcInstant;
use crate::domain::text_enum::text_enum;

text_enum! {
    /// Where a person stands in a campaign: the state of its delivery, or why there is none.
    WhyState {
        /// Waits for its first attempt, or for a retry.
        Pending = "pending",
        /// Is being handed over.
        Sending = "sending",
        /// The provider took it.
        Sent = "sent",
        /// Refused permanently, or out of attempts.
        Failed = "failed",
        /// Not sent, for a stated reason.
        Skipped = "skipped",
        /// Handed over, and nobody knows whether it was accepted.
        Uncertain = "uncertain",
        /// The audience names the person, and the campaign is not launched.
        NotLaunched = "not_launched",
        /// The audience names the person, whose page is not made yet.
        NotPacked = "not_packed",
        /// The audience names the person, and leaves it out again.
        LeftOut = "left_out",
        /// The audience does not name the person.
        NotNamed = "not_named",
        /// The audience would name the person now; it did not when this part of it was packed.
        Missed = "missed",
    }
}

text_enum! {
    /// What can be done about it.
    WhyAct {
        /// Launch the campaign.
        Launch = "launch",
        /// Let the campaign go on.
        Resume = "resume",
        /// Let the pool go on.
        ResumePool = "resume_pool",
        /// Try the failed ones of the campaign again.
        Retry = "retry",
        /// Say that the message arrived.
        ResolveSent = "resolve_sent",
        /// Say that it did not.
        ResolveFailed = "resolve_failed",
        /// Send it again.
        ResolvePending = "resolve_pending",
        /// Take back what is held against the address.
        Lift = "lift",
        /// Change the contact.
        ChangeContact = "change_contact",
        /// Subscribe the contact to the topic.
        Subscribe = "subscribe",
    }
}

/// A fact, and what it rests on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[schema(as = WhyStep)]
pub struct Step {
    /// A sentence.
    pub fact: String,
    /// Where it is stored: `list 1`, `delivery`, `suppression`, `page 212`, `campaign decision`. `none` of what is not recorded.
    pub source: String,
    /// When it happened, where that is stored.
    pub at: Option<UtcInstant>,
    /// Whether the verdict rests on it.
    pub decides: bool,
}

impl Step {
    /// A fact without a time.
    #[must_use]
    pub fn new(fact: impl Into<String>, source: impl Into<String>) -> Self {
        Self { fact: fact.into(), source: source.into(), at: None, decides: false }
    }

    /// With the time at which it happened.
    #[must_use]
    pub fn at(self, at: impl Into<Option<UtcInstant>>) -> Self {
        Self { at: at.into(), ..self }
    }

    /// Marked, if the verdict rests on it.
    #[must_use]
    pub fn decisive(self, decides: bool) -> Self {
        Self { decides, ..self }
    }
}

/// Something that can be done, and the request that does it. May hold an address: never logged, hence no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Way {
    /// What it is.
    pub act: WhyAct,
    /// The same for people, with what follows from it.
    pub what: String,
    /// The method of the request.
    pub method: &'static str,
    /// Its path.
    pub path: String,
    /// Its body. `None`: an empty object will do.
    pub body: Option<Value>,
}

/// The answer.
#[derive(Clone)]
pub struct Why {
    /// Where the person stands.
    pub place: WhyState,
    /// The answer in a sentence.
    pub verdict: String,
    /// The facts, in the order in which they matter.
    pub steps: Vec<Step>,
    /// What can be done.
    pub can: Vec<Way>,
}
