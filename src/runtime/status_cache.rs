//! What this instance believes of campaigns' statuses. The table is the authority; this spares a look at it before each
//! hand-over.

use std::time::{Duration, Instant};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use metrics::Counter;

use crate::domain::campaigns::CampaignStatus;
use crate::domain::ids::CampaignId;

/// More entries than this are pruned of those that have expired.
const PRUNE_ABOVE: usize = 1000;

/// Campaign statuses with a time to live. Set by operators' decisions on this instance and by every claim; a lower
/// version never replaces a higher one, so that a claim's answer that was overtaken by a pause cannot undo it.
pub struct StatusCache {
    entries: DashMap<CampaignId, Known>,
    ttl: Duration,
    hits: Counter,
    misses: Counter,
}

#[derive(Clone, Copy)]
struct Known {
    status: CampaignStatus,
    version: i64,
    at: Instant,
    /// Heard from the broker, not read from the table: expires sooner.
    ttl: Duration,
}

/// How long a status that was heard from the broker is believed.
const UNCONFIRMED_TTL: Duration = Duration::from_secs(1);

impl Known {
    fn is_stale(&self) -> bool {
        self.at.elapsed() >= self.ttl
    }
}

impl StatusCache {
    /// An empty cache.
    #[must_use]
    pub fn new(ttl: Duration) -> Self {
        let counter = |result: &'static str| metrics::counter!("volley_status_cache_total", "result" => result);
        Self { entries: DashMap::new(), ttl, hits: counter("hit"), misses: counter("miss") }
    }

    /// Notes a status, unless a newer one is known.
    pub fn set(&self, campaign: CampaignId, status: CampaignStatus, version: i64) {
        let fresh = Known { status, version, at: Instant::now(), ttl: self.ttl };
        match self.entries.entry(campaign) {
            Entry::Vacant(vacant) => {
                vacant.insert(fresh);
            }
            Entry::Occupied(mut known) => {
                if known.get().version <= version || known.get().is_stale() {
                    known.insert(fresh);
                }
            }
        }
        if self.entries.len() > PRUNE_ABOVE {
            self.prune();
        }
    }

    /// Notes what a message says of a campaign that is known here, for a moment: what is true comes from the table, and
    /// a forged message must not hold a campaign up for longer.
    pub fn hear(&self, campaign: CampaignId, status: CampaignStatus, version: i64) {
        if let Some(mut known) = self.entries.get_mut(&campaign)
            && known.version < version
        {
            *known = Known { status, version, at: Instant::now(), ttl: self.ttl.min(UNCONFIRMED_TTL) };
        }
    }

    /// The status, if it is known and not too old. A deleted campaign is unknown, and nobody is handed over on that.
    #[must_use]
    pub fn get(&self, campaign: CampaignId) -> Option<CampaignStatus> {
        let known = self.entries.get(&campaign).map(|entry| *entry.value());
        let hit = known.filter(|known| !known.is_stale()).map(|known| known.status);
        let counter = if hit.is_some() { &self.hits } else { &self.misses };
        counter.increment(1);
        hit
    }

    /// Forgets everything: nothing is handed over before the table was asked again.
    pub fn forget_all(&self) {
        self.entries.clear();
    }

    /// How many campaigns it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn prune(&self) {
        self.entries.retain(|_, known| !known.is_stale());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMPAIGN: CampaignId = CampaignId(1);

    #[test]
    fn a_lower_version_never_replaces_a_higher_one() {
        let cache = StatusCache::new(Duration::from_secs(5));
        cache.set(CAMPAIGN, CampaignStatus::Paused, 3);
        cache.set(CAMPAIGN, CampaignStatus::Sending, 2);
        assert_eq!(cache.get(CAMPAIGN), Some(CampaignStatus::Paused));
    }

    #[test]
    fn an_expired_status_is_not_believed() {
        let cache = StatusCache::new(Duration::ZERO);
        cache.set(CAMPAIGN, CampaignStatus::Sending, 1);
        assert_eq!(cache.get(CAMPAIGN), None);
    }

    #[test]
    fn expired_entries_are_pruned_beyond_a_thousand() {
        let cache = StatusCache::new(Duration::ZERO);
        for id in 0..2000 {
            cache.set(CampaignId(id), CampaignStatus::Sending, 1);
        }
        assert!(cache.len() <= PRUNE_ABOVE + 1, "{} entries", cache.len());
    }
}
