//! Whose trouble an unclear refusal is, judged by how others fare in the same seconds.

use super::report::Refused;
use super::shared::Shared;
use super::verdict::{DomainWait, Scope, Verdict};
use super::window::second_of;
use super::{Seconds, number};

/// How far back the first look goes: seconds, and results.
const LOOKS_BACK: (i64, u32) = (12, 300);

/// Fewer results of others than this decide nothing.
const ENOUGH: u32 = 10;

/// Of the others, so many refused speak of the provider.
const RELAY_SHARE: f64 = 0.2;

/// How long a verdict on an answer is kept.
const VERDICT_KEPT: Seconds = 600.0;

/// Most verdicts that are kept at once.
const MOST_VERDICTS: usize = 16;

/// How long a throttled domain waits: from one to two of these.
const DOMAIN_WAIT: Seconds = 60.0;

/// A delivery that was put off so often after unclear refusals, with nobody there to compare it with, is counted as its
/// recipient's trouble; by the recipient's retry delays it goes on for hours.
const PATIENCE: u32 = 3;

impl Shared {
    /// Whose trouble an unclear refusal is, by the first look.
    #[must_use]
    pub fn judge(&self, refused: &Refused, now: Seconds) -> Scope {
        let verdict = self.verdict(&refused.signature, now);
        if let Some(Verdict { until: None, relay, .. }) = verdict {
            return if *relay { Scope::Relay } else { Scope::Recipient };
        }
        if self.circuit.is_open() {
            return Scope::Relay;
        }
        if self.undo.is_no_matter_of_pace(now) {
            return Scope::Recipient;
        }
        let (span, most) = LOOKS_BACK;
        let to = second_of(now);
        let seen = self.window.compare(refused.domain, to - span + 1, to, most);
        if seen.others.results < ENOUGH {
            return Scope::Undecided;
        }
        let share = seen.others.part();
        let known = verdict.is_some() && seen.others.refused >= 2 && share >= 0.01;
        if known || seen.others.surely() >= RELAY_SHARE {
            return Scope::Relay;
        }
        let domain = seen.own.results >= 5 && seen.own.part() >= 0.5 && share < 0.1;
        if domain { Scope::Domain } else { Scope::Recipient }
    }

    /// The share of the others that was refused lately, less what chance may have added, and how many others there were.
    pub(super) fn others_refused(&self, domain: Option<u8>, now: Seconds) -> (f64, u32) {
        let (span, most) = LOOKS_BACK;
        let to = second_of(now);
        let others = self.window.compare(domain, to - span + 1, to, most).others;
        (others.surely(), others.results)
    }

    /// Whether an unclear refusal counts after all, by the second look: the others fared well both before and after it.
    #[must_use]
    pub fn counts(&self, refused: &Refused, span: Seconds, now: Seconds) -> bool {
        if self.circuit.opened_since(refused.at) {
            return false;
        }
        if let Some(verdict) = self.verdict(&refused.signature, now) {
            return !verdict.relay;
        }
        if self.undo.is_no_matter_of_pace(now) {
            return true;
        }
        let at = second_of(refused.at);
        let (before, after) = (second_of(refused.at - span), second_of(refused.at + span));
        let before = self.window.compare(refused.domain, before, at - 1, u32::MAX).others;
        let after = self.window.compare(refused.domain, at + 1, after, u32::MAX).others;
        if before.results >= ENOUGH && after.results >= ENOUGH {
            return before.part() < RELAY_SHARE && after.part() < RELAY_SHARE;
        }
        let few = self.others_refused(refused.domain, now);
        refused.put_offs >= PATIENCE && few.0 < RELAY_SHARE
    }

    /// Whether a delivery that nobody can be compared with has been put off often enough.
    pub(super) fn is_patience_over(refused: &Refused) -> bool {
        refused.put_offs >= PATIENCE
    }

    /// What is known of an answer.
    #[must_use]
    pub fn verdict(&self, signature: &str, now: Seconds) -> Option<&Verdict> {
        self.verdicts.iter().find(|known| known.signature == signature && known.until.is_none_or(|until| now < until))
    }

    /// Keeps the verdict that an answer is about the provider.
    pub(super) fn found_relay(&mut self, signature: &str, share: f64, sample: u32, now: Seconds) {
        if self.verdict(signature, now).is_some_and(|known| known.until.is_none()) {
            return;
        }
        let until = Some(now + VERDICT_KEPT);
        self.keep(Verdict { signature: signature.to_owned(), relay: true, until, share, sample }, now);
    }

    fn keep(&mut self, verdict: Verdict, now: Seconds) {
        self.verdicts
            .retain(|known| known.signature != verdict.signature && known.until.is_none_or(|until| now < until));
        self.verdicts.push(verdict);
        if self.verdicts.len() > MOST_VERDICTS {
            let oldest = self.verdicts.iter().position(|known| known.until.is_some()).unwrap_or(0);
            self.verdicts.remove(oldest);
        }
    }

    /// An operator says what an answer is about; `None` takes that back, and what was found as well.
    pub fn mark(&mut self, signature: &str, relay: Option<bool>, now: Seconds) {
        self.verdicts.retain(|known| known.signature != signature);
        if let Some(relay) = relay {
            let signature = signature.to_owned();
            self.keep(Verdict { signature, relay, until: None, share: 0.0, sample: 0 }, now);
        }
    }

    /// A domain is throttled alone: it waits. Spread by the recipient's number.
    pub(super) fn rest_domain(&mut self, refused: &Refused, now: Seconds) {
        let Some(bin) = refused.domain else { return };
        self.domains.retain(|known| now < known.until);
        if !self.domains.iter().any(|known| known.bin == bin) {
            let spread = number(usize::try_from(refused.recipient.rem_euclid(64)).unwrap_or(0)) / 64.0;
            self.domains.push(DomainWait {
                bin,
                until: now + DOMAIN_WAIT * (1.0 + spread),
                detail: refused.detail.clone(),
            });
        }
    }

    /// How long nothing is handed over to a domain.
    #[must_use]
    pub fn domain_wait(&self, bin: Option<u8>, now: Seconds) -> Option<Seconds> {
        let waits = self.domains.iter().find(|known| Some(known.bin) == bin && now < known.until)?;
        Some(waits.until - now)
    }
}
