//! Settings of a broker that cannot work stop the start, and say which.

use std::time::Duration;

use crate::support::Database;
use crate::support::volley::Volley;
use crate::support::waiting::wait_for;

/// What a process that must not come up with this broker says.
#[track_caller]
fn refusal(db: &Database, broker: &str) -> String {
    let mut volley = Volley::on(db).broker(broker).prepare();
    volley.spawn();
    let status = wait_for("volley ends at start", Duration::from_secs(30), || volley.exited());
    assert!(!status.success(), "it started");
    volley.log()
}

#[test]
fn a_broker_beside_an_embedded_database_is_refused_with_the_setting() {
    let said = refusal(&Database::sqlite(), "amqp://guest:guest@127.0.0.1:5672/%2f");
    assert!(said.contains("broker.url") && said.contains("PostgreSQL"), "{said}");
}

#[test]
fn guest_is_refused_beyond_this_machine_and_no_password_is_repeated() {
    let Some(db) = Database::postgres("guest_is_refused_beyond_this_machine") else { return };
    let said = refusal(&db, "amqp://guest:guest@rabbit.example.com/volley");
    assert!(said.contains("broker.url") && said.contains("guest"), "{said}");
    let said = refusal(&db, "amqp//volley:s3cret-word@rabbit.example.com");
    assert!(said.contains("broker.url") && !said.contains("s3cret-word"), "{said}");
}
