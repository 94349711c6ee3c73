//! What an outcome does to a delivery: pure decisions, so that every rule can be tested without a provider.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::backoff;
use super::campaign::OnUncertain;
use super::delivery::{DeliveryState, ErrorCategory};
use super::dispatch::answer::Refusal;
use super::outcome::{Outcome, Trouble};

/// What is known of a delivery when its attempt ends.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// Attempts that counted before this one.
    pub attempts_before: u32,
    /// Attempts allowed.
    pub max_attempts: u32,
    /// Whether an earlier attempt may have been accepted.
    pub was_ambiguous: bool,
    /// Whether the provider honours keys, and this delivery's key is still valid there.
    pub key_honoured: bool,
    /// The campaign's rule for what cannot be known.
    pub on_uncertain: OnUncertain,
    /// Spreads retries; 0.0 to 1.0.
    pub jitter: f64,
}

/// Where a delivery goes from `sending`, and what is written beside it. Also the outcome line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// `pending`, `sent`, `failed` or `uncertain`.
    pub state: DeliveryState,
    /// For `pending`: how long from now it is not due, in milliseconds.
    #[serde(default)]
    pub wait_ms: i64,
    /// Whether this attempt counts against `max_attempts`. It ends a row of put-offs.
    pub counted: bool,
    /// Whether the provider put it off without an attempt: one more in a row. Never together with `counted`; neither of
    /// them is a hand-over that was not begun.
    #[serde(default)]
    pub put_off: bool,
    /// Whether the provider may have accepted it.
    #[serde(default)]
    pub ambiguous: bool,
    /// What the provider said, or why it ended.
    #[serde(default)]
    pub reason: Option<String>,
    /// What kind of trouble that was.
    #[serde(default)]
    pub category: Option<ErrorCategory>,
    /// The provider's id of the message.
    #[serde(default)]
    pub provider_id: Option<String>,
}

impl Verdict {
    /// Back to pending as if the claim had never been: for hand-overs that were not begun.
    #[must_use]
    pub fn untouched() -> Self {
        Self {
            state: DeliveryState::Pending,
            wait_ms: 0,
            counted: false,
            put_off: false,
            ambiguous: false,
            reason: None,
            category: None,
            provider_id: None,
        }
    }

    /// How often in a row the delivery was put off, when it was so often `before`.
    #[must_use]
    pub fn put_offs(&self, before: i32) -> i32 {
        if self.counted { 0 } else { before.saturating_add(i32::from(self.put_off)) }
    }

    fn ended(state: DeliveryState, trouble: &Trouble, ambiguous: bool) -> Self {
        Self {
            state,
            wait_ms: 0,
            counted: true,
            put_off: false,
            ambiguous,
            reason: Some(trouble.detail.clone()),
            category: Some(trouble.category),
            provider_id: None,
        }
    }

    fn again(wait: Duration, counted: bool, trouble: &Trouble, ambiguous: bool) -> Self {
        let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        Self { wait_ms, counted, put_off: !counted, ..Self::ended(DeliveryState::Pending, trouble, ambiguous) }
    }
}

/// The verdict on one attempt.
///
/// A delivery that was ever ambiguous can end only as `sent` or `uncertain`: a later refusal says nothing about the
/// attempt that went unanswered.
#[must_use]
pub fn settle(outcome: &Outcome, attempt: Attempt) -> Verdict {
    let counted_now = attempt.attempts_before.saturating_add(1);
    let attempts_left = counted_now < attempt.max_attempts;
    let ambiguous = attempt.was_ambiguous;
    let refused = if ambiguous { DeliveryState::Uncertain } else { DeliveryState::Failed };
    match outcome {
        Outcome::Accepted { provider_id } => Verdict {
            state: DeliveryState::Sent,
            counted: true,
            ambiguous,
            provider_id: provider_id.clone(),
            ..Verdict::untouched()
        },
        Outcome::Unsendable(trouble) => Verdict::ended(refused, trouble, ambiguous),
        // The relay's trouble is nobody's attempt. One that names its time is waited for.
        Outcome::Refused(Refusal { class, wait, trouble, .. }) if class.is_relay() => {
            Verdict::again(wait.map_or(Duration::ZERO, backoff::honoured), false, trouble, ambiguous)
        }
        Outcome::Refused(Refusal { permanent: true, trouble, .. }) => Verdict::ended(refused, trouble, ambiguous),
        // A provider that names its time is throttling, not failing: waiting costs no attempt.
        Outcome::Refused(Refusal { wait: Some(asked), trouble, .. }) => {
            Verdict::again(backoff::honoured(*asked), false, trouble, ambiguous)
        }
        Outcome::Refused(Refusal { wait: None, trouble, .. }) if attempts_left => {
            Verdict::again(backoff::retry_wait(counted_now, attempt.jitter), true, trouble, ambiguous)
        }
        Outcome::Refused(Refusal { wait: None, trouble, .. }) => {
            Verdict::ended(refused, &exhausted(trouble), ambiguous)
        }
        Outcome::Unknown(trouble) | Outcome::KeySeen { trouble, .. } => {
            let repeatable = attempt.key_honoured || attempt.on_uncertain == OnUncertain::Resend;
            if repeatable && attempts_left {
                let wait = backoff::retry_wait(counted_now, attempt.jitter);
                let asked = if let Outcome::KeySeen { retry_after, .. } = outcome { *retry_after } else { None };
                Verdict::again(asked.map_or(wait, |asked| backoff::honoured(asked).max(wait)), true, trouble, true)
            } else {
                Verdict::ended(DeliveryState::Uncertain, trouble, true)
            }
        }
        Outcome::NotBegun(_) => Verdict { ambiguous, ..Verdict::untouched() },
    }
}

