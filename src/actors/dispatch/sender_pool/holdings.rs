//! The pages that a pool holds under lease, and the content of their campaigns.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::content::CampaignContent;
use super::run::{PageRun, Phase};
use crate::domain::dispatch::lease::LeaseToken;
use crate::domain::ids::{CampaignId, PageId};

/// Pages that a pool claims from at once: a claim on one overlaps with a flush of another.
const PAGES_AT_ONCE: usize = 4;

/// Pages that a pool holds at most, those included that only wait: for a retry, for the end of calls, for their campaign's
/// own rate. A pool with more places than this holds as many as it has places.
const PAGES_HELD: usize = 64;

/// Pages that a pool holds at most, however many places it has: each is renewed every few seconds.
const MOST_PAGES_HELD: usize = 512;

/// How long a page of a campaign that could go on is kept before it makes room for a campaign without one.
const TURN: Duration = Duration::from_secs(5);

/// The most campaigns without a page whose compiled content is kept.
const MAX_IDLE: usize = 8;

/// The most bytes of files, in base64, that are kept for them.
const MAX_IDLE_FILES: usize = 16 * 1024 * 1024;

/// What a pool holds.
pub(super) struct Holdings<C = CampaignContent> {
    runs: BTreeMap<PageId, PageRun<C>>,
    pub(super) contents: HashMap<CampaignId, Arc<C>>,
    /// A lease is being asked for.
    pub(super) leasing: bool,
    /// Most pages.
    most: usize,
}

impl<C> Holdings<C> {
    /// Nothing is held. One page for each of `places`: a page whose last call is still waited for takes one, so that such pages alone never
    /// keep others out.
    pub(super) fn new(places: usize) -> Self {
        let most = PAGES_HELD.max(places.min(MOST_PAGES_HELD));
        Self { runs: BTreeMap::new(), contents: HashMap::new(), leasing: false, most }
    }

    /// A page was leased.
    pub(super) fn insert(&mut self, run: PageRun<C>) {
        self.contents.insert(run.campaign, Arc::clone(&run.content));
        self.runs.insert(run.id, run);
    }

    /// A page is held no longer.
    pub(super) fn remove(&mut self, page: PageId) -> Option<PageRun<C>> {
        self.runs.remove(&page)
    }

    /// A page in hand.
    pub(super) fn get(&self, page: PageId) -> Option<&PageRun<C>> {
        self.runs.get(&page)
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, page: PageId) -> Option<&mut PageRun<C>> {
        self.runs.get_mut(&page)
    }

    /// The page, if it is still held under this lease.
    pub(super) fn under(&mut self, page: PageId, token: LeaseToken) -> Option<&mut PageRun<C>> {
        self.runs.get_mut(&page).filter(|run| run.token == token)
    }

    /// All pages.
    pub(super) fn all(&self) -> impl Iterator<Item = &PageRun<C>> {
        self.runs.values()
    }

