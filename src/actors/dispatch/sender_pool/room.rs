//! Which page is leased next, and which one is given back so that another campaign gets its turn.

use std::time::{Duration, Instant};

use actix::prelude::*;

use super::run::{PageRun, Phase};
use super::{PAGES_AT_ONCE, PAGES_HELD, SenderPool};
use crate::domain::ids::{CampaignId, PageId};
use crate::runtime::pool::Offer;
use crate::store::dispatch::pages::WhichPage;

/// Pages that a pool holds at most, however many places it has: each is renewed every few seconds.
const MOST_PAGES_HELD: usize = 512;

/// How long a page of a campaign that could go on is kept before it makes room for a campaign without one.
const TURN: Duration = Duration::from_secs(5);

impl SenderPool {
    /// How many pages are held at most. One for each place: a page whose last call is still waited for takes one, so that
    /// such pages alone never keep others out.
    fn most_pages(&self) -> usize {
        PAGES_HELD.max(self.deps.pool.concurrency.min(MOST_PAGES_HELD))
    }

    pub(super) fn is_full(&self) -> bool {
        self.runs.len() >= self.most_pages()
    }

    /// How long a campaign waits for its own rate.
    fn held_back(&self, campaign: CampaignId, now: Instant) -> Duration {
        self.rates.get(&campaign).map_or(Duration::ZERO, |rate| rate.dry_for(now))
    }

    /// Pages of a campaign that somebody may be claimed from.
    fn working(&self, campaign: CampaignId) -> usize {
        self.runs.values().filter(|run| run.campaign == campaign && run.phase == Phase::Working).count()
    }

    /// Whether one more page may be worked on beside the others. Those do not count that wait for a retry, for the end of
    /// calls, or for their campaign's own rate: nobody can be claimed from them.
    fn has_room(&self, now: Instant) -> bool {
        let working = self.runs.values().filter(|run| run.phase == Phase::Working);
        working.filter(|run| self.held_back(run.campaign, now).is_zero()).count() < PAGES_AT_ONCE
    }

    /// The campaign to lease a page for, and which. With all pages in hand, only one that works on none gets one more.
    pub(super) fn next_page(&mut self) -> Option<(CampaignId, WhichPage, Option<Offer>)> {
        let now = Instant::now();
        let has_room = self.has_room(now);
        let fits =
            |campaign: CampaignId| self.working(campaign) == 0 || has_room && self.held_back(campaign, now).is_zero();
        let hopeful = self
            .turns
            .iter()
            .copied()
            .filter(|campaign| !self.exhausted_campaigns.contains(campaign) && fits(*campaign));
        let next = hopeful.min_by_key(|campaign| {
            (self.room_for != Some(*campaign), self.working(*campaign), self.held_back(*campaign, now))
        });
        let offered = self.offers.iter().position(|offer| fits(offer.campaign));
        // Room that was made for somebody is not for others.
        let meant = self.room_for.filter(|campaign| self.working(*campaign) == 0);
        let offered = match meant {
            Some(meant) => match self.offers.iter().position(|offer| offer.campaign == meant) {
                Some(at) => Some(at),
                None if next == Some(meant) => None,
                None => offered,
            },
            None => offered,
        };
        match (next, offered) {
            (Some(campaign), None) => Some((campaign, WhichPage::Oldest, None)),
            (Some(campaign), Some(_)) if self.last_offer_failed => Some((campaign, WhichPage::Oldest, None)),
            (_, Some(at)) => {
                let offer = self.offers.remove(at)?;
                Some((offer.campaign, WhichPage::This(offer.page), Some(offer)))
            }
            (None, None) => None,
        }
    }

    /// With as many pages in hand as there may be: gives one back if a campaign that could go on has none to work on. The
    /// page goes whose campaign's next token is farthest away, else the one that has been held for longest.
    pub(super) fn make_room(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        let lately = self.room_made.is_some_and(|made| now.duration_since(made) < self.deps.timing.due_tick());
        if lately || self.runs.values().any(|run| run.phase == Phase::Settling) {
            return;
        }
        let known = self.turns.iter().copied().filter(|campaign| !self.exhausted_campaigns.contains(campaign));
        let mut waiting = known.chain(self.offers.iter().map(|offer| offer.campaign));
        let ready = |campaign: &CampaignId| self.working(*campaign) == 0 && self.held_back(*campaign, now).is_zero();
        let Some(campaign) = waiting.find(ready) else { return };
        let Some(page) = self.least_urgent(now) else { return };
        self.room_for = Some(campaign);
        self.room_made = Some(now);
        if let Some(run) = self.runs.get_mut(&page) {
            run.close();
        }
        self.settle(page, ctx);
    }

    /// The page that is missed least, of those with nothing under way.
    fn least_urgent(&self, now: Instant) -> Option<PageId> {
        let idle = self.runs.values().filter(|run| run.is_idle());
        let scored =
            idle.map(|run: &PageRun| (self.held_back(run.campaign, now), now.duration_since(run.since), run.id));
        let going = scored.filter(|(wait, held, _)| !wait.is_zero() || *held >= TURN);
        going.max().map(|(_, _, page)| page)
    }
}
