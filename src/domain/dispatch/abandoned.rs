//! What becomes of a claimed delivery whose owner is gone: a pure decision, by what the owner's journal says.

use super::delivery::{DeliveryState, ErrorCategory};
use super::fingerprint::ProviderFingerprint;
use super::settlement::{MOST_RESENDS, Verdict};
use crate::domain::campaigns::OnUncertain;
use crate::domain::instant::UtcInstant;
use crate::domain::reports::Reported;

/// Deaths alone in flight that make a recipient poison.
const DEATHS_ALONE: i32 = 2;

/// [`MOST_RESENDS`], as the database counts.
const RESENDS: i32 = MOST_RESENDS.cast_signed();

/// What is known of a claim from its owner's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// No line: with a valid journal, of an owner that cannot begin any more, proof that nothing left.
    NotBegun,
    /// Begun, and the outcome was written down.
    Ended(Verdict),
    /// Begun with no outcome; or there is no journal to ask.
    Ambiguous,
}

impl Evidence {
    /// The same together with what was reported of the delivery, of which an earlier attempt may be in doubt: that it was accepted
    /// is the outcome of this attempt, or of the earlier one.
    #[must_use]
    pub fn beside_reports(self, reported: Reported, was_ambiguous: bool) -> Self {
        if !reported.proves_acceptance() {
            return self;
        }
        let counted = match &self {
            Self::NotBegun if was_ambiguous => false,
            Self::Ambiguous => true,
            Self::Ended(verdict) if verdict.leaves_doubt() => verdict.counted,
            Self::NotBegun | Self::Ended(_) => return self,
        };
        Self::Ended(Verdict { state: DeliveryState::Sent, counted, ..Verdict::untouched() })
    }
}

/// What a pool's provider does with a repeated attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    /// How long the provider honours keys, in milliseconds; `None`: not at all.
    pub key_valid_ms: Option<i64>,
    /// How long after its claim an attempt may still be on the wire: start deadline + call timeout + margin, in
    /// milliseconds.
    pub on_the_wire_ms: i64,
    /// Attempts allowed.
    pub max_attempts: i32,
    /// The provider that would be asked again; `None`: the one that was asked before.
    pub provider: Option<ProviderFingerprint>,
}

/// A claimed delivery as its owner left it.
#[derive(Debug, Clone, Copy)]
pub struct Abandoned {
    /// Attempts that counted before the claim.
    pub attempts: i32,
    /// Owners that died with it alone in flight.
    pub deaths: i32,
    /// Whether an earlier attempt may have been accepted.
    pub ambiguous: bool,
    /// Until when the provider honours the key of an earlier attempt.
    pub key_until: Option<UtcInstant>,
    /// When it was claimed.
    pub claimed_at: UtcInstant,
    /// The provider that it was claimed for, where that is known.
    pub provider: Option<ProviderFingerprint>,
}

/// How the lease ended under which it was claimed.
#[derive(Debug, Clone, Copy)]
pub struct LeaseEnd {
    /// What the provider does with a repeated attempt.
    pub repeat: Repeat,
    /// The campaign's rule for what cannot be known.
    pub on_uncertain: OnUncertain,
    /// Whether the owner lives: it came too late, or does not know of the lease.
    pub owner_lives: bool,
    /// Whether the owner died with this delivery alone in flight.
    pub died_alone: bool,
    /// Whether the page is claimed one recipient at a time, because owner after owner died over it.
    pub single: bool,
    /// The database's time.
    pub now: UtcInstant,
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// Where it goes, and what is written beside it.
    pub verdict: Verdict,
    /// For `pending`: not due before.
    pub due_at: UtcInstant,
    /// Until when the provider honours its key.
    pub key_until: Option<UtcInstant>,
    /// Whether the death counts against it.
    pub died_alone: bool,
    /// Whether the journal knew its outcome.
    pub known: bool,
    /// For `pending`: whether the claim's own outcome is still believed, should it come before the next claim.
    pub keeps_claim: bool,
}

