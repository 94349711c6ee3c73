//! How many hand-overs may begin now; else why none does, and when to look again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::meters::{Waited, Waits};
use super::pace::Pace;
use super::rate::Rate;
use super::tempo::Tempo;
use crate::domain::dispatch::pace::Seconds;
use crate::domain::ids::CampaignId;

/// What limits a pool: its places, the provider's pace, and rates.
pub(super) struct Admission {
    /// Calls at once, as the settings say.
    places: usize,
    /// Most recipients of one claim.
    chunk: usize,
    /// What the provider bears.
    pub(super) tempo: Tempo,
    pub(super) rate: Rate,
    pub(super) rates: HashMap<CampaignId, Rate>,
    /// Which of these, and whether the pool's own, are waited for.
    waits: Waits,
    /// How far claims run ahead.
    pace: Pace,
    /// Hand-overs under way, on all threads.
    pub(super) in_flight: Arc<AtomicUsize>,
    /// Places that claims under way have spoken for.
    reserved: usize,
    claims: usize,
    /// More places were waited for.
    lingered: bool,
}

/// Why nothing begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Hold {
    /// The journal takes no lines.
    Journal,
    /// Refusals wait for the database, so a claim could not honour them.
    Refusals,
    /// All places are taken.
    Places,
    /// So few places are free that a claim would cost more than it brings: more of them are waited for.
    Linger,
    /// Nobody in hand can be claimed.
    Nobody,
    /// The provider is left alone or slowed down; where known, until when.
    Provider(Option<Duration>),
    /// The pool's rate has nothing in hand for so long.
    PoolRate(Duration),
    /// All campaigns in hand wait for their own rates, the first of them for so long.
    CampaignRates(Duration),
}

/// A claim that was begun: what its end must give back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    /// Which rates its recipients waited for.
    pub(super) waited: Waited,
    /// When it was admitted, on the clock of the pool's pace.
    pub(super) admitted: Seconds,
    /// Calls go one by one, because the provider is being tried.
    pub(super) careful: bool,
}

impl Admission {
    /// Nothing is under way.
    pub(super) fn new(places: usize, chunk: usize, tempo: Tempo, rate: Rate) -> Self {
        Self {
            places,
            chunk,
            tempo,
            rate,
            rates: HashMap::new(),
            waits: Waits::default(),
            pace: Pace::default(),
            in_flight: Arc::new(AtomicUsize::new(0)),
            reserved: 0,
            claims: 0,
            lingered: false,
        }
    }

