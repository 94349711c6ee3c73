//! What the actors of an instance share, and what each of them is built from.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use actix::Addr;

use crate::actors::dispatch::campaign_driver::CampaignDriver;
use crate::actors::dispatch::reaper::{Identity, LeaseResolver, Round};
use crate::actors::dispatch::recorder::Inbox;
use crate::actors::dispatch::sender_pool::PoolDeps;
use crate::actors::dispatch::sender_pool::threads::Threads;
use crate::actors::replicas::broker_link::LinkDeps;
use crate::actors::replicas::broker_link::outbox::Announcer;
use crate::actors::replicas::decision_follower::{DecisionFollower, FollowerDeps};
use crate::config::Settings;
use crate::config::pools::PoolConfig;
use crate::domain::ids::InstanceId;
use crate::journal::Journal;
use crate::runtime::directory::{Current, PoolDirectory};
use crate::runtime::health::Health;
use crate::runtime::in_flight::InFlight;
use crate::runtime::refusal_spool::RefusalSpool;
use crate::runtime::status_cache::StatusCache;
use crate::runtime::suspensions::Suspensions;
use crate::services::Services;
use crate::services::people::links::Links;
use crate::store::Store;
use crate::store::replicas::kept_paces::Paces;

/// The shared parts of an instance. Each is one: a copy would tell another story.
pub(super) struct Parts {
    pub(super) settings: Arc<Settings>,
    pub(super) store: Store,
    pub(super) journal: Arc<Journal>,
    pub(super) links: Links,
    pub(super) spool: Arc<RefusalSpool>,
    pub(super) health: Health,
    pub(super) status: Arc<StatusCache>,
    pub(super) pools: PoolDirectory,
    pub(super) draining: Arc<AtomicBool>,
    pub(super) paces: Paces,
    pub(super) suspensions: Suspensions,
    pub(super) announcer: Announcer,
    pub(super) threads: Threads,
    in_flight: Arc<InFlight>,
    broker_announces: Arc<AtomicBool>,
}

impl Parts {
    /// Makes those that an instance begins with, and starts the threads for hand-overs.
    pub(super) fn new(
        settings: &Arc<Settings>,
        store: &Store,
        journal: Arc<Journal>,
        links: Links,
        spool: Arc<RefusalSpool>,
    ) -> Self {
        Self {
            store: store.clone(),
            journal,
            links,
            spool,
            health: Health::of(settings.instance.role),
            status: Arc::new(StatusCache::new(settings.timing.status_ttl())),
            pools: PoolDirectory::default(),
            draining: Arc::new(AtomicBool::new(false)),
            paces: Paces::new(store.clone()),
            suspensions: Suspensions::of(settings.pools.iter().map(|pool| pool.name.as_str())),
            announcer: if settings.broker.url.is_some() { Announcer::with_broker() } else { Announcer::default() },
            threads: Threads::start(),
            in_flight: Arc::new(InFlight::default()),
            broker_announces: Arc::new(AtomicBool::new(false)),
            settings: Arc::clone(settings),
        }
    }

    /// The campaign driver, not started.
    pub(super) fn driver(&self) -> CampaignDriver {
        CampaignDriver::new(
            self.store.clone(),
            self.pools.clone(),
            Arc::clone(&self.status),
            self.announcer.clone(),
            self.health.clone(),
            self.settings.timing.clone(),
            &self.settings.sending,
        )
    }

    /// What a pool is built from. `driver` hears of its settled pages.
    pub(super) fn of_pool(&self, pool: &PoolConfig, recorder: Inbox, driver: &Addr<CampaignDriver>) -> PoolDeps {
        PoolDeps {
            store: self.store.clone(),
            pool: pool.clone(),
            timing: self.settings.timing.clone(),
            alike: self.settings.sending.alike(),
            journal: Arc::clone(&self.journal),
            status: Arc::clone(&self.status),
            health: self.health.clone(),
            recorder,
            settled: driver.clone().recipient(),
            draining: Arc::clone(&self.draining),
            threads: self.threads.clone(),
            in_flight: Arc::clone(&self.in_flight),
            suspended: self.suspensions.switch(&pool.name),
            broker_announces: Arc::clone(&self.broker_announces),
            announcer: self.announcer.clone(),
            trusts: self.pools.trusts(),
            paces: self.paces.clone(),
            links: self.links.clone(),
            settings: Arc::clone(&self.settings),
            spool: Arc::clone(&self.spool),
        }
    }

    /// What the reaper does again and again.
    pub(super) fn round(&self, identity: &Identity, resolver: LeaseResolver) -> Round {
        Round::new(
            self.store.clone(),
            identity.clone(),
            resolver,
            self.pools.clone(),
            Arc::clone(&self.journal),
            Arc::clone(&self.in_flight),
            &self.settings.timing,
        )
    }

    /// What the decision follower is built from.
    pub(super) fn of_follower(&self, instance: InstanceId, driver: &Addr<CampaignDriver>) -> FollowerDeps {
        FollowerDeps {
            store: self.store.clone(),
            instance,
            status: Arc::clone(&self.status),
            suspensions: self.suspensions.clone(),
            in_flight: Arc::clone(&self.in_flight),
            pools: self.pools.clone(),
            driver: driver.clone().recipient(),
            health: self.health.clone(),
            timing: self.settings.timing.clone(),
        }
    }

    /// What the link to the broker is built from.
    pub(super) fn of_link(
        &self,
        services: &Services,
        instance: InstanceId,
        driver: &Addr<CampaignDriver>,
        follower: &Current<DecisionFollower>,
    ) -> LinkDeps {
        LinkDeps {
            services: services.clone(),
            instance,
            pools: self.pools.clone(),
            status: Arc::clone(&self.status),
            follower: follower.clone(),
            driver: driver.clone().recipient(),
            announcer: self.announcer.clone(),
            broker_announces: Arc::clone(&self.broker_announces),
            draining: Arc::clone(&self.draining),
        }
    }
}
