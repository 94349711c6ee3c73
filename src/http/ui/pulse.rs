//! The pulse: what open pages show is read once for all of them, at most twice a second, and only while a page is open.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix_web::web;
use tokio::sync::watch;

use crate::domain::dispatch::page::Counts;
use crate::domain::ids::{CampaignId, SessionId};
use crate::domain::instant::UtcInstant;
use crate::http::api::overview::{Glance, Overview};
use crate::http::api::replicas::receipt::Receipt;
use crate::http::state::AppState;
use crate::http::web::problem::ApiError;
use crate::services::overview::{self, Wanted};

/// The shortest time between two looks.
const BEAT: Duration = Duration::from_millis(500);

/// Of the time, this part at most is spent on looking.
const SHARE: u32 = 20;

/// Most pages that are watched on one instance.
const MOST_WATCHERS: usize = 500;

/// Over how long the speed of a campaign is measured.
const MEASURED_OVER: Duration = Duration::from_secs(10);

/// What a page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    /// What goes on.
    Now,
    /// One campaign.
    Campaign(CampaignId),
}

/// What was seen at one moment.
#[derive(Debug)]
pub(super) struct Sight {
    /// The moment.
    pub(super) at: UtcInstant,
    /// What goes on, if a page shows it.
    pub(super) overview: Option<Overview>,
    /// The campaigns that pages show, with the receipt of the newest decision.
    pub(super) campaigns: BTreeMap<CampaignId, (Glance, Option<Receipt>)>,
    /// Hand-overs per second of the campaigns that move.
    pub(super) rates: BTreeMap<CampaignId, f64>,
    /// What was asked for: a page that was opened since is not in here.
    asked: Wanted,
    sessions: BTreeSet<SessionId>,
}

impl Sight {
    /// Whether a session has ended, as far as was asked.
    pub(super) fn has_ended(&self, session: SessionId) -> bool {
        self.asked.sessions.contains(&session) && !self.sessions.contains(&session)
    }

    /// Whether a campaign is gone, as far as was asked.
    pub(super) fn is_gone(&self, campaign: CampaignId) -> bool {
        self.asked.campaigns.contains(&campaign) && !self.campaigns.contains_key(&campaign)
    }
}

/// What is sent to those who watch.
#[derive(Debug, Clone)]
pub(super) enum Beat {
    /// Nothing was seen yet.
    Nothing,
    /// This was seen.
    Seen(Arc<Sight>),
    /// The database could not be asked since this moment.
    Away(Option<UtcInstant>),
    /// The instance stops.
    Closed,
}

/// The pulse of an instance. A handle: cloning is cheap.
#[derive(Clone)]
pub struct Pulse(Arc<Inner>);

struct Inner {
    watched: Mutex<Watched>,
    beats: watch::Sender<Beat>,
}

#[derive(Default)]
struct Watched {
    next: u64,
    watchers: BTreeMap<u64, (Topic, SessionId)>,
    is_beating: bool,
    is_closed: bool,
}

impl Default for Pulse {
    fn default() -> Self {
        Self(Arc::new(Inner { watched: Mutex::default(), beats: watch::Sender::new(Beat::Nothing) }))
    }
}

/// A page that is watched. Dropping it ends that.
pub(super) struct Watching {
    pulse: Pulse,
    number: u64,
    pub(super) beats: watch::Receiver<Beat>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.pulse.lock().watchers.remove(&self.number);
    }
}

