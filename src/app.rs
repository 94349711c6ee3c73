//! The composition root: builds everything, starts it from the sink to the source, and stops it the other way round.

mod background;
mod hints;
mod maintenance;
mod metrics_page;
mod parts;
mod sender_dns;
mod slot;
mod started;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix::{Addr, MailboxError};
use actix_web::dev::ServerHandle;
use actix_web::web;
use anyhow::Context as _;

use crate::actors::dispatch::campaign_driver::{self, CampaignDriver};
use crate::actors::dispatch::open_work;
use crate::actors::dispatch::reaper::{self, Identity, LeaseResolver};
use crate::actors::dispatch::recorder::{self, OutcomeRecorder};
use crate::actors::dispatch::rewind::Rewind;
use crate::actors::dispatch::scheduler::{self, Scheduler};
use crate::channels;
use crate::channels::fetch::{Fetch, Https};
use crate::config::Settings;
use crate::config::pools::PoolConfig;
use crate::domain::ids::{ApiKeyId, CampaignId, InstanceId};
use crate::http::codes::CodeFor;
use crate::http::public::words::Languages;
use crate::http::pulse::Pulse;
use crate::http::ui::UI;
use crate::http::{AppState, server};
use crate::journal::{Journal, JournalContents, Retention};
use crate::runtime::directory::{Current, PoolDirectory};
use crate::runtime::pool::Drain;
use crate::runtime::refusal_spool::RefusalSpool;
use crate::runtime::tracking_spool::TrackingSpool;
use crate::services::By;
use crate::services::access::mint_first_key::mint_first_key;
use crate::services::callbacks::sns::Sns;
use crate::services::campaigns::archive::Archivist;
use crate::services::gathered::Gathered;
use crate::services::people::links::Links;
use crate::services::people::restore_refusals::{RestoreError, restore_refusals};
use crate::store::people::refusals::RefusalBook;
use crate::store::replicas::instances::{self, Incarnation};
use crate::store::replicas::session_lock::SessionLock;
use crate::store::{Conn, Lane, Store, StoreError};
use background::{archive_deliveries, condense, fold_deliverability, know_keys, tidy};
pub use maintenance::{
    KeyInfo, check_broker, check_database, check_pools, check_target, create_key, database_file, list_keys, live_roles,
    migrate, probe, revoke_key, rotate_links,
};
pub use sender_dns::{Found, ResolverChoice, look_at_sender};
use slot::{DatabaseLock, Slot};
use started::{Channels, OutsideKeys, Started};

/// How long a start waits for a database that does not answer yet.
const DATABASE_PATIENCE: Duration = Duration::from_secs(60);

