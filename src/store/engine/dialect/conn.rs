//! Connections: one enum over both databases, and pools that drop a connection which has seen trouble.

use std::sync::Arc;
use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::{Connection, PgConnection, SqliteConnection};

use crate::domain::ids::CampaignId;
use crate::store::StoreError;
use crate::store::engine::dialect::ALONG_INDEXES;
use crate::store::engine::dialect::campaign_lock::CampaignLock;
use crate::store::engine::history::{self, History, Lineage};
use crate::store::engine::tls::Server;

/// A connection to either database. Ordinary queries run on the enum; what differs is in [`crate::store::engine::dialect`].
#[derive(diesel::MultiConnection)]
pub enum Conn {
    /// PostgreSQL.
    Pg(PgConnection),
    /// SQLite.
    Sqlite(SqliteConnection),
}

impl Conn {
    /// Runs `work` in one write transaction: IMMEDIATE on SQLite, where a transaction that begins by reading could not
    /// be upgraded while another one writes. Inside another one it is a part of that one, which can fail and be tried again by
    /// itself: a savepoint.
    ///
    /// # Errors
    /// What `work` returned, after a rollback; or the error of BEGIN or COMMIT. An unanswered COMMIT is an error too:
    /// the caller must treat it as "may have happened".
    pub fn write<T, E: From<StoreError>>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        let begun = if self.is_in_transaction() { self.begin_part() } else { self.begin("BEGIN") };
        begun.map_err(StoreError::query("begin a transaction"))?;
        self.finish_with(work)
    }

    fn is_in_transaction(&mut self) -> bool {
        let status = match self {
            Self::Pg(conn) => AnsiTransactionManager::transaction_manager_status_mut(conn),
            Self::Sqlite(conn) => AnsiTransactionManager::transaction_manager_status_mut(conn),
        };
        // A broken one begins nothing, and says so.
        matches!(status.transaction_depth(), Ok(Some(_)))
    }

    fn begin_part(&mut self) -> diesel::QueryResult<()> {
        match self {
            Self::Pg(conn) => AnsiTransactionManager::begin_transaction(conn),
            Self::Sqlite(conn) => AnsiTransactionManager::begin_transaction(conn),
        }
    }

    /// [`Conn::write`] under a campaign's lock. It is a statement of its own, as it must be, so that whatever is read
    /// next is read after the lock was won; but it costs no round trip of its own.
    ///
    /// # Errors
    /// As [`Conn::write`]; also when the lock was not won within the connection's `lock_timeout`.
    pub fn write_under<T, E: From<StoreError>>(
        &mut self,
        lock: CampaignLock,
        campaign: CampaignId,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let begun = self.begin(&format!("BEGIN; {}", lock.statement(campaign)));
        if begun.is_err()
            && let Self::Pg(conn) = self
        {
            // The lock may have failed after BEGIN had not.
            let _ = conn.batch_execute("ROLLBACK");
        }
        begun.map_err(StoreError::query("lock the campaign"))?;
        self.finish_with(work)
    }

    /// [`Conn::write`], in which PostgreSQL walks indexes: small work beside much other work. Saying so costs no round trip of its
    /// own. Never inside another transaction.
    ///
    /// # Errors
    /// As [`Conn::write`].
    pub fn write_along_indexes<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let begun = self.begin(&format!("BEGIN; {ALONG_INDEXES}"));
        begun.map_err(StoreError::query("begin a transaction"))?;
        self.finish_with(work)
    }

    fn begin(&mut self, on_postgres: &str) -> diesel::QueryResult<()> {
        match self {
            Self::Pg(conn) => AnsiTransactionManager::begin_transaction_sql(conn, on_postgres),
            Self::Sqlite(conn) => AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE"),
        }
    }

    fn finish_with<T, E: From<StoreError>>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        match work(self) {
            Ok(value) => {
                self.finish(Finish::Commit).map_err(StoreError::query("commit"))?;
                Ok(value)
            }
            Err(error) => {
                // The first error is the one that says something; a failed rollback breaks the connection, and the pool
                // then drops it.
                let _ = self.finish(Finish::Rollback);
                Err(error)
            }
        }
    }

    /// Runs `work` in one transaction that sees a single snapshot.
    ///
    /// # Errors
    /// What `work` returned, or the error of BEGIN or COMMIT.
    pub fn snapshot<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match self {
            Self::Pg(conn) => AnsiTransactionManager::begin_transaction_sql(
                conn,
                "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
            ),
            Self::Sqlite(conn) => AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN DEFERRED"),
        }
        .map_err(StoreError::query("begin a snapshot"))?;
        let result = work(self);
        let _ = self.finish(Finish::Rollback);
        result
    }

    fn finish(&mut self, how: Finish) -> diesel::QueryResult<()> {
        match (self, how) {
            (Self::Pg(conn), Finish::Commit) => AnsiTransactionManager::commit_transaction(conn),
            (Self::Pg(conn), Finish::Rollback) => AnsiTransactionManager::rollback_transaction(conn),
            (Self::Sqlite(conn), Finish::Commit) => AnsiTransactionManager::commit_transaction(conn),
            (Self::Sqlite(conn), Finish::Rollback) => AnsiTransactionManager::rollback_transaction(conn),
        }
    }

    fn is_mid_transaction(&mut self) -> bool {
        match self {
            Self::Pg(conn) => AnsiTransactionManager::is_broken_transaction_manager(conn),
            Self::Sqlite(conn) => AnsiTransactionManager::is_broken_transaction_manager(conn),
        }
    }
}

