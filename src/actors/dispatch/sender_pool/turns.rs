//! Which campaign is next: to claim from a page in hand, and to lease a page for.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use crate::domain::ids::CampaignId;
use crate::runtime::pool::Offer;
use crate::store::dispatch::pages::WhichPage;

/// How long an announced page waits here for room. Then the message goes; the row stays, and the page is announced again.
const OFFER_WAITS: Duration = Duration::from_secs(5);

/// The campaigns of a pool, in turn.
#[derive(Default)]
pub(super) struct Turns {
    /// Campaigns that may have ready pages.
    campaigns: VecDeque<CampaignId>,
    /// Those of them that had no page to lease: not asked again before the next look finds one.
    exhausted: HashSet<CampaignId>,
    /// Pages that the broker announced, oldest first.
    offers: VecDeque<Offer>,
    /// The last offer was of no use: one of the pages that are known to be there comes first.
    last_offer_failed: bool,
    /// The campaign that a page was given back for.
    room_for: Option<CampaignId>,
    /// When a page was last given back for somebody else.
    room_made: Option<Instant>,
}

/// How a campaign stands among the pages in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// Pages of it that somebody may be claimed from.
    pub(super) working: usize,
    /// How long it waits for its own rate.
    pub(super) held_back: Duration,
}

impl Turns {
    /// A campaign may have ready pages. It comes last, unless it has a turn already.
    pub(super) fn add(&mut self, campaign: CampaignId) {
        if !self.campaigns.contains(&campaign) {
            self.campaigns.push_back(campaign);
        }
    }

    /// A look has found ready pages of a campaign.
    pub(super) fn found(&mut self, campaign: CampaignId) {
        self.exhausted.remove(&campaign);
        self.add(campaign);
    }

    /// A campaign has no turn before a look finds pages of it.
    pub(super) fn remove(&mut self, campaign: CampaignId) {
        self.campaigns.retain(|known| *known != campaign);
    }

    /// Offers the turn to each campaign once, until one takes it. A campaign that was offered it comes last.
    pub(super) fn give<T>(&mut self, mut take: impl FnMut(CampaignId) -> Option<T>) -> Option<T> {
        for _ in 0..self.campaigns.len() {
            let campaign = self.campaigns.pop_front()?;
            self.campaigns.push_back(campaign);
            if let Some(taken) = take(campaign) {
                return Some(taken);
            }
        }
        None
    }

    /// A page that the broker announced.
    pub(super) fn offer(&mut self, offer: Offer) {
        self.offers.push_back(offer);
    }

    /// How many announced pages wait for room.
    pub(super) fn offers(&self) -> usize {
        self.offers.len()
    }

    /// Lets announced pages go that have waited too long, or that nobody holds for this pool any more. A pool that drains takes none.
    pub(super) fn let_old_offers_go(&mut self, drains: bool) {
        self.offers.retain(|offer| !drains && !offer.held.is_closed() && offer.since.elapsed() < OFFER_WAITS);
    }

    /// A page was leased for a campaign.
    pub(super) fn leased(&mut self, campaign: CampaignId) {
        self.last_offer_failed = false;
        self.add(campaign);
        self.room_for = self.room_for.filter(|meant| *meant != campaign);
    }

    /// An announced page could not be leased: somebody was faster, or the message was old.
    pub(super) fn offer_failed(&mut self) {
        self.last_offer_failed = true;
    }

    /// A lease could not be tried.
    pub(super) fn not_leased(&mut self) {
        self.last_offer_failed = false;
    }

    /// No page of a campaign is ready. It keeps its turn where pages of it are in hand.
    pub(super) fn exhausted(&mut self, campaign: CampaignId, is_in_hand: bool) {
        self.last_offer_failed = false;
        self.exhausted.insert(campaign);
        self.room_for = self.room_for.filter(|meant| *meant != campaign);
        if !is_in_hand {
            self.remove(campaign);
        }
    }

    /// Forgets campaigns that hold no page.
    pub(super) fn forget_idle(&mut self, held: &HashSet<CampaignId>) {
        let room_for = self.room_for;
        self.campaigns.retain(|campaign| held.contains(campaign) || room_for == Some(*campaign));
        self.exhausted.retain(|campaign| held.contains(campaign));
    }

    /// Campaigns that may have a page to lease.
    fn hopeful(&self) -> impl Iterator<Item = CampaignId> {
        self.campaigns.iter().copied().filter(|campaign| !self.exhausted.contains(campaign))
    }

