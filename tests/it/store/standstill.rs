//! A call that never ends, under a pool that lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix::Actor;
use volley::actors::broker_link::Announcer;
use volley::actors::guardian::PoolDirectory;
use volley::actors::health::Health;
use volley::actors::journal::Journal;
use volley::actors::reaper::{Court, Identity, Reaper, Round};
use volley::actors::recorder::OutcomeRecorder;
use volley::actors::sender_pool::threads::Threads;
use volley::actors::sender_pool::{self, Parts, SenderPool};
use volley::actors::status_cache::StatusCache;
use volley::actors::supervisor::CampaignSupervisor;
use volley::actors::traffic::Traffic;
use volley::channels::{Channel, Deliver, Gate};
use volley::config::pools::{PoolConfig, Provider};
use volley::config::timing::Timing;
use volley::domain::message::Envelope;
use volley::domain::outcome::Outcome;
use volley::store::instances::{self, Incarnation};
use volley::store::pages::Owner;

use super::packed::{Campaign, POOL, execute, write};
use crate::support::{Database, both_backends};

/// A provider that says of its own that it answers in time, and does not: to its first message, never.
struct Stuck {
    calls: AtomicUsize,
}

impl Channel for Stuck {
    fn deliver<'a>(&'a self, _: &'a Envelope, gate: &'a dyn Gate) -> Deliver<'a> {
        Box::pin(async move {
            if let Err(reason) = gate.begin() {
                return Outcome::NotBegun(reason);
            }
            if self.calls.fetch_add(1, Ordering::Relaxed) == 0 {
                std::future::pending::<()>().await;
            }
            Outcome::Accepted { provider_id: None }
        })
    }

    fn probe(&self) -> std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn call_timeout(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// Waits until the page of a call that never ends is resolved, and its pool has let go of it. One that `hears` is told.
async fn stands_still(db: &Database, hears: bool) {
    let campaign = Campaign::packed(db, 3, 10).await;
    let store = campaign.store.clone();
    let instance = write(&store, |conn| {
        execute(conn, "UPDATE template_versions SET subject = 's', body_text = 't'");
        let (slot, boot_id, pools) = ("slot".to_owned(), "boot".to_owned(), vec![POOL.to_owned()]);
        let (host, version) = (String::new(), String::new());
        instances::register(conn, &Incarnation { slot, host, version, boot_id, pools })
    });
    let instance = instance.await.unwrap();
    let identity = Identity { instance, slot: "slot".to_owned(), boot_id: "boot".to_owned() };
    let timing = Timing { call_margin_ms: 100, reaper_tick_ms: 100, ..Timing::default() };
    let pool = PoolConfig { name: POOL.to_owned(), timeout_seconds: 1, ..PoolConfig::bare(Provider::Sandbox) };
    let journal = Arc::new(Journal::create(&db.folder().join("journal"), instance, "boot").unwrap());
    let (health, status) = (Health::default(), Arc::new(StatusCache::new(timing.status_ttl())));
    let pools = PoolDirectory::default();
    let (_, recorder) =
        OutcomeRecorder::new(store.clone(), Arc::clone(&journal), health.clone(), timing.flush(), 100).begin();
    let (announcer, traffic) = (Announcer::default(), Arc::new(Traffic::default()));
    let supervisor = CampaignSupervisor::new(
        store.clone(),
        pools.clone(),
        Arc::clone(&status),
        announcer.clone(),
        timing.clone(),
        10,
    );
    let supervisor = supervisor.start();
    let parts = Parts {
        store: store.clone(),
        pool: pool.clone(),
        timing: timing.clone(),
        journal: Arc::clone(&journal),
        status,
        health: health.clone(),
        recorder,
        settled: supervisor.recipient(),
        draining: Arc::new(AtomicBool::new(false)),
        threads: Threads::start(),
        traffic: Arc::clone(&traffic),
        suspended: Arc::default(),
        told: Arc::default(),
        announcer,
    };
    let owner = Owner { instance, generation: 1 };
    let channel: Arc<dyn Channel> = Arc::new(Stuck { calls: AtomicUsize::new(0) });
    let sender = SenderPool::new(parts, &[Arc::clone(&channel)], owner).start();
    if hears {
        pools.enter(POOL, sender.clone(), 1);
    }
    let court = Court::new(&[pool], &[(POOL.to_owned(), channel)].into(), &timing);
    let round = Round::new(store, identity, court, pools, journal, traffic, &timing);
    Reaper::new(round, health, timing.reaper_tick()).start();
    let began = Instant::now();
    loop {
        let books = campaign.books().await;
        let held = sender.send(sender_pool::GetState).await.unwrap().pages.len();
        if (books.sent, books.uncertain, held) == (2, 1, 0) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{books:?}, and {held} pages held");
        actix_rt::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(began.elapsed() >= Duration::from_millis(1_500), "a call may take its time");
}

both_backends! {
    async fn a_page_that_stands_still_under_a_living_pool_is_resolved(db: &Database) {
        stands_still(db, true).await;
    }

    async fn a_pool_that_does_not_hear_that_its_lease_was_ended_finds_out(db: &Database) {
        stands_still(db, false).await;
    }
}
