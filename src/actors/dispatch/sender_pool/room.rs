//! Which page is leased next, and which one is given back so that another campaign gets its turn.

use std::time::{Duration, Instant};

use actix::prelude::*;

use super::SenderPool;
use super::turns::Standing;
use crate::domain::ids::CampaignId;
use crate::runtime::pool::Offer;
use crate::store::dispatch::pages::WhichPage;

impl SenderPool {
    /// How a campaign stands among the pages in hand.
    fn standing(&self, now: Instant) -> impl Fn(CampaignId) -> Standing {
        let held_back = self.held_back(now);
        move |campaign| Standing { working: self.holdings.working(campaign), held_back: held_back(campaign) }
    }

    /// How long a campaign waits for its own rate.
    fn held_back(&self, now: Instant) -> impl Fn(CampaignId) -> Duration {
        move |campaign| self.admission.held_back(campaign, now)
    }

    /// The campaign to lease a page for, and which. With all pages in hand, only one that works on none gets one more.
    pub(super) fn next_page(&mut self) -> Option<(CampaignId, WhichPage, Option<Offer>)> {
        let now = Instant::now();
        let Self { turns, holdings, admission, .. } = self;
        let held_back = |campaign| admission.held_back(campaign, now);
        let standing = |campaign| Standing { working: holdings.working(campaign), held_back: held_back(campaign) };
        turns.next_page(holdings.has_room(held_back), standing)
    }

    /// With as many pages in hand as there may be: gives one back if a campaign that could go on has none to work on. The
    /// page goes whose campaign's next token is farthest away, else the one that has been held for longest.
    pub(super) fn make_room(&mut self, ctx: &mut Context<Self>) {
        if self.holdings.is_settling() {
            return;
        }
        let now = Instant::now();
        let pause = self.deps.timing.due_tick();
        let Some(campaign) = self.turns.in_need(now, pause, self.standing(now)) else { return };
        let Some(page) = self.holdings.least_urgent(now, self.held_back(now)) else { return };
        self.turns.make_room_for(campaign, now);
        if let Some(run) = self.holdings.get_mut(page) {
            run.close();
        }
        self.settle(page, ctx);
    }
}
