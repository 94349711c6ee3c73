//! The database keeps what it acknowledges, or nothing is started.

use volley::store::{Conn, Lane, Store, StoreError};

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
    for setting in ["synchronous_commit", "fsync"] {
        db.server().set(setting, "off");
        let words = refused(&db);
        let complaint = words.lines().find(|line| line.contains(setting)).unwrap_or_else(|| panic!("{words}"));
        assert!(complaint.contains("off") && complaint.contains("turn it on"), "{complaint}");
        db.server().set(setting, "on");
    }
    Volley::on(&db).pool(Pool::sandbox("main", "email")).start().stop();
}

#[test]
fn a_database_that_may_forget_acknowledged_commits_is_refused_whoever_made_it_so() {
    let Some(db) = Database::postgres(module_path!()) else { return };
    let name = db.url().rsplit('/').next().unwrap().to_owned();
    db.execute(&format!("ALTER DATABASE {name} SET synchronous_commit = off"));
    let refused = actix_rt::System::new().block_on(async { store(&db).migrate().await });
    assert!(matches!(refused, Err(StoreError::UnsafeDurability { setting: "synchronous_commit" })), "{refused:?}");
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
