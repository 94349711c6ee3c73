//! What an outcome does to a delivery: pure decisions, so that every rule can be tested without a provider.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::answer::{AnswerClass, Refusal};
use super::backoff;
use super::claim::ClaimKey;
use super::delivery::{DeliveryState, ErrorCategory};
use super::doubt::Standing;
use super::outcome::Outcome;
use super::retries::{self, Doubt, GaveUp, Retries};
use super::trouble::Trouble;
use crate::domain::campaigns::OnUncertain;
use crate::domain::ids::PageId;

/// Attempts that a delivery in doubt has at most where no key makes repeating them harmless: each may be a second message.
pub const MOST_RESENDS: u32 = 4;

/// How long a recipient waits that was refused because calls came too fast, if the provider does not say how long.
const RELAYS_PACE: Duration = Duration::from_secs(1);

/// What is known of a delivery when its attempt ends.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// Attempts that counted before this one.
    pub attempts_before: u32,
    /// The pool's waits between tries, and their end.
    pub retries: &'a Retries,
    /// How much waiting the campaign gives it, where it says so.
    pub retry_for: Option<Duration>,
    /// Whether an earlier attempt may have been accepted.
    pub was_ambiguous: bool,
    /// Whether the provider honours keys, and this delivery's key is still valid there.
    pub key_honoured: bool,
    /// The campaign's rule for what cannot be known.
    pub on_uncertain: OnUncertain,
    /// Spreads retries; 0.0 to 1.0.
    pub jitter: f64,
}

impl Attempt<'_> {
    /// This attempt's number, if it counts.
    fn number(&self) -> u32 {
        self.attempts_before.saturating_add(1)
    }

    /// How long to wait before the next one, where there is one.
    fn wait(&self, doubt: Doubt) -> Result<Duration, GaveUp> {
        self.retries.wait(self.number(), doubt, self.retry_for).map(|wait| retries::spread(wait, self.jitter))
    }

    /// The same after an attempt that may have been accepted.
    fn wait_in_doubt(&self) -> Result<Duration, GaveUp> {
        if !self.key_honoured && self.was_ambiguous && self.number() >= MOST_RESENDS {
            return Err(GaveUp::Attempts(self.number()));
        }
        self.wait(Doubt::Some)
    }
}

/// Where a delivery goes from `sending`, and what is written beside it. Also the outcome line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// `pending`, `sent`, `failed` or `uncertain`.
    pub state: DeliveryState,
    /// For `pending`: how long from now it is not due, in milliseconds.
    #[serde(default)]
    pub wait_ms: i64,
    /// Whether this attempt counts: against `max_attempts`, and for the waits that make the delivery's age. It ends a row of put-offs.
    pub counted: bool,
    /// Whether a fault of the provider put it off: one more in a row. Together with `counted`, which ends such a row
    /// otherwise, where others fare well and the fault is this recipient's own. Neither of them is a hand-over that was not
    /// begun.
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
    /// Whose trouble it was, where the provider refused.
    #[serde(default)]
    pub class: Option<AnswerClass>,
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
            class: None,
            provider_id: None,
        }
    }

    /// How often in a row the delivery was put off, when it was so often `before`.
    #[must_use]
    pub fn put_offs(&self, before: i32) -> i32 {
        if self.put_off {
            before.saturating_add(1)
        } else if self.counted {
            0
        } else {
            before
        }
    }

    /// What a report has settled as `sent` or `failed`.
    #[must_use]
    pub fn reported(state: DeliveryState, counted: bool) -> Self {
        let is_refused = state == DeliveryState::Failed;
        Self {
            state,
            counted,
            reason: is_refused.then(|| "the provider reported later that it had not accepted the message".to_owned()),
            category: is_refused.then_some(ErrorCategory::Refused),
            ..Self::untouched()
        }
    }

    /// Whether it leaves in doubt that the provider accepted the message.
    #[must_use]
    pub fn leaves_doubt(&self) -> bool {
        Standing { state: self.state, ambiguous: self.ambiguous, claim_no: 0 }.is_in_doubt()
    }

    /// Whether the delivery failed because its address does not exist.
    #[must_use]
    pub fn is_bounce(&self) -> bool {
        self.state == DeliveryState::Failed && self.class == Some(AnswerClass::Address)
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
            class: None,
            provider_id: None,
        }
    }

    /// Back to pending for `wait`, after an attempt that counts.
    fn again(wait: Duration, trouble: &Trouble, ambiguous: bool) -> Self {
        Self { wait_ms: ms(wait), ..Self::ended(DeliveryState::Pending, trouble, ambiguous) }
    }

    /// Back to pending for `wait`, and no attempt is counted: the trouble is not this recipient's. `ambiguous`: whether an
    /// earlier attempt is in doubt.
    #[must_use]
    pub fn put_off(wait: Duration, trouble: &Trouble, ambiguous: bool) -> Self {
        Self { counted: false, put_off: true, ..Self::again(wait, trouble, ambiguous) }
    }
}

