//! What a migration of many deliveries costs those who work meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::pg::{Pg, PgConnection};
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use serde_json::json;
use volley::store::Conn;
use volley::store::engine::dialect::migrating::apply_pending;

use crate::dispatch::{POOL, pool};
use crate::server::Server;
use crate::support::Database;
use crate::support::volley::Volley;
use crate::{Backend, Wire};

/// The migrations that the first release had: later ones find a database that has long been at work.
const FIRST_RELEASE: usize = 2;

/// How long everybody is watched before the migration.
const BEFORE: Duration = Duration::from_secs(15);

/// And for how long at least from its beginning on: what waits behind a lock shows when the lock is gone.
const DURING: Duration = Duration::from_secs(5);

/// Hand-overs a second, so that a campaign lasts for as long as a migration.
const RATE: u32 = 500;

/// How long a migration that always meets locks is tried again.
const PATIENCE: Duration = Duration::from_secs(600);

/// What a later release may do to the deliveries: a column that says nothing of old rows, and an index.
const LATER: [(&str, &str, &str); 2] = [
    ("2100-01-01-000000_add_column", "ALTER TABLE deliveries ADD COLUMN bench_note TEXT", ""),
    (
        "2100-01-01-000001_add_index",
        "CREATE INDEX CONCURRENTLY bench_due ON deliveries (campaign_id, due_at)",
        "run_in_transaction = false",
    ),
];

/// Measures on so many deliveries, and prints a row for each migration.
pub(crate) fn measure(rows: u32) {
    let Some(db) = Backend::Postgres.database() else { return };
    println!("\n| {rows} deliveries | took s | longest wait before, ms | during, ms | ratio |");
    println!("|---|---:|---:|---:|---:|");
    releases(&db, rows);
    beside_a_campaign(&db);
}

/// What the releases since the first one do, while somebody writes to one row as fast as they can.
fn releases(db: &Database, rows: u32) {
    let all = from_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/postgres"));
    let mut conn = connect(db);
    // It makes the table in which applied migrations are noted.
    assert!(conn.applied_migrations().expect("the migrations").is_empty());
    let mut first = MigrationSource::<Pg>::migrations(&all).expect("migrations");
    first.sort_by_key(|migration| migration.name().to_string());
    for migration in first.iter().take(FIRST_RELEASE) {
        conn.run_migration(migration).expect("the first release's schema");
    }
    // Of campaigns and pages that nobody will make.
    let filled = Instant::now();
    conn.batch_execute(&format!(
        "INSERT INTO deliveries (campaign_id, contact_id, page_id, state) \
         SELECT 1000000 + n / 1000000, n, 1000000000 + n / 1000, 'sent' FROM generate_series(1, {rows}) AS n; ANALYZE deliveries"
    ))
    .expect("deliveries");
    eprintln!("{rows} deliveries written in {:.0} s", filled.elapsed().as_secs_f64());
    let before = while_writing(db, || std::thread::sleep(BEFORE)).1;
    let (took, during) = while_writing(db, || apply(&mut conn, &all));
    print("the releases since the first, beside one writer", took, before, during);
}

/// Applies what is missing, and goes on watching for a while. Answers how long it took.
fn apply(conn: &mut PgConnection, source: &FileBasedMigrations) -> Duration {
    let took = timed(|| drop(apply_pending(conn, source, PATIENCE).expect("applied")));
    std::thread::sleep(DURING.saturating_sub(took));
    took
}

/// How long somebody waited at most who wrote to one row while `work` was done.
fn while_writing<T>(db: &Database, work: impl FnOnce() -> T) -> (T, Duration) {
    let ended = Arc::new(AtomicBool::new(false));
    let writing = std::thread::spawn({
        let (mut conn, ended) = (connect(db), Arc::clone(&ended));
        move || {
            let mut longest = Duration::ZERO;
            while !ended.load(Ordering::Acquire) {
                let write =
                    "UPDATE deliveries SET attempts = attempts + 1 WHERE campaign_id = 1000000 AND contact_id = 7";
                longest = longest.max(timed(|| conn.batch_execute(write).expect("a write")));
            }
            longest
        }
    });
    let made = work();
    ended.store(true, Ordering::Release);
    (made, writing.join().expect("the writer"))
}

/// What a later release may do, while a campaign sends.
fn beside_a_campaign(db: &Database) {
    let mut server = Server::start(Wire::Webhook);
    let volley = Volley::on(db)
        .settings("[log]\nlevel = \"warn\"")
        .pool(pool(POOL, Wire::Webhook, server.port()).set("rate_per_second", &RATE.to_string()))
        .start();
    let api = volley.api();
    let recipients = 120_000;
    let list = api.a_list_of(recipients);
    let campaign = api.create_campaign(Wire::Webhook.channel(), POOL, list, &json!({}));
    api.send(campaign);
    server.wait_taken(u64::from(RATE), Duration::from_millis(10));
    let ended = AtomicBool::new(false);
    let before = std::thread::scope(|scope| {
        let watch = scope.spawn(|| longest_silence(&mut server, &ended));
        std::thread::sleep(BEFORE);
        ended.store(true, Ordering::Release);
        watch.join().expect("the watch")
    });
    let mut conn = connect(db);
    for (name, up, metadata) in LATER {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join(name);
        std::fs::create_dir(&place).expect("a folder");
        std::fs::write(place.join("up.sql"), up).expect("a migration");
        std::fs::write(place.join("down.sql"), "SELECT 1").expect("a migration");
        std::fs::write(place.join("metadata.toml"), metadata).expect("a migration");
        let source = from_folder(folder.path());
        ended.store(false, Ordering::Release);
        let (took, during) = std::thread::scope(|scope| {
            let watch = scope.spawn(|| longest_silence(&mut server, &ended));
            let took = apply(&mut conn, &source);
            ended.store(true, Ordering::Release);
            (took, watch.join().expect("the watch"))
        });
        print(&format!("{up}, beside a campaign"), took, before, during);
    }
    let sent = usize::try_from(server.taken()).expect("a count");
    assert!(sent < recipients, "the campaign ended before the migrations did");
    api.post(&format!("/v1/campaigns/{campaign}/stop"), &json!({}));
    volley.stop();
}

/// The longest time in which nothing arrived, until the end.
fn longest_silence(server: &mut Server, ended: &AtomicBool) -> Duration {
    let (mut longest, mut last) = (Duration::ZERO, (server.taken(), Instant::now()));
    while !ended.load(Ordering::Acquire) {
        std::thread::sleep(Duration::from_millis(1));
        let taken = server.taken();
        longest = longest.max(last.1.elapsed());
        if taken != last.0 {
            last = (taken, Instant::now());
        }
    }
    longest
}

fn from_folder(folder: &Path) -> FileBasedMigrations {
    FileBasedMigrations::from_path(folder).expect("a folder of migrations")
}

fn connect(db: &Database) -> PgConnection {
    let Conn::Pg(conn) = db.connect() else { unreachable!("this is PostgreSQL's") };
    conn
}

fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

fn print(what: &str, took: Duration, before: Duration, during: Duration) {
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "| {what} | {:.1} | {:.1} | {:.1} | {:.1} |",
        took.as_secs_f64(),
        millis(before),
        millis(during),
        during.as_secs_f64() / before.as_secs_f64()
    );
}
