//! The ceiling on calls at once, and each instance's part of it.

use serde::{Deserialize, Serialize};

use super::{FORGOTTEN, Seconds, number, whole};

/// How long an instance has the place that goes round.
const TURN: Seconds = 30.0;

/// The ceiling on calls that all instances of a pool may have under way at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Places {
    /// How many; `None` until the first trouble: as many as the settings allow.
    pub total: Option<f64>,
    /// When it was last cut.
    pub cut_at: Seconds,
    /// When it may be raised next.
    pub next_at: Seconds,
    /// Set by an operator: neither cut nor raised.
    pub pinned: bool,
    /// Before the last raise.
    pub(super) before: f64,
    pub(super) raised_at: Seconds,
    /// When the circuit last closed.
    pub(super) came_back_at: Seconds,
    pub(super) hold: Seconds,
    /// Before the circuit opened, or the last cut: raised quickly up to there.
    pub(super) aim: Option<f64>,
    pub(super) was: f64,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            total: None,
            cut_at: 0.0,
            next_at: 0.0,
            pinned: false,
            before: 0.0,
            raised_at: 0.0,
            came_back_at: 0.0,
            hold: 5.0,
            aim: None,
            was: 0.0,
        }
    }
}

impl Places {
    /// How many places there are, where the settings allow `most`.
    #[must_use]
    pub fn total(&self, most: f64) -> f64 {
        self.total.map_or(most, |total| total.min(most))
    }

    /// The part of the instance of rank `rank` of `of`, each of which may have `most` places at best. What cannot be
    /// divided goes round; who loses a place gives it up before the next one takes it.
    #[must_use]
    pub fn part(&self, rank: usize, of: usize, most: usize, latency: Seconds, now: Seconds) -> usize {
        let of = of.max(1);
        let Some(total) = self.total else { return most };
        let total = usize::try_from(whole(total.min(number(most * of)))).unwrap_or(most);
        let has_turn = |at: Seconds| {
            let turn = usize::try_from(whole(at.max(0.0) / TURN)).unwrap_or(0);
            (rank + turn) % of < total % of
        };
        let extra = has_turn(now) && has_turn(now - 1.0 - 2.0 * latency);
        (total / of + usize::from(extra)).min(most)
    }

    /// Lowers the ceiling to a little below what was accepted at once, or takes back a raise that met the limit.
    pub(super) fn cut(&mut self, at_once: f64, began: Seconds, latency: Seconds, most: f64, now: Seconds) {
        if self.pinned {
            return;
        }
        let known = self.total(most);
        let small = known - self.before <= (0.11 * self.before).max(1.0);
        if self.raised_at > 0.0 && now - self.raised_at <= 15.0 + 2.0 * latency && small && began > self.raised_at {
            self.set(self.before, now);
            self.hold = (2.0 * self.hold).min(60.0);
        } else {
            let next = if at_once > 0.0 { (known - 1.0).min((0.8 * at_once).floor()) } else { known / 2.0 };
            self.was = known;
            self.set(next, now);
        }
    }

    /// Lowers the ceiling to `to`, if it is higher.
    pub(super) fn cap(&mut self, to: f64, most: f64, now: Seconds) {
        if !self.pinned && to < self.total(most) {
            self.was = self.total(most);
            self.set(to, now);
        }
    }

    fn set(&mut self, to: f64, now: Seconds) {
        self.total = Some(to.max(1.0));
        self.cut_at = now;
        self.raised_at = 0.0;
        self.aim = None;
    }

    /// Forgets a ceiling that nobody met for long.
    pub(super) fn forget(&mut self, now: Seconds) {
        if !self.pinned && now - self.cut_at.max(self.came_back_at) > FORGOTTEN {
            self.total = None;
        }
    }

    /// Raises the ceiling where somebody has met it.
    pub(super) fn raise(&mut self, hungry: bool, latency: Seconds, most: f64, now: Seconds) {
        let Some(known) = self.total else { return };
        if now > self.cut_at + 60.0 + self.hold {
            self.hold = 5.0;
        }
        if self.pinned || !hungry || now < self.cut_at + 2.0 * latency || now < self.next_at {
            return;
        }
        let aim = self.aim.or((now >= self.cut_at + 60.0 && known < 0.5 * self.was).then_some(0.5 * self.was));
        if let Some(aim) = aim.filter(|aim| known < *aim) {
            self.total = Some((known * 1.5).min(aim).max(known + 1.0));
            self.next_at = now + (2.0 * latency).max(1.0);
        } else if now >= self.cut_at + self.hold {
            self.before = known;
            self.raised_at = now;
            self.total = Some(known + (0.1 * known).max(1.0));
            self.next_at = now + (2.0 * latency).max(3.0);
        }
        if self.total.is_some_and(|total| total >= most) {
            self.total = None;
        }
    }
}
