//! A pool's metrics. What is counted for every message is looked up once: the lookup by name and labels costs more than
//! the counting.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, Histogram};

use crate::domain::channel::ChannelKind;
use crate::domain::dispatch::delivery::DeliveryState;
use crate::domain::dispatch::outcome::Outcome;
use crate::domain::dispatch::pace::State;
use crate::domain::ids::CampaignId;

/// Campaigns that have a label of their own. A process lives long, and each campaign would be a series for ever.
const MOST_CAMPAIGNS: usize = 50;

/// Which rates are waited for: those who are claimed next have waited for them.
#[derive(Default)]
pub(super) struct Waits {
    pool: bool,
    campaigns: HashSet<CampaignId>,
}

/// Whether hand-overs had to wait for the pool's rate, and for their campaign's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waited {
    pool: bool,
    campaign: bool,
}

impl Waits {
    /// The pool's rate has nothing in hand.
    pub(super) fn pool_waits(&mut self) {
        self.pool = true;
    }

    /// A campaign's rate has nothing in hand.
    pub(super) fn campaign_waits(&mut self, campaign: CampaignId) {
        self.campaigns.insert(campaign);
    }

    /// Both rates had something for a campaign.
    pub(super) fn granted(&mut self, campaign: CampaignId) -> Waited {
        Waited { pool: std::mem::take(&mut self.pool), campaign: self.campaigns.remove(&campaign) }
    }
}

/// The metrics of one pool.
pub(super) struct Meters {
    pool: String,
    channel: ChannelKind,
    accepted: Counter,
    sent: Counter,
    call: Histogram,
    call_summary: Histogram,
    in_flight: Gauge,
    throughput: Gauge,
    rate_ceiling: Gauge,
    places: Gauge,
    circuit_open: Gauge,
    /// Accepted since the throughput was last shown.
    lately: AtomicU32,
    /// Campaigns that have a label of their own.
    named: Mutex<HashSet<CampaignId>>,
}

/// The span over which a throughput is measured, at least.
const THROUGHPUT_SPAN: Duration = Duration::from_secs(5);

impl Meters {
    pub(super) fn new(pool: &str, channel: ChannelKind) -> Self {
        let name = || pool.to_owned();
        Self {
            pool: name(),
            channel,
            accepted: attempts(pool, "accepted"),
            sent: deliveries(pool, channel, DeliveryState::Sent),
            call: metrics::histogram!("volley_provider_call_seconds", "pool" => name()),
            call_summary: metrics::histogram!("volley_provider_call_summary_seconds", "pool" => name()),
            in_flight: metrics::gauge!("volley_in_flight", "pool" => name()),
            throughput: metrics::gauge!("volley_throughput_per_second", "pool" => name()),
            rate_ceiling: metrics::gauge!("volley_rate_ceiling_per_second", "pool" => name()),
            places: metrics::gauge!("volley_places", "pool" => name()),
            circuit_open: metrics::gauge!("volley_circuit_open", "pool" => name()),
            lately: AtomicU32::new(0),
            named: Mutex::default(),
        }
    }

    /// What a call came to, and how long it took.
    pub(super) fn called(&self, outcome: &Outcome, took: Duration) {
        if matches!(outcome, Outcome::Accepted { .. }) {
            self.accepted.increment(1);
            self.lately.fetch_add(1, Ordering::Relaxed);
        } else {
            attempts(&self.pool, outcome.name()).increment(1);
        }
        if let Some(trouble) = outcome.trouble() {
            let category = trouble.category.as_str();
            metrics::counter!("volley_errors_total", "pool" => self.pool.clone(), "category" => category).increment(1);
        }
        if !matches!(outcome, Outcome::NotBegun(_)) {
            self.call.record(took.as_secs_f64());
            self.call_summary.record(took.as_secs_f64());
        }
    }

    /// So many hand-overs of a campaign begin, which may have waited for a rate.
    pub(super) fn waited(&self, waited: Waited, campaign: CampaignId, begun: usize) {
        let count = u64::try_from(begun).unwrap_or(0);
        for limit in [("pool", waited.pool), ("campaign", waited.campaign)].into_iter().filter(|(_, waited)| *waited) {
            let (pool, campaign) = (self.pool.clone(), self.label_of(campaign));
            metrics::counter!("volley_rate_waits_total", "pool" => pool, "limit" => limit.0, "campaign" => campaign)
                .increment(count);
        }
    }

    fn label_of(&self, campaign: CampaignId) -> String {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.len() < MOST_CAMPAIGNS {
            named.insert(campaign);
        }
        if named.contains(&campaign) { campaign.to_string() } else { "others".to_owned() }
    }

    /// What a delivery of this channel became.
    pub(super) fn became(&self, channel: ChannelKind, state: DeliveryState) {
        if channel == self.channel && state == DeliveryState::Sent {
            self.sent.increment(1);
        } else {
            deliveries(&self.pool, channel, state).increment(1);
        }
    }

    /// Shows the throughput since `since`, if that is long enough ago. Returns since when the next one counts.
    pub(super) fn throughput(&self, since: Instant, now: Instant) -> Instant {
        let span = now.duration_since(since);
        if span < THROUGHPUT_SPAN {
            return since;
        }
        self.throughput.set(f64::from(self.lately.swap(0, Ordering::Relaxed)) / span.as_secs_f64());
        now
    }

    /// How the pool's pace stands.
    pub(super) fn pace(&self, rate: Option<f64>, places: usize, state: State) {
        self.rate_ceiling.set(rate.unwrap_or(f64::NAN));
        self.places.set(f64::from(u32::try_from(places).unwrap_or(u32::MAX)));
        self.circuit_open.set(f64::from(u8::from(state == State::CircuitOpen)));
    }

    /// How many hand-overs are under way.
    pub(super) fn in_flight(&self, count: usize) {
        self.in_flight.set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
    }
}

fn attempts(pool: &str, outcome: &'static str) -> Counter {
    metrics::counter!("volley_attempts_total", "pool" => pool.to_owned(), "outcome" => outcome)
}

fn deliveries(pool: &str, channel: ChannelKind, state: DeliveryState) -> Counter {
    metrics::counter!(
        "volley_deliveries_total",
        "channel" => channel.as_str(), "pool" => pool.to_owned(), "outcome" => state.as_str()
    )
}
