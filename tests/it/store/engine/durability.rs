//! The database keeps what it acknowledges, or nothing is started.

use volley::store::{Conn, Lane, Store};

use crate::support::Database;
use crate::support::database::number;
use crate::support::volley::{Pool, Volley};
use crate::support::waiting::wait_for;

fn store(db: &Database) -> Store {
    let url = volley::config::secret::Secret::new(db.url());
    Store::open(&volley::config::Database { url, ..volley::config::Database::default() }).unwrap()
}

/// Starts the program, which ends by itself, and answers what it said.
#[track_caller]
fn refused(db: &Database) -> String {
    let mut volley = Volley::on(db).pool(Pool::sandbox("main", "email")).prepare();
    volley.spawn();
    let status = wait_for("the start is refused", std::time::Duration::from_secs(30), || volley.exited());
    assert_eq!(status.code(), Some(1));
    let words = volley.log();
    assert!(!words.contains("panicked"), "{words}");
    words
}

#[test]
fn a_postgres_that_may_forget_acknowledged_commits_is_refused_at_start() {
    let Some(db) = Database::own_postgres(module_path!()) else { return };
    db.server().set("fsync", "off");
    let words = refused(&db);
    let complaint = words.lines().find(|line| line.contains("fsync")).unwrap_or_else(|| panic!("{words}"));
    assert!(complaint.contains("off") && complaint.contains("turn it on"), "{complaint}");
    db.server().set("fsync", "on");
    Volley::on(&db).pool(Pool::sandbox("main", "email")).start().stop();
}

#[test]
fn every_connection_waits_for_the_disk_whatever_the_server_is_set_to() {
    let Some(db) = Database::postgres(module_path!()) else { return };
    let name = db.url().rsplit('/').next().unwrap().to_owned();
    for (set, kept) in [("off", "on"), ("local", "on"), ("on", "on"), ("remote_apply", "remote_apply")] {
        db.execute(&format!("ALTER DATABASE {name} SET synchronous_commit = {set}"));
        actix_rt::System::new().block_on(async {
            let store = store(&db);
            store.migrate().await.unwrap();
            for lane in [Lane::Hot, Lane::Control, Lane::Write, Lane::Read] {
                let ask = format!("SELECT (current_setting('synchronous_commit') = '{kept}')::INT::BIGINT AS n");
                let is_kept = store.run(lane, "ask", move |conn: &mut Conn| Ok(number(conn, &ask))).await.unwrap();
                assert_eq!(is_kept, 1, "{lane:?} with {set}");
            }
        });
    }
}

#[test]
fn every_connection_to_the_embedded_database_syncs_each_commit() {
    const FULL: i64 = 2;
    let db = Database::sqlite();
    actix_rt::System::new().block_on(async {
        let store = store(&db);
        store.migrate().await.unwrap();
        for lane in [Lane::Hot, Lane::Control, Lane::Write, Lane::Read] {
            let asked = store.run(lane, "ask", |conn: &mut Conn| {
                let enforced = number(conn, "SELECT foreign_keys AS n FROM pragma_foreign_keys");
                let wal = number(conn, "SELECT journal_mode = 'wal' AS n FROM pragma_journal_mode");
                Ok((number(conn, "SELECT synchronous AS n FROM pragma_synchronous"), wal, enforced))
            });
            assert_eq!(asked.await.unwrap(), (FULL, 1, 1), "{lane:?}");
        }
    });
}
