//! Whether nearly everybody is refused alike: then it is not the recipients' fault.

use std::collections::VecDeque;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use super::answer::{AnswerClass, Refusal};
use crate::domain::dispatch::outcome::Outcome;

/// From how many on, and at which share, outcomes of one kind are nobody's own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Outcomes that are looked at, and that there must be.
    pub least: usize,
    /// The share of them that must be refused alike, 0.0 to 1.0.
    pub share: f64,
}

/// So many outcomes of its own a campaign must have before what its pool's other campaigns saw counts against it.
const FEW: usize = 3;

/// What an outcome says of this: `None` nothing, `Some(None)` that the provider accepts, `Some(Some(_))` that it refuses for
/// a reason that is not the recipient's. What is about one recipient neither counts nor dilutes; nor does what will be
/// tried again; and wrong credentials are told by the pool's circuit.
#[must_use]
pub fn sample(outcome: &Outcome) -> Option<Option<&Refusal>> {
    match outcome {
        Outcome::Accepted { .. } => Some(None),
        Outcome::Refused(refusal) => {
            let is_own = refusal.class.is_recipients() || refusal.class == AnswerClass::RelayAuth;
            (refusal.permanent && !is_own).then_some(Some(refusal))
        }
        Outcome::Unsendable(_) | Outcome::Unknown(_) | Outcome::KeySeen { .. } | Outcome::NotBegun(_) => None,
    }
}

/// The last outcomes, as far as they say something of this.
#[derive(Debug, Default)]
pub struct Window {
    last: VecDeque<Option<u64>>,
}

/// How many of how many were refused alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alike {
    /// Those with the same signature as the last.
    pub refused: usize,
    /// All in the window.
    pub of: usize,
}

impl Window {
    /// Notes an outcome, and says how many were refused like it if it was refused.
    pub fn note(&mut self, refused: Option<&Refusal>, rule: Rule) -> Option<Alike> {
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let signature = refused.map(|refusal| hasher.hash_one(&refusal.signature));
        self.last.push_back(signature);
        while self.last.len() > rule.least {
            self.last.pop_front();
        }
        signature?;
        let refused = self.last.iter().filter(|other| **other == signature).count();
        Some(Alike { refused, of: self.last.len() })
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.last.clear();
    }
}

impl Rule {
    /// Whether a campaign is to be paused by what its `own` recipients were answered, and those of its `pool`.
    #[must_use]
    pub fn breaks(self, own: Alike, pool: Alike) -> bool {
        let enough = |alike: Alike| alike.of >= self.least;
        self.is_reached(own) && (enough(own) || own.of >= FEW.min(self.least) && enough(pool) && self.is_reached(pool))
    }

    fn is_reached(self, alike: Alike) -> bool {
        let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        count(alike.refused) >= self.share * count(alike.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dispatch::delivery::ErrorCategory;
    use crate::domain::dispatch::trouble::Trouble;

    const RULE: Rule = Rule { least: 30, share: 0.9 };

    fn refused(class: AnswerClass, permanent: bool, signature: &str) -> Outcome {
        let trouble = Trouble::new(ErrorCategory::Refused, signature);
        Outcome::Refused(Refusal { class, permanent, wait: None, signature: signature.to_owned(), trouble })
    }

    /// After how many of `outcomes`, over and over, a campaign that is alone in its pool is paused.
    fn paused_after(outcomes: &[Outcome]) -> Option<usize> {
        let (mut window, mut tried) = (Window::default(), 0);
        for outcome in outcomes.iter().cycle().take(1_000) {
            tried += 1;
            let Some(refused) = sample(outcome) else { continue };
            let none = Alike { refused: 0, of: 0 };
            if window.note(refused, RULE).is_some_and(|alike| RULE.breaks(alike, none)) {
                return Some(tried);
            }
        }
        None
    }

    #[test]
    fn the_same_refusal_for_nine_in_ten_of_thirty_is_nobodys_own() {
        let denied = refused(AnswerClass::Policy, true, "550 5.7.1 relaying denied");
        let spam = refused(AnswerClass::Content, true, "554 5.7.1 spam");
        let unknown = refused(AnswerClass::Recipient, true, "550 5.1.1 no");
        let later = refused(AnswerClass::Policy, false, "450 4.7.1 blocked");
        let wrong = refused(AnswerClass::RelayAuth, true, "401");
        let taken = Outcome::Accepted { provider_id: None };
        assert_eq!(paused_after(std::slice::from_ref(&denied)), Some(30));
        assert_eq!(paused_after(&[denied.clone(), unknown.clone()]), Some(59), "who is unknown does not dilute");
        assert_eq!(paused_after(&[denied.clone(), later.clone()]), Some(59));
        let nine = |other: &Outcome| [vec![denied.clone(); 9], vec![other.clone()]].concat();
        assert_eq!(paused_after(&nine(&taken)), Some(31), "an accepted one was the last of thirty");
        assert_eq!(paused_after(&[denied.clone(), denied.clone(), denied.clone(), taken.clone()]), None);
        assert_eq!(paused_after(&[denied, spam]), None, "they are not alike");
        for never in [unknown, later, wrong, taken] {
            assert_eq!(paused_after(std::slice::from_ref(&never)), None, "{never:?}");
        }
    }

    #[test]
    fn what_the_pools_other_campaigns_saw_counts_once_it_is_seen_here_too() {
        let alike = |refused, of| Alike { refused, of };
        assert!(!RULE.breaks(alike(2, 2), alike(30, 30)));
        assert!(RULE.breaks(alike(3, 3), alike(30, 30)));
        assert!(!RULE.breaks(alike(3, 3), alike(20, 30)));
        assert!(!RULE.breaks(alike(3, 10), alike(30, 30)));
        assert!(RULE.breaks(alike(27, 30), alike(1, 30)));
    }
}