impl Pulse {
    /// Ends every stream: an open one would count as a request under way.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.0.beats.send_replace(Beat::Closed);
    }

    /// Watches what a page shows. The first watcher starts the beat.
    ///
    /// # Errors
    /// Too many watch, or the instance stops.
    pub(super) fn watch(
        &self,
        state: &web::Data<AppState>,
        topic: Topic,
        session: SessionId,
    ) -> Result<Watching, ApiError> {
        let mut watched = self.lock();
        if watched.is_closed || watched.watchers.len() >= MOST_WATCHERS {
            let detail =
                "this instance stops, or too many pages are open: the page is tried again by itself".to_owned();
            return Err(ApiError::Unavailable { code: "too_many_pages", detail });
        }
        let number = watched.next;
        watched.next += 1;
        watched.watchers.insert(number, (topic, session));
        if !watched.is_beating {
            watched.is_beating = true;
            actix_web::rt::spawn(self.clone().beat(state.clone()));
        }
        Ok(Watching { pulse: self.clone(), number, beats: self.0.beats.subscribe() })
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.0.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the open pages show; `None`: nobody watches, and the beat ends.
    fn wanted(&self) -> Option<Wanted> {
        let mut watched = self.lock();
        if watched.watchers.is_empty() || watched.is_closed {
            watched.is_beating = false;
            return None;
        }
        let all = || watched.watchers.values();
        let campaigns: BTreeSet<CampaignId> = all()
            .filter_map(|(topic, _)| match topic {
                Topic::Campaign(id) => Some(*id),
                Topic::Now => None,
            })
            .collect();
        let sessions: BTreeSet<SessionId> = all().map(|(_, session)| *session).collect();
        Some(Wanted {
            overview: all().any(|(topic, _)| *topic == Topic::Now),
            campaigns: campaigns.into_iter().collect(),
            sessions: sessions.into_iter().collect(),
        })
    }

    async fn beat(self, state: web::Data<AppState>) {
        let (mut speeds, mut last) = (Speeds::default(), None);
        while let Some(wanted) = self.wanted() {
            let began = Instant::now();
            metrics::counter!("volley_ui_looks_total").increment(1);
            let beat = match seen(&state, wanted, &mut speeds).await {
                Ok(sight) => {
                    last = Some(sight.at);
                    Beat::Seen(Arc::new(sight))
                }
                Err(error) => {
                    tracing::debug!(event = "ui.unseen", %error, "what open pages show cannot be read; it is tried again");
                    Beat::Away(last)
                }
            };
            self.0.beats.send_if_modified(|now| {
                let is_open = !matches!(now, Beat::Closed);
                if is_open {
                    *now = beat;
                }
                is_open
            });
            tokio::time::sleep(BEAT.max(began.elapsed() * (SHARE - 1))).await;
        }
    }
}

async fn seen(state: &AppState, wanted: Wanted, speeds: &mut Speeds) -> Result<Sight, ApiError> {
    let seen = overview::look(&state.services.store, wanted.clone()).await?;
    let overview = seen.overview.map(|overview| Overview::of(seen.at, overview, state)).transpose()?;
    let deadline = state.settings.timing.start_deadline_ms;
    let mut campaigns = BTreeMap::new();
    for (whole, replies) in seen.campaigns {
        let glance = Glance::of(whole, state)?;
        campaigns.insert(glance.id, (glance, Receipt::of(replies, deadline)));
    }
    let shown = campaigns.values().map(|(glance, _)| glance);
    let shown = shown.chain(overview.iter().flat_map(|overview| &overview.active));
    let rates = speeds.measure(Instant::now(), shown.map(|glance| (glance.id, handed_over(&glance.stats.counts))));
    Ok(Sight { at: seen.at, overview, campaigns, rates, asked: wanted, sessions: seen.sessions.into_iter().collect() })
}

fn handed_over(counts: &Counts) -> i64 {
    counts.sent + counts.failed + counts.uncertain
}

/// How fast campaigns move, as far as that was watched.
#[derive(Default)]
struct Speeds(BTreeMap<CampaignId, VecDeque<(Instant, i64)>>);

impl Speeds {
    fn measure(&mut self, now: Instant, seen: impl Iterator<Item = (CampaignId, i64)>) -> BTreeMap<CampaignId, f64> {
        let mut before = std::mem::take(&mut self.0);
        let mut rates = BTreeMap::new();
        for (campaign, done) in seen {
            if self.0.contains_key(&campaign) {
                continue;
            }
            let mut marks = before.remove(&campaign).unwrap_or_default();
            while marks.front().is_some_and(|(at, _)| now.duration_since(*at) > MEASURED_OVER) {
                marks.pop_front();
            }
            // What is tried again is no longer done: the measure begins anew.
            if marks.back().is_some_and(|(_, last)| *last > done) {
                marks.clear();
            }
            if let Some((at, first)) = marks.front() {
                let took = now.duration_since(*at).as_secs_f64();
                let moved = u32::try_from(done - first).unwrap_or(u32::MAX);
                if took >= 1.0 {
                    rates.insert(campaign, f64::from(moved) / took);
                }
            }
            marks.push_back((now, done));
            self.0.insert(campaign, marks);
        }
        rates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_measured_over_ten_seconds_and_begins_anew_when_something_is_tried_again() {
        let (mut speeds, began, id) = (Speeds::default(), Instant::now(), CampaignId(7));
        let mut at = |ms: u64, done: i64| {
            speeds.measure(began + Duration::from_millis(ms), std::iter::once((id, done))).get(&id).copied()
        };
        assert_eq!(at(0, 0), None);
        assert_eq!(at(500, 60), None, "half a second says little");
        assert_eq!(at(1_000, 120), Some(120.0));
        assert_eq!(at(10_000, 1_200), Some(120.0));
        assert_eq!(at(20_000, 1_200), Some(0.0), "only the last ten seconds count");
        assert_eq!(at(20_500, 1_100), None);
        assert_eq!(at(22_500, 1_300), Some(100.0));
    }

    #[test]
    fn nobody_watches_at_first() {
        assert!(Pulse::default().wanted().is_none());
    }
}
