//! Cuts that did not help are taken back: then the refusals were not a matter of pace.

use serde::{Deserialize, Serialize};

use super::Seconds;

/// How long a finding is kept.
const KEPT: Seconds = 600.0;

/// So many results since the last cut are judged at least.
const ENOUGH: u32 = 20;

/// How long it takes until calls a second show what a cut brought.
const SHOWS_AFTER: Seconds = 3.0;

/// Below this share nothing is taken back.
const LEAST_SHARE: f64 = 0.05;

/// How things stood before the first cut by unclear answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Note {
    /// The share that was refused.
    share: f64,
    /// Results a second.
    calls: f64,
    rate: Option<f64>,
    places: Option<f64>,
    signature: String,
    at: Seconds,
    /// When something unclear was last refused.
    last: Seconds,
    /// Of calls begun after the last cut.
    results: u32,
    refused: u32,
    cut_at: Seconds,
}

/// Whether cuts by unclear answers help.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    note: Option<Note>,
    not_pace_until: Seconds,
    /// How many cuts were taken back.
    pub undone: u32,
}

/// What is to be restored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Restore {
    pub(super) rate: Option<f64>,
    pub(super) places: Option<f64>,
    pub(super) signature: String,
}

impl Undo {
    /// Whether unclear refusals were found to have nothing to do with the pace.
    pub(super) fn is_no_matter_of_pace(&self, now: Seconds) -> bool {
        now < self.not_pace_until
    }

    /// Whether a further cut has to wait for what the last one brings.
    pub(super) fn waits(&self, now: Seconds) -> bool {
        self.note
            .as_ref()
            .is_some_and(|note| (note.results < ENOUGH || now < note.cut_at + SHOWS_AFTER) && now < note.cut_at + 20.0)
    }

    /// A cut by an unclear answer is made.
    pub(super) fn cutting(
        &mut self,
        (share, calls): (f64, f64),
        (rate, places): (Option<f64>, Option<f64>),
        signature: &str,
        now: Seconds,
    ) {
        let signature = signature.to_owned();
        let fresh =
            Note { share, calls, rate, places, signature, at: now, last: now, results: 0, refused: 0, cut_at: now };
        let note = self.note.get_or_insert(fresh);
        note.cut_at = now;
        if note.results >= ENOUGH {
            (note.results, note.refused) = (0, 0);
        }
    }

    /// Results of calls that began at `began` or later.
    pub(super) fn results(&mut self, began: Seconds, accepted: u32, refused: u32, now: Seconds) {
        let Some(note) = &mut self.note else { return };
        if refused > 0 {
            note.last = now;
        }
        if began > note.cut_at {
            note.results += accepted + refused;
            note.refused += refused;
        }
    }

    /// Forgets how things stood.
    pub(super) fn forget(&mut self) {
        self.note = None;
    }

    /// Looks whether the cuts helped. `calls`: results a second now.
    pub(super) fn look(&mut self, calls: f64, now: Seconds) -> Option<Restore> {
        let note = self.note.as_mut()?;
        if now - note.at > 60.0 && now - note.last > 30.0 {
            self.note = None;
            return None;
        }
        let enough = f64::from(ENOUGH).max(4.0 / note.share.max(LEAST_SHARE));
        if f64::from(note.results) < enough {
            return None;
        }
        let share = f64::from(note.refused) / f64::from(note.results);
        if share < 0.5 * note.share {
            // It helps. Should the same be refused again however low the ceilings are, it helped by accident.
            (note.share, note.calls) = (share.max(LEAST_SHARE), calls);
        } else if calls <= 0.6 * note.calls && share > 0.7 * note.share {
            self.not_pace_until = now + KEPT;
            self.undone += 1;
            return self.note.take().map(|note| Restore {
                rate: note.rate,
                places: note.places,
                signature: note.signature,
            });
        }
        None
    }
}