/// A part that nobody can build again, and how to ask whether it lives.
type Vital = (&'static str, Box<dyn Fn() -> bool>);

/// A running instance.
pub struct App {
    addr: SocketAddr,
    first_key: Option<String>,
    first_key_id: Option<ApiKeyId>,
    state: web::Data<AppState>,
    pulse: Pulse,
    http: ServerHandle,
    public: Option<ServerHandle>,
    store: Store,
    gathered: Gathered,
    instance: InstanceId,
    pools: PoolDirectory,
    recorder: Addr<OutcomeRecorder>,
    driver: Addr<CampaignDriver>,
    scheduler: Current<Scheduler>,
    vital: Vec<Vital>,
    draining: Arc<AtomicBool>,
    patience: Duration,
    /// Held for as long as the instance lives.
    _locks: (Option<DatabaseLock>, Slot, SessionLock),
}

impl App {
    /// Migrates, recovers what a former incarnation left, binds, and starts every actor. Call it on an actix system.
    ///
    /// # Errors
    /// What could not be started, and why.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        Self::start_with(settings, Arc::new(Https::new()?)).await
    }

    /// The same, with what fetches documents that providers name. No setting changes that.
    ///
    /// # Errors
    /// What could not be started, and why.
    pub async fn start_with(mut settings: Settings, fetch: Arc<dyn Fetch>) -> anyhow::Result<Self> {
        settings.check()?;
        settings.pools.iter_mut().for_each(|pool| settings.retries.complete(pool));
        let channels = build_channels(&settings.pools)?;
        let listener = TcpListener::bind(&settings.http.addr)
            .with_context(|| format!("http.addr: cannot listen on {}", settings.http.addr))?;
        let addr = listener.local_addr().context("cannot read the address that was bound")?;
        let public = settings.http.public_addr.as_deref().filter(|_| settings.instance.role.serves());
        let public = public.map(bind_public).transpose()?;
        let own = settings.instance.role.serves().then(|| public.as_ref().map_or(addr, |(_, addr)| *addr));
        let links_lead_to = settings.links.base(own);
        if links_lead_to.is_none() && settings.instance.role.sends() {
            tracing::warn!(
                event = "links.absent",
                "messages of this instance have no links to unsubscribe: links.public_url is not set"
            );
        }
        // An attempt that may have been accepted is not repeated with other links under the same key.
        let carries = [links_lead_to.clone(), settings.email.postal_address.clone()];
        let carries = carries.into_iter().map(Option::unwrap_or_default);
        let carries: Vec<String> = carries.chain(settings.tracking.spelled_hosts()).collect();
        settings.pools.iter_mut().for_each(|pool| pool.carries.clone_from(&carries));
        let settings = Arc::new(settings);
        let languages = Languages::load(settings.links.texts_dir.as_deref())
            .map_err(|reason| anyhow::anyhow!("links.texts_dir: {reason}"))?;
        let store = Store::open(&settings.database)?;
        let database_lock = DatabaseLock::take(store.target())?;
        prepare(&store).await?;
        let slot = Slot::take(&settings.sending.data_dir)?;
        let identity = register(&store, &slot, &settings).await?;
        let session_lock = SessionLock::of(&store, identity.instance);
        let resolver = LeaseResolver::new(&settings.pools, &channels, &settings.timing);
        let refusals = RefusalBook::below(&settings.sending.data_dir);
        let rewind = Rewind {
            store: store.clone(),
            refusals: refusals.clone(),
            page_size: settings.sending.page_size,
            folder: slot.folder.clone(),
            instance: identity.instance,
            slot: identity.slot.clone(),
            orphaned: Arc::default(),
        };
        rewind.at_start().await.context("cannot compare the journals of earlier runs with the database")?;
        let retention = Retention {
            age: Duration::from_secs(settings.sending.journal_keep_seconds),
            bytes: settings.sending.journal_keep_mib << 20,
        };
        let journal = Arc::new(recover(&store, &identity, &resolver, &slot, retention).await?);
        restore(&store, &refusals).await?;
        let (first_key_id, first_key) = first_key(&store, &settings).await?.unzip();
        let links = Links::new(store.clone(), links_lead_to);
        patiently(async || links.prepare().await).await.context("cannot prepare the keys of links")?;
        actix_rt::spawn(know_keys(links.clone()));
        // Before anything counts: handles on metrics that were looked up earlier would lead nowhere.
        let metrics = metrics_page::handle()?;
        metrics_page::show_build(store.has_one_writer());
        actix_rt::spawn(condense(metrics.clone()));
        actix_rt::spawn(tidy(store.clone(), Arc::clone(&settings)));
        actix_rt::spawn(archive_deliveries(archivist(&settings, &store, &identity)));
        actix_rt::spawn(fold_deliverability(store.clone()));
        let gathered = Gathered::default();
        actix_rt::spawn(gathered.clone().keep_writing(store.clone()));
        let pools = settings.pools.iter().map(|pool| pool.name.clone()).collect();
        actix_rt::spawn(open_work::show(store.clone(), pools));
        let spool = RefusalSpool::below(&settings.sending.data_dir, slot.number());
        let spool = Arc::new(spool.context("sending.data_dir: cannot read the spool of refusals")?);
        // Fewer instances may have been started than before.
        let left = spool.slots_with_lines().context("sending.data_dir: cannot read the spools of refusals")?;
        slot.for_unused(&left, &settings.sending.data_dir, |number| spool.take_over(number))?;
        let tracking = tracking_spool(&settings, &slot)?;
        let outside = OutsideKeys { links, refusals, spool, tracking, sns: Sns::new(fetch) };
        let started = Started::launch(&settings, &store, &identity, channels, resolver, Arc::clone(&journal), outside)?;
        let orphaned = Arc::clone(&rewind.orphaned);
        actix_rt::spawn(rewind.watch(Arc::clone(&journal), Arc::clone(&started.status)));
        let instance = identity.instance;
        let (pools, recorder) = (started.pools.clone(), started.recorder.clone());
        let (driver, scheduler) = (started.driver.clone(), started.scheduler.clone());
        let draining = Arc::clone(&started.draining);
        let mut vital = started.vital();
        vital.push(("registration of this instance", Box::new(move || !orphaned.load(Ordering::Acquire))));
        let state =
            web::Data::new(started.into_state(&settings, &store, metrics, gathered.clone(), instance, languages));
        let public = match public {
            Some((listener, addr)) => {
                let server = server::start_public(state.clone(), listener).context("cannot start the public server")?;
                let handle = server.handle();
                actix_rt::spawn(server);
                tracing::info!(event = "http.public_listening", http.addr = %addr, "the public pages have their port");
                Some(handle)
            }
            None => None,
        };
        let pulse = Pulse::default();
        let http = server::start(state.clone(), pulse.clone(), listener).context("cannot start the HTTP server")?;
        let handle = http.handle();
        actix_rt::spawn(http);
        tracing::info!(
            event = "http.listening",
            http.addr = %addr,
            instance.id = instance.0,
            "the HTTP server listens"
        );
        Ok(Self {
            addr,
            first_key,
            first_key_id,
            state,
            pulse,
            http: handle,
            public,
            store,
            gathered,
            instance,
            pools,
            recorder,
            driver,
            scheduler,
            vital,
            draining,
            patience: settings.sending.shutdown(),
            _locks: (database_lock, slot, session_lock),
        })
    }

    /// Where the API listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The key that a first start minted. It is not stored in the clear: show it once.
    #[must_use]
    pub fn first_key(&self) -> Option<&str> {
        self.first_key.as_deref()
    }

    /// The path of a page that signs in the first person who opens it, within five minutes, with the root key or the key that was
    /// just minted, and leads to a campaign or to the first page. `None`: there is no such key, or the system's generator failed.
    #[must_use]
    pub fn one_time_path(&self, campaign: Option<CampaignId>) -> Option<String> {
        let opens = match self.first_key_id {
            Some(id) => CodeFor::Key(id),
            None if self.state.settings.auth.root_key.is_some() => CodeFor::Root,
            None => return None,
        };
        let code = self.state.codes.mint(opens).ok()?;
        let next = campaign.map_or_else(String::new, |id| format!("?next={UI}/campaigns/{id}"));
        Some(format!("{UI}/enter{next}#{code}"))
    }

    /// Stops taking requests, lets hand-overs that began come to their end, gives back those that did not, records
    /// everything, and says so in the database; within `sending.shutdown_seconds`. What is not through by then is left to
    /// the journal, which the next start reads.
    pub async fn stop(self) {
        let deadline = Instant::now() + self.patience.saturating_sub(Duration::from_secs(1));
        self.draining.store(true, Ordering::Release);
        // An open page or stream is no request that is waited for.
        self.pulse.close();
        let left = || deadline.saturating_duration_since(Instant::now());
        let public = async {
            if let Some(public) = &self.public {
                public.stop(true).await;
            }
        };
        let both = async { tokio::join!(self.http.stop(true), public) };
        if tokio::time::timeout(left().min(Duration::from_secs(5)), both).await.is_err() {
            tracing::warn!(event = "http.stop_timeout", "requests were still open when the HTTP server stopped");
        }
        if let Some(scheduler) = self.scheduler.get() {
            quiesce("scheduler", left(), scheduler.send(scheduler::Quiesce)).await;
        }
        quiesce("campaign driver", left(), self.driver.send(campaign_driver::Quiesce)).await;
        for pool in self.pools.drains() {
            if tokio::time::timeout(left(), pool.send(Drain)).await.is_err() {
                tracing::warn!(
                    event = "pool.stop_timeout",
                    "a pool did not stop in time; the journal has what was in flight"
                );
            }
        }
        while let Ok(Ok(state)) = tokio::time::timeout(left(), self.recorder.send(recorder::GetState)).await {
            if state.waiting == 0 && !state.flushing {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // What stays unwritten is said in the log.
        let _ = tokio::time::timeout(left(), self.gathered.write_all(&self.store)).await;
        let me = self.instance;
        let retire = self.store.run(Lane::Control, "retire this instance", move |conn| instances::retire(conn, me));
        // Without a database nobody can be told, and nobody needs to be: the leases end by themselves.
        match tokio::time::timeout(left().max(Duration::from_secs(1)), retire).await {
            Ok(Ok(_)) => tracing::info!(event = "instance.stopped", "the instance has stopped"),
            Ok(Err(error)) => {
                tracing::warn!(
                    event = "instance.stop_unrecorded",
                    error = %error,
                    "the instance has stopped, but the database could not store it"
                )
            }
            Err(_) => tracing::warn!(
                event = "instance.stop_unrecorded",
                "the instance has stopped, but the database did not store it in time"
            ),
        }
    }

    /// Resolves when a part dies that nobody can build again. The process must end then: the next start recovers by the
    /// journal, which is the tested path.
    pub async fn failed(&self) -> anyhow::Error {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            if let Some((name, _)) = self.vital.iter().find(|(_, alive)| !alive()) {
                return anyhow::anyhow!("the {name} died");
            }
        }
    }
}

/// What clicks and opens wait in, with what instances have left that are not started again.
fn tracking_spool(settings: &Settings, slot: &Slot) -> anyhow::Result<Arc<TrackingSpool>> {
    let folder = &settings.sending.data_dir;
    let spool = TrackingSpool::below(folder, slot.number(), settings.tracking.spool_mib << 20);
    let spool = spool.context("sending.data_dir: cannot read the spool of clicks and opens")?;
    let left = spool.slots_with_lines().context("sending.data_dir: cannot read the spools of clicks and opens")?;
    slot.for_unused(&left, folder, |number| spool.take_over(number))?;
    Ok(Arc::new(spool))
}

/// The second listener, and where it is.
fn bind_public(addr: &str) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(addr).with_context(|| format!("http.public_addr: cannot listen on {addr}"))?;
    let addr = listener.local_addr().context("cannot read the address that was bound")?;
    Ok((listener, addr))
}

