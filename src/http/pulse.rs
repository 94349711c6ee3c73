//! The pulse: what open pages and streams show is read once for all of them, at most twice a second, and only while one is open.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix_web::web;
use tokio::sync::watch;

use super::machinery::{Machinery, MachineryWanted};
use super::speeds::Speeds;
use crate::domain::campaigns::CampaignStatus;
use crate::domain::dispatch::page::Counts;
use crate::domain::ids::{ApiKeyId, CampaignId, ImportId, SessionId};
use crate::domain::instant::UtcInstant;
use crate::http::api::import::imports::Import;
use crate::http::api::overview::{Glance, Overview};
use crate::http::api::replicas::receipt::Receipt;
use crate::http::state::AppState;
use crate::http::web::problem::ApiError;
use crate::runtime::health::Attention;
use crate::services::overview::{self, Wanted};
use crate::store::StoreError;

/// The shortest time between two looks.
const BEAT: Duration = Duration::from_millis(500);

/// How long after a look that has failed the next one is tried, and how often it is asked whether sessions are valid.
const SECOND: Duration = Duration::from_secs(1);

/// Longer than this nobody waits for a look.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Of the time, this part at most is spent on looking.
const SHARE: u32 = 20;

/// Most pages and streams that are watched on one instance, and with one session or one API key.
const MOST_WATCHERS: usize = 500;
const MOST_OF_ONE: usize = 20;

/// So often, and so long apart, those who watch are asked whether they are still there before somebody is turned away.
const TIMES_ASKED: usize = 3;
const ANSWERED_WITHIN: Duration = Duration::from_millis(100);

/// What a page shows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    /// Nothing that changes: only whether the session is valid.
    Session,
    /// What goes on.
    Now,
    /// One campaign.
    Campaign(CampaignId),
    /// How fast one campaign goes out.
    Pace(CampaignId),
    /// One import.
    Import(ImportId),
    /// All pools.
    Pools,
    /// One pool.
    Pool(Arc<str>),
    /// The instances.
    Instances,
}

/// Who watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Watcher {
    /// A person, by the session.
    Session(SessionId),
    /// A program, by its API key. `None`: the root key, which is valid for as long as the process runs.
    Key(Option<ApiKeyId>),
}

/// Too many watch already, or the instance stops.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoRoom;

/// What a stream says of a topic, once for all who hear of it.
#[derive(Debug)]
pub(super) struct Said {
    /// The same for the same facts, and another for others.
    pub(super) id: String,
    /// What there is a fact about, and the fact: the name of its event, and JSON.
    pub(super) facts: BTreeMap<String, (&'static str, String)>,
}

/// A part of a page as one kind of visitor sees it: the topic, whether they may change something, and whether everything.
pub(super) type View = (Topic, bool, bool);

/// What was seen at one moment.
#[derive(Debug)]
pub(super) struct Sight {
    /// The moment.
    pub(super) at: UtcInstant,
    /// When the next one comes.
    pub(super) next: Duration,
    /// What keeps this instance from its work.
    pub(super) trouble: Option<Attention>,
    /// What goes on, if a page shows it.
    pub(super) overview: Option<Overview>,
    /// The campaigns that pages show, with the receipt of the newest decision.
    pub(super) campaigns: BTreeMap<CampaignId, (Glance, Option<Receipt>)>,
    /// The imports that pages show.
    pub(super) imports: BTreeMap<ImportId, Import>,
    /// The pools, instances and paces that pages show.
    pub(super) machinery: Machinery,
    /// Hand-overs per second of the campaigns that move.
    pub(super) rates: BTreeMap<CampaignId, f64>,
    /// What was asked for: a page that was opened since is not in here.
    asked: Vec<CampaignId>,
    /// What was rendered of it, once for all who see the same.
    rendered: Mutex<BTreeMap<View, Option<Arc<str>>>>,
    /// What streams say of it, once for all.
    said: Mutex<BTreeMap<Topic, Option<Arc<Said>>>>,
}

impl Sight {
    /// Whether a campaign is gone, as far as was asked.
    pub(super) fn is_gone(&self, campaign: CampaignId) -> bool {
        self.asked.contains(&campaign) && !self.campaigns.contains_key(&campaign)
    }

