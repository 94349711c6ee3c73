//! Bringing the schema up to date, beside instances that send.
//!
//! A migration may take as long as it needs, but nothing may wait for it for long: a statement that waits for a lock makes
//! every later claim wait behind it, so it gives up soon and is tried again. What cannot run in a transaction
//! (`CREATE INDEX CONCURRENTLY`) stands in a migration of its own, whose `metadata.toml` says `run_in_transaction = false`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::sql_types::Bool;
use diesel::{PgConnection, RunQueryDsl, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use r2d2::ManageConnection as _;

use super::conn::{Conn, Manager, Purpose};
use crate::store::engine::sql::sql;
use crate::store::{Lane, Store, StoreError, Target};

const PG_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// How long one statement of a migration waits for a lock: for so long at most, claims wait behind it.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// How long a migration gives others between two tries.
const BREATHE: Duration = Duration::from_millis(500);

/// How long a migration that always meets a lock is tried again. Long reads end within a minute.
const LOCK_PATIENCE: Duration = Duration::from_secs(600);

/// How often a wait for another instance that migrates is written to the log.
const SAY_EVERY: Duration = Duration::from_secs(10);

impl Store {
    /// Brings the schema up to date, and checks that the database keeps what it acknowledges.
    ///
    /// # Errors
    /// A migration failed, or PostgreSQL runs with `fsync=off`: acknowledged commits were lost under it when
    /// measured, and a lost claim is a second message.
    pub async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        let Target::Pg(_) = self.target() else {
            return self.run(Lane::Control, "migrate", on_sqlite).await;
        };
        // A session of its own: it may be busy for long, and its limits differ from everybody else's.
        let manager =
            Manager { target: self.target().clone(), purpose: Purpose::Migration, history: Arc::clone(self.history()) };
        let span = tracing::Span::current();
        let work = tokio::task::spawn_blocking(move || {
            let _entered = span.enter();
            let mut session = manager
                .connect()
                .map_err(|source| StoreError::Unavailable { action: "migrate", detail: source.to_string() })?;
            on_postgres(&mut session.conn)
        });
        work.await.map_err(|source| StoreError::Panicked { action: "migrate", source })?
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

fn names<DB: diesel::backend::Backend>(migrations: &[Box<dyn Migration<DB>>]) -> Vec<String> {
    migrations.iter().map(|migration| migration.name().to_string()).collect()
}

fn failed(source: &(dyn std::error::Error + 'static)) -> StoreError {
    StoreError::Migration { detail: source.to_string() }
}

fn on_sqlite(conn: &mut Conn) -> Result<Vec<String>, StoreError> {
    let Conn::Sqlite(conn) = conn else { return Ok(Vec::new()) };
    let conn: &mut SqliteConnection = conn;
    let versions = conn.run_pending_migrations(SQLITE_MIGRATIONS).map_err(|source| failed(&*source))?;
    Ok(versions.iter().map(ToString::to_string).collect())
}

fn on_postgres(conn: &mut Conn) -> Result<Vec<String>, StoreError> {
    super::refuse_unsafe_durability(conn)?;
    let Conn::Pg(conn) = conn else { return Ok(Vec::new()) };
    alone(conn)?;
    let applied = apply_pending(conn, &PG_MIGRATIONS, LOCK_PATIENCE);
    conn.batch_execute("SELECT pg_advisory_unlock(8531957230915)")
        .map_err(StoreError::query("let other instances migrate"))?;
    applied
}

#[derive(diesel::QueryableByName)]
struct Taken {
    #[diesel(sql_type = Bool)]
    taken: bool,
}

/// Waits until no other instance migrates: two that create the same table fail. However long the other one takes, it is
/// at work, and the session's end frees the lock.
fn alone(conn: &mut PgConnection) -> Result<(), StoreError> {
    let mut said = Instant::now();
    loop {
        let row: Taken = sql("SELECT pg_try_advisory_lock(8531957230915) AS taken")
            .get_result(conn)
            .map_err(StoreError::query("wait for another instance that migrates"))?;
        if row.taken {
            return Ok(());
        }
        if said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            tracing::info!(
                event = "database.migrating_elsewhere",
                "the start waits for another instance that migrates the database"
            );
        }
        std::thread::sleep(BREATHE);
    }
}

/// Applies what is missing of `source`, one migration at a time, each again while it meets locks.
///
/// # Errors
/// The first migration that fails, or that met locks for longer than `patience`.
pub fn apply_pending(
    conn: &mut PgConnection,
    source: &impl MigrationSource<Pg>,
    patience: Duration,
) -> Result<Vec<String>, StoreError> {
    // The words of an error are read below. Where this is not allowed, a server that speaks another language makes the
    // start fail instead of trying again.
    let _ = conn.batch_execute("SET lc_messages = 'C'");
    conn.batch_execute(&format!("SET statement_timeout = 0; SET lock_timeout = {}", LOCK_WAIT.as_millis()))
        .map_err(StoreError::query("prepare a migration"))?;
    let all = source.migrations().map_err(|source| failed(&*source))?;
    let applied = conn.applied_migrations().map_err(|source| failed(&*source))?;
    let mut pending: Vec<_> = all.into_iter().filter(|each| !applied.contains(&each.name().version())).collect();
    pending.sort_by(|a, b| a.name().version().cmp(&b.name().version()));
    let mut done = Vec::new();
    for migration in pending {
        let name = migration.name().to_string();
        let began = Instant::now();
        loop {
            match conn.run_migration(&migration) {
                Ok(_) => break,
                Err(error) if met_a_lock(&*error) && began.elapsed() < patience => {
                    tracing::info!(
                        event = "database.migration_waits",
                        migration = name,
                        "a migration waits for a table that others use; it is tried again"
                    );
                    std::thread::sleep(BREATHE);
                }
                Err(error) => return Err(failed(&*error)),
            }
        }
        done.push(name);
    }
    Ok(done)
}

/// Whether a migration gave up waiting for a lock. The driver does not hand over the code (55P03), so the words decide.
fn met_a_lock(error: &(dyn std::error::Error + 'static)) -> bool {
    error.to_string().contains("lock timeout")
}