    /// The campaign to lease a page for, and which. Where there is no room, only one that works on none gets one more.
    pub(super) fn next_page(
        &mut self,
        has_room: bool,
        standing: impl Fn(CampaignId) -> Standing,
    ) -> Option<(CampaignId, WhichPage, Option<Offer>)> {
        let fits = |campaign: CampaignId| {
            let Standing { working, held_back } = standing(campaign);
            working == 0 || has_room && held_back.is_zero()
        };
        let next = self.hopeful().filter(|campaign| fits(*campaign)).min_by_key(|campaign| {
            let Standing { working, held_back } = standing(*campaign);
            (self.room_for != Some(*campaign), working, held_back)
        });
        let offered = self.offers.iter().position(|offer| fits(offer.campaign));
        // Room that was made for somebody is not for others.
        let meant = self.room_for.filter(|campaign| standing(*campaign).working == 0);
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

    /// The campaign that a page is to be given back for: one that could go on and has none to work on. None so soon after the last.
    pub(super) fn in_need(
        &self,
        now: Instant,
        pause: Duration,
        standing: impl Fn(CampaignId) -> Standing,
    ) -> Option<CampaignId> {
        if self.room_made.is_some_and(|made| now.duration_since(made) < pause) {
            return None;
        }
        let mut waiting = self.hopeful().chain(self.offers.iter().map(|offer| offer.campaign));
        waiting.find(|campaign| standing(*campaign) == Standing { working: 0, held_back: Duration::ZERO })
    }

    /// A page is given back for a campaign.
    pub(super) fn make_room_for(&mut self, campaign: CampaignId, now: Instant) {
        self.room_for = Some(campaign);
        self.room_made = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::domain::ids::PageId;

    const ONE: CampaignId = CampaignId(1);
    const TWO: CampaignId = CampaignId(2);
    const FREE: Standing = Standing { working: 0, held_back: Duration::ZERO };

    fn turns(campaigns: &[CampaignId]) -> Turns {
        let mut turns = Turns::default();
        campaigns.iter().for_each(|campaign| turns.add(*campaign));
        turns
    }

    fn offer(campaign: CampaignId, page: i64) -> (Offer, oneshot::Receiver<()>) {
        let (held, broker) = oneshot::channel();
        (Offer { campaign, page: PageId(page), since: Instant::now(), held }, broker)
    }

    fn next(turns: &mut Turns, has_room: bool, standing: impl Fn(CampaignId) -> Standing) -> Option<(i64, WhichPage)> {
        turns.next_page(has_room, standing).map(|(campaign, which, _)| (campaign.0, which))
    }

    #[test]
    fn campaigns_take_turns_and_one_that_cannot_is_passed_over() {
        let mut turns = turns(&[ONE, TWO]);
        assert_eq!(turns.give(Some), Some(ONE));
        assert_eq!(turns.give(Some), Some(TWO));
        assert_eq!(turns.give(|campaign| (campaign == TWO).then_some(TWO)), Some(TWO));
        assert_eq!(turns.give(Some), Some(ONE));
        assert_eq!(turns.give(|_| None::<()>), None);
        turns.remove(ONE);
        assert_eq!(turns.give(Some), Some(TWO));
    }

    #[test]
    fn the_campaign_with_the_fewest_pages_gets_one_more_and_none_with_its_hands_full_where_there_is_no_room() {
        let mut turns = turns(&[ONE, TWO]);
        let standing = |campaign| Standing { working: if campaign == ONE { 2 } else { 1 }, ..FREE };
        assert_eq!(next(&mut turns, true, standing), Some((2, WhichPage::Oldest)));
        assert_eq!(next(&mut turns, false, standing), None);
        let one_has_none = |campaign| Standing { working: usize::from(campaign == TWO), ..FREE };
        assert_eq!(next(&mut turns, false, one_has_none), Some((1, WhichPage::Oldest)));
        let waits_for_its_rate = |_| Standing { working: 1, held_back: Duration::from_secs(1) };
        assert_eq!(next(&mut turns, true, waits_for_its_rate), None);
    }

    #[test]
    fn a_campaign_without_ready_pages_is_not_asked_again_before_a_look_finds_some() {
        let mut turns = turns(&[ONE]);
        turns.exhausted(ONE, true);
        assert_eq!(next(&mut turns, true, |_| FREE), None);
        assert_eq!(turns.give(Some), Some(ONE), "its page in hand is claimed from");
        turns.found(ONE);
        assert_eq!(next(&mut turns, true, |_| FREE), Some((1, WhichPage::Oldest)));
        turns.exhausted(ONE, false);
        assert_eq!(turns.give(Some), None);
    }

    #[test]
    fn an_announced_page_comes_first_unless_the_last_one_was_of_no_use() {
        let mut turns = turns(&[ONE]);
        let (first, _broker) = offer(TWO, 7);
        turns.offer(first);
        turns.offer_failed();
        assert_eq!(next(&mut turns, true, |_| FREE), Some((1, WhichPage::Oldest)));
        turns.leased(ONE);
        assert_eq!(next(&mut turns, true, |_| FREE), Some((2, WhichPage::This(PageId(7)))));
        assert_eq!(turns.offers(), 0);
    }

    #[test]
    fn a_page_that_the_broker_has_taken_back_is_not_leased() {
        let mut turns = Turns::default();
        let (gone, broker) = offer(ONE, 7);
        turns.offer(gone);
        drop(broker);
        turns.let_old_offers_go(false);
        assert_eq!(turns.offers(), 0);
        let (waits, _broker) = offer(ONE, 8);
        turns.offer(waits);
        turns.let_old_offers_go(false);
        assert_eq!(turns.offers(), 1);
        turns.let_old_offers_go(true);
        assert_eq!(turns.offers(), 0, "a pool that drains takes none");
    }

    #[test]
    fn room_that_was_made_for_a_campaign_is_not_for_others_and_not_made_again_at_once() {
        let mut turns = turns(&[ONE, TWO]);
        let (now, pause) = (Instant::now(), Duration::from_secs(1));
        let one_works = |campaign| Standing { working: usize::from(campaign == ONE), ..FREE };
        assert_eq!(turns.in_need(now, pause, one_works), Some(TWO));
        turns.make_room_for(TWO, now);
        assert_eq!(turns.in_need(now, pause, one_works), None);
        let (other, _broker) = offer(ONE, 7);
        turns.offer(other);
        assert_eq!(next(&mut turns, true, |_| FREE), Some((2, WhichPage::Oldest)));
        turns.leased(TWO);
        assert_eq!(next(&mut turns, true, |_| FREE), Some((1, WhichPage::This(PageId(7)))));
        let both_work = |_| Standing { working: 1, ..FREE };
        assert_eq!(turns.in_need(now + pause, pause, both_work), None);
    }
}
