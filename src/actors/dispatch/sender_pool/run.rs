//! A leased page in the hands of a pool.

use std::sync::Arc;
use std::time::Instant;

use super::content::CampaignContent;
use crate::domain::dispatch::lease::LeaseToken;
use crate::domain::ids::{CampaignId, ContactId, PageId};
use crate::runtime::in_flight::InFlightCount;
use crate::runtime::trust::Trust;
use crate::store::dispatch::pages::PageRow;

/// Where a leased page stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Recipients are claimed.
    Working,
    /// Everyone due is claimed; what is in flight is waited for, then the page is settled.
    Exhausted,
    /// The campaign was paused or stopped, a claim went unanswered, or the process drains: what is in flight is waited
    /// for, then the page is settled.
    Closing,
    /// A settlement is under way.
    Settling,
    /// Kept under lease until the next retry is due.
    Resting(Instant),
}

impl Phase {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Exhausted => "exhausted",
            Self::Closing => "closing",
            Self::Settling => "settling",
            Self::Resting(_) => "resting",
        }
    }
}

/// A leased page.
pub(super) struct PageRun<C = CampaignContent> {
    pub(super) id: PageId,
    pub(super) campaign: CampaignId,
    pub(super) seq: i64,
    pub(super) token: LeaseToken,
    pub(super) trust: Trust,
    pub(super) content: Arc<C>,
    pub(super) flow: Arc<InFlightCount>,
    pub(super) phase: Phase,
    /// Everyone up to here was claimed in this round.
    pub(super) cursor: ContactId,
    pub(super) first: ContactId,
    /// A claim is under way.
    pub(super) claiming: bool,
    /// Claimed and not yet recorded.
    pub(super) unrecorded: usize,
    /// Owners died over this page: one recipient at a time.
    pub(super) single: bool,
    /// When it was leased.
    pub(super) since: Instant,
}

impl<C> PageRun<C> {
    pub(super) fn new(
        row: &PageRow,
        token: LeaseToken,
        trust: Trust,
        content: Arc<C>,
        flow: Arc<InFlightCount>,
    ) -> Self {
        let first = ContactId(row.first_contact_id.0 - 1);
        Self {
            id: row.id,
            campaign: row.campaign_id,
            seq: row.seq,
            token,
            trust,
            content,
            flow,
            phase: Phase::Working,
            cursor: first,
            first,
            claiming: false,
            unrecorded: 0,
            single: row.deaths >= crate::domain::dispatch::deaths::DEATHS_BEFORE_SINGLE,
            since: Instant::now(),
        }
    }

    /// Whether a claim may be made now.
    pub(super) fn claimable(&self) -> bool {
        let waits_for_one = self.single && self.unrecorded > 0;
        self.phase == Phase::Working && !self.claiming && !waits_for_one && !self.trust.has_ended()
    }

    /// Whether nobody of it is under way, although somebody may be claimed.
    pub(super) fn is_idle(&self) -> bool {
        self.phase == Phase::Working && !self.claiming && self.unrecorded == 0
    }

    /// Whether nothing of this page is under way and the lease should end.
    pub(super) fn settleable(&self) -> bool {
        matches!(self.phase, Phase::Exhausted | Phase::Closing) && !self.claiming && self.unrecorded == 0
    }

    /// Goes round once more, from the page's first recipient.
    pub(super) fn restart(&mut self) {
        self.phase = Phase::Working;
        self.cursor = self.first;
    }

    /// No more claims: pause, stop, lost lease, unanswered claim, drain.
    pub(super) fn close(&mut self) {
        if self.phase != Phase::Settling {
            self.phase = Phase::Closing;
        }
    }
}
