//! What one instance saw since it last reported.

use super::Seconds;
use super::domains::BINS;
use super::window::second_of;
use crate::domain::dispatch::answer::AnswerClass;

/// What was seen, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Calls that began, and calls that were accepted.
    Passed(Passed),
    /// A refusal that is not surely about its recipient.
    Refused(Refused),
    /// A call that went out and was never answered.
    Lost {
        /// When it was given up.
        at: Seconds,
        /// What is known of it.
        detail: String,
    },
}

/// Calls of one second that began or were accepted, with no refusal between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Passed {
    pub(super) second: i64,
    pub(super) at: Seconds,
    pub(super) started: u32,
    pub(super) accepted: u32,
    /// Refused, surely because of the recipient or the message: the provider works.
    pub(super) answered: u32,
    /// The sum of what the accepted ones took.
    pub(super) latency: f64,
    /// When the first of the accepted ones began.
    pub(super) oldest: Seconds,
    /// Accepted, by domain.
    pub(super) domains: [u32; BINS],
}

/// A refusal that is not surely about its recipient.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// When the call began.
    pub began: Seconds,
    /// When the answer came.
    pub at: Seconds,
    /// The recipient's domain, as [`super::bin_of`] says.
    pub domain: Option<u8>,
    /// Whose trouble the answer speaks of.
    pub class: AnswerClass,
    /// Whether the answer is final in its own words.
    pub permanent: bool,
    /// How long the provider wants to be left alone, where it said so.
    pub wait: Option<Seconds>,
    /// The same for all answers that mean the same.
    pub signature: String,
    /// The answer in words that are safe to show.
    pub detail: String,
    /// Which recipient: any number that tells two apart.
    pub recipient: i64,
    /// How often in a row this delivery was put off before.
    pub put_offs: u32,
    /// Whether this delivery was never refused before.
    pub first_try: bool,
    /// Whether there was an answer to this delivery, not only a connection that failed.
    pub answered: bool,
}

/// What one instance saw since it last reported, and what it wants.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// The instance.
    pub member: i64,
    /// What it saw.
    pub steps: Vec<Step>,
    /// It had more to begin than it has places.
    pub hungry: bool,
    /// It had something to begin at all.
    pub active: bool,
    /// It wants tokens.
    pub wants_tokens: bool,
    /// It wants to probe a provider that is left alone.
    pub wants_probe: bool,
}

impl Report {
    fn passed(&mut self, at: Seconds, note: impl FnOnce(&mut Passed)) {
        let second = second_of(at);
        if let Some(Step::Passed(last)) = self.steps.last_mut()
            && last.second == second
        {
            return note(last);
        }
        let mut fresh = Passed {
            second,
            at,
            started: 0,
            accepted: 0,
            answered: 0,
            latency: 0.0,
            oldest: f64::MAX,
            domains: [0; BINS],
        };
        note(&mut fresh);
        self.steps.push(Step::Passed(fresh));
    }

    /// So many calls begin.
    pub(super) fn started(&mut self, count: u32, at: Seconds) {
        self.passed(at, |passed| passed.started += count);
        self.active = true;
    }

    /// A call was accepted.
    pub(super) fn accepted(&mut self, began: Seconds, at: Seconds, domain: Option<u8>) {
        self.passed(at, |passed| {
            passed.accepted += 1;
            passed.latency += (at - began).max(0.0);
            passed.oldest = passed.oldest.min(began);
            passed.at = passed.at.max(at);
            if let Some(count) = domain.and_then(|domain| passed.domains.get_mut(usize::from(domain))) {
                *count += 1;
            }
        });
    }

    /// A call was refused, surely because of its recipient or message.
    pub(super) fn answered(&mut self, at: Seconds) {
        self.passed(at, |passed| passed.answered += 1);
    }

    /// Forgets what is too old to be of use to anybody.
    pub(super) fn forget(&mut self, now: Seconds) {
        let oldest = second_of(now) - 15;
        self.steps.retain(|step| match step {
            Step::Passed(passed) => passed.second >= oldest,
            Step::Refused(_) | Step::Lost { .. } => true,
        });
    }

    /// Whether trouble waits to be reported.
    pub(super) fn has_trouble(&self) -> bool {
        self.steps.iter().any(|step| !matches!(step, Step::Passed(_)))
    }
}
