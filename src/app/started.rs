//! Everything that runs: the actors, built bottom-up, and what the guardian builds them from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix::{Actor, Addr, Arbiter};
use metrics_exporter_prometheus::PrometheusHandle;

use super::Vital;
use super::background::{build_segments, call_targets, do_reactions, keep_segments};
use super::hints::ActorHints;
use super::parts::Parts;
use crate::actors::callback_reader::CallbackReader;
use crate::actors::dispatch::campaign_driver::CampaignDriver;
use crate::actors::dispatch::reaper::{Identity, LeaseResolver, Reaper, Round};
use crate::actors::dispatch::recorder::OutcomeRecorder;
use crate::actors::dispatch::scheduler::Scheduler;
use crate::actors::dispatch::sender_pool::threads::Threads;
use crate::actors::dispatch::sender_pool::{PoolDeps, SenderPool};
use crate::actors::guardian::{Guardian, Supervised};
use crate::actors::import::importer::Importer;
use crate::actors::import::importer::files::ImportFolder;
use crate::actors::replicas::broker_link::{self, BrokerLink, DeadLetters};
use crate::actors::replicas::decision_follower::{self, DecisionFollower};
use crate::channels::{self, Channel};
use crate::config::Settings;
use crate::domain::dispatch::lease::Owner;
use crate::domain::ids::InstanceId;
use crate::http::AppState;
use crate::http::api::database_probe::DatabaseProbe;
use crate::http::auth::Auth;
use crate::http::codes::Codes;
use crate::http::limits::Limits;
use crate::http::public::words::Languages;
use crate::journal::Journal;
use crate::runtime::directory::{Current, PoolDirectory};
use crate::runtime::health::Health;
use crate::runtime::refusal_spool::RefusalSpool;
use crate::runtime::status_cache::StatusCache;
use crate::runtime::tracking_spool::TrackingSpool;
use crate::services::Services;
use crate::services::callbacks::read_callbacks::CallbackBook;
use crate::services::callbacks::sns::Sns;
use crate::services::campaigns::preflight::desk::Preflights;
use crate::services::events::event_desk::EventDesk;
use crate::services::events::store_events::EventStore;
use crate::services::gathered::Gathered;
use crate::services::people::links::Links;
use crate::services::people::refusal_desk::RefusalDesk;
use crate::services::reactions::call_desk::CallDesk;
use crate::services::reactions::change_desk::ChangeDesk;
use crate::services::reactions::targets::Targets;
use crate::services::segments::live::KnownCriteria;
use crate::services::segments::worker::SegmentWorker;
use crate::services::tracking::TrackingDesk;
use crate::store::Store;
use crate::store::people::refusals::RefusalBook;

/// What each pool sends through.
pub(super) type Channels = BTreeMap<String, Arc<dyn Channel>>;

/// What the doors for recipients and providers need, who have no API key.
pub(super) struct OutsideKeys {
    pub(super) links: Links,
    pub(super) refusals: RefusalBook,
    pub(super) spool: Arc<RefusalSpool>,
    pub(super) tracking: Arc<TrackingSpool>,
    pub(super) sns: Sns,
}

/// Everything that runs.
pub(super) struct Started {
    services: Services,
    desk: RefusalDesk,
    events: EventDesk,
    tracking: TrackingDesk,
    pub(super) status: Arc<StatusCache>,
    health: Health,
    journal: Arc<Journal>,
    pub(super) pools: PoolDirectory,
    pub(super) recorder: Addr<OutcomeRecorder>,
    pub(super) driver: Addr<CampaignDriver>,
    importer: Addr<Importer>,
    guardian: Addr<Guardian>,
    reaper: Current<Reaper>,
    pub(super) scheduler: Current<Scheduler>,
    follower: Current<DecisionFollower>,
    callbacks: Current<CallbackReader>,
    broker: Option<Current<BrokerLink>>,
    threads: Threads,
    pub(super) draining: Arc<AtomicBool>,
}