impl Fate {
    /// The decision.
    #[must_use]
    pub fn of(delivery: &Abandoned, evidence: &Evidence, end: &LeaseEnd) -> Self {
        let LeaseEnd { repeat, on_uncertain, owner_lives, died_alone, single, now } = *end;
        // A missing line is worth less while its writer lives: what was claimed a moment ago may just be beginning.
        let fresh = owner_lives && delivery.claimed_at.plus_ms(repeat.on_the_wire_ms) > now;
        let evidence = if fresh && *evidence == Evidence::NotBegun { &Evidence::Ambiguous } else { evidence };
        let not_begun = *evidence == Evidence::NotBegun;
        // An owner that dies before it has begun with somebody does not die of them. Where it dies each time with only this
        // one claimed, it does: the message may kill it while it is made.
        let died_alone = died_alone && (single || !not_begun);
        let keeps_claim = match evidence {
            Evidence::NotBegun => owner_lives,
            Evidence::Ended(_) => false,
            Evidence::Ambiguous => true,
        };
        // The provider may know the key since the first attempt that began, recorded or not.
        let key_until = match evidence {
            Evidence::NotBegun => delivery.key_until,
            Evidence::Ended(_) | Evidence::Ambiguous => {
                delivery.key_until.or(repeat.key_valid_ms.map(|ms| delivery.claimed_at.plus_ms(ms)))
            }
        };
        let plain = |due_at, verdict, known: bool| {
            let died_alone = died_alone && !known;
            Self { verdict, due_at, key_until, died_alone, known, keeps_claim }
        };
        if died_alone && delivery.deaths + 1 >= DEATHS_ALONE && !matches!(evidence, Evidence::Ended(_)) {
            return Self::poison(delivery, evidence);
        }
        match evidence {
            Evidence::NotBegun => plain(UtcInstant(0), Verdict::untouched(), false),
            Evidence::Ended(verdict) => {
                let due_at = if verdict.wait_ms > 0 { now.plus_ms(verdict.wait_ms) } else { UtcInstant(0) };
                plain(due_at, verdict.clone(), true)
            }
            Evidence::Ambiguous => {
                // A key means nothing to a provider that never got it.
                let changed = delivery.provider.zip(repeat.provider).is_some_and(|(then, now)| then != now);
                let key_lives = repeat.key_valid_ms.is_some() && key_until.is_some_and(|until| until > now) && !changed;
                let harmless = key_lives || !delivery.ambiguous;
                let tries = if harmless { repeat.max_attempts } else { repeat.max_attempts.min(RESENDS) };
                let again = (key_lives || on_uncertain == OnUncertain::Resend) && delivery.attempts + 1 < tries.max(2);
                let verdict = Verdict {
                    state: if again { DeliveryState::Pending } else { DeliveryState::Uncertain },
                    counted: true,
                    ambiguous: true,
                    reason: Some("the process ended before the provider's answer was written down".to_owned()),
                    category: Some(ErrorCategory::Unexpected),
                    ..Verdict::untouched()
                };
                // The first call may still be on the wire.
                plain(delivery.claimed_at.plus_ms(repeat.on_the_wire_ms), verdict, false)
            }
        }
    }

    /// Where it goes.
    #[must_use]
    pub fn state(&self) -> DeliveryState {
        self.verdict.state
    }

    fn poison(delivery: &Abandoned, evidence: &Evidence) -> Self {
        let ambiguous = delivery.ambiguous || *evidence == Evidence::Ambiguous;
        let state = if ambiguous { DeliveryState::Uncertain } else { DeliveryState::Failed };
        let verdict = Verdict {
            state,
            counted: true,
            ambiguous,
            reason: Some("the process died twice with this delivery alone in flight".to_owned()),
            category: Some(ErrorCategory::Poison),
            ..Verdict::untouched()
        };
        Self {
            verdict,
            due_at: UtcInstant(0),
            key_until: delivery.key_until,
            died_alone: true,
            known: false,
            keeps_claim: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reports::{Reader, ReportKind};

    #[test]
    fn a_report_is_the_outcome_where_the_journal_leaves_a_doubt_and_only_there() {
        let opened = Reported::default().with(ReportKind::Opened(Reader::Machine));
        let state = |evidence: Evidence, reported, was_ambiguous| match evidence.beside_reports(reported, was_ambiguous)
        {
            Evidence::Ended(verdict) => Some((verdict.state, verdict.counted)),
            Evidence::NotBegun | Evidence::Ambiguous => None,
        };
        let ended =
            |state, ambiguous| Evidence::Ended(Verdict { state, ambiguous, counted: true, ..Verdict::untouched() });
        let sent = |counted| Some((DeliveryState::Sent, counted));
        assert_eq!(state(Evidence::Ambiguous, opened, false), sent(true));
        assert_eq!(state(Evidence::NotBegun, opened, true), sent(false), "it is about the earlier attempt");
        assert_eq!(state(ended(DeliveryState::Uncertain, true), opened, false), sent(true));
        assert_eq!(state(ended(DeliveryState::Pending, true), opened, false), sent(true));
        // What is known without reports stays.
        assert_eq!(state(Evidence::NotBegun, opened, false), None);
        assert_eq!(state(ended(DeliveryState::Failed, false), opened, false), Some((DeliveryState::Failed, true)));
        assert_eq!(state(ended(DeliveryState::Pending, false), opened, false), Some((DeliveryState::Pending, true)));
        for reported in [Reported::default(), Reported::default().with(ReportKind::RejectedLater)] {
            assert_eq!(state(Evidence::Ambiguous, reported, true), None);
        }
    }
}
