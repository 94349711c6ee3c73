//! The database: schema, rows, queries, transactions. Everything durable lives here, and nothing here knows an actor.
//!
//! [`Store::run`] is the only way in: it waits for a lane, runs the closure on a blocking thread with the caller's span,
//! and classifies what went wrong. Files called `dialect` hold every difference between
//! PostgreSQL and SQLite.

pub mod access;
pub mod callbacks;
pub mod campaigns;
pub mod content;
pub mod deliverability;
pub mod dispatch;
pub mod engine;
pub mod events;
pub mod import;
pub mod naming;
pub mod people;
pub mod reactions;
pub mod replicas;
pub mod reports;
pub mod segments;
pub mod tracking;
pub mod under_way;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::config::Database;
pub use engine::dialect::conn::{Conn, Target};
use engine::dialect::conn::{Manager, Pool, Purpose};
pub use engine::error::{MayBeStoreError, StoreError};
use engine::history::{For, History};

/// PostgreSQL: connections for decisions, heartbeats and the reaper. Nothing that takes long uses them.
const CONTROL_CONNECTIONS: u32 = 3;

/// PostgreSQL: connections that keep segments up to date: one for those who change, one for the evaluation of everybody, one for what their
/// reactions change, one for calls.
const SEGMENT_CONNECTIONS: u32 = 4;

/// Which queue a piece of work waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Claims and records: PostgreSQL's hot pool, SQLite's writer.
    Hot,
    /// Operators' decisions (pause, stop …), heartbeats, and what the reaper resolves. PostgreSQL: connections of their
    /// own, so that no read is in their way; SQLite: these pass every other writer that waits.
    Control,
    /// Look-ups that decisions wait for: an API key, whether the database answers. A few rows, never a scan. PostgreSQL:
    /// the connections of decisions; SQLite: a reader.
    LookUp,
    /// Everything else that writes. Keep a transaction under some 10 ms: SQLite has one writer.
    Write,
    /// What keeps segments up to date, and does their reactions. It always has something to do where much happens: PostgreSQL gives it
    /// connections of its own, so that no other write waits for it. SQLite: as [`Lane::Write`].
    Segments,
    /// Reads; never waits for a writer. PostgreSQL ends one that takes longer than `database.read_timeout_ms`.
    Read,
    /// Reads that count a whole campaign's rows: one at a time, because each keeps a core busy. PostgreSQL: for up to a minute, on
    /// a connection of their own; SQLite: a reader.
    Audit,
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
    Pg { hot: Guarded, control: Guarded, writers: Guarded, readers: Guarded, audit: Guarded, segments: Guarded },
    Sqlite { writer: Guarded, bulk: Semaphore, readers: Guarded, audit: Semaphore },
}

/// A pool behind a semaphore of its size: requests wait asynchronously and in order.
struct Guarded {
    pool: Pool,
    permits: Arc<Semaphore>,
}

impl Guarded {
    fn new(manager: Manager, size: u32, checkout: Duration) -> Self {
        let size = size.max(1);
        let permits = Arc::new(Semaphore::new(usize::try_from(size).unwrap_or(1)));
        Self { pool: engine::dialect::conn::pool(manager, size, checkout), permits }
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
        let reads_within = Duration::from_millis(settings.read_timeout_ms);
        let guarded = |purpose, size| {
            let manager = Manager { target: target.clone(), purpose, history: Arc::clone(&history) };
            Guarded::new(manager, size, checkout)
        };
        let lanes = match &target {
            Target::Pg(_) => Lanes::Pg {
                hot: guarded(Purpose::Hot, settings.hot_connections),
                control: guarded(Purpose::Control, CONTROL_CONNECTIONS),
                // Reads are many; what writes beside the hot path are imports and edits.
                writers: guarded(Purpose::General, settings.connections / 3),
                readers: guarded(Purpose::Reader { within: reads_within }, settings.connections.div_ceil(3) * 2),
                audit: guarded(Purpose::General, 1),
                segments: guarded(Purpose::General, SEGMENT_CONNECTIONS),
            },
            Target::Sqlite(path) => {
                if let Some(folder) = std::path::Path::new(path).parent().filter(|p| !p.as_os_str().is_empty()) {
                    std::fs::create_dir_all(folder).map_err(|source| StoreError::Folder { source })?;
                }
                Lanes::Sqlite {
                    writer: guarded(Purpose::Writer, 1),
                    bulk: Semaphore::new(1),
                    readers: guarded(Purpose::Reader { within: reads_within }, settings.connections),
                    audit: Semaphore::new(1),
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

    /// Runs `work` in one write transaction on a connection of `lane`: all of it is stored, or nothing. `action` completes
    /// "cannot …" in errors.
    ///
    /// # Errors
    /// What `work` returned, after a rollback. As [`Store::run`] otherwise; an unanswered COMMIT is an error too, and what
    /// was to be stored may be stored.
    pub async fn transact<T: Send + 'static, E: MayBeStoreError>(
        &self,
        lane: Lane,
        action: &'static str,
        work: impl FnOnce(&mut Conn) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        // The store's own errors pass through `run`, which drops a connection that they have made unusable.
        let done = self
            .run(lane, action, move |conn| match conn.write(work) {
                Ok(value) => Ok(Ok(value)),
                Err(error) => match error.into_store_error() {
                    Ok(own) => Err(own),
                    Err(refused) => Ok(Err(refused)),
                },
            })
            .await;
        done?
    }

    async fn serve<T: Send + 'static>(
        &self,
        lane: Lane,
        whom: For,
        action: &'static str,
        work: impl FnOnce(&mut Conn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = |_| StoreError::Closed;
        let (guarded, _turn) = match (&self.inner.lanes, lane) {
            (Lanes::Pg { hot, .. }, Lane::Hot) => (hot, None),
            (Lanes::Pg { control, .. }, Lane::Control | Lane::LookUp) => (control, None),
            (Lanes::Pg { writers, .. }, Lane::Write) => (writers, None),
            (Lanes::Pg { readers, .. }, Lane::Read) => (readers, None),
            (Lanes::Pg { audit, .. }, Lane::Audit) => (audit, None),
            (Lanes::Pg { segments, .. }, Lane::Segments) => (segments, None),
            (Lanes::Sqlite { writer, .. }, Lane::Control) => (writer, None),
            // At most one of the others stands in the writer's own queue, so control waits for two at the worst.
            (Lanes::Sqlite { writer, bulk, .. }, Lane::Hot | Lane::Write | Lane::Segments) => {
                (writer, Some(bulk.acquire().await.map_err(closed)?))
            }
            (Lanes::Sqlite { readers, .. }, Lane::Read | Lane::LookUp) => (readers, None),
            (Lanes::Sqlite { readers, audit, .. }, Lane::Audit) => {
                (readers, Some(audit.acquire().await.map_err(closed)?))
            }
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
}

/// A connection that may be used. Those that see a history which is over are closed, one after the other.
fn check_out(
    pool: &Pool,
    checkout: Duration,
    history: &History,
    whom: For,
    action: &'static str,
) -> Result<r2d2::PooledConnection<Manager>, StoreError> {
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
