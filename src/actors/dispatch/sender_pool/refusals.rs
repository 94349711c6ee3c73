//! Refusals: decided here and not by the task that met them, because whose trouble one is depends on how the others fare.

use std::time::Duration;

use super::SenderPool;
use super::run::Phase;
use crate::actors::dispatch::recorder::{Inbox, Record};
use crate::domain::campaigns::OnUncertain;
use crate::domain::channel::ChannelKind;
use crate::domain::dispatch::answer::{AnswerClass, Refusal};
use crate::domain::dispatch::claim::ClaimKey;
use crate::domain::dispatch::delivery::{DeliveryState, ErrorCategory};
use crate::domain::dispatch::outcome::Outcome;
use crate::domain::dispatch::pace::{Decision, Refused, Seconds};
use crate::domain::dispatch::retries::Retries;
use crate::domain::dispatch::settlement::{Attempt, Verdict, settle};
use crate::domain::ids::PageId;

/// A refused delivery whose fate is not decided. Its journal line says "put off", so that a crash loses nothing; dropped
/// undecided, by a pool that dies, it is recorded as that line says.
pub(super) struct Undecided {
    /// The record, with the verdict that stands in the journal; taken when it is decided.
    pub(super) record: Option<Record>,
    pub(super) inbox: Inbox,
    pub(super) refusal: Refusal,
    pub(super) tries: Tries,
    pub(super) channel: ChannelKind,
    /// How often in a row it was put off before.
    pub(super) put_offs: u32,
    /// Whether it was never refused before.
    pub(super) first_try: bool,
    /// Words of an earlier attempt are kept, and go with the end of the delivery.
    pub(super) has_content: bool,
}

impl Undecided {
    /// The claim and its page.
    fn claim(&self) -> Option<(ClaimKey, PageId)> {
        self.record.as_ref().map(|record| (record.settlement.key, record.settlement.page))
    }
}

impl Drop for Undecided {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            self.inbox.take(record);
        }
    }
}

/// What is known of the tries of a delivery.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tries {
    /// Attempts that counted before this one.
    pub(super) attempts_before: u32,
    /// How much waiting the campaign gives it, where it says so.
    pub(super) retry_for: Option<Duration>,
    /// Whether an earlier attempt may have been accepted.
    pub(super) was_ambiguous: bool,
    /// Whether the provider honours keys, and this delivery's key is still valid there.
    pub(super) key_honoured: bool,
    /// The campaign's rule for what cannot be known.
    pub(super) on_uncertain: OnUncertain,
    /// Spreads retries; 0.0 to 1.0.
    pub(super) jitter: f64,
}

impl Tries {
    /// The attempt that is judged, by the pool's waits.
    pub(super) fn attempt(self, retries: &Retries) -> Attempt<'_> {
        let Self { attempts_before, retry_for, was_ambiguous, key_honoured, on_uncertain, jitter } = self;
        Attempt { attempts_before, retries, retry_for, was_ambiguous, key_honoured, on_uncertain, jitter }
    }
}

