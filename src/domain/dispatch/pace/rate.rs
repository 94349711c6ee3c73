//! The ceiling on calls a second, and the reservation of single calls under it.

use serde::{Deserialize, Serialize};

use super::{FORGOTTEN, Seconds, whole};

/// No ceiling is lower than this.
const LOWEST: f64 = 0.2;

/// The pace of a pool on tiptoe, in calls a second.
const TIPTOE: f64 = 5.0;

/// The ceiling on calls a second of a pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RateCeiling {
    /// Calls a second; `None` until the first trouble.
    pub ceiling: Option<f64>,
    /// What was measured as accepted at the last cut, a second.
    pub measured: f64,
    /// When it was last cut.
    pub cut_at: Seconds,
    /// When it may be raised next.
    pub next_raise_at: Seconds,
    /// Set by an operator: neither cut nor raised.
    pub pinned: bool,
    /// When the circuit last closed.
    pub(super) came_back_at: Seconds,
    pub(super) hold: Seconds,
    pub(super) step: f64,
    /// When the next call may begin that nobody has reserved.
    pub(super) tat: Seconds,
    /// Rises with every change that makes reservations void.
    pub(super) epoch: u32,
}

impl Default for RateCeiling {
    fn default() -> Self {
        Self {
            ceiling: None,
            measured: 0.0,
            cut_at: 0.0,
            next_raise_at: 0.0,
            pinned: false,
            came_back_at: 0.0,
            hold: 5.0,
            step: 0.05,
            tat: 0.0,
            epoch: 0,
        }
    }
}

/// Calls that one instance may begin, spread over time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Block {
    /// When the next one may begin.
    pub next: Seconds,
    /// The time from one to the next.
    pub gap: Seconds,
    /// How many are left.
    pub left: u32,
    /// Void when the ceiling's epoch is another one.
    pub(super) epoch: u32,
}

impl Block {
    /// How many may begin now, at most `most`. Those that were not used in time are lost: saved up, they would come in a burst.
    pub(super) fn matured(&mut self, now: Seconds, most: u32) -> u32 {
        let patience = self.gap.max(0.2);
        while self.left > 0 && self.next + patience < now {
            self.next += self.gap;
            self.left -= 1;
        }
        let mut count = 0;
        while count < most && count < self.left && self.next + f64::from(count) * self.gap <= now {
            count += 1;
        }
        count
    }

    pub(super) fn spend(&mut self, count: u32) {
        let count = count.min(self.left);
        self.left -= count;
        self.next += f64::from(count) * self.gap;
    }
}

impl RateCeiling {
    /// What holds now, with the settings' own limit (0: none) and a pool on tiptoe.
    pub(super) fn in_force(&self, configured: f64, tiptoe: bool) -> Option<f64> {
        let ceiling =
            if tiptoe { Some(self.ceiling.map_or(TIPTOE, |ceiling| ceiling.min(TIPTOE))) } else { self.ceiling };
        // The settings' limit alone is kept elsewhere, with its burst.
        ceiling.map(|ceiling| if configured > 0.0 { ceiling.min(configured) } else { ceiling })
    }

    /// Whether the same limit was met as the last time.
    pub(super) fn is_confirmed(&self, accepted: f64) -> bool {
        self.measured > 0.0 && (accepted - self.measured).abs() < 0.3 * self.measured
    }

    /// Lowers the ceiling to a little below what was measured as accepted.
    pub(super) fn cut(&mut self, accepted: f64, now: Seconds) {
        if self.pinned {
            return;
        }
        self.hold = if self.is_confirmed(accepted) { (2.0 * self.hold).min(60.0) } else { 5.0 };
        self.measured = accepted;
        let known = self.ceiling.unwrap_or(f64::INFINITY);
        let next =
            if accepted > 0.0 { known.min(0.8 * accepted) } else { self.ceiling.map_or(1.0, |known| known / 2.0) };
        self.ceiling = Some(next.max(LOWEST));
        self.step = 0.05;
        self.cut_at = now;
        self.next_raise_at = now + 2.0;
        self.void(now);
    }

    /// Whether reservations under `other` are void here.
    #[must_use]
    pub fn epoch_changed(&self, other: &Self) -> bool {
        self.epoch != other.epoch
    }

    /// Makes reservations void.
    pub(super) fn void(&mut self, from: Seconds) {
        self.epoch = self.epoch.wrapping_add(1);
        self.tat = from;
    }

    /// Raises the ceiling where it is in use: quickly to what was accepted before, then in growing steps.
    pub(super) fn raise(&mut self, started: f64, latency: Seconds, configured: f64, now: Seconds) {
        let Some(known) = self.ceiling else { return };
        let settled = now >= self.cut_at + 2.0 * latency;
        if self.pinned || now < self.next_raise_at || !settled || started < 0.7 * known {
            return;
        }
        let every = (2.0 * latency).max(2.0);
        let goal = 0.95 * self.measured;
        if self.measured == 0.0 {
            // Nothing is known of what it takes.
            self.ceiling = Some(2.0 * known);
        } else if known < goal {
            let jump = if known < 0.5 * self.measured { 0.5 * known } else { 0.0 };
            self.ceiling = Some(goal.min(known + jump.max(0.05 * self.measured)));
        } else if now >= self.cut_at + self.hold + 3.0 * every {
            self.ceiling = Some(known * (1.0 + self.step));
            self.step = (1.5 * self.step).min(0.5);
        } else {
            return;
        }
        self.next_raise_at = now + every;
        if configured > 0.0 && self.ceiling.is_some_and(|ceiling| ceiling >= configured) {
            self.ceiling = None;
        }
    }

    /// Forgets a ceiling that nobody met for long.
    pub(super) fn forget(&mut self, now: Seconds) {
        if !self.pinned && now - self.cut_at.max(self.came_back_at) > FORGOTTEN {
            self.ceiling = None;
        }
    }

    /// Reserves a tenth of a second's worth of calls.
    pub(super) fn reserve(&mut self, rate: f64, now: Seconds) -> Block {
        let count = whole(0.1 * rate).max(1);
        let next = self.tat.max(now);
        self.tat = next + f64::from(count) / rate;
        Block { next, gap: 1.0 / rate, left: count, epoch: self.epoch }
    }
}