enum Finish {
    Commit,
    Rollback,
}

/// Whether an error leaves the connection in doubt. Constraint violations and missing rows are answers; the rest may be
/// a dead server behind the socket, and a dead connection that went back to its pool would fail the next caller too.
pub(in crate::store) fn taints_connection(error: &DieselError) -> bool {
    let answered = matches!(
        error,
        DieselError::NotFound
            | DieselError::SerializationError(_)
            | DieselError::DeserializationError(_)
            | DieselError::DatabaseError(
                DatabaseErrorKind::UniqueViolation
                    | DatabaseErrorKind::ForeignKeyViolation
                    | DatabaseErrorKind::CheckViolation
                    | DatabaseErrorKind::NotNullViolation
                    | DatabaseErrorKind::SerializationFailure,
                _,
            )
    );
    !answered
}

/// A pooled connection, and whether it has seen trouble.
pub(in crate::store) struct Pooled {
    pub(in crate::store) conn: Conn,
    pub(in crate::store) tainted: bool,
    /// The history that it sees, where the server tells.
    pub(in crate::store) lineage: Option<Lineage>,
}

/// What a pool's connections are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Purpose {
    /// PostgreSQL: claims and records, with pinned plans.
    Hot,
    /// PostgreSQL: decisions, heartbeats, the reaper.
    Control,
    /// PostgreSQL: what writes beside these, and what counts a whole campaign.
    General,
    /// SQLite: the one writer.
    Writer,
    /// A reader. On PostgreSQL, a statement is ended after so long.
    Reader {
        /// The longest that one read may take.
        within: Duration,
    },
    /// PostgreSQL: a migration, which may take as long as it needs.
    Migration,
}

/// Opens connections for one pool. We choose the backend ourselves, by URL scheme: diesel's own `MultiConnection` took a
/// mistyped PostgreSQL URL for a file name and created a SQLite database under it.
#[derive(Debug)]
pub(in crate::store) struct Manager {
    pub(in crate::store) target: Target,
    pub(in crate::store) purpose: Purpose,
    pub(in crate::store) history: Arc<History>,
}

/// Which database, and where.
#[derive(Clone)]
pub enum Target {
    /// PostgreSQL.
    Pg(Arc<Server>),
    /// The path of a SQLite file.
    Sqlite(String),
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // The URL may hold a password.
            Self::Pg(_) => f.write_str("postgres"),
            Self::Sqlite(path) => write!(f, "sqlite {path}"),
        }
    }
}

impl Target {
    /// Reads `sqlite://PATH` or `postgres://…`.
    ///
    /// # Errors
    /// Any other scheme; or a connection to PostgreSQL cannot be as safe as the URL asks for.
    pub fn parse(url: &str) -> Result<Self, StoreError> {
        if let Some(path) = url.strip_prefix("sqlite://").filter(|path| !path.is_empty()) {
            return Ok(Self::Sqlite(path.to_owned()));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Pg(Arc::new(Server::new(url)?)));
        }
        Err(StoreError::BadUrl)
    }
}

/// Keeps the planner on the primary key of `deliveries`. With some 1000 keys in an `unnest` it chose a hash join over a
/// scan of the whole table, and a flush took 27 ms at 100,000 rows and more with every row after that.
const PG_HOT_PLANS: &str = "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; \
                            SET enable_mergejoin = off;";