impl SenderPool {
    /// Decides what becomes of a refused delivery, or holds it until the others have shown how they fare.
    pub(super) fn refused(&mut self, undecided: Undecided, took: Duration, domain: Option<u8>) {
        let now = self.admission.tempo.now();
        let refusal = &undecided.refusal;
        let class = match refusal.class {
            AnswerClass::Address | AnswerClass::Recipient => None,
            // A final no to this message. One for now may be about all of them: how others fare tells.
            AnswerClass::Content | AnswerClass::Policy | AnswerClass::Sender if refusal.permanent => None,
            AnswerClass::Content | AnswerClass::Policy | AnswerClass::Sender => Some(AnswerClass::Unsure),
            known @ (AnswerClass::RelayRate
            | AnswerClass::RelayConnections
            | AnswerClass::RelayQuota
            | AnswerClass::RelayAuth
            | AnswerClass::RelayOutage
            | AnswerClass::Unsure) => Some(known),
        };
        let Some(class) = class else {
            self.admission.tempo.member.answered(now);
            return self.count(undecided, false);
        };
        if matches!(class, AnswerClass::RelayOutage | AnswerClass::RelayAuth | AnswerClass::RelayQuota) {
            self.admission.tempo.trouble = Some(refusal.trouble.detail.clone());
        }
        let Some((key, _)) = undecided.claim() else { return };
        let refused = Refused {
            began: now - took.as_secs_f64(),
            at: now,
            domain,
            class,
            permanent: refusal.permanent,
            wait: refusal.wait.map(|wait| crate::domain::dispatch::backoff::honoured(wait).as_secs_f64()),
            signature: refusal.signature.clone(),
            detail: refusal.trouble.detail.clone(),
            recipient: key.contact.0,
            put_offs: undecided.put_offs,
            first_try: undecided.first_try,
            answered: refusal.trouble.category != ErrorCategory::Network,
        };
        match self.admission.tempo.member.refused(refused, now) {
            Decision::Count => {
                self.admission.tempo.trouble = None;
                self.admission.tempo.member.answered(now);
                self.count(undecided, true);
            }
            Decision::PutOff(wait) => self.put_off(undecided, wait),
            Decision::Hold(held) => {
                // Nothing else may be written for as long as it is held.
                self.context.journal.flush();
                self.admission.tempo.held.push((undecided, held));
            }
        }
    }

    /// The second look at refusals that were held. Those of pages that are to be settled are put off at once.
    pub(super) fn look_at_held(&mut self) {
        let now = self.admission.tempo.now();
        let draining = self.draining();
        let held = std::mem::take(&mut self.admission.tempo.held);
        for (undecided, held) in held {
            let Some((key, page)) = undecided.claim() else { continue };
            let goes_on = self.holdings.under(page, key.token).is_some_and(|run| run.phase != Phase::Closing);
            if draining || !goes_on {
                let wait = self.admission.tempo.member.wait(&held.refused, false);
                self.put_off(undecided, wait);
            } else if now < held.until {
                self.admission.tempo.held.push((undecided, held));
            } else {
                match self.admission.tempo.member.look_again(&held, now) {
                    Decision::Count => self.count(undecided, false),
                    Decision::PutOff(wait) => self.put_off(undecided, wait),
                    // Never twice.
                    Decision::Hold(held) => self.put_off(undecided, held.until - now),
                }
            }
        }
    }

    /// It is the recipient's own trouble. `goes_on`: the provider meets this one with a fault, and will again.
    fn count(&mut self, undecided: Undecided, goes_on: bool) {
        let mut refusal = undecided.refusal.clone();
        if refusal.class.is_relay() {
            (refusal.permanent, refusal.wait) = (false, None);
        }
        if refusal.class.is_relay() || refusal.class == AnswerClass::Unsure {
            refusal.class = AnswerClass::Recipient;
        }
        let said = undecided.refusal.class;
        let verdict = settle(&Outcome::Refused(refusal), undecided.tries.attempt(&self.context.retries));
        self.decided(undecided, Verdict { class: Some(said), put_off: goes_on, ..verdict });
    }

    fn put_off(&mut self, undecided: Undecided, wait: Seconds) {
        metrics::counter!("volley_put_offs_total", "pool" => self.context.pool.clone()).increment(1);
        let wait = Duration::try_from_secs_f64(wait.max(0.0)).unwrap_or_default();
        let said = Some(undecided.refusal.class);
        let verdict = Verdict::put_off(wait, &undecided.refusal.trouble, undecided.tries.was_ambiguous);
        self.decided(undecided, Verdict { class: said, ..verdict });
    }

    fn decided(&self, mut undecided: Undecided, verdict: Verdict) {
        let Some(mut record) = undecided.record.take() else { return };
        if record.begun.is_some() {
            self.context.journal.outcome(record.settlement.key, &verdict);
        }
        if verdict.state != DeliveryState::Pending {
            record.settlement.content = undecided.has_content.then(String::new);
        }
        self.context.meters.became(undecided.channel, verdict.state);
        record.settlement.verdict = verdict;
        self.context.inbox.take(record);
    }
}