    /// How many recipients may be claimed now, at least one. `has_refusals`: some wait in the spool. `is_claimable`: whether somebody in hand
    /// could be claimed; asked before tokens are taken from others.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        has_refusals: bool,
        is_claimable: impl FnOnce() -> bool,
    ) -> Result<usize, Hold> {
        if self.tempo.rests(now) {
            return Err(Hold::Journal);
        }
        if has_refusals {
            return Err(Hold::Refusals);
        }
        let busy = self.in_flight.load(Ordering::Acquire) + self.reserved;
        let limited = self.tempo.member.is_limited();
        let ahead = if limited { 0 } else { self.pace.ahead(self.places, self.chunk) };
        let places = self.places + ahead;
        // One by one, calls from before that hang do not count.
        let free = if self.is_careful() { self.chunk } else { places.saturating_sub(busy).min(self.chunk) };
        if free == 0 {
            return Err(Hold::Places);
        }
        let few = free < (places / 4).clamp(1, self.chunk);
        if few && !self.lingered && busy > 0 && !limited {
            return Err(Hold::Linger);
        }
        if !is_claimable() {
            return Err(Hold::Nobody);
        }
        let provider = self.tempo.member.admit(free, busy, self.tempo.now());
        if provider.count == 0 {
            return Err(Hold::Provider(provider.again_at.map(|at| self.tempo.until(at))));
        }
        let count = self.rate.in_hand(now, provider.count);
        if count == 0 {
            self.waits.pool_waits();
            return Err(Hold::PoolRate(self.rate.wait()));
        }
        Ok(count)
    }

    /// How many of `most` a campaign's own rate lets begin; for how long it has nothing in hand.
    pub(super) fn admit_of(&mut self, campaign: CampaignId, most: usize, now: Instant) -> Result<usize, Duration> {
        let Some(rate) = self.rates.get_mut(&campaign) else { return Ok(most) };
        match rate.in_hand(now, most) {
            0 => {
                self.waits.campaign_waits(campaign);
                Err(rate.wait())
            }
            n => Ok(n),
        }
    }

    /// Somebody can be claimed: the next few free places are waited for again.
    pub(super) fn chosen(&mut self) {
        self.lingered = false;
    }

    /// More places were waited for long enough.
    pub(super) fn lingered(&mut self) {
        self.lingered = true;
    }

    /// Whether calls go one by one.
    pub(super) fn is_careful(&self) -> bool {
        self.tempo.member.is_careful()
    }

    /// Claims under way.
    pub(super) fn claims(&self) -> usize {
        self.claims
    }

    /// Whether nothing is claimed or handed over.
    pub(super) fn is_idle(&self) -> bool {
        self.claims == 0 && self.in_flight.load(Ordering::Acquire) == 0
    }

    /// A claim for so many is asked for.
    pub(super) fn claim(&mut self, campaign: CampaignId, n: usize) -> Begun {
        self.claims += 1;
        self.reserved += n;
        self.rate.take(n);
        if let Some(rate) = self.rates.get_mut(&campaign) {
            rate.take(n);
        }
        let waited = self.waits.granted(campaign);
        let (admitted, careful) = (self.tempo.now(), self.is_careful());
        self.tempo.member.begin(n);
        Begun { waited, admitted, careful }
    }

    /// A claim for so many was answered.
    pub(super) fn claimed(&mut self, n: usize, took: Duration) {
        self.claims -= 1;
        self.reserved -= n;
        self.pace.claimed(took);
    }

    /// A call took so long.
    pub(super) fn called(&mut self, took: Duration) {
        self.pace.called(took);
    }

    /// Gives back tokens of those who were not begun.
    pub(super) fn give_back(&mut self, campaign: CampaignId, unused: usize, admitted: Seconds) {
        (0..unused).for_each(|_| self.tempo.member.ended(admitted));
        self.rate.give_back(unused);
        if let Some(rate) = self.rates.get_mut(&campaign) {
            rate.give_back(unused);
        }
    }

    /// How long a campaign waits for its own rate.
    pub(super) fn held_back(&self, campaign: CampaignId, now: Instant) -> Duration {
        self.rates.get(&campaign).map_or(Duration::ZERO, |rate| rate.dry_for(now))
    }

    /// Forgets rates of campaigns that hold no page. One that comes back before its next token is due must not find a full bucket.
    pub(super) fn forget_idle(&mut self, held: &HashSet<CampaignId>, now: Instant) {
        self.rates.retain(|campaign, rate| held.contains(campaign) || !rate.is_rested(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dispatch::pace::Limits;

    const CHUNK: usize = 64;
    const CAMPAIGN: CampaignId = CampaignId(1);

    /// Of a pool with so many places.
    fn admission(places: usize) -> Admission {
        let tempo = Tempo::new(1, Limits { places, ..Limits::default() }, 1_000.0);
        let unlimited = Rate::new("pool:a".to_owned(), 0.0, 0.0, false, Instant::now());
        Admission::new(places, CHUNK, tempo, unlimited)
    }

    fn admit(admission: &mut Admission) -> Result<usize, Hold> {
        admission.admit(Instant::now(), false, || true)
    }

    fn limited(rate: f64) -> Rate {
        Rate::new("a".to_owned(), rate, 1.0, false, Instant::now())
    }

    #[test]
    fn as_many_begin_as_places_are_free_and_a_claim_that_is_out_has_its_places() {
        let mut pool = admission(10);
        assert_eq!(admit(&mut pool), Ok(10));
        pool.claim(CAMPAIGN, 6);
        assert_eq!((admit(&mut pool), pool.claims()), (Ok(4), 1));
        pool.claim(CAMPAIGN, 4);
        assert_eq!(admit(&mut pool), Err(Hold::Places));
        pool.claimed(4, Duration::from_millis(2));
        pool.claimed(6, Duration::from_millis(2));
        assert_eq!((admit(&mut pool), pool.is_idle()), (Ok(10), true));
        assert_eq!(admission(200).admit(Instant::now(), false, || true), Ok(CHUNK), "no claim is larger");
    }

    #[test]
    fn few_free_places_are_waited_with_for_a_moment() {
        let mut pool = admission(40);
        pool.claim(CAMPAIGN, 35);
        assert_eq!(admit(&mut pool), Err(Hold::Linger));
        pool.lingered();
        assert_eq!(admit(&mut pool), Ok(5));
        pool.chosen();
        assert_eq!(admit(&mut pool), Err(Hold::Linger));
    }

    #[test]
    fn what_holds_a_pool_back_is_said_and_the_first_reason_counts() {
        let mut pool = admission(10);
        let now = Instant::now();
        assert_eq!(pool.admit(now, false, || false), Err(Hold::Nobody));
        assert_eq!(pool.admit(now, true, || false), Err(Hold::Refusals));
        pool.tempo.rests_until = Some(now + Duration::from_secs(1));
        assert_eq!(pool.admit(now, true, || false), Err(Hold::Journal));
        assert_eq!(pool.admit(now + Duration::from_secs(2), false, || true), Ok(10));
    }

    #[test]
    fn a_provider_that_asked_for_a_pause_gets_nothing_until_its_end() {
        let mut pool = admission(10);
        pool.tempo.member.shared.pause_until = pool.tempo.now() + 5.0;
        let Err(Hold::Provider(Some(wait))) = admit(&mut pool) else { panic!("it is paused") };
        assert!(wait > Duration::from_secs(4) && wait <= Duration::from_secs(5), "{wait:?}");
    }

    #[test]
    fn a_rate_without_tokens_says_for_how_long_and_who_was_not_begun_costs_none() {
        let mut pool = admission(10);
        pool.rate = limited(2.0);
        assert_eq!(admit(&mut pool), Ok(1), "one is saved up");
        let begun = pool.claim(CAMPAIGN, 1);
        let Err(Hold::PoolRate(wait)) = admit(&mut pool) else { panic!("there are no tokens") };
        assert!(wait > Duration::from_millis(400) && wait <= Duration::from_millis(500), "{wait:?}");
        pool.claimed(1, Duration::ZERO);
        pool.give_back(CAMPAIGN, 1, begun.admitted);
        assert_eq!(admit(&mut pool), Ok(1));
    }

    #[test]
    fn a_campaigns_own_rate_holds_that_campaign_alone() {
        let (mut pool, now) = (admission(10), Instant::now());
        pool.rates.insert(CAMPAIGN, limited(2.0));
        assert_eq!(pool.admit_of(CAMPAIGN, 10, now), Ok(1));
        pool.claim(CAMPAIGN, 1);
        assert!(pool.admit_of(CAMPAIGN, 10, now).is_err_and(|wait| wait <= Duration::from_millis(500)));
        assert!(!pool.held_back(CAMPAIGN, now).is_zero());
        assert_eq!(pool.admit_of(CampaignId(2), 10, now), Ok(10));
        pool.forget_idle(&HashSet::new(), now);
        assert!(pool.admit_of(CAMPAIGN, 10, now).is_err(), "no full bucket for one that comes back at once");
    }
}