fn ms(wait: Duration) -> i64 {
    i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)
}

/// The verdict on one attempt.
///
/// A delivery that was ever ambiguous can end only as `sent` or `uncertain`: a later refusal says nothing about the
/// attempt that went unanswered.
#[must_use]
pub fn settle(outcome: &Outcome, attempt: Attempt<'_>) -> Verdict {
    let class = if let Outcome::Refused(refusal) = outcome { Some(refusal.class) } else { None };
    Verdict { class, ..judge(outcome, attempt) }
}

fn judge(outcome: &Outcome, attempt: Attempt<'_>) -> Verdict {
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
            let unasked = match class {
                AnswerClass::RelayRate | AnswerClass::RelayConnections => RELAYS_PACE,
                // Held by the pool's circuit.
                AnswerClass::RelayQuota
                | AnswerClass::RelayAuth
                | AnswerClass::RelayOutage
                | AnswerClass::Address
                | AnswerClass::Recipient
                | AnswerClass::Content
                | AnswerClass::Policy
                | AnswerClass::Sender
                | AnswerClass::Unsure => Duration::ZERO,
            };
            Verdict::put_off(wait.map_or(unasked, backoff::honoured), trouble, ambiguous)
        }
        Outcome::Refused(Refusal { permanent: true, trouble, .. }) => Verdict::ended(refused, trouble, ambiguous),
        // A time that may be meant for everybody: it costs no attempt.
        Outcome::Refused(Refusal { class: AnswerClass::Unsure, wait: Some(asked), trouble, .. }) => {
            Verdict::put_off(backoff::honoured(*asked), trouble, ambiguous)
        }
        Outcome::Refused(Refusal { wait: asked, trouble, .. }) => {
            match attempt.wait(if ambiguous { Doubt::Some } else { Doubt::None }) {
                Ok(wait) => Verdict::again(no_sooner(wait, *asked), trouble, ambiguous),
                Err(end) => Verdict::ended(refused, &gave_up(end, trouble), ambiguous),
            }
        }
        Outcome::Unknown(trouble) => in_doubt(&attempt, trouble, None),
        Outcome::KeySeen { trouble, retry_after } => in_doubt(&attempt, trouble, *retry_after),
        Outcome::NotBegun(_) => Verdict { ambiguous, ..Verdict::untouched() },
    }
}

/// The verdict on an attempt that may have been accepted: repeated where a key makes that harmless, or the campaign wants
/// it, and `uncertain` otherwise.
fn in_doubt(attempt: &Attempt<'_>, trouble: &Trouble, asked: Option<Duration>) -> Verdict {
    if !attempt.key_honoured && attempt.on_uncertain != OnUncertain::Resend {
        return Verdict::ended(DeliveryState::Uncertain, trouble, true);
    }
    match attempt.wait_in_doubt() {
        Ok(wait) => Verdict::again(no_sooner(wait, asked), trouble, true),
        Err(end) => Verdict::ended(DeliveryState::Uncertain, &gave_up(end, trouble), true),
    }
}