    /// A part of a page, rendered by the first who needs it.
    pub(super) fn rendered(&self, view: View, render: impl FnOnce() -> Option<String>) -> Option<Arc<str>> {
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        rendered.entry(view).or_insert_with(|| render().map(Arc::from)).clone()
    }

    /// What a stream says of a topic, put into words by the first who needs it.
    pub(super) fn said(&self, topic: Topic, say: impl FnOnce() -> Option<Said>) -> Option<Arc<Said>> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.entry(topic).or_insert_with(|| say().map(Arc::new)).clone()
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
    Away(Option<UtcInstant>, Option<Attention>),
    /// The instance stops.
    Closed,
}

/// The pulse of an instance. A handle: cloning is cheap.
#[derive(Clone)]
pub struct Pulse(Arc<Inner>);

struct Inner {
    watched: Mutex<Watched>,
    beats: watch::Sender<Beat>,
    /// Told when a session or a key of somebody who watches has ended, and when everybody is asked to show that they are still there.
    ended: watch::Sender<()>,
}

#[derive(Default)]
struct Watched {
    next: u64,
    watchers: BTreeMap<u64, (Topic, Watcher)>,
    /// Whether what is shown is read, and whether it is asked who may still watch.
    is_beating: [bool; 2],
    is_closed: bool,
}

impl Default for Pulse {
    fn default() -> Self {
        let (beats, ended) = (watch::Sender::new(Beat::Nothing), watch::Sender::new(()));
        Self(Arc::new(Inner { watched: Mutex::default(), beats, ended }))
    }
}

/// A page that is watched. Dropping it ends that.
pub(super) struct Watching {
    pulse: Pulse,
    number: u64,
    pub(super) beats: watch::Receiver<Beat>,
    pub(super) ended: watch::Receiver<()>,
}

impl Watching {
    /// Whether it is still watched: session or key have not ended.
    pub(super) fn goes_on(&self) -> bool {
        self.pulse.lock().watchers.contains_key(&self.number)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.pulse.lock().watchers.remove(&self.number);
    }
}

/// One of the two loops. However it ends, the next watcher can begin it anew.
struct Running {
    pulse: Pulse,
    number: usize,
    /// Whether its end is noted: another one may have begun since.
    is_noted: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_noted
            && let Some(is_beating) = self.pulse.lock().is_beating.get_mut(self.number)
        {
            *is_beating = false;
        }
    }
}

const LOOKS: usize = 0;
const WATCHERS: usize = 1;

impl Pulse {
    /// Ends every stream: an open one would count as a request under way.
    pub fn close(&self) {
        let mut watched = self.lock();
        watched.is_closed = true;
        self.0.beats.send_replace(Beat::Closed);
    }

    /// Watches what a page or a stream shows. The first watcher starts the beat.
    ///
    /// # Errors
    /// Too many watch, or the instance stops.
    pub(super) async fn watch(
        &self,
        state: &web::Data<AppState>,
        topic: Topic,
        watcher: Watcher,
    ) -> Result<Watching, NoRoom> {
        // Who has closed a page is missed only when something is sent there, and the first of it may still seem to arrive.
        for _ in 0..TIMES_ASKED {
            match self.enter(state, topic.clone(), watcher) {
                Err(NoRoom) if !self.lock().is_closed => self.0.ended.send_replace(()),
                entered => return entered,
            }
            tokio::time::sleep(ANSWERED_WITHIN).await;
        }
        self.enter(state, topic, watcher)
    }

    fn enter(&self, state: &web::Data<AppState>, topic: Topic, watcher: Watcher) -> Result<Watching, NoRoom> {
        let mut watched = self.lock();
        let of_one = watched.watchers.values().filter(|(_, other)| *other == watcher).count();
        let is_full = watched.watchers.len() >= MOST_WATCHERS || of_one >= MOST_OF_ONE;
        if watched.is_closed || is_full {
            return Err(NoRoom);
        }
        let number = watched.next;
        watched.next += 1;
        watched.watchers.insert(number, (topic, watcher));
        let [looks, guards] = std::mem::replace(&mut watched.is_beating, [true, true]);
        // Before the lock is given back: the end of the instance is heard.
        let (beats, ended) = (self.0.beats.subscribe(), self.0.ended.subscribe());
        drop(watched);
        if !looks {
            actix_web::rt::spawn(self.clone().look(state.clone(), self.running(LOOKS)));
        }
        if !guards {
            actix_web::rt::spawn(self.clone().guard(state.clone(), self.running(WATCHERS)));
        }
        Ok(Watching { pulse: self.clone(), number, beats, ended })
    }

