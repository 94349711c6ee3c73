//! The database: schema, rows, queries, transactions. Everything durable lives here, and nothing here knows an actor.
//!
//! [`Store::run`] is the only way in: it waits for a lane, runs the closure on a blocking thread with the caller's span,
//! and classifies what went wrong. [`backend`] holds every difference between PostgreSQL and SQLite.

pub mod announcements;
pub mod api_keys;
pub mod attributes;
pub mod backend;
pub mod campaigns;
pub mod claims;
#[allow(missing_docs, reason = "the derive of MultiConnection writes items without docs")]
mod conn;
pub mod contacts;
pub mod deliveries;
mod error;
pub mod fail_point;
pub mod history;
pub mod housekeeping;
pub mod idempotency;
pub mod imports;
pub mod inspection;
pub mod instances;
pub mod late_evidence;
pub mod launch;
pub mod listing;
pub mod lists;
pub mod lost_leases;
pub mod notices;
pub mod open_work;
pub mod outcomes;
pub mod packing;
pub mod pages;
pub mod pool_switches;
pub mod presence;
pub mod rates;
pub mod rewind;
#[allow(missing_docs, reason = "diesel writes items without docs")]
pub(crate) mod schema;
mod sql;
pub mod sweeps;
pub mod templates;

use std::sync::Arc;
use std::time::Duration;

use diesel::migration::Migration;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use tokio::sync::Semaphore;

use crate::config::Database;
pub use conn::{Conn, Target};
use conn::{Pool, Purpose};
pub use error::StoreError;
use history::{For, History};

const PG_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Which queue a piece of work waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Claims and records: PostgreSQL's hot pool, SQLite's writer.
    Hot,
    /// Operators' decisions (pause, stop …): on SQLite these pass every other writer that waits.
    Control,
    /// Everything else that writes. Keep a transaction under some 10 ms: SQLite has one writer.
    Write,
    /// Reads; never waits for a writer.
    Read,
}

/// A handle on the database. Cloning is cheap.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    target: Target,
    lanes: Lanes,
    checkout: Duration,
    history: Arc<History>,
}

enum Lanes {
    Pg { hot: Guarded, general: Guarded },
    Sqlite { writer: Guarded, bulk: Semaphore, readers: Guarded },
}

/// A pool behind a semaphore of its size: whoever waits, waits asynchronously and in order.
struct Guarded {
    pool: Pool,
    permits: Arc<Semaphore>,
}

impl Guarded {
    fn new(target: &Target, purpose: Purpose, size: u32, checkout: Duration, history: &Arc<History>) -> Self {
        let size = size.max(1);
        let permits = Arc::new(Semaphore::new(usize::try_from(size).unwrap_or(1)));
        Self { pool: conn::pool(target, purpose, size, checkout, history), permits }
    }
}

impl Store {
    /// Prepares the pools. Opens no connection yet, except to create a missing SQLite folder.
    ///
    /// # Errors
    /// The URL has an unknown scheme, or the folder of the SQLite file cannot be made.
    pub fn open(settings: &Database) -> Result<Self, StoreError> {
        let target = Target::parse(settings.url.expose())?;
        let checkout = Duration::from_millis(settings.checkout_timeout_ms);
        let history = Arc::<History>::default();
        let lanes = match &target {
            Target::Pg(_) => Lanes::Pg {
                hot: Guarded::new(&target, Purpose::Hot, settings.hot_connections, checkout, &history),
                general: Guarded::new(&target, Purpose::General, settings.connections, checkout, &history),
            },
            Target::Sqlite(path) => {
                if let Some(folder) = std::path::Path::new(path).parent().filter(|p| !p.as_os_str().is_empty()) {
                    std::fs::create_dir_all(folder).map_err(|source| StoreError::Folder { source })?;
                }
                Lanes::Sqlite {
                    writer: Guarded::new(&target, Purpose::Writer, 1, checkout, &history),
                    bulk: Semaphore::new(1),
                    readers: Guarded::new(&target, Purpose::Reader, settings.connections, checkout, &history),
                }
            }
        };
        Ok(Self { inner: Arc::new(Inner { target, lanes, checkout, history }) })
    }