/// `wait`, and no less than the provider asked for.
fn no_sooner(wait: Duration, asked: Option<Duration>) -> Duration {
    asked.map_or(wait, |asked| backoff::honoured(asked).max(wait))
}

fn gave_up(end: GaveUp, trouble: &Trouble) -> Trouble {
    Trouble::new(trouble.category, format!("{end}: {}", trouble.detail))
}

/// An outcome to be recorded.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// Which claim.
    pub key: ClaimKey,
    /// The delivery's page.
    pub page: PageId,
    /// What happens to it.
    pub verdict: Verdict,
    /// How long from its claim on the provider honours the key of the attempt that this settles, in milliseconds.
    pub key_valid_ms: Option<i64>,
    /// What the attempt said, when it has to be repeated word for word (JSON of a message).
    pub content: Option<String>,
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::domain::dispatch::outcome::NotBegun;

    static MAIL: LazyLock<Retries> = LazyLock::new(|| {
        let delays = [300, 600, 1_800, 3_600].map(Duration::from_secs).to_vec();
        Retries::new(delays, Duration::from_secs(6 * 3_600), 0)
    });

    static FIRST: LazyLock<Attempt<'static>> = LazyLock::new(|| Attempt {
        attempts_before: 0,
        retries: &MAIL,
        retry_for: None,
        was_ambiguous: false,
        key_honoured: false,
        on_uncertain: OnUncertain::Hold,
        jitter: 0.0,
    });

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
    fn a_deferred_delivery_is_tried_again_by_age_and_fails_with_the_last_answer() {
        let waits: Vec<i64> =
            (0..9).map(|n| settle(&deferred(), Attempt { attempts_before: n, ..*FIRST }).wait_ms / 1_000).collect();
        assert_eq!(waits, [300, 600, 1_800, 3_600, 3_600, 3_600, 3_600, 3_600, 900]);
        let last = settle(&deferred(), Attempt { attempts_before: 9, ..*FIRST });
        assert_eq!((last.state, last.counted), (DeliveryState::Failed, true));
        assert_eq!(last.reason.as_deref(), Some("gave up after 6 h: 451 later"));
        let own = Attempt { attempts_before: 1, retry_for: Some(Duration::from_secs(300)), ..*FIRST };
        assert_eq!(settle(&deferred(), own).reason.as_deref(), Some("gave up after 5 min: 451 later"));
    }

    #[test]
    fn a_time_that_is_named_to_a_recipient_is_kept_and_counts_as_one_wait() {
        let named = |seconds, n| {
            let outcome = refused(AnswerClass::Recipient, false, Some(Duration::from_secs(seconds)));
            settle(&outcome, Attempt { attempts_before: n, ..*FIRST })
        };
        let greylisted = named(400, 0);
        assert_eq!((greylisted.wait_ms, greylisted.counted, greylisted.put_off), (400_000, true, false));
        assert_eq!(named(10, 0).wait_ms, 300_000, "no sooner than the pool says, or the age would be made up");
        assert_eq!(named(90_000, 0).wait_ms, 3_600_000, "an hour at most");
        assert_eq!(named(3_600, 8).wait_ms, 3_600_000, "also where less is left");
        assert_eq!(named(400, 9).state, DeliveryState::Failed);
    }

    #[test]
    fn waits_are_spread_upwards_only() {
        let spread = |jitter| settle(&deferred(), Attempt { jitter, ..*FIRST }).wait_ms;
        assert_eq!((spread(0.0), spread(1.0)), (300_000, 375_000));
    }

    #[test]
    fn a_provider_that_names_its_time_costs_no_attempt() {
        let outcome = refused(AnswerClass::Unsure, false, Some(Duration::from_secs(7)));
        let verdict = settle(&outcome, Attempt { attempts_before: 3, ..*FIRST });
        assert_eq!((verdict.state, verdict.wait_ms, verdict.counted), (DeliveryState::Pending, 7000, false));
    }

    #[test]
    fn a_relays_trouble_never_fails_a_recipient() {
        for class in AnswerClass::ALL.iter().copied().filter(|class| class.is_relay()) {
            for permanent in [false, true] {
                let verdict = settle(&refused(class, permanent, None), Attempt { attempts_before: 3, ..*FIRST });
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
                assert_eq!(settle(&refused(class, true, wait), *FIRST).state, DeliveryState::Failed, "{class}");
            }
        }
        assert_eq!(settle(&Outcome::Unsendable(trouble()), *FIRST).state, DeliveryState::Failed);
    }

    #[test]
    fn what_cannot_be_known_is_uncertain_unless_the_key_is_honoured() {
        let unknown = Outcome::Unknown(trouble());
        assert_eq!(settle(&unknown, *FIRST).state, DeliveryState::Uncertain);
        let keyed = Attempt { key_honoured: true, ..*FIRST };
        let waits: Vec<i64> = (0..6)
            .map(|attempts_before| {
                settle(&unknown, Attempt { attempts_before, was_ambiguous: attempts_before > 0, ..keyed })
            })
            .map(|verdict| {
                assert_eq!((verdict.state, verdict.ambiguous, verdict.counted), (DeliveryState::Pending, true, true));
                verdict.wait_ms / 1_000
            })
            .collect();
        assert_eq!(waits, [1, 5, 30, 120, 300, 300], "soon, whatever the channel");
        let spent = settle(&unknown, Attempt { attempts_before: 100, ..keyed });
        assert_eq!(spent.state, DeliveryState::Uncertain);
        assert_eq!(spent.reason.as_deref(), Some("gave up after 6 h: 451 later"));
    }

    #[test]
    fn what_is_sent_again_without_a_key_is_sent_a_few_times_only() {
        let resend = Attempt { on_uncertain: OnUncertain::Resend, ..*FIRST };
        let unknown = |n, was_ambiguous| {
            settle(&Outcome::Unknown(trouble()), Attempt { attempts_before: n, was_ambiguous, ..resend }).state
        };
        let states = [unknown(0, false), unknown(1, true), unknown(2, true), unknown(3, true)];
        let again = DeliveryState::Pending;
        assert_eq!(states, [again, again, again, DeliveryState::Uncertain]);
        assert_eq!(unknown(7, false), again, "the first that is in doubt");
    }

    #[test]
    fn a_key_that_the_provider_has_seen_is_waited_for_and_never_fails() {
        let seen = |retry_after| Outcome::KeySeen { trouble: trouble(), retry_after };
        let keyed = Attempt { key_honoured: true, ..*FIRST };
        let verdict = settle(&seen(None), keyed);
        let again = (DeliveryState::Pending, true, true, 1000);
        assert_eq!((verdict.state, verdict.ambiguous, verdict.counted, verdict.wait_ms), again);
        assert_eq!(settle(&seen(Some(Duration::from_secs(7))), keyed).wait_ms, 7000);
        assert_eq!(settle(&seen(Some(Duration::ZERO)), keyed).wait_ms, 1000);
        let last = settle(&seen(None), Attempt { attempts_before: 100, ..keyed });
        assert_eq!(last.state, DeliveryState::Uncertain);
    }

    #[test]
    fn a_delivery_that_was_ever_ambiguous_ends_only_as_sent_or_uncertain() {
        let attempt = Attempt { was_ambiguous: true, attempts_before: 100, ..*FIRST };
        let rejected = refused(AnswerClass::Recipient, true, None);
        for outcome in [rejected, Outcome::Unsendable(trouble()), deferred(), Outcome::Unknown(trouble())] {
            assert_eq!(settle(&outcome, attempt).state, DeliveryState::Uncertain, "{outcome:?}");
        }
        assert_eq!(settle(&Outcome::Accepted { provider_id: None }, attempt).state, DeliveryState::Sent);
    }

    #[test]
    fn a_hand_over_that_was_not_begun_leaves_no_trace() {
        let verdict = settle(&Outcome::NotBegun(NotBegun::Paused), *FIRST);
        assert_eq!(verdict, Verdict::untouched());
    }
}