    fn running(&self, number: usize) -> Running {
        Running { pulse: self.clone(), number, is_noted: false }
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.0.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads who watches. `None`: nobody does, and the loop with this number ends. Who comes then begins it anew.
    fn watched<T>(&self, running: usize, read: impl FnOnce(&mut Watched) -> T) -> Option<T> {
        let mut watched = self.lock();
        if watched.watchers.is_empty() || watched.is_closed {
            if let Some(is_beating) = watched.is_beating.get_mut(running) {
                *is_beating = false;
            }
            return None;
        }
        Some(read(&mut watched))
    }

    /// What the open pages show.
    fn wanted(&self) -> Option<(Wanted, MachineryWanted)> {
        self.watched(LOOKS, |watched| {
            let topics: BTreeSet<&Topic> = watched.watchers.values().map(|(topic, _)| topic).collect();
            let (mut wanted, mut machinery) = (Wanted::default(), MachineryWanted::default());
            for topic in topics {
                match topic {
                    Topic::Session => {}
                    Topic::Now => wanted.overview = true,
                    Topic::Campaign(id) => wanted.campaigns.push(*id),
                    Topic::Pace(id) => {
                        wanted.campaigns.push(*id);
                        machinery.paces.push(*id);
                    }
                    Topic::Import(id) => wanted.imports.push(*id),
                    Topic::Pools => machinery.pools = true,
                    Topic::Pool(name) => {
                        machinery.pools = true;
                        machinery.receipts.push(name.clone());
                    }
                    Topic::Instances => (wanted.overview, machinery.instances) = (true, true),
                }
            }
            wanted.campaigns.sort_unstable();
            wanted.campaigns.dedup();
            (wanted, machinery)
        })
    }

    /// Looks at what is shown, again and again.
    async fn look(self, state: web::Data<AppState>, mut running: Running) {
        let (mut speeds, mut last, mut is_away, mut before) = (Speeds::default(), None, false, Duration::ZERO);
        while let Some((wanted, machinery)) = self.wanted() {
            let is_nothing = !wanted.overview && wanted.campaigns.is_empty() && wanted.imports.is_empty();
            if is_nothing && machinery.is_nothing() {
                tokio::time::sleep(BEAT).await;
                continue;
            }
            metrics::counter!("volley_ui_looks_total").increment(1);
            let began = Instant::now();
            let (beat, pause) = match seen(&state, (wanted, machinery), &mut speeds, before).await {
                Ok(sight) => {
                    (last, is_away, before) = (Some(sight.at), false, began.elapsed());
                    let pause = sight.next;
                    (Beat::Seen(Arc::new(sight)), pause)
                }
                Err((error, was_asked)) => {
                    if !std::mem::replace(&mut is_away, true) {
                        tracing::warn!(event = "ui.unseen", %error, "what open pages show cannot be read; it is tried again");
                    }
                    // Waiting for a connection costs a database nothing; to work until the time is over does.
                    let cost = if was_asked { began.elapsed() } else { Duration::ZERO };
                    let pause = pause_after(cost).max(SECOND);
                    (Beat::Away(last, state.health.vital()), pause)
                }
            };
            self.0.beats.send_if_modified(|now| {
                let is_open = !matches!(now, Beat::Closed);
                if is_open {
                    *now = beat;
                }
                is_open
            });
            tokio::time::sleep(pause).await;
        }
        running.is_noted = true;
    }

    /// Asks whether the sessions and keys of those who watch are valid, again and again.
    async fn guard(self, state: web::Data<AppState>, mut running: Running) {
        let watchers = |watched: &mut Watched| watched.watchers.values().map(|(_, watcher)| *watcher).collect();
        while let Some(asked) = self.watched::<BTreeSet<Watcher>>(WATCHERS, watchers) {
            // While the database is away nobody is sent away.
            if let Ok(valid) = valid_of(&state, &asked).await {
                let ended: BTreeSet<Watcher> = asked.difference(&valid).copied().collect();
                if !ended.is_empty() {
                    // One that does not read its stream is not looked after any more.
                    self.lock().watchers.retain(|_, (_, watcher)| !ended.contains(watcher));
                    self.0.ended.send_replace(());
                }
            }
            tokio::time::sleep(SECOND).await;
        }
        running.is_noted = true;
    }
}

/// Which of these may still watch.
async fn valid_of(state: &AppState, asked: &BTreeSet<Watcher>) -> Result<BTreeSet<Watcher>, StoreError> {
    let (mut sessions, mut keys, mut valid) = (Vec::new(), Vec::new(), BTreeSet::new());
    for watcher in asked {
        match watcher {
            Watcher::Session(id) => sessions.push(*id),
            Watcher::Key(Some(id)) => keys.push(*id),
            Watcher::Key(None) => _ = valid.insert(*watcher),
        }
    }
    let (sessions, keys) = overview::still_valid(&state.services.store, sessions, keys).await?;
    valid.extend(sessions.into_iter().map(Watcher::Session));
    valid.extend(keys.into_iter().map(|id| Watcher::Key(Some(id))));
    Ok(valid)
}

/// How long it is waited after a look that took so long.
fn pause_after(took: Duration) -> Duration {
    BEAT.max(took * (SHARE - 1)).min(LONGEST_PAUSE)
}

/// Looks at what is wanted. `before`: how long the look before took. A single slow one, such as the first after the database was
/// away, does not hold up the next. An error comes with whether the database was at work.
async fn seen(
    state: &AppState,
    (wanted, machinery): (Wanted, MachineryWanted),
    speeds: &mut Speeds,
    before: Duration,
) -> Result<Sight, (ApiError, bool)> {
    let failed = |error| {
        let was_asked = overview::was_asked(&error);
        (ApiError::from(error), was_asked)
    };
    let (began, asked) = (Instant::now(), wanted.campaigns.clone());
    let seen = overview::look(&state.services.store, wanted).await.map_err(failed)?;
    let machinery = Machinery::look(state, machinery).await.map_err(|error| (error, true))?;
    let next = pause_after(began.elapsed().min(before));
    let overview = seen
        .overview
        .map(|overview| Overview::of(seen.at, overview, &seen.instances, state))
        .transpose()
        .map_err(failed)?;
    let deadline = state.settings.timing.start_deadline_ms;
    let mut campaigns = BTreeMap::new();
    for (whole, replies) in seen.campaigns {
        let glance = Glance::of(whole, state, &seen.instances).map_err(failed)?;
        campaigns.insert(glance.id, (glance, Receipt::of(replies, deadline)));
    }
    let imports = seen.imports.into_iter().map(|row| Ok((row.id, Import::try_from(row)?)));
    let imports = imports.collect::<Result<_, _>>().map_err(failed)?;
    let shown = campaigns.values().map(|(glance, _)| glance);
    let shown = shown.chain(overview.iter().flat_map(|overview| &overview.active));
    // One that does not go out has no speed, and begins anew when it goes on.
    let going = shown.filter(|glance| glance.status == CampaignStatus::Sending);
    let rates = speeds.measure(Instant::now(), going.map(|glance| (glance.id, handed_over(&glance.stats.counts))));
    let (trouble, rendered, said) = (state.health.vital(), Mutex::default(), Mutex::default());
    Ok(Sight { at: seen.at, next, trouble, overview, campaigns, imports, machinery, rates, asked, rendered, said })
}

fn handed_over(counts: &Counts) -> i64 {
    counts.sent + counts.failed + counts.uncertain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_take_a_twentieth_of_the_time_at_most_and_come_twice_a_second_at_most() {
        let pauses = [1, 100, 60_000].map(|took| pause_after(Duration::from_millis(took)).as_millis());
        assert_eq!(pauses, [500, 1_900, 30_000]);
    }

    #[test]
    fn nobody_watches_at_first() {
        assert!(Pulse::default().wanted().is_none());
    }
}