    /// Which database this is.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.inner.target
    }

    /// Whether writers stand in line for one another, so that few large transactions beat many small ones.
    #[must_use]
    pub fn has_one_writer(&self) -> bool {
        matches!(self.inner.target, Target::Sqlite(_))
    }

    /// Which history of the database is worked with.
    #[must_use]
    pub fn history(&self) -> &Arc<History> {
        &self.inner.history
    }

    /// Runs `work` on a connection that sees the history which was found, while nothing else is served.
    ///
    /// # Errors
    /// As [`Store::run`].
    pub async fn settle_history<T: Send + 'static>(
        &self,
        action: &'static str,
        work: impl FnOnce(&mut Conn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.serve(Lane::Control, For::Settling, action, work).await
    }

    /// Runs `work` on a connection of `lane`. `action` completes "cannot …" in errors: `"claim deliveries"`.
    ///
    /// # Errors
    /// What `work` returned; [`StoreError::Unavailable`] when no connection could be had in time.
    pub async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        action: &'static str,
        work: impl FnOnce(&mut Conn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.serve(lane, For::Work, action, work).await
    }

    async fn serve<T: Send + 'static>(
        &self,
        lane: Lane,
        whom: For,
        action: &'static str,
        work: impl FnOnce(&mut Conn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = |_| StoreError::Closed;
        let (guarded, _bulk) = match (&self.inner.lanes, lane) {
            (Lanes::Pg { hot, .. }, Lane::Hot) => (hot, None),
            (Lanes::Pg { general, .. }, Lane::Control | Lane::Write | Lane::Read) => (general, None),
            (Lanes::Sqlite { writer, .. }, Lane::Control) => (writer, None),
            // At most one of the others stands in the writer's own queue, so control waits for two at the worst.
            (Lanes::Sqlite { writer, bulk, .. }, Lane::Hot | Lane::Write) => {
                (writer, Some(bulk.acquire().await.map_err(closed)?))
            }
            (Lanes::Sqlite { readers, .. }, Lane::Read) => (readers, None),
        };
        let permit = Arc::clone(&guarded.permits).acquire_owned().await.map_err(closed)?;
        let pool = guarded.pool.clone();
        let span = tracing::Span::current();
        let checkout = self.inner.checkout;
        let history = Arc::clone(&self.inner.history);
        // The permit goes along: a caller that is dropped while its work still runs does not free the place.
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let _entered = span.enter();
            let mut pooled = check_out(&pool, checkout, &history, whom, action)?;
            let result = work(&mut pooled.conn);
            if result.as_ref().is_err_and(StoreError::taints_connection) {
                pooled.tainted = true;
            }
            result
        });
        work.await.map_err(|source| StoreError::Panicked { action, source })?
    }

    /// Brings the schema up to date, and checks that the database keeps what it acknowledges.
    ///
    /// # Errors
    /// A migration failed, or PostgreSQL runs with `fsync=off`: acknowledged commits were lost under it when
    /// measured, and a lost claim is a second message.
    pub async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        self.run(Lane::Control, "migrate", |conn| {
            backend::refuse_unsafe_durability(conn)?;
            backend::lock_migrations(conn)?;
            let versions = match conn {
                Conn::Pg(conn) => conn.run_pending_migrations(PG_MIGRATIONS),
                Conn::Sqlite(conn) => conn.run_pending_migrations(SQLITE_MIGRATIONS),
            }
            .map(|versions| versions.iter().map(ToString::to_string).collect())
            .map_err(|source| StoreError::Migration { detail: source.to_string() });
            backend::unlock_migrations(conn)?;
            versions
        })
        .await
    }

    /// Migrations that are not applied yet.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        // In a new database this makes diesel's own table.
        self.run(Lane::Write, "look for migrations", |conn| {
            let pending = match conn {
                Conn::Pg(conn) => conn.pending_migrations(PG_MIGRATIONS).map(|all| names(&all)),
                Conn::Sqlite(conn) => conn.pending_migrations(SQLITE_MIGRATIONS).map(|all| names(&all)),
            };
            pending.map_err(|source| StoreError::Migration { detail: source.to_string() })
        })
        .await
    }
}

/// A connection that may be used. Those that see a history which is over are closed, one after the other.
fn check_out(
    pool: &Pool,
    checkout: Duration,
    history: &History,
    whom: For,
    action: &'static str,
) -> Result<r2d2::PooledConnection<conn::Manager>, StoreError> {
    loop {
        let mut pooled = pool.get_timeout(checkout).map_err(|source| StoreError::unavailable(action, &source))?;
        if history.serves(pooled.lineage, whom) {
            return Ok(pooled);
        }
        pooled.tainted = true;
        if whom == For::Work && history.is_unsettled() {
            let detail = "the database has gone back in time, and is compared with the journal first".to_owned();
            return Err(StoreError::Unavailable { action, detail });
        }
    }
}

fn names<DB: diesel::backend::Backend>(migrations: &[Box<dyn Migration<DB>>]) -> Vec<String> {
    migrations.iter().map(|migration| migration.name().to_string()).collect()
}
