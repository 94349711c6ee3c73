//! A provider that refuses everything: first on tiptoe, then left alone and probed.

use serde::{Deserialize, Serialize};

use super::{Limits, Seconds};

/// So many refusals in a row cut no ceiling any more: it is not a matter of pace.
pub(super) const CUTS_NOTHING: u32 = 5;

/// So many refusals in a row put the pool on tiptoe, and open the circuit when they last.
const IN_A_ROW: u32 = 10;

/// How long they have to last.
const LASTS: Seconds = 3.0;

/// So many calls in a row that went out and were never answered open the circuit: a provider that swallows one call after
/// another would leave the whole audience uncertain.
const LOST_IN_A_ROW: u32 = 5;

/// For so long after it opened, probes follow each other within [`EARLY_LONGEST`].
const EARLY: Seconds = 60.0;

/// A provider that is back after a short outage is found within so long.
const EARLY_LONGEST: Seconds = 2.0;

/// The longest wait between two probes while a quota is used up.
const QUOTA_LONGEST: Seconds = 300.0;

/// Whether a pool's provider is used at all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Circuit {
    /// Since when the provider is left alone.
    pub open_since: Option<Seconds>,
    /// When it is probed next.
    pub next_probe_at: Seconds,
    /// What it said when it was left alone.
    pub reason: String,
    /// When something was last accepted.
    pub last_accept_at: Seconds,
    /// Refusals in a row.
    pub run: u32,
    pub(super) run_since: Seconds,
    /// Final answers without a reason among them, in a row.
    bare: u32,
    /// The recipient of all refusals in a row.
    alone: Option<i64>,
    /// Calls in a row that were never answered.
    lost: u32,
    interval: Seconds,
    quota: bool,
    closed_at: Seconds,
    /// When a delivery's first try was last refused.
    first_try_refused_at: Seconds,
    /// When the youngest call began that was accepted.
    accepted_began: Seconds,
    /// Rate ceiling, rate measured and places before the run began.
    pub(super) before: Option<(Option<f64>, f64, Option<f64>)>,
}

impl Circuit {
    /// Whether the provider is left alone.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open_since.is_some()
    }

    /// Whether it was left alone at some time since `since`.
    pub(super) fn opened_since(&self, since: Seconds) -> bool {
        self.is_open() || self.closed_at >= since && self.closed_at > 0.0
    }

    /// Whether it is used one call at a time.
    #[must_use]
    pub fn is_on_tiptoe(&self) -> bool {
        self.run >= IN_A_ROW
    }

    /// Whether a call that began then may say something new: what was under way when the circuit closed may not.
    pub(super) fn is_news(&self, began: Seconds) -> bool {
        began >= self.closed_at
    }

    /// A call was never answered. Returns whether that is one too many.
    pub(super) fn lost(&mut self) -> bool {
        self.lost = self.lost.saturating_add(1);
        self.lost >= LOST_IN_A_ROW
    }

    /// A call was refused because of its recipient: the provider works as far as that, and may be probed again at once.
    pub(super) fn answered(&mut self, at: Seconds) {
        self.lost = 0;
        if self.is_open() {
            self.next_probe_at = self.next_probe_at.min(at);
        }
    }

    /// Whether all refusals in a row were about this recipient, after others had been accepted.
    pub(super) fn is_alone(&self, recipient: i64) -> bool {
        self.alone == Some(recipient) && self.last_accept_at > 0.0
    }

    /// A refusal. Returns whether it is the first in a row.
    pub(super) fn refused(&mut self, recipient: i64, at: Seconds, is_bare: bool, is_fresh: bool) -> bool {
        self.lost = 0;
        self.run = self.run.saturating_add(1);
        self.bare = if is_bare { self.bare.saturating_add(1) } else { 0 };
        if is_fresh {
            self.first_try_refused_at = at;
        }
        if self.run == 1 {
            (self.run_since, self.alone) = (at, Some(recipient));
        }
        self.alone = self.alone.filter(|alone| *alone == recipient);
        self.run == 1
    }

    /// Whether the run has lasted long enough.
    pub(super) fn is_due(&self, now: Seconds) -> bool {
        !self.is_open() && self.run >= IN_A_ROW && (self.bare >= IN_A_ROW || now - self.run_since >= LASTS)
    }

    /// Leaves the provider alone.
    pub(super) fn open(&mut self, reason: &str, quota: bool, limits: &Limits, now: Seconds) {
        if self.is_open() {
            self.quota |= quota;
            return;
        }
        self.open_since = Some(now);
        reason.clone_into(&mut self.reason);
        self.quota = quota;
        self.interval = limits.probe_first;
        self.next_probe_at = now + self.interval;
    }

    /// Whether others fare well: a call was accepted that began after a delivery's first try was last refused.
    pub(super) fn takes_others(&self) -> bool {
        self.accepted_began > self.first_try_refused_at
    }

    /// Something was accepted. Returns whether that ends an open circuit.
    pub(super) fn accepted(&mut self, began: Seconds, at: Seconds) -> bool {
        self.accepted_began = self.accepted_began.max(began);
        self.last_accept_at = self.last_accept_at.max(at);
        (self.run, self.bare, self.lost) = (0, 0, 0);
        let closes = self.open_since.take().is_some();
        if closes {
            self.closed_at = at;
        }
        closes
    }

    /// Gives the right to one probe, if it is time. The next one may follow although this one still hangs.
    pub(super) fn probe(&mut self, limits: &Limits, now: Seconds) -> bool {
        let Some(since) = self.open_since else { return false };
        if now < self.next_probe_at {
            return false;
        }
        let longest = if self.quota { limits.probe_longest.max(QUOTA_LONGEST) } else { limits.probe_longest };
        let early = !self.quota && now - since < EARLY;
        self.interval = (2.0 * self.interval).min(if early { EARLY_LONGEST.min(longest) } else { longest });
        self.next_probe_at = now + self.interval;
        true
    }

    /// An operator wants a probe now.
    pub(super) fn probe_now(&mut self, now: Seconds) {
        self.next_probe_at = self.next_probe_at.min(now);
    }
}
