//! Pages: the unit of fan-out, lease and progress.

use crate::domain::instant::UtcInstant;
use crate::domain::text_enum::text_enum;

/// Recipients per page unless configured otherwise.
pub const DEFAULT_PAGE_SIZE: i64 = 1000;

/// The largest page.
pub const MAX_PAGE_SIZE: i64 = 10_000;

/// A page size within bounds: zero and nonsense mean the default, too much means the largest.
#[must_use]
pub fn clamp_page_size(asked: i64) -> i64 {
    if asked < 1 { DEFAULT_PAGE_SIZE } else { asked.min(MAX_PAGE_SIZE) }
}

text_enum! {
    /// Where a page stands.
    PageState {
        /// Waits to be leased, from `due_at` on.
        Ready = "ready",
        /// A sender pool holds it, by a token and until an expiry.
        Leased = "leased",
        /// Nothing pending and nothing sending.
        Done = "done",
    }
}

/// How many deliveries of a page (or of a campaign: the sum over its pages) stand in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Counts {
    /// Not yet claimed, or waiting for a retry.
    pub pending: i64,
    /// Claimed under the page's lease.
    pub sending: i64,
    /// Accepted by the provider.
    pub sent: i64,
    /// Refused permanently.
    pub failed: i64,
    /// Not sent, with a reason.
    pub skipped: i64,
    /// Handed over, with no way to know whether it was accepted.
    pub uncertain: i64,
}

impl Counts {
    /// Everyone. Conservation says that this never changes once a page is packed.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.pending + self.sending + self.sent + self.failed + self.skipped + self.uncertain
    }

    /// How many are in `state`.
    #[must_use]
    pub fn of(&self, state: super::delivery::DeliveryState) -> i64 {
        let mut counts = *self;
        *counts.slot(state)
    }

    /// The same with `n` more in `state` (fewer when negative).
    #[must_use]
    pub fn shifted(mut self, state: super::delivery::DeliveryState, n: i64) -> Self {
        *self.slot(state) += n;
        self
    }

    /// Moves `n` from one state to another.
    pub fn shift(&mut self, from: super::delivery::DeliveryState, to: super::delivery::DeliveryState, n: i64) {
        *self.slot(from) -= n;
        *self.slot(to) += n;
    }

    fn slot(&mut self, state: super::delivery::DeliveryState) -> &mut i64 {
        use super::delivery::DeliveryState as S;
        match state {
            S::Pending => &mut self.pending,
            S::Sending => &mut self.sending,
            S::Sent => &mut self.sent,
            S::Failed => &mut self.failed,
            S::Skipped => &mut self.skipped,
            S::Uncertain => &mut self.uncertain,
        }
    }
}

/// How far a page has come. While this stays the same, the page stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, diesel::Queryable)]
pub struct Progress {
    /// When it last recorded something.
    pub at: Option<UtcInstant>,
    /// How many of its recipients are pending.
    pub pending: i64,
    /// How many are being sent.
    pub sending: i64,
    /// How many are sent.
    pub sent: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_size_of_nonsense_is_the_default() {
        assert_eq!(clamp_page_size(0), 1000);
        assert_eq!(clamp_page_size(-5), 1000);
        assert_eq!(clamp_page_size(1), 1);
        assert_eq!(clamp_page_size(50_000), 10_000);
    }
}
