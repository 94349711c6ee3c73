//! When so much of a campaign comes back that it should not go on: the receivers would soon refuse all that the sender writes.

use crate::domain::instant::UtcInstant;
use crate::domain::text_enum::text_enum;

text_enum! {
    /// What comes back.
    BrakeKind {
        /// Bounces for a reason that will not pass, by the answer at the hand-over or by a later report.
        Bounces = "bounces",
        /// People who call the message spam.
        Complaints = "complaints",
    }
}

/// A share is one of at least so many messages: of a few, one bounce is a large share and says nothing.
const AT_LEAST: i64 = 1_000;

/// What share of a campaign's messages may come back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BrakeLimits {
    /// As bounces, from 0 to 1.
    pub bounces: f64,
    /// As complaints, from 0 to 1.
    pub complaints: f64,
}

/// A campaign's brake as it was pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brake {
    /// Why.
    pub kind: BrakeKind,
    /// How many messages came back.
    pub part: i64,
    /// Of how many.
    pub whole: i64,
}

impl BrakeLimits {
    /// Which brake is to be pulled when, of `handed` messages, so many bounced and so many people complained. Of fewer than 1,000
    /// messages, the share is that of 1,000.
    #[must_use]
    pub fn exceeded(&self, handed: i64, bounced: i64, complained: i64) -> Vec<Brake> {
        let whole = handed.max(AT_LEAST);
        // Counts of recipients are far below 2^32.
        let number = |count: i64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let is_over = |part: i64, share: f64| number(part) > share * number(whole);
        let all = [(BrakeKind::Bounces, bounced, self.bounces), (BrakeKind::Complaints, complained, self.complaints)];
        let over = all.into_iter().filter(|(_, part, share)| is_over(*part, *share));
        over.map(|(kind, part, _)| Brake { kind, part, whole: handed }).collect()
    }
}

/// A brake that holds a campaign, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulled {
    /// The brake.
    pub brake: Brake,
    /// Since when.
    pub at: UtcInstant,
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BrakeLimits = BrakeLimits { bounces: 0.05, complaints: 0.003 };

    #[test]
    fn a_campaign_is_stopped_by_more_than_its_share_of_at_least_a_thousand_messages() {
        for (handed, bounced, complained, pulled) in [
            (10, 10, 3, vec![]),
            (60, 51, 0, vec![BrakeKind::Bounces]),
            (1_000, 50, 3, vec![]),
            (1_000, 51, 4, vec![BrakeKind::Bounces, BrakeKind::Complaints]),
            (100_000, 5_000, 300, vec![]),
            (100_000, 5_001, 301, vec![BrakeKind::Bounces, BrakeKind::Complaints]),
        ] {
            let kinds: Vec<_> = LIMITS.exceeded(handed, bounced, complained).iter().map(|brake| brake.kind).collect();
            assert_eq!(kinds, pulled, "{bounced} bounces and {complained} complaints of {handed}");
        }
    }

    #[test]
    fn a_share_of_one_is_never_exceeded() {
        let off = BrakeLimits { bounces: 1.0, complaints: 1.0 };
        assert_eq!(off.exceeded(2_000, 2_000, 2_000), []);
    }
}