impl Started {
    /// Starts the actors bottom-up: a receiver before its senders.
    pub(super) fn launch(
        settings: &Arc<Settings>,
        store: &Store,
        identity: &Identity,
        channels: Channels,
        resolver: LeaseResolver,
        journal: Arc<Journal>,
        outside: OutsideKeys,
    ) -> anyhow::Result<Self> {
        let OutsideKeys { links, refusals, spool, tracking, sns } = outside;
        let parts = Parts::new(settings, store, journal, links, spool);
        let (flush, batch) = (settings.timing.flush(), settings.timing.flush_batch);
        let book = Arc::clone(&parts.journal);
        let (recorder, inbox) = OutcomeRecorder::new(store.clone(), book, parts.health.clone(), flush, batch).begin();
        let driver = parts.driver().start();
        let mut supervised = Vec::new();
        for pool in settings.running_pools() {
            let each = (0..parts.threads.for_places(pool.concurrency)).map(|_| channels::build(pool).map(Arc::from));
            let each = each.collect::<Result<Vec<Arc<dyn Channel>>, _>>()?;
            let deps = parts.of_pool(pool, inbox.clone(), &driver);
            supervised.push(supervise_pool(deps, each, identity.instance, parts.pools.clone()));
        }
        let (reaper, scheduler, follower) = (Current::nowhere(), Current::nowhere(), Current::nowhere());
        let folder = ImportFolder::below(&settings.sending.data_dir);
        let importer = Importer::new(store.clone(), folder, refusals.clone()).start();
        let hints = ActorHints {
            campaigns: driver.clone().recipient(),
            imports: importer.clone().recipient(),
            decisions: follower.clone(),
            announcer: parts.announcer.clone(),
        };
        let services = Services {
            store: store.clone(),
            settings: Arc::clone(settings),
            status: Arc::clone(&parts.status),
            suspensions: parts.suspensions.clone(),
            channels: Arc::new(channels),
            paces: parts.paces.clone(),
            links: parts.links.clone(),
            sns,
            refusals,
            preflights: Preflights::default(),
            hints: Arc::new(hints),
        };
        let known = KnownCriteria::default();
        actix_rt::spawn(keep_segments(SegmentWorker::new(store.clone(), known.clone())));
        actix_rt::spawn(build_segments(SegmentWorker::new(store.clone(), known)));
        let targets = Targets::of(settings)?;
        let changes = ChangeDesk::new(store.clone(), services.refusals.clone(), targets.clone());
        actix_rt::spawn(do_reactions(changes));
        if settings.instance.role.sends() {
            actix_rt::spawn(call_targets(CallDesk::new(store.clone(), targets)));
        }
        let (round, tick) = (parts.round(identity, resolver), settings.timing.reaper_tick());
        supervised.push(supervise_reaper(round, parts.health.clone(), tick, reaper.clone()));
        supervised.push(supervise_scheduler(services.clone(), parts.health.clone(), scheduler.clone()));
        let deps = parts.of_follower(identity.instance, &driver);
        supervised.push(supervise_decision_follower(deps, follower.clone()));
        let callbacks = Current::nowhere();
        let book = CallbackBook::new(store.clone(), services.refusals.clone(), services.links.clone(), settings);
        supervised.push(supervise_callback_reader(book, callbacks.clone()));
        let broker = settings.broker.url.is_some().then(Current::nowhere);
        if let Some(link) = &broker {
            let deps = parts.of_link(&services, identity.instance, &driver, &follower);
            supervised.push(supervise_broker(deps, link.clone()));
        }
        let (desk, work) = RefusalDesk::new(store.clone(), services.refusals.clone(), parts.spool);
        actix_rt::spawn(work);
        let (events, work) = EventDesk::new(EventStore::new(store.clone(), services.refusals.clone()));
        actix_rt::spawn(work);
        let (tracking, work) = TrackingDesk::new(store.clone(), tracking, settings.tracking.machine_within());
        actix_rt::spawn(work);
        let guardian = Guardian::new(supervised).start();
        Ok(Self {
            services,
            desk,
            events,
            tracking,
            status: parts.status,
            health: parts.health,
            journal: parts.journal,
            pools: parts.pools,
            recorder,
            driver,
            importer,
            guardian,
            reaper,
            scheduler,
            follower,
            callbacks,
            broker,
            threads: parts.threads,
            draining: parts.draining,
        })
    }

