//! How a campaign's recipients were answered lately: those that nearly everybody is refused alike in are held at once, and
//! then paused.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::dispatch::alike::{Rule, Window, sample};
use crate::domain::dispatch::outcome::Outcome;

/// The rule, and what all campaigns of a pool were answered on this instance.
#[derive(Debug)]
pub(super) struct Shared {
    rule: Rule,
    window: Mutex<Window>,
}

impl Shared {
    pub(super) fn new(rule: Rule) -> Self {
        Self { rule, window: Mutex::new(Window::default()) }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Counts that a panic left behind are counts all the same.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How one campaign's recipients were answered on this instance, since its status last changed: a resume begins anew.
#[derive(Debug)]
pub(super) struct Answers {
    state: Mutex<State>,
    /// The version of the status under which nobody more is handed over.
    held: AtomicI64,
    /// The pause is being written, or was.
    raised: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    version: i64,
    window: Window,
    quote: String,
}

impl Default for Answers {
    fn default() -> Self {
        Self { state: Mutex::default(), held: AtomicI64::new(i64::MIN), raised: AtomicBool::new(false) }
    }
}

impl Answers {
    /// Notes what a recipient was answered who was claimed under this `version` of the campaign's status.
    pub(super) fn note(&self, outcome: &Outcome, version: i64, pool: &Shared) {
        let Some(refusal) = sample(outcome) else { return };
        let mut state = locked(&self.state);
        if version < state.version {
            return;
        }
        let mut all = locked(&pool.window);
        if version > state.version {
            if self.held.load(Ordering::Acquire) > i64::MIN {
                all.clear();
            }
            *state = State { version, ..State::default() };
            self.raised.store(false, Ordering::Release);
        }
        let (own, all) = (state.window.note(refusal, pool.rule), all.note(refusal, pool.rule));
        let (Some(refusal), Some(own), Some(all)) = (refusal, own, all) else { return };
        if pool.rule.breaks(own, all) && !self.holds(version) {
            state.quote =
                format!("{} of the last {} got the same refusal: {}", own.refused, own.of, refusal.trouble.detail);
            self.held.store(version, Ordering::Release);
        }
    }

    /// Whether nobody more is handed over who was claimed under this version.
    pub(super) fn holds(&self, version: i64) -> bool {
        version <= self.held.load(Ordering::Acquire)
    }

    /// The answer that the campaign is to be paused for, and the version it was held under, unless that is being done.
    pub(super) fn doubt(&self) -> Option<(String, i64)> {
        let held = self.held.load(Ordering::Acquire);
        if held == i64::MIN || self.raised.load(Ordering::Acquire) {
            return None;
        }
        let state = locked(&self.state);
        (state.version == held).then(|| (state.quote.clone(), held))
    }

    pub(super) fn note_raised(&self, raised: bool) {
        self.raised.store(raised, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dispatch::answer::{AnswerClass, Refusal};
    use crate::domain::dispatch::delivery::ErrorCategory;
    use crate::domain::dispatch::trouble::Trouble;

    fn denied() -> Outcome {
        let trouble = Trouble::new(ErrorCategory::Policy, "550 5.7.1 relaying denied");
        let signature = trouble.detail.clone();
        Outcome::Refused(Refusal { class: AnswerClass::Policy, permanent: true, wait: None, signature, trouble })
    }

    #[test]
    fn a_campaign_is_held_under_its_status_and_begins_anew_with_the_next() {
        let pool = Shared::new(Rule { least: 5, share: 0.9 });
        let answers = Answers::default();
        for n in 0..5 {
            assert!(!answers.holds(7), "after {n}");
            answers.note(&denied(), 7, &pool);
        }
        assert!(answers.holds(7) && !answers.holds(8));
        assert_eq!(answers.doubt().unwrap().0, "5 of the last 5 got the same refusal: 550 5.7.1 relaying denied");
        answers.note_raised(true);
        assert_eq!(answers.doubt(), None);
        // Resumed: what comes late from before counts no more, and the first refusals hold nobody.
        answers.note(&denied(), 8, &pool);
        answers.note(&denied(), 7, &pool);
        assert!(!answers.holds(8));
        for _ in 0..4 {
            answers.note(&denied(), 8, &pool);
        }
        assert!(answers.holds(8) && answers.doubt().is_some());
    }

    #[test]
    fn small_campaigns_of_one_pool_are_held_by_what_they_see_together() {
        let pool = Shared::new(Rule { least: 5, share: 0.9 });
        let campaigns = [Answers::default(), Answers::default(), Answers::default()];
        for _ in 0..3 {
            campaigns.iter().for_each(|answers| answers.note(&denied(), 1, &pool));
        }
        assert!(campaigns.iter().all(|answers| answers.holds(1)));
    }
}