/// Waits a moment until an actor that makes new work has taken it that it shall not.
async fn quiesce(actor: &'static str, left: Duration, asked: impl Future<Output = Result<(), MailboxError>>) {
    if tokio::time::timeout(left.min(Duration::from_secs(2)), asked).await.is_err() {
        tracing::warn!(event = "actor.stop_timeout", actor, "an actor did not stop in time");
    }
}

/// Asks the database until it answers: one that is still starting, or goes away meanwhile, is waited for; a wrong one is
/// reported at once. What is asked must be safe to repeat.
async fn patiently<T>(ask: impl AsyncFn() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let deadline = Instant::now() + DATABASE_PATIENCE;
    loop {
        match ask().await {
            Err(error) if error.is_transient() && Instant::now() < deadline => {
                tracing::warn!(event = "database.waiting", error = %error, "the start waits for the database");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            answered => return answered,
        }
    }
}

async fn prepare(store: &Store) -> anyhow::Result<()> {
    let applied = patiently(async || store.migrate().await).await;
    for migration in applied.context("database.url: cannot prepare the database")? {
        tracing::info!(event = "database.migrated", migration, "a migration was applied");
    }
    Ok(())
}

async fn register(store: &Store, slot: &Slot, settings: &Settings) -> anyhow::Result<Identity> {
    let incarnation = Incarnation {
        slot: slot.id.clone(),
        host: slot::host_name(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot_id: slot::boot_id()?,
        role: settings.instance.role,
        pools: settings.running_pools().map(|pool| pool.name.clone()).collect(),
    };
    let boot_id = incarnation.boot_id.clone();
    // A row whose COMMIT went unanswered is a former incarnation that held nothing.
    let instance = patiently(async || {
        let incarnation = incarnation.clone();
        let register = move |conn: &mut Conn| instances::register(conn, &incarnation);
        store.run(Lane::Control, "register this instance", register).await
    });
    let instance = instance.await?;
    Ok(Identity { instance, slot: slot.id.clone(), boot_id })
}

/// What each pool sends through, built from its settings. An error names the setting that cannot work.
fn build_channels(pools: &[PoolConfig]) -> anyhow::Result<Channels> {
    let build = |(index, pool): (usize, &PoolConfig)| {
        let channel = channels::build(pool)
            .map_err(|error| anyhow::anyhow!("pools[{index}].{} (pool {})", error.reason, error.pool))?;
        Ok((pool.name.clone(), Arc::from(channel)))
    };
    pools.iter().enumerate().map(build).collect()
}

/// Resolves what former incarnations of this slot left, then begins a journal of its own.
async fn recover(
    store: &Store,
    identity: &Identity,
    resolver: &LeaseResolver,
    slot: &Slot,
    retention: Retention,
) -> anyhow::Result<Journal> {
    let (journals, files) =
        JournalContents::of_folder(&slot.folder).context("cannot read the journals of earlier runs")?;
    let journals = Arc::new(journals);
    patiently(async || reaper::recover(store, identity, resolver, Arc::clone(&journals)).await).await?;
    let journal = Journal::create_and_keep(&slot.folder, identity.instance, &identity.boot_id, retention)
        .with_context(|| format!("sending.data_dir: cannot write a journal in {}", slot.folder.display()))?;
    // All their leases are resolved: nobody will ask them again, unless the database forgets it.
    journal.put_aside(files);
    Ok(journal)
}

/// Stores the filed refusals that the database does not know. Before anything is sent: it may have been restored from a backup.
async fn restore(store: &Store, refusals: &RefusalBook) -> anyhow::Result<()> {
    let restored = patiently(async || match restore_refusals(store, refusals, &By::start()).await {
        Err(RestoreError::Store(error)) => Err(error),
        Err(RestoreError::Unreadable(error)) => Ok(Err(error)),
        Ok(count) => Ok(Ok(count)),
    });
    restored.await?.context("sending.data_dir: cannot read the refusals that are filed there")?;
    Ok(())
}

/// What archives deliveries in this instance's data folder.
fn archivist(settings: &Settings, store: &Store, identity: &Identity) -> Archivist {
    let (data_dir, keep_days) = (&settings.sending.data_dir, settings.campaigns.keep_days);
    Archivist::new(store.clone(), data_dir, identity.slot.clone(), slot::host_name(), keep_days)
}

/// A first start without a configured root key mints one.
async fn first_key(store: &Store, settings: &Settings) -> anyhow::Result<Option<(ApiKeyId, String)>> {
    if settings.auth.root_key.is_some() || !settings.instance.role.serves() {
        return Ok(None);
    }
    let minted = mint_first_key(store, &By::start()).await?;
    Ok(minted.map(|minted| (minted.row.id, minted.secret.expose().to_owned())))
}