/// A dead peer is noticed within seconds, and no statement can hold a lock for long. A process that is frozen in the middle
/// of a transaction, such as packing, loses its locks before an operator's decision has waited too long for them.
const PG_LIMITS: &str = "SET lock_timeout = '4s'; SET idle_in_transaction_session_timeout = '3s'; SET jit = off; \
                         SET client_min_messages = warning;";

/// An acknowledged commit stands on the disk, and on the standbys that the server waits for. A server that asks for more is
/// left to it.
const PG_DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false) \
                          WHERE current_setting('synchronous_commit') IN ('off', 'local')";

const SQLITE_SETUP: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                            PRAGMA foreign_keys = ON; PRAGMA cache_size = -16000; PRAGMA temp_store = MEMORY; \
                            PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864;";

impl r2d2::ManageConnection for Manager {
    type Connection = Pooled;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> Result<Pooled, Self::Error> {
        use diesel::r2d2::Error::{ConnectionError, QueryError};
        let mut lineage = None;
        let conn = match &self.target {
            Target::Pg(server) => {
                let mut conn = server.establish().map_err(ConnectionError)?;
                conn.batch_execute(PG_LIMITS).map_err(QueryError)?;
                conn.batch_execute(PG_DURABLE).map_err(QueryError)?;
                lineage = match history::ask(&mut conn).map_err(QueryError)? {
                    history::Server::Primary(lineage) => lineage,
                    history::Server::Standby => {
                        let detail = "the server is a standby: it replays and takes no writes".to_owned();
                        return Err(ConnectionError(diesel::ConnectionError::BadConnection(detail)));
                    }
                };
                if let Some(lineage) = lineage {
                    self.history.see(lineage);
                }
                let limits = match self.purpose {
                    // A process that is frozen in the middle of a claim holds the campaign's lock: operators' decisions wait
                    // for longer than that.
                    Purpose::Hot => "SET statement_timeout = '5s'; SET lock_timeout = '2s'; \
                                     SET idle_in_transaction_session_timeout = '2s'"
                        .to_owned(),
                    Purpose::Control => "SET statement_timeout = '30s'".to_owned(),
                    Purpose::General | Purpose::Writer => "SET statement_timeout = '60s'".to_owned(),
                    Purpose::Reader { within } => format!("SET statement_timeout = {}", within.as_millis()),
                    Purpose::Migration => "SET statement_timeout = 0".to_owned(),
                };
                conn.batch_execute(&limits).map_err(QueryError)?;
                if self.purpose == Purpose::Hot {
                    conn.batch_execute(PG_HOT_PLANS).map_err(QueryError)?;
                }
                Conn::Pg(conn)
            }
            Target::Sqlite(path) => {
                let mut conn = SqliteConnection::establish(path).map_err(ConnectionError)?;
                conn.batch_execute(SQLITE_SETUP).map_err(QueryError)?;
                if matches!(self.purpose, Purpose::Reader { .. }) {
                    conn.batch_execute("PRAGMA query_only = ON").map_err(QueryError)?;
                }
                Conn::Sqlite(conn)
            }
        };
        Ok(Pooled { conn, tainted: false, lineage })
    }

    fn is_valid(&self, pooled: &mut Pooled) -> Result<(), Self::Error> {
        match &mut pooled.conn {
            Conn::Pg(conn) => conn.batch_execute("SELECT 1").map_err(diesel::r2d2::Error::QueryError),
            Conn::Sqlite(_) => Ok(()),
        }
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        pooled.tainted || pooled.conn.is_mid_transaction()
    }
}

pub(in crate::store) type Pool = r2d2::Pool<Manager>;

pub(in crate::store) fn pool(manager: Manager, size: u32, checkout: Duration) -> Pool {
    let purpose = manager.purpose;
    r2d2::Pool::builder()
        .max_size(size.max(1))
        .min_idle(Some(0))
        .connection_timeout(checkout)
        // After PostgreSQL was cut off, every idle connection is dead: a request that gets one is given another. What claims and
        // records tries again by itself, and is not made to ask each time; SQLite's connections do not die.
        .test_on_check_out(!matches!(purpose, Purpose::Hot | Purpose::Writer))
        // A long-lived connection is what carries the prepared statements.
        .max_lifetime(None)
        .idle_timeout(None)
        .error_handler(Box::new(r2d2::NopErrorHandler))
        .build_unchecked(manager)
}