fn exhausted(trouble: &Trouble) -> Trouble {
    Trouble::new(trouble.category, format!("max retries exceeded: {}", trouble.detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dispatch::answer::AnswerClass;
    use crate::domain::outcome::NotBegun;

    const FIRST: Attempt = Attempt {
        attempts_before: 0,
        max_attempts: 4,
        was_ambiguous: false,
        key_honoured: false,
        on_uncertain: OnUncertain::Hold,
        jitter: 0.5,
    };

    fn trouble() -> Trouble {
        Trouble::new(ErrorCategory::ProviderError, "451 later")
    }

    fn refused(class: AnswerClass, permanent: bool, wait: Option<Duration>) -> Outcome {
        Outcome::Refused(Refusal { class, permanent, wait, signature: String::new(), trouble: trouble() })
    }

    fn deferred() -> Outcome {
        refused(AnswerClass::Recipient, false, None)
    }

    #[test]
    fn a_deferred_delivery_waits_one_two_and_four_seconds_and_then_fails() {
        let waits: Vec<i64> =
            (0..3).map(|n| settle(&deferred(), Attempt { attempts_before: n, ..FIRST }).wait_ms).collect();
        assert_eq!(waits, [1000, 2000, 4000]);
        let last = settle(&deferred(), Attempt { attempts_before: 3, ..FIRST });
        assert_eq!(last.state, DeliveryState::Failed);
        assert_eq!(last.reason.as_deref(), Some("max retries exceeded: 451 later"));
    }

    #[test]
    fn a_provider_that_names_its_time_costs_no_attempt() {
        let outcome = refused(AnswerClass::Unsure, false, Some(Duration::from_secs(7)));
        let verdict = settle(&outcome, Attempt { attempts_before: 3, ..FIRST });
        assert_eq!((verdict.state, verdict.wait_ms, verdict.counted), (DeliveryState::Pending, 7000, false));
    }

    #[test]
    fn a_relays_trouble_never_fails_a_recipient() {
        for class in AnswerClass::ALL.iter().copied().filter(|class| class.is_relay()) {
            for permanent in [false, true] {
                let verdict = settle(&refused(class, permanent, None), Attempt { attempts_before: 3, ..FIRST });
                assert_eq!(
                    (verdict.state, verdict.counted, verdict.put_off),
                    (DeliveryState::Pending, false, true),
                    "{class}"
                );
            }
        }
    }

    #[test]
    fn a_permanent_refusal_that_is_not_the_relays_trouble_ends_the_delivery() {
        for class in AnswerClass::ALL.iter().copied().filter(|class| !class.is_relay()) {
            for wait in [None, Some(Duration::from_secs(7))] {
                assert_eq!(settle(&refused(class, true, wait), FIRST).state, DeliveryState::Failed, "{class}");
            }
        }
        assert_eq!(settle(&Outcome::Unsendable(trouble()), FIRST).state, DeliveryState::Failed);
    }

    #[test]
    fn what_cannot_be_known_is_uncertain_unless_the_key_is_honoured() {
        assert_eq!(settle(&Outcome::Unknown(trouble()), FIRST).state, DeliveryState::Uncertain);
        let keyed = settle(&Outcome::Unknown(trouble()), Attempt { key_honoured: true, ..FIRST });
        assert_eq!((keyed.state, keyed.ambiguous), (DeliveryState::Pending, true));
        let spent = settle(&Outcome::Unknown(trouble()), Attempt { key_honoured: true, attempts_before: 3, ..FIRST });
        assert_eq!(spent.state, DeliveryState::Uncertain);
    }

    #[test]
    fn a_key_that_the_provider_has_seen_is_waited_for_and_never_fails() {
        let seen = |retry_after| Outcome::KeySeen { trouble: trouble(), retry_after };
        let keyed = Attempt { key_honoured: true, ..FIRST };
        let verdict = settle(&seen(None), keyed);
        let again = (DeliveryState::Pending, true, true, 1000);
        assert_eq!((verdict.state, verdict.ambiguous, verdict.counted, verdict.wait_ms), again);
        assert_eq!(settle(&seen(Some(Duration::from_secs(7))), keyed).wait_ms, 7000);
        assert_eq!(settle(&seen(Some(Duration::ZERO)), keyed).wait_ms, 1000);
        let last = settle(&seen(None), Attempt { attempts_before: 3, ..keyed });
        assert_eq!(last.state, DeliveryState::Uncertain);
    }

    #[test]
    fn a_delivery_that_was_ever_ambiguous_ends_only_as_sent_or_uncertain() {
        let attempt = Attempt { was_ambiguous: true, attempts_before: 3, ..FIRST };
        let rejected = refused(AnswerClass::Recipient, true, None);
        for outcome in [rejected, Outcome::Unsendable(trouble()), deferred(), Outcome::Unknown(trouble())] {
            assert_eq!(settle(&outcome, attempt).state, DeliveryState::Uncertain, "{outcome:?}");
        }
        assert_eq!(settle(&Outcome::Accepted { provider_id: None }, attempt).state, DeliveryState::Sent);
    }

    #[test]
    fn a_hand_over_that_was_not_begun_leaves_no_trace() {
        let verdict = settle(&Outcome::NotBegun(NotBegun::Paused), FIRST);
        assert_eq!(verdict, Verdict::untouched());
    }
}
