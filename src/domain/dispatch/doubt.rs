//! Deliveries of which nobody knows whether the provider accepted them, and what reports make of them.

use super::delivery::DeliveryState;
use crate::domain::reports::{ReportKind, Reported};

/// Where a delivery stands, as far as doubt is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its state.
    pub state: DeliveryState,
    /// Whether an attempt of it may have been accepted.
    pub ambiguous: bool,
    /// The number of its newest claim. It only rises: an operator who has it sent again does not set it back.
    pub claim_no: i32,
}

impl Standing {
    /// Whether it is unknown if the provider accepted it. One that is being sent is left to its call.
    #[must_use]
    pub const fn is_in_doubt(self) -> bool {
        match self.state {
            DeliveryState::Uncertain => true,
            DeliveryState::Pending => self.ambiguous,
            DeliveryState::Sending | DeliveryState::Sent | DeliveryState::Failed | DeliveryState::Skipped => false,
        }
    }

    /// What reports make of it, in whatever order they came. `None`: they settle nothing.
    ///
    /// A late rejection is believed of an `uncertain` delivery with one claim only. It does not say which attempt it is about: of
    /// two, the other one may have been accepted.
    #[must_use]
    pub fn settled_by(self, reported: Reported) -> Option<DeliveryState> {
        if !self.is_in_doubt() {
            return None;
        }
        if reported.proves_acceptance() {
            return Some(DeliveryState::Sent);
        }
        let is_refuted = self.state == DeliveryState::Uncertain && self.claim_no <= 1;
        (is_refuted && reported.has(ReportKind::RejectedLater)).then_some(DeliveryState::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reports::Reader;

    #[test]
    fn reports_settle_what_is_in_doubt_and_nothing_else() {
        use DeliveryState::{Failed, Pending, Sending, Sent, Skipped, Uncertain};
        let (none, opened) = (Reported::default(), Reported::default().with(ReportKind::Opened(Reader::Machine)));
        let rejected = Reported::default().with(ReportKind::RejectedLater);
        let both = rejected.with(ReportKind::Delivered);
        let settled =
            |state, ambiguous, claim_no, reported| Standing { state, ambiguous, claim_no }.settled_by(reported);
        for state in [Sending, Sent, Failed, Skipped] {
            assert_eq!(settled(state, true, 1, both), None, "{state:?}");
        }
        assert_eq!(settled(Pending, false, 1, opened), None);
        for (state, claim_no) in [(Uncertain, 1), (Uncertain, 2), (Pending, 1)] {
            assert_eq!(settled(state, true, claim_no, none), None, "{state:?}");
            assert_eq!(settled(state, true, claim_no, opened), Some(Sent), "{state:?}");
            assert_eq!(settled(state, true, claim_no, both), Some(Sent), "{state:?}");
        }
        assert_eq!(settled(Uncertain, true, 1, rejected), Some(Failed));
        assert_eq!(settled(Uncertain, true, 2, rejected), None, "it may be about either attempt");
        assert_eq!(settled(Pending, true, 1, rejected), None, "it is asked again in any case");
    }
}