    pub(super) fn vital(&self) -> Vec<Vital> {
        let (recorder, driver) = (self.recorder.clone(), self.driver.clone());
        let (importer, guardian, threads) = (self.importer.clone(), self.guardian.clone(), self.threads.clone());
        let (desk, events, tracking) = (self.desk.clone(), self.events.clone(), self.tracking.clone());
        vec![
            ("threads for hand-overs", Box::new(move || threads.are_alive())),
            ("outcome recorder", Box::new(move || recorder.connected())),
            ("campaign driver", Box::new(move || driver.connected())),
            ("importer", Box::new(move || importer.connected())),
            ("guardian", Box::new(move || guardian.connected())),
            ("desk for refusals", Box::new(move || desk.is_open())),
            ("desk for events", Box::new(move || events.is_open())),
            ("desk for clicks and opens", Box::new(move || tracking.is_open())),
        ]
    }

    pub(super) fn into_state(
        self,
        settings: &Arc<Settings>,
        store: &Store,
        metrics: PrometheusHandle,
        gathered: Gathered,
        instance: InstanceId,
        languages: Languages,
    ) -> AppState {
        AppState {
            store: store.clone(),
            settings: Arc::clone(settings),
            desk: self.desk,
            events: self.events,
            tracking: self.tracking,
            languages,
            auth: Auth::new(&settings.auth),
            codes: Codes::default(),
            limits: Limits::new(&settings.limits),
            gathered,
            importer_state: self.importer.recipient(),
            driver: self.driver,
            recorder: self.recorder,
            guardian: self.guardian,
            reaper: self.reaper,
            scheduler: self.scheduler,
            follower: self.follower,
            callbacks: self.callbacks,
            dead_letters: self.broker.is_some().then(|| DeadLetters::of(settings.broker.clone())),
            broker: self.broker,
            pools: self.pools,
            services: self.services,
            health: self.health,
            database_probe: DatabaseProbe::default(),
            journal: self.journal,
            metrics,
            instance,
        }
    }
}

/// Each pool decides on a thread of its own, which its hand-overs never keep busy.
fn supervise_pool(
    deps: PoolDeps,
    channels: Vec<Arc<dyn Channel>>,
    instance: InstanceId,
    pools: PoolDirectory,
) -> Supervised {
    let name = deps.pool.name.clone();
    let arbiter = Arbiter::new().handle();
    Supervised::new(format!("pool {name}"), move |generation| {
        let (deps, channels) = (deps.clone(), channels.clone());
        let owner = Owner { instance, generation };
        let addr = SenderPool::start_in_arbiter(&arbiter, move |_| SenderPool::new(deps, &channels, owner));
        pools.enter(&name, &addr, generation);
        Box::new(move || addr.connected())
    })
}

fn supervise_reaper(round: Round, health: Health, tick: Duration, current: Current<Reaper>) -> Supervised {
    Supervised::new("reaper", move |_| {
        let addr = Reaper::new(round.clone(), health.clone(), tick).start();
        current.enter(addr.clone());
        Box::new(move || addr.connected())
    })
}

fn supervise_decision_follower(
    deps: decision_follower::FollowerDeps,
    current: Current<DecisionFollower>,
) -> Supervised {
    Supervised::new("decision_follower", move |_| {
        let addr = DecisionFollower::new(deps.clone()).start();
        current.enter(addr.clone());
        Box::new(move || addr.connected())
    })
}

fn supervise_callback_reader(book: CallbackBook, current: Current<CallbackReader>) -> Supervised {
    Supervised::new("callback_reader", move |_| {
        let addr = CallbackReader::new(book.clone()).start();
        current.enter(addr.clone());
        Box::new(move || addr.connected())
    })
}

/// The link lives on a thread of its own: no other work delays what it hears.
fn supervise_broker(deps: broker_link::LinkDeps, current: Current<BrokerLink>) -> Supervised {
    let arbiter = Arbiter::new().handle();
    Supervised::new("broker link", move |_| {
        let deps = deps.clone();
        let addr = BrokerLink::start_in_arbiter(&arbiter, move |_| BrokerLink::new(deps));
        current.enter(addr.clone());
        Box::new(move || addr.connected())
    })
}

fn supervise_scheduler(services: Services, health: Health, current: Current<Scheduler>) -> Supervised {
    Supervised::new("scheduler", move |_| {
        let addr = Scheduler::new(services.clone(), health.clone()).start();
        current.enter(addr.clone());
        Box::new(move || addr.connected())
    })
}
