//! Whose trouble an unclear refusal is, judged by how others fare in the same seconds.

use serde::{Deserialize, Serialize};

use super::report::Refused;
use super::shared::Shared;
use super::window::second_of;
use super::{Seconds, number};

/// Domains are told apart by so many bins: a list may have a hundred thousand of them, and a row holds a few.
pub(super) const BINS: usize = 32;

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

/// Whose trouble an unclear refusal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The provider's, as a whole.
    Relay,
    /// The recipient's domain's.
    Domain,
    /// The recipient's.
    Recipient,
    /// There is nobody to compare with.
    Undecided,
}

/// An answer that was found to be about the provider as a whole, or marked by an operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Which answer.
    pub signature: String,
    /// Whether it is about the provider; else about its recipient.
    pub relay: bool,
    /// Until when it holds; `None`: until an operator takes it back.
    pub until: Option<Seconds>,
    /// The share of the others that was refused when it was found.
    pub share: f64,
    /// How many others there were.
    pub sample: u32,
}

/// A domain that is throttled alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DomainWait {
    /// Which, as [`bin_of`] says.
    pub bin: u8,
    /// Until when nothing is handed over to it.
    pub until: Seconds,
    /// What the provider said.
    pub detail: String,
}

/// The bin of an address's domain: FNV-1a of what follows the last `@`, in lower case. `None` without one.
#[must_use]
pub fn bin_of(address: &str) -> Option<u8> {
    let (_, domain) = address.rsplit_once('@')?;
    let hash = domain.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
    });
    u8::try_from((hash ^ (hash >> 32)) % u64::try_from(BINS).unwrap_or(1)).ok()
}

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
