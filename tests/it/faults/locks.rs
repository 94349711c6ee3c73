//! One SQLite file, one process.

use std::time::Duration;

use crate::support::Database;
use crate::support::volley::{Pool, Volley};
use crate::support::waiting::wait_for;

#[test]
fn a_second_process_on_the_same_sqlite_file_is_refused_clearly() {
    let db = Database::sqlite();
    let first = Volley::on(&db).pool(Pool::sandbox("main", "email")).start();
    let mut second = Volley::on(&db).pool(Pool::sandbox("main", "email")).prepare();
    second.spawn();
    let status = wait_for("the second process gives up", Duration::from_secs(10), || second.exited());
    assert!(!status.success());
    let words = second.log();
    assert!(words.contains("another instance"), "{words}");
    assert!(!words.contains("panicked"), "{words}");
    first.stop();
}

#[test]
fn the_next_process_gets_the_file_as_soon_as_the_first_is_killed() {
    let db = Database::sqlite();
    let mut first = Volley::on(&db).pool(Pool::sandbox("main", "email")).start();
    first.kill_9();
    Volley::on(&db).pool(Pool::sandbox("main", "email")).start().stop();
}
