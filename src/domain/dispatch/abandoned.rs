//! What becomes of a claimed delivery whose owner is gone: a pure decision, by what the owner's journal says.

use super::delivery::{DeliveryState, ErrorCategory};
use super::doubt::Standing;
use super::fingerprint::ProviderFingerprint;
use super::settlement::{MOST_RESENDS, Verdict};
use crate::domain::campaigns::OnUncertain;
use crate::domain::instant::UtcInstant;
use crate::domain::reports::Reported;

/// Deaths alone in flight that make a recipient poison.
const DEATHS_ALONE: i32 = 2;

/// [`MOST_RESENDS`], as the database counts.
const RESENDS: i32 = MOST_RESENDS.cast_signed();

/// Why a delivery is in doubt whose owner ended before it wrote an answer down.
pub const ENDED_BEFORE_ANSWER: &str = "the process ended before the provider's answer was written down";

/// Why a delivery is poison.
pub const DIED_TWICE: &str = "the process died twice with this delivery alone in flight";

/// Why a delivery is in doubt whose database went back in time, and no longer has what it knew of it.
pub const RECORD_LOST: &str = "the database lost the record of this hand-over";

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
    /// The number of the claim.
    pub claim_no: i32,
    /// What was reported of it.
    pub reported: Reported,
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
    /// Whether the owner died with this delivery alone in flight, on a page that is claimed one recipient at a time because owner
    /// after owner died over it. On any other page it proves nothing: a recipient who is tried again for long is often the last one left.
    pub died_alone: bool,
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
    /// Whether the journal or a report knew its outcome.
    pub known: bool,
    /// For `pending`: whether the claim's own outcome is still believed, should it come before the next claim.
    pub keeps_claim: bool,
}

impl Fate {
    /// The decision. What it leaves in doubt, reports may have settled before.
    #[must_use]
    pub fn of(delivery: &Abandoned, evidence: &Evidence, end: &LeaseEnd) -> Self {
        let fate = Self::without_reports(delivery, evidence, end);
        let ambiguous = delivery.ambiguous || fate.verdict.ambiguous;
        let standing = Standing { state: fate.state(), ambiguous, claim_no: delivery.claim_no };
        let Some(state) = standing.settled_by(delivery.reported) else { return fate };
        let verdict = Verdict::reported(state, fate.verdict.counted);
        Self { verdict, due_at: UtcInstant(0), known: true, died_alone: false, keeps_claim: false, ..fate }
    }

    fn without_reports(delivery: &Abandoned, evidence: &Evidence, end: &LeaseEnd) -> Self {
        let LeaseEnd { repeat, on_uncertain, owner_lives, died_alone, now } = *end;
        // A missing line is worth less while its writer lives: what was claimed a moment ago may just be beginning.
        let fresh = owner_lives && delivery.claimed_at.plus_ms(repeat.on_the_wire_ms) > now;
        let evidence = if fresh && *evidence == Evidence::NotBegun { &Evidence::Ambiguous } else { evidence };
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
                    reason: Some(ENDED_BEFORE_ANSWER.to_owned()),
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
            reason: Some(DIED_TWICE.to_owned()),
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

    const END: LeaseEnd = LeaseEnd {
        repeat: Repeat { key_valid_ms: None, on_the_wire_ms: 1_000, max_attempts: 4, provider: None },
        on_uncertain: OnUncertain::Hold,
        owner_lives: false,
        died_alone: false,
        now: UtcInstant(10_000),
    };

    /// Claimed half a second ago.
    const LEFT: Abandoned = Abandoned {
        attempts: 0,
        deaths: 0,
        ambiguous: false,
        key_until: None,
        claimed_at: UtcInstant(9_500),
        provider: None,
        claim_no: 1,
        reported: NOTHING,
    };

    const NOTHING: Reported = Reported::NONE;

    fn said(kind: ReportKind) -> Reported {
        NOTHING.with(kind)
    }

    fn fate(left: Abandoned, evidence: &Evidence, owner_lives: bool) -> (DeliveryState, bool) {
        let fate = Fate::of(&left, evidence, &LeaseEnd { owner_lives, ..END });
        (fate.state(), fate.verdict.counted)
    }

    fn ended(state: DeliveryState, ambiguous: bool) -> Evidence {
        Evidence::Ended(Verdict { state, ambiguous, counted: true, ..Verdict::untouched() })
    }

    #[test]
    fn a_report_is_the_outcome_where_the_journal_leaves_a_doubt_and_only_there() {
        use DeliveryState::{Failed, Pending, Sent, Uncertain};
        let opened = |ambiguous| Abandoned { ambiguous, reported: said(ReportKind::Opened(Reader::Machine)), ..LEFT };
        assert_eq!(fate(opened(false), &Evidence::Ambiguous, false), (Sent, true));
        assert_eq!(fate(opened(true), &Evidence::NotBegun, false), (Sent, false), "it is about the earlier attempt");
        assert_eq!(fate(opened(false), &ended(Uncertain, true), false), (Sent, true));
        assert_eq!(fate(opened(false), &ended(Pending, true), false), (Sent, true));
        // Its owner lives, and may just be beginning with it.
        assert_eq!(fate(opened(false), &Evidence::NotBegun, true), (Sent, true));
        // What is known without reports stays.
        assert_eq!(fate(opened(false), &Evidence::NotBegun, false), (Pending, false));
        assert_eq!(fate(opened(false), &ended(Failed, false), false), (Failed, true));
        assert_eq!(fate(opened(false), &ended(Pending, false), false), (Pending, true));
    }

    #[test]
    fn a_late_rejection_is_believed_of_the_only_attempt() {
        let rejected = |claim_no| Abandoned { claim_no, reported: said(ReportKind::RejectedLater), ..LEFT };
        assert_eq!(fate(rejected(1), &Evidence::Ambiguous, false), (DeliveryState::Failed, true));
        assert_eq!(fate(rejected(2), &Evidence::Ambiguous, false), (DeliveryState::Uncertain, true));
        assert_eq!(fate(LEFT, &Evidence::Ambiguous, false), (DeliveryState::Uncertain, true));
    }
}