    /// The same, to be changed.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut PageRun<C>> {
        self.runs.values_mut()
    }

    /// The pages of one campaign.
    pub(super) fn of_mut(&mut self, campaign: CampaignId) -> impl Iterator<Item = &mut PageRun<C>> {
        self.runs.values_mut().filter(move |run| run.campaign == campaign)
    }

    /// Whether a page of a campaign is held.
    pub(super) fn has(&self, campaign: CampaignId) -> bool {
        self.runs.values().any(|run| run.campaign == campaign)
    }

    /// The campaigns whose pages are held.
    pub(super) fn campaigns(&self) -> HashSet<CampaignId> {
        self.runs.values().map(|run| run.campaign).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Whether no more pages are leased.
    pub(super) fn is_full(&self) -> bool {
        self.runs.len() >= self.most
    }

    /// Pages of a campaign that somebody may be claimed from.
    pub(super) fn working(&self, campaign: CampaignId) -> usize {
        self.runs.values().filter(|run| run.campaign == campaign && run.phase == Phase::Working).count()
    }

    /// Whether one more page may be worked on beside the others. Those do not count that wait for a retry, for the end of
    /// calls, or for their campaign's own rate: nobody can be claimed from them.
    pub(super) fn has_room(&self, held_back: impl Fn(CampaignId) -> Duration) -> bool {
        let working = self.runs.values().filter(|run| run.phase == Phase::Working);
        working.filter(|run| held_back(run.campaign).is_zero()).count() < PAGES_AT_ONCE
    }

    /// The page of a campaign to claim from: the one with the least to be recorded, so that a flush of another does not keep its row locked.
    pub(super) fn claimable(&self, campaign: CampaignId) -> Option<&PageRun<C>> {
        let of = self.runs.values().filter(|run| run.campaign == campaign && run.claimable());
        of.min_by_key(|run| run.unrecorded)
    }

    /// Whether somebody can be claimed from any page.
    pub(super) fn has_claimable(&self) -> bool {
        self.runs.values().any(PageRun::claimable)
    }

    /// Pages whose lease should end.
    pub(super) fn finished(&self) -> Vec<PageId> {
        self.runs.values().filter(|run| run.settleable()).map(|run| run.id).collect()
    }

    /// Whether a page is just being settled.
    pub(super) fn is_settling(&self) -> bool {
        self.runs.values().any(|run| run.phase == Phase::Settling)
    }

    /// The page that is missed least, of those with nothing under way: its campaign's next token is farthest away, or it has been held for
    /// longest.
    pub(super) fn least_urgent(&self, now: Instant, held_back: impl Fn(CampaignId) -> Duration) -> Option<PageId> {
        let idle = self.runs.values().filter(|run| run.is_idle());
        let scored = idle.map(|run| (held_back(run.campaign), now.duration_since(run.since), run.id));
        let going = scored.filter(|(wait, held, _)| !wait.is_zero() || *held >= TURN);
        going.max().map(|(_, _, page)| page)
    }

    /// Compiled content of campaigns that hold no page goes when there is much of it, so that memory follows the work. `files`: how many bytes
    /// of files a campaign has. Returns whether it went.
    pub(super) fn forget_idle(&mut self, files: impl Fn(&C) -> usize) -> bool {
        let held = self.campaigns();
        let idle = self.contents.iter().filter(|(campaign, _)| !held.contains(campaign));
        let (count, bytes) = idle.fold((0, 0), |(count, bytes), (_, content)| (count + 1, bytes + files(content)));
        let goes = count > MAX_IDLE || bytes > MAX_IDLE_FILES;
        if goes {
            self.contents.retain(|campaign, _| held.contains(campaign));
        }
        goes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ContactId;
    use crate::runtime::clock::Boottime;
    use crate::runtime::trust::Trust;

    fn page(id: i64, campaign: i64, since: Instant) -> PageRun<()> {
        PageRun {
            id: PageId(id),
            campaign: CampaignId(campaign),
            seq: id,
            token: LeaseToken(id),
            trust: Trust::until(Boottime::now().plus(Duration::from_secs(60))),
            content: Arc::new(()),
            flow: Arc::default(),
            phase: Phase::Working,
            cursor: ContactId(0),
            first: ContactId(0),
            claiming: false,
            unrecorded: 0,
            single: false,
            since,
        }
    }

    fn holdings(pages: &[(i64, i64)]) -> Holdings<()> {
        let mut holdings = Holdings::new(1);
        pages.iter().for_each(|(id, campaign)| holdings.insert(page(*id, *campaign, Instant::now())));
        holdings
    }

    fn claimable(holdings: &Holdings<()>) -> Option<i64> {
        holdings.claimable(CampaignId(1)).map(|run| run.id.0)
    }

    #[test]
    fn the_page_with_the_least_to_be_recorded_is_claimed_from() {
        let mut held = holdings(&[(1, 1), (2, 1), (3, 2)]);
        held.get_mut(PageId(1)).unwrap().unrecorded = 5;
        assert_eq!(claimable(&held), Some(2));
        held.get_mut(PageId(2)).unwrap().claiming = true;
        assert_eq!(claimable(&held), Some(1));
        held.get_mut(PageId(1)).unwrap().close();
        assert_eq!((claimable(&held), held.has_claimable()), (None, true), "another campaign's can");
        assert_eq!(held.finished(), [], "five are not recorded");
        held.get_mut(PageId(1)).unwrap().unrecorded = 0;
        assert_eq!(held.finished(), [PageId(1)]);
    }

    #[test]
    fn a_page_is_known_by_its_lease() {
        let mut held = holdings(&[(1, 1)]);
        assert!(held.under(PageId(1), LeaseToken(1)).is_some());
        assert!(held.under(PageId(1), LeaseToken(2)).is_none());
    }

    #[test]
    fn pages_that_wait_for_their_campaigns_rate_take_no_room_from_others() {
        let held = holdings(&[(1, 1), (2, 1), (3, 2), (4, 2)]);
        assert!(!held.has_room(|_| Duration::ZERO));
        assert!(held.has_room(|campaign| Duration::from_secs(u64::from(campaign == CampaignId(2)))));
        assert_eq!((held.working(CampaignId(1)), held.has(CampaignId(3))), (2, false));
    }

    #[test]
    fn the_page_goes_first_whose_campaign_waits_for_longest_and_none_that_was_just_leased() {
        let mut held = holdings(&[(1, 1), (2, 2)]);
        let now = Instant::now();
        let waits = |campaign: CampaignId| Duration::from_secs(u64::from(campaign == CampaignId(2)));
        assert_eq!(held.least_urgent(now, waits), Some(PageId(2)));
        assert_eq!(held.least_urgent(now, |_| Duration::ZERO), None);
        assert!(held.least_urgent(now + TURN, |_| Duration::ZERO).is_some());
        held.all_mut().for_each(|run| run.unrecorded = 1);
        assert_eq!(held.least_urgent(now + TURN, waits), None, "something is under way on both");
    }

    #[test]
    fn no_more_pages_than_places_are_held_beyond_the_usual_number() {
        let full = |places: usize, pages: i64| {
            let mut held = Holdings::new(places);
            (0..pages).for_each(|id| held.insert(page(id, 1, Instant::now())));
            held.is_full()
        };
        assert!(!full(1, 63) && full(1, 64));
        assert!(!full(100, 99) && full(100, 100));
        assert!(full(1_000, 512));
    }

    #[test]
    fn the_content_of_a_few_campaigns_is_kept_and_of_many_only_while_they_hold_pages() {
        let mut held = holdings(&[(1, 1), (2, 2)]);
        held.remove(PageId(2));
        assert!(!held.forget_idle(|()| 0) && held.contents.len() == 2);
        assert!(held.forget_idle(|()| MAX_IDLE_FILES + 1) && held.contents.len() == 1);
    }
}
