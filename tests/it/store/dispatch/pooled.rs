//! A sender pool over a packed campaign, with a provider of the test's own; no process, no API.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use actix::{Actor, Addr};
use volley::actors::dispatch::campaign_driver::CampaignDriver;
use volley::actors::dispatch::reaper::{Identity, LeaseResolver, Reaper, Round};
use volley::actors::dispatch::recorder::OutcomeRecorder;
use volley::actors::dispatch::sender_pool::threads::Threads;
use volley::actors::dispatch::sender_pool::{PoolDeps, SenderPool};
use volley::actors::replicas::broker_link::outbox::Announcer;
use volley::channels::Channel;
use volley::config::pools::{PoolConfig, Provider};
use volley::config::timing::Timing;
use volley::domain::dispatch::lease::Owner;
use volley::domain::replicas::role::Role;
use volley::journal::Journal;
use volley::runtime::directory::PoolDirectory;
use volley::runtime::health::Health;
use volley::runtime::refusal_spool::RefusalSpool;
use volley::runtime::status_cache::StatusCache;
use volley::services::people::links::Links;
use volley::store::replicas::instances::{self, Incarnation};
use volley::store::replicas::kept_paces::Paces;

use super::packed::{Campaign, POOL, execute, write};
use crate::support::Database;

/// An incarnation that serves a campaign, without its pool so far.
pub(in crate::store) struct Pooled {
    parts: PoolDeps,
    identity: Identity,
    pools: PoolDirectory,
    generation: i64,
}

impl Pooled {
    /// Registers the incarnation, and gives the campaign something to say.
    pub(in crate::store) async fn over(db: &Database, campaign: &Campaign, timing: Timing) -> Self {
        Self::with_places(db, campaign, timing, 50).await
    }

    /// The same, for a pool with so many calls at once.
    pub(in crate::store) async fn with_places(
        db: &Database,
        campaign: &Campaign,
        timing: Timing,
        places: usize,
    ) -> Self {
        let store = campaign.store.clone();
        let instance = write(&store, |conn| {
            execute(conn, "UPDATE template_versions SET subject = 's', body_text = 't'");
            let (slot, boot_id, pools) = ("slot".to_owned(), "boot".to_owned(), vec![POOL.to_owned()]);
            let (host, version) = (String::new(), String::new());
            instances::register(conn, &Incarnation { slot, host, version, boot_id, role: Role::All, pools })
        });
        let instance = instance.await.unwrap();
        let identity = Identity { instance, slot: "slot".to_owned(), boot_id: "boot".to_owned() };
        let pool = PoolConfig {
            name: POOL.to_owned(),
            timeout_seconds: 1,
            concurrency: places,
            ..PoolConfig::bare(Provider::Sandbox)
        };
        let journal = Arc::new(Journal::create(&db.folder().join("journal"), instance, "boot").unwrap());
        let (health, status) = (Health::default(), Arc::new(StatusCache::new(timing.status_ttl())));
        let pools = PoolDirectory::default();
        let (_, recorder) =
            OutcomeRecorder::new(store.clone(), Arc::clone(&journal), health.clone(), timing.flush(), 100).begin();
        let announcer = Announcer::default();
        let driver = CampaignDriver::new(
            store.clone(),
            pools.clone(),
            Arc::clone(&status),
            announcer.clone(),
            health.clone(),
            timing.clone(),
            &volley::config::Sending { page_size: 10, ..volley::config::Sending::default() },
        );
        let driver = driver.start();
        let parts = PoolDeps {
            paces: Paces::new(store.clone()),
            links: Links::new(store.clone(), None),
            settings: Arc::default(),
            spool: Arc::new(RefusalSpool::below(db.folder(), "1").unwrap()),
            store,
            pool,
            timing,
            alike: volley::config::Sending::default().alike(),
            journal,
            status,
            health,
            recorder,
            settled: driver.recipient(),
            draining: Arc::new(AtomicBool::new(false)),
            threads: Threads::start(),
            in_flight: Arc::default(),
            suspended: Arc::default(),
            broker_announces: Arc::default(),
            announcer,
            trusts: pools.trusts(),
        };
        Self { parts, identity, pools, generation: 0 }
    }

    /// What keeps the work from going on, by its code.
    pub(in crate::store) fn trouble(&self) -> Option<String> {
        self.parts.health.pools().remove(POOL).flatten().map(|attention| attention.code.to_string())
    }

    /// Starts the next generation of the pool.
    pub(in crate::store) fn start(&mut self, channel: &Arc<dyn Channel>) -> Addr<SenderPool> {
        let sender = self.start_unknown(channel);
        self.pools.enter(POOL, &sender, self.generation);
        sender
    }

    /// The same, and nobody knows where to find it.
    pub(in crate::store) fn start_unknown(&mut self, channel: &Arc<dyn Channel>) -> Addr<SenderPool> {
        self.generation += 1;
        let owner = Owner { instance: self.identity.instance, generation: self.generation };
        SenderPool::new(self.parts.clone(), &[Arc::clone(channel)], owner).start()
    }

    /// Starts the reaper.
    pub(in crate::store) fn reap(&self, channel: &Arc<dyn Channel>) {
        let PoolDeps { store, pool, timing, journal, health, in_flight, .. } = self.parts.clone();
        let resolver = LeaseResolver::new(&[pool], &[(POOL.to_owned(), Arc::clone(channel))].into(), &timing);
        let round = Round::new(store, self.identity.clone(), resolver, self.pools.clone(), journal, in_flight, &timing);
        Reaper::new(round, health, timing.reaper_tick()).start();
    }
}
